//! Tokens of IMAP's wire, in both directions (RFC 3501 section 9, RFC 3516, RFC 7888).
//!
//! Octets come in pieces that end anywhere; tokens come out, the same ones wherever the pieces ended. What the tokens
//! hold, put together, is what came in: whoever passes them on passes on every octet. A literal is announced and then
//! handed through as it comes. Everything else is kept until it is whole, up to a limit.
//!
//! ```text
//!   * 1 FETCH (UID 7 BODY[] {5}⏎hello)⏎       Atom Space Atom Space Atom Space Open Atom Space Atom Space Atom
//!                                             BracketOpen BracketClose Space Literal Chunk Close Line
//!   a1 OK [READ-ONLY] It's "done⏎             Atom Space Atom Space Text Line
//! ```
//! The text of a status response is no sequence of tokens: in a server's octets it is one, [`Kind::Text`].

mod token;

use std::fmt;
use std::mem;

use memchr::{memchr, memchr3};

pub use token::{Kind, Limits, Literal, Malformed, Reason, Side, Token};

/// Finds the tokens of one direction of one connection.
pub struct Scanner {
    side: Side,
    limits: Limits,
    head: Head,
    depth: u16,
    /// Octets of the present literal that are still to come.
    literal: Option<u64>,
    /// The beginning of a token whose end has not come yet.
    carry: Vec<u8>,
    /// What that token is, once its beginning says so.
    class: Option<Class>,
    /// In a quoted string, whether a backslash was the last octet.
    escaped: bool,
    /// Whether the carry was handed out as a token.
    given: bool,
    position: u64,
    failed: Option<Malformed>,
}

/// How far a line has come: whether free text may follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Head {
    Tag,
    Name,
    BeforeText,
    Text,
    Data,
}

/// What a token's beginning says about its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Announcement,
    Atom,
    End,
    Quoted,
    Single,
    Text,
}

impl Scanner {
    /// At the beginning of a line.
    #[must_use]
    pub fn new(side: Side, limits: Limits) -> Self {
        Self {
            side,
            limits,
            head: first(side),
            depth: 0,
            literal: None,
            carry: Vec::new(),
            class: None,
            escaped: false,
            given: false,
            position: 0,
            failed: None,
        }
    }

    /// The next token, taken from the input; `None` when more input is needed, and all of this was taken.
    ///
    /// # Errors
    /// [`Malformed`], and the same from then on.
    pub fn next<'t, 'i: 't>(&'t mut self, input: &mut &'i [u8]) -> Result<Option<Token<'t>>, Malformed> {
        if mem::take(&mut self.given) {
            self.carry.clear();
            self.carry.shrink_to(CARRY_KEPT);
        }
        let found = self.failed.map_or_else(|| self.find(input), Err);
        let Some((kind, taken)) = found.inspect_err(|malformed| self.failed = Some(*malformed))? else {
            self.carry.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        };
        let (mut octets, rest): (&[u8], _) = input.split_at(taken);
        *input = rest;
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(octets);
            self.given = true;
            octets = &self.carry;
        }
        let at = self.position;
        self.position += octets.len() as u64;
        Ok(Some(Token { kind, octets, at }))
    }

    /// Where the next token begins: octets since the scanner was made.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Octets that are kept because their token is not whole.
    #[must_use]
    pub fn kept(&self) -> usize {
        if self.given { 0 } else { self.carry.len() }
    }

    /// Forgets the literal that was announced last: a client whose literal was refused does not send it, and begins
    /// another line.
    pub const fn refuse_literal(&mut self) {
        self.literal = None;
        self.depth = 0;
        self.head = first(self.side);
    }

    /// The next token's kind, and how many octets of the input belong to it.
    fn find(&mut self, input: &[u8]) -> Result<Option<(Kind, usize)>, Malformed> {
        if let Some(left) = self.literal {
            return Ok(self.chunk(left, input.len()));
        }
        let Some(class) = self.classify(input)? else { return Ok(None) };
        self.class = Some(class);
        // One octet more than a token may have, so that what is refused does not depend on where the pieces end.
        let room = input.len().min(self.limits.token + 1 - self.carry.len());
        let taken = self.extent(class, &input[..room])?;
        if self.carry.len() + taken.unwrap_or(room) > self.limits.token {
            return Err(self.malformed_at(self.limits.token, Reason::TokenTooLong));
        }
        let Some(taken) = taken else { return Ok(None) };
        let kind = self.kind(class, &input[..taken])?;
        self.class = None;
        self.follow(kind, &input[..taken])?;
        Ok(Some((kind, taken)))
    }

    fn chunk(&mut self, left: u64, available: usize) -> Option<(Kind, usize)> {
        if left > 0 && available == 0 {
            return None;
        }
        let taken = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - taken as u64;
        self.literal = (left > 0).then_some(left);
        Some((Kind::Chunk { left }, taken))
    }

    /// What the token is, by its first octets; `None` when they do not say so yet.
    fn classify(&self, input: &[u8]) -> Result<Option<Class>, Malformed> {
        if self.class.is_some() {
            return Ok(self.class);
        }
        let (first, second) = match self.carry.first() {
            None => (input.first(), input.get(1)),
            carried => (carried, input.first()),
        };
        let Some(&first) = first else { return Ok(None) };
        let class = match first {
            b'\r' => Class::End,
            b'\n' => return Err(self.malformed(0, Reason::BareLf)),
            0 => return Err(self.malformed(0, Reason::Nul)),
            b' ' if self.head != Head::Text => Class::Single,
            _ if matches!(self.head, Head::BeforeText | Head::Text) => Class::Text,
            b'(' | b')' | b'[' | b']' => Class::Single,
            b'"' => Class::Quoted,
            b'{' => Class::Announcement,
            b'~' => match second {
                None => return Ok(None),
                Some(b'{') => Class::Announcement,
                Some(_) => Class::Atom,
            },
            _ => Class::Atom,
        };
        Ok(Some(class))
    }

    /// How many octets of the input belong to the token; `None` when it does not end in them.
    fn extent(&mut self, class: Class, input: &[u8]) -> Result<Option<usize>, Malformed> {
        match class {
            Class::Single => Ok(Some(1)),
            Class::Atom => Ok(input.iter().position(|octet| ENDS_ATOM[usize::from(*octet)])),
            Class::Quoted => self.quoted(input),
            Class::Text => match memchr3(b'\r', b'\n', 0, input) {
                Some(at) if input[at] == b'\n' => Err(self.malformed(at, Reason::BareLf)),
                Some(at) if input[at] == 0 => Err(self.malformed(at, Reason::Nul)),
                end => Ok(end),
            },
            Class::End => match self.carry.iter().chain(input).nth(1) {
                None => Ok(None),
                Some(b'\n') => Ok(Some(2 - self.carry.len())),
                Some(_) => Err(self.malformed_at(0, Reason::BareCr)),
            },
            Class::Announcement => match memchr(b'\n', input) {
                Some(at) if self.carry.len() + at < ANNOUNCEMENT_MAX => Ok(Some(at + 1)),
                None if self.carry.len() + input.len() < ANNOUNCEMENT_MAX => Ok(None),
                _ => Err(self.malformed_at(0, Reason::LiteralMalformed)),
            },
        }
    }

    fn quoted(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let opening = usize::from(self.carry.is_empty());
        let mut escaped = mem::take(&mut self.escaped);
        for (at, octet) in input.iter().enumerate().skip(opening) {
            match octet {
                b'\r' => return Err(self.malformed(at, Reason::QuotedUnclosed)),
                b'\n' => return Err(self.malformed(at, Reason::BareLf)),
                0 => return Err(self.malformed(at, Reason::Nul)),
                b'"' | b'\\' if escaped => escaped = false,
                _ if escaped => return Err(self.malformed(at, Reason::EscapeUnknown)),
                b'"' => return Ok(Some(at + 1)),
                b'\\' => escaped = true,
                _ => {}
            }
        }
        self.escaped = escaped;
        Ok(None)
    }

    /// What the whole token is; `end` is what the carry lacks of it.
    fn kind(&self, class: Class, end: &[u8]) -> Result<Kind, Malformed> {
        match class {
            Class::Single => Ok(match end.first() {
                Some(b'(') => Kind::Open,
                Some(b')') => Kind::Close,
                Some(b'[') => Kind::BracketOpen,
                Some(b']') => Kind::BracketClose,
                _ => Kind::Space,
            }),
            Class::Quoted => Ok(Kind::Quoted),
            Class::Text => Ok(Kind::Text),
            Class::End => Ok(Kind::Line),
            Class::Atom if self.is(end, &[b"NIL"]) => Ok(Kind::Nil),
            Class::Atom => Ok(Kind::Atom),
            Class::Announcement => {
                let whole: Vec<u8> = self.carry.iter().chain(end).copied().collect();
                let literal = read_announcement(&whole)
                    .ok_or_else(|| self.malformed_at(0, Reason::LiteralMalformed))?;
                if literal.size > self.limits.literal {
                    return Err(self.malformed_at(0, Reason::LiteralTooLong));
                }
                Ok(Kind::Literal(literal))
            }
        }
    }

    /// What the token means for those that follow.
    fn follow(&mut self, kind: Kind, end: &[u8]) -> Result<(), Malformed> {
        match kind {
            Kind::Literal(literal) => self.literal = Some(literal.size),
            Kind::Open if self.depth == self.limits.depth => {
                return Err(self.malformed(0, Reason::ListTooDeep));
            }
            Kind::Open => self.depth += 1,
            Kind::Close => {
                self.depth =
                    self.depth.checked_sub(1).ok_or_else(|| self.malformed(0, Reason::ListUnopened))?;
            }
            Kind::Line if self.depth > 0 => return Err(self.malformed_at(0, Reason::ListUnclosed)),
            _ => {}
        }
        self.head = match (self.head, kind) {
            (_, Kind::Line) => first(self.side),
            (Head::Tag, Kind::Atom | Kind::Nil) if self.is(end, &[b"+"]) => Head::BeforeText,
            // A tag may hold brackets, and so be several tokens.
            (Head::Tag, Kind::Atom | Kind::Nil | Kind::BracketOpen | Kind::BracketClose) => Head::Tag,
            (Head::Tag | Head::Name, Kind::Space) => Head::Name,
            (Head::Name, Kind::Atom) if self.is(end, &STATUSES) => Head::BeforeText,
            (Head::BeforeText | Head::Text, _) => Head::Text,
            _ => Head::Data,
        };
        Ok(())
    }

    /// Whether the token is one of these words, in any case.
    fn is(&self, end: &[u8], words: &[&[u8]]) -> bool {
        let (carried, len) = (self.carry.len(), self.carry.len() + end.len());
        words.iter().any(|word| {
            word.len() == len
                && self.carry.eq_ignore_ascii_case(&word[..carried])
                && end.eq_ignore_ascii_case(&word[carried..])
        })
    }

    /// At an octet of the input.
    fn malformed(&self, at: usize, reason: Reason) -> Malformed {
        self.malformed_at(self.carry.len() + at, reason)
    }

    /// At an octet of the token.
    fn malformed_at(&self, at: usize, reason: Reason) -> Malformed {
        Malformed { at: self.position + at as u64, reason }
    }
}

impl fmt::Debug for Scanner {
    /// Where it stands; what it keeps is somebody's mail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("side", &self.side)
            .field("position", &self.position)
            .field("kept", &self.kept())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// `{n}`, `{n+}` or `~{n}` with the end of the line, as [`Kind::Literal`] has it.
fn read_announcement(octets: &[u8]) -> Option<Literal> {
    let inner = octets.strip_suffix(b"}\r\n")?;
    let (binary, inner) = inner.strip_prefix(b"~").map_or((false, inner), |inner| (true, inner));
    let inner = inner.strip_prefix(b"{")?;
    let (plus, digits) = inner.strip_suffix(b"+").map_or((false, inner), |digits| (true, digits));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Literal { size, plus, binary })
}

const fn first(side: Side) -> Head {
    match side {
        Side::Client => Head::Data,
        Side::Server => Head::Tag,
    }
}

/// After these words a server's line is text.
const STATUSES: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
/// Octets of the longest announcement: a tilde, braces, twenty digits, a plus, the end of the line.
const ANNOUNCEMENT_MAX: usize = 26;
/// Octets of room that a scanner keeps between tokens.
const CARRY_KEPT: usize = 4096;

/// The octets that no atom holds.
const ENDS_ATOM: [bool; 256] = {
    let mut ends = [false; 256];
    let octets = b" ()[]\"{\r\n\0";
    let mut at = 0;
    while at < octets.len() {
        ends[octets[at] as usize] = true;
        at += 1;
    }
    ends
};

#[cfg(test)]
mod tests;
