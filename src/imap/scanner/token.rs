//! What is found, what bounds it, and what is refused.

use std::fmt;

/// Whose octets are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// A client's: commands.
    Client,
    /// A server's: responses, with free text after `OK` and its kin.
    Server,
}

/// What may grow, and how far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a token that is not a literal.
    pub token: usize,
    /// Octets of a literal.
    pub literal: u64,
    /// Lists within lists.
    pub depth: u16,
}

impl Limits {
    /// Of octets from a peer that nobody trusts.
    pub const CLIENT: Self = Self { token: 16 * 1024, literal: u32::MAX as u64, depth: 32 };
    /// Of a mail server. An ESEARCH response is one token, however many messages it names.
    pub const SERVER: Self = Self { token: 1024 * 1024, literal: u32::MAX as u64, depth: 256 };
}

/// What kind of token it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A run of other octets: a tag, a name, a number, a set, a flag. Eight-bit octets are not refused here.
    Atom,
    /// `NIL`, in any case.
    Nil,
    /// A quoted string, with its quotes and escapes.
    Quoted,
    /// `{n}`, `{n+}` or `~{n}` and the end of its line. Chunks follow; the last has nothing left.
    Literal(Literal),
    /// Octets of the literal, and how many are left.
    Chunk {
        /// Octets of the literal that are still to come.
        left: u64,
    },
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `[`.
    BracketOpen,
    /// `]`.
    BracketClose,
    /// One space.
    Space,
    /// What a status response or a continuation says, to the end of the line.
    Text,
    /// CR LF.
    Line,
}

/// What was announced of a literal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Literal {
    /// Its octets.
    pub size: u64,
    /// `+`: its sender does not wait for a continuation (RFC 7888).
    pub plus: bool,
    /// `~`: it may hold NUL (RFC 3516).
    pub binary: bool,
}

/// One token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// All its octets.
    pub octets: &'a [u8],
    /// Where it begins: octets since the scanner was made.
    pub at: u64,
}

/// Why these octets are no IMAP. One variant per check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// CR without LF.
    BareCr,
    /// LF without CR.
    BareLf,
    /// In a quoted string, a backslash before anything but a quote or a backslash.
    EscapeUnknown,
    /// More lists within lists than the limit.
    ListTooDeep,
    /// The line ends within a list.
    ListUnclosed,
    /// A list ends that did not begin.
    ListUnopened,
    /// What begins with `{` does not announce a literal.
    LiteralMalformed,
    /// A literal longer than the limit.
    LiteralTooLong,
    /// NUL outside a literal.
    Nul,
    /// The line ends within a quoted string.
    QuotedUnclosed,
    /// A token longer than the limit.
    TokenTooLong,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareCr => "a CR without LF",
            Self::BareLf => "an LF without CR",
            Self::EscapeUnknown => "a backslash before neither a quote nor a backslash",
            Self::ListTooDeep => "too many lists within lists",
            Self::ListUnclosed => "a list without an end",
            Self::ListUnopened => "the end of a list without its beginning",
            Self::LiteralMalformed => "a brace that announces no literal",
            Self::LiteralTooLong => "a literal that is too long",
            Self::Nul => "a NUL outside a literal",
            Self::QuotedUnclosed => "a quoted string without an end",
            Self::TokenTooLong => "a token that is too long",
        })
    }
}

/// Where the octets stop being IMAP, and why. Nothing after it can be read: there is no next token to begin at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed {
    /// Octets since the scanner was made.
    pub at: u64,
    /// What is wrong there.
    pub reason: Reason,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.reason, self.at)
    }
}

impl std::error::Error for Malformed {}
