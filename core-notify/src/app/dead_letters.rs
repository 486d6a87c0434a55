//! Looking into dead letters, replaying, discarding and importing them.

use std::collections::VecDeque;
use std::sync::Arc;

use core_kernel::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::dead_letter::DeadLetter;
use crate::dead_letters::{
    DeadLetterError, DeadLetterLog, DeadLetterNote, DeadLetters, LetterAction, LetterFilter,
    LettersInHand,
};
use crate::queue::WORK_QUEUES;

/// Letters are put back and taken anew after this long, since a broker takes a consumer that
/// settles nothing for half an hour for dead.
const SITTING: SignedDuration = SignedDuration::from_mins(15);

/// Letters whose confirms are awaited together. A crash leaves no more than these in both places.
const BATCH: usize = 200;

/// Dead letters, with a note of all that is done to them.
#[derive(Clone)]
pub struct DeadLetterDesk {
    /// Where they are.
    pub letters: Arc<dyn DeadLetters>,
    /// Where it is noted. A letter is only touched once its note is kept, so that a note may be
    /// one too many after a crash and never one too few.
    pub log: Arc<dyn DeadLetterLog>,
    /// The time of the notes.
    pub clock: Arc<dyn Clock>,
    /// Who works here, `cli:ada`.
    pub actor: String,
}

/// What is to become of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Back to their work queues.
    Replay,
    /// Deleted, for this reason.
    Discard(Option<String>),
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Letters that have left.
    pub moved: usize,
    /// Letters that did not: their queue does not take them, or somebody else was faster. No more
    /// steps are made then.
    pub kept: usize,
}

/// Letters that failed alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterGroup {
    /// The work queue.
    pub queue: String,
    /// The event's type.
    pub event_type: Option<String>,
    /// The kind of failure.
    pub class: String,
    /// Why, as [`DeadLetter::fingerprint`] has it.
    pub fingerprint: String,
    /// How many they are.
    pub count: usize,
    /// When the first of them was given up.
    pub oldest: Timestamp,
    /// When the last was.
    pub newest: Timestamp,
    /// One of them.
    pub example: String,
}

impl DeadLetterDesk {
    /// The letters that pass a filter, oldest first, `limit` at most. They stay where they are.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(
        &self,
        filter: &LetterFilter,
        limit: Option<usize>,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let selection = Selection::take(&*self.letters, filter, limit).await?;
        let letters = selection.letters().cloned().collect();
        selection.put_back().await?;
        Ok(letters)
    }

    /// Shows every letter to `see`, a queue at a time, so that no more are in memory.
    ///
    /// # Errors
    /// When they cannot be read; some may have been shown.
    pub async fn look(&self, mut see: impl FnMut(&DeadLetter)) -> Result<(), DeadLetterError> {
        for queue in WORK_QUEUES {
            let hand = self.letters.take(queue).await?;
            hand.letters().iter().for_each(&mut see);
            hand.put_back().await?;
        }
        Ok(())
    }

    /// The letters that pass a filter by queue, type and cause, the most frequent first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn group(&self, filter: &LetterFilter) -> Result<Vec<LetterGroup>, DeadLetterError> {
        Ok(groups(&self.list(filter, None).await?))
    }

    /// Takes the letters in hand that pass a filter, oldest first, `limit` at most. Nothing has
    /// happened to them yet.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn begin(
        &self,
        fate: Fate,
        filter: LetterFilter,
        limit: Option<usize>,
    ) -> Result<Redrive, DeadLetterError> {
        let begun = self.clock.now();
        let selection = Selection::take(&*self.letters, &filter, limit).await?;
        Ok(Redrive {
            left: selection.todo.len(),
            desk: self.clone(),
            fate,
            filter,
            begun,
            taken: begun,
            selection,
        })
    }

    /// Adds letters from elsewhere to those that are here, and answers one by one whether that was
    /// possible.
    ///
    /// # Errors
    /// When nothing is known of the rest; what was added stays.
    pub async fn import(&self, letters: &[DeadLetter]) -> Result<Vec<bool>, DeadLetterError> {
        let mut taken = Vec::with_capacity(letters.len());
        for batch in letters.chunks(BATCH) {
            self.note(batch.iter(), LetterAction::Import, None).await?;
            taken.extend(self.letters.put(batch).await?);
        }
        Ok(taken)
    }

    async fn note(
        &self,
        letters: impl Iterator<Item = &DeadLetter>,
        action: LetterAction,
        reason: Option<&str>,
    ) -> Result<(), DeadLetterError> {
        let at = self.clock.now();
        let notes: Vec<DeadLetterNote> = letters
            .map(|letter| DeadLetterNote {
                message_id: letter.message_id.clone(),
                order_id: letter.order_id(),
                event_type: letter.event_type.clone(),
                queue: letter.queue.clone(),
                class: letter.class.clone(),
                action,
                reason: reason.map(str::to_owned),
                actor: self.actor.clone(),
                at,
            })
            .collect();
        self.log.note(&notes).await
    }
}

/// Letters on their way out, step by step.
pub struct Redrive {
    desk: DeadLetterDesk,
    fate: Fate,
    filter: LetterFilter,
    /// How many are still to go.
    left: usize,
    begun: Timestamp,
    taken: Timestamp,
    selection: Selection,
}

impl Redrive {
    /// The letters that would leave with the next steps, oldest first.
    pub fn letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.selection.letters()
    }

    /// Lets the next letters leave, `most` of them at most; `None` when all have.
    ///
    /// # Errors
    /// When nothing is known of those letters; they stay, though some may have been delivered.
    pub async fn step(&mut self, most: usize) -> Result<Option<Step>, DeadLetterError> {
        let now = self.desk.clock.now();
        if self.left > 0 && now.duration_since(self.taken) > SITTING {
            self.take_again(now).await?;
        }
        let batch = self.selection.next(most.clamp(1, BATCH));
        if batch.is_empty() {
            return Ok(None);
        }
        let (action, reason) = match &self.fate {
            Fate::Replay => (LetterAction::Replay, None),
            Fate::Discard(reason) => (LetterAction::Discard, reason.as_deref()),
        };
        let letters = batch.iter().map(|place| self.selection.letter(place));
        self.desk.note(letters, action, reason).await?;
        let moved = self.selection.settle(&batch, &self.fate).await?;
        let step = Step {
            moved,
            kept: batch.len() - moved,
        };
        self.left -= batch.len();
        if step.kept > 0 {
            self.selection.todo.clear();
            self.left = 0;
        }
        Ok(Some(step))
    }

    /// What was given up since this began is left out: letters that fail once more would go round
    /// for ever.
    async fn take_again(&mut self, now: Timestamp) -> Result<(), DeadLetterError> {
        let until = self.filter.failed_until.unwrap_or(self.begun);
        self.filter.failed_until = Some(until.min(self.begun));
        let mut hands = std::mem::take(&mut self.selection);
        hands.todo.clear();
        hands.put_back().await?;
        let left = Some(self.left);
        self.selection = Selection::take(&*self.desk.letters, &self.filter, left).await?;
        self.taken = now;
        Ok(())
    }

    /// Lets go of the letters that have not left.
    ///
    /// # Errors
    /// When that is not certain; then they are back a little later.
    pub async fn end(self) -> Result<(), DeadLetterError> {
        self.selection.put_back().await
    }
}

/// Where a letter is: whose hand, and which place in it.
type Place = (usize, usize);

/// Letters of several queues in hand, of which some are meant.
#[derive(Default)]
struct Selection {
    hands: Vec<Box<dyn LettersInHand>>,
    todo: VecDeque<Place>,
}

impl Selection {
    async fn take(
        from: &dyn DeadLetters,
        filter: &LetterFilter,
        limit: Option<usize>,
    ) -> Result<Self, DeadLetterError> {
        let mut selection = Self::default();
        for queue in filter.queues() {
            selection.hands.push(from.take(queue).await?);
        }
        let mut meant: Vec<(Timestamp, Place)> = Vec::new();
        for (hand, in_hand) in selection.hands.iter().enumerate() {
            let letters = in_hand.letters().iter().enumerate();
            let letters = letters.filter(|(_, letter)| filter.matches(letter));
            meant.extend(letters.map(|(place, letter)| (letter.failed_at, (hand, place))));
        }
        meant.sort_unstable();
        meant.truncate(limit.unwrap_or(usize::MAX));
        selection.todo = meant.into_iter().map(|(_, place)| place).collect();
        Ok(selection)
    }

    fn letter(&self, &(hand, place): &Place) -> &DeadLetter {
        &self.hands[hand].letters()[place]
    }

    fn letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.todo.iter().map(|place| self.letter(place))
    }

    /// The next letters of one hand, so that they leave in order.
    fn next(&mut self, most: usize) -> Vec<Place> {
        let Some(&(hand, _)) = self.todo.front() else {
            return Vec::new();
        };
        let same = self.todo.iter().take_while(|place| place.0 == hand);
        let count = same.take(most).count();
        self.todo.drain(..count).collect()
    }

    /// How many of these, which are of one hand, have left.
    async fn settle(&mut self, batch: &[Place], fate: &Fate) -> Result<usize, DeadLetterError> {
        let Some(&(hand, _)) = batch.first() else {
            return Ok(0);
        };
        let places: Vec<usize> = batch.iter().map(|place| place.1).collect();
        let hand = &mut self.hands[hand];
        let left = match fate {
            Fate::Discard(_) => hand.discard(&places).await?,
            Fate::Replay => hand.replay(&places).await?,
        };
        Ok(left.into_iter().filter(|left| *left).count())
    }

    async fn put_back(self) -> Result<(), DeadLetterError> {
        for hand in self.hands {
            hand.put_back().await?;
        }
        Ok(())
    }
}

fn groups(letters: &[DeadLetter]) -> Vec<LetterGroup> {
    let mut groups: Vec<LetterGroup> = Vec::new();
    for letter in letters {
        let fingerprint = letter.fingerprint();
        let same = |group: &&mut LetterGroup| {
            group.queue == letter.queue
                && group.event_type == letter.event_type
                && group.class == letter.class
                && group.fingerprint == fingerprint
        };
        if let Some(group) = groups.iter_mut().find(same) {
            group.count += 1;
            group.newest = letter.failed_at;
            continue;
        }
        groups.push(LetterGroup {
            queue: letter.queue.clone(),
            event_type: letter.event_type.clone(),
            class: letter.class.clone(),
            fingerprint,
            count: 1,
            oldest: letter.failed_at,
            newest: letter.failed_at,
            example: letter.message_id.clone(),
        });
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}
