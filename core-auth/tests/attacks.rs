//! What a stranger could learn from the work that is done: counted in hashes, not in time.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use core_auth::testing::{account, mailbox};
use core_auth::{
    Account, Accounts, Auth, AuthSettings, Email, HashError, Keyring, Keys, LoginError,
    MockOneTimeStore, MockSessionStore, MockUserStore, Password, PasswordHash, PasswordHasher,
    PersonName, RegisterError, Registration, StoreError, Verdict,
};
use core_kernel::{RequestContext, SystemClock};
use secrecy::SecretString;

/// Finds every password wrong, and counts how often it was asked.
#[derive(Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl PasswordHasher for Counting {
    async fn hash(&self, _: Password) -> Result<PasswordHash, HashError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(PasswordHash("hash".into()))
    }

    async fn verify(&self, _: Password, _: Option<PasswordHash>) -> Result<Verdict, HashError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Verdict::Wrong)
    }
}

fn auth(users: MockUserStore) -> (Auth, Arc<Counting>) {
    let hasher = Arc::new(Counting::default());
    let accounts = Accounts::new(Arc::new(users), hasher.clone(), Arc::new(SystemClock));
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let keys = Keys::new(Keyring::new(&secret, &[]).unwrap());
    let sessions = Arc::new(MockSessionStore::new());
    let settings = AuthSettings::default();
    let mailbox = mailbox(MockOneTimeStore::new());
    let auth = Auth::new(accounts, sessions, mailbox, keys, Arc::default(), settings);
    (auth, hasher)
}

#[tokio::test]
async fn every_failed_login_looks_once_and_computes_one_hash() {
    let mut deactivated = account();
    deactivated.user.is_active = false;
    let mut foreign = account();
    foreign.password_hash = PasswordHash("$2b$12$of.a.bcrypt.hash".into());
    let cases: [Option<Account>; 4] = [None, Some(account()), Some(deactivated), Some(foreign)];
    for found in cases {
        let mut users = MockUserStore::new();
        let told = format!("{found:?}");
        users
            .expect_find_by_email()
            .times(1)
            .return_once(move |_| Ok(found));
        let (auth, hashes) = auth(users);
        let (email, guess) = (
            Email::normalized("jane@example.com"),
            Password::attempt("x"),
        );
        let answer = auth.login(&email, guess, &RequestContext::generate()).await;
        assert!(
            matches!(answer, Err(LoginError::InvalidCredentials)),
            "{told}"
        );
        assert_eq!(hashes.0.load(Ordering::Relaxed), 1, "{told}");
    }
}

#[tokio::test]
async fn registering_a_taken_email_computes_the_hash_of_a_free_one() {
    for taken in [false, true] {
        let mut users = MockUserStore::new();
        users.expect_insert().times(1).returning(move |_, _, _| {
            if taken {
                Err(StoreError::EmailTaken)
            } else {
                Ok(())
            }
        });
        let (auth, hashes) = auth(users);
        let new = Registration {
            email: Email::normalized("jane@example.com"),
            password: Password::attempt("S3cur3P@ssw0rd!"),
            first_name: PersonName::trusted("Jane".into()),
            last_name: PersonName::trusted("Doe".into()),
            phone: None,
        };
        let answer = auth.register(new, &RequestContext::generate()).await;
        assert_eq!(matches!(answer, Err(RegisterError::EmailTaken)), taken);
        assert_eq!(hashes.0.load(Ordering::Relaxed), 1);
    }
}
