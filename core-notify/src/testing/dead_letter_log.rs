//! What every log of what was done with dead letters promises, one function a promise. Run all of
//! them on an adapter with [`dead_letter_log_contract!`](crate::dead_letter_log_contract).

use std::sync::Arc;

use core_kernel::{Clock, OrderId, SystemClock};

use crate::dead_letters::{DeadLetterLog, DeadLetterNote, Discarded, LetterAction};

/// The log under test.
pub type Fixture = Arc<dyn DeadLetterLog>;

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! dead_letter_log_contract {
    ($fixture:path) => {
        $crate::dead_letter_log_contract!(@tests $fixture,
            notes_are_told_whole_and_oldest_first,
            a_message_that_nobody_touched_has_no_notes,
            what_was_discarded_is_known_by_its_order_and_by_its_id,
            what_was_brought_back_is_not_discarded_any_more,
        );
    };
    (@tests $fixture:path, $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::testing::dead_letter_log::$promise($fixture().await).await;
        }
    )+};
}

fn note(message_id: &str, action: LetterAction) -> DeadLetterNote {
    DeadLetterNote {
        message_id: message_id.into(),
        order_id: None,
        event_type: None,
        queue: "notifications.order.created".into(),
        class: "refused".into(),
        action,
        reason: (action == LetterAction::Discard).then(|| "a test's, \"so\" to speak".into()),
        actor: "cli:ada".into(),
        at: SystemClock.now(),
    }
}

fn about(order: OrderId, note: DeadLetterNote) -> DeadLetterNote {
    DeadLetterNote {
        order_id: Some(order),
        event_type: Some("OrderCreated".into()),
        ..note
    }
}

/// All three kinds, of one message among others.
pub async fn notes_are_told_whole_and_oldest_first(log: Fixture) {
    let notes = [
        about(OrderId::generate(), note("m-1", LetterAction::Import)),
        note("m-2", LetterAction::Replay),
        note("m-1", LetterAction::Replay),
    ];
    let last = note("m-1", LetterAction::Discard);
    log.note(&notes).await.expect("kept");
    log.note(std::slice::from_ref(&last)).await.expect("kept");
    let told = log.notes_of("m-1").await.expect("an answer");
    assert_eq!(told, [notes[0].clone(), notes[2].clone(), last]);
}

/// And noting nothing is no fault.
pub async fn a_message_that_nobody_touched_has_no_notes(log: Fixture) {
    log.note(&[]).await.expect("kept");
    assert!(log.notes_of("m-1").await.expect("an answer").is_empty());
}

/// One whose body nobody could read is known by its id alone.
pub async fn what_was_discarded_is_known_by_its_order_and_by_its_id(log: Fixture) {
    let [order, other] = [(); 2].map(|()| OrderId::generate());
    let notes = [
        about(order, note("m-1", LetterAction::Discard)),
        note("m-2", LetterAction::Discard),
        about(other, note("m-3", LetterAction::Discard)),
        about(order, note("m-4", LetterAction::Replay)),
    ];
    log.note(&notes).await.expect("kept");
    // Noted twice, as after a crash; told once.
    log.note(&notes[..1]).await.expect("kept");
    let of = |note: &DeadLetterNote| Discarded {
        message_id: note.message_id.clone(),
        order_id: note.order_id,
        event_type: note.event_type.clone(),
    };
    let ids = ["m-2".to_owned(), "m-4".to_owned()];
    let told = log.discarded(&[order], &ids).await;
    let mut told = told.expect("an answer");
    told.sort_by(|one, other| one.message_id.cmp(&other.message_id));
    assert_eq!(told, [of(&notes[0]), of(&notes[1])]);
    assert!(log.discarded(&[], &[]).await.expect("an answer").is_empty());
}

/// By a replay, or from a file; and it may be discarded once more.
pub async fn what_was_brought_back_is_not_discarded_any_more(log: Fixture) {
    let ids = ["m-1".to_owned()];
    for back in [LetterAction::Replay, LetterAction::Import] {
        for (action, wanted) in [(LetterAction::Discard, 1), (back, 0)] {
            log.note(&[note("m-1", action)]).await.expect("kept");
            let told = log.discarded(&[], &ids).await.expect("an answer");
            assert_eq!(told.len(), wanted, "{action:?}");
        }
    }
}
