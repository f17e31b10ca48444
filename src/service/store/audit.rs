//! The audit log, read from the journal: as much at once as one page needs, and no more than a bounded part of it.

use std::path::PathBuf;

use sidekey_protocol::audit::wire::{AuditQuery, AuditRecord};
use sidekey_protocol::audit::{Entry, Position};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::Timestamp;

use super::journal::read::{Found, Reader};
use super::journal::{self};
use super::open::JOURNAL;
use super::view::Page;
use super::{Store, record};
use crate::fault::{Damage, Fault};

/// Part of the audit log.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What is wanted of it, in order.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
    /// The newest record.
    pub last: u64,
}

impl Store {
    /// The entries that are wanted. Blocks: it reads from the disk.
    ///
    /// # Errors
    /// [`Fault::Corrupt`], [`Fault::Io`].
    pub fn audit(&self, page: Page, wanted: &AuditQuery) -> Result<Audited, Fault> {
        let last = self.position().seq;
        let (folder, mut page) = (self.journal(), page);
        let from = match (wanted.from, wanted.since) {
            (None, None) => 1,
            (from, None) => from.unwrap_or(1),
            (from, Some(since)) => from.unwrap_or(1).max(first_since(&folder, since, last)?),
        };
        page.after = page.after.max(place(from.clamp(1, last + 1), 0) - 1);
        // Its last record may have entries that are still to be shown.
        let mut reader = Reader::new(&folder, (page.after >> ITEM_BITS).saturating_sub(1), last)?;
        let (mut shown, mut octets) = (Audited { entries: Vec::new(), next: None, last }, 0);
        while let Some(found) = reader.next()? {
            octets += found.body.len();
            for entry in lines(&found)? {
                let here = place(entry.seq, entry.item);
                if here <= page.after || !wanted.wants(&entry) {
                    continue;
                }
                if shown.entries.len() == page.size {
                    shown.next = Some(here - 1);
                    return Ok(shown);
                }
                shown.entries.push(Entry { hash: Some(Octets(found.end.hash)), ..entry });
            }
            if octets > READ_MAX && found.end.seq < last {
                shown.next = Some(place(found.end.seq + 1, 0) - 1);
                return Ok(shown);
            }
        }
        Ok(shown)
    }

    /// One record; `None` when there is none of this number. Blocks.
    ///
    /// # Errors
    /// As [`Self::audit`].
    pub fn audit_record(&self, seq: u64) -> Result<Option<AuditRecord>, Fault> {
        let last = self.position().seq;
        if seq == 0 || seq > last {
            return Ok(None);
        }
        let Some(found) = Reader::new(&self.journal(), seq - 1, last)?.next()? else { return Ok(None) };
        Ok(Some(AuditRecord {
            seq,
            nth: found.frame.nth,
            size: found.frame.size_bytes,
            body: Octets(found.body_hash),
            leaf: Octets(found.frame.leaf(&found.body_hash)),
            previous: Octets(found.before.hash),
            hash: Octets(found.end.hash),
            entries: lines(&found)?,
        }))
    }

    /// After the last record that is durable and in force.
    pub(super) fn position(&self) -> Position {
        self.shared.read().position
    }

    fn journal(&self) -> PathBuf {
        self.shared.at_rest.folder().join(JOURNAL)
    }
}

/// What a record says, so far as it is what its frame binds.
fn lines(found: &Found) -> Result<Vec<Entry>, Fault> {
    let corrupt = |damage| journal::corrupt(found.end.seq, damage);
    let entry = record::Entry::decode(&found.body).map_err(|_| corrupt(Damage::Undecodable))?;
    if entry.bound(found.end.seq) != found.frame.entries {
        return Err(corrupt(Damage::Entries));
    }
    Ok(entry.lines(found.end.seq))
}

/// The first record of a segment that may hold something of `since`: the next one begins no earlier than that. It is not
/// searched for by halves, since a clock that was set right begins again before what it had reached.
fn first_since(folder: &std::path::Path, since: Timestamp, last: u64) -> Result<u64, Fault> {
    let starts = Reader::starts(folder)?;
    for pair in starts.windows(2) {
        if pair[1] > last {
            return Ok(pair[0]);
        }
        let found = Reader::new(folder, pair[1] - 1, last)?.next()?;
        let begun = found.map(|found| lines(&found)).transpose()?;
        if begun.is_none_or(|begun| begun.first().is_none_or(|entry| entry.at >= since)) {
            return Ok(pair[0]);
        }
    }
    Ok(starts.last().copied().unwrap_or(1))
}

/// Where an entry stands among all: pages end between two of them.
const fn place(seq: u64, item: u16) -> u64 {
    (seq << ITEM_BITS) | item as u64
}

/// A record has at most a thousand entries.
const ITEM_BITS: u32 = 10;
/// Octets of records that one page looks at.
const READ_MAX: usize = 4 << 20;
