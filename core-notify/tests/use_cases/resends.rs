//! Sending something once more: what may be, and what becomes of the wish.

use core_kernel::{EventPublisher, OrderId, OutboxMessage, PublishError, SystemClock, Text};
use core_notify::{
    Draft, Event, Mail, Notification, PURGED, ResendError, Resends, Status, Subject, Summary,
    WorkQueue,
};

use super::*;

/// A mail about an order that was sent.
fn sent() -> Notification {
    let at = core_kernel::Clock::now(&SystemClock);
    Notification {
        summary: Summary {
            id: NotificationId::generate(),
            user_id: UserId::generate(),
            order_id: Some(OrderId::generate()),
            channel: Channel::Email,
            type_key: "order_shipped".into(),
            recipient: "jane@example.com".into(),
            subject: Some("Your Order Has Shipped".into()),
            status: Status::Sent,
            sent_at: Some(at),
            created_at: at,
        },
        body: "<p>shipped</p>".into(),
        plain: Some("shipped".into()),
        provider_ref: Some("ses-1".into()),
        error_message: None,
        resent: None,
    }
}

/// Takes events, or does not.
struct Queues {
    answer: fn() -> Result<Vec<bool>, PublishError>,
    taken: std::sync::Mutex<Vec<OutboxMessage>>,
}

#[async_trait::async_trait]
impl EventPublisher for Queues {
    async fn ready(&self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, batch: &[OutboxMessage]) -> Result<Vec<bool>, PublishError> {
        self.taken.lock().unwrap().extend_from_slice(batch);
        (self.answer)()
    }
}

fn resends(
    found: Option<Notification>,
    answer: fn() -> Result<Vec<bool>, PublishError>,
) -> (Resends, Arc<Queues>) {
    let mut store = MockNotificationStore::new();
    store.expect_find().returning(move |_| Ok(found.clone()));
    let queues = Arc::new(Queues {
        answer,
        taken: std::sync::Mutex::default(),
    });
    let resends = Resends {
        store: Arc::new(store),
        queues: queues.clone(),
        clock: Arc::new(SystemClock),
    };
    (resends, queues)
}

async fn refusal(first: Option<Notification>) -> ResendError {
    let (resends, _) = resends(first, || panic!("nothing is asked for"));
    let id = NotificationId::generate();
    resends.sendable(id).await.unwrap_err()
}

#[tokio::test]
async fn only_what_was_sent_and_is_still_whole_can_be_sent_again() {
    assert!(matches!(refusal(None).await, ResendError::NotFound));
    for status in [Status::Queued, Status::Failed] {
        let mut first = sent();
        first.summary.status = status;
        let refused = refusal(Some(first)).await;
        assert!(matches!(refused, ResendError::NotSent(is) if is == status));
    }
    let mut masked = sent();
    masked.summary.recipient = PURGED.into();
    assert!(matches!(refusal(Some(masked)).await, ResendError::Purged));
    let mut token = sent();
    token.summary.type_key = "password_reset".into();
    assert!(matches!(refusal(Some(token)).await, ResendError::HadToken));
}

#[tokio::test]
async fn a_wish_goes_to_the_queue_of_the_first_and_says_who_and_why_and_no_words() {
    let first = sent();
    let (resends, queues) = resends(Some(first.clone()), || Ok(vec![true]));
    let why = Text::parse("she lost it").unwrap();
    let context = RequestContext::generate();
    let asked = resends.ask(&first, "cli:ada", Some(why), &context).await;
    let asked = asked.unwrap();
    let event = queues.taken.lock().unwrap().remove(0);
    let shipped = core_notify::EventKind::OrderShipped;
    assert_eq!(event.routing_key, WorkQueue::of(shipped).name);
    assert_eq!(event.traceparent, context.trace.traceparent());
    for private in ["jane", "shipped</p>"] {
        assert!(!event.payload.contains(private), "{}", event.payload);
    }
    let shape = |event: &str| {
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        let keys = |part: &serde_json::Value| part.as_object().unwrap().keys().cloned().collect();
        let shape: [Vec<String>; 2] = [keys(&event), keys(&event["payload"])];
        shape
    };
    let kept = include_str!("../../../tests/contracts/event-notification-resend-requested.json");
    assert_eq!(shape(&event.payload), shape(kept));
    let read = Event::parse(event.payload.as_bytes()).unwrap();
    assert_eq!((read.id, read.kind), (event.event_id, shipped));
    assert_eq!(read.order_id(), first.summary.order_id);
    let Subject::Notification(resend) = read.subject else {
        panic!("{read:?}");
    };
    assert_eq!(
        (resend.notification_id, resend.resend_of),
        (asked, first.summary.id)
    );
    assert_eq!(resend.by, "cli:ada");
    assert_eq!(resend.reason.unwrap().as_str(), "she lost it");
}

#[tokio::test]
async fn a_wish_that_no_queue_has_confirmed_is_a_failure() {
    let (full, _) = resends(None, || Ok(vec![false]));
    let context = RequestContext::generate();
    let answer = full.ask(&sent(), "cli:ada", None, &context).await;
    assert!(matches!(answer, Err(ResendError::NotTaken)), "{answer:?}");
    let (away, _) = resends(None, || Err(PublishError("away".into())));
    let answer = away.ask(&sent(), "cli:ada", None, &context).await;
    assert!(matches!(answer, Err(ResendError::Queue(_))), "{answer:?}");
}

/// The event of a wish for `first`.
async fn wish(first: &Notification) -> OutboxMessage {
    let (resends, queues) = resends(None, || Ok(vec![true]));
    let context = RequestContext::generate();
    resends.ask(first, "cli:ada", None, &context).await.unwrap();
    queues.taken.lock().unwrap().remove(0)
}

async fn deliver_wish(mocks: Mocks, first: &Notification, attempt: u32) -> Outcome {
    let event = wish(first).await;
    let delivery = Delivery {
        body: event.payload.as_bytes(),
        attempt,
        again: attempt > 1,
        revive: attempt == 1,
    };
    handle(mocks, delivery).await
}

#[tokio::test]
async fn the_same_words_go_to_the_same_recipient_and_nobody_is_asked_for_them() {
    let first = sent();
    let (mut mocks, found, wanted) = (Mocks::default(), first.clone(), first.clone());
    let find = mocks.store.expect_find();
    find.returning(move |_| Ok(Some(found.clone())));
    let enqueue = mocks.store.expect_enqueue();
    enqueue
        .withf(move |drafts: &[Draft]| {
            let draft = &drafts[0];
            let resent = draft.resent.as_ref().unwrap();
            drafts.len() == 1
                && (resent.of, &*resent.by) == (wanted.summary.id, "cli:ada")
                && draft.id != wanted.summary.id
                && draft.order_id == wanted.summary.order_id
                && draft.type_key == wanted.summary.type_key
        })
        .returning(|drafts| {
            let draft = &drafts[0];
            Ok(vec![Claim::Send(Job {
                recipient: draft.recipient.clone(),
                content: draft.content.clone(),
                ..job(draft.channel)
            })])
        });
    let send = mocks.email.expect_send();
    send.withf(|mail: &Mail<'_>| {
        (mail.to, mail.html, mail.plain) == ("jane@example.com", "<p>shipped</p>", "shipped")
    })
    .times(1)
    .returning(|_| Ok("ses-2".into()));
    mocks.store.expect_mark_sent().returning(|_, _| ());
    // The mocks of orders and of contacts expect nothing.
    assert_eq!(deliver_wish(mocks, &first, 1).await, Outcome::Done);
}

#[tokio::test]
async fn a_wish_that_was_worked_on_before_makes_nothing_new() {
    let mut mocks = Mocks::default();
    let reclaim = mocks.store.expect_reclaim();
    reclaim.returning(|_, _| Ok(vec![Claim::Sent(Channel::Email)]));
    assert_eq!(deliver_wish(mocks, &sent(), 2).await, Outcome::Done);
}

#[tokio::test]
async fn what_is_gone_meanwhile_is_a_dead_letter() {
    let mut masked = sent();
    masked.summary.recipient = PURGED.into();
    for found in [None, Some(masked)] {
        let mut mocks = Mocks::default();
        mocks
            .store
            .expect_find()
            .returning(move |_| Ok(found.clone()));
        let outcome = deliver_wish(mocks, &sent(), 1).await;
        let expired = matches!(&outcome, Outcome::Dead { class, .. } if *class == "expired");
        assert!(expired, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_uses_up_no_attempt_of_a_wish() {
    let mut mocks = Mocks::default();
    let find = mocks.store.expect_find();
    find.returning(|_| Err(StoreError::Unavailable("away".into())));
    let outcome = deliver_wish(mocks, &sent(), 1).await;
    assert!(matches!(outcome, Outcome::Wait { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_mail_with_a_token_is_never_copied() {
    let event = wish(&sent()).await;
    let body = event.payload.replace("order_shipped", "password_reset");
    let delivery = Delivery {
        body: body.as_bytes(),
        attempt: 1,
        again: false,
        revive: true,
    };
    let outcome = handle(Mocks::default(), delivery).await;
    let poison = matches!(&outcome, Outcome::Dead { class, .. } if *class == "poison");
    assert!(poison, "{outcome:?}");
}
