//! Time and randomness, handed in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_core::CryptoRng;
use sidekey_protocol::ids::Timestamp;

/// The time and the randomness that every carrier is given. Cheap to clone.
#[derive(Clone)]
pub struct Ambient {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    rng: Arc<Mutex<Box<dyn CryptoRng + Send>>>,
}

impl Ambient {
    /// By this clock, with this generator.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        rng: impl CryptoRng + Send + 'static,
    ) -> Self {
        Self { now: Arc::new(now), rng: Arc::new(Mutex::new(Box::new(rng))) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut octets = [0; N];
        // A generator whose user panicked has no invariant that could be broken.
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut octets);
        octets
    }

    /// From half of `most` to all of it: spread, and never at once.
    pub(crate) fn jittered(&self, most: Duration) -> Duration {
        let share = f64::from(u32::from_be_bytes(self.random())) / f64::from(u32::MAX);
        most.mul_f64(0.5 + share / 2.0)
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}
