//! Why a session is over.

use std::fmt;
use std::io;

use sidekey_imap::command::Broken;
use sidekey_imap::response::Unreadable;

use crate::alert::Alert;

/// Why a session is over. What waits for the program is sent, then both connections are closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// The program logged out.
    LoggedOut,
    /// The program sent no IMAP.
    Program(Broken),
    /// The other end sent no IMAP, or what is out of place in it.
    Server(Unfit),
    /// The other end closed.
    ServerGone,
    /// An APPEND broke off between its messages: closing the connection undoes it.
    AppendBroken,
    /// What is refused as a whole.
    Alert(Alert),
    /// What was to be whole could not be kept.
    Spool(io::ErrorKind),
}

/// What is wrong with what the other end sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// It is no IMAP.
    Unreadable(Unreadable),
    /// It answers a command that was not sent.
    TagUnknown,
    /// A value in the clear is longer than any.
    TooLong,
    /// The answer of a SEARCH that is none.
    SearchMalformed,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(unreadable) => unreadable.fmt(f),
            Self::TagUnknown => f.write_str("an answer to a command that was not sent"),
            Self::TooLong => f.write_str("a value that is too long"),
            Self::SearchMalformed => f.write_str("an answer of a SEARCH that is none"),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoggedOut => f.write_str("logged out"),
            Self::Program(broken) => broken.fmt(f),
            Self::Server(unfit) => unfit.fmt(f),
            Self::ServerGone => f.write_str("the mail server closed the connection"),
            Self::AppendBroken => f.write_str("an APPEND broke off between its messages"),
            Self::Alert(alert) => alert.fmt(f),
            Self::Spool(kind) => write!(f, "a temporary file failed: {kind}"),
        }
    }
}

impl std::error::Error for Ended {}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Spool(error.kind())
    }
}
