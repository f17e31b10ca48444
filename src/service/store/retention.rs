//! Retention: the oldest segments of the journal are deleted, and the log says so.
//!
//! ```text
//!   the base, durable and read again ──▶ `Pruned`, durable ──▶ signed ──▶ segments deleted, oldest first
//! ```
//! After each arrow the process may die. Before `Pruned` is durable nothing has happened; after it, the next start, or the
//! next look, finds what is still to be signed and deleted.

use std::sync::PoisonError;

use sidekey_protocol::audit::KEPT_DAYS_MIN;
use sidekey_protocol::audit::wire::Pruned;
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, Timestamp};

use super::engine::{Desk, Verdict};
use super::journal::read::{Found, Reader};
use super::journal::{self, corrupt};
use super::record::{self, Record};
use super::state::State;
use super::{Error, Refused, Store, base};
use crate::fault::{Damage, Fault};

impl Store {
    /// Deletes records from before `before`, so far as they fill whole segments, and not more than so many at once; or
    /// says what all of it would be. Blocks, for as long as it takes to read what goes.
    ///
    /// # Errors
    /// [`Refused::Young`]: nobody may delete what is younger than [`KEPT_DAYS_MIN`]. [`Fault::Corrupt`]: what would be
    /// deleted is not what was written, and stays. [`Fault::Full`], [`Fault::Io`].
    pub fn prune(&self, by: Option<PartyId>, before: Timestamp, dry_run: bool) -> Result<Pruned, Error> {
        let _alone = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.now()?;
        if before.after_s(KEPT_DAYS_MIN * DAY_S) > self.now() {
            return Err(Refused::Young.into());
        }
        self.finish_pruning()?;
        let most = if dry_run { usize::MAX } else { SEGMENTS_AT_ONCE };
        let (would, Found { before: place, .. }) = self.older(before, most)?;
        if dry_run || would.records == 0 {
            return Ok(would);
        }
        let state = base::advance(&self.shared.at_rest, place.seq)?;
        // A base that had to be made anew stands later.
        if state.position.seq == place.seq && state.position != place {
            return Err(corrupt(would.first, Damage::Chain).into());
        }
        let pruned = Box::new(record::Pruned {
            service: self.identity.service,
            keys: state.global.keys.iter().map(|key| key.public).collect(),
            records: would.records,
            first: would.first,
            previous: Octets(place.hash),
        });
        let decide =
            move |_: &State, _: &mut Desk<'_>| Ok(Verdict::Commit(Record::Pruned(pruned), Box::new(|_| ())));
        self.engine.commit_blocking(by, decide)?;
        self.finish_pruning()?;
        let Pruned { records, segments, first, .. } = would;
        tracing::info!(records, segments, first, "the log is pruned");
        Ok(would)
    }

    /// What the service does by itself where records are kept for so many days: closes a segment that has been open for
    /// an eighth of that, so that its records do not have to wait for others, and deletes what is older.
    ///
    /// # Errors
    /// As [`Self::prune`].
    pub fn retain(&self, keep_days: u32) -> Result<(), Error> {
        let (now, kept_s) = (self.now(), keep_days.saturating_mul(DAY_S));
        let newest = Reader::starts(&self.journal())?.pop().unwrap_or(1);
        if let Some(found) = self.record(newest)?
            && now.since_s(begun(&found)?) >= kept_s / 8
        {
            self.engine.roll();
        }
        let Some(before) = now.0.checked_sub(kept_s).map(Timestamp) else { return Ok(()) };
        while self.prune(None, before, false)?.more {}
        Ok(())
    }

    /// Deletes what the log says is gone, and is still there; whatever says so is signed before. Whoever reads the log has
    /// what he reads.
    pub(super) fn finish_pruning(&self) -> Result<(), Fault> {
        let begins = self.shared.read().global.begins;
        if Reader::starts(&self.journal())?.get(1).is_none_or(|&second| second > begins) {
            return Ok(());
        }
        self.checkpoint()?;
        let _nobody_reads = self.reading.write().unwrap_or_else(PoisonError::into_inner);
        journal::remove(&self.journal(), begins)
    }

    /// What would be deleted, and the first record that would be kept.
    fn older(&self, before: Timestamp, most: usize) -> Result<(Pruned, Found), Fault> {
        let begins = self.shared.read().global.begins;
        let starts = Reader::starts(&self.journal())?;
        let (mut kept, mut segments, mut more) = (self.first_of(begins)?, 0, false);
        // A segment's first record is no older than any before it.
        for &start in starts.iter().filter(|&&start| start > begins) {
            let Some(found) = self.record(start)?.filter(|found| begun(found).is_ok_and(|at| at <= before))
            else {
                break;
            };
            more = segments == most;
            if more {
                break;
            }
            (kept, segments) = (found, segments + 1);
        }
        let (first, since) = (kept.end.seq, begun(&kept)?);
        Ok((Pruned { records: first - begins, segments: segments as u64, first, since, more }, kept))
    }

    fn first_of(&self, begins: u64) -> Result<Found, Fault> {
        self.record(begins)?.ok_or(corrupt(begins, Damage::Missing))
    }

    fn record(&self, seq: u64) -> Result<Option<Found>, Fault> {
        Reader::new(&self.journal(), seq - 1, self.position().seq)?.next()
    }
}

/// When a record was made.
fn begun(found: &Found) -> Result<Timestamp, Fault> {
    let entry = record::Entry::decode(&found.body);
    entry.map(|entry| entry.at).map_err(|_| corrupt(found.end.seq, Damage::Undecodable))
}

const DAY_S: u32 = 86_400;
/// Segments that are deleted at once: what they come to is held in memory, and somebody waits.
const SEGMENTS_AT_ONCE: usize = 8;
