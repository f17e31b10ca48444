//! Names of header fields, as a section lists them.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use super::Refusal;
use super::cursor::{Cursor, is_atom_char};
use crate::scanner::Kind;

/// Names of header fields: upper case, each once, at least one. Their order is kept, since an answer repeats it; two
/// lists in other orders are the same.
#[derive(Clone, Debug)]
pub struct Fields {
    sorted: BTreeSet<String>,
    asked: Vec<String>,
}

/// How a list of names is written.
#[derive(Clone, Copy)]
pub(super) enum Spelling {
    /// As a frame is bound to it: sorted, nothing quoted.
    Canonical,
    /// As it is sent: in the order asked, what is no atom quoted.
    Wire,
}

impl Fields {
    /// These names; `None` without any, or where one is no name of a field (RFC 5322's ftext).
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (mut sorted, mut asked) = (BTreeSet::new(), Vec::new());
        for name in names {
            let name = name.to_ascii_uppercase();
            if sorted.insert(name.clone()) {
                asked.push(name);
            }
        }
        let valid =
            |name: &String| !name.is_empty() && name.bytes().all(|c| c.is_ascii_graphic() && c != b':');
        (!asked.is_empty() && asked.iter().all(valid)).then_some(Self { sorted, asked })
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sorted.iter().map(String::as_str)
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        cursor.space().map_err(|_| Refusal::SectionMalformed)?;
        let names = cursor.list(|cursor| match cursor.peek() {
            // A literal here would put a line's end where some see none.
            Some(Kind::Literal(_)) => Err(Refusal::LiteralMisplaced),
            _ => String::from_utf8(cursor.astring()?.into_owned()).map_err(|_| Refusal::SectionMalformed),
        })?;
        Self::new(names.iter().map(String::as_str)).ok_or(Refusal::SectionMalformed)
    }

    pub(super) fn spelled(&self, spelling: Spelling) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let spell = |name: &String| match name.as_str() {
            "NIL" => quoted(name),
            name if name.bytes().all(is_atom_char) => name.to_owned(),
            name => quoted(name),
        };
        match spelling {
            Spelling::Canonical => self.names().collect::<Vec<_>>().join(" "),
            Spelling::Wire => self.asked.iter().map(spell).collect::<Vec<_>>().join(" "),
        }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.sorted == other.sorted
    }
}

impl Eq for Fields {}

impl Hash for Fields {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted.hash(state);
    }
}
