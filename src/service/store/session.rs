//! Sessions: opened once per idempotency key, their keys derived and never stored.

use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, Role, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::session::{Audience, Capabilities, SessionRoot, Suite};

use super::engine::{About, Desk, Verdict};
use super::record::{self, NewRoot, Opened, Record, RootOf};
use super::state::State;
use super::state::sessions::Slot;
use super::view::Session;
use super::{Error, Refused, Store};

/// A session to be opened.
#[derive(Debug)]
pub struct NewSession {
    /// The server pairing that asks.
    pub by: PartyId,
    /// Whom it is for.
    pub audience: Audience,
    /// How long.
    pub ttl_s: u32,
    /// What binds its keys.
    pub terms: Terms,
    /// What makes a repeat the same.
    pub idempotency: Idempotency,
}

/// What binds a session's keys.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How object keys are used.
    pub suite: Suite,
    /// What the server said it can do.
    pub capabilities: Capabilities,
    /// Hash of the user's policy.
    pub policy_hash: [u8; 32],
    /// Hash of the offer the suite was chosen from.
    pub offer_hash: [u8; 32],
}

/// Hashes of an idempotency key and of the body that came with it.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency {
    /// Of the key.
    pub key: [u8; 16],
    /// Of the body.
    pub body: [u8; 16],
}

impl Store {
    /// Opens a session, or finds the one that the same request opened before.
    ///
    /// The user's session root of this epoch is made with its first session; issuing more writes no secret.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server pairing, or not its pairing to open for; [`Refused::Conflict`];
    /// [`Refused::Ended`], [`Refused::Expired`]: the same request's session is; [`Refused::Lapsed`],
    /// [`Refused::Revoked`]: the server pairing, its server, or the pairing that it is for.
    pub async fn open_session(&self, new: NewSession) -> Result<Session, Error> {
        let by = new.by;
        let about = About::one((by, new.idempotency.key));
        self.engine.commit(about, Some(by), move |state, desk| open(state, desk, new)).await
    }

    /// The session that the same request opened before, if one did: whatever else has changed since, a repeat is a
    /// repeat.
    ///
    /// # Errors
    /// [`Refused::Conflict`]; [`Refused::Ended`], [`Refused::Expired`]: the session is.
    pub fn opened_before(&self, by: PartyId, idempotency: &Idempotency) -> Result<Option<Session>, Error> {
        let now = self.now();
        let state = self.shared.read();
        let slot = state.party(by).and_then(|(by, _)| state.sessions.find_key(by, &idempotency.key));
        slot.map(|slot| repeat(&state, slot, idempotency, now)).transpose()
    }

    /// A session that is open, or was until a moment ago.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<Session> {
        let now = self.now();
        let state = self.shared.read();
        state.find_session(id).map(|slot| state.view_session(slot, now))
    }

    /// A user's open sessions, newest first.
    #[must_use]
    pub fn sessions_of(&self, server: &ServerName, user: &UserName) -> Vec<Session> {
        let now = self.now();
        let state = self.shared.read();
        let Some((_, user)) = state.user(server, user) else { return Vec::new() };
        let slots = state.sessions.list(user.sessions).filter_map(|handle| state.sessions.get(handle));
        slots.filter(|slot| slot.is_open(now)).map(|slot| state.view_session(slot, now)).collect()
    }

    /// The key of a generation that is still given: the newest, or the one that a plain rotation left open. Whether `by`,
    /// who asks, is still live is looked at in the same moment: what a revocation brings, the revoked never see.
    ///
    /// # Errors
    /// [`Refused::Lapsed`], [`Refused::Revoked`]: `by` is; [`Refused::Absent`]: no such party or session; [`Refused::Ended`]: the session, or the generation, is over;
    /// [`Refused::Expired`]; [`crate::fault::Fault::Unsealable`].
    pub fn session_key(&self, by: PartyId, id: SessionId, generation: u32) -> Result<Secret<32>, Error> {
        let now = self.now();
        let (place, sealed) = {
            let state = self.shared.read();
            let (_, asking) = state.party(by).ok_or(Refused::Absent)?;
            asking.party.still_live()?;
            let slot = state.find_session(id).ok_or(Refused::Absent)?;
            still_open(slot, now)?;
            slot.generations().fetch(Some(generation), now).map_err(|_| Refused::Ended)?;
            let root = state.roots.get(&slot.root).ok_or(Refused::Ended)?;
            (record::Secret::Root(slot.root, root.id).place(), root.sealed.clone())
        };
        let root = SessionRoot::from_secret(self.shared.at_rest.open_secret(place, &sealed)?);
        Ok(root.key(id, generation))
    }

    /// Makes the next generation; the one before opens a while longer.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::Ended`], [`Refused::Expired`].
    pub async fn rotate(&self, by: PartyId, id: SessionId) -> Result<Session, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let slot = state.find_session(id).ok_or(Refused::Absent)?;
            let now = desk.now;
            still_open(slot, now)?;
            slot.generations()
                .rotate(sidekey_protocol::session::Cause::Asked, now)
                .map_err(|_| Refused::Ended)?;
            let answer = move |state: &State| {
                state.find_session(id).map(|slot| state.view_session(slot, now)).expect("it was there")
            };
            Ok(Verdict::Commit(Record::Rotated { session: id }, Box::new(answer)))
        };
        self.engine.commit(About::one(id), Some(by), decide).await
    }

    /// Ends a session before its time.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::Ended`], [`Refused::Expired`].
    pub async fn end(&self, by: PartyId, id: SessionId) -> Result<(), Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            still_open(state.find_session(id).ok_or(Refused::Absent)?, desk.now)?;
            Ok(Verdict::Commit(Record::Ended { session: id }, Box::new(|_| ())))
        };
        self.engine.commit(About::one(id), Some(by), decide).await
    }
}

fn open(state: &State, desk: &mut Desk<'_>, new: NewSession) -> Result<Verdict<Session>, Error> {
    let now = desk.now;
    let (by, opener) = state.party(new.by).ok_or(Refused::Absent)?;
    opener.party.still_live()?;
    if let Some(slot) = state.sessions.find_key(by, &new.idempotency.key) {
        return repeat(state, slot, &new.idempotency, now).map(Verdict::Already);
    }
    let Some((Role::Server, server, _)) = opener.party.place() else { return Err(Refused::Absent.into()) };
    let (user, audience) = match new.audience {
        Audience::User(user) => (user, None),
        Audience::Pairing(id) => (client_of(state, server, id)?, Some(id)),
    };
    let root = match state.user(server, &user).and_then(|(handle, _)| state.root_of_epoch(handle, now)) {
        Some(number) => RootOf::Epoch(number),
        None => RootOf::Fresh(fresh_root(desk)),
    };
    let session = SessionId::random(desk.rng());
    let opened = Opened {
        session,
        server: server.clone(),
        user,
        audience,
        root,
        suite: new.terms.suite,
        capabilities: new.terms.capabilities,
        policy: Octets(new.terms.policy_hash),
        offer: Octets(new.terms.offer_hash),
        not_after: now.after_s(new.ttl_s),
        idempotency: [new.idempotency.key, new.idempotency.body],
    };
    let answer = move |state: &State| {
        state.find_session(session).map(|slot| state.view_session(slot, now)).expect("it was just opened")
    };
    Ok(Verdict::Commit(Record::Opened(Box::new(opened)), Box::new(answer)))
}

/// The session that the same request opened before.
fn repeat(state: &State, slot: &Slot, idempotency: &Idempotency, now: Timestamp) -> Result<Session, Error> {
    if slot.idempotency[1] != idempotency.body {
        return Err(Refused::Conflict.into());
    }
    still_open(slot, now)?;
    Ok(state.view_session(slot, now))
}

/// The user of a live client pairing at this server.
fn client_of(state: &State, server: &ServerName, id: PartyId) -> Result<UserName, Error> {
    let (_, found) = state.party(id).ok_or(Refused::Absent)?;
    match found.party.place() {
        Some((Role::Client, place, Some(user))) if place == server => {
            found.party.still_live()?;
            Ok(user.clone())
        }
        _ => Err(Refused::Absent.into()),
    }
}

fn still_open(slot: &Slot, now: Timestamp) -> Result<(), Error> {
    if slot.ended.is_some() {
        return Err(Refused::Ended.into());
    }
    if now >= slot.not_after { Err(Refused::Expired.into()) } else { Ok(()) }
}

pub(super) fn fresh_root(desk: &mut Desk<'_>) -> NewRoot {
    let mut id = [0; 16];
    rand_core::Rng::fill_bytes(desk.rng(), &mut id);
    let root = SessionRoot::random(desk.rng());
    // Only the number is missing yet, and the place is named by the id alone.
    let sealed = desk.seal(record::Secret::Root(0, id).place(), root.secret().expose());
    NewRoot { id, sealed }
}
