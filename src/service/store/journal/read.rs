//! Reading what is durable while the writer goes on: a record at a time, each held against the chain.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use sidekey_protocol::audit::Frame;
use sidekey_protocol::crypto::sha256;

use super::scan::{corrupt, list};
use super::{HASH_SIZE, HEADER_SIZE, Position, RECORD_MAX, name};
use crate::fault::{Damage, Fault};

/// A record that was read.
#[derive(Debug)]
pub(in crate::store) struct Found {
    pub(in crate::store) before: Position,
    pub(in crate::store) frame: Frame,
    pub(in crate::store) body: Vec<u8>,
    pub(in crate::store) body_hash: [u8; 32],
    /// After it.
    pub(in crate::store) end: Position,
}

/// Reads records in their order.
#[derive(Debug)]
pub(in crate::store) struct Reader {
    folder: PathBuf,
    /// The segments that are still to be read, the next one last.
    left: Vec<u64>,
    /// The one that is being read, by its first record.
    segment: Option<(u64, BufReader<File>)>,
    /// The last record that was read or passed over.
    at: Position,
    /// The last one that is durable.
    last: u64,
}

impl Reader {
    /// Of the journal in `folder`, which is durable up to `last`: the records after `after`.
    pub(in crate::store) fn new(folder: &Path, after: u64, last: u64) -> Result<Self, Fault> {
        let mut left: Vec<u64> = list(folder)?.into_iter().rev().collect();
        // Those before the one that holds the next record.
        if let Some(holding) = left.iter().position(|&first| first <= after + 1) {
            left.truncate(holding + 1);
        }
        let at = Position { seq: after, hash: [0; 32] };
        let mut reader = Self { folder: folder.to_owned(), left, segment: None, at, last };
        if after < last {
            reader.open_next()?;
            while reader.at.seq < after {
                reader.step(false)?;
            }
        }
        Ok(reader)
    }

    /// The first records of the segments that are left, oldest first.
    pub(in crate::store) fn starts(folder: &Path) -> Result<Vec<u64>, Fault> {
        list(folder)
    }

    /// Where the journal in `folder` begins: by the word of its first segment alone.
    pub(in crate::store) fn begin(folder: &Path) -> Result<Position, Fault> {
        let left = list(folder)?.into_iter().take(1).collect();
        let mut reader =
            Self { folder: folder.to_owned(), left, segment: None, at: Position::START, last: 0 };
        reader.open_next()?;
        Ok(reader.at)
    }

    /// The next record; `None` when there is no other yet.
    pub(in crate::store) fn next(&mut self) -> Result<Option<Found>, Fault> {
        if self.at.seq >= self.last {
            return Ok(None);
        }
        self.step(true)
    }

    /// Reads or passes over one record.
    fn step(&mut self, wanted: bool) -> Result<Option<Found>, Fault> {
        let seq = self.at.seq + 1;
        if self.left.last() == Some(&seq) {
            self.open_next()?;
        }
        let Some((segment, file)) = &mut self.segment else {
            return Err(corrupt(seq, seq, Damage::Missing));
        };
        let (segment, before) = (*segment, self.at);
        let damaged = |damage| corrupt(segment, seq, damage);
        let mut head = [0; Frame::SIZE];
        file.read_exact(&mut head).map_err(Fault::io(READ))?;
        let frame = Frame::read(&head);
        let size = frame.size_bytes as usize;
        if frame.seq != seq || size == 0 || size > RECORD_MAX {
            return Err(damaged(Damage::Chain));
        }
        let mut body = Vec::new();
        if wanted {
            body.resize(size, 0);
            file.read_exact(&mut body).map_err(Fault::io(READ))?;
        } else {
            file.seek_relative(size as i64).map_err(Fault::io(READ))?;
        }
        let mut hash = [0; HASH_SIZE];
        file.read_exact(&mut hash).map_err(Fault::io(READ))?;
        self.at = Position { seq, hash };
        if !wanted {
            return Ok(None);
        }
        let body_hash = sha256(&body);
        if before.next(&frame.leaf(&body_hash)) != self.at {
            return Err(damaged(Damage::Chain));
        }
        Ok(Some(Found { before, frame, body, body_hash, end: self.at }))
    }

    /// Opens the next segment, behind its header.
    fn open_next(&mut self) -> Result<(), Fault> {
        let Some(first) = self.left.pop() else { return Ok(()) };
        let file = File::open(self.folder.join(name(first))).map_err(Fault::io(READ))?;
        let mut file = BufReader::with_capacity(BUFFER_SIZE, file);
        let mut head = [0; HEADER_SIZE];
        file.read_exact(&mut head).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => corrupt(first, first, Damage::Header),
            _ => Fault::io(READ)(error),
        })?;
        let hash = head[HEADER_SIZE - HASH_SIZE..].try_into().expect("32 octets");
        self.at = Position { seq: first - 1, hash };
        self.segment = Some((first, file));
        Ok(())
    }
}

const READ: &str = "read a journal segment";
/// Octets that are read at once.
const BUFFER_SIZE: usize = 65_536;
