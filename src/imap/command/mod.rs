//! Commands: read into a tree, and written again in one spelling. What was not understood is refused by name, and no
//! octet that a client sent is ever passed on.
//!
//! RFC 3501, with UIDPLUS (4315), MOVE (6851), IDLE (2177), NAMESPACE (2342), ID (2971), ENABLE (5161), UNSELECT (3691),
//! CONDSTORE and QRESYNC (7162), ESEARCH (4731), WITHIN (5032), LIST-EXTENDED (5258), LIST-STATUS (5819), SPECIAL-USE
//! (6154), STATUS=SIZE (8438), SASL-IR (4959), LITERAL+ and LITERAL- (7888), MULTIAPPEND (3502), BINARY (3516), OBJECTID
//! (8474), PREVIEW (8970).

mod cursor;
mod date;
mod fields;
mod item;
mod line;
mod parse;
mod reader;
mod refusal;
mod search;
mod set;
mod write;

use std::fmt;

use crate::mailbox::Mailbox;
pub(crate) use cursor::{Cursor, is_astring_char, read_number, unquote};
pub(crate) use line::Line;

pub use date::{Date, DateTime};
pub use fields::Fields;
pub use item::{Asked, Item, Part, Partial, Section, SectionText};
pub use reader::{Append, Broken, Event, Reader};
pub use refusal::Refusal;
pub use search::{Charset, EntryType, Key, Measure, Place, Search, SearchReturn, State, When};
pub use set::{Number, Range, Set};
pub use write::Literals;

/// What a client calls a command, so that its answer can be told.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Tag(String);

/// A name that needs no quotes: of a flag, a mechanism, a capability.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Atom(String);

/// A flag: `\Seen` and its kin in their usual case, or a keyword.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Flag(String);

/// What a client proves itself with. Mute, and compared without a shortcut.
#[derive(Clone, Eq)]
pub struct Password(Vec<u8>);

/// A command that is whole. (APPEND, whose messages are not kept, is one of the [`Event`]s of a [`Reader`].)
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// Its tag.
    pub tag: Tag,
    /// What it asks for.
    pub body: Body,
}

/// What a command asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum Body {
    Capability,
    Check,
    Close,
    Expunge,
    Idle,
    Logout,
    Namespace,
    Noop,
    StartTls,
    Unselect,
    Authenticate {
        mechanism: Atom,
        initial: Option<Password>,
    },
    Login {
        user: Vec<u8>,
        password: Password,
    },
    Enable(Vec<Atom>),
    /// Nothing but NIL without fields.
    Id(IdFields),
    Select(Mailbox, Vec<SelectParameter>),
    Examine(Mailbox, Vec<SelectParameter>),
    Create(Mailbox),
    Delete(Mailbox),
    Rename(Mailbox, Mailbox),
    Subscribe(Mailbox),
    Unsubscribe(Mailbox),
    List(List),
    Lsub(Reference, Pattern),
    Status(Mailbox, Vec<StatusItem>),
    Fetch {
        by: By,
        set: Set,
        items: Vec<Asked>,
        modifiers: Vec<FetchModifier>,
    },
    Search(By, Search),
    Store {
        by: By,
        set: Set,
        unchanged_since: Option<u64>,
        change: Change,
        silent: bool,
        flags: Vec<Flag>,
    },
    Copy(By, Set, Mailbox),
    Move(By, Set, Mailbox),
    UidExpunge(Set),
}

/// What ID tells: names, and values or NIL.
pub type IdFields = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Whether a command numbers messages by UID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// By their place in the mailbox.
    Sequence,
    /// By UID.
    Uid,
}

/// In parentheses after SELECT.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum SelectParameter {
    CondStore,
    QResync { uid_validity: u32, mod_seq: u64, known: Option<Set>, matched: Option<(Set, Set)> },
}

/// In parentheses after FETCH.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum FetchModifier {
    ChangedSince(u64),
    Vanished,
    /// Frames as octets (proto/object/xencrypted.abnf). Only a gateway reads it.
    XEncrypted,
}

/// What STORE does with the flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they say it")]
pub enum Change {
    Add,
    Remove,
    Replace,
}

/// LIST with its extensions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct List {
    /// Which of the mailboxes.
    pub select: Vec<ListSelect>,
    /// Under which name.
    pub reference: Reference,
    /// Which names; at least one.
    pub patterns: Vec<Pattern>,
    /// What to tell of them.
    pub returns: Vec<ListReturn>,
}

/// Which of the mailboxes LIST tells of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum ListSelect {
    Subscribed,
    Remote,
    RecursiveMatch,
    SpecialUse,
}

/// What LIST tells of them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum ListReturn {
    Subscribed,
    Children,
    SpecialUse,
    Status(Vec<StatusItem>),
}

/// What STATUS tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    HighestModSeq,
    MailboxId,
}

/// The reference of LIST: part of a name, in modified UTF-7 as it came, printable ASCII.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference(String);

/// Names with the wildcards `*` and `%`, in modified UTF-7 as it came, printable ASCII.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(String);

impl Command {
    /// The octets to send, in segments: after each but the last, the sender waits for a continuation.
    #[must_use]
    pub fn write(&self, literals: Literals) -> Vec<Vec<u8>> {
        write::command(self, literals)
    }
}

impl Tag {
    /// Octets of the longest tag.
    pub const MAX: usize = 256;

    /// # Errors
    /// [`Refusal::TagMalformed`].
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let valid = |octet| is_astring_char(octet) && octet != b'+';
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(valid);
        fits.then(|| Self(text.to_owned())).ok_or(Refusal::TagMalformed)
    }
}

impl Atom {
    /// # Errors
    /// [`Refusal::ArgumentMalformed`].
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let valid = !text.is_empty() && text.bytes().all(cursor::is_atom_char);
        valid.then(|| Self(text.to_owned())).ok_or(Refusal::ArgumentMalformed)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        cursor.atom().and_then(Self::new)
    }

    fn into_upper_case(self) -> Self {
        Self(self.0.to_ascii_uppercase())
    }
}

impl Flag {
    /// # Errors
    /// [`Refusal::FlagMalformed`].
    pub fn new(text: &str) -> Result<Self, Refusal> {
        if let Some(known) = FLAGS.iter().find(|known| known.eq_ignore_ascii_case(text)) {
            return Ok(Self((*known).to_owned()));
        }
        let name = text.strip_prefix('\\').unwrap_or(text);
        Atom::new(name).map(|_| Self(text.to_owned())).map_err(|_| Refusal::FlagMalformed)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        let word = cursor.word().map_err(|_| Refusal::FlagMalformed)?;
        std::str::from_utf8(word).map_err(|_| Refusal::FlagMalformed).and_then(Self::new)
    }
}

impl Password {
    /// From its octets.
    #[must_use]
    pub const fn new(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// Its octets. Every call site is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        let differing =
            self.0.iter().zip(&other.0).fold(0, |differing, (one, other)| differing | (one ^ other));
        self.0.len() == other.0.len() && differing == 0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A newtype of text that shows itself.
macro_rules! shown {
    ($($name:ident),+) => {$(
        impl $name {
            /// As it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

shown!(Tag, Atom, Flag, Reference, Pattern);

/// Text of printable ASCII.
macro_rules! printable {
    ($($name:ident),+) => {$(
        impl $name {
            /// # Errors
            /// [`Refusal::MailboxMalformed`]: an octet that is not printable ASCII.
            pub fn new(text: &str) -> Result<Self, Refusal> {
                let valid = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
                valid.then(|| Self(text.to_owned())).ok_or(Refusal::MailboxMalformed)
            }
        }
    )+};
}

printable!(Reference, Pattern);

/// The flags that every server knows, in their usual case.
const FLAGS: [&str; 5] = ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"];

#[cfg(test)]
mod tests;
