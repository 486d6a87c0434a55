//! Notifications (PRD §3.3).

use core_kernel::{EventId, NotificationId, OrderId, Text, UserId};
use jiff::Timestamp;

macro_rules! words {
    ($name:ident: $($variant:ident = $word:literal),+) => {
        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it on the wire and in tables.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word stands for, if anything.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
}

pub(crate) use words;

/// The way a notification goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// By mail.
    Email,
    /// By text message.
    Sms,
}
words!(Channel: Email = "email", Sms = "sms");

/// How far a notification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Written down, and perhaps being sent.
    Queued,
    /// The provider has taken it.
    Sent,
    /// The provider refused it, or all attempts are used up.
    Failed,
}
words!(Status: Queued = "queued", Sent = "sent", Failed = "failed");

/// What a notification says.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// Subject of a mail; `None` for a text.
    pub subject: Option<String>,
    /// HTML of a mail, or the text.
    pub body: String,
    /// Plain text of a mail; `None` for a text, which is plain already.
    pub plain: Option<String>,
}

/// What is stored in the place of a one-time token. The token itself comes in only when the mail is
/// sent, so it lies nowhere but in the mail. A person called so gets a mail that looks odd.
pub(crate) const MASK: &str = "********";

impl Content {
    /// The words with the one-time token in its place.
    #[must_use]
    pub(crate) fn unmasked(&self, token: &str) -> Self {
        let with = |text: &String| text.replace(MASK, token);
        Self {
            subject: self.subject.clone(),
            body: with(&self.body),
            plain: self.plain.as_ref().map(with),
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(***)")
    }
}

/// Whom a notification reaches: an address or a phone number. It shows as `***`, wherever it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(String);

impl Recipient {
    /// The address or number itself, for who sends to it or shows it to whom it concerns.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Recipient {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Recipient {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient(***)")
    }
}

/// That a notification is another one, sent once more because somebody wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resent {
    /// The one that was sent before. It may be in the archive by now.
    pub of: NotificationId,
    /// Who wanted it, `cli:ada`.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<Text<200>>,
}

/// A notification that is about to be written down.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id, if the event has no notification on this channel yet.
    pub id: NotificationId,
    /// The event that caused it.
    pub event_id: EventId,
    /// Whom it is for.
    pub user_id: UserId,
    /// Which order it is about, if any.
    pub order_id: Option<OrderId>,
    /// Which way it goes.
    pub channel: Channel,
    /// Its type key, `order_created`.
    pub type_key: &'static str,
    /// Whom it reaches.
    pub recipient: Recipient,
    /// What it says.
    pub content: Content,
    /// When it was made.
    pub created_at: Timestamp,
    /// Which one it is once more; `None` for all that events cause by themselves.
    pub resent: Option<Resent>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Draft({}, {:?}, ***)", self.event_id, self.channel)
    }
}

/// A notification as a list shows it: without body and outcome.
#[derive(Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: NotificationId,
    /// Whom it is for.
    pub user_id: UserId,
    /// Which order it is about, if any.
    pub order_id: Option<OrderId>,
    /// Which way it goes.
    pub channel: Channel,
    /// Its type key.
    pub type_key: String,
    /// Whom it reaches.
    pub recipient: Recipient,
    /// Subject of a mail.
    pub subject: Option<String>,
    /// How far it has come.
    pub status: Status,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
    /// When it was written down.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Summary({}, {:?}, {:?})",
            self.id, self.channel, self.status
        )
    }
}

/// A notification whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    /// What a list shows of it.
    pub summary: Summary,
    /// HTML of a mail, or the text.
    pub body: String,
    /// Plain text of a mail; `None` for a text.
    pub plain: Option<String>,
    /// The provider's id for it.
    pub provider_ref: Option<String>,
    /// Why it failed, or why the last attempt did.
    pub error_message: Option<String>,
    /// Which one it is once more, if it is.
    pub resent: Option<Resent>,
}

impl std::fmt::Debug for Notification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notification({:?}, ***)", self.summary)
    }
}
