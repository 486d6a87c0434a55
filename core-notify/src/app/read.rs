//! Looking notifications up.

use std::sync::Arc;

use core_kernel::{Caller, NotificationId, Page, PageRequest, Role, Slice};

use crate::notification::{Notification, Summary};
use crate::ports::{
    Attempt, NotificationFilter, NotificationPosition, NotificationStore, StoreError,
};

/// Why a notification cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None has this id, or it is another's (404 both).
    #[error("no such notification")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the attempts at a notification cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AttemptsError {
    /// They are not for customers (403).
    #[error("not for this caller")]
    Forbidden,
    /// No notification has this id (404).
    #[error("no such notification")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What people can ask about notifications.
#[derive(Clone)]
pub struct Notifications {
    store: Arc<dyn NotificationStore>,
}

impl Notifications {
    /// The use cases on this store.
    #[must_use]
    pub fn new(store: Arc<dyn NotificationStore>) -> Self {
        Self { store }
    }

    /// One notification, if the caller may see it.
    ///
    /// # Errors
    /// `NotFound`, for another's too, or the store's.
    pub async fn get(
        &self,
        caller: &Caller,
        id: NotificationId,
    ) -> Result<Notification, FindError> {
        self.store
            .find(id)
            .await?
            .filter(|notification| caller.may_read(notification.summary.user_id))
            .ok_or(FindError::NotFound)
    }

    /// All attempts at a notification, oldest first, for admins and services.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or the store's.
    pub async fn attempts(
        &self,
        caller: &Caller,
        id: NotificationId,
    ) -> Result<Vec<Attempt>, AttemptsError> {
        if caller.role() == Role::Customer {
            return Err(AttemptsError::Forbidden);
        }
        let known = self.store.find(id).await?;
        known.ok_or(AttemptsError::NotFound)?;
        Ok(self.store.attempts(id).await?)
    }

    /// One page. The filter's scope was resolved by [`core_kernel::UserScope::resolve`].
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        filter: &NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Summary>, StoreError> {
        self.store.list(filter, page).await
    }

    /// Up to `limit` notifications that come after a position in their list. The filter's scope was
    /// resolved as for [`Notifications::list`].
    ///
    /// # Errors
    /// The store's.
    pub async fn list_after(
        &self,
        filter: &NotificationFilter,
        after: NotificationPosition,
        limit: u32,
    ) -> Result<Slice<Summary>, StoreError> {
        self.store.list_after(filter, after, limit).await
    }
}
