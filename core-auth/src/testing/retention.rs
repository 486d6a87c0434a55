//! What every purge of accounts promises, one function a promise. Run all of them on an adapter with
//! [`user_purge_contract!`](crate::user_purge_contract).

use std::sync::Arc;

use core_kernel::{Clock, PageRequest, RequestContext, SystemClock, UserId};
use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};

use super::{account, session};
use crate::change::{Doing, Patch};
use crate::ports::{SessionStore, StoreError, UserStore};
use crate::retention::UserPurge;
use crate::user::User;

/// The purge under test, and the stores of the same accounts.
#[derive(Clone)]
pub struct Fixture {
    /// The purge.
    pub purge: Arc<dyn UserPurge>,
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Their sessions.
    pub sessions: Arc<dyn SessionStore>,
}

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! user_purge_contract {
    ($fixture:path) => {
        $crate::user_purge_contract!(@tests $fixture,
            an_account_goes_once_it_was_deactivated_long_enough,
            an_active_account_stays_however_old,
            a_reactivation_keeps_the_account_and_a_deactivation_counts_anew,
            a_change_after_the_deactivation_does_not_put_the_purge_off,
            sessions_go_and_the_audit_stays_and_tells_of_the_purge,
            a_purged_address_is_free_again,
            no_more_are_purged_at_once_than_asked_for,
            the_purged_are_told_in_order_and_in_pages,
            a_reactivation_that_races_the_purge_wins_or_finds_nobody,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::retention::$promise($fixture().await).await;
        }
    )+};
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn doing(context: &RequestContext, at: Timestamp) -> Doing<'_> {
    Doing {
        actor_id: "cli:ada".to_owned(),
        actor_role: "operator",
        at,
        context,
    }
}

impl Fixture {
    async fn user(&self) -> User {
        let account = account();
        self.users
            .insert(&account, &[], None)
            .await
            .expect("an insert");
        account.user
    }

    /// Changes a user at a time of its own, which is later than now if need be.
    async fn patch(&self, user: &User, patch: Patch, at: Timestamp) -> Result<User, StoreError> {
        let context = RequestContext::generate();
        let change = user.patch(&patch, &doing(&context, at));
        let change = change.expect("a change");
        self.users.commit(&change).await.map(|()| change.user)
    }

    async fn activate(&self, user: &User, is_active: bool, at: Timestamp) -> User {
        let patch = Patch {
            is_active: Some(is_active),
            ..Patch::default()
        };
        self.patch(user, patch, at).await.expect("a change")
    }

    async fn deactivated(&self) -> User {
        let user = self.user().await;
        let at = user.updated_at + SECOND;
        self.activate(&user, false, at).await
    }

    async fn purge(&self, before: Timestamp) -> u64 {
        let context = RequestContext::generate();
        let doing = doing(&context, SystemClock.now());
        let purged = self.purge.purge(before, 100, &doing).await;
        purged.expect("an answer")
    }

    async fn is_there(&self, user: &User) -> bool {
        self.users.find(user.id).await.expect("an answer").is_some()
    }
}

/// From the time of the deactivation on, which is included.
pub async fn an_account_goes_once_it_was_deactivated_long_enough(fixture: Fixture) {
    let user = fixture.deactivated().await;
    let at = user.updated_at;
    let early = at - SignedDuration::from_micros(1);
    assert_eq!(fixture.purge.due(early).await.expect("a count"), 0);
    assert_eq!(fixture.purge(early).await, 0);
    assert!(fixture.is_there(&user).await);
    assert_eq!(fixture.purge.due(at).await.expect("a count"), 1);
    assert_eq!(fixture.purge(at).await, 1);
    assert!(!fixture.is_there(&user).await);
    assert_eq!(fixture.purge(at).await, 0);
}

/// Age alone is no reason.
pub async fn an_active_account_stays_however_old(fixture: Fixture) {
    let user = fixture.user().await;
    let later = user.updated_at + SignedDuration::from_hours(24 * 3650);
    assert_eq!(fixture.purge.due(later).await.expect("a count"), 0);
    assert_eq!(fixture.purge(later).await, 0);
    assert!(fixture.is_there(&user).await);
}

/// The first deactivation is forgotten.
pub async fn a_reactivation_keeps_the_account_and_a_deactivation_counts_anew(fixture: Fixture) {
    let first = fixture.deactivated().await;
    let again = fixture
        .activate(&first, true, first.updated_at + SECOND)
        .await;
    let later = first.updated_at + SignedDuration::from_hours(24 * 3650);
    assert_eq!(fixture.purge(later).await, 0);
    let second = fixture
        .activate(&again, false, again.updated_at + SECOND)
        .await;
    assert_eq!(fixture.purge(first.updated_at).await, 0);
    assert!(fixture.is_there(&second).await);
    assert_eq!(fixture.purge(second.updated_at).await, 1);
}

/// Only an activation does.
pub async fn a_change_after_the_deactivation_does_not_put_the_purge_off(fixture: Fixture) {
    let user = fixture.deactivated().await;
    let patch = Patch {
        phone: Some(None),
        ..Patch::default()
    };
    let changed = fixture.patch(&user, patch, user.updated_at + SECOND).await;
    changed.expect("a change");
    assert_eq!(fixture.purge(user.updated_at).await, 1);
}

/// The audit holds no personal data.
pub async fn sessions_go_and_the_audit_stays_and_tells_of_the_purge(fixture: Fixture) {
    let user = fixture.user().await;
    let session = session(&user);
    fixture.sessions.start(&session).await.expect("a start");
    let user = fixture
        .activate(&user, false, user.updated_at + SECOND)
        .await;
    assert_eq!(fixture.purge(user.updated_at).await, 1);
    let access = fixture.sessions.access(session.id).await;
    assert_eq!(access.expect("an answer"), None);
    let audit = fixture.users.audit(user.id, PageRequest::default()).await;
    let audit = audit.expect("an audit").items;
    let actions: Vec<_> = audit.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["purged", "deactivated"]);
    assert_eq!(audit[0].actor_id, "cli:ada");
    assert_eq!(audit[0].actor_role, "operator");
}

/// For somebody else, or for the same person again.
pub async fn a_purged_address_is_free_again(fixture: Fixture) {
    let user = fixture.deactivated().await;
    fixture.purge(user.updated_at).await;
    let mut again = account();
    again.user.email = user.email;
    let made = fixture.users.insert(&again, &[], None).await;
    made.expect("an insert");
}

/// So that no transaction is long.
pub async fn no_more_are_purged_at_once_than_asked_for(fixture: Fixture) {
    let mut last = Timestamp::MIN;
    for _ in 0..3 {
        last = last.max(fixture.deactivated().await.updated_at);
    }
    let context = RequestContext::generate();
    let doing = doing(&context, SystemClock.now());
    for expected in [2, 1, 0] {
        let purged = fixture.purge.purge(last, 2, &doing).await;
        assert_eq!(purged.expect("an answer"), expected);
    }
}

/// Each once, whatever the size of a page.
pub async fn the_purged_are_told_in_order_and_in_pages(fixture: Fixture) {
    let mut gone: Vec<UserId> = Vec::new();
    for _ in 0..3 {
        let user = fixture.deactivated().await;
        assert_eq!(fixture.purge(user.updated_at).await, 1);
        gone.push(user.id);
    }
    let first = fixture.purge.purged(0, 2).await.expect("a page");
    let after = first.last().expect("two").position;
    let second = fixture.purge.purged(after, 2).await.expect("a page");
    assert_eq!((first.len(), second.len()), (2, 1));
    let told: Vec<_> = first.iter().chain(&second).map(|one| one.user_id).collect();
    assert_eq!(told, gone);
    let after = second.last().expect("one").position;
    assert_eq!(fixture.purge.purged(after, 2).await.expect("a page"), []);
}

/// Whichever comes first; nobody is active and gone.
pub async fn a_reactivation_that_races_the_purge_wins_or_finds_nobody(fixture: Fixture) {
    for _ in 0..10 {
        let user = fixture.deactivated().await;
        let patch = Patch {
            is_active: Some(true),
            ..Patch::default()
        };
        let at = user.updated_at + SECOND;
        let (purged, activated) = join(
            fixture.purge(user.updated_at),
            fixture.patch(&user, patch, at),
        )
        .await;
        let there = fixture.is_there(&user).await;
        match activated {
            Ok(_) => assert_eq!((purged, there), (0, true)),
            Err(StoreError::Conflict) => assert_eq!((purged, there), (1, false)),
            Err(error) => panic!("{error:?}"),
        }
    }
}
