//! Changes of accounts. A decision is data: the user as they now are, the sessions that end, and
//! the audit entries, for a store to write together.

use std::sync::Arc;

use core_kernel::{Caller, RequestContext, SessionId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::one_time::Purpose;
use crate::password::PasswordHash;
use crate::session::TokenHash;
use crate::user::{PersonName, Phone, User, UserRole};

/// What is asked to be changed of a profile; `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Another first name.
    pub first_name: Option<PersonName>,
    /// Another last name.
    pub last_name: Option<PersonName>,
    /// Another phone number, or none.
    pub phone: Option<Option<Phone>>,
    /// Another role; for admins to ask.
    pub role: Option<UserRole>,
    /// Active or not; for admins to ask.
    pub is_active: Option<bool>,
}

impl Patch {
    /// Whether only an admin may ask for it.
    #[must_use]
    pub fn is_for_admins(&self) -> bool {
        self.role.is_some() || self.is_active.is_some()
    }
}

/// Who changed what, kept for good. No personal data is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose account.
    pub user_id: UserId,
    /// What was done: `created`, `profile_changed`, `role_changed`, `deactivated`, `activated`,
    /// `password_changed`, `session_ended` (which one is in `from`), `sessions_ended`, `login_slowed`,
    /// `password_reset_requested`, `password_reset`, `email_verification_requested`, `email_verified`,
    /// `purged`.
    pub action: String,
    /// What it was before, if a word tells.
    pub from: Option<String>,
    /// What it was afterwards, if a word tells.
    pub to: Option<String>,
    /// Who: a user's id, `cli:<name>`, `anonymous`, or `retention`.
    pub actor_id: String,
    /// The role in which they did it.
    pub actor_role: String,
    /// When.
    pub at: Timestamp,
    /// In which request.
    pub request_id: Arc<str>,
    /// In which trace, 32 hex digits.
    pub trace_id: String,
}

/// Who does something, when, and in which request.
#[derive(Clone, Debug)]
pub struct Doing<'a> {
    /// A user's id, a service's name, `cli:<name>`, or `anonymous`.
    pub actor_id: String,
    /// The actor's role.
    pub actor_role: &'static str,
    /// When.
    pub at: Timestamp,
    /// The request.
    pub context: &'a RequestContext,
}

impl<'a> Doing<'a> {
    /// What somebody does who shows no token.
    #[must_use]
    pub fn anonymous(at: Timestamp, context: &'a RequestContext) -> Self {
        Self {
            actor_id: "anonymous".to_owned(),
            actor_role: "anonymous",
            at,
            context,
        }
    }

    /// What a caller does.
    #[must_use]
    pub fn by(caller: &Caller, at: Timestamp, context: &'a RequestContext) -> Self {
        Self {
            actor_id: caller.id_text(),
            actor_role: caller.role().as_str(),
            at,
            context,
        }
    }

    /// The entry that tells of it.
    #[must_use]
    pub fn entry(&self, user_id: UserId, action: &str) -> AuditEntry {
        AuditEntry {
            user_id,
            action: action.to_owned(),
            from: None,
            to: None,
            actor_id: self.actor_id.clone(),
            actor_role: self.actor_role.to_owned(),
            at: self.at,
            request_id: self.context.request_id.clone(),
            trace_id: self.context.trace.trace_id(),
        }
    }
}

/// Sessions that end with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why, for the record.
    pub reason: &'static str,
    /// The one that goes on.
    pub except: Option<SessionId>,
}

/// One-time tokens that end with a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// All of the user's with this purpose.
    pub purpose: Purpose,
    /// The one that the change was asked for with: the change counts only if it is still unused.
    pub token: Option<TokenHash>,
}

/// A change of an account, with all that is stored together with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserChange {
    /// When the user had last changed; the change counts only if that is still so.
    pub before: Timestamp,
    /// The user as they now are.
    pub user: User,
    /// The hash of another password.
    pub password_hash: Option<PasswordHash>,
    /// The sessions that end.
    pub ends: Option<Ending>,
    /// The one-time tokens that end.
    pub spends: Option<Spending>,
    /// What is told of it.
    pub audit: Vec<AuditEntry>,
}

impl UserChange {
    /// Whether the access tokens issued before it end with it. Only such a change bears the time from
    /// which they count; an earlier one has an earlier time.
    #[must_use]
    pub fn ends_tokens(&self) -> bool {
        self.user.tokens_from > Some(self.before)
    }
}

impl User {
    fn change(&self, at: Timestamp) -> UserChange {
        // Later than the last change even if the clock is not: it tells the two apart.
        let tick = self
            .updated_at
            .saturating_add(SignedDuration::from_micros(1));
        let mut user = self.clone();
        user.updated_at = tick.map_or(at, |tick| tick.max(at));
        UserChange {
            before: self.updated_at,
            user,
            password_hash: None,
            ends: None,
            spends: None,
            audit: Vec::new(),
        }
    }

    /// The change that a patch makes; `None` when everything is so already.
    ///
    /// A change of role ends the access tokens issued before it; a deactivation ends the sessions
    /// as well.
    #[must_use]
    pub fn patch(&self, patch: &Patch, doing: &Doing<'_>) -> Option<UserChange> {
        let mut change = self.change(doing.at);
        let user = &mut change.user;
        if let Some(name) = &patch.first_name {
            user.first_name = name.clone();
        }
        if let Some(name) = &patch.last_name {
            user.last_name = name.clone();
        }
        if let Some(phone) = &patch.phone {
            user.phone.clone_from(phone);
        }
        let profile = (&user.first_name, &user.last_name, &user.phone)
            != (&self.first_name, &self.last_name, &self.phone);
        if profile {
            change.audit.push(doing.entry(self.id, "profile_changed"));
        }
        if let Some(role) = patch.role.filter(|role| *role != self.role) {
            user.role = role;
            user.tokens_from = Some(user.updated_at);
            let word = |role: UserRole| Some(role.role().as_str().to_owned());
            change.audit.push(AuditEntry {
                from: word(self.role),
                to: word(role),
                ..doing.entry(self.id, "role_changed")
            });
        }
        if let Some(active) = patch.is_active.filter(|active| *active != self.is_active) {
            user.is_active = active;
            let action = if active { "activated" } else { "deactivated" };
            change.audit.push(doing.entry(self.id, action));
            if !active {
                user.tokens_from = Some(user.updated_at);
                change.ends = Some(Ending {
                    reason: "account deactivated",
                    except: None,
                });
            }
        }
        (!change.audit.is_empty()).then_some(change)
    }

    /// The change to another password: ends the sessions but the one it was asked for in, the
    /// access tokens issued before it, and the tokens for setting another.
    #[must_use]
    pub fn with_password(
        &self,
        hash: PasswordHash,
        keep: Option<SessionId>,
        doing: &Doing<'_>,
    ) -> UserChange {
        let mut change = self.change(doing.at);
        change.user.tokens_from = Some(change.user.updated_at);
        change.password_hash = Some(hash);
        change.ends = Some(Ending {
            reason: "password changed",
            except: keep,
        });
        change.spends = Some(Spending {
            purpose: Purpose::PasswordReset,
            token: None,
        });
        change.audit.push(doing.entry(self.id, "password_changed"));
        change
    }

    /// The change to another password with a token that was mailed: ends all sessions. Who has it
    /// reads the mails of the address, so that is verified as well.
    #[must_use]
    pub fn with_reset_password(
        &self,
        hash: PasswordHash,
        token: TokenHash,
        doing: &Doing<'_>,
    ) -> UserChange {
        let mut change = self.with_password(hash, None, doing);
        change.user.email_verified_at.get_or_insert(doing.at);
        change.spends = Some(Spending {
            purpose: Purpose::PasswordReset,
            token: Some(token),
        });
        change.audit = vec![doing.entry(self.id, "password_reset")];
        change
    }

    /// The change by a token that was mailed to the address.
    #[must_use]
    pub fn with_verified_email(&self, token: TokenHash, doing: &Doing<'_>) -> UserChange {
        let mut change = self.change(doing.at);
        change.user.email_verified_at.get_or_insert(doing.at);
        change.spends = Some(Spending {
            purpose: Purpose::EmailVerification,
            token: Some(token),
        });
        change.audit.push(doing.entry(self.id, "email_verified"));
        change
    }

    /// Whether an access token issued at this time, in milliseconds since 1970, still counts.
    #[must_use]
    pub fn counts_token_of(&self, issued_ms: u64) -> bool {
        let from = self.tokens_from.map(Timestamp::as_millisecond);
        from.is_none_or(|from| u64::try_from(from).is_ok_and(|from| issued_ms > from))
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use core_kernel::{Clock, SystemClock};

    use super::*;
    use crate::testing::account;

    fn patched(user: &User, patch: &Patch) -> Option<UserChange> {
        let context = RequestContext::generate();
        let at = SystemClock.now();
        user.patch(patch, &Doing::by(&user.caller(), at, &context))
    }

    #[test]
    fn a_patch_that_changes_nothing_is_no_change() {
        let user = account().user;
        let same = Patch {
            first_name: Some(user.first_name.clone()),
            phone: Some(user.phone.clone()),
            role: Some(user.role),
            is_active: Some(true),
            ..Patch::default()
        };
        assert_eq!(patched(&user, &same), None);
        assert_eq!(patched(&user, &Patch::default()), None);
    }

    #[test]
    fn a_change_of_role_ends_older_tokens_but_no_session() {
        let user = account().user;
        let patch = Patch {
            role: Some(UserRole::Admin),
            ..Patch::default()
        };
        let change = patched(&user, &patch).unwrap();
        let from = change
            .user
            .tokens_from
            .unwrap()
            .as_millisecond()
            .unsigned_abs();
        assert!(!change.user.counts_token_of(from) && change.user.counts_token_of(from + 1));
        assert_eq!((change.ends, change.audit.len()), (None, 1));
        assert_eq!(change.audit[0].from.as_deref(), Some("customer"));
        assert_eq!(change.audit[0].to.as_deref(), Some("admin"));
        assert!(change.user.updated_at > user.updated_at);
    }

    #[test]
    fn a_deactivation_ends_every_session() {
        let user = account().user;
        let patch = Patch {
            is_active: Some(false),
            ..Patch::default()
        };
        let change = patched(&user, &patch).unwrap();
        assert_eq!(change.ends.unwrap().except, None);
        assert_eq!(change.audit[0].action, "deactivated");
    }
}
