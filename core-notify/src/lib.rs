//! Notifications: which mail and which text follow an event, what they say, and how often sending
//! them is tried.
//!
//! Pure domain: no runtime, database, broker or HTTP. Give [`Notifier`] senders and a store of
//! your own and it works with those.

mod app;
mod breaker;
mod dead_letter;
mod dead_letters;
mod event;
mod inbox;
mod lane;
mod ledger;
mod message;
mod notification;
mod outcome;
mod ports;
mod queue;
mod resend;
mod retention;
mod retry;
mod sample;
mod sms;
mod template;
#[cfg(feature = "testing")]
pub mod testing;

pub use app::{
    AttemptsError, DeadLetterDesk, Fate, FindError, LetterGroup, Notifications, Notifier, Redrive,
    ResendError, Resends, Step,
};
pub use breaker::Breaker;
pub use dead_letter::DeadLetter;
pub use dead_letters::{
    DeadLetterError, DeadLetterLog, DeadLetterNote, DeadLetters, Discarded, LetterAction,
    LetterFilter, LettersInHand,
};
pub use event::{Event, EventKind, MAX_EVENT_BYTES, Poison, Subject};
pub use inbox::{
    FaultKind, FaultRule, FaultRuleError, FaultScript, Inbox, InboxAttempt, InboxFilter,
    InboxMessage,
};
pub use lane::{Ambiguous, Lane, Lanes};
pub use ledger::{Heard, NotificationLedger, Stale};
pub use message::{Address, Contact, LineItem, OrderDetails};
pub use notification::{Channel, Content, Draft, Notification, Recipient, Resent, Status, Summary};
pub use outcome::{Delivery, EventHandler, Outcome};
pub use ports::{
    Attempt, AttemptOutcome, Claim, ContactReader, EmailSender, Job, Mail, NotificationFilter,
    NotificationPosition, NotificationStore, OrderReader, ReadError, SendError, SmsSender,
    Standing, StoreError, Text, TokenReader,
};
#[cfg(feature = "testing")]
pub use ports::{
    MockContactReader, MockEmailSender, MockNotificationStore, MockOrderReader, MockSmsSender,
    MockTokenReader,
};
pub use queue::{BusError, Depth, ORDER_EVENTS, QueueDepths, USER_EVENTS, WORK_QUEUES, WorkQueue};
pub use resend::Resend;
#[cfg(feature = "testing")]
pub use retention::MockPurgedUsers;
pub use retention::{
    Archive, ArchiveError, Batch, Manifest, NotificationRetention, NotificationRetirement, PURGED,
    PurgedPage, PurgedUsers, Record, Retired, Seal,
};
pub use retry::{DELAYS, delay_after};
pub use sample::Sample;
pub use sms::{SmsEncoding, SmsSize};
pub use template::{Facts, Links, RenderError, Rendered, TemplateProblem, Templates};
