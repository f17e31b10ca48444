//! The keeper: writes behind, sweeps what is over, renews sealing keys. A thread of its own, never in anybody's way.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sidekey_protocol::ids::Timestamp;

use super::engine::{Desk, Engine, Shared, Verdict};
use super::open::{PAGES, Tended};
use super::pages::{Delta, Key, PAGE_SESSIONS, StoredPage};
use super::record::Record;
use super::sled::{Behind, Change};
use super::state::{Dirty, State};
use super::{Error, room};
use crate::fault::Fault;

/// Whoever does the work.
pub(super) enum Keeper {
    /// The thread and the way to stop it.
    Thread { stop: SyncSender<()>, thread: JoinHandle<()> },
    /// Whoever has the store.
    Caller(Box<Work>),
}

impl Keeper {
    /// Starts it, with the pages if there are any to write to.
    pub(super) fn start(
        tended: Tended,
        behind: Option<Behind>,
        engine: Engine,
        shared: Arc<Shared>,
    ) -> std::io::Result<Self> {
        let next_page = behind.as_ref().map_or(1, Behind::next_page);
        let work = Work {
            written: tended == Tended::ByItself,
            behind,
            engine,
            shared,
            page: next_page,
            on_page: Vec::new(),
            mending: None,
            untended: false,
            renewal: Timestamp(0),
            lapsing: Timestamp(0),
        };
        if tended == Tended::ByCaller {
            return Ok(Self::Caller(Box::new(work)));
        }
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || work.run(&stopped))?;
        Ok(Self::Thread { stop, thread })
    }

    /// One round, where it is the caller's to make.
    pub(super) fn round(&mut self) {
        if let Self::Caller(work) = self {
            work.round();
        }
    }

    /// Lets it write behind what is left, and waits.
    pub(super) fn stop(self) {
        let Self::Thread { stop, thread } = self else { return };
        let _ = stop.try_send(());
        if thread.join().is_err() {
            tracing::error!("the keeper panicked; the next start replays the journal");
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Thread { .. }) { "Thread" } else { "Caller" })
    }
}

pub(super) struct Work {
    /// Anything is written behind at all.
    pub(super) written: bool,
    behind: Option<Behind>,
    engine: Engine,
    shared: Arc<Shared>,
    /// The page that is not full yet, and the sessions on it.
    page: u32,
    on_page: Vec<u32>,
    /// Where nothing can be written behind: when that was tried last.
    pub(super) mending: Option<Instant>,
    /// The last round failed, and that was said.
    untended: bool,
    /// No pass over all secrets before this.
    renewal: Timestamp,
    /// No look for idle pairings before this.
    lapsing: Timestamp,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            if !matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                self.mend();
                self.write_behind();
                return;
            }
            self.round();
        }
    }

    /// All there is to do now.
    fn round(&mut self) {
        self.mend();
        self.write_behind();
        self.make_room();
        // After the writing, so that nothing is swept that is yet to be written.
        self.engine.sweep(to_sweep(self.shared.read().sessions.len()));
        // Both wait for room: what ends is ended when it is asked for.
        if self.shared.is_full() {
            return;
        }
        match self.lapse().and_then(|()| self.renew()) {
            Ok(()) | Err(Error::Fault(Fault::Fenced)) => self.untended = false,
            Err(error) if !std::mem::replace(&mut self.untended, true) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the state is not tended")
            }
            Err(_) => {}
        }
    }

    fn write_behind(&mut self) {
        let Some(behind) = &mut self.behind else { return };
        let [touched, used] = [&self.shared.touched, &self.shared.used]
            .map(|seen| std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)));
        let mut state = self.shared.write();
        touched.into_iter().for_each(|handle| state.dirty.party(handle));
        used.into_iter().for_each(|number| state.dirty.credential(number));
        let change = collect(&mut state, &mut self.page, &mut self.on_page);
        drop(state);
        let Some(change) = change else { return };
        let since = Instant::now();
        let written = behind.write(change);
        if written.is_ok() {
            self.shared.meter.get().inspect(|meter| meter.written_behind(since));
        }
        if let Err(error) = written {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "sled: not written for now; the journal has it all"
            );
            (self.behind, self.mending) = (None, Some(Instant::now()));
            self.shared.write().dirty = Dirty::default();
        }
    }

    /// Begins anew to write behind, with everything, where that failed before: sled goes on after no error.
    fn mend(&mut self) {
        let rested = self.mending.is_none_or(|last| last.elapsed() >= MEND_EVERY);
        let folder = self.shared.at_rest.folder();
        if !self.written || self.behind.is_some() || !rested || !room::is_enough(folder) {
            return;
        }
        self.mending = Some(Instant::now());
        match Behind::anew(&folder.join(PAGES), self.shared.at_rest.state_key()) {
            Ok(behind) => {
                (self.behind, self.page, self.on_page) = (Some(behind), 1, Vec::new());
                self.shared.write().touch_all();
                tracing::info!("sled: written again");
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "sled: still not written");
            }
        }
    }

    /// Lets a journal that was full go on, without anybody who asks for something.
    fn make_room(&self) {
        if self.shared.is_full() && room::is_enough(self.shared.at_rest.folder()) {
            self.engine.roll();
        }
    }
}

/// Places that one round looks at, of so many sessions.
fn to_sweep(sessions: usize) -> usize {
    SWEEP_COUNT.max(sessions / SWEEP_ROUNDS)
}

/// What has changed since the last time: taken at one position.
fn collect(state: &mut State, page: &mut u32, on_page: &mut Vec<u32>) -> Option<Change> {
    let fresh = Dirty { tracked: true, ..Dirty::default() };
    let dirty = std::mem::replace(&mut state.dirty, fresh);
    let numbers = [
        dirty.credentials.iter().map(|&number| Key::Credential(number)).collect::<Vec<_>>(),
        dirty.deliveries.iter().map(|&number| Key::Delivery(number)).collect(),
        dirty.invitations.iter().map(|&number| Key::Invitation(number)).collect(),
        dirty.parties.iter().map(|&number| Key::Party(number)).collect(),
        dirty.policies.iter().map(|&reach| Key::Policy(reach)).collect(),
        dirty.roots.iter().map(|&number| Key::Root(number)).collect(),
        dirty.servers.iter().map(|&number| Key::Server(number)).collect(),
        dirty.tallies.iter().map(|&number| Key::Tally(number)).collect(),
        dirty.users.iter().map(|&number| Key::User(number)).collect(),
    ];
    let mut keys = numbers.concat();
    if keys.is_empty() && !dirty.global && dirty.opened.is_empty() && dirty.changed.is_empty() {
        return None;
    }
    keys.push(Key::Global);
    let values = keys.into_iter().map(|key| (key, state.value(key))).collect();
    let pages = fill_pages(state, &dirty.opened, page, on_page);
    let mut deltas: BTreeMap<u32, Vec<Delta>> = BTreeMap::new();
    for slot in dirty.changed.iter().filter_map(|&handle| state.sessions.get(handle)) {
        let (index, generations) = (slot.index, slot.generations());
        let (root, ended, suite, policy) = (slot.root, slot.ended, slot.suite, state.policy(slot));
        let delta = Delta { index, generations, root, ended, suite, policy };
        deltas.entry(slot.page).or_default().push(delta);
    }
    Some(Change { position: state.position, last_at: state.last_at, values, pages, deltas })
}

/// Puts the sessions on pages in order of issue; a page that is not full yet is written again with the next ones.
fn fill_pages(
    state: &mut State,
    opened: &[u32],
    page: &mut u32,
    on_page: &mut Vec<u32>,
) -> Vec<(u32, Timestamp, StoredPage)> {
    let mut pages = Vec::new();
    let mut left = opened;
    // A session that was swept would take the place's next one with it: such a page stays as it is.
    if on_page.iter().any(|&handle| state.sessions.get(handle).is_none_or(|slot| slot.page != *page)) {
        *page += 1;
        on_page.clear();
    }
    while !left.is_empty() {
        let (now, later) = left.split_at(left.len().min(PAGE_SESSIONS - on_page.len()));
        left = later;
        for &handle in now {
            let Some(slot) = state.sessions.get_mut(handle) else { continue };
            slot.page = *page;
            slot.index = u8::try_from(on_page.len()).expect("a page has at most 256 sessions");
            on_page.push(handle);
        }
        let mut stored = StoredPage::default();
        let mut not_after = Timestamp(0);
        for slot in on_page.iter().filter_map(|&handle| state.sessions.get(handle)) {
            not_after = not_after.max(slot.not_after);
            stored.push(slot.index, state.stored(slot));
        }
        pages.push((*page, not_after, stored));
        if on_page.len() == PAGE_SESSIONS {
            *page += 1;
            on_page.clear();
        }
    }
    pages
}

impl Work {
    /// Records the pairings that nobody has used for too long.
    fn lapse(&mut self) -> Result<(), Error> {
        let now = self.shared.time();
        if now < self.lapsing {
            return Ok(());
        }
        self.lapsing = now.after_s(LAPSE_EVERY_S);
        while self.engine.commit_blocking(None, super::rekey::lapse_some)? {}
        Ok(())
    }

    /// Makes a new sealing key each day, brings every live secret under it, and destroys those that nothing needs.
    fn renew(&mut self) -> Result<(), Error> {
        let now = self.shared.time();
        let at_rest = &self.shared.at_rest;
        let due = at_rest.owes_rotation() || now.since_s(at_rest.newest().1) >= KEY_LIFE_S;
        if !due && (at_rest.numbers().len() < 2 || now < self.renewal) {
            return Ok(());
        }
        if due {
            self.engine.commit_blocking(None, |_, desk| Ok(Verdict::Already(desk.rotate_sealing_key()?)))?;
        }
        // Many revocations one after another must not mean as many passes over many secrets.
        let count = self.shared.read().secrets().count();
        self.renewal = now.after_s(u32::try_from(count / RESEALS_PER_S).unwrap_or(u32::MAX));
        while self.engine.commit_blocking(None, reseal_some)? == RESEAL_COUNT {}
        self.engine.commit_blocking(None, |state, desk| {
            let needed = state.secrets().map(|(_, sealed)| sealed.key).collect();
            Ok(Verdict::Already(desk.at_rest().destroy_all_but(&needed)?))
        })
    }
}

/// Reseals a bounded number of secrets that are not under the newest key, and says how many.
fn reseal_some(state: &State, desk: &mut Desk<'_>) -> Result<Verdict<usize>, Error> {
    let (newest, _) = desk.at_rest().newest();
    let mut secrets = Vec::new();
    for (secret, sealed) in state.secrets().filter(|(_, sealed)| sealed.key != newest).take(RESEAL_COUNT) {
        secrets.push((secret, desk.reseal(secret.place(), sealed)?));
    }
    match secrets.len() {
        0 => Ok(Verdict::Already(0)),
        count => Ok(Verdict::Commit(Record::Resealed { secrets }, Box::new(move |_| count))),
    }
}

/// Between two rounds.
const TICK: Duration = Duration::from_millis(250);
/// Between two tries to write behind again.
const MEND_EVERY: Duration = Duration::from_secs(5);
/// Places that one sweep looks at, at least.
const SWEEP_COUNT: usize = 1024;
/// Rounds in which all places are looked at, at most: some two minutes, as long as a session is kept in any case. Each place
/// is a miss in the processor's caches.
const SWEEP_ROUNDS: usize = 512;
/// Seconds between two looks for idle pairings.
const LAPSE_EVERY_S: u32 = 60;
/// Secrets that one record reseals.
const RESEAL_COUNT: usize = 256;
/// Secrets that are resealed in a second of rest after a pass over all of them.
const RESEALS_PER_S: usize = 1000;
/// Seconds for which a sealing key is the newest.
const KEY_LIFE_S: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_looks_at_few_places_and_comes_round_in_two_minutes() {
        assert_eq!([0, 1000, 100_000].map(to_sweep), [SWEEP_COUNT; 3]);
        for sessions in [1_000_000, 10_000_000] {
            let rounds = sessions / to_sweep(sessions);
            assert!((SWEEP_ROUNDS..SWEEP_ROUNDS + 2).contains(&rounds), "{rounds} rounds");
        }
        assert!(TICK * SWEEP_ROUNDS as u32 <= Duration::from_secs(130));
    }

    #[test]
    fn what_has_not_changed_is_not_written_behind() {
        let mut state = State::default();
        let mut change = |global| {
            state.dirty = Dirty { tracked: true, global, ..Dirty::default() };
            collect(&mut state, &mut 1, &mut Vec::new())
        };
        assert!(change(false).is_none());
        assert!(change(true).is_some());
    }
}
