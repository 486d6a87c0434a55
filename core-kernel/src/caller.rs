//! Who calls.

use serde::{Deserialize, Serialize};

use crate::UserId;

/// What a caller is allowed to be (PRD §3.1, §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys; sees what is their own.
    Customer,
    /// Sees and moves everything.
    Admin,
    /// Another of our services; bypasses the ownership checks (PRD §8.2).
    Service,
}

impl Role {
    /// The word for it in tokens, tables and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

/// A caller whose token was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A customer.
    Customer(UserId),
    /// An administrator.
    Admin(UserId),
    /// A service, by the `sub` of its token (`notification-service`).
    Service(String),
}

impl Caller {
    /// The caller's role.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Customer(_) => Role::Customer,
            Self::Admin(_) => Role::Admin,
            Self::Service(_) => Role::Service,
        }
    }

    /// The caller's user id; `None` for a service.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Customer(id) | Self::Admin(id) => Some(*id),
            Self::Service(_) => None,
        }
    }

    /// Whether the caller may read what belongs to `owner`: their own, or anything for admins and
    /// services (PRD §4.2, §8.2).
    #[must_use]
    pub fn may_read(&self, owner: UserId) -> bool {
        match self {
            Self::Customer(id) => *id == owner,
            Self::Admin(_) | Self::Service(_) => true,
        }
    }

    /// The id as text: a UUID, or a service's name.
    #[must_use]
    pub fn id_text(&self) -> String {
        match self {
            Self::Customer(id) | Self::Admin(id) => id.to_string(),
            Self::Service(name) => name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_customers_are_held_to_their_own() {
        let (mine, theirs) = (UserId::generate(), UserId::generate());
        assert!(Caller::Customer(mine).may_read(mine));
        assert!(!Caller::Customer(mine).may_read(theirs));
        assert!(Caller::Admin(mine).may_read(theirs));
        assert!(Caller::Service("notification-service".into()).may_read(theirs));
    }
}
