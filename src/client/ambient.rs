//! Time and randomness, handed in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use getrandom::SysRng;
use rand_core::{CryptoRng, UnwrapErr};
use sidekey_protocol::ids::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Unix seconds, now.
    fn now(&self) -> Timestamp;
}

/// The system's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everyone else is given")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
    }
}

/// The time and the randomness that everything in this crate is given, and how long its requests may take.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    deadline: Duration,
    rng: Arc<Mutex<Box<dyn CryptoRng + Send>>>,
}

impl Ambient {
    /// The system's clock and its random number source.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), UnwrapErr(SysRng))
    }

    /// For tests, and for hosts with a better clock: another clock, another generator.
    pub fn new(clock: Arc<dyn Clock>, rng: impl CryptoRng + Send + 'static) -> Self {
        Self { clock, deadline: DEADLINE, rng: Arc::new(Mutex::new(Box::new(rng))) }
    }

    /// The same, each request to be answered within this time, retries and all, instead of ten seconds.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut dyn CryptoRng) -> T) -> T {
        // A generator whose user panicked has no invariant that could be broken.
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        draw(&mut **rng)
    }

    /// Evenly from 0 to `most`, both included, for jitter: the bias of the remainder does not matter there.
    pub(crate) fn up_to(&self, most: u64) -> u64 {
        self.with_rng(|rng| rng.next_u64() % most.saturating_add(1).max(1))
    }
}

impl Default for Ambient {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}

/// All attempts of a request together, unless said.
const DEADLINE: Duration = Duration::from_secs(10);
