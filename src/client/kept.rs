//! The profile at work: in memory, and where it is kept.

use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking;
use crate::error::Error;
use crate::keystore::KeyStore;
use crate::profile::Profile;
use crate::rekey::names;

/// One profile and its key store. Clones share it.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Locked off the async threads alone: saving it blocks.
    profile: Arc<Mutex<Profile>>,
    store: Arc<dyn KeyStore>,
}

impl Kept {
    pub(crate) fn new(profile: Profile, store: Arc<dyn KeyStore>) -> Self {
        Self { profile: Arc::new(Mutex::new(profile)), store }
    }

    /// Looks at the profile. Blocks while another saves it.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Profile) -> T) -> T {
        look(&self.profile.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the profile, and saves it when `change` says so.
    pub(crate) async fn update(
        &self,
        change: impl FnOnce(&mut Profile) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let Self { profile, store } = self.clone();
        blocking(move || {
            let mut profile = profile.lock().unwrap_or_else(PoisonError::into_inner);
            if change(&mut profile) { store.save(&profile).map_err(Error::from) } else { Ok(()) }
        })
        .await
    }

    /// The same for what is not about epochs: a profile in which another process of this app has gone on to other ones is
    /// left as it is. The change stays in memory, and is saved with a later one.
    pub(crate) async fn note(
        &self,
        change: impl FnOnce(&mut Profile) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let Self { profile, store } = self.clone();
        blocking(move || {
            let mut profile = profile.lock().unwrap_or_else(PoisonError::into_inner);
            if !change(&mut profile) || store.load()?.is_some_and(|found| names(&found) != names(&profile)) {
                return Ok(());
            }
            store.save(&profile).map_err(Error::from)
        })
        .await
    }

    /// Looks at the profile, and at what another process may have kept in its place meanwhile; takes that when `newer`
    /// says so, and says whether it did.
    pub(crate) async fn reload(
        &self,
        newer: impl FnOnce(&Profile, &Profile) -> bool + Send + 'static,
    ) -> Result<bool, Error> {
        let Self { profile, store } = self.clone();
        blocking(move || {
            let mut profile = profile.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(found) = store.load()? else { return Ok(false) };
            let takes = found.pairing == profile.pairing && newer(&profile, &found);
            if takes {
                *profile = found;
            }
            Ok(takes)
        })
        .await
    }
}
