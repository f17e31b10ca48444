//! What travels in place of a sealed item (proto/object/xencrypted.abnf).

use crate::command::Item;

/// How a frame's octets travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// As base64 in a plain literal: what every proxy and every client library passes.
    Text,
    /// As they are, in a literal8: for a client that asked so.
    Octets,
}

impl Form {
    /// Octets on the wire of so many octets of a frame.
    #[must_use]
    pub const fn octets(self, frame_len: u64) -> u64 {
        match self {
            Self::Text => frame_len.div_ceil(3) * 4,
            Self::Octets => frame_len,
        }
    }
}

/// What is written before and after the octets of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StandIn {
    /// The item's name, and the announcement of as many octets as will follow it.
    pub before: String,
    /// What completes the value.
    pub after: &'static str,
}

impl StandIn {
    /// For an item, the place where its partial begins, and so many octets on the wire: of base64, if it is text.
    #[must_use]
    pub fn new(item: &Item, origin: Option<u64>, form: Form, size: u64) -> Self {
        let origin = origin.map_or_else(String::new, |origin| format!("<{origin}>"));
        let tilde = if form == Form::Octets { "~" } else { "" };
        let (before, after) = around(item);
        Self { before: format!("{item}{origin} {before}{tilde}{{{size}}}\r\n"), after }
    }
}

/// The octets of the literal in the list that stands for an ENVELOPE, a BODYSTRUCTURE or a BODY, and their form; `None`
/// when it is another list.
#[must_use]
pub fn frame_within<'a>(item: &Item, list: &'a [u8]) -> Option<(Form, &'a [u8])> {
    let (before, after) = around(item);
    if before.is_empty() {
        return None;
    }
    let rest = strip_prefix(list, before.as_bytes())?;
    let (form, rest) = rest.strip_prefix(b"~").map_or((Form::Text, rest), |rest| (Form::Octets, rest));
    let end = rest.iter().take(LONGEST_ANNOUNCEMENT).position(|octet| *octet == b'\n')?;
    let (announcement, rest) = rest.split_at(end + 1);
    let digits = announcement.strip_prefix(b"{")?.strip_suffix(b"}\r\n")?;
    let size: usize = crate::command::read_number(std::str::from_utf8(digits).ok()?)?;
    let (frame, rest) = rest.split_at_checked(size)?;
    strip_prefix(rest, after.as_bytes())?.is_empty().then_some((form, frame))
}

/// What stands around a frame, so that the value is of the item's own kind.
const fn around(item: &Item) -> (&'static str, &'static str) {
    match item {
        // The subject: of all fields the one that may be any text.
        Item::Envelope => ("(NIL ", " NIL NIL NIL NIL NIL NIL NIL NIL)"),
        // The body of a part that says what it is; a parameter's value may be any text.
        Item::BodyStructure | Item::Body => {
            ("(\"application\" \"vnd.sidekey.sealed\" (\"f\" ", ") NIL NIL \"base64\" 0)")
        }
        _ => ("", ""),
    }
}

/// A proxy that writes the list anew may write its words in another case.
fn strip_prefix<'a>(octets: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = octets.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

const LONGEST_ANNOUNCEMENT: usize = 24;
