//! Signed checkpoints, kept durable beside the journal: one a line, each by the key that signed then.
//!
//! Whoever edits the journal and mends its chain cannot mend these. Whoever puts back an older copy of the whole folder
//! is found by a checkpoint that was kept elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::PoisonError;

use sidekey_protocol::audit::Position;
use sidekey_protocol::audit::checkpoint::{Checkpoint, Reject};
use sidekey_protocol::ids::Timestamp;

use super::view::{Page, Paged};
use super::{Store, page};
use crate::fault::Fault;
use crate::files::sync_folder;

/// The file, open.
#[derive(Debug)]
pub(super) struct Checkpoints {
    file: File,
    /// The newest, if there is any.
    last: Option<(Position, Timestamp)>,
}

impl Checkpoints {
    /// Opens the file of a data folder, and cuts off a line that a power cut left unfinished.
    pub(super) fn open(folder: &Path) -> Result<Self, Fault> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(folder.join(NAME)).map_err(Fault::io(DOING))?;
        // It may have been made just now, or by a process that died before it came here.
        sync_folder(folder).map_err(Fault::io(DOING))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(Fault::io(DOING))?;
        let whole = text.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(Fault::io(DOING))?;
        file.seek(SeekFrom::End(0)).map_err(Fault::io(DOING))?;
        let last = lines(&text[..whole]).last().and_then(|line| Checkpoint::read(line).ok());
        Ok(Self { file, last: last.map(|last| (last.position, last.at)) })
    }

    fn append(&mut self, jws: &str, position: Position, at: Timestamp) -> Result<(), Fault> {
        let end = self.file.stream_position().map_err(Fault::io(DOING))?;
        let written = self.file.write_all(format!("{jws}\n").as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What was written in part is no line: the next one must not continue it.
            self.file
                .set_len(end)
                .and_then(|()| self.file.seek(SeekFrom::Start(end)))
                .map_err(Fault::io(DOING))?;
            return Err(Fault::io(DOING)(error));
        }
        self.last = Some((position, at));
        Ok(())
    }

    /// Whether so much has happened, or so long ago, that another is due.
    fn due(&self, position: Position, now: Timestamp) -> bool {
        match self.last {
            None => position.seq > 0,
            Some((last, at)) => {
                position.seq >= last.seq + EVERY_RECORDS
                    || position.seq > last.seq && now.since_s(at) >= EVERY_S
            }
        }
    }
}

impl Store {
    /// Signs where the chain stands, and keeps that; nothing when the newest says so already. Blocks.
    ///
    /// # Errors
    /// [`Fault::Full`], [`Fault::Io`].
    pub fn checkpoint(&self) -> Result<(), Fault> {
        let position = self.position();
        let mut kept = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.last.is_some_and(|(last, _)| last == position) {
            return Ok(());
        }
        let at = self.now();
        let jws = self.signed(position, at)?;
        kept.append(&jws, position, at)
    }

    /// The same when one is due.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn checkpoint_if_due(&self) -> Result<(), Fault> {
        let (position, now) = (self.position(), self.now());
        let due = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).due(position, now);
        if due { self.checkpoint() } else { Ok(()) }
    }

    /// The service's word for where its chain stands. It is not kept.
    pub(super) fn signed(&self, position: Position, at: Timestamp) -> Result<String, Fault> {
        Ok(Checkpoint::sign(self.identity.service, position, at, &self.signer()?.key))
    }

    /// Those that are kept, oldest first. Blocks.
    ///
    /// # Errors
    /// [`Fault::Io`].
    pub fn checkpoints(&self, wanted: Page) -> Result<Paged<Checkpointed>, Fault> {
        let kept = read(self.shared.at_rest.folder())?.into_iter().enumerate();
        Ok(page(kept.filter_map(|(line, kept)| Some((line as u64 + 1, kept.ok()?))), wanted))
    }
}

/// A checkpoint, read and as it was signed.
#[derive(Clone, Debug)]
pub struct Checkpointed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As it was signed.
    pub jws: String,
}

/// Those kept in a data folder, line by line.
pub(super) fn read(folder: &Path) -> Result<Vec<Result<Checkpointed, Reject>>, Fault> {
    let text = match std::fs::read(folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Fault::io("read the checkpoints")(error)),
    };
    let read = |line: &str| Ok(Checkpointed { checkpoint: Checkpoint::read(line)?, jws: line.to_owned() });
    let whole = text.iter().rposition(|&octet| octet == b'\n').unwrap_or(0);
    Ok(lines(&text[..whole]).map(read).collect())
}

fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &str> {
    // What is no text is no checkpoint either.
    let line = |line| std::str::from_utf8(line).unwrap_or("?");
    text.split(|&octet| octet == b'\n').map(line).filter(|line| !line.is_empty())
}

const NAME: &str = "checkpoints";
const DOING: &str = "keep a checkpoint";
/// Records after which another checkpoint is made.
const EVERY_RECORDS: u64 = 10_000;
/// Seconds after which another is made of whatever came meanwhile.
const EVERY_S: u32 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_is_due_after_so_many_records_and_after_a_while_if_any_came() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Checkpoints::open(folder.path()).unwrap();
        let (place, at) = (|seq| Position { seq, hash: [0; 32] }, Timestamp(1_000_000));
        assert!(!kept.due(place(0), at), "of nothing there is nothing to say");
        assert!(kept.due(place(1), at), "the first, at once");
        kept.append("signed", place(7), at).unwrap();
        let due = |records, seconds| kept.due(place(7 + records), at.after_s(seconds));
        assert!(!due(EVERY_RECORDS - 1, EVERY_S - 1));
        assert!(due(EVERY_RECORDS, 0));
        assert!(due(1, EVERY_S));
        assert!(!due(0, EVERY_S), "nothing has happened since");
    }
}
