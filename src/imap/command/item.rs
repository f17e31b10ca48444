//! Items of FETCH, as a client asks for them and a server names them.

use std::fmt;
use std::num::NonZeroU32;

use super::Refusal;
use super::cursor::{Cursor, read_number};
use super::fields::{Fields, Spelling};
use crate::scanner::Kind;

/// What of a message: RFC 3501's items, with BINARY (RFC 3516), CONDSTORE (RFC 7162), OBJECTID (RFC 8474) and PREVIEW
/// (RFC 8970).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum Item {
    Flags,
    Uid,
    ModSeq,
    InternalDate,
    EmailId,
    MailboxId,
    ThreadId,
    Envelope,
    BodyStructure,
    /// `BODY` without a section.
    Body,
    Rfc822,
    Rfc822Header,
    Rfc822Text,
    Rfc822Size,
    Preview,
    PreviewLazy,
    Snippet,
    /// `BODY[…]`.
    Section(Section),
    /// `BINARY[…]`.
    Binary(Part),
    /// `BINARY.SIZE[…]`.
    BinarySize(Part),
}

/// `1.2`: a part of a message; the whole of it without numbers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Part(pub Vec<NonZeroU32>);

/// What stands between the brackets of `BODY[…]`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Section {
    part: Part,
    text: Option<SectionText>,
}

/// What of a part.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum SectionText {
    Header,
    Text,
    Mime,
    Fields(Fields),
    FieldsNot(Fields),
}

/// `<origin.count>`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Partial {
    /// The first octet.
    pub origin: u64,
    /// How many.
    pub count: NonZeroU32,
}

/// An item as a client asks for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Asked {
    item: Item,
    peek: bool,
    partial: Option<Partial>,
}

impl Asked {
    /// An item, whether it leaves `\Seen` alone, and a range. `None` when the item knows no such thing.
    #[must_use]
    pub fn new(item: Item, peek: bool, partial: Option<Partial>) -> Option<Self> {
        let ranged = matches!(item, Item::Section(_) | Item::Binary(_));
        (ranged || (!peek && partial.is_none())).then_some(Self { item, peek, partial })
    }

    /// A whole item that changes nothing.
    #[must_use]
    pub fn whole(item: Item) -> Self {
        let peek = matches!(item, Item::Section(_) | Item::Binary(_));
        Self { item, peek, partial: None }
    }

    /// What is asked for.
    #[must_use]
    pub const fn item(&self) -> &Item {
        &self.item
    }

    /// Its range.
    #[must_use]
    pub const fn partial(&self) -> Option<Partial> {
        self.partial
    }

    /// Whether the server sets `\Seen` for it.
    #[must_use]
    pub const fn sets_seen(&self) -> bool {
        match self.item {
            Item::Rfc822 | Item::Rfc822Text => true,
            Item::Section(_) | Item::Binary(_) => !self.peek,
            _ => false,
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        let (name, section) = read_name(cursor)?;
        let (name, peek) = match name.strip_suffix(".PEEK") {
            Some(name) if section.is_some() => (name, true),
            _ => (name.as_str(), false),
        };
        let mut item = Item::named(name, section)?;
        if item.canonical().len() > ITEM_MAX {
            return Err(Refusal::TooLong);
        }
        if item == Item::Preview && lazy(cursor)? {
            item = Item::PreviewLazy;
        }
        let partial = match read_angle(cursor)? {
            None => None,
            Some(text) => Some(read_partial(text).ok_or(Refusal::PartialMalformed)?),
        };
        Self::new(item, peek, partial).ok_or(Refusal::PartialMalformed)
    }
}

impl Item {
    /// The one spelling that a frame is bound to (proto/object/spec.md, section 3.2).
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Rfc822 => "BODY[]".to_owned(),
            Self::Rfc822Header => "BODY[HEADER]".to_owned(),
            Self::Rfc822Text => "BODY[TEXT]".to_owned(),
            Self::PreviewLazy => "PREVIEW (LAZY)".to_owned(),
            Self::Section(section) => format!("BODY[{}]", section.spelled(Spelling::Canonical)),
            item => item.to_string(),
        }
    }

    /// An item as a server names it, and where its octets begin when it is a partial.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<(Self, Option<u64>), Refusal> {
        let (name, section) = read_name(cursor)?;
        let item = Self::named(&name, section)?;
        let origin = match read_angle(cursor)? {
            None => None,
            Some(text) => Some(read_number(text).ok_or(Refusal::PartialMalformed)?),
        };
        Ok((item, origin))
    }

    fn named(name: &str, section: Option<Section>) -> Result<Self, Refusal> {
        let part = |section: Section| match section.text {
            None => Ok(section.part),
            Some(_) => Err(Refusal::SectionMalformed),
        };
        Ok(match (name, section) {
            ("BODY", Some(section)) => Self::Section(section),
            ("BINARY", Some(section)) => Self::Binary(part(section)?),
            ("BINARY.SIZE", Some(section)) => Self::BinarySize(part(section)?),
            (_, Some(_)) => return Err(Refusal::ItemUnknown),
            (name, None) => {
                let found = PLAIN.iter().find(|(plain, _)| *plain == name);
                found.map(|(_, item)| item.clone()).ok_or(Refusal::ItemUnknown)?
            }
        })
    }
}

impl Section {
    /// A section; `None` for the MIME header of a message, which only parts have.
    #[must_use]
    pub fn new(part: Part, text: Option<SectionText>) -> Option<Self> {
        let valid = text != Some(SectionText::Mime) || !part.0.is_empty();
        valid.then_some(Self { part, text })
    }

    /// The part.
    #[must_use]
    pub const fn part(&self) -> &Part {
        &self.part
    }

    /// What of it; `None` for all.
    #[must_use]
    pub const fn text(&self) -> Option<&SectionText> {
        self.text.as_ref()
    }

    /// After the bracket.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        let mut part = Part::default();
        let mut text = None;
        if cursor.peek() != Some(Kind::BracketClose) {
            let run = cursor.keyword().map_err(|_| Refusal::SectionMalformed)?;
            let mut rest = run.as_str();
            while rest.starts_with(|first: char| first.is_ascii_digit()) {
                let (number, after) =
                    rest.split_once('.').map_or((rest, None), |(n, after)| (n, Some(after)));
                let number = Some(number).filter(|number| !number.starts_with('0')).and_then(read_number);
                part.0.push(number.ok_or(Refusal::SectionMalformed)?);
                // A dot is followed by something.
                rest = after.unwrap_or("");
                if after == Some("") {
                    return Err(Refusal::SectionMalformed);
                }
            }
            text = match rest {
                "" => None,
                "HEADER" => Some(SectionText::Header),
                "TEXT" => Some(SectionText::Text),
                "MIME" => Some(SectionText::Mime),
                "HEADER.FIELDS" => Some(SectionText::Fields(Fields::read(cursor)?)),
                "HEADER.FIELDS.NOT" => Some(SectionText::FieldsNot(Fields::read(cursor)?)),
                _ => return Err(Refusal::SectionMalformed),
            };
        }
        cursor.expect(Kind::BracketClose).map_err(|_| Refusal::SectionMalformed)?;
        Self::new(part, text).ok_or(Refusal::SectionMalformed)
    }

    fn spelled(&self, spelling: Spelling) -> String {
        let text = match &self.text {
            None => return self.part.to_string(),
            Some(SectionText::Header) => "HEADER".to_owned(),
            Some(SectionText::Text) => "TEXT".to_owned(),
            Some(SectionText::Mime) => "MIME".to_owned(),
            Some(SectionText::Fields(fields)) => format!("HEADER.FIELDS ({})", fields.spelled(spelling)),
            Some(SectionText::FieldsNot(fields)) => {
                format!("HEADER.FIELDS.NOT ({})", fields.spelled(spelling))
            }
        };
        if self.part.0.is_empty() { text } else { format!("{}.{text}", self.part) }
    }
}

/// A name in upper case, and the section after it.
fn read_name(cursor: &mut Cursor<'_>) -> Result<(String, Option<Section>), Refusal> {
    let name = cursor.keyword()?;
    let section = if cursor.eat(Kind::BracketOpen) { Some(Section::read(cursor)?) } else { None };
    Ok((name, section))
}

/// ` (LAZY)`, where it follows.
fn lazy(cursor: &mut Cursor<'_>) -> Result<bool, Refusal> {
    let mut ahead = cursor.clone();
    if !(ahead.eat(Kind::Space) && ahead.eat(Kind::Open)) {
        return Ok(false);
    }
    let word = ahead.keyword()?;
    *cursor = ahead;
    if word == "LAZY" && cursor.eat(Kind::Close) { Ok(true) } else { Err(Refusal::ModifierUnknown) }
}

/// What stands between `<` and `>` after a section.
fn read_angle<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, Refusal> {
    if !matches!(cursor.peek(), Some(Kind::Atom)) {
        return Ok(None);
    }
    let run = cursor.run()?;
    let inner = run.strip_prefix('<').and_then(|inner| inner.strip_suffix('>'));
    inner.map(Some).ok_or(Refusal::PartialMalformed)
}

fn read_partial(text: &str) -> Option<Partial> {
    let (origin, count) = text.split_once('.')?;
    Some(Partial { origin: read_number(origin)?, count: read_number(count)? })
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    /// As a server names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Section(section) => write!(f, "BODY[{}]", section.spelled(Spelling::Wire)),
            Self::Binary(part) => write!(f, "BINARY[{part}]"),
            Self::BinarySize(part) => write!(f, "BINARY.SIZE[{part}]"),
            Self::PreviewLazy => f.write_str("PREVIEW"),
            item => match PLAIN.iter().find(|(_, plain)| plain == item) {
                Some((name, _)) => f.write_str(name),
                None => Err(fmt::Error),
            },
        }
    }
}

impl fmt::Display for Asked {
    /// As a client asks for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.item.to_string();
        match name.split_once('[') {
            Some((kind, section)) if self.peek => write!(f, "{kind}.PEEK[{section}")?,
            _ => f.write_str(&name)?,
        }
        if self.item == Item::PreviewLazy {
            f.write_str(" (LAZY)")?;
        }
        match self.partial {
            Some(Partial { origin, count }) => write!(f, "<{origin}.{count}>"),
            None => Ok(()),
        }
    }
}

/// Octets of the longest item (proto/object/spec.md, section 3.2).
const ITEM_MAX: usize = 8192;

/// Items that are one word.
const PLAIN: [(&str, Item); 16] = [
    ("FLAGS", Item::Flags),
    ("UID", Item::Uid),
    ("MODSEQ", Item::ModSeq),
    ("INTERNALDATE", Item::InternalDate),
    ("EMAILID", Item::EmailId),
    ("MAILBOXID", Item::MailboxId),
    ("THREADID", Item::ThreadId),
    ("ENVELOPE", Item::Envelope),
    ("BODYSTRUCTURE", Item::BodyStructure),
    ("BODY", Item::Body),
    ("RFC822", Item::Rfc822),
    ("RFC822.HEADER", Item::Rfc822Header),
    ("RFC822.TEXT", Item::Rfc822Text),
    ("RFC822.SIZE", Item::Rfc822Size),
    ("PREVIEW", Item::Preview),
    ("SNIPPET", Item::Snippet),
];
