//! Why there is no key, and why a connection is over.

use std::fmt;

use sidekey_imap::command::Broken;
use sidekey_imap::response::Unreadable;
use sidekey_protocol::object::Unsealable;

use super::NO_KEY;

/// Why there is no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unavailable {
    /// Nobody could be asked: later, perhaps.
    Later,
    /// The user has none, or it is of no session of his.
    Refused,
}

/// Why a connection is over. What waits in [`super::Session::to_client`] is to be sent first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// The client logged out.
    LoggedOut,
    /// The client's octets are no IMAP.
    Client(Broken),
    /// The mail server's octets cannot go on. The client's connection is cut where it stands.
    Server(Unfit),
    /// A temporary file fails: what was kept of a client's messages, whose connection to the mail server is cut in the
    /// midst of them, so that it keeps none; or of a long list of the mail server's, in whose midst the client's is cut.
    Spool,
    /// The mail server is gone. Where a response had begun, the client's connection is cut in it.
    ServerGone,
}

/// What of a mail server's octets cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// They are no responses.
    Unreadable(Unreadable),
    /// They complete a command that was not sent.
    TagUnknown,
    /// They complete an APPEND before all of it was sent.
    TooEarly,
    /// The value of an item is none that the item has.
    ValueMalformed,
    /// A value is not as it was announced, or longer than was asked for.
    Unsealable(Unsealable),
}

impl fmt::Display for Unavailable {
    /// As a client is told it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later => write!(f, "[UNAVAILABLE] {NO_KEY}"),
            Self::Refused => f.write_str("[NOPERM] this user has no such session"),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(unreadable) => unreadable.fmt(f),
            Self::TagUnknown => f.write_str("an answer to a command that was not sent"),
            Self::TooEarly => f.write_str("an answer to a message before its end"),
            Self::ValueMalformed => f.write_str("an item with a value that it cannot have"),
            Self::Unsealable(unsealable) => unsealable.fmt(f),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoggedOut => f.write_str("the client logged out"),
            Self::Client(broken) => write!(f, "the client sent no IMAP: {broken}"),
            Self::Server(unfit) => write!(f, "the mail server's answer cannot go on: {unfit}"),
            Self::Spool => f.write_str("a temporary file cannot be read"),
            Self::ServerGone => f.write_str("the mail server is gone"),
        }
    }
}

impl std::error::Error for Ended {}
