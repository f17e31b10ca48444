//! What of a message is shown, what is sealed, and what is asked of the mail server for it.

use sidekey_imap::command::{Asked, Body, By, FetchModifier, Item, Part, Section, SectionText, Set};
use sidekey_imap::response::Form;

use super::{Denied, Ruling};

/// A FETCH that is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// What the mail server is asked: the UID before all others, since a frame is bound to it.
    pub ask: Body,
    /// What the client asked for, each once.
    pub items: Vec<Asked>,
    /// How the frames travel.
    pub form: Form,
    /// Whether the client asked for the descriptor, which the gateway makes of the server's RFC822.SIZE
    /// (proto/object/spec.md, section 6.3).
    pub descriptor: bool,
    /// Whether the server sets `\Seen` for it.
    pub sets_seen: bool,
}

impl Fetch {
    /// Whether it is the descriptor.
    #[must_use]
    pub fn is_descriptor(&self, asked: &Asked) -> bool {
        self.descriptor && is_descriptor(asked.item())
    }
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Treatment {
    /// It goes on as it is.
    Pass,
    /// It is sealed.
    Seal,
    /// In its place goes the length that BODY[] has when it is sealed.
    SealedSize,
    /// It is not shown.
    Withhold,
}

/// What becomes of an item, whoever asked for it.
#[must_use]
pub const fn treatment(item: &Item) -> Treatment {
    match item {
        Item::EmailId | Item::Flags | Item::InternalDate | Item::MailboxId | Item::ModSeq | Item::Uid => {
            Treatment::Pass
        }
        Item::Binary(_)
        | Item::Body
        | Item::BodyStructure
        | Item::Envelope
        | Item::Preview
        | Item::PreviewLazy
        | Item::Rfc822
        | Item::Rfc822Header
        | Item::Rfc822Text
        | Item::Section(_)
        | Item::Snippet
        | Item::ThreadId => Treatment::Seal,
        Item::Rfc822Size => Treatment::SealedSize,
        Item::BinarySize(_) => Treatment::Withhold,
    }
}

pub(super) fn rule(by: By, set: Set, asked: Vec<Asked>, modifiers: Vec<FetchModifier>) -> Ruling {
    let mut items: Vec<Asked> = Vec::with_capacity(asked.len());
    for item in asked {
        if treatment(item.item()) == Treatment::Withhold {
            return Ruling::Refuse(Denied::ExactSize);
        }
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let descriptor = items.iter().any(|asked| is_descriptor(asked.item()));
    let mut ask = vec![Asked::whole(Item::Uid)];
    if descriptor {
        ask.push(Asked::whole(Item::Rfc822Size));
    }
    for item in items.iter().filter(|asked| !is_descriptor(asked.item())) {
        if !ask.contains(item) {
            ask.push(item.clone());
        }
    }
    let form = if modifiers.contains(&FetchModifier::XEncrypted) { Form::Octets } else { Form::Text };
    let modifiers = modifiers.into_iter().filter(|modifier| *modifier != FetchModifier::XEncrypted).collect();
    Ruling::Fetch(Fetch {
        sets_seen: ask.iter().any(Asked::sets_seen),
        ask: Body::Fetch { by, set, items: ask, modifiers },
        items,
        form,
        descriptor,
    })
}

/// `BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]`: of the whole message, and that field alone.
fn is_descriptor(item: &Item) -> bool {
    let Item::Section(section) = item else { return false };
    let alone = |section: &Section| match section.text() {
        Some(SectionText::Fields(fields)) => fields.names().eq([DESCRIPTOR]),
        _ => false,
    };
    *section.part() == Part::default() && alone(section)
}

const DESCRIPTOR: &str = "SIDEKEY-DESCRIPTOR";
