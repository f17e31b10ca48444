//! A pairing that waits to be approved: the digits that its user reads out, and what has become of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::pairing::registry::Pairing;
use sidekey_protocol::pairing::{Approval, Digits, Need};
use sidekey_protocol::revocation::Reason;
use tokio::time::sleep;

use crate::admin;
use crate::ambient::Ambient;
use crate::blocking;
use crate::error::{Error, Usage};
use crate::kept::Kept;
use crate::keystore::KeyStore;
use crate::session::Client;
use crate::transport::{Identity, Transport};

/// What a profile keeps of a pairing that waits to be approved.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeptWaiting {
    /// What the device shows.
    pub digits: Digits,
    /// Whose word it waits for.
    pub approval: Approval,
    /// Whether this side knows whom it paired with: by a pin, or because its user said that the digits were taken.
    pub matched: bool,
}

/// How far a pairing's approval is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is active: open a [`Client`](crate::Client) or a [`Server`](crate::Server) on it.
    Active,
    /// It waits.
    Waits {
        /// For this.
        needs: Vec<Need>,
        /// Until then; afterwards it lapses.
        until: Timestamp,
    },
}

/// A pairing that is confirmed, and may do nothing until it is approved.
///
/// The app shows [`Confirmed::digits`]; its user reads them to whoever approves the device, who types them in. Where the
/// pairing was made without a pin, nothing but these digits tells that the device talks to the enterprise's own service: the
/// user then says so, with [`Confirmed::matches`], once they are told that the service took the digits.
pub struct Confirmed {
    transport: Transport,
    waiting: KeptWaiting,
    kept: Kept,
}

impl Confirmed {
    /// The pairing that `store` keeps; `None` when it needs no approval, or is known to be active. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Usage`]: the store is empty. [`Error::Store`].
    pub async fn open(store: Arc<dyn KeyStore>, ambient: Ambient) -> Result<Option<Self>, Error> {
        blocking(move || {
            let profile = store.load()?.ok_or(Usage::Unpaired)?;
            let Some(waiting) = profile.waiting else { return Ok(None) };
            let key = SigningKey::from_pkcs8(&profile.signing_key.expose_pkcs8())
                .expect("it was a key a moment ago");
            // It has one epoch, which needs no name, and may not make another.
            let identity = Identity { party: profile.pairing, service: profile.service, key, kek: None };
            let transport =
                Transport::at_several(&profile.url, &profile.other_urls, &profile.roots, ambient)?;
            let kept = Kept::new(profile, store);
            Ok(Some(Self { transport: transport.signed(identity), waiting, kept }))
        })
        .await
    }

    /// What this device shows, and its user reads out.
    #[must_use]
    pub const fn digits(&self) -> Digits {
        self.waiting.digits
    }

    /// Who may approve it.
    #[must_use]
    pub const fn approval(&self) -> Approval {
        self.waiting.approval
    }

    /// Asks how far it is.
    ///
    /// # Errors
    /// [`Error::PairAgain`]: refused, or not approved in time. [`Error::Revoked`], [`Error::Retry`] …
    pub async fn look(&self) -> Result<Progress, Error> {
        self.learn(self.transport.call(Method::GET, "/v1/pairings/self").send().await?).await
    }

    /// The user says that the enterprise took the digits of this device. Changes nothing where that is known by a pin.
    ///
    /// # Errors
    /// As [`Confirmed::look`].
    pub async fn matches(&self) -> Result<Progress, Error> {
        // Said twice is said.
        let call = self.transport.call(Method::POST, "/v1/pairings/self/match").repeatable();
        let pairing = call.send().await?;
        let matched = |profile: &mut crate::Profile| match &mut profile.waiting {
            Some(waiting) if !waiting.matched => {
                waiting.matched = true;
                true
            }
            _ => false,
        };
        self.kept.update(matched).await?;
        self.learn(pairing).await
    }

    /// Waits until it is approved: until nothing is missing but what its own user has to say. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// As [`Confirmed::look`], but for [`Error::Retry`]: it goes on asking.
    pub async fn approved(&self) -> Result<Progress, Error> {
        let mut pause = PAUSE;
        loop {
            match self.look().await {
                Ok(Progress::Waits { needs, .. }) if needs.contains(&Need::Approval) => {}
                Err(Error::Retry { after, .. }) => sleep(after).await,
                outcome => return outcome,
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn learn(&self, pairing: Pairing) -> Result<Progress, Error> {
        if let Some(waiting) = pairing.waiting {
            return Ok(Progress::Waits { needs: waiting.needs, until: waiting.until });
        }
        // Without its user's word, a service that says so is not known to be the enterprise's.
        let active = |profile: &mut crate::Profile| {
            let known = profile.waiting.is_some_and(|waiting| waiting.matched);
            known.then(|| profile.waiting = None).is_some()
        };
        self.kept.update(active).await?;
        Ok(Progress::Active)
    }
}

impl fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Confirmed({:?})", self.transport)
    }
}

/// What a user's device does about the others.
impl Client {
    /// The user's devices at this server, this one among them, oldest first.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn devices(&self) -> Result<Vec<Pairing>, Error> {
        admin::all(&self.0.transport, "/v1/pairings", &admin::PairingFilter::default()).await
    }

    /// Approves another device of the same user that waits for a device's word, with the digits that it shows.
    ///
    /// # Errors
    /// [`Error::Refused`] with `digits_mismatch`: nothing is approved, and the fifth mistake refuses the device; with
    /// `role_forbidden`: it waits for an administrator; with `approval_over`, `not_found`.
    pub async fn approve(&self, device: PartyId, digits: Digits) -> Result<Pairing, Error> {
        admin::approve(&self.0.transport, device, digits).await
    }

    /// Refuses another device of the same user that waits for a device's word, for good.
    ///
    /// # Errors
    /// [`Error::Refused`] with `role_forbidden`, `approval_over`, `not_found`.
    pub async fn refuse(&self, device: PartyId, reason: Option<Reason>) -> Result<Pairing, Error> {
        admin::refuse(&self.0.transport, device, reason).await
    }
}

/// Between two questions, at first and at last.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(15);
