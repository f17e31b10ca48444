//! What can be wrong on our side. The peer's errors are the protocol's `Reject`s.

use std::io;

/// We are wrong, or something that we lean on is.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The clock stands before the last record by more than the leeway: nothing is issued until that is understood.
    #[error("the clock is {by_s} s behind the last record")]
    ClockBehind {
        /// By how much.
        by_s: u32,
    },
    /// The journal is not what was written.
    #[error("journal segment {segment}, record {record}: {damage}")]
    Corrupt {
        /// The number of the segment's first record: the segment's file name.
        segment: u64,
        /// The first record that is not as it was written.
        record: u64,
        /// In which way.
        damage: Damage,
    },
    /// A write failed before; this process answers no more.
    #[error("fenced after a failed write")]
    Fenced,
    /// There is a store in this folder already.
    #[error("the folder holds a store already")]
    Exists,
    /// A newer program has used this folder.
    #[error(
        "the data folder is of format {found}, and this program knows none after {known}: it was used by a newer one"
    )]
    FormatNewer {
        /// The folder's.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// The folder was made by a program whose records we do not read.
    #[error(
        "the data folder is of format {found}, and this program reads {known}: it was made by an older one"
    )]
    FormatOlder {
        /// The folder's.
        found: u32,
        /// The one that we read.
        known: u32,
    },
    /// The marker of the folder's format is not one.
    #[error("the file `format` of the data folder is damaged")]
    FormatUnknown,
    /// No room left; nothing was written.
    #[error("the disk is full")]
    Full,
    /// The system refused.
    #[error("{doing}")]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// Why it failed.
        #[source]
        error: io::Error,
    },
    /// Another process serves from this folder.
    #[error("another process uses this folder{}", named(*pid))]
    Locked {
        /// Which, where it has said so.
        pid: Option<u32>,
    },
    /// No store in this folder.
    #[error("the folder holds no store")]
    Missing,
    /// A record is larger than any may be.
    #[error("a record is too large")]
    RecordTooLarge,
    /// Revocations are missing that this service has made.
    #[error("restored from an older copy: revocations are missing")]
    RolledBack,
    /// `seal.keys` was not made under this root key.
    #[error("the root key is not the one that this folder was made with")]
    RootKeyWrong,
    /// `seal.keys` is not what was written, or not there any more.
    #[error("seal.keys is damaged or gone")]
    SealKeysDamaged,
    /// A sealed secret does not open: moved, altered, or its sealing key is destroyed.
    #[error("a sealed secret does not open")]
    Unsealable,
}

/// In which way a journal is not what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Damage {
    /// The state with which the kept part of the journal begins is not what was written.
    #[error("cannot be read on from: the state before it, in the file `base`, is damaged or gone")]
    Base,
    /// A record does not continue the hash chain.
    #[error("does not continue the chain: it was edited")]
    Chain,
    /// A line of the checkpoints is none: the record's number is the line's.
    #[error("that line of `checkpoints` is none that its key signed")]
    Checkpoint,
    /// A record does not fit the state before it.
    #[error("does not follow from the records before it")]
    Effect,
    /// What the audit log says of a record is not what its frame binds.
    #[error("does not say what its frame binds")]
    Entries,
    /// A segment's header is not as it was written.
    #[error("damaged segment header")]
    Header,
    /// Records that were durable are gone.
    #[error("records are missing from here on")]
    Missing,
    /// A record stands behind one that was written after it.
    #[error("does not stand where it was written: records were reordered")]
    Order,
    /// A record says that the log was pruned where it was not.
    #[error("says that the log begins at another place than it does")]
    Pruned,
    /// The chain holds, and is not the one that was signed.
    #[error("is not what was signed: records were rewritten, the first of them at {from} or after")]
    Rewritten {
        /// The first record that no good checkpoint covers.
        from: u64,
    },
    /// Records are missing that a checkpoint covers which was kept elsewhere.
    #[error("records that were signed are missing from here on: an older copy was put back")]
    RolledBack,
    /// A checkpoint was signed by a key that the journal does not know.
    #[error("a checkpoint here is signed by a key that is none of the service's")]
    Signer,
    /// A segment is shorter or longer than it was made.
    #[error("segment of the wrong size")]
    Size,
    /// The journal begins later than at its first record, and only what nobody signed says why.
    #[error("is where the log begins, and nothing that was signed says that it was pruned")]
    Unsigned,
    /// A record is of a kind or version that this program does not know.
    #[error("does not decode")]
    Undecodable,
}

impl Fault {
    /// Names what failed: `map_err(Fault::io("create the journal"))`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            if is_full(&error) { Self::Full } else { Self::Io { doing, error } }
        }
    }
}

fn named(pid: Option<u32>) -> String {
    pid.map(|pid| format!(": process {pid}")).unwrap_or_default()
}

/// Whether there is no room, as opposed to a disk that does not work.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
