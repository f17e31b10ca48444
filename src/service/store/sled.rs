//! The state on disk, behind the journal: written in the background together with the position that it reflects.
//!
//! Nothing is acknowledged through it. It saves replaying the whole journal at the next start, and is believed only as
//! far as its own seal goes: the position stands beside a keyed sum over every key and value, so whatever sled or the
//! disk forgot, mixed up or was made to say is found at open, and the state is then rebuilt from the journal.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::{Secret, mac};
use sidekey_protocol::ids::Timestamp;

use super::journal::Position;
use super::pages::{Delta, Key, StoredPage, decode, encode};
use super::state::State;
use super::state::sessions::KEPT_S;

/// What the pages reflect.
#[derive(Debug, Deserialize, Serialize)]
struct Mark {
    seq: u64,
    hash: [u8; 32],
    last_at: Timestamp,
    sum: [u64; 4],
}

/// The database, open.
pub(super) struct Behind {
    database: sled::Db,
    /// sled's one file: what its own flush leaves to `sync_file_range`, we sync.
    file: File,
    key: Secret<32>,
    sum: Sum,
    /// Each page's end, and the deltas that stand on it.
    pages: BTreeMap<u32, Page>,
}

#[derive(Debug)]
struct Page {
    not_after: Timestamp,
    deltas: Vec<u64>,
}

/// Why the pages are of no use. The journal has it all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    #[error("sled panicked")]
    Panicked,
    #[error("the pages are not what was written")]
    Altered,
    #[error("sync")]
    Sync(#[from] std::io::Error),
}

impl Behind {
    /// Opens the pages in `folder`, and the state that they hold; an empty state when there are none.
    pub(super) fn open(folder: &Path, key: Secret<32>) -> Result<(Self, State), Unusable> {
        // sled meets some kinds of damage with a panic.
        catch_unwind(AssertUnwindSafe(|| Self::load(folder, key))).unwrap_or(Err(Unusable::Panicked))
    }

    /// Moves what is of no use out of the way, for whoever wants to look at it.
    pub(super) fn set_aside(folder: &Path) -> std::io::Result<PathBuf> {
        let name = |n: u32| folder.with_extension(format!("damaged-{n}"));
        let aside = (1..).map(name).find(|path| !path.exists()).expect("a number is free");
        fs::rename(folder, &aside)?;
        Ok(aside)
    }

    fn load(folder: &Path, key: Secret<32>) -> Result<(Self, State), Unusable> {
        let database = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_SIZE)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput)
            .open()?;
        let file = File::open(folder.join("db"))?;
        // sled syncs no folder: without this its file may be gone after a power cut, however well that was synced.
        File::open(folder)?.sync_all()?;
        if let Some(parent) = folder.parent() {
            File::open(parent)?.sync_all()?;
        }
        let mut behind = Self { database, file, key, sum: Sum::default(), pages: BTreeMap::new() };
        let state = behind.read()?;
        Ok((behind, state))
    }

    fn read(&mut self) -> Result<State, Unusable> {
        let mut state = State::default();
        let mut pages = Vec::new();
        let mut deltas: BTreeMap<u32, Vec<Vec<Delta>>> = BTreeMap::new();
        let mut mark = None;
        let mut parties = Vec::new();
        let mut deliveries = Vec::new();
        for item in self.database.iter() {
            let (key, value) = item?;
            if *key == *MARK {
                mark = Some(value);
                continue;
            }
            self.sum.add(&self.key, &key, &value);
            match Key::decode(&key).ok_or(Unusable::Altered)? {
                Key::Delta { page, seq } => {
                    deltas.entry(page).or_default().push(load(&value)?);
                    let known = self.pages.entry(page);
                    known.or_insert(Page { not_after: Timestamp(0), deltas: Vec::new() }).deltas.push(seq);
                }
                Key::Delivery(number) => deliveries.push((number, load(&value)?)),
                Key::Global => state.global = load(&value)?,
                Key::Invitation(number) => state.load_invitation(number, load(&value)?),
                Key::Page(number) => pages.push((number, load::<StoredPage>(&value)?)),
                Key::Party(_) => parties.push(load(&value)?),
                Key::Policy(reach) => {
                    state.policies.insert(reach, load(&value)?);
                }
                Key::Root(number) => {
                    state.roots.insert(number, load(&value)?);
                }
                Key::Server(_) => {
                    state.load_server(load(&value)?);
                }
                Key::User(_) => {
                    state.load_user(load(&value)?).map_err(|_| Unusable::Altered)?;
                }
            }
        }
        let Some(mark) = mark else {
            return if self.sum == Sum::default() { Ok(state) } else { Err(Unusable::Altered) };
        };
        let mark = self.verify(&mark)?;
        for party in parties {
            state.load_party(party).map_err(|_| Unusable::Altered)?;
        }
        for (number, delivery) in deliveries {
            state.load_delivery(number, delivery).map_err(|_| Unusable::Altered)?;
        }
        state.last_at = mark.last_at;
        for (number, page) in pages {
            self.read_page(&mut state, number, page, deltas.remove(&number).unwrap_or_default())?;
        }
        state.position = Position { seq: mark.seq, hash: mark.hash };
        Ok(state)
    }

    fn read_page(
        &mut self,
        state: &mut State,
        number: u32,
        page: StoredPage,
        deltas: Vec<Vec<Delta>>,
    ) -> Result<(), Unusable> {
        let mut newest = BTreeMap::new();
        for delta in deltas.into_iter().flatten() {
            newest.insert(delta.index, delta);
        }
        let known = self.pages.entry(number).or_insert(Page { not_after: Timestamp(0), deltas: Vec::new() });
        for (index, mut stored) in page.sessions().ok_or(Unusable::Altered)? {
            known.not_after = known.not_after.max(stored.slot.not_after);
            if let Some(delta) = newest.remove(&index) {
                stored.slot.set_generations(delta.generations);
                (stored.slot.root, stored.slot.ended) = (delta.root, delta.ended);
                (stored.slot.suite, stored.policy) = (delta.suite, delta.policy);
            }
            stored.slot.index = index;
            stored.slot.page = number;
            state.load_session(stored).map_err(|_| Unusable::Altered)?;
        }
        Ok(())
    }

    fn verify(&self, mark: &[u8]) -> Result<Mark, Unusable> {
        let (tag, text) = mark.split_at_checked(32).ok_or(Unusable::Altered)?;
        sidekey_protocol::crypto::equal(tag, &mac(&self.key, &[MARK, text]))
            .map_err(|_| Unusable::Altered)?;
        let mark: Mark = load(text)?;
        if mark.sum == self.sum.0 { Ok(mark) } else { Err(Unusable::Altered) }
    }

    /// The first page number that was never used.
    pub(super) fn next_page(&self) -> u32 {
        self.pages.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// Writes a change of state. Returns once it is durable: only then does its position count.
    pub(super) fn write(&mut self, change: Change) -> Result<(), Unusable> {
        let Change { position, last_at, values, pages, deltas } = change;
        let mut batch = sled::Batch::default();
        for (key, value) in values {
            self.put(&mut batch, key, value)?;
        }
        for (number, not_after, page) in pages {
            let known = self.pages.entry(number).or_insert(Page { not_after, deltas: Vec::new() });
            known.not_after = known.not_after.max(not_after);
            self.put(&mut batch, Key::Page(number), Some(encode(&page)))?;
        }
        for (page, deltas) in deltas {
            let Some(known) = self.pages.get_mut(&page) else { continue };
            known.deltas.push(position.seq);
            self.put(&mut batch, Key::Delta { page, seq: position.seq }, Some(encode(&deltas)))?;
        }
        self.drop_pages(&mut batch, last_at)?;
        let text = encode(&Mark { seq: position.seq, hash: position.hash, last_at, sum: self.sum.0 });
        let mark = [mac(&self.key, &[MARK, &text]).as_slice(), &text].concat();
        batch.insert(MARK, mark);
        catch_unwind(AssertUnwindSafe(|| {
            self.database.apply_batch(batch)?;
            self.database.flush()
        }))
        .map_err(|_| Unusable::Panicked)??;
        Ok(self.file.sync_all()?)
    }

    /// A page dies when its last session is long over, and its deltas with it.
    fn drop_pages(&mut self, batch: &mut sled::Batch, now: Timestamp) -> Result<(), Unusable> {
        let dead: Vec<u32> = self
            .pages
            .iter()
            .filter(|(_, page)| page.not_after.after_s(KEPT_S) <= now)
            .map(|(&number, _)| number)
            .collect();
        for number in dead {
            let Some(page) = self.pages.remove(&number) else { continue };
            self.put(batch, Key::Page(number), None)?;
            for seq in page.deltas {
                self.put(batch, Key::Delta { page: number, seq }, None)?;
            }
        }
        Ok(())
    }

    /// Puts a value into the batch and into the sum, and takes the old one out of it.
    fn put(&mut self, batch: &mut sled::Batch, key: Key, value: Option<Vec<u8>>) -> Result<(), Unusable> {
        let key = key.encode();
        if let Some(old) = self.database.get(&key)? {
            self.sum.subtract(&self.key, &key, &old);
        }
        match value {
            Some(value) => {
                self.sum.add(&self.key, &key, &value);
                batch.insert(key, value);
            }
            None => batch.remove(key),
        }
        Ok(())
    }
}

impl std::fmt::Debug for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behind").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

/// What changed between two positions.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) position: Position,
    pub(super) last_at: Timestamp,
    /// `None` where the value is gone.
    pub(super) values: Vec<(Key, Option<Vec<u8>>)>,
    pub(super) pages: Vec<(u32, Timestamp, StoredPage)>,
    pub(super) deltas: BTreeMap<u32, Vec<Delta>>,
}

/// A keyed sum over keys and values, in any order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, secret: &Secret<32>, key: &[u8], value: &[u8]) {
        self.fold(secret, key, value, u64::wrapping_add);
    }

    fn subtract(&mut self, secret: &Secret<32>, key: &[u8], value: &[u8]) {
        self.fold(secret, key, value, u64::wrapping_sub);
    }

    fn fold(&mut self, secret: &Secret<32>, key: &[u8], value: &[u8], with: fn(u64, u64) -> u64) {
        let size = (key.len() as u64).to_be_bytes();
        let tag = mac(secret, &[&size, key, value]);
        for (sum, octets) in self.0.iter_mut().zip(tag.chunks_exact(8)) {
            *sum = with(*sum, u64::from_be_bytes(octets.try_into().expect("8 octets")));
        }
    }
}

fn load<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, Unusable> {
    decode(value).ok_or(Unusable::Altered)
}

/// The key of the mark: no other begins with this octet.
const MARK: &[u8] = b"=mark";
/// Octets that sled may cache: everything is in memory already.
const CACHE_SIZE: u64 = 8 << 20;
