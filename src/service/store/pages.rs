//! How the state stands on disk: keys and values, the same for sled and for whoever compares two states.
//!
//! Sessions go in as pages in order of issue, never changed once full, plus small deltas; everything else as single
//! values. A key's first octet says what it is; numbers are big-endian, so that keys sort as they were made.

#[cfg(test)]
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sidekey_protocol::session::{Capabilities, Generations, Suite};

use super::state::State;
use super::state::policy::Reach;
use super::state::sessions::Slot;
use super::view::EndReason;

/// A session with what it shares.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct StoredSession {
    pub(super) slot: Slot,
    pub(super) capabilities: Capabilities,
    pub(super) policy: [u8; 32],
    pub(super) offer: [u8; 32],
}

/// Sessions in order of issue, with one copy of what they share.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct StoredPage {
    capabilities: Vec<Capabilities>,
    hashes: Vec<[u8; 32]>,
    /// Where each stands, and what of the above is its own.
    sessions: Vec<(u8, Slot, u16, u16, u16)>,
}

/// What became of a session since its page was written.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Delta {
    pub(super) index: u8,
    pub(super) generations: Generations,
    pub(super) root: u32,
    pub(super) ended: Option<EndReason>,
    pub(super) suite: Suite,
    pub(super) policy: [u8; 32],
}

impl StoredPage {
    pub(super) fn push(&mut self, index: u8, stored: StoredSession) {
        let capabilities = position(&mut self.capabilities, stored.capabilities);
        let policy = position(&mut self.hashes, stored.policy);
        let offer = position(&mut self.hashes, stored.offer);
        self.sessions.push((index, stored.slot, capabilities, policy, offer));
    }

    /// Its sessions again, each with its place; `None` when it was not written by us.
    pub(super) fn sessions(self) -> Option<Vec<(u8, StoredSession)>> {
        let Self { capabilities, hashes, sessions } = self;
        let stored = sessions.into_iter().map(|(index, slot, ours, policy, offer)| {
            let capabilities = capabilities.get(usize::from(ours))?.clone();
            let policy = *hashes.get(usize::from(policy))?;
            let offer = *hashes.get(usize::from(offer))?;
            Some((index, StoredSession { slot, capabilities, policy, offer }))
        });
        stored.collect()
    }
}

fn position<T: PartialEq>(items: &mut Vec<T>, item: T) -> u16 {
    let found = items.iter().rposition(|other| *other == item);
    let at = found.unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    });
    u16::try_from(at).expect("a page has at most 256 sessions")
}

/// Names a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Delta { page: u32, seq: u64 },
    Delivery(u32),
    Global,
    Invitation(u32),
    Page(u32),
    Party(u32),
    Policy(Reach),
    Root(u32),
    Server(u32),
    User(u32),
}

impl Key {
    pub(super) fn encode(self) -> Vec<u8> {
        let numbered = |kind: u8, number: u32| {
            let mut key = vec![kind];
            key.extend_from_slice(&number.to_be_bytes());
            key
        };
        match self {
            Self::Delta { page, seq } => {
                let mut key = numbered(b'd', page);
                key.extend_from_slice(&seq.to_be_bytes());
                key
            }
            Self::Delivery(number) => numbered(b'o', number),
            Self::Global => vec![b'g'],
            Self::Invitation(number) => numbered(b'i', number),
            Self::Page(number) => numbered(b'p', number),
            Self::Party(number) => numbered(b'y', number),
            Self::Policy(Reach::Service) => numbered(b'a', 0),
            Self::Policy(Reach::Server(number)) => numbered(b'b', number),
            Self::Policy(Reach::User(number)) => numbered(b'c', number),
            Self::Root(number) => numbered(b'r', number),
            Self::Server(number) => numbered(b's', number),
            Self::User(number) => numbered(b'u', number),
        }
    }

    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (&kind, rest) = key.split_first()?;
        if kind == b'd' {
            let (page, seq) = rest.split_at_checked(4)?;
            let (page, seq) = (page.try_into().ok()?, seq.try_into().ok()?);
            return Some(Self::Delta { page: u32::from_be_bytes(page), seq: u64::from_be_bytes(seq) });
        }
        if kind == b'g' {
            return rest.is_empty().then_some(Self::Global);
        }
        let number = u32::from_be_bytes(rest.try_into().ok()?);
        match kind {
            b'a' => (number == 0).then_some(Self::Policy(Reach::Service)),
            b'b' => Some(Self::Policy(Reach::Server(number))),
            b'c' => Some(Self::Policy(Reach::User(number))),
            b'i' => Some(Self::Invitation(number)),
            b'o' => Some(Self::Delivery(number)),
            b'p' => Some(Self::Page(number)),
            b'r' => Some(Self::Root(number)),
            b's' => Some(Self::Server(number)),
            b'u' => Some(Self::User(number)),
            b'y' => Some(Self::Party(number)),
            _ => None,
        }
    }
}

/// A value, version octet first.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).expect("memory takes every octet")
}

/// The inverse of [`encode`]; `None` when it was not written by us.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    let (&version, rest) = value.split_first()?;
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) if version == VERSION => Some(value),
        _ => None,
    }
}

impl State {
    /// A session with what it shares.
    pub(super) fn stored(&self, slot: &Slot) -> StoredSession {
        let (capabilities, policy, offer) =
            (self.capabilities(slot).clone(), self.policy(slot), self.offer(slot));
        // Handles mean nothing on disk.
        let mut slot = slot.clone();
        (slot.capabilities, slot.policy, slot.offer) = (0, 0, 0);
        StoredSession { slot, capabilities, policy, offer }
    }

    /// What stands under `key` now; `None` when it is gone. Pages and deltas are made elsewhere.
    pub(super) fn value(&self, key: Key) -> Option<Vec<u8>> {
        match key {
            Key::Delta { .. } | Key::Page(_) => None,
            Key::Delivery(number) => self.outbox.get(number).map(encode),
            Key::Global => Some(encode(&self.global)),
            Key::Invitation(number) => self.invitations.get(&number).map(encode),
            Key::Party(number) => self.parties.get(number as usize).map(encode),
            Key::Policy(reach) => self.policies.get(&reach).map(encode),
            Key::Root(number) => self.roots.get(&number).map(encode),
            Key::Server(number) => self.servers.get(number as usize).map(encode),
            Key::User(number) => self.users.get(number as usize).map(encode),
        }
    }

    /// All of it, in one canonical form: two states are the same when these are.
    #[cfg(test)]
    pub(super) fn dump(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let numbers = |count: usize| 0..count as u32;
        let keys = std::iter::once(Key::Global)
            .chain(self.invitations.keys().map(|&number| Key::Invitation(number)))
            .chain(numbers(self.parties.len()).map(Key::Party))
            .chain(self.outbox.numbers().map(Key::Delivery))
            .chain(self.policies.keys().map(|&reach| Key::Policy(reach)))
            .chain(self.roots.keys().map(|&number| Key::Root(number)))
            .chain(numbers(self.servers.len()).map(Key::Server))
            .chain(numbers(self.users.len()).map(Key::User));
        let mut dump: BTreeMap<_, _> =
            keys.filter_map(|key| Some((key.encode(), self.value(key)?))).collect();
        for slot in self.sessions.iter() {
            let mut key = vec![b'S'];
            key.extend_from_slice(slot.id.as_bytes());
            dump.insert(key, encode(&self.stored(slot)));
        }
        dump
    }
}

const VERSION: u8 = 1;
