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

    /// The response with another code or none, its end of line included. Text that would be read as a code is left out.
    #[must_use]
    pub fn with_code(&self, code: Option<&str>) -> String {
        let tag = self.tag.as_ref().map_or("*", Tag::as_str);
        let code = code.map_or_else(String::new, |code| format!("[{code}] "));
        let text = if self.text.is_empty() || self.text.starts_with('[') { "-" } else { &self.text };
        format!("{tag} {} {code}{text}\r\n", self.condition.as_str())
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
    /// As IMAP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::Bye => "BYE",
            Self::PreAuth => "PREAUTH",
        }
    }

    fn named(word: &str) -> Option<Self> {
        let all = [Self::Ok, Self::No, Self::Bad, Self::Bye, Self::PreAuth];
        all.into_iter().find(|condition| condition.as_str().eq_ignore_ascii_case(word))
    }
}

pub(super) fn is_condition(word: &str) -> bool {
    Condition::named(word).is_some()
}
