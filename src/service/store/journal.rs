//! The journal: the commit, the audit log and the write-ahead log in one.
//!
//! Append-only segments, written full of zeros before their first use: extending a file makes every sync dearer. A
//! segment is named for its first record.
//!
//! ```text
//!   segment  "SKJRNL02" · first u64 · size u64 · check 8 · h_{first-1} 32 · records · zeros
//!   record   length u32 · sequence u64 · nth u16 · entries 32 · body · h_n 32
//!   h_n = SHA-256(h_{n-1} ‖ leaf_n), leaf_n = SHA-256(record up to its body ‖ SHA-256(body))
//! ```
//! `length` is the body's; `nth` is the record's place in its batch; `entries` binds what the audit log says of it
//! (proto/audit/spec.md). A batch is written at once and made durable by one
//! `fdatasync` before the next one is written. So what follows a record that does not verify tells what happened: a
//! record of a *later* batch proves that this one had been durable, and the journal is damaged; without one, it is the
//! tail of a write that the power cut short, of which nothing was ever acknowledged, and it is cut off.

pub(super) mod read;
mod scan;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sidekey_protocol::audit::Frame;
use sidekey_protocol::crypto::sha256;

use crate::fault::{Damage, Fault, is_full};
use crate::files::sync_folder;

pub(super) use sidekey_protocol::audit::Position;

/// What a record says.
#[derive(Debug)]
pub(super) struct Text {
    /// Binds what the audit log says of it.
    pub(super) entries: [u8; 32],
    pub(super) body: Vec<u8>,
}

/// Why a batch is not durable.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// Nobody knows what the disk holds: the process must end.
    Broken(Fault),
    /// Nothing was written.
    Refused(Fault),
}

/// The journal, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    segment: File,
    /// Octets of the open segment, and of the next ones.
    size: u64,
    segment_size: u64,
    /// Where the next record goes.
    offset: u64,
    end: Position,
    /// The disk had no room for the next segment when it was wanted.
    full: bool,
    /// The batch.
    buffer: Vec<u8>,
    /// How long the last sync took.
    pub(super) synced_in: Duration,
    /// A test's disk fails at the sync after this many.
    #[cfg(test)]
    pub(super) syncs_until_failure: Option<u32>,
    /// A test's disk has no room for another segment while this is set.
    #[cfg(test)]
    pub(super) no_room: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Journal {
    /// A new journal in an empty folder.
    pub(super) fn create(folder: &Path, segment_size: u64) -> Result<Self, Fault> {
        let segment = make_segment(folder, segment_size, Position::START).map_err(Unwritten::fault)?;
        Ok(Self {
            folder: folder.to_owned(),
            segment,
            size: segment_size,
            segment_size,
            offset: HEADER_SIZE as u64,
            end: Position::START,
            full: false,
            buffer: Vec::new(),
            synced_in: Duration::ZERO,
            #[cfg(test)]
            syncs_until_failure: None,
            #[cfg(test)]
            no_room: std::sync::Arc::default(),
        })
    }

    /// Opens the journal, cuts off a torn tail, and hands every record after `from` to `apply`, in order.
    pub(super) fn open(
        folder: &Path,
        segment_size: u64,
        from: Position,
        mut apply: impl FnMut(Position, &[u8]) -> Result<(), Damage>,
    ) -> Result<Self, Fault> {
        match fs::remove_file(folder.join(FRESH)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::io("remove an unfinished segment")(error));
            }
            _ => {}
        }
        let tail = scan::replay(folder, from, |end, _, body| apply(end, body))?;
        let segment = OpenOptions::new()
            .write(true)
            .open(folder.join(name(tail.segment)))
            .map_err(Fault::io("open a journal segment"))?;
        if tail.torn > 0 {
            tracing::warn!(record = tail.end.seq + 1, octets = tail.torn, "journal: cut off a torn tail");
            segment
                .write_all_at(&vec![0; tail.torn], tail.offset)
                .map_err(Fault::io("cut off a torn tail"))?;
        }
        // What was read may stand in the page cache alone; nothing may build on it before it is durable.
        segment.sync_all().map_err(Fault::io("sync a journal segment"))?;
        Ok(Self {
            folder: folder.to_owned(),
            segment,
            size: tail.size,
            segment_size,
            offset: tail.offset,
            end: tail.end,
            full: false,
            buffer: Vec::new(),
            synced_in: Duration::ZERO,
            #[cfg(test)]
            syncs_until_failure: None,
            #[cfg(test)]
            no_room: std::sync::Arc::default(),
        })
    }

    /// Reads all of it after `begin`, where it begins, and changes nothing: what an audit does.
    pub(super) fn verify(
        folder: &Path,
        begin: Position,
        check: impl FnMut(Position, &Frame, &[u8]) -> Result<(), Damage>,
    ) -> Result<Position, Fault> {
        scan::replay(folder, begin, check).map(|tail| tail.end)
    }

    /// Makes a batch durable and returns the hash of each of its records.
    ///
    /// The last [`RESERVE`]th of a segment is for what is `urgent`: a full disk must not prevent a revocation.
    pub(super) fn append(&mut self, texts: &[Text], urgent: bool) -> Result<Vec<Position>, Unwritten> {
        let positions = self.frame(texts)?;
        let octets = self.buffer.len() as u64;
        // A journal that is full takes no smaller batch either: what it says of itself is so.
        let is_full = self.full && !urgent;
        if is_full || self.offset + octets > self.size - self.size / RESERVE {
            match self.roll(octets) {
                Err(Unwritten::Refused(_)) if urgent && self.offset + octets <= self.size => {}
                other => other?,
            }
        }
        self.write()?;
        self.sync()?;
        self.offset += octets;
        self.end = *positions.last().expect("a batch has a record");
        Ok(positions)
    }

    /// Lays the batch out in the buffer.
    fn frame(&mut self, texts: &[Text]) -> Result<Vec<Position>, Unwritten> {
        self.buffer.clear();
        let mut end = self.end;
        let mut positions = Vec::with_capacity(texts.len());
        for (nth, Text { entries, body }) in texts.iter().enumerate() {
            if body.len() > RECORD_MAX {
                return Err(Unwritten::Refused(Fault::RecordTooLarge));
            }
            let (size_bytes, nth) = (body.len() as u32, nth as u16);
            let frame = Frame { size_bytes, seq: end.seq + 1, nth, entries: *entries };
            end = end.next(&frame.leaf(&sha256(body)));
            self.buffer.extend_from_slice(&frame.octets());
            self.buffer.extend_from_slice(body);
            self.buffer.extend_from_slice(&end.hash);
            positions.push(end);
        }
        Ok(positions)
    }

    /// Goes on in a new segment, unless this one is new.
    pub(super) fn roll_on(&mut self) -> Result<(), Unwritten> {
        if self.offset == HEADER_SIZE as u64 { Ok(()) } else { self.roll(0) }
    }

    /// Whether the disk had no room for the next segment when it was wanted last.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// After the last record.
    pub(super) const fn end(&self) -> Position {
        self.end
    }

    fn write(&mut self) -> Result<(), Unwritten> {
        let mut batch = self.buffer.as_slice();
        let mut at = self.offset;
        while !batch.is_empty() {
            match self.segment.write_at(batch, at) {
                Ok(0) => return Err(Unwritten::broken(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    batch = &batch[written..];
                    at += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) && at == self.offset => {
                    self.full = true;
                    return Err(Unwritten::Refused(Fault::Full));
                }
                Err(error) => return Err(Unwritten::broken(error)),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Unwritten> {
        #[cfg(test)]
        if let Some(left) = &mut self.syncs_until_failure {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Err(Unwritten::broken(io::Error::from_raw_os_error(5))),
            }
        }
        let since = Instant::now();
        self.segment.sync_data().map_err(Unwritten::broken)?;
        self.synced_in = since.elapsed();
        Ok(())
    }

    /// Goes on in a new segment with room for at least `octets`.
    fn roll(&mut self, octets: u64) -> Result<(), Unwritten> {
        // Until it has been found.
        self.full = true;
        #[cfg(test)]
        if self.no_room.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Unwritten::Refused(Fault::Full));
        }
        let size = self.segment_size.max((octets + HEADER_SIZE as u64) * 2);
        self.segment = make_segment(&self.folder, size, self.end)?;
        self.size = size;
        self.offset = HEADER_SIZE as u64;
        self.full = false;
        Ok(())
    }
}

impl Unwritten {
    fn broken(error: io::Error) -> Self {
        Self::Broken(Fault::Io { doing: "write the journal", error })
    }

    /// What went wrong, where the difference does not matter.
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Broken(fault) | Self::Refused(fault) => fault,
        }
    }
}

/// A segment exists under its name only when it is whole and durable.
fn make_segment(folder: &Path, size: u64, end: Position) -> Result<File, Unwritten> {
    let fresh = folder.join(FRESH);
    let made = fill_segment(&fresh, size, end);
    let file = match made {
        Ok(file) => file,
        Err(error) => {
            // No record was in it: with it gone, nothing was written.
            let _ = fs::remove_file(&fresh);
            return Err(if is_full(&error) {
                Unwritten::Refused(Fault::Full)
            } else {
                Unwritten::broken(error)
            });
        }
    };
    fs::rename(&fresh, folder.join(name(end.seq + 1))).map_err(Unwritten::broken)?;
    sync_folder(folder).map_err(Unwritten::broken)?;
    Ok(file)
}

fn fill_segment(path: &Path, size: u64, end: Position) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&header(size, end))?;
    let zeros = vec![0; 1 << 20];
    let mut left = size - HEADER_SIZE as u64;
    while left > 0 {
        let some = left.min(zeros.len() as u64);
        file.write_all(&zeros[..some as usize])?;
        left -= some;
    }
    file.sync_all()?;
    Ok(file)
}

fn header(size: u64, end: Position) -> [u8; HEADER_SIZE] {
    let mut header = [0; HEADER_SIZE];
    header[..8].copy_from_slice(MAGIC);
    header[8..16].copy_from_slice(&(end.seq + 1).to_be_bytes());
    header[16..24].copy_from_slice(&size.to_be_bytes());
    header[32..].copy_from_slice(&end.hash);
    let check = sha256(&header);
    header[24..32].copy_from_slice(&check[..8]);
    header
}

/// Deletes the segments that end before the record `first`, oldest first, each for good before the next.
pub(super) fn remove(folder: &Path, first: u64) -> Result<(), Fault> {
    let doing = "delete a journal segment";
    for pair in scan::list(folder)?.windows(2).take_while(|pair| pair[1] <= first) {
        fs::remove_file(folder.join(name(pair[0])))
            .and_then(|()| sync_folder(folder))
            .map_err(Fault::io(doing))?;
    }
    Ok(())
}

/// What is wrong with this record, wherever it stands.
pub(super) const fn corrupt(record: u64, damage: Damage) -> Fault {
    Fault::Corrupt { segment: 0, record, damage }
}

fn name(first: u64) -> String {
    format!("{first:020}.journal")
}

/// Octets of a segment unless a test says otherwise.
pub(super) const SEGMENT_SIZE: u64 = 16 << 20;
/// Records of a batch.
pub(super) const BATCH_MAX: usize = 1024;
/// Octets of the largest record.
const RECORD_MAX: usize = 4 << 20;
/// One part in so many of a segment is kept for revocations.
const RESERVE: u64 = 64;
const HEADER_SIZE: usize = 64;
const HASH_SIZE: usize = 32;
const MAGIC: &[u8; 8] = b"SKJRNL02";
/// A segment that is being made.
const FRESH: &str = "new.segment";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_refuses_and_one_that_does_not_work_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), 4096).unwrap();
        let mut append_to = |segment| {
            journal.segment = segment;
            (journal.append(&[Text { entries: [0; 32], body: vec![1] }], false), journal.is_full())
        };
        // What is open for reading alone takes nothing.
        let unwritable = append_to(File::open(folder.path().join(name(1))).unwrap());
        assert!(matches!(unwritable, (Err(Unwritten::Broken(Fault::Io { .. })), false)), "{unwritable:?}");
        let full = append_to(OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert!(matches!(full, (Err(Unwritten::Refused(Fault::Full)), true)), "{full:?}");
    }
}
