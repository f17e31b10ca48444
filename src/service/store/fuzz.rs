//! What the fuzzer sees of the journal (feature `fuzz`, of nobody else).

use std::path::Path;

use sidekey_protocol::audit;
pub use sidekey_protocol::audit::Position;

use super::journal::read::Reader;
use super::journal::{Journal, Text};
use super::record::Entry;
use crate::fault::Fault;

/// A record's body, read.
#[derive(Debug)]
pub struct Said {
    /// The body, written again.
    pub body: Vec<u8>,
    /// What the audit log says of it.
    pub lines: Vec<audit::Entry>,
    /// What binds that.
    pub bound: [u8; 32],
}

/// What a body says, as that of this record; `None`: nothing that this program knows.
#[must_use]
pub fn record(body: &[u8], seq: u64) -> Option<Said> {
    let entry = Entry::decode(body).ok()?;
    Some(Said { body: entry.encode(), lines: entry.lines(seq), bound: entry.bound(seq) })
}

/// A new journal in an empty folder, of these batches; where it stands after each record.
///
/// # Errors
/// As of the service's own journal.
pub fn write(folder: &Path, size: u64, batches: &[&[&[u8]]]) -> Result<Vec<Position>, Fault> {
    append(&mut Journal::create(folder, size)?, batches)
}

/// What is there is read as at a start, cut off where it is torn, and gone on with.
///
/// # Errors
/// As of the service's own journal.
pub fn go_on(folder: &Path, size: u64, batches: &[&[&[u8]]]) -> Result<(Vec<Vec<u8>>, Vec<Position>), Fault> {
    let mut bodies = Vec::new();
    let mut journal = Journal::open(folder, size, Position::START, |_, body| {
        bodies.push(body.to_vec());
        Ok(())
    })?;
    Ok((bodies, append(&mut journal, batches)?))
}

/// All of it, as an audit reads it: each record's body, and where the journal stands after it.
///
/// # Errors
/// As of the service's own journal.
pub fn verify(folder: &Path) -> Result<Vec<(Position, Vec<u8>)>, Fault> {
    let mut found = Vec::new();
    Journal::verify(folder, Reader::begin(folder)?, |end, _, body| {
        found.push((end, body.to_vec()));
        Ok(())
    })?;
    Ok(found)
}

/// The same up to the record `last`, as whoever looks on reads it while the service writes.
///
/// # Errors
/// As of the service's own journal.
pub fn look_on(folder: &Path, last: u64) -> Result<Vec<(Position, Vec<u8>)>, Fault> {
    let (mut reader, mut found) = (Reader::new(folder, 0, last)?, Vec::new());
    while let Some(record) = reader.next()? {
        found.push((record.end, record.body));
    }
    Ok(found)
}

fn append(journal: &mut Journal, batches: &[&[&[u8]]]) -> Result<Vec<Position>, Fault> {
    let mut positions = Vec::new();
    for batch in batches {
        let text = |body: &&[u8]| Text { entries: [7; 32], body: body.to_vec() };
        let texts: Vec<_> = batch.iter().map(text).collect();
        positions.extend(journal.append(&texts, false).map_err(super::journal::Unwritten::fault)?);
    }
    Ok(positions)
}
