//! Responses: what a server says, read as it comes.
//!
//! [`Responses`] hands on what its caller does not want to see, octet by octet as it came, in memory that does not grow
//! with a message: a [`Policy`] says of each response, and of each item of a FETCH response, whether it passes, is
//! dropped, or is taken. What is taken is handed over with its size, and the caller sends something in its place.

mod capability;
mod code;
mod data;
mod rewrite;
mod stand_in;
mod status;
mod walk;

use std::fmt;
use std::num::NonZeroU32;

use crate::command::Item;
use crate::scanner;

pub use capability::Capabilities;
pub use code::Code;
pub use data::{Data, Listed};
pub use rewrite::{Piece, Responses};
pub use stand_in::{Form, StandIn, frame_within};
pub use status::{Condition, Status};

/// What becomes of a response or an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes on as it came.
    Pass,
    /// It is left out.
    Drop,
    /// It is handed over, and left out.
    Take,
}

/// Says what becomes of what.
pub trait Policy {
    /// Of a response that is neither a status nor a FETCH: `EXISTS`, `LIST`, `CAPABILITY`, in upper case, with the
    /// number before it. What is taken is kept whole: it is not for SEARCH.
    fn data(&mut self, number: Option<u32>, name: &str) -> Verdict;

    /// Of an item of a FETCH response.
    fn item(&mut self, message: &Message, attribute: &Attribute) -> Verdict;
}

/// Which message a FETCH response is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its place in the mailbox.
    pub number: NonZeroU32,
    /// Its UID, once the response has named it: whoever needs it asks for it first.
    pub uid: Option<NonZeroU32>,
}

/// What a FETCH response calls an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Attribute {
    /// One that a client can ask for, and where its octets begin when it is a partial.
    Known(Item, Option<u64>),
    /// Another, in upper case.
    Unknown(String),
}

/// What an item's value is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ValueKind {
    /// `NIL`.
    Nil,
    /// A number, say.
    Atom,
    /// A quoted string; its octets are those without quotes and escapes.
    Quoted,
    /// A literal.
    Literal,
    /// A literal that may hold NUL.
    Literal8,
    /// A list; its octets are those on the wire, with its parentheses and its literals' announcements.
    List,
}

/// An item that was taken. Its octets follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Whose.
    pub message: Message,
    /// What of it.
    pub attribute: Attribute,
    /// What kind of value it is.
    pub kind: ValueKind,
    /// How many octets it has; unknown is that of a list which is too long to be kept.
    pub size: Option<u64>,
}

/// Why a server's octets are no responses. One variant per check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// No tokens of IMAP.
    Wire(scanner::Reason),
    /// A line that is no response.
    HeadMalformed,
    /// A FETCH response that is no list of items and values.
    FetchMalformed,
    /// A UID that is no number.
    UidMalformed,
    /// A response, a list or a name longer than what is kept of one.
    TooLong,
}

/// Where a server's octets stop being responses, and why. Nothing can be read after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unreadable {
    /// Octets since the beginning of the connection.
    pub at: u64,
    /// What is wrong there.
    pub reason: Reason,
}

impl From<scanner::Malformed> for Unreadable {
    fn from(malformed: scanner::Malformed) -> Self {
        Self { at: malformed.at, reason: Reason::Wire(malformed.reason) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(reason) => reason.fmt(f),
            Self::HeadMalformed => f.write_str("a line that is no response"),
            Self::FetchMalformed => f.write_str("a FETCH response that is no list of items and values"),
            Self::UidMalformed => f.write_str("a UID that is no number"),
            Self::TooLong => f.write_str("a response that is too long"),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.reason, self.at)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests;
