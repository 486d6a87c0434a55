//! What stores promise of one-time tokens.

use std::sync::Mutex;

use async_trait::async_trait;
use core_kernel::{
    Clock, EventPublisher, OutboxMessage, PageRequest, PublishError, RequestContext, SystemClock,
    TokenId, UserId,
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::account;
use super::contract::{Fixture, begun, has_ended, registered};
use crate::change::{Doing, UserChange};
use crate::one_time::{OneTimeRequest, Purpose};
use crate::password::PasswordHash;
use crate::ports::StoreError;
use crate::token::Keyring;
use crate::user::User;

/// A request at `at`, of this user or of nobody.
///
/// # Panics
/// Never: the secret is long enough.
fn request_at(purpose: Purpose, user: Option<UserId>, at: Timestamp) -> OneTimeRequest {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let keys = Keyring::new(&secret, &[]).expect("a long secret");
    let context = RequestContext::generate();
    let doing = Doing::anonymous(at, &context);
    OneTimeRequest::new(&keys, purpose, user, &doing).expect("JSON")
}

fn request(purpose: Purpose, user: UserId) -> OneTimeRequest {
    request_at(purpose, Some(user), SystemClock.now())
}

async fn stored(fixture: &Fixture, request: &OneTimeRequest) {
    let stored = fixture.one_time.request(request, Timestamp::MAX);
    stored.await.expect("a request");
}

/// Takes all events.
#[derive(Default)]
struct Broker(Mutex<Vec<OutboxMessage>>);

#[async_trait]
impl EventPublisher for Broker {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        let mut taken = self.0.lock().expect("no test panics here");
        taken.extend_from_slice(batch);
        Ok(vec![true; batch.len()])
    }
}

/// The events that wait for this user.
async fn events(fixture: &Fixture, user: UserId) -> Vec<OutboxMessage> {
    let broker = Broker::default();
    loop {
        let report = fixture.outbox.relay(&broker, 100).await.expect("a pass");
        if report.published == 0 {
            break;
        }
    }
    let taken = broker.0.into_inner().expect("no test panics here");
    let own = taken.into_iter().filter(|event| event.subject == user.0);
    own.collect()
}

async fn actions(fixture: &Fixture, user: UserId) -> Vec<String> {
    let told = fixture.users.audit(user, PageRequest::default()).await;
    let told = told.expect("an answer").items.into_iter();
    told.map(|entry| entry.action).collect()
}

fn reset(user: &User, request: &OneTimeRequest, hash: &str) -> UserChange {
    let context = RequestContext::generate();
    let doing = Doing::by(&user.caller(), SystemClock.now(), &context);
    user.with_reset_password(PasswordHash(hash.into()), request.token.hash, &doing)
}

/// Round trip by both keys, with audit and event.
pub async fn a_request_is_found_with_its_audit_and_its_event(fixture: Fixture) {
    let user = registered(&fixture).await.user;
    for purpose in Purpose::ALL {
        let request = request(purpose, user.id);
        stored(&fixture, &request).await;
        let by_id = fixture.one_time.find(request.token.id).await;
        assert_eq!(by_id.expect("an answer").as_ref(), Some(&request.token));
        let by_hash = fixture.one_time.find_by_hash(request.token.hash).await;
        assert_eq!(by_hash.expect("an answer"), Some(request.token));
        fixture.outbox.hurry().await.expect("an answer");
        let waiting = fixture.outbox.waiting(10).await.expect("an answer");
        let waiting: Vec<_> = waiting.iter().map(|event| event.event_id).collect();
        let event = Vec::from_iter(request.event);
        assert_eq!(waiting, [event[0].event_id]);
        let sent = events(&fixture, user.id).await;
        assert_eq!(sent, event);
        let told = fixture.users.audit(user.id, PageRequest::default()).await;
        assert_eq!(
            told.expect("an answer").items.first(),
            request.audit.as_ref()
        );
    }
}

/// Absence is no failure.
pub async fn an_unknown_one_time_token_is_none(fixture: Fixture) {
    let request = request(Purpose::PasswordReset, UserId::generate());
    let by_id = fixture.one_time.find(TokenId::generate()).await;
    assert_eq!(by_id.expect("an answer"), None);
    let by_hash = fixture.one_time.find_by_hash(request.token.hash).await;
    assert_eq!(by_hash.expect("an answer"), None);
}

/// A request for an address without an account is written down all the same.
pub async fn a_request_of_nobody_is_stored(fixture: Fixture) {
    let request = request_at(Purpose::PasswordReset, None, SystemClock.now());
    stored(&fixture, &request).await;
    let found = fixture.one_time.find(request.token.id).await;
    assert_eq!(found.expect("an answer"), Some(request.token));
}

/// Mails cannot be asked for without end; each purpose counts for itself.
pub async fn a_request_too_soon_after_another_is_nobodys(fixture: Fixture) {
    let user = registered(&fixture).await.user;
    let at = SystemClock.now();
    let first = request_at(Purpose::PasswordReset, Some(user.id), at);
    stored(&fixture, &first).await;
    let second = request_at(Purpose::PasswordReset, Some(user.id), at);
    let tick = SignedDuration::from_micros(1);
    let before = at.checked_sub(tick).expect("a time");
    let done = fixture.one_time.request(&second, before).await;
    done.expect("a request");
    let found = fixture.one_time.find(second.token.id).await;
    let found = found.expect("an answer").expect("a token");
    assert_eq!(found.user_id, None);
    assert_eq!(actions(&fixture, user.id).await.len(), 1);
    assert_eq!(events(&fixture, user.id).await.len(), 1);

    let other = request_at(Purpose::EmailVerification, Some(user.id), at);
    let done = fixture.one_time.request(&other, before).await;
    done.expect("a request");
    let third = request_at(Purpose::PasswordReset, Some(user.id), at);
    let done = fixture.one_time.request(&third, at).await;
    done.expect("a request");
    assert_eq!(events(&fixture, user.id).await.len(), 2);
}

/// The change that a token is for is one transaction with the token's end.
pub async fn a_change_by_a_token_is_found_whole(fixture: Fixture) {
    let (account, session) = begun(&fixture).await;
    let request = request(Purpose::PasswordReset, account.user.id);
    stored(&fixture, &request).await;
    let change = reset(&account.user, &request, "another");
    fixture.users.commit(&change).await.expect("a commit");
    let found = fixture.users.account(account.user.id).await;
    let found = found.expect("an answer").expect("an account");
    assert_eq!(found.user, change.user);
    assert_eq!(found.password_hash, PasswordHash("another".into()));
    assert!(has_ended(&fixture, &session).await);
    let token = fixture.one_time.find(request.token.id).await;
    let token = token.expect("an answer").expect("a token");
    assert_eq!(token.used_at, Some(change.user.updated_at));
}

/// A token works once, however close the race.
pub async fn of_twenty_racing_uses_of_a_token_one_wins(fixture: Fixture) {
    let user = registered(&fixture).await.user;
    let request = request(Purpose::PasswordReset, user.id);
    stored(&fixture, &request).await;
    let changes: Vec<_> = (0..20)
        .map(|n| reset(&user, &request, &format!("hash {n}")))
        .collect();
    let outcomes = join_all(changes.iter().map(|change| fixture.users.commit(change))).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "{outcomes:?}");
}

/// Not even on the user as they are after it was used.
pub async fn a_used_token_is_a_conflict_and_changes_nothing(fixture: Fixture) {
    let user = registered(&fixture).await.user;
    let request = request(Purpose::PasswordReset, user.id);
    stored(&fixture, &request).await;
    let first = reset(&user, &request, "first");
    fixture.users.commit(&first).await.expect("a commit");
    let again = reset(&first.user, &request, "second");
    let refused = fixture.users.commit(&again).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    let found = fixture.users.account(user.id).await.expect("an answer");
    let found = found.expect("an account");
    assert_eq!(found.password_hash, PasswordHash("first".into()));
}

/// Who sets a password ends every other link to set one, and nothing else.
pub async fn a_new_password_ends_the_tokens_for_setting_one(fixture: Fixture) {
    let user = registered(&fixture).await.user;
    let other = registered(&fixture).await.user;
    let own = request(Purpose::PasswordReset, user.id);
    let verification = request(Purpose::EmailVerification, user.id);
    let others = request(Purpose::PasswordReset, other.id);
    for request in [&own, &verification, &others] {
        stored(&fixture, request).await;
    }
    let context = RequestContext::generate();
    let doing = Doing::by(&user.caller(), SystemClock.now(), &context);
    let change = user.with_password(PasswordHash("another".into()), None, &doing);
    fixture.users.commit(&change).await.expect("a commit");
    for (request, ended) in [(own, true), (verification, false), (others, false)] {
        let token = fixture.one_time.find(request.token.id).await;
        let token = token.expect("an answer").expect("a token");
        assert_eq!(token.used_at.is_some(), ended, "{token:?}");
    }
}

/// An account is there together with the request that its address be verified, or not at all.
pub async fn an_account_is_made_together_with_its_verification(fixture: Fixture) {
    let mut account = account();
    account.user.email_verified_at = None;
    let own = request(Purpose::EmailVerification, account.user.id);
    let made = fixture.users.insert(&account, &[], Some(&own)).await;
    made.expect("an insert");
    assert_eq!(events(&fixture, account.user.id).await.len(), 1);
    let found = fixture.users.find(account.user.id).await;
    assert_eq!(found.expect("an answer"), Some(account.user.clone()));

    let mut rival = super::account();
    rival.user.email = account.user.email;
    let rivals = request(Purpose::EmailVerification, rival.user.id);
    let refused = fixture.users.insert(&rival, &[], Some(&rivals)).await;
    assert!(matches!(refused, Err(StoreError::EmailTaken)));
    let token = fixture.one_time.find(rivals.token.id).await;
    assert_eq!(token.expect("an answer"), None);
}

/// Only what has expired is forgotten, and only so much at once.
pub async fn expired_tokens_are_forgotten_in_batches(fixture: Fixture) {
    let user = registered(&fixture).await.user;
    let now = SystemClock.now();
    let old = now.checked_sub(SignedDuration::from_hours(48));
    let old = old.expect("a time");
    for _ in 0..3 {
        let purpose = Purpose::PasswordReset;
        stored(&fixture, &request_at(purpose, Some(user.id), old)).await;
    }
    let young = request(Purpose::PasswordReset, user.id);
    stored(&fixture, &young).await;
    let mut batches = Vec::new();
    for _ in 0..3 {
        let forgotten = fixture.one_time.prune(now, 2).await;
        batches.push(forgotten.expect("an answer"));
    }
    assert_eq!(batches, [2, 1, 0]);
    let found = fixture.one_time.find(young.token.id).await;
    assert_eq!(found.expect("an answer"), Some(young.token));
}
