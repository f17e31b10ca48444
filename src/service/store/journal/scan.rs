//! Reading the journal back: what is whole, what is a torn tail, what is damage.

use std::fs;
use std::path::Path;

use sidekey_protocol::audit::Frame;
use sidekey_protocol::crypto::sha256;

use super::{HASH_SIZE, HEADER_SIZE, Position, RECORD_MAX, header, name};
use crate::fault::{Damage, Fault};

/// Where the journal ends.
#[derive(Debug)]
pub(super) struct Tail {
    /// The last segment, by its first record.
    pub(super) segment: u64,
    /// Octets of it.
    pub(super) size: u64,
    /// Where the next record goes.
    pub(super) offset: u64,
    pub(super) end: Position,
    /// Octets of a torn write from `offset` on.
    pub(super) torn: usize,
}

/// Hands every record after `from` to `apply`, and says where the journal ends.
pub(super) fn replay(
    folder: &Path,
    from: Position,
    mut apply: impl FnMut(Position, &Frame, &[u8]) -> Result<(), Damage>,
) -> Result<Tail, Fault> {
    let segments = list(folder)?;
    let start = segments.iter().rposition(|&first| first <= from.seq + 1).ok_or(missing(from.seq + 1))?;
    let mut tail = None;
    for (i, &first) in segments.iter().enumerate().skip(start) {
        let bytes = fs::read(folder.join(name(first))).map_err(Fault::io("read a journal segment"))?;
        let before = tail.map(|tail: Tail| tail.end);
        let mut segment = Segment::open(first, &bytes, before)?;
        while let Some((frame, body)) = segment.next() {
            let end = segment.end;
            if end.seq > from.seq {
                apply(end, &frame, body).map_err(|damage| corrupt(first, end.seq, damage))?;
            } else if end.seq == from.seq && end.hash != from.hash {
                return Err(corrupt(first, end.seq, Damage::Chain));
            }
        }
        tail = Some(segment.close(segments.get(i + 1).copied())?);
    }
    let tail = tail.expect("there is a segment to start with");
    if tail.end.seq < from.seq {
        return Err(corrupt(tail.segment, tail.end.seq + 1, Damage::Missing));
    }
    Ok(tail)
}

/// The segments' first records, in order.
pub(super) fn list(folder: &Path) -> Result<Vec<u64>, Fault> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder).map_err(Fault::io("list the journal"))? {
        let file = entry.map_err(Fault::io("list the journal"))?.file_name();
        let first = file.to_str().and_then(|file| file.strip_suffix(".journal")?.parse().ok());
        segments.extend(first.filter(|&first| (1..=FIRST_MAX).contains(&first) && *name(first) == *file));
    }
    segments.sort_unstable();
    if segments.is_empty() { Err(Fault::Missing) } else { Ok(segments) }
}

struct Segment<'a> {
    first: u64,
    bytes: &'a [u8],
    offset: usize,
    end: Position,
}

impl<'a> Segment<'a> {
    fn open(first: u64, bytes: &'a [u8], before: Option<Position>) -> Result<Self, Fault> {
        let head: [u8; HEADER_SIZE] = bytes
            .get(..HEADER_SIZE)
            .and_then(|head| head.try_into().ok())
            .ok_or(corrupt(first, first, Damage::Header))?;
        let hash = head[HEADER_SIZE - HASH_SIZE..].try_into().expect("32 octets");
        let size = u64::from_be_bytes(head[16..24].try_into().expect("8 octets"));
        if head != header(size, Position { seq: first.wrapping_sub(1), hash }) {
            return Err(corrupt(first, first, Damage::Header));
        }
        if size != bytes.len() as u64 {
            return Err(corrupt(first, first, Damage::Size));
        }
        let end = Position { seq: first - 1, hash };
        if before.is_some_and(|before| before != end) {
            return Err(corrupt(first, first, Damage::Chain));
        }
        Ok(Self { first, bytes, offset: HEADER_SIZE, end })
    }

    /// The next record, if it stands there whole and continues the chain.
    fn next(&mut self) -> Option<(Frame, &'a [u8])> {
        let record = Record::read(self.bytes, self.offset)?;
        if record.frame.seq != self.end.seq + 1 || record.hash(self.end.hash) != *record.stored {
            return None;
        }
        self.offset = record.end;
        self.end = Position { seq: record.frame.seq, hash: *record.stored };
        Some((record.frame, record.body))
    }

    /// Judges what follows the last whole record.
    fn close(self, next: Option<u64>) -> Result<Tail, Fault> {
        let record = self.end.seq + 1;
        let torn = written(&self.bytes[self.offset..]);
        let damage = self.damage(torn);
        // The next segment was made when everything before it was durable.
        if next.is_some_and(|next| next != record || torn > 0) || self.later_batch(torn) {
            return Err(corrupt(self.first, record, damage));
        }
        let size = self.bytes.len() as u64;
        Ok(Tail { segment: self.first, size, offset: self.offset as u64, end: self.end, torn })
    }

    /// What is wrong with the record that should follow, if anything is.
    fn damage(&self, torn: usize) -> Damage {
        let record = self.end.seq + 1;
        match Record::read(self.bytes, self.offset) {
            _ if torn == 0 => Damage::Missing,
            Some(Record { frame, .. }) if frame.seq != record && frame.seq.abs_diff(record) < FAR => {
                let stands = |at| Record::read(self.bytes, at).is_some_and(|other| other.frame.seq == record);
                let elsewhere = (self.offset..).take(torn).any(stands);
                if elsewhere { Damage::Order } else { Damage::Missing }
            }
            _ => Damage::Chain,
        }
    }

    /// Whether a record of a batch after this one's stands in the `torn` octets that follow.
    fn later_batch(&self, torn: usize) -> bool {
        let record = self.end.seq + 1;
        let later = |found: &Record<'_>| {
            let Frame { seq, nth, .. } = found.frame;
            seq.saturating_sub(nth.into()) > record && seq.abs_diff(record) < FAR
        };
        // Where only the stored hash of this record is bent, the next one follows from the computed one.
        if let Some(bent) = Record::read(self.bytes, self.offset) {
            let hash = bent.hash(self.end.hash);
            let next = Record::read(self.bytes, bent.end);
            if next.is_some_and(|next| later(&next) && next.hash(hash) == *next.stored) {
                return true;
            }
        }
        (self.offset..).take(torn).any(|at| {
            // The hash before a record is where its own chain begins: a record proves itself wherever it stands.
            let before = self.bytes[at - HASH_SIZE..at].try_into().expect("32 octets");
            Record::read(self.bytes, at)
                .is_some_and(|found| later(&found) && found.hash(before) == *found.stored)
        })
    }
}

/// Octets up to the last one that is not zero.
fn written(rest: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Whole blocks first: a segment is mostly zeros, and this is done at every start.
    let blocks = rest.chunks(ZEROS.len()).rposition(|block| block != &ZEROS[..block.len()]);
    blocks.map_or(0, |block| {
        let start = block * ZEROS.len();
        let end = rest.len().min(start + ZEROS.len());
        let last = rest[start..end].iter().rposition(|&octet| octet != 0);
        start + last.map_or(0, |last| last + 1)
    })
}

/// A record as it stands, not yet believed.
struct Record<'a> {
    frame: Frame,
    body: &'a [u8],
    stored: &'a [u8; HASH_SIZE],
    end: usize,
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Option<Self> {
        let frame = Frame::read(bytes.get(at..at + Frame::SIZE)?.try_into().ok()?);
        let size = frame.size_bytes as usize;
        if size == 0 || size > RECORD_MAX {
            return None;
        }
        let body_end = at + Frame::SIZE + size;
        let end = body_end + HASH_SIZE;
        let body = bytes.get(at + Frame::SIZE..body_end)?;
        Some(Self { frame, body, stored: bytes.get(body_end..end)?.try_into().ok()?, end })
    }

    /// h_n after this h_{n-1}.
    fn hash(&self, before: [u8; HASH_SIZE]) -> [u8; HASH_SIZE] {
        Position { seq: 0, hash: before }.next(&self.frame.leaf(&sha256(self.body))).hash
    }
}

pub(super) fn corrupt(segment: u64, record: u64, damage: Damage) -> Fault {
    Fault::Corrupt { segment, record, damage }
}

fn missing(record: u64) -> Fault {
    corrupt(record, record, Damage::Missing)
}

/// No journal grows so far that a number of its records could not be followed by another.
const FIRST_MAX: u64 = u64::MAX >> 1;
/// Records that one segment can hold, and more.
const FAR: u64 = 1 << 24;

#[cfg(test)]
mod tests;
