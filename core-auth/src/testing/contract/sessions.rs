//! Of sessions and their refresh tokens.

use core_kernel::{Clock, PageRequest, RequestContext, SessionId, SystemClock};
use futures_util::future::join_all;
use jiff::SignedDuration;

use super::changes::{changed, renamed};
use super::{Fixture, begun, has_ended, registered, rotate, rotation};
use crate::app::SessionSummary;
use crate::change::{Doing, Patch};
use crate::password::PasswordHash;
use crate::ports::StoreError;
use crate::revocation::Revoked;
use crate::session::{Refusal, Rotation, RotationOutcome};
use crate::testing::{refresh_token, session};

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
    let since = first.at - SignedDuration::from_secs(1);
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
    // Which of them ended first depends on how long we took.
    let mut ended = [(first.id, at), (second.id, again.at)];
    for sessions in [&mut found.sessions[..], &mut ended] {
        sessions.sort_by_key(|(_, at)| *at);
    }
    assert_eq!(found.sessions, ended);
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
