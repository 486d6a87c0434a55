//! What this core needs from outside.

use async_trait::async_trait;
use core_kernel::{
    BoxError, EventId, NotificationId, OrderId, Page, PageRequest, RequestContext, Slice, TokenId,
    UserId, UserScope,
};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::message::{Contact, OrderDetails};
use crate::notification::{
    Channel, Content, Draft, Notification, Recipient, Status, Summary, words,
};

/// Why another service did not tell what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not know the thing (404). It may know it later.
    #[error("{0} is not known")]
    NotFound(&'static str),
    /// It was there and is good for nothing any more (410).
    #[error("{0} is gone")]
    Gone(&'static str),
    /// It is away, or our token is no longer good: nothing is wrong with this message.
    #[error("{0} does not answer")]
    Away(&'static str, #[source] BoxError),
    /// It answered what makes no sense.
    #[error("{0} gave no usable answer")]
    Broken(&'static str, #[source] BoxError),
}

/// Tells what was ordered (PRD §7.2).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait OrderReader: Send + Sync {
    /// The order with this id.
    async fn order(&self, id: OrderId, context: &RequestContext)
    -> Result<OrderDetails, ReadError>;
}

/// Tells how a user is reached (PRD §7.3).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ContactReader: Send + Sync {
    /// The contact of the user with this id.
    async fn contact(&self, id: UserId, context: &RequestContext) -> Result<Contact, ReadError>;
}

/// Tells the one-time token that a mail is to carry. It is asked for each time the mail is sent, since
/// nobody keeps it.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TokenReader: Send + Sync {
    /// The token with this id; `Gone` when it works no more.
    async fn token(&self, id: TokenId, context: &RequestContext)
    -> Result<SecretString, ReadError>;
}

/// Why a provider did not take a message. `reason` is the provider's own, without personal data
/// where it can be kept out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It will never take this one: a bad address, content it refuses.
    #[error("the provider refused the message: {0}")]
    Refused(String),
    /// It did not take it now, and certainly did not send it.
    #[error("the provider did not take the message: {0}")]
    NotNow(String),
    /// It may or may not have taken it: the answer was lost.
    #[error("the provider's answer is unknown: {0}")]
    Unknown(String),
    /// It, or our account with it, is out of order. Nothing was sent, and nothing is wrong with
    /// this message.
    #[error("the provider is out of order: {0}")]
    Away(String),
}

impl SendError {
    /// A word for it in figures and traces, that of its [`AttemptOutcome`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        AttemptOutcome::from(self).as_str()
    }
}

/// How our account with a provider stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may send.
    Good,
    /// It may send, but for this.
    Limited(String),
}

/// A mail, ready to go.
#[derive(Clone, Copy)]
pub struct Mail<'a> {
    /// To whom.
    pub to: &'a str,
    /// Subject.
    pub subject: &'a str,
    /// HTML.
    pub html: &'a str,
    /// The same as plain text.
    pub plain: &'a str,
    /// The notification it is, so that the provider's records lead back here.
    pub notification_id: NotificationId,
    /// Which order it is about, if any.
    pub order_id: Option<OrderId>,
    /// When what it tells of happened.
    pub happened_at: Timestamp,
}

impl std::fmt::Debug for Mail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({}, ***)", self.notification_id)
    }
}

/// A text message, ready to go.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// To which number (E.164).
    pub to: &'a str,
    /// What it says.
    pub body: &'a str,
    /// The notification it is.
    pub notification_id: NotificationId,
    /// Which order it is about, if any.
    pub order_id: Option<OrderId>,
    /// When what it tells of happened.
    pub happened_at: Timestamp,
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(***)")
    }
}

/// Sends mails. One call is one attempt: an adapter does not retry by itself.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait EmailSender: Send + Sync {
    /// Hands a mail to the provider; the answer is the provider's id for it.
    async fn send<'a>(&self, mail: Mail<'a>) -> Result<String, SendError>;
}

/// Sends text messages. One call is one attempt.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SmsSender: Send + Sync {
    /// Hands a text to the provider; the answer is the provider's id for it.
    async fn send<'a>(&self, text: Text<'a>) -> Result<String, SendError>;
}

/// The store does not answer, or refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may be tried again later.
    #[error("the notification store does not answer")]
    Unavailable(#[source] BoxError),
    /// What is stored cannot be understood, or the store refused.
    #[error("the notification store failed")]
    Broken(#[source] BoxError),
}

/// A notification that the claimer, and nobody else, is to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which.
    pub id: NotificationId,
    /// Which way.
    pub channel: Channel,
    /// Whom it reaches.
    pub recipient: Recipient,
    /// What it says, as it was first written down.
    pub content: Content,
    /// Which claim of this notification it is, from 1. Its outcome counts only as long as nobody
    /// has claimed the notification after it.
    pub claim: u32,
    /// Whether an earlier attempt may have been taken by the provider: its answer was lost, or the
    /// process that sent it died.
    pub maybe_sent: bool,
}

/// What came of calling a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It took the message.
    Sent,
    /// It will never take it.
    Refused,
    /// It did not take it now.
    NotNow,
    /// It, or our account with it, is out of order.
    Away,
    /// Its answer was lost: it may have taken the message.
    Unknown,
    /// Nobody recorded an outcome: whoever called it died, or was too slow. It may have taken the
    /// message.
    Lost,
}

impl From<&SendError> for AttemptOutcome {
    fn from(error: &SendError) -> Self {
        match error {
            SendError::Refused(_) => Self::Refused,
            SendError::NotNow(_) => Self::NotNow,
            SendError::Away(_) => Self::Away,
            SendError::Unknown(_) => Self::Unknown,
        }
    }
}

words!(AttemptOutcome: Sent = "sent", Refused = "refused", NotNow = "not_now", Away = "away",
    Unknown = "unknown", Lost = "lost");

/// One call of a provider for one notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The claim it was made under: the number of a [`Job`]'s claim. Numbers may be missing, where a
    /// claim came to no call.
    pub number: u32,
    /// When it began. Of a lost one, when its notification was claimed.
    pub began_at: Timestamp,
    /// When its answer came; `None` when it was lost.
    pub ended_at: Option<Timestamp>,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// The provider's id for the message, if it took it.
    pub provider_ref: Option<String>,
    /// What the provider said, if it did not.
    pub reason: Option<String>,
}

/// What claiming a notification led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Ours to send.
    Send(Job),
    /// Another holds it; its claim ends by itself.
    Held(Channel),
    /// It was sent.
    Sent(Channel),
    /// It failed for good, for this reason.
    Failed(Channel, String),
}

/// Which notifications a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationFilter {
    /// Whose.
    pub scope: UserScope,
    /// Which way they went; any when `None`.
    pub channel: Option<Channel>,
    /// Of which order.
    pub order_id: Option<OrderId>,
    /// Of which type key.
    pub type_key: Option<String>,
    /// How far they have come.
    pub status: Option<Status>,
}

/// A place in a list of notifications, newest first: that of the one with this time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationPosition {
    /// When it was written down.
    pub created_at: Timestamp,
    /// Its id, which breaks ties.
    pub id: NotificationId,
}

impl From<&Summary> for NotificationPosition {
    fn from(summary: &Summary) -> Self {
        Self {
            created_at: summary.created_at,
            id: summary.id,
        }
    }
}

/// Keeps notifications: one per event and channel, ever. Each call is one transaction.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait NotificationStore: Send + Sync {
    /// Writes the drafts of one event, at most one a channel, down as `queued` and claims them. Where the event has a notification on
    /// the draft's channel already, that one is claimed instead, with its own words, if it is not
    /// sent; one that had failed is `queued` again. One claim a draft comes back.
    ///
    /// A claim ends when its outcome is recorded, or by itself after some seconds, longer than any
    /// attempt takes.
    async fn enqueue(&self, drafts: &[Draft]) -> Result<Vec<Claim>, StoreError>;

    /// Claims what the event has already, all channels; nothing when it has none. Failed ones are
    /// claimed again only if `failed_too`.
    async fn reclaim(&self, event: EventId, failed_too: bool) -> Result<Vec<Claim>, StoreError>;

    /// Records that the provider took it, as the attempt says. An adapter keeps trying for as long as
    /// the process lives: a message that was sent must not be sent again because nobody wrote it
    /// down.
    async fn mark_sent(&self, job: &Job, attempt: &Attempt);

    /// Ends a claim, and records the attempt if there was one; the notification stays `queued`, and
    /// may have been sent if that attempt's outcome is unknown. The notification stays as it is when
    /// another has claimed it meanwhile.
    async fn release<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError>;

    /// Records that it failed for good, and the attempt if there was one. The notification stays as it
    /// is when another has claimed it meanwhile.
    async fn mark_failed<'a>(
        &self,
        job: &Job,
        attempt: Option<&'a Attempt>,
        reason: &str,
    ) -> Result<(), StoreError>;

    /// All attempts at a notification, oldest first. Claiming one whose claim had ended by itself
    /// adds the `Lost` attempt of that claim.
    async fn attempts(&self, id: NotificationId) -> Result<Vec<Attempt>, StoreError>;

    /// The notification with this id, or `None`.
    async fn find(&self, id: NotificationId) -> Result<Option<Notification>, StoreError>;

    /// One page of the notifications that pass the filter, newest first.
    async fn list(
        &self,
        filter: &NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Summary>, StoreError>;

    /// Up to `limit` (1 to 100) of the notifications that pass the filter and come after a position,
    /// newest first. It costs the same however far down the list the position is.
    async fn list_after(
        &self,
        filter: &NotificationFilter,
        after: NotificationPosition,
        limit: u32,
    ) -> Result<Slice<Summary>, StoreError>;
}
