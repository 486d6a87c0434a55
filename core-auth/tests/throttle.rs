//! When a login is slowed down, and what the throttle learns of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::Arc;
use std::time::Duration;

use core_auth::testing::{account, mailbox};
use core_auth::{
    Account, AccountKey, Accounts, Auth, AuthSettings, Email, HashError, Identity, Keyring, Keys,
    LoginError, MockAuditQueue, MockLoginThrottle, MockOneTimeStore, MockPasswordHasher,
    MockSessionStore, MockUserStore, Password, PasswordChangeError, Told, TooManyFailures, Turn,
    Verdict,
};
use core_kernel::{Caller, RequestContext, SystemClock};
use secrecy::SecretString;

const EMAIL: &str = "jane@example.com";

/// A service with one account, whose hasher always says the same; no account is slowed down.
fn auth(active: bool, verdict: Result<Verdict, HashError>, throttle: MockLoginThrottle) -> Auth {
    let mut jane = account();
    jane.user.is_active = active;
    // It expects nothing.
    auth_of(jane, verdict, throttle, MockAuditQueue::new())
}

fn auth_of(
    jane: Account,
    verdict: Result<Verdict, HashError>,
    throttle: MockLoginThrottle,
    audit: MockAuditQueue,
) -> Auth {
    let mut users = MockUserStore::new();
    let found = jane.clone();
    users
        .expect_account()
        .returning(move |_| Ok(Some(found.clone())));
    users
        .expect_find_by_email()
        .returning(move |_| Ok(Some(jane.clone())));
    let mut sessions = MockSessionStore::new();
    sessions.expect_start().returning(|_| Ok(()));
    let mut hasher = MockPasswordHasher::new();
    hasher.expect_verify().return_once(|_, _| verdict);
    let accounts = Accounts::new(Arc::new(users), Arc::new(hasher), Arc::new(SystemClock));
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let keys = Keys::new(Keyring::new(&secret, &[]).unwrap());
    Auth::new(
        accounts,
        Arc::new(sessions),
        mailbox(MockOneTimeStore::new()),
        keys,
        Arc::default(),
        AuthSettings::default(),
    )
    .with_throttle(Arc::new(throttle), Arc::new(audit))
}

async fn login(auth: &Auth) -> Result<core_auth::TokenPair, LoginError> {
    login_in(auth, &RequestContext::generate()).await
}

async fn login_in(
    auth: &Auth,
    context: &RequestContext,
) -> Result<core_auth::TokenPair, LoginError> {
    let email = Email::normalized(EMAIL);
    auth.login(&email, Password::attempt("x"), context).await
}

/// A throttle that lets the try begin, and hears that it was `right`.
fn hears(right: bool, told: Result<Told, TooManyFailures>) -> MockLoginThrottle {
    let mut throttle = MockLoginThrottle::new();
    let jane = AccountKey::of(&Email::normalized(EMAIL));
    throttle
        .expect_begin()
        .withf(move |account| *account == jane)
        .times(1)
        .returning(|_| Ok(Turn::Only));
    throttle
        .expect_end()
        .withf(move |account, turn, told| (*account, *turn, *told) == (jane, Turn::Only, right))
        .times(1)
        .returning(move |_, _, _| told);
    throttle
}

const RIGHT: Verdict = Verdict::Right { outdated: false };
const WAIT: TooManyFailures = TooManyFailures(Duration::from_secs(4));

#[tokio::test]
async fn a_slowed_account_costs_no_hash() {
    let mut throttle = MockLoginThrottle::new();
    throttle.expect_begin().returning(|_| Err(WAIT));
    // Neither mock expects anything.
    let (users, hasher) = (MockUserStore::new(), MockPasswordHasher::new());
    let accounts = Accounts::new(Arc::new(users), Arc::new(hasher), Arc::new(SystemClock));
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let keys = Keys::new(Keyring::new(&secret, &[]).unwrap());
    let sessions = Arc::new(MockSessionStore::new());
    let auth = Auth::new(
        accounts,
        sessions,
        mailbox(MockOneTimeStore::new()),
        keys,
        Arc::default(),
        AuthSettings::default(),
    );
    let auth = auth.with_throttle(Arc::new(throttle), Arc::new(MockAuditQueue::new()));
    let answer = login(&auth).await;
    assert!(matches!(answer, Err(LoginError::TooManyFailures(WAIT))));
}

#[tokio::test]
async fn a_wrong_password_is_a_failure_and_a_right_one_a_success() {
    let wrong = auth(true, Ok(Verdict::Wrong), hears(false, Ok(Told::AsBefore)));
    let answer = login(&wrong).await;
    assert!(matches!(answer, Err(LoginError::InvalidCredentials)));
    let right = auth(true, Ok(RIGHT), hears(true, Ok(Told::AsBefore)));
    login(&right).await.unwrap();
    let deactivated = auth(false, Ok(RIGHT), hears(true, Ok(Told::AsBefore)));
    let answer = login(&deactivated).await;
    assert!(matches!(answer, Err(LoginError::Deactivated)));
}

#[tokio::test]
async fn a_right_password_is_not_told_where_the_throttle_forbids_it() {
    let auth = auth(true, Ok(RIGHT), hears(true, Err(WAIT)));
    let answer = login(&auth).await;
    assert!(matches!(answer, Err(LoginError::TooManyFailures(WAIT))));
}

#[tokio::test]
async fn a_try_that_could_not_be_made_is_neither() {
    let mut throttle = MockLoginThrottle::new();
    throttle.expect_begin().returning(|_| Ok(Turn::Free));
    let auth = auth(true, Err(HashError::Busy), throttle);
    let answer = login(&auth).await;
    assert!(matches!(answer, Err(LoginError::Hash(HashError::Busy))));
}

/// A throttle that begins to slow the account down.
fn slows() -> MockLoginThrottle {
    let mut throttle = MockLoginThrottle::new();
    throttle.expect_begin().returning(|_| Ok(Turn::Free));
    throttle.expect_end().returning(|_, _, _| Ok(Told::Slowed));
    throttle
}

#[tokio::test]
async fn an_account_that_is_slowed_down_is_written_down_with_the_request() {
    let (jane, context) = (account(), RequestContext::generate());
    let mut audit = MockAuditQueue::new();
    let (id, request) = (jane.user.id, context.clone());
    audit
        .expect_write_soon()
        .withf(move |entry| {
            (entry.user_id, &*entry.action, &*entry.actor_id) == (id, "login_slowed", "anonymous")
                && entry.actor_role == "anonymous"
                && entry.request_id == request.request_id
                && entry.trace_id == request.trace.trace_id()
        })
        .times(1)
        .return_const(());
    let auth = auth_of(jane, Ok(Verdict::Wrong), slows(), audit);
    let answer = login_in(&auth, &context).await;
    assert!(matches!(answer, Err(LoginError::InvalidCredentials)));
}

#[tokio::test]
async fn an_account_that_is_not_there_is_answered_alike_and_not_written_down() {
    let mut users = MockUserStore::new();
    users.expect_find_by_email().returning(|_| Ok(None));
    let mut hasher = MockPasswordHasher::new();
    hasher
        .expect_verify()
        .times(1)
        .returning(|_, _| Ok(Verdict::Wrong));
    let accounts = Accounts::new(Arc::new(users), Arc::new(hasher), Arc::new(SystemClock));
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let keys = Keys::new(Keyring::new(&secret, &[]).unwrap());
    let sessions = Arc::new(MockSessionStore::new());
    let settings = AuthSettings::default();
    let mailbox = mailbox(MockOneTimeStore::new());
    let auth = Auth::new(accounts, sessions, mailbox, keys, Arc::default(), settings);
    // The queue expects nothing.
    let auth = auth.with_throttle(Arc::new(slows()), Arc::new(MockAuditQueue::new()));
    let answer = login(&auth).await;
    assert!(matches!(answer, Err(LoginError::InvalidCredentials)));
}

#[tokio::test]
async fn who_guesses_the_current_password_is_written_down_as_themselves() {
    let jane = account();
    let id = jane.user.id;
    let mut audit = MockAuditQueue::new();
    audit
        .expect_write_soon()
        .withf(move |entry| entry.user_id == id && entry.actor_id == id.to_string())
        .times(1)
        .return_const(());
    let auth = auth_of(jane, Ok(Verdict::Wrong), slows(), audit);
    let who = Identity {
        caller: Caller::Customer(id),
        email: None,
        session: None,
    };
    let (context, guess) = (RequestContext::generate(), Password::attempt("x"));
    let answer = auth
        .change_password(&who, id, guess.clone(), guess, &context)
        .await;
    assert!(matches!(answer, Err(PasswordChangeError::WrongPassword)));
}
