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

/// Whose things a list is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserScope {
    /// One user's.
    One(UserId),
    /// Everybody's.
    All,
}

/// Why a caller cannot have the scope they asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Customers see only their own (403).
    #[error("only your own can be listed")]
    Forbidden,
    /// A service owns nothing, so it must say whose it wants (400).
    #[error("a service must name a user or all")]
    Required,
}

impl UserScope {
    /// The scope that `caller` gets when asking for `requested`; their own when they do not ask.
    ///
    /// # Errors
    /// `Forbidden` for a customer who asks for another's, `Required` for a service that does not
    /// ask.
    pub fn resolve(caller: &Caller, requested: Option<Self>) -> Result<Self, ScopeError> {
        match (caller, requested) {
            (Caller::Customer(id), Some(scope)) if scope != Self::One(*id) => {
                Err(ScopeError::Forbidden)
            }
            (_, Some(scope)) => Ok(scope),
            (Caller::Customer(id) | Caller::Admin(id), None) => Ok(Self::One(*id)),
            (Caller::Service(_), None) => Err(ScopeError::Required),
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

    #[test]
    fn a_list_is_scoped_by_role() {
        let (mine, theirs) = (UserId::generate(), UserId::generate());
        let (one, other) = (UserScope::One(mine), UserScope::One(theirs));
        let service = Caller::Service("s".into());
        for (caller, requested, scope) in [
            (Caller::Customer(mine), None, Ok(one)),
            (Caller::Customer(mine), Some(one), Ok(one)),
            (
                Caller::Customer(mine),
                Some(other),
                Err(ScopeError::Forbidden),
            ),
            (
                Caller::Customer(mine),
                Some(UserScope::All),
                Err(ScopeError::Forbidden),
            ),
            (Caller::Admin(mine), None, Ok(one)),
            (Caller::Admin(mine), Some(other), Ok(other)),
            (
                Caller::Admin(mine),
                Some(UserScope::All),
                Ok(UserScope::All),
            ),
            (service.clone(), None, Err(ScopeError::Required)),
            (service, Some(other), Ok(other)),
        ] {
            assert_eq!(
                UserScope::resolve(&caller, requested),
                scope,
                "{caller:?} {requested:?}"
            );
        }
    }
}
