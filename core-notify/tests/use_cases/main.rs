//! Delivery on mocked neighbours: what follows from each of their answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod lanes;
mod resends;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use core_kernel::{Caller, NotificationId, RequestContext, SystemClock, UserId};
use core_notify::testing::{contact, created_event, links, order};
use core_notify::{
    Ambiguous, AttemptOutcome, Channel, Claim, Contact, Content, Delivery, EventHandler, FindError,
    Job, Lane, Lanes, MockContactReader, MockEmailSender, MockNotificationStore, MockOrderReader,
    MockSmsSender, MockTokenReader, Notifications, Notifier, Outcome, ReadError, SendError,
    StoreError, Templates,
};

#[derive(Default)]
struct Mocks {
    orders: MockOrderReader,
    contacts: MockContactReader,
    store: MockNotificationStore,
    email: MockEmailSender,
    sms: MockSmsSender,
    tokens: MockTokenReader,
    lanes: Arc<Lanes>,
}

/// A message to somebody whom no other goes to.
fn job(channel: Channel) -> Job {
    let id = NotificationId::generate();
    Job {
        id,
        channel,
        recipient: id.to_string().into(),
        content: Content {
            subject: None,
            body: "body".into(),
            plain: None,
        },
        claim: 1,
        maybe_sent: false,
    }
}

/// Mocks of neighbours that answer, and of a store that hands every draft out to be sent.
fn usual() -> Mocks {
    let mut mocks = Mocks::default();
    mocks.orders.expect_order().returning(|_, _| Ok(order()));
    mocks
        .contacts
        .expect_contact()
        .returning(|_, _| Ok(contact()));
    mocks.store.expect_enqueue().returning(|drafts| {
        Ok(drafts
            .iter()
            .map(|draft| Claim::Send(job(draft.channel)))
            .collect())
    });
    mocks
}

async fn deliver(mocks: Mocks, attempt: u32) -> Outcome {
    deliver_again(mocks, attempt, attempt > 1, attempt == 1).await
}

async fn deliver_again(mocks: Mocks, attempt: u32, again: bool, revive: bool) -> Outcome {
    let body = created_event().to_string();
    let delivery = Delivery {
        body: body.as_bytes(),
        attempt,
        again,
        revive,
    };
    handle(mocks, delivery).await
}

async fn handle(mocks: Mocks, delivery: Delivery<'_>) -> Outcome {
    let notifier = Notifier {
        orders: Arc::new(mocks.orders),
        contacts: Arc::new(mocks.contacts),
        store: Arc::new(mocks.store),
        email: Arc::new(mocks.email),
        sms: Arc::new(mocks.sms),
        tokens: Arc::new(mocks.tokens),
        lanes: mocks.lanes,
        templates: Arc::new(Templates::embedded().unwrap()),
        links: links(),
        clock: Arc::new(SystemClock),
    };
    notifier.handle(delivery, &RequestContext::generate()).await
}

fn retry(seconds: u64, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { after, .. } if *after == Duration::from_secs(seconds))
}

#[tokio::test]
async fn both_channels_are_sent_and_recorded() {
    let mut mocks = usual();
    mocks
        .email
        .expect_send()
        .times(1)
        .returning(|_| Ok("ses-1".into()));
    mocks
        .sms
        .expect_send()
        .times(1)
        .returning(|_| Ok("SM\u{0}1".into()));
    let recorded = mocks.store.expect_mark_sent();
    recorded
        .withf(|job, attempt| {
            let provider_ref = attempt.provider_ref.as_deref().unwrap();
            let sent = attempt.outcome == AttemptOutcome::Sent && attempt.ended_at.is_some();
            sent && attempt.number == job.claim && ["ses-1", "SM 1"].contains(&provider_ref)
        })
        .times(2)
        .returning(|_, _| ());
    assert_eq!(deliver(mocks, 1).await, Outcome::Done);
}

#[tokio::test]
async fn without_a_phone_there_is_one_draft() {
    let mut mocks = usual();
    mocks.contacts = MockContactReader::new();
    mocks.contacts.expect_contact().returning(|_, _| {
        Ok(Contact {
            phone: None,
            ..contact()
        })
    });
    mocks
        .email
        .expect_send()
        .times(1)
        .returning(|_| Ok("ses-1".into()));
    mocks.store.expect_mark_sent().times(1).returning(|_, _| ());
    assert_eq!(deliver(mocks, 1).await, Outcome::Done);
}

#[tokio::test]
async fn a_failed_text_is_tried_again_and_the_mail_stands() {
    for (attempt, seconds) in [(1, 1), (2, 4), (3, 16)] {
        let mut mocks = usual();
        mocks.store.expect_reclaim().returning(|_, _| {
            Ok(vec![
                Claim::Sent(Channel::Email),
                Claim::Send(job(Channel::Sms)),
            ])
        });
        mocks.email.expect_send().returning(|_| Ok("ses-1".into()));
        mocks.store.expect_mark_sent().returning(|_, _| ());
        mocks
            .sms
            .expect_send()
            .times(1)
            .returning(|_| Err(SendError::NotNow("429".into())));
        mocks
            .store
            .expect_release()
            .withf(|_, attempt, _| attempt.unwrap().outcome == AttemptOutcome::NotNow)
            .times(1)
            .returning(|_, _, _| Ok(()));
        let outcome = deliver(mocks, attempt).await;
        assert!(retry(seconds, &outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_last_attempt_marks_what_failed_and_is_dead() {
    let mut mocks = usual();
    let claims = || vec![Claim::Sent(Channel::Email), Claim::Send(job(Channel::Sms))];
    mocks
        .store
        .expect_reclaim()
        .returning(move |_, _| Ok(claims()));
    mocks
        .sms
        .expect_send()
        .returning(|_| Err(SendError::Unknown("reset".into())));
    mocks
        .store
        .expect_mark_failed()
        .times(1)
        .returning(|_, _, _| Ok(()));
    let Outcome::Dead {
        class,
        reason,
        channels,
    } = deliver(mocks, 4).await
    else {
        panic!("not dead")
    };
    assert_eq!((class, channels), ("exhausted", vec![Channel::Sms]));
    assert!(reason.contains("reset"), "{reason}");
}

#[tokio::test]
async fn a_refusal_is_dead_at_once_with_the_providers_reason() {
    let mut mocks = usual();
    mocks
        .email
        .expect_send()
        .returning(|_| Err(SendError::Refused("no such address".into())));
    mocks.sms.expect_send().returning(|_| Ok("SM1".into()));
    mocks.store.expect_mark_sent().times(1).returning(|_, _| ());
    mocks
        .store
        .expect_mark_failed()
        .times(1)
        .returning(|_, _, _| Ok(()));
    let Outcome::Dead {
        class,
        reason,
        channels,
    } = deliver(mocks, 1).await
    else {
        panic!("not dead")
    };
    assert_eq!((class, channels), ("refused", vec![Channel::Email]));
    assert!(reason.contains("no such address"), "{reason}");
}

#[tokio::test]
async fn a_refusal_waits_for_the_other_channels_retries_and_keeps_its_reason() {
    let mut mocks = usual();
    mocks
        .email
        .expect_send()
        .returning(|_| Err(SendError::Refused("no such address".into())));
    mocks
        .sms
        .expect_send()
        .returning(|_| Err(SendError::NotNow("429".into())));
    mocks.store.expect_mark_failed().returning(|_, _, _| Ok(()));
    mocks.store.expect_release().returning(|_, _, _| Ok(()));
    assert!(retry(1, &deliver(mocks, 1).await));

    let mut mocks = usual();
    mocks
        .store
        .expect_reclaim()
        .withf(|_, failed_too| !failed_too)
        .returning(|_, _| {
            let refused = Claim::Failed(Channel::Email, "no such address".into());
            Ok(vec![refused, Claim::Send(job(Channel::Sms))])
        });
    mocks.sms.expect_send().returning(|_| Ok("SM1".into()));
    mocks.store.expect_mark_sent().returning(|_, _| ());
    let Outcome::Dead { class, reason, .. } = deliver(mocks, 2).await else {
        panic!("not dead")
    };
    assert_eq!(class, "refused");
    assert!(reason.contains("no such address"), "{reason}");
}

#[tokio::test]
async fn a_replay_revives_what_had_failed_and_a_redelivery_of_ours_does_not() {
    for revive in [true, false] {
        let mut mocks = usual();
        mocks
            .store
            .expect_reclaim()
            .withf(move |_, failed_too| *failed_too == revive)
            .times(1)
            .returning(|_, _| Ok(vec![Claim::Sent(Channel::Email)]));
        assert_eq!(deliver_again(mocks, 1, true, revive).await, Outcome::Done);
    }
}

#[tokio::test]
async fn a_provider_out_of_order_is_waited_for_and_uses_up_nothing() {
    for attempt in [1, 4] {
        let mut mocks = usual();
        mocks
            .store
            .expect_reclaim()
            .returning(|_, _| Ok(vec![Claim::Send(job(Channel::Email))]));
        mocks
            .email
            .expect_send()
            .returning(|_| Err(SendError::Away("suspended".into())));
        mocks.sms.expect_send().returning(|_| Ok("SM1".into()));
        mocks.store.expect_mark_sent().returning(|_, _| ());
        mocks
            .store
            .expect_release()
            .times(1)
            .returning(|_, _, _| Ok(()));
        let outcome = deliver(mocks, attempt).await;
        assert!(matches!(outcome, Outcome::Wait { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn neighbours_that_are_away_are_waited_for_and_wrong_answers_are_tried_again() {
    let outcome_of = async |error: fn() -> ReadError, attempt| {
        let mut mocks = usual();
        mocks.orders = MockOrderReader::new();
        mocks
            .orders
            .expect_order()
            .returning(move |_, _| Err(error()));
        mocks
            .store
            .expect_reclaim()
            .returning(|_, _| Ok(Vec::new()));
        deliver(mocks, attempt).await
    };
    let away: fn() -> ReadError = || ReadError::Away("the order", "refused".into());
    assert!(matches!(outcome_of(away, 4).await, Outcome::Wait { .. }));
    for error in [
        (|| ReadError::NotFound("the order")) as fn() -> ReadError,
        || ReadError::Broken("the order", "500".into()),
    ] {
        assert!(retry(4, &outcome_of(error, 2).await));
        let dead = outcome_of(error, 4).await;
        assert!(
            matches!(
                dead,
                Outcome::Dead {
                    class: "exhausted",
                    ..
                }
            ),
            "{dead:?}"
        );
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_and_one_that_refuses_uses_up_attempts() {
    let outcome_of = async |error: fn() -> StoreError| {
        let mut mocks = usual();
        mocks.store = MockNotificationStore::new();
        mocks
            .store
            .expect_enqueue()
            .returning(move |_| Err(error()));
        deliver(mocks, 1).await
    };
    let away = outcome_of(|| StoreError::Unavailable("gone".into())).await;
    assert!(matches!(away, Outcome::Wait { .. }), "{away:?}");
    assert!(retry(
        1,
        &outcome_of(|| StoreError::Broken("22001".into())).await
    ));
}

#[tokio::test]
async fn what_another_holds_is_looked_at_again() {
    let mut mocks = usual();
    let held = || vec![Claim::Held(Channel::Email), Claim::Sent(Channel::Sms)];
    mocks
        .store
        .expect_reclaim()
        .returning(move |_, _| Ok(held()));
    assert_eq!(deliver_again(mocks, 1, true, true).await, Outcome::Held);
}

#[tokio::test]
async fn an_unknown_notification_is_not_found() {
    let mut store = MockNotificationStore::new();
    store.expect_find().returning(|_| Ok(None));
    let notifications = Notifications::new(Arc::new(store));
    let caller = Caller::Admin(UserId::generate());
    let found = notifications.get(&caller, NotificationId::generate()).await;
    assert!(matches!(found, Err(FindError::NotFound)));
}
