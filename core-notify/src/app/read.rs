//! Looking notifications up.

use std::sync::Arc;

use core_kernel::{Caller, NotificationId, Page, PageRequest};

use crate::notification::{Notification, Summary};
use crate::ports::{NotificationFilter, NotificationStore, StoreError};

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
}
