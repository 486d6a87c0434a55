//! What every log of what was done with dead letters promises, one function a promise. Run all of
//! them on an adapter with [`dead_letter_log_contract!`](crate::dead_letter_log_contract).

use std::sync::Arc;

use core_kernel::{Clock, SystemClock};

use crate::dead_letters::{DeadLetterLog, DeadLetterNote, LetterAction};

/// The log under test.
pub type Fixture = Arc<dyn DeadLetterLog>;

/// Makes one `#[tokio::test]` of each promise. `$fixture` is an `async fn() -> Fixture`.
#[macro_export]
macro_rules! dead_letter_log_contract {
    ($fixture:path) => {
        $crate::dead_letter_log_contract!(@tests $fixture,
            notes_are_told_whole_and_oldest_first,
            a_message_that_nobody_touched_has_no_notes,
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
        queue: "notifications.order.created".into(),
        class: "refused".into(),
        action,
        reason: (action == LetterAction::Discard).then(|| "a test's, \"so\" to speak".into()),
        actor: "cli:ada".into(),
        at: SystemClock.now(),
    }
}

/// All three kinds, of one message among others.
pub async fn notes_are_told_whole_and_oldest_first(log: Fixture) {
    let notes = [
        note("m-1", LetterAction::Import),
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
