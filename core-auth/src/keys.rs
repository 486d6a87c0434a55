//! The keyring as it is now: secrets are rotated while the service runs.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::token::Keyring;

/// A keyring that can be replaced; clones share it. Reading it takes no lock.
#[derive(Clone, Debug)]
pub struct Keys(Arc<ArcSwap<Keyring>>);

impl Keys {
    /// These keys, until others come.
    #[must_use]
    pub fn new(keyring: Keyring) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keyring)))
    }

    /// The keyring as it is now. Whoever signs and reads in one piece of work holds on to it.
    #[must_use]
    pub fn current(&self) -> Arc<Keyring> {
        self.0.load_full()
    }

    /// Puts another keyring in its place, for all clones at once.
    pub fn replace(&self, keyring: Keyring) {
        self.0.store(Arc::new(keyring));
    }
}

#[cfg(test)]
mod tests {
    use core_kernel::{Clock, SystemClock};
    use jiff::SignedDuration;
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn a_secret_that_moved_to_the_previous_ones_still_verifies() {
        let [old, new] = ["a", "b"].map(|letter| SecretString::from(letter.repeat(32)));
        let keys = Keys::new(Keyring::new(&old, &[]).unwrap());
        let shared = keys.clone();
        let now = SystemClock.now();
        let hour = SignedDuration::from_hours(1);
        let token = keys.current().sign_service("support", now, hour).unwrap();
        keys.replace(Keyring::new(&new, std::slice::from_ref(&old)).unwrap());
        assert!(shared.current().read_bearer(&token, now).is_ok());
        let later = shared.current().sign_service("support", now, hour).unwrap();
        assert!(
            Keyring::new(&new, &[])
                .unwrap()
                .read_bearer(&later, now)
                .is_ok()
        );
        keys.replace(Keyring::new(&new, &[]).unwrap());
        assert!(shared.current().read_bearer(&token, now).is_err());
    }
}
