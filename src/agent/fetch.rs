//! A FETCH: what the program asked for, and what is asked in its place.

use sidekey_imap::command::{
    Asked, Body, By, FetchModifier, Fields, Item, Part, Partial, Section, SectionText, Set,
};
use sidekey_imap::response::Attribute;
use sidekey_protocol::object;

/// A program's FETCH and ours.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) by: By,
    pub(crate) set: Set,
    /// What the program asked for, in its order, each once.
    pub(crate) shown: Vec<Asked>,
    /// What is asked upstream.
    pub(crate) asks: Vec<Ask>,
    modifiers: Vec<FetchModifier>,
}

/// An item that is asked for upstream.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) asked: Asked,
    /// How it comes, unless it comes in the clear.
    pub(crate) sealed: Option<Sealed>,
}

/// An item that comes as a frame.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) item: object::Item,
    pub(crate) partial: Option<object::Partial>,
    /// Who gets which of its octets.
    pub(crate) cuts: Vec<Cut>,
}

/// From one octet of an item to another, for somebody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cut {
    /// Which of the items that the program asked for; `None`: the exact size is read from it.
    pub(crate) shown: Option<usize>,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Why something cannot be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// It tells the exact size of a part, which no gateway tells.
    ExactSize,
    /// It is no item that can be sealed.
    Item,
}

impl Plan {
    /// What is to be asked for what the program asked.
    pub(crate) fn new(
        by: By,
        set: Set,
        items: Vec<Asked>,
        modifiers: Vec<FetchModifier>,
        octets: bool,
    ) -> Result<Self, Refused> {
        let mut modifiers: Vec<_> =
            modifiers.into_iter().filter(|modifier| *modifier != FetchModifier::XEncrypted).collect();
        if octets {
            modifiers.push(FetchModifier::XEncrypted);
        }
        let mut shown = Vec::with_capacity(items.len());
        for asked in items {
            if !shown.contains(&asked) {
                shown.push(asked);
            }
        }
        // A frame is bound to the UID: it comes before all others.
        let uid = Ask { asked: Asked::whole(Item::Uid), sealed: None };
        let mut plan = Self { by, set, asks: vec![uid], shown: Vec::new(), modifiers };
        for (at, asked) in shown.iter().enumerate() {
            plan.ask(at, asked)?;
        }
        plan.shown = shown;
        Ok(plan)
    }

    /// What is sent.
    pub(crate) fn body(&self) -> Body {
        let items = self.asks.iter().map(|ask| ask.asked.clone()).collect();
        Body::Fetch { by: self.by, set: self.set.clone(), items, modifiers: self.modifiers.clone() }
    }

    /// Which ask a response's item answers.
    pub(crate) fn answered(&self, attribute: &Attribute) -> Option<usize> {
        let Attribute::Known(item, origin) = attribute else { return None };
        let named = |asked: &Asked| match asked.item() {
            Item::PreviewLazy => *item == Item::Preview,
            asked => asked == item,
        };
        let origin_of = |ask: &Ask| ask.asked.partial().map(|partial| partial.origin);
        self.asks.iter().position(|ask| named(&ask.asked) && origin_of(ask) == *origin)
    }

    /// Where an item stands among those that the program asked for.
    pub(crate) fn place(&self, item: &Item) -> Option<usize> {
        self.shown.iter().position(|asked| asked.item() == item && asked.partial().is_none())
    }

    /// Whether every message that is named gives something.
    pub(crate) fn answers_all(&self) -> bool {
        !self.modifiers.iter().any(|modifier| matches!(modifier, FetchModifier::ChangedSince(_)))
    }

    fn ask(&mut self, at: usize, asked: &Asked) -> Result<(), Refused> {
        match asked.item() {
            Item::BinarySize(_) => return Err(Refused::ExactSize),
            Item::Rfc822Size => {
                self.clear(asked);
                self.sealed(&descriptor(), Cut { shown: None, from: 0, to: u64::MAX })?;
            }
            item if is_clear(item) => self.clear(asked),
            _ => {
                let (from, to) = asked.partial().map_or((0, u64::MAX), |partial| {
                    (partial.origin, partial.origin.saturating_add(partial.count.get().into()))
                });
                self.sealed(asked, Cut { shown: Some(at), from, to })?;
            }
        }
        Ok(())
    }

    fn clear(&mut self, asked: &Asked) {
        if self.asks.iter().all(|ask| ask.asked != *asked) {
            self.asks.push(Ask { asked: asked.clone(), sealed: None });
        }
    }

    /// Two ranges that begin in one step are one: a response tells them apart by their origin alone.
    fn sealed(&mut self, asked: &Asked, cut: Cut) -> Result<(), Refused> {
        let around = |cuts: &[Cut]| asked.partial().and_then(|_| around(cuts));
        let origin = around(&[cut]).map(object::Partial::origin);
        let origin_of = |sealed: &Sealed| sealed.partial.map(object::Partial::origin);
        let same = |ask: &Ask| {
            ask.asked.item() == asked.item() && ask.sealed.as_ref().map(origin_of) == Some(origin)
        };
        let (mut cuts, mut seen) = (vec![cut], asked.sets_seen());
        let before = self.asks.iter().position(same).map(|at| self.asks.remove(at));
        if let Some(Ask { asked, sealed: Some(sealed) }) = before {
            seen |= asked.sets_seen();
            cuts.extend(sealed.cuts);
        }
        let partial = around(&cuts);
        let item = object::Item::parse(&asked.item().canonical()).map_err(|_| Refused::Item)?;
        let peek = !seen && has_peek(asked.item());
        let asked = Asked::new(asked.item().clone(), peek, partial.and_then(wire)).ok_or(Refused::Item)?;
        self.asks.push(Ask { asked, sealed: Some(Sealed { item, partial, cuts }) });
        Ok(())
    }
}

/// What goes through in the clear, whoever asks: nothing of a message's content.
pub(crate) const fn is_clear(item: &Item) -> bool {
    matches!(
        item,
        Item::EmailId | Item::Flags | Item::InternalDate | Item::MailboxId | Item::ModSeq | Item::Uid
    )
}

/// Whether a mail server gives it after those that it has at hand.
pub(crate) const fn is_streamed(item: &Item) -> bool {
    matches!(
        item,
        Item::Binary(_)
            | Item::Body
            | Item::BodyStructure
            | Item::Envelope
            | Item::Rfc822
            | Item::Rfc822Header
            | Item::Rfc822Text
            | Item::Section(_)
    )
}

/// The item that the exact size is read from (proto/object/spec.md, section 6.3).
fn descriptor() -> Asked {
    let fields = Fields::new([DESCRIPTOR]).map(SectionText::Fields);
    let section = Section::new(Part::default(), fields).expect("a field of a whole message");
    Asked::whole(Item::Section(section))
}

/// The exact size, as the descriptor says it.
pub(crate) fn read_descriptor(octets: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(octets).ok()?;
    let digits = text.strip_prefix("SIDEKEY-DESCRIPTOR: size=")?.strip_suffix("\r\n\r\n")?;
    let plain = digits.len() == 20 && digits.bytes().all(|octet| octet.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

const fn has_peek(item: &Item) -> bool {
    matches!(item, Item::Section(_) | Item::Binary(_))
}

/// The range in whole steps around all of these; `None` when it is too long for one, and the item is asked for whole.
fn around(cuts: &[Cut]) -> Option<object::Partial> {
    let from = cuts.iter().map(|cut| cut.from).min()? / STEP * STEP;
    let to = cuts.iter().map(|cut| cut.to).max()?.checked_next_multiple_of(STEP)?;
    object::Partial::new(from, u32::try_from(to - from).ok()?).ok()
}

fn wire(partial: object::Partial) -> Option<Partial> {
    Some(Partial { origin: partial.origin(), count: std::num::NonZeroU32::new(partial.count())? })
}

const DESCRIPTOR: &str = "SIDEKEY-DESCRIPTOR";
/// What ranges are made of (proto/object/spec.md, section 3.3).
const STEP: u64 = 16 * 1024;
