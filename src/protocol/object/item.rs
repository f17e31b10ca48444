//! A FETCH item in its one spelling (proto/object/spec.md, section 3.2).

use std::collections::BTreeSet;

use super::Reject;
use super::frame::Class;
use crate::crypto::sha256;

/// Octets of the longest item.
pub const ITEM_MAX: usize = 8192;

/// A FETCH item that is sealed, without its partial.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Item {
    canonical: String,
    class: Class,
    partial: bool,
}

impl Item {
    /// Reads one item of a FETCH command or response: RFC 3501's, with BINARY (RFC 3516) and PREVIEW (RFC 8970).
    ///
    /// # Errors
    /// [`Reject::ItemMalformed`]: not an item that is sealed, not well-formed, or with a partial.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        if text.len() > ITEM_MAX {
            return Err(Reject::ItemMalformed);
        }
        let text = text.to_ascii_uppercase();
        match text.as_str() {
            "BODY" | "BODYSTRUCTURE" | "ENVELOPE" | "PREVIEW" | "PREVIEW (LAZY)" | "SNIPPET" | "THREADID" => {
                Ok(Self { canonical: text, class: Class::HeaderLike, partial: false })
            }
            "RFC822" => Ok(Self::section("BODY", "", Class::Body)),
            "RFC822.HEADER" => Ok(Self::section("BODY", "HEADER", Class::HeaderLike)),
            "RFC822.TEXT" => Ok(Self::section("BODY", "TEXT", Class::Body)),
            _ => read_section(&text).ok_or(Reject::ItemMalformed),
        }
    }

    fn section(name: &str, section: &str, class: Class) -> Self {
        Self { canonical: format!("{name}[{section}]"), class, partial: true }
    }

    /// The item as it is hashed.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// How the whole item is padded.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Whether ranges of it can be asked for.
    #[must_use]
    pub const fn has_partial(&self) -> bool {
        self.partial
    }

    /// SHA-256 of the canonical item.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.canonical.as_bytes())
    }
}

/// `BODY[…]`, `BINARY[…]` and their PEEK forms.
fn read_section(text: &str) -> Option<Item> {
    let (name, section) = text.strip_suffix(']')?.split_once('[')?;
    let (parts, rest) = split_parts(section)?;
    match name {
        "BODY" | "BODY.PEEK" => {
            let (rest, class) = read_section_text(rest, parts)?;
            Some(Item::section("BODY", &format!("{parts}{rest}"), class))
        }
        "BINARY" | "BINARY.PEEK" if rest.is_empty() && !parts.ends_with('.') => {
            Some(Item::section("BINARY", parts, Class::Body))
        }
        _ => None,
    }
}

/// Splits `1.2.TEXT` into `1.2.` and `TEXT`: part numbers have no leading zeros and fit 32 bits.
fn split_parts(section: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    while section[at..].starts_with(|c: char| c.is_ascii_digit()) {
        let digits = section[at..].bytes().take_while(u8::is_ascii_digit).count();
        let number = &section[at..at + digits];
        number.parse::<u32>().ok().filter(|_| !number.starts_with('0'))?;
        at += digits;
        match section[at..].strip_prefix('.') {
            Some(_) => at += 1,
            None if at == section.len() => break,
            None => return None,
        }
    }
    Some(section.split_at(at))
}

/// What follows the part numbers, in its one spelling, and how it is padded.
fn read_section_text(rest: &str, parts: &str) -> Option<(String, Class)> {
    match rest {
        "" if !parts.ends_with('.') => Some((String::new(), Class::Body)),
        "TEXT" => Some((rest.to_owned(), Class::Body)),
        "HEADER" => Some((rest.to_owned(), Class::HeaderLike)),
        "MIME" if !parts.is_empty() => Some((rest.to_owned(), Class::HeaderLike)),
        _ => {
            let (keyword, list) = rest.split_once(' ')?;
            if !matches!(keyword, "HEADER.FIELDS" | "HEADER.FIELDS.NOT") {
                return None;
            }
            let list = list.trim_start_matches(' ').strip_prefix('(')?.strip_suffix(')')?;
            let names: Vec<_> = read_fields(list)?.into_iter().collect();
            Some((format!("{keyword} ({})", names.join(" ")), Class::HeaderLike))
        }
    }
}

/// Names of header fields, unquoted, sorted, each once; at least one.
fn read_fields(list: &str) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut rest = list.trim_start_matches(' ');
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => read_quoted(quoted)?,
            None => {
                let (name, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
                (name.bytes().all(is_astring_char).then(|| name.to_owned())?, after)
            }
        };
        if name.is_empty() || !name.bytes().all(is_field_char) {
            return None;
        }
        names.insert(name);
        rest = after.trim_start_matches(' ');
        if rest.len() == after.len() && !after.is_empty() {
            return None;
        }
    }
    (!names.is_empty()).then_some(names)
}

/// The rest of a quoted string: what it says, and what follows it.
fn read_quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((name, chars.as_str())),
            '\\' => name.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => name.push(c),
        }
    }
}

/// RFC 3501's ASTRING-CHAR.
fn is_astring_char(c: u8) -> bool {
    c.is_ascii_graphic() && !b"(){%*\"\\".contains(&c)
}

/// RFC 5322's ftext: a name has neither spaces nor a colon.
fn is_field_char(c: u8) -> bool {
    c.is_ascii_graphic() && c != b':'
}
