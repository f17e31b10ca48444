//! Session keys that arrive on another bearer than HTTPS. An SMS brings COSE: 127 octets, which name policy, capabilities
//! and offer by a hash alone.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sidekey_protocol::ids::SessionId;
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
        let (session, generation, n) = (carried.session, carried.generation, carried.revocations);
        let agree = async || {
            self.heads.show_n(n).await;
            let lists = match self.lists(&carried) {
                Err(Reject::ContextForeign) => self.lists_of_the_service(&carried).await?,
                lists => lists?,
            };
            Ok(Arc::new(SessionKey::carried(carried, user.clone(), lists)))
        };
        self.delivered(session, generation, n, agree).await
    }

    /// A genuine envelope that a bearer brought, however late and however often: is its key still one? `agree` holds it
    /// against what this party knows of policy and lists; `n` is the service's count of revocations when it was sealed.
    pub(crate) async fn delivered(
        &self,
        session: SessionId,
        generation: u32,
        n: u64,
        agree: impl AsyncFnOnce() -> Result<Arc<SessionKey>, Error>,
    ) -> Result<Arc<SessionKey>, Error> {
        let now = self.transport.now();
        let slot = self.cache.slot(session, now);
        let drops = slot.drops();
        if slot.is_over() {
            return Err(Error::Expired);
        }
        if generation < slot.seen() {
            return Err(Reject::GenerationOlder.into());
        }
        let held = slot.newest(now).filter(|key| key.generation() == generation);
        // Sealed before a revocation that this party knows of. It may have been one of this very session, and who was
        // revoked may hold this key: the service knows.
        if held.is_none() && n < self.heads.n() {
            tracing::info!(pairing = %self.pairing, %session, n, "sealed before a revocation: fetched instead");
            return self.key(session).await;
        }
        let key = agree().await?;
        // Bearers deliver at least once: the key that is in use stays.
        if let Some(held) = held {
            return Ok(held);
        }
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
