//! One-time tokens: what nobody learns, what is done before what, and what a token is good for.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::{Arc, Mutex};

use core_auth::testing::{account, mailbox};
use core_auth::{
    Account, Accounts, Auth, AuthSettings, Email, Keyring, Keys, LoginError, MockOneTimeStore,
    MockPasswordHasher, MockSessionStore, MockUserStore, OneTimeError, OneTimeRequest,
    OneTimeToken, Password, PasswordHash, Purpose, StoreError, StoredOneTime, TellError, Verdict,
};
use core_kernel::{Caller, RequestContext, SystemClock};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::Value;

fn secret(letter: &str) -> SecretString {
    SecretString::from(letter.repeat(32))
}

#[derive(Default)]
struct Mocks {
    users: MockUserStore,
    sessions: MockSessionStore,
    hasher: MockPasswordHasher,
    tokens: MockOneTimeStore,
    settings: AuthSettings,
}

impl Mocks {
    fn auth(self, keys: &Keys) -> Auth {
        let hasher = Arc::new(self.hasher);
        Auth::new(
            Accounts::new(Arc::new(self.users), hasher, Arc::new(SystemClock)),
            Arc::new(self.sessions),
            mailbox(self.tokens),
            keys.clone(),
            Arc::default(),
            self.settings,
        )
    }
}

fn keys() -> Keys {
    Keys::new(Keyring::new(&secret("a"), &[]).unwrap())
}

fn email() -> Email {
    Email::normalized("jane@example.com")
}

/// What the store is asked to write when `found` owns the address.
async fn asked(purpose: Purpose, found: Option<Account>, keys: &Keys) -> OneTimeRequest {
    let mut mocks = Mocks::default();
    mocks
        .users
        .expect_find_by_email()
        .times(1)
        .returning(move |_| Ok(found.clone()));
    let written = Arc::new(Mutex::new(None));
    let write = written.clone();
    mocks
        .tokens
        .expect_request()
        .times(1)
        .returning(move |request, _| {
            *write.lock().unwrap() = Some(request.clone());
            Ok(())
        });
    let auth = mocks.auth(keys);
    let context = RequestContext::generate();
    match purpose {
        Purpose::PasswordReset => auth.forgot_password(&email(), &context).await,
        Purpose::EmailVerification => auth.resend_verification(&email(), &context).await,
    }
    .unwrap();
    let request = written.lock().unwrap().take();
    request.unwrap()
}

fn unverified() -> Account {
    let mut jane = account();
    jane.user.email_verified_at = None;
    jane
}

#[tokio::test]
async fn an_unknown_address_costs_the_same_read_and_the_same_write() {
    for purpose in Purpose::ALL {
        let request = asked(purpose, None, &keys()).await;
        assert_eq!(request.token.user_id, None);
        assert_eq!((request.audit, request.event), (None, None));
    }
}

#[tokio::test]
async fn no_mail_goes_to_a_deactivated_account() {
    let mut gone = unverified();
    gone.user.is_active = false;
    for purpose in Purpose::ALL {
        let request = asked(purpose, Some(gone.clone()), &keys()).await;
        assert_eq!((request.token.user_id, request.event), (None, None));
    }
}

#[tokio::test]
async fn a_verified_address_is_not_verified_again() {
    let request = asked(Purpose::EmailVerification, Some(account()), &keys()).await;
    assert_eq!((request.token.user_id, request.event), (None, None));
}

#[tokio::test]
async fn an_event_holds_neither_the_token_nor_the_address() {
    let jane = unverified();
    for purpose in Purpose::ALL {
        let keys = keys();
        let request = asked(purpose, Some(jane.clone()), &keys).await;
        let token = keys.current().one_time(request.token.id);
        assert_eq!(token.hash(), request.token.hash);
        let event = request.event.unwrap();
        assert!(!event.payload.contains(token.expose()), "{event:?}");
        assert!(!event.payload.contains("example.com"), "{event:?}");
        assert!(event.payload.contains(&request.token.id.to_string()));
    }
}

#[tokio::test]
async fn an_event_has_the_fields_of_the_golden_one() {
    let fields = |value: &Value| -> Vec<String> {
        let fields = value.as_object().unwrap();
        fields.keys().cloned().collect()
    };
    for (purpose, golden) in [
        (
            Purpose::PasswordReset,
            include_str!("../../tests/contracts/event-password-reset-requested.json"),
        ),
        (
            Purpose::EmailVerification,
            include_str!("../../tests/contracts/event-email-verification-requested.json"),
        ),
    ] {
        let request = asked(purpose, Some(unverified()), &keys()).await;
        let event: Value = serde_json::from_str(&request.event.unwrap().payload).unwrap();
        let golden: Value = serde_json::from_str(golden).unwrap();
        assert_eq!(event["event_type"], golden["event_type"]);
        assert_eq!(fields(&event), fields(&golden));
        assert_eq!(fields(&event["payload"]), fields(&golden["payload"]));
    }
}

/// A reset token of `account` that was asked for `age` ago.
async fn reset_token(account: &Account, keys: &Keys, age: SignedDuration) -> StoredOneTime {
    let request = asked(Purpose::PasswordReset, Some(account.clone()), keys).await;
    StoredOneTime {
        issued_at: request.token.issued_at.checked_sub(age).unwrap(),
        expires_at: request.token.expires_at.checked_sub(age).unwrap(),
        ..request.token
    }
}

async fn reset(stored: Option<StoredOneTime>, mut mocks: Mocks) -> Result<(), OneTimeError> {
    mocks
        .tokens
        .expect_find_by_hash()
        .returning(move |_| Ok(stored.clone()));
    let auth = mocks.auth(&keys());
    let new = Password::parse("An0ther-secret").unwrap();
    let context = RequestContext::generate();
    auth.reset_password(&OneTimeToken::new("x"), new, &context)
        .await
}

#[tokio::test]
async fn a_token_that_does_not_work_costs_no_hash() {
    let (jane, keys) = (account(), keys());
    let fresh = reset_token(&jane, &keys, SignedDuration::ZERO).await;
    let used = StoredOneTime {
        used_at: Some(fresh.issued_at),
        ..fresh.clone()
    };
    let other = StoredOneTime {
        purpose: Purpose::EmailVerification,
        ..fresh
    };
    let expired = reset_token(&jane, &keys, SignedDuration::from_mins(30)).await;
    for stored in [None, Some(used), Some(other), Some(expired)] {
        // Neither the hasher nor the users expect anything.
        let refused = reset(stored, Mocks::default()).await;
        assert!(matches!(refused, Err(OneTimeError::Invalid)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_token_works_to_the_last_of_its_thirty_minutes() {
    let jane = account();
    let age = SignedDuration::from_mins(29);
    let stored = reset_token(&jane, &keys(), age).await;
    let shown = OneTimeToken::new("x").hash();
    let mut mocks = Mocks::default();
    mocks
        .hasher
        .expect_hash()
        .times(1)
        .returning(|_| Ok(PasswordHash("another".into())));
    let user = jane.user.clone();
    mocks
        .users
        .expect_find()
        .returning(move |_| Ok(Some(user.clone())));
    mocks
        .users
        .expect_commit()
        .withf(move |change| {
            let spent = change.spends.and_then(|spending| spending.token);
            let everywhere = change.ends.is_some_and(|ending| ending.except.is_none());
            change.password_hash.is_some() && everywhere && spent == Some(shown)
        })
        .times(1)
        .returning(|_| Ok(()));
    reset(Some(stored), mocks).await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_deactivated_account_does_nothing() {
    let mut gone = account();
    let stored = reset_token(&gone, &keys(), SignedDuration::ZERO).await;
    gone.user.is_active = false;
    let mut mocks = Mocks::default();
    mocks
        .hasher
        .expect_hash()
        .returning(|_| Ok(PasswordHash("another".into())));
    mocks
        .users
        .expect_find()
        .returning(move |_| Ok(Some(gone.user.clone())));
    let refused = reset(Some(stored), mocks).await;
    assert!(matches!(refused, Err(OneTimeError::Invalid)), "{refused:?}");
}

#[tokio::test]
async fn of_two_uses_at_once_the_second_is_told_that_the_token_is_used() {
    let jane = account();
    let fresh = reset_token(&jane, &keys(), SignedDuration::ZERO).await;
    let used = StoredOneTime {
        used_at: Some(fresh.issued_at),
        ..fresh.clone()
    };
    let mut mocks = Mocks::default();
    // Twice unused: before the hash and before the change, which the other one has made meanwhile.
    mocks
        .tokens
        .expect_find_by_hash()
        .times(2)
        .returning(move |_| Ok(Some(fresh.clone())));
    mocks
        .hasher
        .expect_hash()
        .returning(|_| Ok(PasswordHash("another".into())));
    mocks
        .users
        .expect_find()
        .returning(move |_| Ok(Some(jane.user.clone())));
    mocks
        .users
        .expect_commit()
        .times(1)
        .returning(|_| Err(StoreError::Conflict));
    let refused = reset(Some(used), mocks).await;
    assert!(matches!(refused, Err(OneTimeError::Invalid)), "{refused:?}");
}

async fn told(caller: Caller, stored: StoredOneTime, keys: &Keys) -> Result<String, TellError> {
    let mut mocks = Mocks::default();
    let id = stored.id;
    mocks
        .tokens
        .expect_find()
        .returning(move |_| Ok(Some(stored.clone())));
    let token = mocks.auth(keys).one_time_token(&caller, id).await?;
    Ok(token.expose().to_owned())
}

fn notify() -> Caller {
    Caller::Service("notification-service".to_owned())
}

#[tokio::test]
async fn only_services_are_told_a_token() {
    let (jane, keys) = (account(), keys());
    let stored = reset_token(&jane, &keys, SignedDuration::ZERO).await;
    for caller in [Caller::Customer(jane.user.id), Caller::Admin(jane.user.id)] {
        let refused = told(caller, stored.clone(), &keys).await;
        assert!(matches!(refused, Err(TellError::Forbidden)), "{refused:?}");
    }
    let token = told(notify(), stored.clone(), &keys).await.unwrap();
    assert_eq!(OneTimeToken::new(token).hash(), stored.hash);
}

#[tokio::test]
async fn a_token_outlives_a_change_of_the_secret_as_long_as_that_one_verifies() {
    let (jane, keys) = (account(), keys());
    let stored = reset_token(&jane, &keys, SignedDuration::ZERO).await;
    let before = told(notify(), stored.clone(), &keys).await.unwrap();
    keys.replace(Keyring::new(&secret("b"), &[secret("a")]).unwrap());
    let after = told(notify(), stored.clone(), &keys).await.unwrap();
    assert_eq!(before, after);
    keys.replace(Keyring::new(&secret("b"), &[]).unwrap());
    let gone = told(notify(), stored, &keys).await;
    assert!(matches!(gone, Err(TellError::Gone)), "{gone:?}");
}

#[tokio::test]
async fn what_works_no_more_is_not_told() {
    let (jane, keys) = (account(), keys());
    let expired = reset_token(&jane, &keys, SignedDuration::from_mins(30)).await;
    let gone = told(notify(), expired, &keys).await;
    assert!(matches!(gone, Err(TellError::Gone)), "{gone:?}");
    let mut nobodys = reset_token(&jane, &keys, SignedDuration::ZERO).await;
    nobodys.user_id = None;
    let unknown = told(notify(), nobodys, &keys).await;
    assert!(matches!(unknown, Err(TellError::NotFound)), "{unknown:?}");
}

#[tokio::test]
async fn an_unverified_address_keeps_nobody_out_unless_that_is_required() {
    for require_verified_email in [false, true] {
        let mut mocks = Mocks::default();
        mocks.settings.require_verified_email = require_verified_email;
        mocks
            .users
            .expect_find_by_email()
            .returning(|_| Ok(Some(unverified())));
        mocks
            .hasher
            .expect_verify()
            .returning(|_, _| Ok(Verdict::Right { outdated: false }));
        mocks.sessions.expect_start().returning(|_| Ok(()));
        let answer = mocks
            .auth(&keys())
            .login(
                &email(),
                Password::attempt("x"),
                &RequestContext::generate(),
            )
            .await;
        let refused = matches!(answer, Err(LoginError::Unverified));
        assert_eq!(refused, require_verified_email, "{answer:?}");
    }
}
