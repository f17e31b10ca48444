//! Making and opening a data folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use sidekey_protocol::crypto::{Secret, SigningKey, VerifyingKey};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, ServerName, ServiceId};

use super::at_rest::AtRest;
use super::checkpoints::Checkpoints;
use super::engine::{Engine, Rng, Shared};
use super::format;
use super::journal::read::Reader;
use super::journal::{Journal, Position, SEGMENT_SIZE, corrupt};
use super::keeper::Keeper;
use super::keys::Signers;
use super::record::{self, Entry, Record};
use super::sled::{Behind, Unusable};
use super::state::State;
use super::{Identity, Store, base};
use crate::clock::Clock;
use crate::fault::{Damage, Fault};
use crate::files::sync_folder;

/// What a new store begins with.
#[derive(Debug)]
pub struct Genesis {
    /// The service's id.
    pub service: ServiceId,
    /// What it signs with.
    pub key: SigningKey,
    /// Where it is reached, without a slash at the end.
    pub public_url: String,
    /// The first administrator.
    pub admin: PartyId,
    /// What the administrator signs with.
    pub admin_key: VerifyingKey,
    /// What the administrator is called.
    pub admin_label: String,
    /// The first mail server, if one is named already.
    pub server: Option<ServerName>,
}

impl Store {
    /// Makes the store of a data folder. Leaves nothing that could be opened when it fails half-way.
    ///
    /// # Errors
    /// [`Fault::Exists`], [`Fault::Full`], [`Fault::Io`], [`Fault::Locked`].
    pub fn create(
        folder: &Path,
        root: &Secret<32>,
        genesis: Genesis,
        clock: &dyn Clock,
        rng: Rng,
    ) -> Result<(), Fault> {
        Self::create_with(folder, root, genesis, clock, rng, SEGMENT_SIZE)
    }

    /// The same, with a first segment of the journal of so many octets.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_with(
        folder: &Path,
        root: &Secret<32>,
        genesis: Genesis,
        clock: &dyn Clock,
        mut rng: Rng,
        segment_size: u64,
    ) -> Result<(), Fault> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(Fault::io("make the data folder"))?;
        let _lock = lock(folder)?;
        let journal = folder.join(JOURNAL);
        if journal.exists() {
            return Err(Fault::Exists);
        }
        // What an earlier attempt left was never opened by anybody.
        let unfinished = folder.join("journal.new");
        let _ = fs::remove_dir_all(&unfinished);
        fs::DirBuilder::new().mode(0o700).create(&unfinished).map_err(Fault::io("make the journal"))?;
        let now = clock.now();
        format::mark(folder)?;
        let at_rest = AtRest::create(folder, root, now, &mut *rng)?;
        let place = record::Secret::Service(genesis.service, 0).place();
        let record = Record::Created {
            service: genesis.service,
            public_url: genesis.public_url,
            key: at_rest.seal(place, &genesis.key.expose_pkcs8(), &mut *rng),
            key_public: Box::new(spki(&genesis.key.verifying_key())),
            admin: genesis.admin,
            admin_key: spki(&genesis.admin_key),
            label: genesis.admin_label,
        };
        let added = |server| (Some(genesis.admin), Record::ServerAdded { server });
        let records = [(None, record)].into_iter().chain(genesis.server.map(added));
        let mut text = |(before, (by, record))| {
            let mut salt = [0; 16];
            rng.fill_bytes(&mut salt);
            Entry { salt, at: now, by, record, whom: Vec::new() }.text(before as u64 + 1)
        };
        let texts: Vec<_> = records.enumerate().map(&mut text).collect();
        let mut first = Journal::create(&unfinished, segment_size)?;
        first.append(&texts, true).map_err(super::journal::Unwritten::fault)?;
        fs::rename(&unfinished, &journal)
            .and_then(|()| sync_folder(folder))
            .map_err(Fault::io("make the journal"))
    }

    /// Opens the store of a data folder. After a failed write the process ends with code 1.
    ///
    /// # Errors
    /// [`Fault::Corrupt`], [`Fault::FormatNewer`], [`Fault::FormatOlder`], [`Fault::FormatUnknown`], [`Fault::Io`], [`Fault::Locked`],
    /// [`Fault::Missing`], [`Fault::RootKeyWrong`], [`Fault::SealKeysDamaged`], [`Fault::Unsealable`].
    pub fn open(folder: &Path, root: Secret<32>, clock: Arc<dyn Clock>, rng: Rng) -> Result<Self, Fault> {
        let end_process = |fault: &Fault| {
            tracing::error!(
                error = fault as &dyn std::error::Error,
                "the journal cannot be written: stopping"
            );
            std::process::exit(1);
        };
        let terms = Terms {
            segment_size_bytes: SEGMENT_SIZE,
            on_fence: Box::new(end_process),
            tended: Tended::ByItself,
        };
        Self::open_on(folder, root, clock, rng, terms)
    }

    /// The same, on other terms than those of a process that serves one folder until it ends.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        folder: &Path,
        root: Secret<32>,
        clock: Arc<dyn Clock>,
        rng: Rng,
        terms: Terms,
    ) -> Result<Self, Fault> {
        Self::open_with(folder, root, clock, rng, terms, |_| {})
    }

    pub(super) fn open_with(
        folder: &Path,
        root: Secret<32>,
        clock: Arc<dyn Clock>,
        mut rng: Rng,
        terms: Terms,
        adjust: impl FnOnce(&mut Journal),
    ) -> Result<Self, Fault> {
        let Terms { segment_size_bytes, on_fence, tended } = terms;
        if !folder.join(JOURNAL).exists() {
            return Err(Fault::Missing);
        }
        let lock = lock(folder)?;
        format::check_format(folder)?;
        let at_rest = AtRest::open(folder, &root, &mut *rng)?;
        drop(root);
        let Stood { behind, state, base, first } = stood(folder, &at_rest, tended)?;
        let (mut journal, state) = replay(folder, segment_size_bytes, state)?;
        rebase(folder, &at_rest, &state, base, first)?;
        adjust(&mut journal);
        let identity = identity(&state);
        let signers = Signers::open(&state, &at_rest)?;
        let shared = Arc::new(Shared::new(state, at_rest, clock, rng, on_fence));
        let started = Fault::io("start a thread");
        let engine = Engine::start(journal, shared.clone()).map_err(started)?;
        let keeper = Keeper::start(tended, behind, engine.clone(), shared.clone())
            .map_err(Fault::io("start a thread"))?;
        let (keeper, checkpoints) = (Mutex::new(Some(keeper)), Mutex::new(Checkpoints::open(folder)?));
        let (pruning, reading) = (Mutex::default(), RwLock::default());
        let store =
            Self { identity, signers, shared, engine, keeper, checkpoints, pruning, reading, _lock: lock };
        if let Err(error) = store.finish_pruning() {
            tracing::warn!(error = &error as &dyn std::error::Error, "what was pruned is not deleted yet");
        }
        Ok(store)
    }
}

/// How a store is run.
pub struct Terms {
    /// Octets of each segment of the journal that is made.
    pub segment_size_bytes: u64,
    /// What happens after a failed write: nothing is answered any more.
    pub on_fence: Box<dyn Fn(&Fault) + Send + Sync>,
    /// Who tends the state.
    pub tended: Tended,
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { segment_size_bytes, tended, .. } = self;
        f.debug_struct("Terms")
            .field("segment_size_bytes", segment_size_bytes)
            .field("tended", tended)
            .finish_non_exhaustive()
    }
}

/// Who tends the state: sweeps what is over, lapses what nobody uses, renews the sealing keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tended {
    /// A thread of its own, which writes the state behind as well.
    ByItself,
    /// Whoever calls [`Store::tend`]. Nothing is written behind: the next start replays the journal.
    ByCaller,
}

/// What a start begins with.
struct Stood {
    behind: Option<Behind>,
    /// What the journal is read on from: what stands behind it, or the base.
    state: State,
    /// After which record the base stands, where there is one of use.
    base: Option<u64>,
    /// The first record of the journal.
    first: u64,
}

fn stood(folder: &Path, at_rest: &AtRest, tended: Tended) -> Result<Stood, Fault> {
    let (behind, state) = match tended {
        Tended::ByItself => pages(&folder.join(PAGES), at_rest)?,
        Tended::ByCaller => (None, State::default()),
    };
    let first = Reader::begin(&folder.join(JOURNAL))?.seq + 1;
    let found = base::open(folder, &at_rest.state_key()).unwrap_or_else(useless);
    let base = found.as_ref().map(|base| base.position().seq);
    // Whatever says that the service itself has let go of what was before: both are authenticated.
    let let_go = base.map_or(1, |base| base + 1).max(state.global.begins);
    if first > let_go {
        return Err(corrupt(let_go, Damage::Missing));
    }
    let later = found.filter(|base| base.position().seq > state.position.seq);
    let rebuilt = later.as_ref().and_then(|base| base.state().map_or_else(useless, Some));
    let base = base.filter(|_| later.is_none() || rebuilt.is_some());
    if let Some(mut state) = rebuilt {
        let record = state.position.seq;
        tracing::warn!(record, "the pages are behind the base; the state is rebuilt from there");
        drop(behind);
        let behind = match tended {
            Tended::ByItself => {
                Behind::anew(&folder.join(PAGES), at_rest.state_key()).inspect_err(unwritten).ok()
            }
            Tended::ByCaller => None,
        };
        state.touch_all();
        return Ok(Stood { behind, state, base, first });
    }
    if state.position.seq + 1 < first {
        return Err(corrupt(first, Damage::Base));
    }
    Ok(Stood { behind, state, base, first })
}

fn useless<T>(error: base::Unusable) -> Option<T> {
    tracing::error!(error = &error as &dyn std::error::Error, "the base is of no use");
    None
}

/// Makes the base anew where the log needs one and has none of use: there must be two states to lose.
fn rebase(
    folder: &Path,
    at_rest: &AtRest,
    state: &State,
    base: Option<u64>,
    first: u64,
) -> Result<(), Fault> {
    let begins = state.global.begins;
    if first > begins {
        // No record says so.
        return Err(corrupt(begins, Damage::Missing));
    }
    if begins == 1 || base.is_some_and(|base| base + 1 >= begins) {
        return Ok(());
    }
    base::write(folder, &at_rest.state_key(), state)
}

/// What stands behind the journal; nothing when there is nothing, or nothing of use.
fn pages(folder: &Path, at_rest: &AtRest) -> Result<(Option<Behind>, State), Fault> {
    let error = match Behind::open(folder, at_rest.state_key()) {
        Ok((behind, state)) => return Ok((Some(behind), state)),
        Err(error) => error,
    };
    let aside = Behind::set_aside(folder).map_err(Fault::io("set damaged pages aside"))?;
    tracing::error!(
        error = &error as &dyn std::error::Error,
        aside = %aside.display(),
        "the pages are set aside; the state is rebuilt from the journal"
    );
    match Behind::open(folder, at_rest.state_key()) {
        Ok((behind, state)) => Ok((Some(behind), state)),
        Err(error) => {
            unwritten(&error);
            Ok((None, State::default()))
        }
    }
}

fn unwritten(error: &Unusable) {
    tracing::error!(error = error as &dyn std::error::Error, "no pages are written");
}

/// Applies what the journal has beyond the state.
fn replay(folder: &Path, segment_size: u64, mut state: State) -> Result<(Journal, State), Fault> {
    state.dirty.tracked = true;
    let from = state.position;
    let journal = Journal::open(&folder.join(JOURNAL), segment_size, from, |position: Position, body| {
        redo(&mut state, position, body)
    })?;
    state.carry(usize::MAX);
    Ok((journal, state))
}

/// Applies one record that is read back.
pub(super) fn redo(state: &mut State, position: Position, body: &[u8]) -> Result<(), Damage> {
    let entry = Entry::decode(body).map_err(|_| Damage::Undecodable)?;
    state.apply(position, body, entry).map_err(|_| Damage::Effect)?;
    // A long history must not be held in memory at once.
    if position.seq.is_multiple_of(SWEEP_EVERY) {
        let now = state.last_at;
        state.sweep(usize::MAX, now);
    }
    Ok(())
}

fn identity(state: &State) -> Identity {
    Identity { service: state.global.service, public_url: state.global.public_url.clone() }
}

/// One process per folder. The file says which, for whoever finds it taken.
pub(crate) fn lock(folder: &Path) -> Result<File, Fault> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(Fault::io("open the lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim_end().parse().ok());
            return Err(Fault::Locked { pid });
        }
        Err(TryLockError::Error(error)) => return Err(Fault::io("lock the data folder")(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(Fault::io("write the lock"))?;
    Ok(file)
}

pub(super) fn spki(key: &VerifyingKey) -> record::Spki {
    Octets(key.spki().try_into().expect("an SPKI is 91 octets"))
}

pub(super) const JOURNAL: &str = "journal";
pub(super) const PAGES: &str = "state";
/// Records between two sweeps of a replay.
const SWEEP_EVERY: u64 = 65_536;
