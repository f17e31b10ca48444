//! Session keys that arrive in COSE on another bearer than HTTPS: 127 octets, which name policy, capabilities and offer
//! by a hash alone.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sidekey_protocol::session::Capabilities;
use sidekey_protocol::session::envelope::cose::{self, Carried, Lists, Scope};
use sidekey_protocol::session::envelope::{Known, Reject};

use crate::error::{Error, Unavailable, Usage};
use crate::party::Party;
use crate::session::SessionKey;

impl Party {
    /// Opens such an envelope, holds it against what this party knows, and keeps its key.
    pub(crate) async fn accept_carried(&self, envelope: &[u8]) -> Result<Arc<SessionKey>, Error> {
        let user = self.user.as_ref().ok_or(Usage::WrongRole)?;
        let scope = Scope { service: self.service, server: &self.server, user, pairing: self.pairing };
        let now = self.transport.now();
        let carried = self.open_under(&[], |kek| cose::open(kek, envelope, &scope, now))?;
        let slot = self.cache.slot(carried.session, now);
        let drops = slot.drops();
        if slot.is_over() {
            return Err(Error::Expired);
        }
        if carried.generation < slot.seen() {
            return Err(Reject::GenerationOlder.into());
        }
        self.heads.show_n(carried.revocations).await;
        let lists = match self.lists(&carried) {
            Err(Reject::ContextForeign) => self.lists_of_the_service(&carried).await?,
            lists => lists?,
        };
        let key = Arc::new(SessionKey::carried(carried, user.clone(), lists));
        if slot.put(&key, drops) {
            return Ok(key);
        }
        // An event overtook it: the service knows.
        Err(Error::Retry { after: Duration::from_secs(1), why: Unavailable::Busy })
    }

    fn lists(&self, carried: &Carried) -> Result<Lists, Reject> {
        let held = self.policy().ok_or(Reject::ContextForeign)?;
        let capabilities = self.capabilities();
        carried.lists(&Known { policy: &held, offer: Some(&self.offer), capabilities: capabilities.as_ref() })
    }

    /// Policy or list have changed, or somebody was shown others: the same key, fetched over HTTPS, brings both.
    async fn lists_of_the_service(&self, carried: &Carried) -> Result<Lists, Error> {
        let (session, generation) = (carried.session, carried.generation);
        tracing::info!(pairing = %self.pairing, %session, "ctx differs: policy and capabilities are fetched");
        self.fetch(session, Some(generation), generation).await?;
        Ok(self.lists(carried)?)
    }

    /// The last list that this server was heard to name.
    fn capabilities(&self) -> Option<Capabilities> {
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the list that a server named, for envelopes that bring none: a client's alone.
    pub(crate) async fn heard(&self, capabilities: &Capabilities) {
        let changed = {
            let mut last = self.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = self.user.is_some() && last.as_ref() != Some(capabilities);
            if changed {
                *last = Some(capabilities.clone());
            }
            changed
        };
        if changed {
            let capabilities = capabilities.clone();
            let kept = self.kept.update(move |profile| {
                profile.capabilities = Some(capabilities.clone());
                true
            });
            if let Err(error) = kept.await {
                tracing::warn!(pairing = %self.pairing, %error, "the capabilities were not kept");
            }
        }
    }
}
