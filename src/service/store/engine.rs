//! The one writer: decisions in, records out, many to a sync.
//!
//! A *decision* looks at the durable state and returns a record or a refusal. The writer takes what is queued, decides
//! in order, appends the records, syncs once, applies them, and only then answers. A decision about something that has a
//! record in the batch already waits for the next batch, so each one sees only what is durable, and what may happen once
//! happens once. A revocation goes alone.

mod reading;
mod writer;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use rand_core::CryptoRng;
use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::revocation::{Head, SealedHead};
use tokio::sync::{mpsc, oneshot, watch};

use self::reading::Reading;
use self::writer::Writer;
use super::Error;
use super::at_rest::{AtRest, Place, Sealed};
use super::feed::Feed;
use super::journal::Journal;
use super::meter::Meter;
use super::record::Record;
use super::state::State;
use crate::clock::Clock;
use crate::fault::Fault;

/// A source of randomness.
pub type Rng = Box<dyn CryptoRng + Send>;

/// What the writer and the readers share.
pub(super) struct Shared {
    state: RwLock<State>,
    pub(super) at_rest: AtRest,
    /// The last head that was shown, and as it was shown.
    shown: Mutex<Option<(Head, SealedHead)>>,
    pub(super) clock: Arc<dyn Clock>,
    rng: Mutex<Rng>,
    /// What is counted, once somebody counts.
    pub(super) meter: OnceLock<Meter>,
    fenced: AtomicBool,
    full: AtomicBool,
    /// A head was shown that this history does not have, and the state does not say so yet.
    pub(super) rolling_back: AtomicBool,
    /// The state's, for those who do not hold it.
    last_at: AtomicU32,
    /// Parties that were seen since they were last written behind.
    pub(super) touched: Mutex<HashSet<u32>>,
    /// Proxy credentials that were right for the first time on their day since then.
    pub(super) used: Mutex<HashSet<u32>>,
    pub(super) feed: Arc<Feed>,
    /// Moves when something is due for a carrier that was not before.
    pub(super) outbox: watch::Sender<u64>,
    /// What happens after a failed write: the process ends.
    pub(super) on_fence: Box<dyn Fn(&Fault) + Send + Sync>,
}

impl Shared {
    pub(super) fn new(
        state: State,
        at_rest: AtRest,
        clock: Arc<dyn Clock>,
        rng: Rng,
        on_fence: Box<dyn Fn(&Fault) + Send + Sync>,
    ) -> Self {
        Self {
            last_at: AtomicU32::new(state.last_at.0),
            feed: Arc::new(Feed::after(state.position.seq)),
            state: RwLock::new(state),
            at_rest,
            shown: Mutex::default(),
            clock,
            rng: Mutex::new(rng),
            outbox: watch::Sender::new(0),
            touched: Mutex::default(),
            used: Mutex::default(),
            meter: OnceLock::new(),
            fenced: AtomicBool::new(false),
            full: AtomicBool::new(false),
            rolling_back: AtomicBool::new(false),
            on_fence,
        }
    }

    pub(super) fn read(&self) -> Reading<'_> {
        Reading::of(&self.state)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the chain of revocations stands, as parties are shown it: with each answer, so that it is sealed once.
    pub(super) fn head(&self) -> SealedHead {
        let head = self.read().global.head;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match *shown {
            Some((of, sealed)) if of == head => sealed,
            _ => shown.insert((head, head.sealed(self.at_rest.head_key()))).1,
        }
    }

    /// Whether anything can be written, and is understood.
    pub(super) fn ready(&self) -> Result<(), Fault> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(Fault::Fenced);
        }
        if self.is_rolled_back() {
            return Err(Fault::RolledBack);
        }
        if self.is_full() {
            return Err(Fault::Full);
        }
        self.now().map(drop)
    }

    /// Whether the journal had no room for what was to be written last.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Whether it is known that revocations were lost.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.rolling_back.load(Ordering::Acquire) || self.read().global.rolled_back.is_some()
    }

    /// The time of a decision: never before the last record's.
    pub(super) fn now(&self) -> Result<Timestamp, Fault> {
        self.behind_s().map_or_else(|| Ok(self.time()), |by_s| Err(Fault::ClockBehind { by_s }))
    }

    /// How far the clock is behind the last record, where that is more than clocks differ.
    pub(super) fn behind_s(&self) -> Option<u32> {
        Some(self.last_at().since_s(self.clock.now())).filter(|&by_s| by_s > LEEWAY_S)
    }

    pub(super) fn present(&self) -> Timestamp {
        if self.behind_s().is_some() { self.clock.now() } else { self.time() }
    }

    /// The same for readers, to whom a clock that went back must not bring back what is over.
    pub(super) fn time(&self) -> Timestamp {
        self.clock.now().max(self.last_at())
    }

    fn last_at(&self) -> Timestamp {
        Timestamp(self.last_at.load(Ordering::Acquire))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("at_rest", &self.at_rest)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// What a decision comes to.
#[expect(clippy::large_enum_variant, reason = "one lives for a moment per decision")]
pub(super) enum Verdict<T> {
    /// It was so already; nothing is written.
    Already(T),
    /// This is written; then the answer is made from the state that holds it.
    Commit(Record, Answer<T>),
}

/// Makes an answer from the state that a record led to, under its sequence number.
pub(super) type Answer<T> = Box<dyn FnOnce(&State) -> T + Send>;

/// What a decision may use.
pub(super) struct Desk<'a> {
    pub(super) now: Timestamp,
    at_rest: &'a AtRest,
    rng: &'a mut Rng,
}

impl Desk<'_> {
    pub(super) fn seal(&mut self, place: Place, secret: &[u8]) -> Sealed {
        self.at_rest.seal(place, secret, self.rng)
    }

    pub(super) fn reseal(&mut self, place: Place, sealed: &Sealed) -> Result<Sealed, Fault> {
        self.at_rest.reseal(place, sealed, self.rng)
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// The sealing keys. All sealing happens at a desk, so here nothing is sealed that is not in the state yet.
    pub(super) const fn at_rest(&self) -> &AtRest {
        self.at_rest
    }

    /// A new sealing key, from now on.
    pub(super) fn rotate_sealing_key(&mut self) -> Result<(), Fault> {
        self.at_rest.rotate(self.now, self.rng)
    }

    /// A new sealing key from now on, or from when the disk has room for it.
    pub(super) fn rotate_sealing_key_soon(&mut self) -> Result<(), Fault> {
        self.at_rest.rotate_soon(self.now, self.rng)
    }
}

/// What a decision is about: two that share a key are never in one batch.
#[derive(Clone, Debug)]
pub(super) enum About {
    /// The clock: it goes alone, and at the clock's own time, however far that went back.
    Clock,
    /// Everything: it goes alone, and into the space kept for revocations if need be.
    Everything,
    /// These.
    These(Vec<u64>),
}

impl About {
    /// One thing, by whatever names it.
    pub(super) fn one(thing: impl Hash) -> Self {
        Self::These(vec![key(thing)])
    }
}

/// Two things that share a key by chance merely wait for one another.
pub(super) fn key(thing: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

/// A decision that waits.
struct Decision {
    about: About,
    by: Option<PartyId>,
    decide: Decide,
}

type Decide = Box<dyn FnOnce(&State, Result<Desk<'_>, Fault>) -> Option<(Record, Done)> + Send>;
type Done = Box<dyn FnOnce(Result<&State, Fault>) + Send>;

enum Order {
    Decide(Decision),
    Roll,
    Sweep(usize),
    Close(oneshot::Sender<()>),
}

/// The queue's end that verbs hold.
#[derive(Clone, Debug)]
pub(super) struct Engine(mpsc::Sender<Order>);

impl Engine {
    /// Starts the writer.
    pub(super) fn start(journal: Journal, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let writer = Writer::new(journal, shared, queue);
        std::thread::Builder::new().name("journal".into()).spawn(move || writer.run())?;
        Ok(Self(sender))
    }

    /// How many hold this end, whenever that is asked.
    #[cfg(test)]
    pub(super) fn holders(&self) -> impl Fn() -> usize + use<> {
        let queue = self.0.downgrade();
        move || queue.strong_count()
    }

    /// Queues a decision and waits until what it decided is durable.
    pub(super) async fn commit<T: Send + 'static>(
        &self,
        about: About,
        by: Option<PartyId>,
        decide: impl FnOnce(&State, &mut Desk<'_>) -> Result<Verdict<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (order, answer) = order(about, by, decide);
        self.0.send(order).await.map_err(|_| Fault::Fenced)?;
        answer.await.map_err(|_| Fault::Fenced)?
    }

    /// The same for a thread of our own.
    pub(super) fn commit_blocking<T: Send + 'static>(
        &self,
        by: Option<PartyId>,
        decide: impl FnOnce(&State, &mut Desk<'_>) -> Result<Verdict<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        // Its records concern what any other may: it goes alone.
        let (order, answer) = order(About::Everything, by, decide);
        self.0.blocking_send(order).map_err(|_| Fault::Fenced)?;
        answer.blocking_recv().map_err(|_| Fault::Fenced)?
    }

    /// Lets the writer look for what is over among the next `count` sessions.
    pub(super) fn sweep(&self, count: usize) {
        let _ = self.0.try_send(Order::Sweep(count));
    }

    /// Lets the writer go on in a new segment of the journal, if there is room for one.
    pub(super) fn roll(&self) {
        let _ = self.0.try_send(Order::Roll);
    }

    /// Waits until everything queued before is durable and the writer has stopped.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(Order::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

fn order<T: Send + 'static>(
    about: About,
    by: Option<PartyId>,
    decide: impl FnOnce(&State, &mut Desk<'_>) -> Result<Verdict<T>, Error> + Send + 'static,
) -> (Order, oneshot::Receiver<Result<T, Error>>) {
    let (sender, answer) = oneshot::channel();
    let decide: Decide = Box::new(move |state, desk| {
        match desk.map_err(Error::Fault).and_then(|mut desk| decide(state, &mut desk)) {
            Ok(Verdict::Commit(record, answer)) => {
                let done: Done = Box::new(move |durable| {
                    let _ = sender.send(durable.map(answer).map_err(Error::Fault));
                });
                Some((record, done))
            }
            Ok(Verdict::Already(answer)) => {
                let _ = sender.send(Ok(answer));
                None
            }
            Err(error) => {
                let _ = sender.send(Err(error));
                None
            }
        }
    });
    (Order::Decide(Decision { about, by, decide }), answer)
}

/// Seconds that the clock may go back.
const LEEWAY_S: u32 = 60;
/// Decisions that may wait; then callers do.
const QUEUE_MAX: usize = 4096;
