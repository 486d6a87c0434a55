//! Accounts, passwords, sessions and tokens: who someone is, and how they show it.
//!
//! Pure domain: no runtime, database, broker or HTTP. The CPU work that belongs to it (scrypt,
//! HMAC) is here as plain functions; an adapter runs the slow part off the async threads.

mod app;
mod change;
mod keys;
mod one_time;
mod password;
mod ports;
mod retention;
mod revocation;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod throttle;
mod token;
mod user;

pub use app::{
    Accounts, Auth, AuthSettings, ChangeError, Changed, EmailVerification, LoginError, Mailbox,
    OneTimeError, OperateError, PasswordChangeError, ProfileError, RefreshError, RegisterError,
    SessionSummary, Sessions, TellError, ValidateError,
};
pub use change::{AuditEntry, Doing, Ending, Patch, Spending, UserChange};
pub use keys::Keys;
pub use one_time::{OneTimeRequest, OneTimeRequested, OneTimeToken, Purpose, StoredOneTime};
pub use password::{
    Password, PasswordCrypto, PasswordHash, ScryptParams, ScryptParamsError, UnusableHash, Verdict,
};
pub use ports::{
    CHANGE_TAKES, HashError, OneTimeStore, PasswordHasher, SessionStore, StoreError, UserFilter,
    UserStore,
};
#[cfg(feature = "testing")]
pub use ports::{MockOneTimeStore, MockPasswordHasher, MockSessionStore, MockUserStore};
pub use retention::{Purged, PurgedError, PurgedUsers, UserPurge, UserRetention};
pub use revocation::{OVERLAP, Revocations, Revoked, Standing};
pub use session::{
    AccessState, NewSession, Refusal, Rotation, RotationOutcome, StoredRefresh, TokenHash,
};
pub use throttle::{AccountKey, AuditQueue, LoginThrottle, SlowDown, Told, TooManyFailures, Turn};
#[cfg(feature = "testing")]
pub use throttle::{MockAuditQueue, MockLoginThrottle};
pub use token::{
    AccessClaims, Bearer, Keyring, KeyringError, RefreshClaims, ServiceClaims, SignError,
    TokenError, TokenPair,
};
pub use user::{Account, Email, Identity, PersonName, Phone, Registration, User, UserRole};
