//! That instances are told of what the others revoke, and of nothing else.

use std::future::Future;
use std::time::Duration;

use core_auth::testing::{account, refresh_token, session};
use core_auth::{
    Account, Doing, NewSession, PasswordHash, Patch, Rotation, RotationOutcome, SessionStore,
    UserRole, UserStore,
};
use core_kernel::{BoxError, Clock, RequestContext, SystemClock};
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

/// Far longer than a notification takes; nothing here polls.
const SOON: Duration = Duration::from_secs(30);

struct Trial {
    pool: PgPool,
    users: PgUserStore,
    sessions: PgSessionStore,
    told: mpsc::UnboundedReceiver<()>,
    listening: JoinHandle<BoxError>,
}

/// Somebody listens, on a pool of its own.
async fn trial() -> Trial {
    let url = shopflow_testkit::postgres().await.database().await;
    let (pool, others) = (
        pool(&url, 5, "test").unwrap(),
        pool(&url, 1, "news").unwrap(),
    );
    migrate(&pool, Schema::Auth).await.unwrap();
    let (sender, told) = mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        shopflow_postgres::listen(&others, || sender.send(()).unwrap()).await
    });
    let mut trial = Trial {
        users: PgUserStore::new(pool.clone()),
        sessions: PgSessionStore::new(pool.clone()),
        pool,
        told,
        listening,
    };
    soon(trial.told.recv()).await.expect("it listens");
    trial
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("in time")
}

impl Trial {
    async fn begun(&self) -> (Account, NewSession) {
        let account = account();
        self.users.insert(&account, &[], None).await.unwrap();
        let session = session(&account.user);
        self.sessions.start(&session).await.unwrap();
        (account, session)
    }

    async fn rotate(&self, session: &NewSession) -> RotationOutcome {
        let at = session.at + SignedDuration::from_secs(1);
        let rotation = Rotation {
            session_id: session.id,
            presented: session.refresh.hash,
            next: refresh_token(at),
            at,
            grace: SignedDuration::ZERO,
        };
        self.sessions.rotate(&rotation).await.unwrap()
    }

    async fn patch(&self, account: &Account, patch: &Patch) {
        let context = RequestContext::generate();
        let doing = Doing::by(&account.user.caller(), SystemClock.now(), &context);
        let change = account.user.patch(patch, &doing).unwrap();
        self.users.commit(&change).await.unwrap();
    }

    /// Asserts that something has been told, and only once.
    async fn assert_told(&mut self, what: &str) {
        soon(self.told.recv()).await.expect(what);
        assert!(self.told.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn whatever_ends_sessions_or_tokens_is_told_without_a_poll() {
    let mut trial = trial().await;
    let (_, one) = trial.begun().await;
    trial
        .sessions
        .end(one.id, "logged out", one.at, &[])
        .await
        .unwrap();
    trial.assert_told("a logout").await;

    let (_, one) = trial.begun().await;
    let everywhere = trial
        .sessions
        .end_all(one.user_id, "everywhere", one.at, &[]);
    everywhere.await.unwrap();
    trial.assert_told("a logout everywhere").await;

    let (_, one) = trial.begun().await;
    assert!(matches!(
        trial.rotate(&one).await,
        RotationOutcome::Rotated(_)
    ));
    assert!(matches!(
        trial.rotate(&one).await,
        RotationOutcome::Refused(_)
    ));
    trial.assert_told("a refresh token used again").await;

    let (jane, _) = trial.begun().await;
    let role = Patch {
        role: Some(UserRole::Admin),
        ..Patch::default()
    };
    trial.patch(&jane, &role).await;
    trial.assert_told("another role").await;

    let (jane, _) = trial.begun().await;
    let gone = Patch {
        is_active: Some(false),
        ..Patch::default()
    };
    trial.patch(&jane, &gone).await;
    trial.assert_told("a deactivation").await;

    let (jane, _) = trial.begun().await;
    let context = RequestContext::generate();
    let doing = Doing::by(&jane.user.caller(), SystemClock.now(), &context);
    let hash = PasswordHash("another".into());
    let change = jane.user.with_password(hash, None, &doing);
    trial.users.commit(&change).await.unwrap();
    trial.assert_told("another password").await;
}

#[tokio::test]
async fn logins_refreshes_and_other_changes_are_not_told() {
    let mut trial = trial().await;
    let (jane, one) = trial.begun().await;
    assert!(matches!(
        trial.rotate(&one).await,
        RotationOutcome::Rotated(_)
    ));
    let name = Patch {
        phone: Some(None),
        ..Patch::default()
    };
    trial.patch(&jane, &name).await;
    let (old, new) = (&jane.password_hash, PasswordHash("renewed".into()));
    trial
        .users
        .replace_hash(jane.user.id, old, &new)
        .await
        .unwrap();
    // Notifications come in the order of the commits, so this one would be the second.
    trial
        .sessions
        .end(one.id, "logged out", one.at, &[])
        .await
        .unwrap();
    trial.assert_told("only the logout").await;
}

#[tokio::test]
async fn what_is_seen_when_it_is_told_is_committed() {
    let mut trial = trial().await;
    let (_, one) = trial.begun().await;
    trial
        .sessions
        .end(one.id, "logged out", one.at, &[])
        .await
        .unwrap();
    soon(trial.told.recv()).await.unwrap();
    let found = trial.sessions.revoked_since(one.at).await.unwrap();
    assert_eq!(found.sessions, [(one.id, one.at)]);
}

#[tokio::test]
async fn the_loss_of_the_connection_is_told_to_whoever_listens() {
    let trial = trial().await;
    let ended = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'news'",
    );
    ended.execute(&trial.pool).await.unwrap();
    soon(trial.listening).await.unwrap();
}
