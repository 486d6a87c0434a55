//! Sessions: one login and the family of tokens that came of it. Each refresh token works once;
//! using one again ends the whole family, because somebody else may hold it.

use core_kernel::{SessionId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};
use ring::digest;

use crate::user::User;

/// The hash of a refresh token's id, or of a one-time token. Only this is stored, so that nobody who
/// reads the database can use one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// SHA-256 of the id; it is random, so no salt is needed.
    #[must_use]
    pub fn of(id: TokenId) -> Self {
        Self::of_bytes(id.0.as_bytes())
    }

    /// SHA-256 of what nobody can guess.
    #[must_use]
    pub fn of_bytes(secret: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, secret);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

/// A refresh token as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRefresh {
    /// The hash of its id.
    pub hash: TokenHash,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is not accepted.
    pub expires_at: Timestamp,
}

/// A session that begins with a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// When the user had last changed, as they were read: it begins only if that is still so.
    pub seen: Timestamp,
    /// When it begins.
    pub at: Timestamp,
    /// Its first refresh token.
    pub refresh: StoredRefresh,
}

/// A refresh token shown to be exchanged for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The session the token names.
    pub session_id: SessionId,
    /// The one that was shown.
    pub presented: TokenHash,
    /// The one that is to replace it.
    pub next: StoredRefresh,
    /// Now.
    pub at: Timestamp,
    /// How long after its first use the same token still gets a pair: forgives a lost answer.
    pub grace: SignedDuration,
}

/// Why no new pair is given. All of them are the same 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such token.
    #[error("unknown refresh token")]
    Unknown,
    /// It was used before; its session has been ended by this very call.
    #[error("refresh token used again")]
    Reused,
    /// Its session had ended before.
    #[error("session ended")]
    Ended,
    /// Its user is deactivated.
    #[error("account deactivated")]
    Deactivated,
}

/// What a rotation led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationOutcome {
    /// The next token is stored; the session's user, as they now are.
    Rotated(Box<User>),
    /// It is not.
    Refused(Refusal),
}

impl Rotation {
    /// The rule of rotation, for a token first used at `used_at` in a session that goes on.
    ///
    /// # Errors
    /// `Reused` when it was used before and the grace, counted from that first use, is over.
    pub fn check_use(&self, used_at: Option<Timestamp>) -> Result<(), Refusal> {
        match used_at {
            None => Ok(()),
            // Without a grace, not even a call whose clock was read before the first one's.
            Some(first) if !self.grace.is_zero() && self.at.duration_since(first) < self.grace => {
                Ok(())
            }
            Some(_) => Err(Refusal::Reused),
        }
    }
}

/// What decides whether an access token still counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessState {
    /// The user, as they now are.
    pub user: User,
    /// Whether the session has ended.
    pub ended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_counts_from_the_first_use() {
        let at = Timestamp::from_second(100).unwrap();
        let hash = TokenHash::of(TokenId::generate());
        let rotation = |grace| Rotation {
            session_id: SessionId::generate(),
            presented: hash,
            next: StoredRefresh {
                hash,
                issued_at: at,
                expires_at: at,
            },
            at,
            grace: SignedDuration::from_secs(grace),
        };
        let used = |second| Some(Timestamp::from_second(second).unwrap());
        assert_eq!(rotation(0).check_use(None), Ok(()));
        assert_eq!(rotation(0).check_use(used(100)), Err(Refusal::Reused));
        assert_eq!(rotation(0).check_use(used(101)), Err(Refusal::Reused));
        assert_eq!(rotation(10).check_use(used(91)), Ok(()));
        assert_eq!(rotation(10).check_use(used(90)), Err(Refusal::Reused));
    }
}
