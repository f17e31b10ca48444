//! What the store counts: records, syncs, and what became of pairings, keys and revocations.

use std::path::Path;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::Suite;

use super::Store;
use super::record::Record;
use crate::metrics::Registry;

/// The handles. A store that nobody measures has none.
#[derive(Debug)]
pub(crate) struct Meter {
    records: Counter,
    write_errors: Counter,
    fsync: Histogram,
    last_success: Gauge,
    commit: Histogram,
    write_behind: Histogram,
    issued: [Counter; 2],
    confirmed: Counter,
    revocations: [Counter; 6],
}

impl Meter {
    /// Makes them.
    pub(crate) fn new(registry: &Registry) -> Self {
        let op = |op| registry.histogram("sidekey_store_op_duration_seconds", &[("op", op)]);
        let issued = |alg| registry.counter("sidekey_keys_issued_total", &[("alg", alg)]);
        let revoked = |scope| registry.counter("sidekey_revocations_total", &[("scope", scope)]);
        Self {
            records: registry.counter("sidekey_audit_records_total", &[]),
            write_errors: registry.counter("sidekey_audit_write_errors_total", &[]),
            fsync: registry.histogram("sidekey_audit_fsync_duration_seconds", &[]),
            last_success: registry.gauge("sidekey_audit_last_success_timestamp_seconds", &[]),
            commit: op("commit"),
            write_behind: op("write_behind"),
            issued: ["A256GCM", "C20P"].map(issued),
            confirmed: registry.counter("sidekey_pairings_total", &[("state", "confirmed")]),
            revocations: ["invitation", "pairing", "server", "session", "user", "credential"].map(revoked),
        }
    }

    /// A batch is durable.
    pub(super) fn durable(&self, records: usize, synced_in: Duration, at: Timestamp) {
        self.records.increment(records as u64);
        self.fsync.record(synced_in.as_secs_f64());
        self.last_success.set(f64::from(at.0));
    }

    /// A batch could not be written.
    pub(super) fn unwritten(&self) {
        self.write_errors.increment(1);
    }

    /// A batch went through, from its decisions to its answers.
    pub(super) fn committed(&self, since: Instant) {
        self.commit.record(since.elapsed().as_secs_f64());
    }

    /// The state was written behind the journal.
    pub(super) fn written_behind(&self, since: Instant) {
        self.write_behind.record(since.elapsed().as_secs_f64());
    }

    /// A record is in force.
    pub(super) fn took_effect(&self, record: &Record) {
        match record {
            Record::Opened(opened) => self.issued[usize::from(opened.suite == Suite::C20p)].increment(1),
            Record::Confirmed(_) => self.confirmed.increment(1),
            Record::Revoked { target, .. } => self.revocations[scope(target)].increment(1),
            _ => {}
        }
    }
}

const fn scope(target: &Target) -> usize {
    match target {
        Target::Invitation { .. } => 0,
        Target::Pairing { .. } => 1,
        Target::Server { .. } => 2,
        Target::Session { .. } => 3,
        Target::User { .. } => 4,
        Target::Credential { .. } => 5,
    }
}

/// What is looked up when somebody asks.
impl Store {
    /// Counts from now on.
    pub(crate) fn measure(&self, meter: Meter) {
        // A second one would count nothing: there is one for each store.
        let _ = self.shared.meter.set(meter);
    }

    /// Pairings that are live.
    pub(crate) fn pairings_active(&self) -> usize {
        let state = self.shared.read();
        let live = state.parties.iter().filter(|party| party.party.is_live());
        live.filter(|party| party.party.place().is_some()).count()
    }

    /// Octets of the journal, of the base and of the state behind them.
    pub(crate) fn size_bytes(&self) -> u64 {
        let folder = self.shared.at_rest.folder();
        let base = folder.join("base").metadata().map_or(0, |file| file.len());
        base + ["journal", "state"].into_iter().map(|name| size_bytes(&folder.join(name))).sum::<u64>()
    }

    /// How old the key is that secrets are sealed under now.
    pub(crate) fn sealing_key_age_s(&self) -> u32 {
        self.now().since_s(self.shared.at_rest.newest().1)
    }
}

/// Of all files in a folder; what goes away meanwhile counts nothing.
fn size_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(file) if file.is_dir() => size_bytes(&entry.path()),
        Ok(file) => file.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_large_as_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join("within");
        std::fs::create_dir(&within).unwrap();
        std::fs::write(folder.path().join("file"), [0; 10]).unwrap();
        std::fs::write(within.join("file"), [0; 1000]).unwrap();
        assert_eq!(size_bytes(folder.path()), 1010);
        assert_eq!(size_bytes(&folder.path().join("gone")), 0);
    }
}
