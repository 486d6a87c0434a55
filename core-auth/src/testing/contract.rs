//! What every store of accounts and sessions promises, one function a promise. Run all of them on
//! an adapter with [`auth_store_contract!`](crate::auth_store_contract).

use std::sync::Arc;

use core_kernel::{Clock, Outbox, PageRequest, RequestContext, SessionId, SystemClock, UserId};
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{account, refresh_token, session};
use crate::app::SessionSummary;
use crate::change::{Doing, Patch, UserChange};
use crate::password::PasswordHash;
use crate::ports::{OneTimeStore, SessionStore, StoreError, UserFilter, UserStore};
use crate::revocation::Revoked;
use crate::session::{NewSession, Refusal, Rotation, RotationOutcome, StoredRefresh};
use crate::user::{Account, Email, PersonName, User, UserRole};

pub use super::one_time::*;

/// The stores under test.
#[derive(Clone)]
pub struct Fixture {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Sessions of the same accounts.
    pub sessions: Arc<dyn SessionStore>,
    /// One-time tokens of the same accounts.
    pub one_time: Arc<dyn OneTimeStore>,
    /// The events that they raise.
    pub outbox: Arc<dyn Outbox>,
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
            no_session_begins_on_what_has_changed_since_it_was_read,
            an_unknown_session_is_none,
            sessions_are_listed_newest_first_with_what_became_of_them,
            a_refresh_token_works_once,
            a_token_used_again_ends_its_session,
            within_the_grace_the_same_token_gets_another_pair,
            the_grace_counts_from_the_first_use,
            an_unknown_refresh_token_ends_nothing,
            of_twenty_racing_refreshes_one_is_first,
            an_ended_session_gives_no_pair_and_stays_ended,
            one_session_ends_and_is_audited_once,
            all_sessions_of_a_user_end_and_no_other,
            what_was_revoked_of_late_is_told,
            an_account_is_found_with_its_hash,
            a_change_is_found_whole_with_its_audit,
            a_stale_change_is_a_conflict_and_writes_nothing,
            of_twenty_racing_changes_one_wins,
            a_change_ends_all_sessions_but_the_one_it_keeps,
            a_change_ends_what_was_issued_while_it_was_under_way,
            a_clock_that_is_fast_ends_no_tokens_to_come,
            an_account_is_made_together_with_its_audit,
            an_entry_to_which_no_change_belongs_is_told_too,
            a_list_of_users_holds_only_what_passes_the_filter,
            pages_of_users_neither_repeat_nor_skip,
            a_request_is_found_with_its_audit_and_its_event,
            an_unknown_one_time_token_is_none,
            a_request_of_nobody_is_stored,
            a_request_too_soon_after_another_is_nobodys,
            a_change_by_a_token_is_found_whole,
            of_twenty_racing_uses_of_a_token_one_wins,
            a_used_token_is_a_conflict_and_changes_nothing,
            a_new_password_ends_the_tokens_for_setting_one,
            an_account_is_made_together_with_its_verification,
            expired_tokens_are_forgotten_in_batches,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::contract::$promise($fixture().await).await;
        }
    )+};
}

pub(super) async fn registered(fixture: &Fixture) -> Account {
    let account = account();
    fixture
        .users
        .insert(&account, &[], None)
        .await
        .expect("an insert");
    account
}

pub(super) async fn begun(fixture: &Fixture) -> (Account, NewSession) {
    let account = registered(fixture).await;
    let session = session(&account.user);
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

pub(super) async fn has_ended(fixture: &Fixture, session: &NewSession) -> bool {
    let state = fixture
        .sessions
        .access(session.id)
        .await
        .expect("an answer");
    state.expect("a session").ended
}

/// Logins as people see them; another user's are not among them.
pub async fn sessions_are_listed_newest_first_with_what_became_of_them(fixture: Fixture) {
    let (account, first) = begun(&fixture).await;
    begun(&fixture).await;
    let mut second = session(&account.user);
    second.at = first.at + SignedDuration::from_secs(10);
    fixture.sessions.start(&second).await.expect("a start");
    let rotation = rotation(&second, &second.refresh, 60, 0);
    rotate(&fixture, &rotation).await.expect("a pair");
    let ended = first.at + SignedDuration::from_secs(20);
    let end = fixture
        .sessions
        .end(first.id, "logged out", ended, &[])
        .await;
    end.expect("an end");

    let user = account.user.id;
    let listed = fixture.sessions.list(user, 10).await.expect("a list");
    let renewed = SessionSummary {
        id: second.id,
        created_at: second.at,
        renewed_at: rotation.next.issued_at,
        ended_at: None,
        end_reason: None,
    };
    let over = SessionSummary {
        id: first.id,
        created_at: first.at,
        renewed_at: first.refresh.issued_at,
        ended_at: Some(ended),
        end_reason: Some("logged out".to_owned()),
    };
    assert_eq!(listed, [renewed.clone(), over]);
    let newest = fixture.sessions.list(user, 1).await.expect("a list");
    assert_eq!(newest, [renewed]);
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
    let outcomes = join_all(
        rivals
            .iter()
            .map(|rival| fixture.users.insert(rival, &[], None)),
    )
    .await;
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

/// A login that took its time neither outlives a change nor a deactivation.
pub async fn no_session_begins_on_what_has_changed_since_it_was_read(fixture: Fixture) {
    let account = registered(&fixture).await;
    let stale = session(&account.user);
    let off = Patch {
        is_active: Some(false),
        ..Patch::default()
    };
    let renamed = renamed(&account.user, "Joan");
    let deactivated = changed(&renamed.user, &off);
    for (change, late) in [
        (&renamed, stale),
        (&deactivated, session(&renamed.user)),
        (&deactivated, session(&deactivated.user)),
    ] {
        let _ = fixture.users.commit(change).await;
        let refused = fixture.sessions.start(&late).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        let state = fixture.sessions.access(late.id).await.expect("an answer");
        assert_eq!(state, None, "nothing is written");
    }
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

/// What was logged out is not refreshed, and its end is told once.
pub async fn an_ended_session_gives_no_pair_and_stays_ended(fixture: Fixture) {
    let (_, session) = begun(&fixture).await;
    for first in [true, false] {
        let ended = fixture
            .sessions
            .end(session.id, "logged out", session.at, &[]);
        assert_eq!(ended.await.expect("an answer"), first);
        assert!(has_ended(&fixture, &session).await);
    }
    let again = rotation(&session, &session.refresh, 1, 0);
    assert_eq!(rotate(&fixture, &again).await, Err(Refusal::Ended));
}

/// The user's others go on, and an end that changed nothing is not told. One that nobody has is none.
pub async fn one_session_ends_and_is_audited_once(fixture: Fixture) {
    let (account, first) = begun(&fixture).await;
    let second = session(&account.user);
    fixture.sessions.start(&second).await.expect("a start");
    let context = RequestContext::generate();
    let doing = Doing::by(&account.user.caller(), first.at, &context);
    let entry = doing.entry(account.user.id, "session_ended");
    let audit = [entry.clone()];
    for (id, ends) in [
        (first.id, true),
        (first.id, false),
        (SessionId::generate(), false),
    ] {
        let ended = fixture.sessions.end(id, "by an operator", first.at, &audit);
        assert_eq!(ended.await.expect("an answer"), ends);
    }
    assert!(has_ended(&fixture, &first).await && !has_ended(&fixture, &second).await);
    let told = fixture
        .users
        .audit(account.user.id, PageRequest::default())
        .await
        .expect("an answer");
    assert_eq!(told.items, [entry]);
}

/// A user's sessions end together; others go on.
pub async fn all_sessions_of_a_user_end_and_no_other(fixture: Fixture) {
    let (account, first) = begun(&fixture).await;
    let second = session(&account.user);
    fixture.sessions.start(&second).await.expect("a start");
    let (_, other) = begun(&fixture).await;
    let context = RequestContext::generate();
    let doing = Doing::by(&account.user.caller(), first.at, &context);
    let entry = doing.entry(account.user.id, "sessions_ended");
    let audit = [entry.clone()];
    let ended = fixture
        .sessions
        .end_all(account.user.id, "logged out", first.at, &audit);
    ended.await.expect("an answer");
    assert!(has_ended(&fixture, &first).await && has_ended(&fixture, &second).await);
    assert!(!has_ended(&fixture, &other).await);
    let told = fixture
        .users
        .audit(account.user.id, PageRequest::default())
        .await
        .expect("an answer");
    assert_eq!(told.items, [entry]);
}

/// Whoever keeps revocations in memory learns of each: ended sessions, reuse included, and users
/// whose older tokens do not count.
pub async fn what_was_revoked_of_late_is_told(fixture: Fixture) {
    let (account, first) = begun(&fixture).await;
    let second = session(&account.user);
    fixture.sessions.start(&second).await.expect("a start");
    let (_, living) = begun(&fixture).await;
    let context = RequestContext::generate();
    let at = SystemClock.now();
    let since = at - SignedDuration::from_secs(1);
    let told = async |since| {
        fixture
            .sessions
            .revoked_since(since)
            .await
            .expect("an answer")
    };
    assert_eq!(told(since).await, Revoked::default());

    let ended = fixture.sessions.end(first.id, "logged out", at, &[]).await;
    ended.expect("an answer");
    let use_it = rotation(&second, &second.refresh, 2, 0);
    assert_eq!(rotate(&fixture, &use_it).await, Ok(()));
    let again = rotation(&second, &second.refresh, 3, 0);
    assert_eq!(rotate(&fixture, &again).await, Err(Refusal::Reused));
    let mut found = told(since).await;
    found.sessions.sort_by_key(|(_, at)| *at);
    assert_eq!(found.sessions, [(first.id, at), (second.id, again.at)]);
    assert_eq!(found.users, []);

    let doing = Doing::by(&account.user.caller(), at, &context);
    let change = account
        .user
        .with_password(PasswordHash("x".into()), None, &doing);
    fixture.users.commit(&change).await.expect("a commit");
    assert_eq!(told(since).await.users, [(account.user.id, at)]);
    let later = at + SignedDuration::from_secs(1);
    let ended = fixture
        .sessions
        .end_all(living.user_id, "everywhere", later, &[])
        .await;
    ended.expect("an answer");
    assert_eq!(told(later).await.users, [(living.user_id, later)]);
    let long_after = at + SignedDuration::from_secs(60);
    assert_eq!(told(long_after).await, Revoked::default());
}

/// For a change of password, the hash is found by id.
pub async fn an_account_is_found_with_its_hash(fixture: Fixture) {
    let account = registered(&fixture).await;
    let found = fixture.users.account(account.user.id).await;
    assert_eq!(found.expect("an answer"), Some(account));
    let unknown = fixture.users.account(UserId::generate()).await;
    assert_eq!(unknown.expect("an answer"), None);
}

fn changed(user: &User, patch: &Patch) -> UserChange {
    let context = RequestContext::generate();
    let doing = Doing::by(&user.caller(), SystemClock.now(), &context);
    user.patch(patch, &doing).expect("a change")
}

fn renamed(user: &User, name: &str) -> UserChange {
    let patch = Patch {
        first_name: Some(PersonName::trusted(name.into())),
        ..Patch::default()
    };
    changed(user, &patch)
}

/// Round trip of everything that can change, and what is told of it, newest first.
pub async fn a_change_is_found_whole_with_its_audit(fixture: Fixture) {
    let account = registered(&fixture).await;
    let users = &fixture.users;
    let all = Patch {
        first_name: Some(PersonName::trusted("Joan".into())),
        last_name: Some(PersonName::trusted("Roe".into())),
        phone: Some(None),
        role: Some(UserRole::Admin),
        is_active: Some(false),
    };
    let first = changed(&account.user, &all);
    users.commit(&first).await.expect("a commit");
    let found = users.account(account.user.id).await.expect("an answer");
    let found = found.expect("an account");
    assert_eq!(found.user, first.user);
    assert_eq!(found.password_hash, account.password_hash);

    let context = RequestContext::generate();
    let doing = Doing::by(&first.user.caller(), SystemClock.now(), &context);
    let hash = PasswordHash("another".into());
    let second = first.user.with_password(hash.clone(), None, &doing);
    users.commit(&second).await.expect("a commit");
    let found = users.account(account.user.id).await.expect("an answer");
    let found = found.expect("an account");
    assert_eq!((found.user, found.password_hash), (second.user, hash));

    let told = users.audit(account.user.id, PageRequest::default()).await;
    let told = told.expect("an answer");
    let wanted: Vec<_> = first
        .audit
        .iter()
        .chain(&second.audit)
        .rev()
        .cloned()
        .collect();
    assert_eq!((told.items, told.total), (wanted, 4));
}

/// The guard: a change that began from what is no longer so is refused whole.
pub async fn a_stale_change_is_a_conflict_and_writes_nothing(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let first = renamed(&account.user, "Joan");
    fixture.users.commit(&first).await.expect("a commit");
    let context = RequestContext::generate();
    let doing = Doing::by(&account.user.caller(), SystemClock.now(), &context);
    let hash = PasswordHash("another".into());
    let stale = account.user.with_password(hash, None, &doing);
    let refused = fixture.users.commit(&stale).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let found = fixture.users.account(account.user.id).await;
    let found = found.expect("an answer").expect("an account");
    assert_eq!(found.user, first.user);
    assert_eq!(found.password_hash, account.password_hash);
    assert!(!has_ended(&fixture, &session).await);
    let told = fixture.users.audit(account.user.id, PageRequest::default());
    assert_eq!(told.await.expect("an answer").total, 1);

    let mut unknown = renamed(&account.user, "Joan");
    unknown.user.id = UserId::generate();
    let refused = fixture.users.commit(&unknown).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
}

/// Of many who change an account at once, exactly one does.
pub async fn of_twenty_racing_changes_one_wins(fixture: Fixture) {
    let account = registered(&fixture).await;
    let changes: Vec<_> = (0..20)
        .map(|n| renamed(&account.user, &format!("Jane {n}")))
        .collect();
    let outcomes = join_all(changes.iter().map(|change| fixture.users.commit(change))).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "{outcomes:?}");
}

/// Another password logs out all but the one who changed it.
pub async fn a_change_ends_all_sessions_but_the_one_it_keeps(fixture: Fixture) {
    let (account, kept) = begun(&fixture).await;
    let other = session(&account.user);
    fixture.sessions.start(&other).await.expect("a start");
    let context = RequestContext::generate();
    let doing = Doing::by(&account.user.caller(), SystemClock.now(), &context);
    let hash = PasswordHash("another".into());
    let change = account.user.with_password(hash, Some(kept.id), &doing);
    fixture.users.commit(&change).await.expect("a commit");
    assert!(!has_ended(&fixture, &kept).await);
    assert!(has_ended(&fixture, &other).await);
    let state = fixture.sessions.access(kept.id).await.expect("an answer");
    let state = state.expect("a session");
    assert_eq!(state.user.tokens_from, change.user.tokens_from);
}

/// Who refreshes after a change was begun and before it is stored is given a token by the old role.
pub async fn a_change_ends_what_was_issued_while_it_was_under_way(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let change = changed(&account.user, &promotion());
    let begun_at = change.user.tokens_from.expect("it ends tokens");
    let mut late = rotation(&session, &session.refresh, 0, 0);
    late.next.issued_at = begun_at + SignedDuration::from_millis(300);
    rotate(&fixture, &late).await.expect("a pair");
    fixture.users.commit(&change).await.expect("a commit");
    let told = fixture.sessions.revoked_since(begun_at).await;
    let told = told.expect("an answer").users;
    let own = told.iter().find(|(user, _)| *user == account.user.id);
    assert_eq!(own.map(|(_, from)| *from), Some(late.next.issued_at));
}

/// A token that was issued far in the future was issued by a wrong clock.
pub async fn a_clock_that_is_fast_ends_no_tokens_to_come(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let change = changed(&account.user, &promotion());
    let begun_at = change.user.tokens_from.expect("it ends tokens");
    let mut fast = rotation(&session, &session.refresh, 0, 0);
    fast.next.issued_at = begun_at + SignedDuration::from_mins(5);
    rotate(&fixture, &fast).await.expect("a pair");
    fixture.users.commit(&change).await.expect("a commit");
    let state = fixture.sessions.access(session.id).await;
    let state = state.expect("an answer").expect("a session");
    assert_eq!(state.user.tokens_from, Some(begun_at));
}

fn promotion() -> Patch {
    Patch {
        role: Some(UserRole::Admin),
        ..Patch::default()
    }
}

/// An account and what is told of its making are one transaction.
pub async fn an_account_is_made_together_with_its_audit(fixture: Fixture) {
    let account = account();
    let context = RequestContext::generate();
    let doing = Doing::by(&account.user.caller(), account.user.created_at, &context);
    let entry = doing.entry(account.user.id, "created");
    let audit = [entry.clone()];
    let made = fixture.users.insert(&account, &audit, None).await;
    made.expect("an insert");
    let again = fixture.users.insert(&account, &audit, None).await;
    assert!(again.is_err());
    let told = fixture.users.audit(account.user.id, PageRequest::default());
    assert_eq!(told.await.expect("an answer").items, [entry]);
}

/// Not everything that is written down changes an account.
pub async fn an_entry_to_which_no_change_belongs_is_told_too(fixture: Fixture) {
    let (account, other) = (registered(&fixture).await, registered(&fixture).await);
    let context = RequestContext::generate();
    let doing = Doing::anonymous(SystemClock.now(), &context);
    let entry = doing.entry(account.user.id, "login_slowed");
    let logged = fixture.users.log(&entry).await;
    logged.expect("an entry");
    let told = async |user: &User| {
        let told = fixture.users.audit(user.id, PageRequest::default());
        told.await.expect("an answer").items
    };
    assert_eq!(told(&account.user).await, [entry]);
    assert_eq!(told(&other.user).await, []);
    let found = fixture.users.find(account.user.id).await;
    assert_eq!(found.expect("an answer"), Some(account.user));
}

/// Each part of the filter counts.
pub async fn a_list_of_users_holds_only_what_passes_the_filter(fixture: Fixture) {
    let account = registered(&fixture).await;
    registered(&fixture).await;
    let email = Some(account.user.email.clone());
    let own = UserFilter {
        email,
        ..UserFilter::default()
    };
    for (filter, total) in [
        (own.clone(), 1),
        (
            UserFilter {
                role: Some(UserRole::Customer),
                is_active: Some(true),
                ..own.clone()
            },
            1,
        ),
        (
            UserFilter {
                role: Some(UserRole::Admin),
                ..own.clone()
            },
            0,
        ),
        (
            UserFilter {
                is_active: Some(false),
                ..own
            },
            0,
        ),
    ] {
        let page = fixture.users.list(&filter, PageRequest::default()).await;
        let page = page.expect("an answer");
        assert_eq!(page.total, total, "{filter:?}");
        assert_eq!(page.items.len() as u64, total, "{filter:?}");
    }
    let everybody = UserFilter::default();
    let all = fixture.users.list(&everybody, PageRequest::default());
    assert!(all.await.expect("an answer").total >= 2);
}

/// Newest first; each user is on exactly one page.
pub async fn pages_of_users_neither_repeat_nor_skip(fixture: Fixture) {
    for _ in 0..7 {
        registered(&fixture).await;
    }
    let (mut seen, mut page) = (Vec::new(), 1);
    loop {
        let request = PageRequest { page, limit: 3 };
        let found = fixture.users.list(&UserFilter::default(), request).await;
        let found = found.expect("an answer");
        if found.items.is_empty() {
            assert_eq!(found.total as usize, seen.len());
            break;
        }
        seen.extend(
            found
                .items
                .into_iter()
                .map(|user| (user.created_at, user.id)),
        );
        page += 1;
    }
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
}
