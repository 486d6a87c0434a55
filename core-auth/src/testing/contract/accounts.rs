//! Of accounts, their audit and their lists.

use core_kernel::{Clock, PageRequest, RequestContext, SystemClock, UserId};
use futures_util::future::join_all;

use super::{Fixture, registered};
use crate::change::Doing;
use crate::password::PasswordHash;
use crate::ports::{StoreError, UserFilter};
use crate::testing::account;
use crate::user::{Account, Email, User, UserRole};

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

/// Many who look at the same time each get whom they looked for: also the same one twice, and nobody.
pub async fn accounts_looked_for_at_once_are_each_found(fixture: Fixture) {
    let (first, second) = (
        registered(&fixture).await.user,
        registered(&fixture).await.user,
    );
    let nobody = || (UserId::generate(), None);
    let known = |user: &User| (user.id, Some(user.clone()));
    let mut wanted = vec![nobody(), known(&second), known(&first), known(&second)];
    // More than a store may be expected to do in one go.
    wanted.extend((0..100).map(|n| match n % 3 {
        0 => known(&first),
        1 => nobody(),
        _ => known(&second),
    }));
    let found = join_all(wanted.iter().map(|(id, _)| fixture.users.find(*id))).await;
    for (found, (id, user)) in found.into_iter().zip(wanted) {
        assert_eq!(found.expect("an answer"), user, "{id}");
    }
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

/// For a change of password, the hash is found by id.
pub async fn an_account_is_found_with_its_hash(fixture: Fixture) {
    let account = registered(&fixture).await;
    let found = fixture.users.account(account.user.id).await;
    assert_eq!(found.expect("an answer"), Some(account));
    let unknown = fixture.users.account(UserId::generate()).await;
    assert_eq!(unknown.expect("an answer"), None);
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

/// Not every text that can be asked for can be stored.
pub async fn an_address_that_nobody_can_have_is_nobodys(fixture: Fixture) {
    let email = Email::normalized("jane\0@example.com");
    let found = fixture.users.find_by_email(&email).await;
    assert!(found.expect("an answer").is_none());
    let filter = UserFilter {
        email: Some(email),
        ..UserFilter::default()
    };
    let page = fixture.users.list(&filter, PageRequest::default()).await;
    assert_eq!(page.expect("an answer").total, 0);
}
