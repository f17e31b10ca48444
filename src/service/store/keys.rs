//! Signing keys: which one signs, and how another takes over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sidekey_protocol::crypto::{SigningKey, VerifyingKey};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::keys::Statement;
use sidekey_protocol::keys::wire::{KeysAnswer, ServiceKey};

use super::at_rest::AtRest;
use super::engine::{About, Desk, Verdict};
use super::record::{self, KeyRotated, Record};
use super::state::State;
use super::{Error, Refused, Store};
use crate::fault::Fault;

/// A signing key, open.
#[derive(Debug)]
pub struct Signer {
    /// The service's first has number 0.
    pub number: u32,
    /// The key.
    pub key: SigningKey,
    /// Its public half.
    pub public: VerifyingKey,
}

/// What a rotation did, or would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysRotated {
    /// The key that signs from now on; there is none while it was only asked.
    pub active: Option<ServiceKey>,
    /// The key that it took over from.
    pub previous: ServiceKey,
    /// Open invitations that outlast the key that their links name.
    pub invitations_cut: u32,
}

/// The keys that were opened: opening one costs as much as signing with it.
#[derive(Debug)]
pub(super) struct Signers(Mutex<BTreeMap<u32, Arc<Signer>>>);

impl Signers {
    /// With the active key, so that one that cannot be opened is found before anybody is served.
    pub(super) fn open(state: &State, at_rest: &AtRest) -> Result<Self, Fault> {
        let signers = Self(Mutex::default());
        let active = state.global.keys.active().ok_or(Fault::Missing)?.number;
        signers.find(state, at_rest, active, state.last_at)?.ok_or(Fault::Unsealable)?;
        Ok(signers)
    }

    /// The key of this number, while it may sign.
    fn find(
        &self,
        state: &State,
        at_rest: &AtRest,
        number: u32,
        now: Timestamp,
    ) -> Result<Option<Arc<Signer>>, Fault> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = &state.global.keys;
        open.retain(|&number, _| keys.in_force(number, now).is_some());
        let Some(found) = keys.in_force(number, now) else { return Ok(None) };
        if let Some(signer) = open.get(&number) {
            return Ok(Some(signer.clone()));
        }
        let Some(sealed) = &found.sealed else { return Ok(None) };
        let place = record::Secret::Service(state.global.service, number).place();
        let key = SigningKey::from_pkcs8(&at_rest.open_sealed(place, sealed)?);
        let key = key.map_err(|_| Fault::Unsealable)?;
        let signer = Arc::new(Signer { number, public: key.verifying_key(), key });
        open.insert(number, signer.clone());
        Ok(Some(signer))
    }
}

impl Store {
    /// The key that signs.
    ///
    /// # Errors
    /// [`Fault::Unsealable`].
    pub fn signer(&self) -> Result<Arc<Signer>, Fault> {
        let state = self.shared.read();
        let active = state.global.keys.active().ok_or(Fault::Unsealable)?.number;
        let found = self.signers.find(&state, &self.shared.at_rest, active, self.now())?;
        found.ok_or(Fault::Unsealable)
    }

    /// The key of this number; `None` once its time is over.
    ///
    /// # Errors
    /// [`Fault::Unsealable`].
    pub fn signer_of(&self, number: u32) -> Result<Option<Arc<Signer>>, Fault> {
        let state = self.shared.read();
        self.signers.find(&state, &self.shared.at_rest, number, self.now())
    }

    /// All keys, as everybody may see them, and their statements.
    #[must_use]
    pub fn keys(&self) -> KeysAnswer {
        let now = self.now();
        let state = self.shared.read();
        let keys = &state.global.keys;
        let shown = keys.iter().rev().filter_map(|key| shown(key, key.until, now));
        let statements = keys.iter().filter_map(|key| key.statement.clone());
        KeysAnswer { service: state.global.service, keys: shown.collect(), statements: statements.collect() }
    }

    /// How long the active key has been signing.
    #[must_use]
    pub fn signing_key_age_s(&self) -> u32 {
        let since = self.shared.read().global.keys.active().map(|key| key.since);
        since.map_or(0, |since| self.now().since_s(since))
    }

    /// Makes another key, which takes over from the one that `from` names. What that one signed counts for
    /// `overlap_s` seconds more.
    ///
    /// # Errors
    /// [`Refused::Stale`]: another took over before.
    pub async fn rotate_key(&self, by: PartyId, from: String, overlap_s: u32) -> Result<KeysRotated, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| rotate(state, desk, &from, overlap_s);
        self.engine.commit(About::Everything, Some(by), decide).await
    }

    /// What [`Self::rotate_key`] would do at this moment; changes nothing.
    ///
    /// # Errors
    /// As [`Self::rotate_key`].
    pub fn would_rotate_key(&self, from: &str, overlap_s: u32) -> Result<KeysRotated, Error> {
        let now = self.now();
        would(&self.shared.read(), from, overlap_s, now)
    }
}

fn rotate(
    state: &State,
    desk: &mut Desk<'_>,
    from: &str,
    overlap_s: u32,
) -> Result<Verdict<KeysRotated>, Error> {
    let now = desk.now;
    let would = would(state, from, overlap_s, now)?;
    let service = state.global.service;
    let before = state.global.keys.active().ok_or(Fault::Unsealable)?;
    let number = before.number.checked_add(1).ok_or(Refused::Stale)?;
    let sealed = before.sealed.as_ref().ok_or(Fault::Unsealable)?;
    let place = record::Secret::Service(service, before.number).place();
    let old = SigningKey::from_pkcs8(&desk.at_rest().open_sealed(place, sealed)?);
    let old = old.map_err(|_| Fault::Unsealable)?;
    let new = SigningKey::generate(desk.rng());
    let until = now.after_s(overlap_s);
    let statement = Statement { service, number, key: new.verifying_key(), at: now, until };
    let place = record::Secret::Service(service, number).place();
    let rotated = KeyRotated {
        number,
        public: super::open::spki(&statement.key),
        key: desk.seal(place, &new.expose_pkcs8()),
        until,
        statement: statement.signed_by(&old),
    };
    let answer = move |state: &State| KeysRotated {
        active: state.global.keys.active().and_then(|key| shown(key, None, now)),
        ..would
    };
    Ok(Verdict::Commit(Record::KeyRotated(Box::new(rotated)), Box::new(answer)))
}

fn would(state: &State, from: &str, overlap_s: u32, now: Timestamp) -> Result<KeysRotated, Error> {
    let active = state.global.keys.active().ok_or(Fault::Unsealable)?;
    let until = now.after_s(overlap_s);
    let previous = shown(active, Some(until), now).ok_or(Fault::Unsealable)?;
    if previous.kid != from {
        return Err(Refused::Stale.into());
    }
    let named = state.invitations.values().filter(|invited| invited.key == active.number);
    let cut = named.filter(|invited| invited.is_open(now) && until < invited.expires);
    Ok(KeysRotated {
        active: None,
        previous,
        invitations_cut: u32::try_from(cut.count()).unwrap_or(u32::MAX),
    })
}

fn shown(key: &super::state::SigningKey, until: Option<Timestamp>, now: Timestamp) -> Option<ServiceKey> {
    let Octets(spki) = &key.public;
    let public = VerifyingKey::from_spki(spki).ok()?;
    Some(ServiceKey::at(&public, key.number, (key.since, until), now))
}
