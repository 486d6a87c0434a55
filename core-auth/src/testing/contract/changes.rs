//! Of changes of an account, and what they end.

use core_kernel::{Clock, PageRequest, RequestContext, SystemClock, UserId};
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{Fixture, begun, has_ended, registered, rotate, rotation};
use crate::change::{Doing, Patch, UserChange};
use crate::password::PasswordHash;
use crate::ports::StoreError;
use crate::session::RotationOutcome;
use crate::testing::session;
use crate::user::{PersonName, User, UserRole};

pub(super) fn changed(user: &User, patch: &Patch) -> UserChange {
    let context = RequestContext::generate();
    let doing = Doing::by(&user.caller(), SystemClock.now(), &context);
    user.patch(patch, &doing).expect("a change")
}

pub(super) fn renamed(user: &User, name: &str) -> UserChange {
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

/// Who refreshes after a change learns from when on tokens count, and that theirs does.
pub async fn a_refresh_after_a_change_is_told_the_account_as_it_now_is(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let change = changed(&account.user, &promotion());
    fixture.users.commit(&change).await.expect("a commit");
    let next = rotation(&session, &session.refresh, 1, 0);
    let outcome = fixture.sessions.rotate(&next).await.expect("an answer");
    assert_eq!(outcome, RotationOutcome::Rotated(Box::new(change.user)));
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
