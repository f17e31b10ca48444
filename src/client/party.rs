//! What a client and a server have in common: one pairing at one service, its policy, its session keys.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{PartyId, Role, ServerName, ServiceId, SessionId, UserName};
use sidekey_protocol::keys::ServiceKeys;
use sidekey_protocol::pairing::{self, Kek, PublicUrl};
use sidekey_protocol::policy::{self, Held, PolicyAnswer, Scope};
use sidekey_protocol::revocation::Shown;
use sidekey_protocol::session::envelope::{self, Bindings, Expected, Known, Opened, set};
use sidekey_protocol::session::wire;
use sidekey_protocol::session::{Capabilities, SuiteList};

use crate::ambient::Ambient;
use crate::blocking;
use crate::cache::{Cache, Flight, Slot};
use crate::error::{Error, Unavailable, Unintelligible, Usage};
use crate::heads::Heads;
use crate::kept::Kept;
use crate::keys;
use crate::keystore::KeyStore;
use crate::profile::{KeptPolicy, Profile};
use crate::rekey::{Epochs, Key};
use crate::session::SessionKey;
use crate::transport::{Identity, Transport, with_query};

/// One pairing, at work.
pub(crate) struct Party {
    pub(crate) transport: Transport,
    pub(crate) pairing: PartyId,
    pub(crate) server: ServerName,
    pub(crate) user: Option<UserName>,
    pub(crate) cache: Cache,
    pub(crate) service: ServiceId,
    pub(crate) service_keys: Mutex<Arc<ServiceKeys>>,
    pub(crate) offer: SuiteList,
    pub(crate) epochs: Arc<Epochs>,
    /// The last list that a client's server was heard to name.
    pub(crate) capabilities: Mutex<Option<Capabilities>>,
    policy: Mutex<Option<Arc<Held>>>,
    pub(crate) heads: Arc<Heads>,
    pub(crate) kept: Kept,
}

impl Party {
    /// The pairing that `store` keeps, which must be of this role.
    pub(crate) async fn open(
        store: Arc<dyn KeyStore>,
        ambient: Ambient,
        role: Role,
        others: &[PublicUrl],
    ) -> Result<Arc<Self>, Error> {
        let others = others.to_vec();
        blocking(move || {
            let profile = store.load()?.ok_or(Usage::Unpaired)?;
            if profile.role == role {
                Self::new(profile, &others, store, ambient).map(Arc::new)
            } else {
                Err(Usage::WrongRole.into())
            }
        })
        .await
    }

    fn new(
        profile: Profile,
        others: &[PublicUrl],
        store: Arc<dyn KeyStore>,
        ambient: Ambient,
    ) -> Result<Self, Error> {
        if profile.waiting.is_some_and(|waiting| !waiting.matched) {
            return Err(Error::Pending { detail: pairing::Reject::MatchPending.to_string() });
        }
        let others = [&profile.other_urls, others].concat();
        let key =
            SigningKey::from_pkcs8(&profile.signing_key.expose_pkcs8()).expect("it was a key a moment ago");
        let identity = Identity { party: profile.pairing, service: profile.service, key, kek: None };
        let policy = match (&profile.policy, &profile.user) {
            (Some(kept), Some(user)) => {
                let scope = Scope { service: profile.service, server: &profile.server, user };
                let keys = profile.service_keys.all();
                Some(keys::verify(&kept.jws, keys, &scope, Some(kept.seen))?)
            }
            _ => None,
        };
        let transport =
            Transport::at_several(&profile.url, &others, &profile.roots, ambient)?.signed(identity);
        let Profile { pairing, service, head, .. } = profile;
        let (server, user) = (profile.server.clone(), profile.user.clone());
        let (service_keys, offer) = (Arc::new(profile.service_keys.clone()), profile.offer.clone());
        let capabilities = profile.capabilities.clone();
        let kept = Kept::new(profile, store);
        let heads = Heads::of_profile(head, kept.clone());
        let epochs = Arc::new(Epochs::new(&kept));
        Ok(Self {
            transport: transport.showing(Arc::clone(&heads)).renewing(Arc::clone(&epochs)),
            pairing,
            server,
            user,
            cache: Cache::default(),
            service,
            service_keys: Mutex::new(service_keys),
            offer,
            epochs,
            capabilities: Mutex::new(capabilities),
            policy: Mutex::new(policy.map(Arc::new)),
            heads,
            kept,
        })
    }

    /// The newest key of a session: from the cache, or fetched once for all who ask meanwhile.
    pub(crate) async fn key(&self, session: SessionId) -> Result<Arc<SessionKey>, Error> {
        let slot = self.cache.slot(session, self.transport.now());
        self.once(
            &slot,
            || slot.newest(self.transport.now()),
            async || self.fetch_kept(&slot, session, None).await,
        )
        .await
    }

    /// The key of one generation: the newest, or the one before it while that still opens.
    pub(crate) async fn key_of(&self, session: SessionId, generation: u32) -> Result<Arc<SessionKey>, Error> {
        let slot = self.cache.slot(session, self.transport.now());
        let here = || slot.of_generation(generation, self.transport.now());
        let fetch = async || {
            // Most frames of a generation that is not here are of a new one.
            let known = slot.newest(self.transport.now()).filter(|key| key.generation() >= generation);
            let newest = match known {
                Some(newest) => newest,
                None => self.fetch_kept(&slot, session, None).await?,
            };
            if newest.generation() == generation {
                return Ok(newest);
            }
            self.fetch_kept(&slot, session, Some(generation)).await
        };
        self.once(&slot, here, fetch).await
    }

    /// What is `here` already, or what `fetch` brings: one at a time, and its failure is that of all who waited for it.
    async fn once(
        &self,
        slot: &Slot,
        here: impl Fn() -> Option<Arc<SessionKey>>,
        fetch: impl AsyncFnOnce() -> Result<Arc<SessionKey>, Error>,
    ) -> Result<Arc<SessionKey>, Error> {
        if let Some(key) = here() {
            return Ok(key);
        }
        let arrived = slot.flights();
        let mut last = slot.flight.lock().await;
        if let Some(key) = here() {
            return Ok(key);
        }
        if let Some(error) = last.failed_since(arrived) {
            return Err(error);
        }
        let flight = Flight::begin(slot);
        let outcome = fetch().await;
        last.end(flight, outcome.as_ref().err());
        outcome
    }

    /// Fetches until what came is not outdated by an event that came meanwhile.
    async fn fetch_kept(
        &self,
        slot: &Slot,
        session: SessionId,
        generation: Option<u32>,
    ) -> Result<Arc<SessionKey>, Error> {
        for _ in 0..FETCHES {
            let drops = slot.drops();
            let key = self.fetch(session, generation, slot.seen()).await?;
            let stands = match generation {
                None => slot.put(&key, drops),
                Some(_) => slot.put_older(&key, drops),
            };
            if stands {
                return Ok(key);
            }
        }
        Err(Error::Retry { after: Duration::from_secs(1), why: Unavailable::Busy })
    }

    pub(crate) async fn fetch(
        &self,
        session: SessionId,
        generation: Option<u32>,
        seen: u32,
    ) -> Result<Arc<SessionKey>, Error> {
        let path = format!("/v1/sessions/{session}/key");
        let path = match generation {
            None => path,
            Some(generation) => with_query(&path, &[("generation", &generation.to_string())]),
        };
        let keys = self.epochs.keys();
        let answer = self.transport.call(Method::GET, path).send::<wire::SessionKey>().await;
        if matches!(answer, Err(Error::Revoked { .. })) {
            self.cache.drop_keys_if(|_| true);
        }
        let asked = Asked { session: Some(session), generation, seen, keys, ..Asked::default() };
        self.accept(&answer?, asked).await
    }

    /// Opens an envelope and holds it against everything that this party knows. What stands beside the envelope in the
    /// answer is not looked at: only the envelope is sealed.
    pub(crate) async fn accept(
        &self,
        answer: &wire::SessionKey,
        asked: Asked<'_>,
    ) -> Result<Arc<SessionKey>, Error> {
        let (expected, now) = (self.expected(&asked), self.transport.now());
        let opened = self.open_under(&asked.keys, |kek| envelope::open(kek, &answer.key, &expected, now))?;
        self.agreed(opened, &asked).await
    }

    /// Opens an envelope around many keys, none of them held against anything yet.
    pub(crate) fn open_set(
        &self,
        asked: &Asked<'_>,
        keys: &str,
        count: usize,
    ) -> Result<Vec<Opened>, envelope::Reject> {
        self.open_under(&asked.keys, |kek| set::open_set(kek, keys, count))
    }

    pub(crate) fn expected<'a>(&'a self, asked: &Asked<'a>) -> Expected<'a> {
        Expected {
            service: self.service,
            server: &self.server,
            user: asked.user.or(self.user.as_ref()),
            pairing: self.pairing,
            session: asked.session,
            generation: asked.generation,
            generation_seen: asked.seen,
        }
    }

    /// What was opened and is bound as expected: does it follow from what this party knows?
    pub(crate) async fn agreed(&self, opened: Opened, asked: &Asked<'_>) -> Result<Arc<SessionKey>, Error> {
        self.agree(&opened.bindings, asked.capabilities).await?;
        let head = opened.bindings.head;
        let shown = self.heads.show(head).await;
        if shown != Shown::Fine {
            tracing::warn!(pairing = %self.pairing, ?shown, n = head.n(), "revocations missing at the service");
        }
        self.heard(&opened.bindings.capabilities).await;
        Ok(Arc::new(SessionKey::new(opened)))
    }

    /// Opens an envelope under the key that it names: one of those that its request may have been answered under, or one
    /// that came since.
    pub(crate) fn open_under<T>(
        &self,
        keys: &[Arc<Key>],
        open: impl Fn(&Kek) -> Result<T, envelope::Reject>,
    ) -> Result<T, envelope::Reject> {
        let mut opened = Err(envelope::Reject::KekForeign);
        for key in self.epochs.keys().iter().chain(keys) {
            opened = open(&key.kek);
            if !matches!(opened, Err(envelope::Reject::KekForeign)) {
                break;
            }
        }
        opened
    }

    /// Nobody was shown another list. A server holds no policy of its users: it knows its own capabilities alone.
    async fn agree(&self, bindings: &Bindings, capabilities: Option<&Capabilities>) -> Result<(), Error> {
        let Some(held) = self.policy() else {
            return match capabilities {
                Some(capabilities) if *capabilities != bindings.capabilities => {
                    Err(envelope::Reject::CapabilitiesForeign.into())
                }
                _ if !bindings.capabilities.contains(bindings.suite) => {
                    Err(envelope::Reject::SuiteDowngraded.into())
                }
                _ => Ok(()),
            };
        };
        let known = |policy| Known { policy, offer: Some(&self.offer), capabilities };
        match bindings.agree(&known(&held)) {
            // The enterprise has changed it: the new one must be newer.
            Err(envelope::Reject::PolicyForeign) => {
                Ok(bindings.agree(&known(&*self.refresh_policy().await?))?)
            }
            agreed => Ok(agreed?),
        }
    }

    /// The policy that this party holds; a server holds none.
    pub(crate) fn policy(&self) -> Option<Arc<Held>> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the policy, and keeps it when it is not older than the one held.
    pub(crate) async fn refresh_policy(&self) -> Result<Arc<Held>, Error> {
        let user = self.user.as_ref().ok_or(Usage::WrongRole)?;
        let scope = Scope { service: self.service, server: &self.server, user };
        let held = self.policy();
        let mut call = self.transport.call(Method::GET, "/v1/policy");
        if let Some(held) = &held {
            call = call.if_none_match(&policy::tag(&held.hash, &held.kid));
        }
        let Some(answer) = call.send_optional::<PolicyAnswer>().await? else {
            return held.ok_or(Unintelligible::Malformed.into());
        };
        let seen = held.as_ref().map(|held| held.seen());
        let fresh = self.verified(&answer.policy, &scope, seen).await?;
        fresh.policy.supported_by(&self.offer)?;
        // Durable before it is used: a restart must not go back to the older one. The same under another signature
        // takes its place too: what the key before signed will not count for ever.
        let kept = KeptPolicy { jws: answer.policy, seen: fresh.seen() };
        self.kept
            .update(move |profile| match &profile.policy {
                Some(other) if other.seen.version > kept.seen.version || *other == kept => false,
                _ => {
                    profile.policy = Some(kept.clone());
                    true
                }
            })
            .await?;
        let fresh = Arc::new(fresh);
        let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        match policy.as_ref() {
            // A later question was answered first.
            Some(held) if held.policy.version > fresh.policy.version => Ok(Arc::clone(held)),
            _ => {
                *policy = Some(Arc::clone(&fresh));
                Ok(fresh)
            }
        }
    }
}

/// What an envelope is the answer to.
#[derive(Default)]
pub(crate) struct Asked<'a> {
    pub(crate) session: Option<SessionId>,
    pub(crate) user: Option<&'a UserName>,
    pub(crate) generation: Option<u32>,
    /// The highest generation seen.
    pub(crate) seen: u32,
    pub(crate) capabilities: Option<&'a Capabilities>,
    /// What was held when it was asked.
    pub(crate) keys: Vec<Arc<Key>>,
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Party({})", self.pairing)
    }
}

/// Fetches that events may outrun before the caller is told to come back.
const FETCHES: u32 = 3;
