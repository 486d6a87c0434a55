//! When a login is slowed down, and what the throttle learns of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::Arc;
use std::time::Duration;

use core_auth::testing::{account, mailbox};
use core_auth::{
    AccountKey, Accounts, Auth, AuthSettings, Email, HashError, Keyring, Keys, LoginError,
    MockLoginThrottle, MockOneTimeStore, MockPasswordHasher, MockSessionStore, MockUserStore,
    Password, TooManyFailures, Turn, Verdict,
};
use core_kernel::SystemClock;
use secrecy::SecretString;

const EMAIL: &str = "jane@example.com";

/// A service with one account, whose hasher always says the same.
fn auth(active: bool, verdict: Result<Verdict, HashError>, throttle: MockLoginThrottle) -> Auth {
    let mut users = MockUserStore::new();
    let mut jane = account();
    jane.user.is_active = active;
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
    .with_throttle(Arc::new(throttle))
}

async fn login(auth: &Auth) -> Result<core_auth::TokenPair, LoginError> {
    let email = Email::normalized(EMAIL);
    auth.login(&email, Password::attempt("x")).await
}

/// A throttle that lets the try begin, and hears that it was `right`.
fn hears(right: bool, told: Result<(), TooManyFailures>) -> MockLoginThrottle {
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
    let answer = login(&auth.with_throttle(Arc::new(throttle))).await;
    assert!(matches!(answer, Err(LoginError::TooManyFailures(WAIT))));
}

#[tokio::test]
async fn a_wrong_password_is_a_failure_and_a_right_one_a_success() {
    let wrong = auth(true, Ok(Verdict::Wrong), hears(false, Ok(())));
    let answer = login(&wrong).await;
    assert!(matches!(answer, Err(LoginError::InvalidCredentials)));
    let right = auth(true, Ok(RIGHT), hears(true, Ok(())));
    login(&right).await.unwrap();
    let deactivated = auth(false, Ok(RIGHT), hears(true, Ok(())));
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
