//! A clock with hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sidekey_protocol::ids::Timestamp;
use sidekey_service::clock::Clock as _;

/// The one clock of a system, which stands still until a test turns its hands. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Hands {
    time: Arc<AtomicU32>,
    ahead_s: i64,
}

impl Hands {
    /// Shows the real time: certificates are checked against the system's own clock, which nobody can hand in.
    #[must_use]
    pub fn at_the_real_time() -> Self {
        let now = sidekey_service::clock::SystemClock.now();
        Self { time: Arc::new(AtomicU32::new(now.0)), ahead_s: 0 }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let shown = i64::from(self.time.load(Ordering::SeqCst)) + self.ahead_s;
        Timestamp(u32::try_from(shown).expect("tests stay within the century"))
    }

    /// Turns the hands forward, on every clone.
    pub fn advance_s(&self, seconds: u32) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Turns the hands to `now`, back if need be, on every clone.
    pub fn set(&self, now: Timestamp) {
        self.time.store(now.0, Ordering::SeqCst);
    }

    /// A clock that is wrong by as much, always.
    #[must_use]
    pub fn ahead_by_s(&self, seconds: i64) -> Self {
        Self { time: Arc::clone(&self.time), ahead_s: self.ahead_s + seconds }
    }
}

impl sidekey_service::clock::Clock for Hands {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}

impl sidekey_client::Clock for Hands {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }
}
