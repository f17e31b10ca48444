//! Room on the disk: how much there is, how little is little, and how much a journal wants that was full.

use std::path::Path;

use super::Store;
use super::journal::SEGMENT_SIZE;

/// Octets that are free on the disk of a folder; `None` where the system does not say.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether a journal that was full may go on: with a segment, and with another that is then left for everything else.
pub(super) fn is_enough(folder: &Path) -> bool {
    free_bytes(folder).is_some_and(holds_two_segments)
}

pub(super) const fn holds_two_segments(free: u64) -> bool {
    free >= 2 * SEGMENT_SIZE
}

impl Store {
    /// Octets that are free on the data folder's disk; `None` where the system does not say.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        free_bytes(self.shared.at_rest.folder())
    }
}
