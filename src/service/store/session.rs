//! Sessions: opened once per idempotency key, their keys derived and never stored.

use std::collections::HashSet;

use sidekey_protocol::crypto::Secret;
use sidekey_protocol::delivery::Leg;
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, Role, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::policy::Policy;
use sidekey_protocol::policy::setting::Rules;
use sidekey_protocol::session::{
    Audience, Capabilities, Choice, Reject, SessionRoot, choose_of_one, choose_of_several,
};

use super::engine::{About, Desk, Verdict};
use super::record::{self, NewRoot, Opened, Record, RootOf};
use super::state::State;
use super::state::sessions::Slot;
use super::view::{Party, Session};
use super::{Error, Refused, Store};

/// A session to be opened.
#[derive(Debug)]
pub struct NewSession {
    /// The server pairing that asks.
    pub by: PartyId,
    /// Whom it is for.
    pub audience: Audience,
    /// How long, if it was asked for.
    pub ttl_s: Option<u32>,
    /// What the server said it can do.
    pub capabilities: Capabilities,
    /// The carriers that take its keys, in order.
    pub deliver: Vec<Leg>,
    /// What makes a repeat the same.
    pub idempotency: Idempotency,
}

/// Hashes of an idempotency key and of the body that came with it.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency {
    /// Of the key.
    pub key: [u8; 16],
    /// Of the body.
    pub body: [u8; 16],
}

/// A session as it stands, a generation of it that is given, and its key.
#[derive(Debug)]
pub struct Keyed {
    /// The session.
    pub session: Session,
    /// Which of its keys.
    pub generation: u32,
    /// The key.
    pub key: Secret<32>,
}

impl Store {
    /// Opens a session, or finds the one that the same request opened before.
    ///
    /// The user's session root of this epoch is made with its first session; issuing more writes no secret. The suite
    /// is chosen on what is durable: no policy and no device changes between the choice and the session.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server pairing, or not its pairing to open for; [`Refused::Conflict`];
    /// [`Refused::Ended`], [`Refused::Expired`]: the same request's session is; [`Refused::Lapsed`],
    /// [`Refused::Revoked`]: the server pairing, its server, or the pairing that it is for; [`Refused::Session`]: no
    /// device, no suite in common, a time out of range; [`Refused::SessionsFull`].
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
        let find = |state: &State| {
            let (by, _) = state.party(by)?;
            Some(state.sessions.find_key(by, &idempotency.key)?.user)
        };
        self.settle(find);
        let now = self.now();
        let state = self.shared.read();
        let slot = state.party(by).and_then(|(by, _)| state.sessions.find_key(by, &idempotency.key));
        slot.map(|slot| repeat(&state, slot, idempotency, now)).transpose()
    }

    /// A session that is open, or was until a moment ago.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<Session> {
        self.settle(|state| Some(state.find_session(id)?.user));
        let now = self.now();
        let state = self.shared.read();
        state.find_session(id).map(|slot| state.view_session(slot, now))
    }

    /// A user's open sessions, newest first.
    #[must_use]
    pub fn sessions_of(&self, server: &ServerName, user: &UserName) -> Vec<Session> {
        self.settle(|state| Some(state.user(server, user)?.0));
        let now = self.now();
        let state = self.shared.read();
        let Some((_, user)) = state.user(server, user) else { return Vec::new() };
        let slots = state.sessions.list(user.sessions).filter_map(|handle| state.sessions.get(handle));
        slots.filter(|slot| slot.is_open(now)).map(|slot| state.view_session(slot, now)).collect()
    }

    /// A session, and the key of the generation that is `asked` for, or of the newest. Session, generation, key, and
    /// whether `by`, who asks, is still live, are of one moment: what a revocation brings, the revoked never see. A
    /// session that does not concern the caller, as `admits` tells, is one that does not exist. It is asked with the state
    /// held: it asks the store for nothing.
    ///
    /// # Errors
    /// [`Refused::Lapsed`], [`Refused::Revoked`]: `by` is; [`Refused::Absent`]: no such party or session; [`Refused::Ended`],
    /// [`Refused::Expired`]: the session is; [`Refused::Session`]: the generation is over, or not made yet;
    /// [`crate::fault::Fault::Unsealable`].
    pub fn session_key(
        &self,
        by: PartyId,
        id: SessionId,
        asked: Option<u32>,
        admits: impl FnOnce(&Session, &Party) -> bool,
    ) -> Result<Keyed, Error> {
        self.settle(|state| Some(state.find_session(id)?.user));
        let now = self.now();
        let (session, generation, place, sealed) = {
            let state = self.shared.read();
            let (_, asking) = state.party(by).ok_or(Refused::Absent)?;
            asking.party.still_live()?;
            let slot = state.find_session(id).ok_or(Refused::Absent)?;
            let session = state.view_session(slot, now);
            if !admits(&session, &asking.party) {
                return Err(Refused::Absent.into());
            }
            still_open(slot, now)?;
            let generation = session.generations.fetch(asked, now).map_err(Refused::Session)?;
            let root = state.roots.get(&slot.root).ok_or(Refused::Ended)?;
            (session, generation, record::Secret::Root(slot.root, root.id).place(), root.sealed.clone())
        };
        let root = SessionRoot::from_secret(self.shared.at_rest.open_secret(place, &sealed)?);
        Ok(Keyed { session, generation, key: root.key(id, generation) })
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
    let (by, server) = opener(state, new.by)?;
    if let Some(slot) = state.sessions.find_key(by, &new.idempotency.key) {
        return repeat(state, slot, &new.idempotency, now).map(Verdict::Already);
    }
    let opened = opened(state, desk, server, new, &mut HashSet::new())?;
    let session = opened.session;
    let answer = move |state: &State| {
        state.find_session(session).map(|slot| state.view_session(slot, now)).expect("it was just opened")
    };
    Ok(Verdict::Commit(Record::Opened(Box::new(opened)), Box::new(answer)))
}

/// The handle of a live server pairing, and its server.
pub(super) fn opener(state: &State, by: PartyId) -> Result<(u32, &ServerName), Error> {
    let (handle, opener) = state.party(by).ok_or(Refused::Absent)?;
    opener.party.still_live()?;
    match opener.party.place() {
        Some((Role::Server, server, _)) => Ok((handle, server)),
        _ => Err(Refused::Absent.into()),
    }
}

/// What the journal will say of a new session; `rooted` are the users for whom the same record makes a fresh root.
pub(super) fn opened(
    state: &State,
    desk: &mut Desk<'_>,
    server: &ServerName,
    new: NewSession,
    rooted: &mut HashSet<UserName>,
) -> Result<Opened, Error> {
    let now = desk.now;
    let (user, audience) = match new.audience {
        Audience::User(user) => (user, None),
        Audience::Pairing(id) => (client_of(state, server, id)?, Some(id)),
    };
    let (policy, rules) = state.policy_of(server, &user);
    let ttl_s = rules.session_ttl_s(new.ttl_s).map_err(Refused::Session)?;
    let choice = choose(state, &policy, audience, &new.capabilities).map_err(Refused::Session)?;
    still_room(state, server, &user, &rules, now)?;
    let root = match state.user(server, &user).and_then(|(handle, _)| state.root_of_epoch(handle, now)) {
        Some(number) => RootOf::Epoch(number),
        None if !rooted.insert(user.clone()) => RootOf::Newest,
        None => RootOf::Fresh(fresh_root(desk)),
    };
    Ok(Opened {
        session: SessionId::random(desk.rng()),
        server: server.clone(),
        user,
        audience,
        root,
        suite: choice.suite,
        capabilities: new.capabilities,
        policy: Octets(policy.hash()),
        offer: Octets(choice.offer),
        not_after: now.after_s(ttl_s),
        idempotency: [new.idempotency.key, new.idempotency.body],
        deliver: new.deliver,
    })
}

/// The suite of a session for these, as the devices are that are live.
fn choose(
    state: &State,
    policy: &Policy,
    audience: Option<PartyId>,
    capabilities: &Capabilities,
) -> Result<Choice, Reject> {
    if let Some(pairing) = audience {
        let (_, found) = state.party(pairing).ok_or(Reject::AudienceUnknown)?;
        let offer = found.party.offer.as_ref().ok_or(Reject::AudienceUnknown)?;
        return choose_of_one(offer, &policy.suites, capabilities);
    }
    let (_, user) = state.user(&policy.server, &policy.user).ok_or(Reject::AudienceUnknown)?;
    let live = state.live(&user.pairings);
    if live.clone().next().is_none() {
        return Err(Reject::AudienceUnknown);
    }
    choose_of_several(live.filter_map(|party| party.offer.as_ref()), &policy.suites, capabilities)
}

/// Whether the user may have one more session. Those count too that ended before their time, since they are kept until
/// it is over; several that are opened in the same moment do not see one another.
fn still_room(
    state: &State,
    server: &ServerName,
    user: &UserName,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), Error> {
    let Some((_, user)) = state.user(server, user) else { return Ok(()) };
    if rules.admits_session(user.sessions_len as usize).is_ok() {
        return Ok(());
    }
    // Some may be over, and not swept yet.
    let slots = state.sessions.list(user.sessions).filter_map(|handle| state.sessions.get(handle));
    let kept = slots.map(|slot| slot.not_after).filter(|end| now < *end);
    let (kept, first) = kept.fold((0, Timestamp(u32::MAX)), |(n, first), end| (n + 1, first.min(end)));
    match rules.admits_session(kept) {
        Ok(()) => Ok(()),
        Err(_) => Err(Refused::SessionsFull { retry_after_s: first.since_s(now) }.into()),
    }
}

/// The session that the same request opened before.
pub(super) fn repeat(
    state: &State,
    slot: &Slot,
    idempotency: &Idempotency,
    now: Timestamp,
) -> Result<Session, Error> {
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
            match found.party.still_live() {
                Ok(()) => Ok(user.clone()),
                Err(refused @ Refused::Revoked(_)) => Err(refused.into()),
                // That it lapsed, waits or was refused is what a caller is told of itself.
                Err(_) => Err(Refused::Absent.into()),
            }
        }
        _ => Err(Refused::Absent.into()),
    }
}

fn still_open(slot: &Slot, now: Timestamp) -> Result<(), Error> {
    if now >= slot.not_after {
        return Err(Refused::Expired.into());
    }
    if slot.ended.is_some() { Err(Refused::Ended.into()) } else { Ok(()) }
}

pub(super) fn fresh_root(desk: &mut Desk<'_>) -> NewRoot {
    let mut id = [0; 16];
    rand_core::Rng::fill_bytes(desk.rng(), &mut id);
    let root = SessionRoot::random(desk.rng());
    // Only the number is missing yet, and the place is named by the id alone.
    let sealed = desk.seal(record::Secret::Root(0, id).place(), root.secret().expose());
    NewRoot { id, sealed }
}
