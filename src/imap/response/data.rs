//! Responses that carry data, kept whole.

use std::fmt;

use super::Capabilities;
use crate::command::{Cursor, Line, is_astring_char};
use crate::mailbox::Mailbox;
use crate::scanner::Kind;

/// A response that was taken.
pub struct Data {
    number: Option<u32>,
    line: Line,
}

/// What LIST or LSUB tells of a mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// `\Noselect` and its kin, as they came.
    pub attributes: Vec<String>,
    /// What separates its levels.
    pub separator: Option<char>,
    /// Its name.
    pub mailbox: Mailbox,
}

impl Data {
    pub(super) const fn new(number: Option<u32>, line: Line) -> Self {
        Self { number, line }
    }

    /// The number before its name.
    #[must_use]
    pub const fn number(&self) -> Option<u32> {
        self.number
    }

    /// The response as it came, without its end of line.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.line.octets()
    }

    /// Its name, in upper case.
    #[must_use]
    pub fn name(&self) -> String {
        self.head().map(|(name, _)| name).unwrap_or_default()
    }

    /// Of a CAPABILITY response; `None` when it is another, or not as it must be. (An ENABLED response has the same form.)
    #[must_use]
    pub fn capabilities(&self) -> Option<Capabilities> {
        let (name, _) = self.head()?;
        let text = std::str::from_utf8(self.octets()).ok()?;
        let names = text.get("* ".len() + name.len()..)?;
        matches!(name.as_str(), "CAPABILITY" | "ENABLED").then(|| Capabilities::read(names))?
    }

    /// Of a LIST or LSUB response; `None` when it is another, or not as it must be. What LIST-EXTENDED adds behind the
    /// name is not read.
    #[must_use]
    pub fn listed(&self) -> Option<Listed> {
        let (name, mut cursor) = self.head()?;
        if !matches!(name.as_str(), "LIST" | "LSUB") {
            return None;
        }
        cursor.space().ok()?;
        let attributes =
            cursor.list(|cursor| cursor.word().map(|word| String::from_utf8_lossy(word).into())).ok()?;
        cursor.space().ok()?;
        let separator = match cursor.nstring().ok()?.as_deref() {
            None => None,
            Some([separator]) if separator.is_ascii() => Some(char::from(*separator)),
            Some(_) => return None,
        };
        cursor.space().ok()?;
        Some(Listed { attributes, separator, mailbox: Mailbox::from_wire(&read_name(&mut cursor)?).ok()? })
    }

    /// Its name, and what follows it.
    fn head(&self) -> Option<(String, Cursor<'_>)> {
        let mut cursor = self.line.cursor();
        cursor.run().ok()?;
        cursor.space().ok()?;
        if self.number.is_some() {
            cursor.run().ok()?;
            cursor.space().ok()?;
        }
        Some((cursor.keyword().ok()?, cursor))
    }
}

/// A mailbox name; servers do not quote all that they should.
fn read_name(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    match cursor.peek()? {
        Kind::Quoted | Kind::Literal(_) => Some(cursor.string().ok()?.into_owned()),
        _ => {
            let word = cursor.word().ok()?;
            let bare = |octet: &u8| is_astring_char(*octet) || b"%*\\".contains(octet);
            word.iter().all(bare).then(|| word.to_vec())
        }
    }
}

impl fmt::Debug for Data {
    /// Its name; what it says may be a user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({})", self.name())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.octets()) == (other.number, other.octets())
    }
}

impl Eq for Data {}
