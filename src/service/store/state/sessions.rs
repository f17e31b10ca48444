//! Live sessions, packed: at most 200 octets each, indexes and idempotency entry included.
//!
//! A slot is 108 octets, in chunks that never move; each of the two indexes costs 5 octets an entry over a load of
//! 7/16 to 7/8, so 6 to 12; the lists by user are threaded through the slots.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::session::{Cause, Generations, OFFER_OF_SEVERAL, Suite};

use super::super::view::EndReason;

/// Nothing, where a handle could be.
pub(in super::super) const NONE: u32 = u32::MAX;

/// One session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in super::super) struct Slot {
    pub(in super::super) id: SessionId,
    /// Of its idempotency key and of the body that came with it.
    pub(in super::super) idempotency: [[u8; 16]; 2],
    pub(in super::super) user: u32,
    pub(in super::super) root: u32,
    pub(in super::super) by: u32,
    /// The one pairing it is for, or [`NONE`].
    pub(in super::super) audience: u32,
    /// Handles of what is shared.
    pub(in super::super) capabilities: u32,
    pub(in super::super) policy: u32,
    /// [`NONE`] for [`OFFER_OF_SEVERAL`].
    pub(in super::super) offer: u32,
    generation: u32,
    since: Timestamp,
    pub(in super::super) not_before: Timestamp,
    pub(in super::super) not_after: Timestamp,
    /// Where it stands on disk.
    #[serde(skip)]
    pub(in super::super) page: u32,
    /// Its neighbours in its user's list.
    #[serde(skip)]
    next: u32,
    #[serde(skip)]
    previous: u32,
    #[serde(skip)]
    pub(in super::super) index: u8,
    pub(in super::super) suite: Suite,
    cause: Cause,
    pub(in super::super) ended: Option<EndReason>,
}

impl Slot {
    /// Where it stands in its rotations.
    pub(in super::super) const fn generations(&self) -> Generations {
        Generations { current: self.generation, since: self.since, cause: self.cause }
    }

    pub(in super::super) const fn set_generations(&mut self, generations: Generations) {
        self.generation = generations.current;
        self.since = generations.since;
        self.cause = generations.cause;
    }

    /// Whether it may be forgotten.
    pub(in super::super) const fn is_over(&self, now: Timestamp) -> bool {
        self.not_after.after_s(KEPT_S).0 <= now.0
    }

    /// Whether it gives keys.
    pub(in super::super) fn is_open(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.not_after
    }
}

/// What a slot is made of.
#[derive(Debug)]
pub(in super::super) struct New {
    pub(in super::super) id: SessionId,
    pub(in super::super) idempotency: [[u8; 16]; 2],
    pub(in super::super) user: u32,
    pub(in super::super) root: u32,
    pub(in super::super) by: u32,
    pub(in super::super) audience: u32,
    pub(in super::super) capabilities: u32,
    pub(in super::super) policy: u32,
    pub(in super::super) offer: u32,
    pub(in super::super) not_before: Timestamp,
    pub(in super::super) not_after: Timestamp,
    pub(in super::super) suite: Suite,
}

impl New {
    pub(in super::super) const fn slot(self) -> Slot {
        let first = Generations::first(self.not_before);
        Slot {
            id: self.id,
            idempotency: self.idempotency,
            user: self.user,
            root: self.root,
            by: self.by,
            audience: self.audience,
            capabilities: self.capabilities,
            policy: self.policy,
            offer: self.offer,
            generation: first.current,
            since: first.since,
            not_before: self.not_before,
            not_after: self.not_after,
            page: 0,
            next: NONE,
            previous: NONE,
            index: 0,
            suite: self.suite,
            cause: first.cause,
            ended: None,
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(in super::super) struct Sessions {
    chunks: Vec<Vec<Option<Slot>>>,
    free: Vec<u32>,
    by_id: HashTable<u32>,
    by_key: HashTable<u32>,
    hasher: RandomState,
    /// How far the sweep has come.
    swept: u32,
    len: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            by_id: HashTable::new(),
            by_key: HashTable::new(),
            hasher: RandomState::new(),
            swept: 0,
            len: 0,
        }
    }
}

impl Sessions {
    /// Puts a session in, at the head of its user's list, and returns its handle.
    pub(in super::super) fn insert(&mut self, slot: Slot, head: &mut u32) -> u32 {
        let handle = self.put(slot, head);
        self.index(handle);
        handle
    }

    /// The same of one of many, which is found by nothing but its list until [`Self::index_all`].
    pub(in super::super) fn put(&mut self, mut slot: Slot, head: &mut u32) -> u32 {
        let handle = self.place();
        (slot.next, slot.previous) = (*head, NONE);
        if *head != NONE {
            self.slot_mut(*head).previous = handle;
        }
        *head = handle;
        self.chunks[handle as usize / CHUNK][handle as usize % CHUNK] = Some(slot);
        self.len += 1;
        handle
    }

    /// Lets all of them be found. Each index is made once, at its size: made larger with every doubling, it looks for most of
    /// what it holds again, which costs more than the rest of a start.
    pub(in super::super) fn index_all(&mut self) {
        self.by_id = HashTable::with_capacity(self.len);
        self.by_key = HashTable::with_capacity(self.len);
        for handle in 0..u32::try_from(self.chunks.len() * CHUNK).unwrap_or(NONE) {
            if self.get(handle).is_some() {
                self.index(handle);
            }
        }
    }

    fn index(&mut self, handle: u32) {
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        let at = |handle: u32| slot_at(chunks, handle).expect("an index names a session");
        let id = |handle: u32| hasher.hash_one(at(handle).id);
        let key = |handle: u32| hasher.hash_one((at(handle).by, at(handle).idempotency[0]));
        self.by_id.insert_unique(id(handle), handle, |&other| id(other));
        self.by_key.insert_unique(key(handle), handle, |&other| key(other));
    }

    /// Takes a session out, of its user's list and of the indexes.
    pub(in super::super) fn remove(&mut self, handle: u32, head: &mut u32) -> Option<Slot> {
        let slot = self.get(handle)?;
        let (id, key) = (self.hash_id(slot.id), self.hash_key(slot.by, &slot.idempotency[0]));
        if let Ok(entry) = self.by_id.find_entry(id, |&other| other == handle) {
            entry.remove();
        }
        if let Ok(entry) = self.by_key.find_entry(key, |&other| other == handle) {
            entry.remove();
        }
        let slot = self.chunks[handle as usize / CHUNK][handle as usize % CHUNK].take()?;
        if slot.next != NONE {
            self.slot_mut(slot.next).previous = slot.previous;
        }
        match slot.previous {
            NONE => *head = slot.next,
            previous => self.slot_mut(previous).next = slot.next,
        }
        self.free.push(handle);
        self.len -= 1;
        Some(slot)
    }

    pub(in super::super) fn get(&self, handle: u32) -> Option<&Slot> {
        slot_at(&self.chunks, handle)
    }

    pub(in super::super) fn get_mut(&mut self, handle: u32) -> Option<&mut Slot> {
        self.chunks.get_mut(handle as usize / CHUNK)?.get_mut(handle as usize % CHUNK)?.as_mut()
    }

    pub(in super::super) fn find(&self, id: SessionId) -> Option<(u32, &Slot)> {
        let at = |&handle: &u32| self.get(handle).is_some_and(|slot| slot.id == id);
        let handle = *self.by_id.find(self.hash_id(id), at)?;
        Some((handle, self.get(handle)?))
    }

    /// The session that this party opened under that idempotency key.
    pub(in super::super) fn find_key(&self, by: u32, key: &[u8; 16]) -> Option<&Slot> {
        let at =
            |&handle: &u32| self.get(handle).is_some_and(|slot| slot.by == by && slot.idempotency[0] == *key);
        self.get(*self.by_key.find(self.hash_key(by, key), at)?)
    }

    /// The handles of the list that begins at `head`, newest first.
    pub(in super::super) fn list(&self, head: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(head).filter(|&head| head != NONE), |&handle| {
            self.get(handle).map(|slot| slot.next).filter(|&next| next != NONE)
        })
    }

    /// Those whose handles are `handle` or more, in the order of handles: each keeps its own for as long as it lives.
    pub(in super::super) fn beginning_at(&self, handle: u32) -> impl Iterator<Item = (u32, &Slot)> {
        let places = u32::try_from(self.chunks.len() * CHUNK).unwrap_or(NONE);
        (handle..places).filter_map(|handle| Some((handle, self.get(handle)?)))
    }

    /// All of them, in no order that means anything.
    #[cfg(test)]
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().flatten().flatten()
    }

    pub(in super::super) const fn len(&self) -> usize {
        self.len
    }

    /// Looks at the next `count` places and returns the handles of sessions that were over before `now`.
    pub(in super::super) fn sweep(&mut self, count: usize, now: Timestamp) -> Vec<u32> {
        let places = self.chunks.len() * CHUNK;
        let mut over = Vec::new();
        for _ in 0..count.min(places) {
            self.swept = if self.swept as usize + 1 < places { self.swept + 1 } else { 0 };
            if self.get(self.swept).is_some_and(|slot| slot.is_over(now)) {
                over.push(self.swept);
            }
        }
        over
    }

    fn place(&mut self) -> u32 {
        if self.free.is_empty() {
            let first = u32::try_from(self.chunks.len() * CHUNK).expect("fewer than 2^32 sessions are live");
            self.chunks.push(std::iter::repeat_with(|| None).take(CHUNK).collect());
            self.free.extend((first..first + CHUNK as u32).rev());
        }
        self.free.pop().expect("a chunk has places")
    }

    fn slot_mut(&mut self, handle: u32) -> &mut Slot {
        self.get_mut(handle).expect("a list names sessions")
    }

    fn hash_id(&self, id: SessionId) -> u64 {
        self.hasher.hash_one(id)
    }

    fn hash_key(&self, by: u32, key: &[u8; 16]) -> u64 {
        self.hasher.hash_one((by, *key))
    }
}

fn slot_at(chunks: &[Vec<Option<Slot>>], handle: u32) -> Option<&Slot> {
    chunks.get(handle as usize / CHUNK)?.get(handle as usize % CHUNK)?.as_ref()
}

/// Whether an offer hash needs no handle.
pub(in super::super) fn is_of_several(offer: &[u8; 32]) -> bool {
    *offer == OFFER_OF_SEVERAL
}

/// Seconds for which a session that is over still tells its parties so.
pub(in super::super) const KEPT_S: u32 = 120;
/// Sessions in a piece of memory.
const CHUNK: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_small() {
        let slot = size_of::<Option<Slot>>();
        // Both indexes at their emptiest, and a free-list entry.
        let cost = slot + 2 * 12 + 4;
        assert!(cost <= 200, "{cost} octets");
        assert_eq!(slot, 108);
    }

    fn id(n: u16) -> [u8; 16] {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        id
    }

    fn numbered(n: u16) -> Slot {
        let new = New {
            id: SessionId::from_bytes(id(n)),
            idempotency: [id(n); 2],
            user: 0,
            root: 0,
            by: 7,
            audience: NONE,
            capabilities: 0,
            policy: 0,
            offer: NONE,
            not_before: Timestamp(0),
            not_after: Timestamp(100),
            suite: Suite::A256gcm,
        };
        new.slot()
    }

    #[test]
    fn what_was_put_in_together_is_found_like_what_came_alone() {
        let (mut sessions, mut head) = (Sessions::default(), NONE);
        sessions.insert(numbered(0), &mut head);
        let second = sessions.put(numbered(1), &mut head);
        // More than one piece of memory holds.
        for n in 2..3000 {
            sessions.put(numbered(n), &mut head);
        }
        sessions.remove(second, &mut head).unwrap();
        sessions.index_all();
        sessions.insert(numbered(3000), &mut head);
        for n in 0..=3000 {
            let is_there = n != 1;
            assert_eq!(sessions.find(SessionId::from_bytes(id(n))).is_some(), is_there, "{n}");
            assert_eq!(sessions.find_key(7, &id(n)).is_some(), is_there, "{n}");
        }
        assert_eq!((sessions.len(), sessions.list(head).count()), (3000, 3000));
        assert_eq!((sessions.beginning_at(0).count(), sessions.beginning_at(2999).count()), (3000, 1));
    }

    #[test]
    fn what_was_taken_out_is_in_no_index_and_what_was_not_is_found() {
        let (mut sessions, mut head) = (Sessions::default(), NONE);
        let handles: Vec<u32> = (0..100).map(|n| sessions.insert(numbered(n), &mut head)).collect();
        for &handle in handles.iter().step_by(2) {
            sessions.remove(handle, &mut head).unwrap();
        }
        assert_eq!((sessions.by_id.len(), sessions.by_key.len(), sessions.len()), (50, 50, 50));
        for n in (1..100).step_by(2) {
            assert!(sessions.find(SessionId::from_bytes(id(n))).is_some(), "{n}");
            assert!(sessions.find_key(7, &id(n)).is_some(), "{n}");
        }
    }
}
