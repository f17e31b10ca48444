//! How the state stands on disk: keys and values, the same for sled and for whoever compares two states.
//!
//! Sessions go in as pages in order of issue, never changed once full, plus small deltas; everything else as single
//! values. A key's first octet says what it is; numbers are big-endian, so that keys sort as they were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::session::{Capabilities, Generations, Suite};

use super::journal::Position;
use super::state::credentials::Kept;
use super::state::outbox::Entry as Delivery;
use super::state::policy::Reach;
use super::state::sessions::Slot;
use super::state::{PartyState, State};
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
    Credential(u32),
    Delta { page: u32, seq: u64 },
    Delivery(u32),
    Global,
    Invitation(u32),
    Page(u32),
    Party(u32),
    Policy(Reach),
    Root(u32),
    Server(u32),
    Tally(u32),
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
            Self::Credential(number) => numbered(b'k', number),
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
            Self::Tally(number) => numbered(b't', number),
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
            b'k' => Some(Self::Credential(number)),
            b'o' => Some(Self::Delivery(number)),
            b'p' => Some(Self::Page(number)),
            b'r' => Some(Self::Root(number)),
            b's' => Some(Self::Server(number)),
            b't' => Some(Self::Tally(number)),
            b'u' => Some(Self::User(number)),
            b'y' => Some(Self::Party(number)),
            _ => None,
        }
    }
}

/// Makes a state of the keys and values that it stood under, in their order.
#[derive(Debug, Default)]
pub(super) struct Loader {
    state: State,
    parties: Vec<PartyState>,
    credentials: Vec<(u32, Kept)>,
    deliveries: Vec<(u32, Delivery)>,
    /// Those that came before the rest had.
    pages: Vec<(u32, StoredPage)>,
    /// The rest has come.
    pub(super) settled: bool,
    deltas: BTreeMap<u32, Vec<Delta>>,
    known: BTreeMap<u32, OnPage>,
}

/// A page's end, and the deltas that stand on it.
#[derive(Debug)]
pub(super) struct OnPage {
    pub(super) not_after: Timestamp,
    pub(super) deltas: Vec<u64>,
}

impl Default for OnPage {
    fn default() -> Self {
        Self { not_after: Timestamp(0), deltas: Vec::new() }
    }
}

/// The values are not what was written.
#[derive(Debug, thiserror::Error)]
#[error("the pages are not what was written")]
pub(super) struct Altered;

impl Loader {
    /// Takes the next one.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Altered> {
        let state = &mut self.state;
        match Key::decode(key).ok_or(Altered)? {
            Key::Delta { page, seq } => {
                self.deltas.entry(page).or_default().extend(load::<Vec<Delta>>(value)?);
                self.known.entry(page).or_default().deltas.push(seq);
            }
            Key::Credential(number) => self.credentials.push((number, load(value)?)),
            Key::Delivery(number) => self.deliveries.push((number, load(value)?)),
            Key::Global => state.global = load(value)?,
            Key::Invitation(number) => state.load_invitation(number, load(value)?),
            Key::Page(number) if self.settled => self.page(number, load(value)?)?,
            Key::Page(number) => self.pages.push((number, load(value)?)),
            Key::Party(_) => self.parties.push(load(value)?),
            Key::Policy(reach) => drop(state.policies.insert(reach, load(value)?)),
            Key::Root(number) => drop(state.roots.insert(number, load(value)?)),
            Key::Server(_) => drop(state.load_server(load(value)?)),
            Key::Tally(number) => state.load_tally(number, load(value)?),
            Key::User(_) => drop(state.load_user(load(value)?).map_err(|_| Altered)?),
        }
        Ok(())
    }

    /// Everything but pages has been taken. What comes now is put in at once, so that no page is held twice.
    pub(super) fn settle(&mut self, last_at: Timestamp) -> Result<(), Altered> {
        for party in std::mem::take(&mut self.parties) {
            self.state.load_party(party).map_err(|_| Altered)?;
        }
        for (number, kept) in std::mem::take(&mut self.credentials) {
            self.state.load_credential(number, kept).map_err(|_| Altered)?;
        }
        for (number, delivery) in std::mem::take(&mut self.deliveries) {
            self.state.load_delivery(number, delivery).map_err(|_| Altered)?;
        }
        self.state.last_at = last_at;
        for (number, page) in std::mem::take(&mut self.pages) {
            self.page(number, page)?;
        }
        self.settled = true;
        Ok(())
    }

    /// The state as it was at `position`, and its pages.
    pub(super) fn finish(
        mut self,
        position: Position,
        last_at: Timestamp,
    ) -> Result<(State, BTreeMap<u32, OnPage>), Altered> {
        if !self.settled {
            self.settle(last_at)?;
        }
        self.state.sessions.index_all();
        self.state.position = position;
        Ok((self.state, self.known))
    }

    fn page(&mut self, number: u32, page: StoredPage) -> Result<(), Altered> {
        let mut newest = BTreeMap::new();
        for delta in self.deltas.remove(&number).unwrap_or_default() {
            newest.insert(delta.index, delta);
        }
        let known = self.known.entry(number).or_default();
        for (index, mut stored) in page.sessions().ok_or(Altered)? {
            known.not_after = known.not_after.max(stored.slot.not_after);
            if let Some(delta) = newest.remove(&index) {
                stored.slot.set_generations(delta.generations);
                (stored.slot.root, stored.slot.ended) = (delta.root, delta.ended);
                (stored.slot.suite, stored.policy) = (delta.suite, delta.policy);
            }
            stored.slot.index = index;
            stored.slot.page = number;
            self.state.load_session(stored).map_err(|_| Altered)?;
        }
        Ok(())
    }
}

fn load<T: DeserializeOwned>(value: &[u8]) -> Result<T, Altered> {
    decode(value).ok_or(Altered)
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

/// The first part of a value, whatever comes after it.
pub(super) fn decode_head<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    let (&version, rest) = value.split_first()?;
    postcard::take_from_bytes(rest).ok().filter(|_| version == VERSION).map(|(head, _)| head)
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
            Key::Credential(number) => self.credentials.get(number).map(encode),
            Key::Delivery(number) => self.outbox.get(number).map(encode),
            Key::Global => Some(encode(&self.global)),
            Key::Invitation(number) => self.invitations.get(&number).map(encode),
            Key::Party(number) => self.parties.get(number as usize).map(encode),
            Key::Policy(reach) => self.policies.get(&reach).map(encode),
            Key::Root(number) => self.roots.get(&number).map(encode),
            Key::Server(number) => self.servers.get(number as usize).map(encode),
            Key::Tally(number) => self.tallies.get(number).map(encode),
            Key::User(number) => self.users.get(number as usize).map(encode),
        }
    }

    /// All of it, as a [`Loader`] takes it.
    pub(super) fn values(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut values = self.singles();
        // What is over is not loaded.
        let slots = self.in_order_of_issue().into_iter().filter_map(|handle| self.sessions.get(handle));
        let slots: Vec<&Slot> = slots.filter(|slot| !slot.is_over(self.last_at)).collect();
        for (number, slots) in (1..).zip(slots.chunks(PAGE_SESSIONS)) {
            let mut page = StoredPage::default();
            (0..=u8::MAX).zip(slots).for_each(|(index, slot)| page.push(index, self.stored(slot)));
            values.insert(Key::Page(number).encode(), encode(&page));
        }
        values
    }

    /// All of it, in one canonical form: two states are the same when these are.
    #[cfg(test)]
    pub(super) fn dump(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut dump = self.singles();
        for slot in self.sessions.iter() {
            let mut key = vec![b'S'];
            key.extend_from_slice(slot.id.as_bytes());
            dump.insert(key, encode(&self.stored(slot)));
        }
        dump
    }

    /// All but the sessions.
    fn singles(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let numbers = |count: usize| 0..count as u32;
        let keys = std::iter::once(Key::Global)
            .chain(self.invitations.keys().map(|&number| Key::Invitation(number)))
            .chain(numbers(self.parties.len()).map(Key::Party))
            .chain(self.credentials.numbers().map(Key::Credential))
            .chain(self.outbox.numbers().map(Key::Delivery))
            .chain(self.tallies.numbers().map(Key::Tally))
            .chain(self.policies.keys().map(|&reach| Key::Policy(reach)))
            .chain(self.roots.keys().map(|&number| Key::Root(number)))
            .chain(numbers(self.servers.len()).map(Key::Server))
            .chain(numbers(self.users.len()).map(Key::User));
        keys.filter_map(|key| Some((key.encode(), self.value(key)?))).collect()
    }
}

/// Keys from here on, up to there, name pages and nothing else.
pub(super) const PAGES: [&[u8]; 2] = [b"p", b"q"];
/// Sessions on a full page.
pub(super) const PAGE_SESSIONS: usize = 256;
const VERSION: u8 = 1;
