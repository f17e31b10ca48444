//! One FETCH response, from its parts as they come to what the program is given.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::num::NonZeroU32;

use sidekey_client::spool::Spooled;
use sidekey_imap::command::{Asked, By, Item};
use sidekey_imap::response::ValueKind;
use sidekey_protocol::object::Kind;

use super::outbox::Outbox;
use crate::alert::{Alert, Distrust};
use crate::fetch::{Plan, is_streamed};
use crate::object::{Failed, Opening};

/// What a FETCH response said so far.
pub(super) struct Answer {
    pub(super) number: NonZeroU32,
    pub(super) uid: Option<NonZeroU32>,
    pub(super) incoming: Incoming,
    /// Whether there was in it what nobody had asked for.
    pub(super) forged: bool,
    entries: Vec<Entry>,
}

/// The item that comes in.
pub(super) enum Incoming {
    /// None.
    Nothing,
    /// One that says nothing.
    Skipped,
    /// One that nobody asked for.
    Forged,
    /// In the clear.
    Clear { item: Item, kind: ValueKind, octets: Vec<u8> },
    /// A list that should hold a frame.
    List { ask: usize, octets: Vec<u8> },
    /// A frame, and whether all of it has come.
    Frame { ask: usize, opening: Box<Opening>, ended: bool },
    /// What should be sealed and is not.
    Plain { ask: usize },
}

struct Entry {
    /// What a mail server has at hand comes first, each kind in the order in which it was asked for.
    rank: (bool, usize),
    name: String,
    value: Value,
}

/// A value for the program.
pub(super) enum Value {
    /// As it is written.
    Written(Vec<u8>),
    /// As it was sealed.
    Opened(Kind, Spooled),
}

impl Answer {
    pub(super) const fn new(number: NonZeroU32) -> Self {
        Self { number, uid: None, incoming: Incoming::Nothing, forged: false, entries: Vec::new() }
    }

    /// Adds an item that the program asked for.
    pub(super) fn add(&mut self, plan: &Plan, at: usize, value: Value) {
        let asked = &plan.shown[at];
        self.entries.push(Entry { rank: (is_streamed(asked.item()), at + 1), name: name(asked), value });
    }

    /// Adds an item in the clear, whether it was asked for or not.
    pub(super) fn add_clear(&mut self, plan: Option<&Plan>, item: &Item, value: Vec<u8>) {
        let by_uid = *item == Item::Uid && plan.is_some_and(|plan| plan.by == By::Uid);
        let place = plan.and_then(|plan| plan.place(item)).filter(|_| !by_uid).map(|place| place + 1);
        let (name, rank) = (item.to_string(), (false, if by_uid { 0 } else { place.unwrap_or(usize::MAX) }));
        if self.entries.iter().any(|entry| entry.name == name) {
            self.forged = true;
            return;
        }
        self.entries.push(Entry { rank, name, value: Value::Written(value) });
    }

    /// Puts the response into the outbox; nothing where nothing is left of it.
    pub(super) fn render(mut self, out: &mut Outbox) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.entries.sort_by_key(|entry| entry.rank);
        let mut lead = format!("* {} FETCH (", self.number);
        for Entry { name, value, .. } in self.entries {
            out.put(format!("{lead}{name} ").as_bytes());
            lead = " ".to_owned();
            value.put(out)?;
        }
        out.put(b")\r\n");
        Ok(())
    }
}

impl Value {
    fn put(self, out: &mut Outbox) -> io::Result<()> {
        match self {
            Self::Written(octets) => out.put(&octets),
            Self::Opened(Kind::Nil, _) => out.put(b"NIL"),
            Self::Opened(Kind::List, value) => out.put_value(value),
            Self::Opened(Kind::Quoted, mut value) => {
                let mut octets = Vec::new();
                value.read_to_end(&mut octets)?;
                out.put(&string(&octets));
            }
            Self::Opened(kind, value) => {
                let tilde = if kind == Kind::Literal8 { "~" } else { "" };
                out.put(format!("{tilde}{{{}}}\r\n", value.len()).as_bytes());
                out.put_value(value);
            }
        }
        Ok(())
    }
}

/// What the program is told of an item that it asked for.
fn name(asked: &Asked) -> String {
    let origin = asked.partial().map_or_else(String::new, |partial| format!("<{}>", partial.origin));
    format!("{}{origin}", asked.item())
}

/// Quoted, or a literal where it cannot be.
pub(super) fn string(octets: &[u8]) -> Vec<u8> {
    if octets.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return [format!("{{{}}}\r\n", octets.len()).as_bytes(), octets].concat();
    }
    let mut quoted = vec![b'"'];
    for octet in octets {
        if matches!(octet, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*octet);
    }
    quoted.push(b'"');
    quoted
}

/// A value in the clear as it is written; `None` when it is none that its item has.
pub(super) fn clear(item: &Item, kind: ValueKind, octets: &[u8]) -> Option<Vec<u8>> {
    let plain = |octet: &u8| octet.is_ascii_graphic() && !b"\"{".contains(octet);
    match (item, kind) {
        (Item::Uid, ValueKind::Atom) => Some(octets.to_vec()),
        (Item::InternalDate, ValueKind::Quoted) => Some(string(octets)),
        (Item::Flags | Item::ModSeq | Item::EmailId | Item::MailboxId, ValueKind::List) => {
            octets.iter().all(|octet| plain(octet) || *octet == b' ').then(|| octets.to_vec())
        }
        (Item::EmailId | Item::MailboxId, ValueKind::Nil) => Some(b"NIL".to_vec()),
        _ => None,
    }
}

/// Why items are missing from what the program is given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Omitted {
    /// Something did not hold.
    pub(super) refused: bool,
    /// A key could not be had.
    pub(super) unreachable: bool,
    /// A key was not one to be used.
    distrusted: Option<Distrust>,
}

impl Omitted {
    pub(super) const NONE: Self = Self { refused: false, unreachable: false, distrusted: None };

    /// What the program is told of it.
    pub(super) fn text(self) -> Option<Cow<'static, str>> {
        match self {
            Self { distrusted: Some(distrust), .. } => Some(Alert::Key(distrust).to_string().into()),
            Self { refused: true, .. } => Some("some of it does not hold, and is left out".into()),
            Self { unreachable: true, .. } => Some("[UNAVAILABLE] its keys cannot be had now".into()),
            Self { .. } => None,
        }
    }

    pub(super) const fn note(&mut self, failed: Failed) {
        match failed {
            Failed::Unreachable => self.unreachable = true,
            Failed::Plain | Failed::Wrong(_) => self.refused = true,
            Failed::Distrusted(distrust) => self.distrusted = Some(distrust),
        }
    }
}
