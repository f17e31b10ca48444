//! When something was last seen: kept in memory, and written behind. No record tells of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sidekey_protocol::ids::Timestamp;

/// When something was last seen; 0 = never.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen(Arc<AtomicU32>);

impl LastSeen {
    /// When, if ever.
    pub(super) fn get(&self) -> Option<Timestamp> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Timestamp(at)),
        }
    }

    /// Keeps `now`, and says what was known before.
    pub(super) fn keep(&self, now: Timestamp) -> Timestamp {
        Timestamp(self.0.fetch_max(now.0, Ordering::Relaxed))
    }

    /// It cannot have been later than now: a clock that was ahead said so.
    pub(super) fn forget_after(&self, now: Timestamp) {
        self.0.fetch_min(now.0, Ordering::Relaxed);
    }
}

impl Serialize for LastSeen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.load(Ordering::Relaxed).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LastSeen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(AtomicU32::new(u32::deserialize(deserializer)?))))
    }
}
