//! For tests of this core, of its adapters, and of adapters that others write.

pub mod contract;
mod one_time;
pub mod retention;
pub mod throttle;

use std::sync::Arc;

use core_kernel::{Clock, SessionId, SystemClock, TokenId, UserId, Wake};
use jiff::Timestamp;

use crate::app::Mailbox;
use crate::password::PasswordHash;
use crate::ports::MockOneTimeStore;
use crate::session::{NewSession, StoredRefresh, TokenHash};
use crate::token::Keyring;
use crate::user::{Account, Email, PersonName, Phone, User, UserRole};

/// An account with an address of its own.
#[must_use]
pub fn account() -> Account {
    let id = UserId::generate();
    let now = SystemClock.now();
    Account {
        user: User {
            id,
            email: Email::normalized(&format!("{id}@example.com")),
            first_name: PersonName::trusted("Jane".into()),
            last_name: PersonName::trusted("Doe".into()),
            phone: Some(Phone::trusted("+15551234567".into())),
            role: UserRole::Customer,
            is_active: true,
            created_at: now,
            updated_at: now,
            tokens_from: None,
            email_verified_at: Some(now),
        },
        password_hash: PasswordHash("$scrypt$not$a$real$hash".into()),
    }
}

/// Wakes nobody: where no relay runs.
struct NoRelay;

impl Wake for NoRelay {
    fn wake(&self) {}
}

/// A mailbox on this store, without a relay.
#[must_use]
pub fn mailbox(tokens: MockOneTimeStore) -> Mailbox {
    Mailbox {
        tokens: Arc::new(tokens),
        relay: Arc::new(NoRelay),
    }
}

/// A refresh token issued at `at`.
///
/// # Panics
/// When thirty days after `at` are beyond time.
#[must_use]
pub fn refresh_token(at: Timestamp) -> StoredRefresh {
    StoredRefresh {
        hash: TokenHash::of(TokenId::generate()),
        issued_at: at,
        expires_at: at.checked_add(Keyring::REFRESH_TTL).expect("a time"),
    }
}

/// A session of `user` that begins now.
#[must_use]
pub fn session(user: &User) -> NewSession {
    let at = SystemClock.now();
    NewSession {
        id: SessionId::generate(),
        user_id: user.id,
        seen: user.updated_at,
        at,
        refresh: refresh_token(at),
    }
}
