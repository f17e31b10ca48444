//! Time is a parameter: everything that needs it is given a [`Clock`].

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sidekey_protocol::ids::Timestamp;

/// Tells the time.
pub trait Clock: Debug + Send + Sync {
    /// Unix seconds.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everyone else is given")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
    }
}

/// A clock with hands: stands still until a test turns it.
#[derive(Debug)]
pub struct TestClock(AtomicU32);

impl TestClock {
    /// Stands at `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicU32::new(now.0))
    }

    /// Turns the hands forward.
    pub fn advance_s(&self, seconds: u32) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Turns the hands to `now`, back if need be.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
