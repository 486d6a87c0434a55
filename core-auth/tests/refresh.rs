//! A pair that is exchanged while the account changes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use core_auth::testing::{account, mailbox};
use core_auth::{
    Accounts, Auth, AuthSettings, Keyring, Keys, MockOneTimeStore, MockPasswordHasher,
    MockSessionStore, MockUserStore, RefreshClaims, Revocations, Revoked, RotationOutcome, User,
};
use core_kernel::{Clock, SessionId, SystemClock, TokenId};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

fn keyring() -> Keyring {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    Keyring::new(&secret, &[]).unwrap()
}

/// Use cases on these sessions; what is revoked is as it was told to `revocations`.
fn auth(sessions: MockSessionStore, revocations: Arc<Revocations>) -> Auth {
    let in_an_hour = Instant::now() + Duration::from_secs(3600);
    revocations.polled(&Revoked::default(), in_an_hour, SystemClock.now());
    let hasher = Arc::new(MockPasswordHasher::new());
    Auth::new(
        Accounts::new(
            Arc::new(MockUserStore::new()),
            hasher,
            Arc::new(SystemClock),
        ),
        Arc::new(sessions),
        mailbox(MockOneTimeStore::new()),
        Keys::new(keyring()),
        revocations,
        AuthSettings::default(),
    )
}

/// A refresh token of a user.
fn token_of(user: &User) -> String {
    let now = SystemClock.now().as_second();
    let claims = RefreshClaims {
        sub: user.id,
        iat: now,
        exp: now + 3600,
        jti: TokenId::generate(),
        sid: SessionId::generate(),
    };
    keyring().sign_refresh(&claims).unwrap()
}

/// The user once their tokens count from here on.
fn changed(user: &User, from: Timestamp) -> RotationOutcome {
    let mut user = user.clone();
    user.tokens_from = Some(from);
    RotationOutcome::Rotated(Box::new(user))
}

#[tokio::test]
async fn a_refresh_that_waits_for_a_change_of_the_account_gives_a_token_that_counts() {
    let jane = account().user;
    let token = token_of(&jane);
    let revocations = Arc::new(Revocations::default());
    let changing = revocations.clone();
    let mut change = None;
    let mut sessions = MockSessionStore::new();
    sessions.expect_rotate().returning(move |_| {
        let from = *change.get_or_insert_with(|| SystemClock.now());
        changing.tokens_ended(jane.id, from);
        // What is issued at a later millisecond is not meant by the change.
        while SystemClock.now().as_millisecond() == from.as_millisecond() {}
        Ok(changed(&jane, from))
    });
    let auth = auth(sessions, revocations);
    let pair = auth.refresh(&token).await.unwrap();
    let validated = auth.validate(&pair.access_token).await;
    assert!(validated.is_ok(), "{validated:?}");
}

#[tokio::test]
async fn a_refresh_does_not_wait_for_the_time_of_a_clock_that_is_fast() {
    let jane = account().user;
    let token = token_of(&jane);
    let in_an_hour = SystemClock.now() + SignedDuration::from_hours(1);
    let mut sessions = MockSessionStore::new();
    let rotations = sessions.expect_rotate().times(1..10);
    rotations.returning(move |_| Ok(changed(&jane, in_an_hour)));
    let auth = auth(sessions, Arc::default());
    assert!(auth.refresh(&token).await.is_ok());
}
