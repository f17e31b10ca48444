//! Status responses: OK, NO, BAD, BYE, PREAUTH.

use super::Code;
use crate::command::Tag;

/// A status response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status {
    /// The command that it answers; `None` for `*`.
    pub tag: Option<Tag>,
    /// How it went.
    pub condition: Condition,
    /// What it says to programs. A code that is not as it must be is part of the text.
    pub code: Option<Code>,
    /// What it says to people.
    pub text: String,
    octets: Vec<u8>,
}

/// How it went.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum Condition {
    Ok,
    No,
    Bad,
    Bye,
    PreAuth,
}

impl Status {
    /// A line without its end.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(octets);
        let (tag, rest) = line.split_once(' ')?;
        let (condition, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let condition = Condition::named(condition)?;
        let tag = if tag == "*" { None } else { Some(Tag::new(tag).ok()?) };
        if tag.is_some() && matches!(condition, Condition::Bye | Condition::PreAuth) {
            return None;
        }
        let (code, text) = split_code(text);
        Some(Self { tag, condition, code, text: text.to_owned(), octets: octets.to_vec() })
    }

    /// The response as it came, without its end of line.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// A code cannot hold a bracket: the first one ends it.
fn split_code(text: &str) -> (Option<Code>, &str) {
    let split = text.strip_prefix('[').and_then(|inner| inner.split_once(']'));
    match split.map(|(code, rest)| (Code::read(code), rest)) {
        Some((Some(code), rest)) => (Some(code), rest.strip_prefix(' ').unwrap_or(rest)),
        _ => (None, text),
    }
}

impl Condition {
    fn named(word: &str) -> Option<Self> {
        let all = [
            ("OK", Self::Ok),
            ("NO", Self::No),
            ("BAD", Self::Bad),
            ("BYE", Self::Bye),
            ("PREAUTH", Self::PreAuth),
        ];
        all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, condition)| condition)
    }
}

pub(super) fn is_condition(word: &str) -> bool {
    Condition::named(word).is_some()
}
