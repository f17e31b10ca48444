//! What an operator's proxy may ask, and what it is told: lists of what is allowed. What is on none of them is refused
//! or left out, whatever a server may offer one day.
//!
//! ```text
//!   Command ──Profile::rule──▶ Forward        to the mail server, as it stands there
//!                              Fetch, Search  some of it is sealed, or must come sealed
//!                              Unselect, Own  done otherwise: in the mail server, or by the gateway alone
//!                              Refuse         answered NO or BAD
//! ```
//! (APPEND, which is no [`Body`], takes a client's frames alone, under every profile.)

mod answers;
mod fetch;
mod search;

use std::fmt;
use std::str::FromStr;

use sidekey_imap::command::{Atom, Body, Change, Flag, ListReturn, StatusItem};
use sidekey_imap::passes::ENABLED;

pub use answers::{Answers, advertised, code_passes, shown};
pub use fetch::{Fetch, Treatment, treatment};
pub(crate) use search::replace_strings;
pub use search::sealed_strings;

/// How much an untrusted connection may change.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Profile {
    /// Flags that mean nothing but that somebody has read.
    #[default]
    Strict,
    /// Also messages and mailboxes: moved, deleted, made.
    MailboxAllow,
}

/// What becomes of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ruling {
    /// It goes to the mail server as it stands here.
    Forward(Body),
    /// A FETCH, of which some is sealed.
    Fetch(Fetch),
    /// A SEARCH whose strings are a client's frames: opened, it goes on.
    Search(Body),
    /// In place of a CLOSE that would expunge: the mailbox is left, and the client told that it is closed.
    Unselect,
    /// The gateway answers by itself, and the mail server hears nothing of it.
    Own(Own),
    /// It is refused.
    Refuse(Denied),
}

/// What the gateway answers by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Own {
    /// `ID`: what the gateway is.
    Id,
    /// `ENABLE` of nothing that is known here: OK, and nothing is enabled.
    NothingEnabled,
}

/// Why a command is refused. One variant per row of the list.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Denied {
    /// It is logged in already.
    AlreadyLoggedIn,
    /// It tells the exact size of a part.
    ExactSize,
    /// It changes flags other than `\Seen`, `\Flagged` and `\Answered`, or replaces all.
    Flags,
    /// It changes messages or mailboxes, and the profile is strict.
    MailboxChange,
    /// It searches by size or by the date in the header, or by anything else that tells content from outside.
    SearchOracle,
    /// It is on no list.
    NotListed,
}

impl Denied {
    /// Its name, for what is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyLoggedIn => "already_logged_in",
            Self::ExactSize => "exact_size",
            Self::Flags => "flags",
            Self::MailboxChange => "mailbox_change",
            Self::SearchOracle => "search_oracle",
            Self::NotListed => "not_listed",
        }
    }

    /// `BAD` where no such command is known here, else `NO`.
    #[must_use]
    pub const fn condition(self) -> &'static str {
        match self {
            Self::AlreadyLoggedIn | Self::NotListed => "BAD",
            Self::ExactSize | Self::Flags | Self::MailboxChange | Self::SearchOracle => "NO",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyLoggedIn => "already logged in",
            Self::ExactSize => "exact sizes are not told here",
            Self::Flags => "these flags are not changed here",
            Self::MailboxChange => "messages and mailboxes are not changed here",
            Self::SearchOracle => "not searched for here",
            Self::NotListed => "not known here",
        })
    }
}

impl Profile {
    /// What becomes of a command after login. (Before it, the gateway knows but CAPABILITY, NOOP, ID, LOGOUT, STARTTLS and
    /// the logins.)
    #[must_use]
    pub fn rule(self, body: Body) -> Ruling {
        match body {
            Body::Capability
            | Body::Check
            | Body::Examine(..)
            | Body::Idle
            | Body::Logout
            | Body::Lsub(..)
            | Body::Namespace
            | Body::Noop
            | Body::Select(..)
            | Body::Unselect => Ruling::Forward(body),
            Body::Id(_) => Ruling::Own(Own::Id),
            Body::Enable(names) => enable(&names),
            Body::List(ref list) => {
                let asks =
                    |returned: &ListReturn| matches!(returned, ListReturn::Status(items) if sizes(items));
                if list.returns.iter().any(asks) {
                    Ruling::Refuse(Denied::ExactSize)
                } else {
                    Ruling::Forward(body)
                }
            }
            Body::Status(_, ref items) if sizes(items) => Ruling::Refuse(Denied::ExactSize),
            Body::Status(..) => Ruling::Forward(body),
            Body::Fetch { by, set, items, modifiers } => fetch::rule(by, set, items, modifiers),
            Body::Search(_, ref search) => match search::rule(&search.keys) {
                Err(denied) => Ruling::Refuse(denied),
                Ok(()) if sealed_strings(&search.keys).is_empty() => Ruling::Forward(body),
                Ok(()) => Ruling::Search(body),
            },
            Body::Store { change, ref flags, .. } => match self.flags(change, flags) {
                Ok(()) => Ruling::Forward(body),
                Err(denied) => Ruling::Refuse(denied),
            },
            Body::Close if self == Self::Strict => Ruling::Unselect,
            Body::Close
            | Body::Copy(..)
            | Body::Create(_)
            | Body::Delete(_)
            | Body::Expunge
            | Body::Move(..)
            | Body::Rename(..)
            | Body::Subscribe(_)
            | Body::UidExpunge(_)
            | Body::Unsubscribe(_) => match self {
                Self::Strict => Ruling::Refuse(Denied::MailboxChange),
                Self::MailboxAllow => Ruling::Forward(body),
            },
            Body::Authenticate { .. } | Body::Login { .. } | Body::StartTls => {
                Ruling::Refuse(Denied::AlreadyLoggedIn)
            }
        }
    }

    fn flags(self, change: Change, flags: &[Flag]) -> Result<(), Denied> {
        let allowed = |flag: &Flag| match flag.as_str() {
            "\\Answered" | "\\Flagged" | "\\Seen" => Ok(()),
            "\\Deleted" if self == Self::MailboxAllow => Ok(()),
            "\\Deleted" => Err(Denied::MailboxChange),
            _ => Err(Denied::Flags),
        };
        if change == Change::Replace {
            return Err(Denied::Flags);
        }
        flags.iter().try_for_each(allowed)
    }
}

fn enable(names: &[Atom]) -> Ruling {
    let known: Vec<_> = names.iter().filter(|name| ENABLED.contains(&name.as_str())).cloned().collect();
    if known.is_empty() { Ruling::Own(Own::NothingEnabled) } else { Ruling::Forward(Body::Enable(known)) }
}

fn sizes(items: &[StatusItem]) -> bool {
    items.contains(&StatusItem::Size)
}

impl FromStr for Profile {
    type Err = ProfileUnknown;

    fn from_str(name: &str) -> Result<Self, ProfileUnknown> {
        match name {
            "strict" => Ok(Self::Strict),
            "mailbox=allow" => Ok(Self::MailboxAllow),
            _ => Err(ProfileUnknown),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::MailboxAllow => "mailbox=allow",
        })
    }
}

/// The name is of no profile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProfileUnknown;

impl fmt::Display for ProfileUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a profile is \"strict\" or \"mailbox=allow\"")
    }
}

impl std::error::Error for ProfileUnknown {}

#[cfg(test)]
mod tests;
