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

    /// Changes what a profile holds besides its epochs, and saves it when `change` says so. Where another process of this
    /// app has gone on to other epochs, the change is made in what that one kept: its epochs are never overwritten.
    pub(crate) async fn update(
        &self,
        change: impl Fn(&mut Profile) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let Self { profile, store } = self.clone();
        blocking(move || {
            let mut profile = profile.lock().unwrap_or_else(PoisonError::into_inner);
            if !change(&mut profile) {
                return Ok(());
            }
            let others =
                |found: &Profile| found.pairing == profile.pairing && names(found) != names(&profile);
            match store.load()?.filter(others) {
                None => store.save(&profile)?,
                Some(mut found) => {
                    if change(&mut found) {
                        store.save(&found)?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Changes the epochs, and saves the profile as it is held here when `change` says so.
    pub(crate) async fn update_epochs(
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
