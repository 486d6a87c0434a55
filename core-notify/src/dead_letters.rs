//! The dead letters as a place that can be looked into, and what is done with them.

use async_trait::async_trait;
use core_kernel::{BoxError, OrderId};
use jiff::Timestamp;

use crate::dead_letter::DeadLetter;
use crate::queue::{WORK_QUEUES, WorkQueue};

/// The dead letters, or the log of what was done with them, cannot be read or written now. Nothing
/// is lost: a letter leaves only when its next home has confirmed it.
#[derive(Debug, thiserror::Error)]
#[error("the dead letters cannot be reached")]
pub struct DeadLetterError(#[source] pub BoxError);

/// Where dead letters are kept (PRD §5).
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// How many a queue has, without those that somebody has in hand.
    ///
    /// # Errors
    /// When they cannot be counted.
    async fn count(&self, queue: WorkQueue) -> Result<u64, DeadLetterError>;

    /// Takes all that a queue has at this moment in hand. Looking changes nothing: what is neither
    /// replayed nor discarded is in its place again when the hand is put back, or dropped, or its
    /// process dies, however often that happens.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn take(&self, queue: WorkQueue) -> Result<Box<dyn LettersInHand>, DeadLetterError>;

    /// Adds letters, each to its own queue, and answers one by one whether it was taken. One of a
    /// queue that there is not, or whose body cannot be kept, is refused.
    ///
    /// # Errors
    /// When nothing is known of them; some may have been added all the same.
    async fn put(&self, letters: &[DeadLetter]) -> Result<Vec<bool>, DeadLetterError>;
}

/// Dead letters of one queue, taken in hand.
#[async_trait]
pub trait LettersInHand: Send {
    /// All of them, oldest failure first; also those that have left meanwhile.
    fn letters(&self) -> &[DeadLetter];

    /// Sends the letters at these places back to their work queue, as if they had just been
    /// published: no attempt is used up, nothing is left of why they failed, and what had `failed`
    /// is sent. Answers one by one whether it did; a letter leaves only when its queue has
    /// confirmed it. False when the queue took it not, or when somebody else was faster.
    ///
    /// A crash between the two leaves a letter in both places, never in none.
    ///
    /// # Errors
    /// When nothing is known of them; they stay, though some may have been delivered.
    async fn replay(&mut self, places: &[usize]) -> Result<Vec<bool>, DeadLetterError>;

    /// Deletes the letters at these places, and answers one by one whether it did.
    ///
    /// # Errors
    /// When nothing is known of them.
    async fn discard(&mut self, places: &[usize]) -> Result<Vec<bool>, DeadLetterError>;

    /// Lets go of the others. Whoever looks afterwards finds them.
    ///
    /// # Errors
    /// When that is not certain; then they are back a little later.
    async fn put_back(self: Box<Self>) -> Result<(), DeadLetterError>;
}

/// Which letters are meant; a part that is absent lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Of this queue.
    pub queue: Option<WorkQueue>,
    /// One of these messages; empty for all.
    pub message_ids: Vec<String>,
    /// About this order.
    pub order_id: Option<OrderId>,
    /// Of this type, `OrderCreated`.
    pub event_type: Option<String>,
    /// Failed for this: the class, or words of the reason, in any case.
    pub reason: Option<String>,
    /// Given up at this time or before.
    pub failed_until: Option<Timestamp>,
}

impl LetterFilter {
    /// The queues to look into.
    pub fn queues(&self) -> impl Iterator<Item = WorkQueue> + use<> {
        let wanted = self.queue;
        let all = WORK_QUEUES.into_iter();
        all.filter(move |queue| wanted.is_none_or(|wanted| wanted == *queue))
    }

    /// Whether a letter of these queues is meant.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let ids = &self.message_ids;
        let about = |reason: &String| {
            let reason = reason.to_lowercase();
            letter.class.to_lowercase() == reason || letter.reason.to_lowercase().contains(&reason)
        };
        let is_type = |wanted: &String| {
            let kind = letter.event_type.as_deref();
            kind.is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
        };
        (ids.is_empty() || ids.contains(&letter.message_id))
            && (self.event_type.as_ref()).is_none_or(is_type)
            && (self.failed_until).is_none_or(|until| letter.failed_at <= until)
            && (self.reason.as_ref()).is_none_or(about)
            && (self.order_id).is_none_or(|id| letter.order_id() == Some(id))
    }
}

/// What somebody did with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterAction {
    /// Sent back to its work queue.
    Replay,
    /// Deleted.
    Discard,
    /// Brought in from a file.
    Import,
}

impl LetterAction {
    /// Its word: `replay`, `discard`, `import`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Import => "import",
        }
    }

    /// The action with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Replay, Self::Discard, Self::Import];
        all.into_iter().find(|action| action.as_str() == word)
    }
}

/// That somebody did something with a letter. It names the letter and its order, and holds nothing
/// else of its body or of its reason, which may be personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterNote {
    /// The event's id.
    pub message_id: String,
    /// Which order it is about, as far as its body can be read.
    pub order_id: Option<OrderId>,
    /// Its type, `OrderCreated`, as its publisher named it.
    pub event_type: Option<String>,
    /// The work queue it came from.
    pub queue: String,
    /// The kind of failure.
    pub class: String,
    /// What is done.
    pub action: LetterAction,
    /// Why, in the words of who does it.
    pub reason: Option<String>,
    /// Who does it, `cli:ada`.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// A letter that was discarded on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Discarded {
    /// The event's id.
    pub message_id: String,
    /// Which order it is about, if that was noted.
    pub order_id: Option<OrderId>,
    /// Its type, if that was noted.
    pub event_type: Option<String>,
}

/// Keeps the notes of what was done with dead letters.
#[async_trait]
pub trait DeadLetterLog: Send + Sync {
    /// Keeps all of these, or none.
    ///
    /// # Errors
    /// When they are not kept.
    async fn note(&self, notes: &[DeadLetterNote]) -> Result<(), DeadLetterError>;

    /// What was noted of a message, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn notes_of(&self, message_id: &str) -> Result<Vec<DeadLetterNote>, DeadLetterError>;

    /// The letters about these orders, and those of these messages, that were discarded, each once
    /// and in any order. One that was replayed or imported later is none of them.
    ///
    /// # Errors
    /// When that cannot be read.
    async fn discarded(
        &self,
        orders: &[OrderId],
        message_ids: &[String],
    ) -> Result<Vec<Discarded>, DeadLetterError>;
}
