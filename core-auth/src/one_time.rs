//! One-time tokens: sent to an address, they prove that somebody reads it. With one, a user sets
//! another password, or confirms the address that they registered with.
//!
//! A token is derived from its id and a secret of ours, so it can be told again when the mail is
//! made, while only its hash is stored: what reads the database cannot use it.

use core_kernel::{Envelope, EventId, OutboxMessage, RequestContext, TokenId, UserId, wire_time};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::change::{AuditEntry, Doing};
use crate::session::TokenHash;
use crate::token::Keyring;

/// What a one-time token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Another password, for who has forgotten theirs.
    PasswordReset,
    /// An address, shown to be its owner's.
    EmailVerification,
}

impl Purpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::PasswordReset, Self::EmailVerification];

    /// The word for it in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
        }
    }

    /// The purpose of a word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// How long a token of it works.
    #[must_use]
    pub fn ttl(self) -> SignedDuration {
        match self {
            Self::PasswordReset => SignedDuration::from_mins(30),
            Self::EmailVerification => SignedDuration::from_hours(24),
        }
    }

    /// The type of the event that asks for the mail.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::PasswordReset => "UserPasswordResetRequested",
            Self::EmailVerification => "UserEmailVerificationRequested",
        }
    }

    /// Its routing key on `user.events`.
    #[must_use]
    pub fn routing_key(self) -> &'static str {
        match self {
            Self::PasswordReset => "user.password_reset_requested",
            Self::EmailVerification => "user.email_verification_requested",
        }
    }

    /// What the audit says of a request.
    fn requested(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset_requested",
            Self::EmailVerification => "email_verification_requested",
        }
    }
}

/// A one-time token in the clear: 64 hexadecimal digits.
#[derive(Clone)]
pub struct OneTimeToken(SecretString);

impl OneTimeToken {
    /// A token, as made from its id or as somebody shows it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of_bytes(self.expose().as_bytes())
    }
}

impl std::fmt::Debug for OneTimeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeToken(***)")
    }
}

/// A one-time token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOneTime {
    /// Its id.
    pub id: TokenId,
    /// Whose; nobody's for an address without an account, so that asking for one costs the same.
    pub user_id: Option<UserId>,
    /// What it is for.
    pub purpose: Purpose,
    /// The hash of the token.
    pub hash: TokenHash,
    /// When it was asked for.
    pub issued_at: Timestamp,
    /// From when on it does not work.
    pub expires_at: Timestamp,
    /// When it was used, or ended with another that was.
    pub used_at: Option<Timestamp>,
}

impl StoredOneTime {
    /// Whether it works at this time.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }
}

/// A one-time token that is asked for, with all that is stored together with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeRequest {
    /// The token.
    pub token: StoredOneTime,
    /// What the audit says; nothing when it is nobody's.
    pub audit: Option<AuditEntry>,
    /// What asks for the mail; nothing when it is nobody's.
    pub event: Option<OutboxMessage>,
}

impl OneTimeRequest {
    /// A request for a token of this user, or of nobody, made by these keys.
    ///
    /// # Errors
    /// When the event cannot be written as JSON, which its types never cause.
    pub(crate) fn new(
        keys: &Keyring,
        purpose: Purpose,
        user_id: Option<UserId>,
        doing: &Doing<'_>,
    ) -> serde_json::Result<Self> {
        let id = TokenId::generate();
        let token = StoredOneTime {
            id,
            user_id,
            purpose,
            hash: keys.one_time(id).hash(),
            issued_at: doing.at,
            expires_at: doing.at.saturating_add(purpose.ttl()).unwrap_or(doing.at),
            used_at: None,
        };
        let event = user_id.map(|user_id| event(&token, user_id, doing.context));
        Ok(Self {
            event: event.transpose()?,
            audit: user_id.map(|user_id| doing.entry(user_id, purpose.requested())),
            token,
        })
    }
}

/// Payload of both events. Neither address nor token is in it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OneTimeRequested {
    /// Whose token it is.
    pub user_id: UserId,
    /// The token's id, by which services are told the token.
    pub token_id: TokenId,
    /// From when on it does not work.
    #[serde(with = "wire_time")]
    #[cfg_attr(feature = "schema", schema(schema_with = wire_time::schema))]
    pub expires_at: Timestamp,
}

/// The event that asks for the mail with a token of this user.
fn event(
    token: &StoredOneTime,
    user_id: UserId,
    context: &RequestContext,
) -> serde_json::Result<OutboxMessage> {
    let envelope = Envelope {
        event_id: EventId::generate(),
        event_type: token.purpose.event_type().to_owned(),
        timestamp: token.issued_at,
        version: Envelope::<()>::VERSION.to_owned(),
        payload: OneTimeRequested {
            user_id,
            token_id: token.id,
            expires_at: token.expires_at,
        },
    };
    Ok(OutboxMessage {
        event_id: envelope.event_id,
        subject: user_id.0,
        event_type: envelope.event_type.clone(),
        routing_key: token.purpose.routing_key().to_owned(),
        payload: serde_json::to_string(&envelope)?,
        traceparent: context.trace.traceparent(),
        tracestate: context.trace.tracestate().map(str::to_owned),
        occurred_at: token.issued_at.as_second(),
    })
}
