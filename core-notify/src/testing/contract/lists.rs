//! What lists of notifications promise.

use std::collections::HashSet;

use core_kernel::{Clock, EventId, PageRequest, SystemClock, UserId, UserScope};

use super::super::draft;
use super::{Fixture, job, send};
use crate::notification::{Channel, Status};
use crate::ports::NotificationFilter;

fn filter(scope: UserScope) -> NotificationFilter {
    NotificationFilter {
        scope,
        channel: None,
        order_id: None,
        type_key: None,
        status: None,
    }
}

/// Each part of the filter counts.
pub async fn a_list_holds_only_what_passes_the_filter(store: Fixture) {
    let user = UserId::generate();
    let event = EventId::generate();
    let drafts = [Channel::Email, Channel::Sms].map(|channel| draft(event, user, channel));
    let claims = store.enqueue(&drafts).await.expect("an answer");
    let mail = claims.into_iter().map(job);
    let mail = mail.into_iter().find(|job| job.channel == Channel::Email);
    send(&store, &mail.expect("a mail")).await;
    let own = filter(UserScope::One(user));
    for (filter, total) in [
        (own.clone(), 2),
        (filter(UserScope::One(UserId::generate())), 0),
        (
            NotificationFilter {
                channel: Some(Channel::Sms),
                ..own.clone()
            },
            1,
        ),
        (
            NotificationFilter {
                order_id: drafts[0].order_id,
                ..own.clone()
            },
            1,
        ),
        (
            NotificationFilter {
                type_key: Some("order_created".into()),
                ..own.clone()
            },
            2,
        ),
        (
            NotificationFilter {
                type_key: Some("order_shipped".into()),
                ..own.clone()
            },
            0,
        ),
        (
            NotificationFilter {
                status: Some(Status::Sent),
                ..own.clone()
            },
            1,
        ),
        (
            NotificationFilter {
                status: Some(Status::Failed),
                ..own
            },
            0,
        ),
    ] {
        let page = store
            .list(&filter, PageRequest::default())
            .await
            .expect("an answer");
        assert_eq!(
            (page.total, page.items.len()),
            (total, usize::try_from(total).expect("few")),
            "{filter:?}"
        );
    }
    let all = store
        .list(&filter(UserScope::All), PageRequest::default())
        .await;
    assert!(all.expect("an answer").total >= 2);
}

/// Each notification is on exactly one page.
pub async fn pages_are_newest_first_and_neither_repeat_nor_skip(store: Fixture) {
    let user = UserId::generate();
    for _ in 0..7 {
        let draft = draft(EventId::generate(), user, Channel::Email);
        store.enqueue(&[draft]).await.expect("an answer");
    }
    let filter = filter(UserScope::One(user));
    let mut seen = Vec::new();
    for page in 1..=4 {
        let page = store
            .list(&filter, PageRequest { page, limit: 3 })
            .await
            .expect("an answer");
        assert_eq!(page.total, 7);
        seen.extend(
            page.items
                .into_iter()
                .map(|item| (item.created_at, item.id)),
        );
    }
    assert!(seen.is_sorted_by(|a, b| a.0 >= b.0));
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 7);
}

/// From each notification on, the rest of the list follows; ties break by id. Others' are not met.
pub async fn a_walk_meets_every_notification_once(store: Fixture) {
    let user = UserId::generate();
    let mut at = SystemClock.now();
    for number in 0..7 {
        let mut one = draft(EventId::generate(), user, Channel::Email);
        // Two each were written down at the same time.
        if number % 2 == 0 {
            at = SystemClock.now();
        }
        one.created_at = at;
        let other = draft(EventId::generate(), UserId::generate(), Channel::Email);
        for draft in [one, other] {
            store.enqueue(&[draft]).await.expect("an answer");
        }
    }
    let own = filter(UserScope::One(user));
    let page = store.list(&own, PageRequest::default()).await;
    let list = page.expect("an answer").items;
    assert_eq!(list.len(), 7);
    for (index, one) in list.iter().enumerate() {
        let rest = &list[index + 1..];
        for limit in [1, 3, 100] {
            let slice = store.list_after(&own, one.into(), limit).await;
            let slice = slice.expect("an answer");
            let limit = usize::try_from(limit).expect("a few");
            assert_eq!(slice.items, rest[..limit.min(rest.len())], "{index}");
            assert_eq!(slice.more, rest.len() > limit, "{index}");
        }
    }
    let sms = NotificationFilter {
        channel: Some(Channel::Sms),
        ..own
    };
    let none = store.list_after(&sms, (&list[0]).into(), 10).await;
    assert!(none.expect("an answer").items.is_empty());
}
