//! A FETCH: what is asked for it, and what its answers are checked against.

use std::fmt;

use sidekey_imap::command::{Body, Item};
use sidekey_imap::response::{Attribute, Form};
use sidekey_protocol::object::Reject;

use crate::allow::{Fetch, Treatment, treatment};
use crate::object::Wanted;

/// What was asked for.
pub(super) struct Plan {
    /// What the mail server is asked.
    pub(super) ask: Body,
    pub(super) form: Form,
    /// What is sealed of it, the exact size apart.
    wanted: Vec<Wanted>,
    /// The exact size.
    pub(super) descriptor: Option<Wanted>,
    /// Whether the size is told, as that of what is sealed.
    pub(super) size: bool,
    /// Whether something was left out, because the key's time was over.
    pub(super) left_out: bool,
}

/// Why a FETCH is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// Of an item.
    Item(Reject),
    /// One item is asked for twice, and the answers could not be told apart.
    Ambiguous,
}

impl Plan {
    pub(super) fn new(fetch: Fetch) -> Result<Self, Refused> {
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut descriptor = None;
        for asked in fetch.items.iter().filter(|asked| treatment(asked.item()) == Treatment::Seal) {
            let item = Wanted::new(asked).map_err(Refused::Item)?;
            if fetch.is_descriptor(asked) && item.is_partial() {
                return Err(Refused::Item(Reject::PartialMisplaced));
            } else if fetch.is_descriptor(asked) {
                descriptor = Some(item);
            } else if wanted.iter().any(|other| other.is_confused_with(&item)) {
                return Err(Refused::Ambiguous);
            } else {
                wanted.push(item);
            }
        }
        let size = fetch.items.iter().any(|asked| *asked.item() == Item::Rfc822Size);
        Ok(Self { ask: fetch.ask, form: fetch.form, wanted, descriptor, size, left_out: false })
    }

    /// The same, where nothing is sealed.
    pub(super) fn clear(fetch: Fetch) -> Self {
        let (ask, form) = (fetch.ask, fetch.form);
        Self { ask, form, wanted: Vec::new(), descriptor: None, size: true, left_out: false }
    }

    /// Whether a key is needed.
    pub(super) const fn seals(&self) -> bool {
        !self.wanted.is_empty() || self.descriptor.is_some()
    }

    /// What was asked for, of what a response names.
    pub(super) fn wanted(&self, attribute: &Attribute) -> Option<&Wanted> {
        let Attribute::Known(item, origin) = attribute else { return None };
        self.wanted.iter().find(|wanted| wanted.is(item, *origin))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(Reject::PartialUnaligned) => f.write_str(
                "ranges begin and end at multiples of 16384 octets here, so that they tell no exact size",
            ),
            Self::Item(Reject::PartialTooLong) => f.write_str("a range has at most 1048576 octets here"),
            Self::Item(reject) => reject.fmt(f),
            Self::Ambiguous => f.write_str("one item in two ways: ask for them apart"),
        }
    }
}
