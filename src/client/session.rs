//! Session keys: what an app does with a pairing.

mod batch;
mod key;

use std::sync::Arc;

use http::Method;
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::{PartyId, Role, ServerName, SessionId, UserName};
use sidekey_protocol::pairing::PublicUrl;
use sidekey_protocol::policy::Held;
use sidekey_protocol::session::wire::{self, OpenSession, Session, Sessions};
use sidekey_protocol::session::{Audience, Capabilities};

use crate::ambient::Ambient;
use crate::error::{Error, Unintelligible};
use crate::keystore::KeyStore;
use crate::party::{Asked, Party};
use crate::revocation::Watch;
use crate::transport::{Transport, with_query};

pub use self::key::SessionKey;

/// A mail app's side of a pairing. Cheap to clone; all clones share one cache.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Party>);

impl Client {
    /// The pairing that `store` keeps. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Usage`]: there is none, or it is a server's. [`Error::Store`].
    pub async fn open(store: Arc<dyn KeyStore>, ambient: Ambient) -> Result<Self, Error> {
        Self::open_at(store, ambient, &[]).await
    }

    /// The same, at these addresses of the service besides those that the profile holds.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn open_at(
        store: Arc<dyn KeyStore>,
        ambient: Ambient,
        others: &[PublicUrl],
    ) -> Result<Self, Error> {
        Party::open(store, ambient, Role::Client, others).await.map(Self)
    }

    /// This pairing's id.
    #[must_use]
    pub fn pairing(&self) -> PartyId {
        self.0.pairing
    }

    /// The mail server that this pairing belongs to.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.0.server
    }

    /// The newest key of a session: from the cache while it holds, else from the service, once for all who ask at the
    /// same time. What an event or an answer has superseded is not given out again.
    ///
    /// # Errors
    /// [`Error::Expired`]: see [`Client::current`]. [`Error::Revoked`], [`Error::Downgrade`], [`Error::Retry`] …
    pub async fn session_key(&self, session: SessionId) -> Result<Arc<SessionKey>, Error> {
        self.0.key(session).await
    }

    /// The key of the generation that a frame names: for 120 s after a plain rotation the one before still opens.
    ///
    /// # Errors
    /// As [`Client::session_key`].
    pub async fn session_key_of(
        &self,
        session: SessionId,
        generation: u32,
    ) -> Result<Arc<SessionKey>, Error> {
        self.0.key_of(session, generation).await
    }

    /// The key in an envelope of 127 octets (`application/cose`) that came by another way than this crate's requests:
    /// in an SMS, say, however late and however often. It is kept as a fetched one is. Goes online only where the
    /// server's list of capabilities, or the policy, is not the one last seen, or where it was sealed before a revocation
    /// that this device knows of: the key is then the session's newest.
    ///
    /// # Errors
    /// [`Error::Tampered`]: altered, or for somebody else. [`Error::Expired`]: its time, or its session, is over.
    /// [`Error::Downgrade`] with `ContextForeign`: made under other lists than the service shows; with
    /// `GenerationOlder`: a newer key of that session was seen.
    pub async fn accept(&self, envelope: &[u8]) -> Result<Arc<SessionKey>, Error> {
        self.0.accept_carried(envelope).await
    }

    /// The user's live sessions, newest first.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn current(&self) -> Result<Vec<Session>, Error> {
        let answer: Sessions = self.0.transport.call(Method::GET, "/v1/sessions/current").send().await?;
        Ok(answer.items)
    }

    /// Asks for the policy, and keeps it.
    ///
    /// # Errors
    /// [`Error::Downgrade`]: it is older than the one held, or another under the same version.
    pub async fn policy(&self) -> Result<Arc<Held>, Error> {
        self.0.refresh_policy().await
    }

    /// Follows what happens to this user's sessions and to this pairing, for as long as the result lives. The cache is
    /// told first.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::start(&self.0)
    }

    /// For requests that this crate has no method for.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }
}

/// A mail server's or a gateway's side of a pairing. Cheap to clone; all clones share one cache.
#[derive(Clone, Debug)]
pub struct Server(pub(crate) Arc<Party>);

impl Server {
    /// The pairing that `store` keeps. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Usage`]: there is none, or it is a client's. [`Error::Store`].
    pub async fn open(store: Arc<dyn KeyStore>, ambient: Ambient) -> Result<Self, Error> {
        Self::open_at(store, ambient, &[]).await
    }

    /// The same, at these addresses of the service besides those that the profile holds.
    ///
    /// # Errors
    /// As [`Server::open`].
    pub async fn open_at(
        store: Arc<dyn KeyStore>,
        ambient: Ambient,
        others: &[PublicUrl],
    ) -> Result<Self, Error> {
        Party::open(store, ambient, Role::Server, others).await.map(Self)
    }

    /// This pairing's id.
    #[must_use]
    pub fn pairing(&self) -> PartyId {
        self.0.pairing
    }

    /// The mail server that this pairing belongs to.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.0.server
    }

    /// Opens a session for all devices of a user, or for one pairing, and gives its key. `ttl_s`: an hour unless said.
    /// One call opens one session, however often it must be repeated on the way.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such user or pairing, no suite in common, or `pairing_revoked`: the one that the session
    /// was to be for. [`Error::Retry`]: the session may be open nonetheless, unused; it expires.
    pub async fn issue(
        &self,
        audience: &Audience,
        ttl_s: Option<u32>,
        capabilities: &Capabilities,
    ) -> Result<Arc<SessionKey>, Error> {
        self.issue_by(audience, ttl_s, capabilities, &[]).await
    }

    /// The same, and has the key sent to the devices by these of the service's carriers too: each one only after those
    /// before it have given up. HTTPS is open all the same.
    ///
    /// # Errors
    /// As [`Server::issue`]; [`Error::Refused`] with `carrier_unknown`: the service has none of that name.
    pub async fn issue_by(
        &self,
        audience: &Audience,
        ttl_s: Option<u32>,
        capabilities: &Capabilities,
        deliver: &[CarrierName],
    ) -> Result<Arc<SessionKey>, Error> {
        let (user, pairing) = match audience {
            Audience::User(user) => (Some(user), None),
            Audience::Pairing(pairing) => (None, Some(*pairing)),
        };
        let request = OpenSession {
            user: user.cloned(),
            pairing,
            ttl: ttl_s,
            capabilities: capabilities.iter().map(str::to_owned).collect(),
            deliver: deliver.iter().map(ToString::to_string).collect(),
        };
        // Made once: whatever is repeated on the way is the same call.
        let once = self.0.transport.ambient().with_rng(|mut rng| SessionId::random(&mut rng)).to_string();
        let call = self.0.transport.call(Method::POST, "/v1/sessions").json(&request).idempotency_key(once);
        let (missed, keys) = (self.0.cache.missed(), self.0.epochs.keys());
        let answer = match call.send::<wire::SessionKey>().await {
            Err(Error::Revoked { reason, .. }) if pairing.is_some() => {
                return Err(self.whose_revocation(&reason).await);
            }
            answer => answer?,
        };
        let asked = Asked { user, capabilities: Some(capabilities), keys, ..Asked::default() };
        let key = self.0.accept(&answer, asked).await?;
        let slot = self.0.cache.slot(key.session(), self.0.transport.now());
        // Events find the slot from here on; one that came before may have been about this session.
        if self.0.cache.missed() == missed {
            slot.put(&key, slot.drops());
        }
        Ok(key)
    }

    /// The service says "revoked" of the pairing that a session was to be for as it says it of ourselves.
    async fn whose_revocation(&self, reason: &str) -> Error {
        match self.0.transport.call(Method::GET, "/v1/pairings/self").send::<serde::de::IgnoredAny>().await {
            Ok(_) => Error::Refused { code: "pairing_revoked".into(), detail: format!("revoked: {reason}") },
            Err(error) => error,
        }
    }

    /// Gives a session a new key. What was sealed under the one before opens for another 120 s.
    ///
    /// Not repeated when its answer is lost ([`Error::Retry`]): [`Server::session_key`] then says which generation is
    /// the newest.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn rotate(&self, session: SessionId) -> Result<Arc<SessionKey>, Error> {
        let slot = self.0.cache.slot(session, self.0.transport.now());
        let (drops, keys) = (slot.drops(), self.0.epochs.keys());
        let path = format!("/v1/sessions/{session}/rotate");
        let call = self.0.transport.call(Method::POST, path).json(&wire::Rotate {});
        // Even when the answer is lost, the newest may be another one now.
        let answer = call.send::<wire::SessionKey>().await;
        if answer.is_err() {
            self.0.cache.drop_keys(session);
        }
        let asked = Asked { session: Some(session), seen: slot.seen(), keys, ..Asked::default() };
        let key = self.0.accept(&answer?, asked).await?;
        slot.put(&key, drops);
        Ok(key)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As [`Error`] says; one that is over already is [`Error::Expired`].
    pub async fn end(&self, session: SessionId) -> Result<(), Error> {
        self.0.cache.drop_keys(session);
        let call = self.0.transport.call(Method::DELETE, format!("/v1/sessions/{session}"));
        match call.send_optional::<serde::de::IgnoredAny>().await? {
            None => Ok(()),
            Some(_) => Err(Unintelligible::Malformed.into()),
        }
    }

    /// The newest key of a session of this server: what to seal with.
    ///
    /// # Errors
    /// As [`Client::session_key`].
    pub async fn session_key(&self, session: SessionId) -> Result<Arc<SessionKey>, Error> {
        self.0.key(session).await
    }

    /// The key of the generation that a client's frame names.
    ///
    /// # Errors
    /// As [`Client::session_key`].
    pub async fn session_key_of(
        &self,
        session: SessionId,
        generation: u32,
    ) -> Result<Arc<SessionKey>, Error> {
        self.0.key_of(session, generation).await
    }

    /// A user's live sessions, newest first.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn sessions(&self, user: &UserName) -> Result<Vec<Session>, Error> {
        let path = with_query("/v1/sessions/current", &[("user", user.as_str())]);
        let answer: Sessions = self.0.transport.call(Method::GET, path).send().await?;
        Ok(answer.items)
    }

    /// Follows what happens to this server's sessions and to this pairing, for as long as the result lives. The cache
    /// is told first.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::start(&self.0)
    }

    /// For requests that this crate has no method for.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }
}

#[cfg(test)]
mod tests;
