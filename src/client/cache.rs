//! Session keys that were fetched, for as long as they may be used.
//!
//! A key leaves when its session ends, when an event says so, or when another generation takes its place. What remains
//! of it is the highest generation seen: nobody goes back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::session::{Cause, OVERLAP_S};

use crate::error::Error;
use crate::session::SessionKey;

/// All sessions of one party.
#[derive(Default)]
pub(crate) struct Cache {
    slots: Mutex<HashMap<SessionId, Arc<Slot>>>,
    /// Events that found no slot: a session that is just being opened may have been meant.
    missed: AtomicU64,
}

/// One session.
#[derive(Default)]
pub(crate) struct Slot {
    keys: Mutex<Keys>,
    /// Held while somebody fetches: the others wait for the outcome.
    pub(crate) flight: tokio::sync::Mutex<Flight>,
}

/// The fetches of one session.
#[derive(Default)]
pub(crate) struct Flight {
    /// Why the last one failed, and which it was.
    failed: Option<(u64, Error)>,
}

#[derive(Default)]
struct Keys {
    newest: Option<Arc<SessionKey>>,
    /// The generation before, and until when it opens.
    previous: Option<(Arc<SessionKey>, Timestamp)>,
    /// The highest generation seen.
    seen: u32,
    /// Whether the next generation is expected to replace that one.
    superseded: bool,
    /// How often keys were dropped: one that was asked for before that is not kept.
    drops: u64,
    /// Fetches begun.
    flights: u64,
    /// An event said that the session is over.
    over: bool,
    /// When the session ends, as far as is known.
    not_after: Option<Timestamp>,
}

impl Cache {
    /// The slot of a session, made when there is none.
    pub(crate) fn slot(&self, session: SessionId, now: Timestamp) -> Arc<Slot> {
        let mut slots = self.lock();
        if slots.len() >= SESSIONS_MAX && !slots.contains_key(&session) {
            make_room(&mut slots, now);
        }
        Arc::clone(slots.entry(session).or_default())
    }

    /// A session has a new generation.
    pub(crate) fn rotated(&self, session: SessionId, generation: u32, cause: Cause, at: Timestamp) {
        self.tell(session, |keys| keys.rotated(generation, cause, at));
    }

    /// A session is over: its key does not come back by another way either.
    pub(crate) fn over(&self, session: SessionId, at: Timestamp) {
        self.drop_keys(session);
        self.slot(session, at).lock().over = true;
    }

    /// What is known of a session may be out of date.
    pub(crate) fn drop_keys(&self, session: SessionId) {
        self.tell(session, Keys::drop_keys);
    }

    /// Drops every key that `stale` says so of.
    pub(crate) fn drop_keys_if(&self, stale: impl Fn(&SessionKey) -> bool) {
        self.missed.fetch_add(1, Ordering::Relaxed);
        for slot in self.lock().values() {
            let mut keys = slot.lock();
            if keys.newest.as_deref().is_none_or(&stale) {
                keys.drop_keys();
            }
        }
    }

    /// What is newest may have a successor: it is not given out again, and opens what is under way.
    pub(crate) fn supersede_if(&self, at: Timestamp, stale: impl Fn(&SessionKey) -> bool) {
        self.missed.fetch_add(1, Ordering::Relaxed);
        for slot in self.lock().values() {
            let mut keys = slot.lock();
            if keys.newest.as_deref().is_none_or(&stale) {
                keys.supersede(at);
            }
        }
    }

    /// How many events were missed: the key of a session that was opened meanwhile is not kept.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    fn tell(&self, session: SessionId, event: impl FnOnce(&mut Keys)) {
        let slot = self.lock().get(&session).cloned();
        match slot {
            Some(slot) => event(&mut slot.lock()),
            None => drop(self.missed.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The newest key, if it is here and may be used.
    pub(crate) fn newest(&self, now: Timestamp) -> Option<Arc<SessionKey>> {
        self.lock().newest.as_ref().filter(|key| now < key.not_after()).cloned()
    }

    /// The key of `generation`, if it is here and still opens.
    pub(crate) fn of_generation(&self, generation: u32, now: Timestamp) -> Option<Arc<SessionKey>> {
        let newest = self.newest(now).filter(|key| key.generation() == generation);
        newest.or_else(|| {
            let keys = self.lock();
            let (key, until) = keys.previous.as_ref()?;
            (key.generation() == generation && now < *until).then(|| Arc::clone(key))
        })
    }

    /// The highest generation seen.
    pub(crate) fn seen(&self) -> u32 {
        self.lock().seen
    }

    /// Whether an event said that the session is over.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// How often keys were dropped.
    pub(crate) fn drops(&self) -> u64 {
        self.lock().drops
    }

    /// How many fetches have begun: whoever waits for a later one shares its failure.
    pub(crate) fn flights(&self) -> u64 {
        self.lock().flights
    }

    /// Keeps a key that was asked for when keys had been dropped `drops` times. `false` when they were again, or when a
    /// newer generation was seen meanwhile: it must be asked for anew.
    pub(crate) fn put(&self, key: &Arc<SessionKey>, drops: u64) -> bool {
        let mut keys = self.lock();
        if keys.drops != drops || key.generation() < keys.seen {
            return false;
        }
        keys.put(key);
        true
    }

    /// As [`Slot::put`], for a key of before the newest, which opens for a while after that began.
    pub(crate) fn put_older(&self, key: &Arc<SessionKey>, drops: u64) -> bool {
        let mut keys = self.lock();
        if keys.drops != drops {
            return false;
        }
        let until = keys.newest.as_ref().filter(|newest| newest.generation() > key.generation());
        if let Some(until) = until.map(|newest| newest.not_before().after_s(OVERLAP_S)) {
            keys.previous = Some((Arc::clone(key), until));
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Begins a fetch.
    pub(crate) fn begin(slot: &Slot) -> u64 {
        let mut keys = slot.lock();
        keys.flights += 1;
        keys.flights
    }

    /// Remembers how a fetch ended.
    pub(crate) fn end(&mut self, flight: u64, error: Option<&Error>) {
        self.failed = error.map(|error| (flight, error.clone()));
    }

    /// The failure of a fetch that began after `arrived` ones had: mine would have met the same.
    pub(crate) fn failed_since(&self, arrived: u64) -> Option<Error> {
        self.failed.as_ref().filter(|(flight, _)| *flight > arrived).map(|(_, error)| error.clone())
    }
}

impl Keys {
    fn put(&mut self, key: &Arc<SessionKey>) {
        let next = self.superseded && self.seen.checked_add(1) == Some(key.generation());
        if key.generation() > self.seen && !next {
            // No event told of this one: what was newest may have gone with a revocation. The service knows.
            self.previous = None;
        }
        self.superseded = false;
        self.newest = Some(Arc::clone(key));
        self.seen = key.generation();
        self.not_after = Some(key.not_after());
    }

    fn rotated(&mut self, generation: u32, cause: Cause, at: Timestamp) {
        if cause == Cause::Revocation {
            self.previous = None;
        }
        if generation <= self.seen && self.newest.as_ref().is_some_and(|key| key.generation() == self.seen) {
            return; // we were told by the answer of a fetch
        }
        let newest = self.newest.take();
        self.previous = match cause {
            Cause::Asked | Cause::Policy | Cause::Pairing => {
                newest.filter(|key| key.generation().checked_add(1) == Some(generation))
            }
            Cause::Revocation => None,
        }
        .map(|key| (key, at.after_s(OVERLAP_S)));
        self.seen = self.seen.max(generation);
    }

    fn supersede(&mut self, at: Timestamp) {
        self.drops += 1;
        if let Some(key) = self.newest.take() {
            self.previous = Some((key, at.after_s(OVERLAP_S)));
            self.superseded = true;
        }
    }

    fn drop_keys(&mut self) {
        self.drops += 1;
        self.newest = None;
        self.previous = None;
    }
}

/// Forgets sessions that are over; of the others those that nobody is fetching, until there is room again.
fn make_room(slots: &mut HashMap<SessionId, Arc<Slot>>, now: Timestamp) {
    slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().not_after.is_some_and(|end| now < end));
    let excess = slots.len().saturating_sub(SESSIONS_MAX - SESSIONS_MAX / 8);
    let idle = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1).map(|(session, _)| *session);
    for session in idle.take(excess).collect::<Vec<_>>() {
        slots.remove(&session);
    }
}

/// Sessions whose keys are kept: those of a large gateway, in some 40 MiB.
const SESSIONS_MAX: usize = 65_536;

#[cfg(test)]
mod tests;
