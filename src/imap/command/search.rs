//! What SEARCH looks for, as a tree (RFC 3501, ESEARCH RFC 4731, WITHIN RFC 5032, CONDSTORE RFC 7162).

use super::cursor::{Cursor, is_astring_char};
use super::date::Date;
use super::set::Set;
use super::write::Writer;
use super::{Atom, Refusal};
use crate::scanner::Kind;

/// Keys within keys.
const DEPTH_MAX: u8 = 32;

/// A SEARCH command's arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Search {
    /// What to answer, as an ESEARCH response; `None` for a SEARCH response.
    pub returns: Option<Vec<SearchReturn>>,
    /// How the strings are written.
    pub charset: Option<Charset>,
    /// All of these; at least one.
    pub keys: Vec<Key>,
}

/// What an ESEARCH response has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum SearchReturn {
    Min,
    Max,
    All,
    Count,
}

/// How strings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum Charset {
    UsAscii,
    Utf8,
}

/// One key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Key {
    /// One word: ALL, a flag that is there or not.
    Is(State),
    /// `KEYWORD`.
    Keyword(Atom),
    /// `UNKEYWORD`.
    Unkeyword(Atom),
    /// A string in a place.
    Has(Place, Vec<u8>),
    /// `HEADER`: a string in a field.
    Header(String, Vec<u8>),
    /// A day.
    Dated(When, Date),
    /// A number.
    Measured(Measure, u32),
    /// `MODSEQ`: changed since, of one flag if so asked.
    ModSeq(Option<(Vec<u8>, EntryType)>, u64),
    /// Sequence numbers.
    Numbers(Set),
    /// `UID`.
    Uids(Set),
    /// `NOT`.
    Not(Box<Self>),
    /// `OR`.
    Or(Box<[Self; 2]>),
    /// In parentheses: all of these; at least one.
    And(Vec<Self>),
}

/// Whose flag a MODSEQ key means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum EntryType {
    All,
    Private,
    Shared,
}

/// Words of a closed list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "they are called what IMAP calls them")]
        pub enum $name {
            $($word),+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// As IMAP writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text),+
                }
            }

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Keys of one word.
    State: All = "ALL", Answered = "ANSWERED", Deleted = "DELETED", Draft = "DRAFT", Flagged = "FLAGGED", New = "NEW",
    Old = "OLD", Recent = "RECENT", Seen = "SEEN", Unanswered = "UNANSWERED", Undeleted = "UNDELETED",
    Undraft = "UNDRAFT", Unflagged = "UNFLAGGED", Unseen = "UNSEEN",
}
words! {
    /// Where a string is looked for.
    Place: Bcc = "BCC", Body = "BODY", Cc = "CC", From = "FROM", Subject = "SUBJECT", Text = "TEXT", To = "TO",
}
words! {
    /// Which day is meant, and on which side of it.
    When: Before = "BEFORE", On = "ON", Since = "SINCE", SentBefore = "SENTBEFORE", SentOn = "SENTON",
    SentSince = "SENTSINCE",
}
words! {
    /// What is measured.
    Measure: Larger = "LARGER", Smaller = "SMALLER", Older = "OLDER", Younger = "YOUNGER",
}

impl Search {
    /// After `SEARCH `.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        let returns = if starts_with(cursor, "RETURN") {
            cursor.run()?;
            cursor.space()?;
            let returns = cursor.list(|cursor| read_return(&cursor.keyword()?))?;
            cursor.space()?;
            Some(returns)
        } else {
            None
        };
        let charset = if starts_with(cursor, "CHARSET") {
            cursor.run()?;
            cursor.space()?;
            let charset = read_charset(&cursor.astring()?)?;
            cursor.space()?;
            Some(charset)
        } else {
            None
        };
        let mut keys = vec![Key::read(cursor, DEPTH_MAX)?];
        while cursor.eat(Kind::Space) {
            keys.push(Key::read(cursor, DEPTH_MAX)?);
        }
        Ok(Self { returns, charset, keys })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        if let Some(returns) = &self.returns {
            let names: Vec<_> = returns.iter().map(|returned| return_name(*returned)).collect();
            out.text(&format!("RETURN ({}) ", names.join(" ")));
        }
        match self.charset {
            None => {}
            Some(Charset::UsAscii) => out.text("CHARSET US-ASCII "),
            Some(Charset::Utf8) => out.text("CHARSET UTF-8 "),
        }
        out.joined(&self.keys, Key::write);
    }
}

impl Key {
    fn read(cursor: &mut Cursor<'_>, depth: u8) -> Result<Self, Refusal> {
        let depth = depth.checked_sub(1).ok_or(Refusal::KeysTooDeep)?;
        if cursor.peek() == Some(Kind::Open) {
            let keys = cursor.list(|cursor| Self::read(cursor, depth))?;
            return if keys.is_empty() { Err(Refusal::KeyUnknown) } else { Ok(Self::And(keys)) };
        }
        let run = cursor.run()?;
        if run.starts_with(|first: char| first.is_ascii_digit() || first == '*') {
            return Set::parse(run).map(Self::Numbers);
        }
        let name = run.to_ascii_uppercase();
        if let Some(state) = State::named(&name) {
            return Ok(Self::Is(state));
        }
        cursor.space().map_err(|_| Refusal::KeyUnknown)?;
        if let Some(place) = Place::named(&name) {
            return Ok(Self::Has(place, cursor.astring()?.into_owned()));
        }
        if let Some(when) = When::named(&name) {
            return Ok(Self::Dated(when, read_date(cursor)?));
        }
        if let Some(measure) = Measure::named(&name) {
            return Ok(Self::Measured(measure, cursor.number()?));
        }
        match name.as_str() {
            "KEYWORD" => Ok(Self::Keyword(Atom::read(cursor)?)),
            "UNKEYWORD" => Ok(Self::Unkeyword(Atom::read(cursor)?)),
            "UID" => Ok(Self::Uids(Set::parse(cursor.run()?)?)),
            "NOT" => Ok(Self::Not(Box::new(Self::read(cursor, depth)?))),
            "OR" => {
                let one = Self::read(cursor, depth)?;
                cursor.space()?;
                Ok(Self::Or(Box::new([one, Self::read(cursor, depth)?])))
            }
            "HEADER" => {
                let field = String::from_utf8(cursor.astring()?.into_owned()).ok();
                let named = |field: &String| {
                    !field.is_empty() && field.bytes().all(|c| c.is_ascii_graphic() && c != b':')
                };
                let field = field.filter(named);
                cursor.space()?;
                let field = field.ok_or(Refusal::FieldMalformed)?.to_ascii_uppercase();
                Ok(Self::Header(field, cursor.astring()?.into_owned()))
            }
            "MODSEQ" => read_modseq(cursor),
            _ => Err(Refusal::KeyUnknown),
        }
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Self::Is(state) => out.text(state.as_str()),
            Self::Keyword(flag) => out.text(&format!("KEYWORD {flag}")),
            Self::Unkeyword(flag) => out.text(&format!("UNKEYWORD {flag}")),
            Self::Has(place, string) => {
                out.text(place.as_str());
                out.text(" ");
                out.astring(string);
            }
            Self::Header(field, string) => {
                out.text("HEADER ");
                out.astring(field.as_bytes());
                out.text(" ");
                out.astring(string);
            }
            Self::Dated(when, date) => out.text(&format!("{} {date}", when.as_str())),
            Self::Measured(measure, number) => out.text(&format!("{} {number}", measure.as_str())),
            Self::ModSeq(entry, since) => {
                out.text("MODSEQ ");
                if let Some((entry, of)) = entry {
                    out.quoted(entry);
                    out.text(match of {
                        EntryType::All => " all ",
                        EntryType::Private => " priv ",
                        EntryType::Shared => " shared ",
                    });
                }
                out.text(&since.to_string());
            }
            Self::Numbers(set) => out.text(&set.to_string()),
            Self::Uids(set) => out.text(&format!("UID {set}")),
            Self::Not(key) => {
                out.text("NOT ");
                key.write(out);
            }
            Self::Or(keys) => {
                out.text("OR ");
                out.joined(&keys[..], Self::write);
            }
            Self::And(keys) => {
                out.text("(");
                out.joined(keys, Self::write);
                out.text(")");
            }
        }
    }
}

/// Whether the next word is this one; nothing is taken.
fn starts_with(cursor: &Cursor<'_>, word: &str) -> bool {
    cursor.clone().keyword().is_ok_and(|next| next == word)
}

fn read_date(cursor: &mut Cursor<'_>) -> Result<Date, Refusal> {
    let text = match cursor.peek() {
        Some(Kind::Quoted) => cursor.string()?,
        _ => cursor.run()?.as_bytes().into(),
    };
    Date::parse(std::str::from_utf8(&text).map_err(|_| Refusal::DateMalformed)?)
}

fn read_modseq(cursor: &mut Cursor<'_>) -> Result<Key, Refusal> {
    let entry = if cursor.peek() == Some(Kind::Quoted) {
        let name = cursor.string()?.into_owned();
        // It begins with `/flags/`, and holds what a flag holds.
        if !name.iter().all(|c| is_astring_char(*c) || *c == b'\\') {
            return Err(Refusal::ArgumentMalformed);
        }
        cursor.space()?;
        let of = match cursor.keyword()?.as_str() {
            "ALL" => EntryType::All,
            "PRIV" => EntryType::Private,
            "SHARED" => EntryType::Shared,
            _ => return Err(Refusal::ArgumentMalformed),
        };
        cursor.space()?;
        Some((name, of))
    } else {
        None
    };
    Ok(Key::ModSeq(entry, cursor.number()?))
}

fn read_return(name: &str) -> Result<SearchReturn, Refusal> {
    match name {
        "MIN" => Ok(SearchReturn::Min),
        "MAX" => Ok(SearchReturn::Max),
        "ALL" => Ok(SearchReturn::All),
        "COUNT" => Ok(SearchReturn::Count),
        _ => Err(Refusal::ReturnUnknown),
    }
}

const fn return_name(returned: SearchReturn) -> &'static str {
    match returned {
        SearchReturn::Min => "MIN",
        SearchReturn::Max => "MAX",
        SearchReturn::All => "ALL",
        SearchReturn::Count => "COUNT",
    }
}

fn read_charset(name: &[u8]) -> Result<Charset, Refusal> {
    if name.eq_ignore_ascii_case(b"US-ASCII") {
        Ok(Charset::UsAscii)
    } else if name.eq_ignore_ascii_case(b"UTF-8") {
        Ok(Charset::Utf8)
    } else {
        Err(Refusal::CharsetUnknown)
    }
}
