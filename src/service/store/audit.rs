//! The audit log, read from the journal: as much at once as one page needs, and no more than a bounded part of it.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLockReadGuard};

use sidekey_protocol::audit::proof::{Asker, Proof, ProofEntry, ProofPart, ProofRecord};
use sidekey_protocol::audit::wire::{AuditQuery, AuditRecord};
use sidekey_protocol::audit::{Entry, Frame, Position, entry_hash, entry_salt};
use sidekey_protocol::encoding::{Bytes, Octets};
use sidekey_protocol::ids::Timestamp;

use super::journal::read::{Found, Reader};
use super::journal::{self};
use super::open::JOURNAL;
use super::view::Page;
use super::{Error, Refused, Store, record};
use crate::fault::{Damage, Fault};

/// Part of the audit log.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What is wanted of it, in order.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
    /// The oldest record that is kept.
    pub first: u64,
    /// The newest record.
    pub last: u64,
}

impl Store {
    /// The entries that are wanted. Blocks: it reads from the disk.
    ///
    /// # Errors
    /// [`Fault::Corrupt`], [`Fault::Io`].
    pub fn audit(&self, page: Page, wanted: &AuditQuery) -> Result<Audited, Fault> {
        let _kept = self.reading();
        let (first, last) = self.ends();
        let (folder, mut page) = (self.journal(), page);
        let from = match (wanted.from, wanted.since) {
            (None, None) => first,
            (from, None) => from.unwrap_or(first),
            (from, Some(since)) => from.unwrap_or(first).max(first_since(&folder, since, last)?),
        };
        page.after = page.after.max(place(from.min(last).max(first), 0) - 1);
        // Its last record may have entries that are still to be shown.
        let mut reader = Reader::new(&folder, (page.after >> ITEM_BITS).saturating_sub(1), last)?;
        let (mut shown, mut octets) = (Audited { entries: Vec::new(), next: None, first, last }, 0);
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
    /// [`Refused::Pruned`], and as [`Self::audit`].
    pub fn audit_record(&self, seq: u64) -> Result<Option<AuditRecord>, Error> {
        let _kept = self.reading();
        let (first, last) = self.ends();
        if seq == 0 || seq > last {
            return Ok(None);
        }
        if seq < first {
            return Err(Refused::Pruned.into());
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

    /// The records after `after`, or all that are kept, so far as `who` may see what they did. Blocks.
    ///
    /// # Errors
    /// [`Refused::Pruned`], and as [`Self::audit`].
    pub fn audit_proof(&self, after: Option<u64>, who: &Asker<'_>) -> Result<Option<Proof>, Error> {
        let _kept = self.reading();
        let ((first, _), end, now) = (self.ends(), self.position(), self.now());
        let after = after.unwrap_or(first - 1);
        if after > end.seq {
            return Ok(None);
        }
        if after + 1 < first {
            return Err(Refused::Pruned.into());
        }
        let mut reader = Reader::new(&self.journal(), after, end.seq)?;
        let mut proof = Proof { after, previous: Octets(end.hash), records: Vec::new(), checkpoint: None };
        let (mut octets, mut last) = (0, after);
        while let Some(found) = reader.next()? {
            if last == after {
                proof.previous = Octets(found.before.hash);
            }
            last = found.end.seq;
            let entry = decoded(&found)?;
            let lines = entry.lines(last);
            let told: Vec<_> = lines.into_iter().map(|line| entry.told(&line, who.may_see(&line))).collect();
            octets += push(&mut proof.records, &found, told);
            if octets > PROOF_MAX {
                break;
            }
        }
        if last == end.seq {
            proof.checkpoint = Some(self.signed(end, now)?);
        }
        Ok(Some(proof))
    }

    /// After the last record that is durable and in force.
    pub(super) fn position(&self) -> Position {
        self.shared.read().position
    }

    /// The first record that is kept, and the last.
    fn ends(&self) -> (u64, u64) {
        let state = self.shared.read();
        (state.global.begins, state.position.seq)
    }

    /// While this is held, nothing is deleted that was kept.
    fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.reading.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.shared.at_rest.folder().join(JOURNAL)
    }
}

/// Adds a record to a proof, by its leaf where nothing of it is told, and says how long that is.
fn push(records: &mut Vec<ProofPart>, found: &Found, told: Vec<ProofEntry>) -> usize {
    let Frame { size_bytes: size, nth, .. } = found.frame;
    if told.iter().any(|entry| matches!(entry, ProofEntry::Entry { .. })) {
        let octets = told.len() * TOLD_SIZE;
        let body = Octets(found.body_hash);
        records.push(ProofPart::Record(ProofRecord { nth, size, body, entries: told }));
        return octets;
    }
    let leaf = found.frame.leaf(&found.body_hash);
    match records.last_mut() {
        Some(ProofPart::Leaves(leaves)) => leaves.0.extend_from_slice(&leaf),
        _ => records.push(ProofPart::Leaves(Bytes(leaf.to_vec()))),
    }
    leaf.len()
}

impl record::Entry {
    /// One of its lines for whoever may see it, and for others its hash.
    fn told(&self, line: &Entry, visible: bool) -> ProofEntry {
        let (salt, text) = (entry_salt(&self.salt, line.item), line.text());
        if visible {
            ProofEntry::Entry { salt: Octets(salt), text }
        } else {
            ProofEntry::Hash(Octets(entry_hash(&salt, &text)))
        }
    }
}

/// What a record says, so far as it is what its frame binds.
fn lines(found: &Found) -> Result<Vec<Entry>, Fault> {
    Ok(decoded(found)?.lines(found.end.seq))
}

fn decoded(found: &Found) -> Result<record::Entry, Fault> {
    let corrupt = |damage| journal::corrupt(found.end.seq, damage);
    let entry = record::Entry::decode(&found.body).map_err(|_| corrupt(Damage::Undecodable))?;
    if entry.bound(found.end.seq) != found.frame.entries {
        return Err(corrupt(Damage::Entries));
    }
    Ok(entry)
}

/// The first record of a segment that may hold something of `since`: the next one begins no earlier than that. It is not
/// searched for by halves, since a clock that was set right begins again before what it had reached.
fn first_since(folder: &std::path::Path, since: Timestamp, last: u64) -> Result<u64, Fault> {
    let starts = Reader::starts(folder)?;
    for pair in starts.windows(2) {
        // None, too, when nothing in it is durable yet.
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
    (seq << ITEM_BITS) + item as u64
}

/// A record has at most a thousand entries.
const ITEM_BITS: u32 = 10;
/// Octets of one page of a proof, about.
pub(super) const PROOF_MAX: usize = 256 << 10;
/// Octets of an entry that is told, about.
pub(super) const TOLD_SIZE: usize = 400;
/// Octets of records that one page looks at.
pub(super) const READ_MAX: usize = 4 << 20;
