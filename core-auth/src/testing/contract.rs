//! What every store of accounts and sessions promises, one function a promise. Run all of them on
//! an adapter with [`auth_store_contract!`](crate::auth_store_contract).

use std::sync::Arc;

use core_kernel::{SessionId, UserId};
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{account, refresh_token, session};
use crate::password::PasswordHash;
use crate::ports::{SessionStore, StoreError, UserStore};
use crate::session::{NewSession, Refusal, Rotation, RotationOutcome, StoredRefresh};
use crate::user::{Account, Email};

/// The stores under test.
#[derive(Clone)]
pub struct Fixture {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Sessions of the same accounts.
    pub sessions: Arc<dyn SessionStore>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! auth_store_contract {
    ($fixture:path) => {
        $crate::auth_store_contract!(@tests $fixture,
            an_account_is_found_by_id_and_by_email,
            an_unknown_account_is_none,
            an_email_is_taken_once_however_close_the_race,
            a_hash_is_replaced_only_while_it_is_the_old_one,
            a_session_knows_its_user,
            an_unknown_session_is_none,
            a_refresh_token_works_once,
            a_token_used_again_ends_its_session,
            within_the_grace_the_same_token_gets_another_pair,
            the_grace_counts_from_the_first_use,
            an_unknown_refresh_token_ends_nothing,
            of_twenty_racing_refreshes_one_is_first,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise($fixture().await).await;
        }
    )+};
}

async fn registered(fixture: &Fixture) -> Account {
    let account = account();
    fixture.users.insert(&account).await.expect("an insert");
    account
}

async fn begun(fixture: &Fixture) -> (Account, NewSession) {
    let account = registered(fixture).await;
    let session = session(account.user.id);
    fixture.sessions.start(&session).await.expect("a start");
    (account, session)
}

/// An exchange of `presented`, `after` seconds into the session.
fn rotation(session: &NewSession, presented: &StoredRefresh, after: i64, grace: i64) -> Rotation {
    let at = session.at + SignedDuration::from_secs(after);
    Rotation {
        session_id: session.id,
        presented: presented.hash,
        next: refresh_token(at),
        at,
        grace: SignedDuration::from_secs(grace),
    }
}

async fn rotate(fixture: &Fixture, rotation: &Rotation) -> Result<(), Refusal> {
    match fixture.sessions.rotate(rotation).await.expect("an answer") {
        RotationOutcome::Rotated(_) => Ok(()),
        RotationOutcome::Refused(refusal) => Err(refusal),
    }
}

async fn has_ended(fixture: &Fixture, session: &NewSession) -> bool {
    let state = fixture
        .sessions
        .access(session.id)
        .await
        .expect("an answer");
    state.expect("a session").ended
}

/// Round trip by both keys.
pub async fn an_account_is_found_by_id_and_by_email(fixture: Fixture) {
    let account = registered(&fixture).await;
    let by_id = fixture
        .users
        .find(account.user.id)
        .await
        .expect("an answer");
    assert_eq!(by_id.as_ref(), Some(&account.user));
    let by_email = fixture.users.find_by_email(&account.user.email).await;
    assert_eq!(by_email.expect("an answer"), Some(account));
}

/// Absence is no failure.
pub async fn an_unknown_account_is_none(fixture: Fixture) {
    let id = UserId::generate();
    assert_eq!(fixture.users.find(id).await.expect("an answer"), None);
    let email = Email::normalized(&format!("{id}@example.com"));
    assert_eq!(
        fixture
            .users
            .find_by_email(&email)
            .await
            .expect("an answer"),
        None
    );
}

/// One address, one account.
pub async fn an_email_is_taken_once_however_close_the_race(fixture: Fixture) {
    let first = account();
    let rivals: Vec<Account> = (0..20)
        .map(|_| {
            let mut rival = account();
            rival.user.email = first.user.email.clone();
            rival
        })
        .collect();
    let outcomes = join_all(rivals.iter().map(|rival| fixture.users.insert(rival))).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let taken = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(StoreError::EmailTaken)))
        .count();
    assert_eq!((won, taken), (1, 19), "{outcomes:?}");
}

/// A renewed hash must not undo a change of password.
pub async fn a_hash_is_replaced_only_while_it_is_the_old_one(fixture: Fixture) {
    let account = registered(&fixture).await;
    let (id, email) = (account.user.id, &account.user.email);
    let [second, third] = ["second", "third"].map(|hash| PasswordHash(hash.into()));
    let users = &fixture.users;
    users
        .replace_hash(id, &account.password_hash, &second)
        .await
        .expect("an answer");
    users
        .replace_hash(id, &account.password_hash, &third)
        .await
        .expect("an answer");
    let found = users
        .find_by_email(email)
        .await
        .expect("an answer")
        .expect("an account");
    assert_eq!(found.password_hash, second);
}

/// What a validation needs comes with the session.
pub async fn a_session_knows_its_user(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let state = fixture
        .sessions
        .access(session.id)
        .await
        .expect("an answer");
    let state = state.expect("a session");
    assert_eq!(state.user, account.user);
    assert!(!state.ended);
}

/// Absence is no failure.
pub async fn an_unknown_session_is_none(fixture: Fixture) {
    let state = fixture.sessions.access(SessionId::generate()).await;
    assert_eq!(state.expect("an answer"), None);
}

/// A token is exchanged for the next, which is exchanged for one more.
pub async fn a_refresh_token_works_once(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let first = rotation(&session, &session.refresh, 1, 0);
    let outcome = fixture.sessions.rotate(&first).await.expect("an answer");
    assert_eq!(outcome, RotationOutcome::Rotated(Box::new(account.user)));
    let second = rotation(&session, &first.next, 2, 0);
    assert_eq!(rotate(&fixture, &second).await, Ok(()));
}

/// Reuse ends the family: neither the old nor the new token works afterwards.
pub async fn a_token_used_again_ends_its_session(fixture: Fixture) {
    let (_, session) = begun(&fixture).await;
    let first = rotation(&session, &session.refresh, 1, 0);
    assert_eq!(rotate(&fixture, &first).await, Ok(()));
    let again = rotation(&session, &session.refresh, 2, 0);
    assert_eq!(rotate(&fixture, &again).await, Err(Refusal::Reused));
    assert!(has_ended(&fixture, &session).await);
    let child = rotation(&session, &first.next, 3, 0);
    assert_eq!(rotate(&fixture, &child).await, Err(Refusal::Ended));
}

/// A lost answer is forgiven for a while, and every pair given works.
pub async fn within_the_grace_the_same_token_gets_another_pair(fixture: Fixture) {
    let (_, session) = begun(&fixture).await;
    let first = rotation(&session, &session.refresh, 1, 10);
    let again = rotation(&session, &session.refresh, 5, 10);
    assert_eq!(rotate(&fixture, &first).await, Ok(()));
    assert_eq!(rotate(&fixture, &again).await, Ok(()));
    for pair in [first.next, again.next] {
        assert_eq!(
            rotate(&fixture, &rotation(&session, &pair, 6, 10)).await,
            Ok(())
        );
    }
    assert!(!has_ended(&fixture, &session).await);
}

/// The grace does not slide with each use.
pub async fn the_grace_counts_from_the_first_use(fixture: Fixture) {
    let (_, session) = begun(&fixture).await;
    let use_at = |second| rotation(&session, &session.refresh, second, 10);
    assert_eq!(rotate(&fixture, &use_at(1)).await, Ok(()));
    assert_eq!(rotate(&fixture, &use_at(9)).await, Ok(()));
    assert_eq!(rotate(&fixture, &use_at(12)).await, Err(Refusal::Reused));
}

/// A token nobody issued says nothing about the session it names.
pub async fn an_unknown_refresh_token_ends_nothing(fixture: Fixture) {
    let (_, session) = begun(&fixture).await;
    let stranger = refresh_token(session.at);
    let outcome = rotate(&fixture, &rotation(&session, &stranger, 1, 0)).await;
    assert_eq!(outcome, Err(Refusal::Unknown));
    assert!(!has_ended(&fixture, &session).await);
}

/// Two tabs refresh at once: one is first; without grace the others end the session.
pub async fn of_twenty_racing_refreshes_one_is_first(fixture: Fixture) {
    let (_, session) = begun(&fixture).await;
    let rotations: Vec<Rotation> = (0..20)
        .map(|_| rotation(&session, &session.refresh, 1, 0))
        .collect();
    let outcomes = join_all(rotations.iter().map(|rotation| rotate(&fixture, rotation))).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "{outcomes:?}");
    assert!(has_ended(&fixture, &session).await);
}
