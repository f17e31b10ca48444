//! The state on disk, behind the journal: written in the background together with the position that it reflects.
//!
//! Nothing is acknowledged through it. It saves replaying the whole journal at the next start, and is believed only as
//! far as its own seal goes: the position stands beside a keyed sum over every key and value, so whatever sled or the
//! disk forgot, mixed up or was made to say is found at open, and the state is then rebuilt from the journal, or from the base and what the journal has after it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::{Secret, mac};
use sidekey_protocol::ids::Timestamp;
use sled::IVec;

use super::journal::Position;
use super::pages::{Altered, Delta, Key, Loader, OnPage, PAGES, StoredPage, decode, encode};
use super::state::State;
use super::state::sessions::KEPT_S;
use crate::files::sync_folder;

/// What the pages reflect.
#[derive(Debug, Deserialize, Serialize)]
struct Mark {
    seq: u64,
    hash: [u8; 32],
    last_at: Timestamp,
    sum: [u64; 4],
}

/// The database.
pub(super) struct Behind {
    folder: PathBuf,
    /// Closed from time to time, and once it has failed.
    open: Option<Open>,
    key: Secret<32>,
    sum: Sum,
    /// Each page's end, and the deltas that stand on it.
    pages: BTreeMap<u32, OnPage>,
}

/// Why the pages are of no use. The journal has it all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    #[error("sled panicked")]
    Panicked,
    #[error(transparent)]
    Altered(#[from] Altered),
    #[error("sync")]
    Sync(#[from] std::io::Error),
}

impl Behind {
    /// Opens the pages in `folder`, and the state that they hold; an empty state when there are none.
    pub(super) fn open(folder: &Path, key: Secret<32>) -> Result<(Self, State), Unusable> {
        // sled meets some kinds of damage with a panic.
        catch_unwind(AssertUnwindSafe(|| Self::load(folder, key, KEPT_SIZE)))
            .unwrap_or(Err(Unusable::Panicked))
    }

    /// Empty pages in the place of those in `folder`, which nobody has open: the journal and the base have it all.
    pub(super) fn anew(folder: &Path, key: Secret<32>) -> Result<Self, Unusable> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(Self::open(folder, key)?.0)
    }

    /// Moves what is of no use out of the way, for whoever wants to look at it.
    pub(super) fn set_aside(folder: &Path) -> std::io::Result<PathBuf> {
        let name = |n: u32| folder.with_extension(format!("damaged-{n}"));
        let aside = (1..).map(name).find(|path| !path.exists()).expect("a number is free");
        fs::rename(folder, &aside)?;
        Ok(aside)
    }

    /// One thread reads what another takes. glibc gives each its own memory, so that what sled needed meanwhile does not lie
    /// between what the state is made of.
    fn load(folder: &Path, key: Secret<32>, piece_size: usize) -> Result<(Self, State), Unusable> {
        let (taker, items) = sync_channel(READ_AHEAD);
        let reader = Reader { secret: &key, taker, sum: Sum::default() };
        let (read, taken) = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("pages".into());
            let reading = thread.spawn_scoped(scope, move || reader.read(folder, piece_size))?;
            let taken = take_all(items);
            Ok::<_, Unusable>((reading.join().map_err(|_| Unusable::Panicked)?, taken))
        })?;
        let ((open, sum), Taken { loader, mark }) = (read?, taken?);
        let (folder, open) = (folder.to_owned(), Some(open));
        let mut behind = Self { folder, open, key, sum, pages: BTreeMap::new() };
        let Some(mark) = mark else {
            return if sum == Sum::default() { Ok((behind, State::default())) } else { Err(Altered.into()) };
        };
        let Mark { seq, hash, last_at, .. } = behind.verify(&mark)?;
        let (state, pages) = loader.finish(Position { seq, hash }, last_at)?;
        behind.pages = pages;
        Ok((behind, state))
    }

    fn verify(&self, mark: &[u8]) -> Result<Mark, Unusable> {
        let (tag, text) = mark.split_at_checked(TAG_SIZE).ok_or(Altered)?;
        sidekey_protocol::crypto::equal(tag, &mac(&self.key, &[MARK, text])).map_err(|_| Altered)?;
        let mark: Mark = decode(text).ok_or(Altered)?;
        if mark.sum == self.sum.0 { Ok(mark) } else { Err(Altered.into()) }
    }

    /// The first page number that was never used.
    pub(super) fn next_page(&self) -> u32 {
        self.pages.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// Writes a change of state. Returns once it is durable: only then does its position count.
    pub(super) fn write(&mut self, change: Change) -> Result<(), Unusable> {
        let Change { position, last_at, values, pages, deltas } = change;
        let mut changed: BTreeMap<_, _> =
            values.into_iter().map(|(key, value)| (key.encode(), value)).collect();
        for (number, not_after, page) in pages {
            let known = self.pages.entry(number).or_default();
            known.not_after = known.not_after.max(not_after);
            changed.insert(Key::Page(number).encode(), Some(encode(&page)));
        }
        for (page, deltas) in deltas {
            let Some(known) = self.pages.get_mut(&page) else { continue };
            known.deltas.push(position.seq);
            changed.insert(Key::Delta { page, seq: position.seq }.encode(), Some(encode(&deltas)));
        }
        changed.extend(self.drop_pages(last_at).into_iter().map(|key| (key.encode(), None)));
        catch_unwind(AssertUnwindSafe(|| {
            let mut open = self.open.take().map_or_else(|| Open::new(&self.folder), Ok)?;
            let mut batch = sled::Batch::default();
            for (name, value) in changed {
                open.written += name.len() + value.as_ref().map_or(0, Vec::len);
                self.sum.put(&self.key, &open.database, &mut batch, name, value)?;
            }
            let text = encode(&Mark { seq: position.seq, hash: position.hash, last_at, sum: self.sum.0 });
            batch.insert(MARK, [mac(&self.key, &[MARK, &text]).as_slice(), &text].concat());
            open.database.apply_batch(batch)?;
            open.database.flush()?;
            open.file.sync_all()?;
            // What it has written it keeps until it is closed, as what it has read.
            self.open = (open.written < KEPT_SIZE).then_some(open);
            Ok(())
        }))
        .unwrap_or(Err(Unusable::Panicked))
    }

    /// A page dies when its last session is long over, and its deltas with it: it may be in this very change.
    fn drop_pages(&mut self, now: Timestamp) -> Vec<Key> {
        let dead: Vec<u32> = self
            .pages
            .iter()
            .filter(|(_, page)| page.not_after.after_s(KEPT_S) <= now)
            .map(|(&number, _)| number)
            .collect();
        let mut keys = Vec::new();
        for page in dead {
            keys.push(Key::Page(page));
            let deltas = self.pages.remove(&page).map(|known| known.deltas).unwrap_or_default();
            keys.extend(deltas.into_iter().map(|seq| Key::Delta { page, seq }));
        }
        keys
    }
}

impl std::fmt::Debug for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behind").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

/// sled, open.
struct Open {
    database: sled::Db,
    /// Its one file: what its own flush leaves to `sync_file_range`, we sync.
    file: File,
    /// Octets since it was opened.
    written: usize,
}

impl Open {
    fn new(folder: &Path) -> Result<Self, Unusable> {
        let_go(folder);
        let database = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_SIZE as u64)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput)
            .open()?;
        let file = File::open(folder.join("db"))?;
        Ok(Self { database, file, written: 0 })
    }
}

type Item = (IVec, IVec);

/// Hands all there is to whoever takes it, pages last.
struct Reader<'a> {
    secret: &'a Secret<32>,
    taker: SyncSender<Item>,
    sum: Sum,
}

impl Reader<'_> {
    /// What sled has read it keeps until it is closed: so that it is, after each piece of the pages.
    fn read(mut self, folder: &Path, piece_size: usize) -> Result<(Open, Sum), Unusable> {
        let [pages, after] = PAGES;
        let mut open = Open::new(folder)?;
        // sled syncs no folder: without this its file may be gone after a power cut, however well that was synced.
        sync_folder(folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        let database = &open.database;
        self.hand_over(database.range(..pages).chain(database.range(after..)), usize::MAX)?;
        let mut from = pages.to_vec();
        while let Some(last) = self.hand_over(open.database.range(from..after.to_vec()), piece_size)? {
            drop(open);
            open = Open::new(folder)?;
            // The key that comes next in any case.
            from = [&last, &[0][..]].concat();
        }
        Ok((open, self.sum))
    }

    /// Gives the last key if that was not all.
    fn hand_over(
        &mut self,
        items: impl Iterator<Item = sled::Result<Item>>,
        size_max: usize,
    ) -> Result<Option<IVec>, Unusable> {
        let mut size = 0;
        for item in items {
            let (key, value) = item?;
            if *key != *MARK {
                self.sum.add(self.secret, &key, &value);
            }
            size += key.len() + value.len();
            let last = (size >= size_max).then(|| key.clone());
            // Whoever has met something that we never wrote takes no more.
            if self.taker.send((key, value)).is_err() {
                return Ok(None);
            }
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }
}

/// What came.
struct Taken {
    loader: Loader,
    mark: Option<IVec>,
}

fn take_all(items: Receiver<Item>) -> Result<Taken, Unusable> {
    let (mut loader, mut mark) = (Loader::default(), None);
    let [pages, after] = PAGES;
    for (key, value) in items {
        if *key == *MARK {
            mark = Some(value);
            continue;
        }
        if !loader.settled && (pages..after).contains(&&*key) {
            // What it says counts for nothing until all that it stands for is here.
            let said: Option<Mark> = mark.as_deref().and_then(|mark| decode(mark.get(TAG_SIZE..)?));
            loader.settle(said.map_or(Timestamp(0), |mark| mark.last_at))?;
        }
        loader.take(&key, &value)?;
    }
    Ok(Taken { loader, mark })
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

    /// Puts a value into the batch and in here, and takes the old one out; once for each key.
    fn put(
        &mut self,
        secret: &Secret<32>,
        database: &sled::Db,
        batch: &mut sled::Batch,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> Result<(), Unusable> {
        if let Some(old) = database.get(&key)? {
            self.subtract(secret, &key, &old);
        }
        match value {
            Some(value) => {
                self.add(secret, &key, &value);
                batch.insert(key, value);
            }
            None => batch.remove(key),
        }
        Ok(())
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

/// Octets of the mark's tag, which stands before it.
const TAG_SIZE: usize = 32;
/// The key of the mark: no other begins with this octet.
const MARK: &[u8] = b"=mark";
/// Octets that sled may cache: everything is in memory already.
const CACHE_SIZE: usize = 8 << 20;
/// Octets that it may have read, or written, when it stays open: it keeps them.
const KEPT_SIZE: usize = 8 << 20;
/// Values that are read before they are taken.
const READ_AHEAD: usize = 64;

/// Waits until nobody has sled's file: its own threads may, for a moment after it was dropped, and it would not wait for
/// them.
fn let_go(folder: &Path) {
    let Ok(file) = File::open(folder.join("db")) else { return };
    let until = Instant::now() + LET_GO;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

const LET_GO: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
