//! The use cases on mocked stores: which work is done, in which order, and what nobody learns.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::Arc;

use core_auth::testing::{account, mailbox};
use core_auth::{
    AccessState, Accounts, Auth, AuthSettings, Email, HashError, Keyring, Keys, LoginError,
    MockOneTimeStore, MockPasswordHasher, MockSessionStore, MockUserStore, Password, PasswordHash,
    ProfileError, RefreshError, Refusal, Revocations, Revoked, RotationOutcome, StoreError,
    UserRole, ValidateError, Verdict,
};
use core_kernel::{Caller, Clock, RequestContext, SystemClock, UserId};
use jiff::SignedDuration;
use secrecy::SecretString;

fn keys() -> Keys {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    Keys::new(Keyring::new(&secret, &[]).unwrap())
}

#[derive(Default)]
struct Mocks {
    users: MockUserStore,
    sessions: MockSessionStore,
    hasher: MockPasswordHasher,
    tokens: MockOneTimeStore,
    settings: AuthSettings,
    revocations: Arc<Revocations>,
}

impl Mocks {
    fn auth(self) -> Auth {
        Auth::new(
            Accounts::new(
                Arc::new(self.users),
                Arc::new(self.hasher),
                Arc::new(SystemClock),
            ),
            Arc::new(self.sessions),
            mailbox(self.tokens),
            keys(),
            self.revocations,
            self.settings,
        )
    }
}

fn right() -> Verdict {
    Verdict::Right { outdated: false }
}

async fn login(auth: &Auth) -> Result<core_auth::TokenPair, LoginError> {
    auth.login(
        &Email::normalized("jane@example.com"),
        Password::attempt("x"),
        &RequestContext::generate(),
    )
    .await
}

#[tokio::test]
async fn an_unknown_account_costs_the_same_hash_and_gives_the_same_answer() {
    let mut mocks = Mocks::default();
    mocks.users.expect_find_by_email().returning(|_| Ok(None));
    mocks
        .hasher
        .expect_verify()
        .withf(|_, stored| stored.is_none())
        .times(1)
        .returning(|_, _| Ok(Verdict::Wrong));
    assert!(matches!(
        login(&mocks.auth()).await,
        Err(LoginError::InvalidCredentials)
    ));
}

#[tokio::test]
async fn only_the_right_password_learns_that_an_account_is_deactivated() {
    for (verdict, deactivated) in [(Verdict::Wrong, false), (right(), true)] {
        let mut mocks = Mocks::default();
        let mut gone = account();
        gone.user.is_active = false;
        mocks
            .users
            .expect_find_by_email()
            .returning(move |_| Ok(Some(gone.clone())));
        mocks
            .hasher
            .expect_verify()
            .returning(move |_, _| Ok(verdict));
        let answer = login(&mocks.auth()).await;
        assert_eq!(
            matches!(answer, Err(LoginError::Deactivated)),
            deactivated,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn an_outdated_hash_is_renewed_at_the_next_good_login() {
    let mut mocks = Mocks::default();
    let known = account();
    let old = known.password_hash.clone();
    mocks
        .users
        .expect_find_by_email()
        .returning(move |_| Ok(Some(known.clone())));
    mocks
        .hasher
        .expect_verify()
        .returning(|_, _| Ok(Verdict::Right { outdated: true }));
    mocks
        .hasher
        .expect_hash()
        .returning(|_| Ok(PasswordHash("new".into())));
    mocks
        .users
        .expect_replace_hash()
        .withf(move |_, was, new| *was == old && new.0 == "new")
        .times(1)
        .returning(|_, _, _| Ok(()));
    mocks.sessions.expect_start().times(1).returning(|_| Ok(()));
    assert!(login(&mocks.auth()).await.is_ok());
}

#[tokio::test]
async fn a_login_stands_when_its_hash_cannot_be_renewed() {
    let mut mocks = Mocks::default();
    mocks
        .users
        .expect_find_by_email()
        .returning(|_| Ok(Some(account())));
    mocks
        .hasher
        .expect_verify()
        .returning(|_, _| Ok(Verdict::Right { outdated: true }));
    mocks
        .hasher
        .expect_hash()
        .returning(|_| Err(HashError::Busy));
    mocks.sessions.expect_start().returning(|_| Ok(()));
    assert!(login(&mocks.auth()).await.is_ok());
}

#[tokio::test]
async fn without_a_stored_session_there_are_no_tokens() {
    let mut mocks = Mocks::default();
    mocks
        .users
        .expect_find_by_email()
        .returning(|_| Ok(Some(account())));
    mocks.hasher.expect_verify().returning(|_, _| Ok(right()));
    mocks
        .sessions
        .expect_start()
        .returning(|_| Err(StoreError::Unavailable("gone".into())));
    assert!(matches!(
        login(&mocks.auth()).await,
        Err(LoginError::Store(_))
    ));
}

/// An auth that hands out tokens of `user` and finds `state` when they are validated.
async fn validated(change: fn(&mut AccessState)) -> Result<core_auth::Identity, ValidateError> {
    let known = account();
    let mut state = AccessState {
        user: known.user.clone(),
        ended: false,
    };
    change(&mut state);
    let mut mocks = Mocks::default();
    mocks
        .users
        .expect_find_by_email()
        .returning(move |_| Ok(Some(known.clone())));
    mocks.hasher.expect_verify().returning(|_, _| Ok(right()));
    mocks.sessions.expect_start().returning(|_| Ok(()));
    mocks
        .sessions
        .expect_access()
        .returning(move |_| Ok(Some(state.clone())));
    let auth = mocks.auth();
    let pair = login(&auth).await.unwrap();
    auth.validate(&pair.access_token).await
}

#[tokio::test]
async fn an_access_token_counts_as_long_as_its_session_user_and_role() {
    assert!(validated(|_| ()).await.is_ok());
    for change in [
        |state: &mut AccessState| state.ended = true,
        |state: &mut AccessState| state.user.is_active = false,
        |state: &mut AccessState| state.user.role = UserRole::Admin,
        |state: &mut AccessState| state.user.id = UserId::generate(),
    ] {
        assert!(matches!(
            validated(change).await,
            Err(ValidateError::Token(_))
        ));
    }
}

#[tokio::test]
async fn a_service_token_is_validated_without_any_store() {
    let ttl = SignedDuration::from_hours(24);
    let token = keys()
        .current()
        .sign_service("notification-service", SystemClock.now(), ttl);
    let identity = Mocks::default()
        .auth()
        .validate(&token.unwrap())
        .await
        .unwrap();
    assert_eq!(
        identity.caller,
        Caller::Service("notification-service".into())
    );
    assert_eq!(identity.email, None);
}

#[tokio::test]
async fn a_refused_rotation_gives_no_tokens() {
    let mut mocks = Mocks::default();
    mocks
        .users
        .expect_find_by_email()
        .returning(|_| Ok(Some(account())));
    mocks.hasher.expect_verify().returning(|_, _| Ok(right()));
    mocks.sessions.expect_start().returning(|_| Ok(()));
    mocks
        .sessions
        .expect_rotate()
        .returning(|_| Ok(RotationOutcome::Refused(Refusal::Deactivated)));
    let auth = mocks.auth();
    let pair = login(&auth).await.unwrap();
    let refused = auth.refresh(&pair.refresh_token).await;
    assert!(matches!(
        refused,
        Err(RefreshError::Refused(Refusal::Deactivated))
    ));
    let other_kind = auth.refresh(&pair.access_token).await;
    assert!(matches!(other_kind, Err(RefreshError::Token(_))));
}

#[tokio::test]
async fn anothers_profile_is_forbidden_without_looking() {
    let auth = Mocks::default().auth();
    let caller = Caller::Customer(UserId::generate());
    let answer = auth.profile(&caller, UserId::generate()).await;
    assert!(matches!(answer, Err(ProfileError::Forbidden)));
}

/// What a person who logged in has, and the use cases that let her.
fn token(sid: core_kernel::SessionId, sub: UserId) -> String {
    let now = SystemClock.now().as_second();
    let claims = core_auth::AccessClaims {
        sub,
        email: "jane@example.com".into(),
        role: core_kernel::Role::Customer,
        iat: now,
        exp: now + 3600,
        jti: core_kernel::TokenId::generate(),
        sid,
    };
    keys().current().sign_access(&claims).unwrap()
}

/// When a poll has to begin for what it found to be trusted for as long as a test runs.
fn in_an_hour() -> std::time::Instant {
    std::time::Instant::now() + std::time::Duration::from_secs(3600)
}

#[tokio::test]
async fn while_revocations_are_known_a_validation_asks_nobody() {
    // A mock that is asked for what it does not expect panics.
    let mocks = Mocks::default();
    let revocations = mocks.revocations.clone();
    let auth = mocks.auth();
    let (sid, sub) = (core_kernel::SessionId::generate(), UserId::generate());
    let token = token(sid, sub);
    let now = SystemClock.now();
    revocations.polled(&Revoked::default(), in_an_hour(), now);
    let identity = auth.validate(&token).await.unwrap();
    assert_eq!(identity.caller, Caller::Customer(sub));
    assert_eq!(identity.session, Some(sid));
    revocations.session_ended(sid, now);
    assert!(matches!(
        auth.validate(&token).await,
        Err(ValidateError::Token(_))
    ));
}

#[tokio::test]
async fn a_logout_counts_at_once_and_before_any_poll() {
    let mut mocks = Mocks::default();
    mocks
        .sessions
        .expect_end()
        .times(1)
        .returning(|_, _, _, _| Ok(true));
    let revocations = mocks.revocations.clone();
    let auth = mocks.auth();
    let token = token(core_kernel::SessionId::generate(), UserId::generate());
    let now = SystemClock.now();
    revocations.polled(&Revoked::default(), in_an_hour(), now);
    let who = auth.validate(&token).await.unwrap();
    auth.logout(&who).await.unwrap();
    assert!(matches!(
        auth.validate(&token).await,
        Err(ValidateError::Token(_))
    ));
}

#[tokio::test]
async fn a_change_while_the_password_is_checked_ends_the_token_of_that_login() {
    let mut mocks = Mocks::default();
    let jane = account();
    let (id, found) = (jane.user.id, jane.clone());
    mocks
        .users
        .expect_find_by_email()
        .returning(move |_| Ok(Some(found.clone())));
    let revocations = mocks.revocations.clone();
    let changing = revocations.clone();
    mocks.hasher.expect_verify().returning(move |_, _| {
        // The change comes now; what is issued at a later millisecond would not be meant by it.
        let at = SystemClock.now();
        changing.tokens_ended(id, at);
        while SystemClock.now().as_millisecond() == at.as_millisecond() {}
        Ok(right())
    });
    mocks
        .sessions
        .expect_start()
        .withf(move |session| session.seen == jane.user.updated_at)
        .returning(|_| Ok(()));
    let auth = mocks.auth();
    let pair = login(&auth).await.unwrap();
    let (begun, now) = (std::time::Instant::now(), SystemClock.now());
    revocations.polled(&Revoked::default(), begun, now);
    let answer = auth.validate(&pair.access_token).await;
    assert!(matches!(answer, Err(ValidateError::Token(_))), "{answer:?}");
}
