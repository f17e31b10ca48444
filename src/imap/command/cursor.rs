//! Reads a line from left to right.

use std::borrow::Cow;
use std::str::FromStr;

use super::Refusal;
use super::line::Lexeme;
use crate::scanner::Kind;

/// Reads a line.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    octets: &'a [u8],
    rest: &'a [Lexeme],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(octets: &'a [u8], rest: &'a [Lexeme]) -> Self {
        Self { octets, rest }
    }

    pub(crate) fn peek(&self) -> Option<Kind> {
        self.rest.first().map(|lexeme| lexeme.kind)
    }

    fn take(&mut self) -> Option<(Kind, &'a [u8])> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some((first.kind, &self.octets[first.at.clone()]))
    }

    /// Whether the next lexeme is this one; if so, it is taken.
    pub(crate) fn eat(&mut self, kind: Kind) -> bool {
        let found = self.peek() == Some(kind);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    pub(crate) fn expect(&mut self, kind: Kind) -> Result<(), Refusal> {
        if self.eat(kind) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(crate) fn space(&mut self) -> Result<(), Refusal> {
        self.expect(Kind::Space)
    }

    /// That nothing is left.
    pub(crate) fn end(&self) -> Result<(), Refusal> {
        if self.rest.is_empty() { Ok(()) } else { Err(Refusal::ArgumentSuperfluous) }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn unexpected(&self) -> Refusal {
        if self.rest.is_empty() { Refusal::ArgumentMissing } else { Refusal::ArgumentMalformed }
    }

    /// One run of octets as the scanner found it: a number, a set, a keyword.
    pub(crate) fn run(&mut self) -> Result<&'a str, Refusal> {
        let unexpected = self.unexpected();
        match self.take() {
            Some((Kind::Atom | Kind::Nil, octets)) if octets.is_ascii() => {
                std::str::from_utf8(octets).map_err(|_| unexpected)
            }
            _ => Err(unexpected),
        }
    }

    /// A keyword in upper case.
    pub(crate) fn keyword(&mut self) -> Result<String, Refusal> {
        self.run().map(str::to_ascii_uppercase)
    }

    /// An atom.
    pub(crate) fn atom(&mut self) -> Result<&'a str, Refusal> {
        let word = self.word()?;
        if word.iter().copied().all(is_atom_char) {
            std::str::from_utf8(word).map_err(|_| Refusal::ArgumentMalformed)
        } else {
            Err(Refusal::ArgumentMalformed)
        }
    }

    pub(crate) fn number<N: FromStr>(&mut self) -> Result<N, Refusal> {
        read_number(self.run()?).ok_or(Refusal::NumberMalformed)
    }

    /// All that stands without a space or a parenthesis between.
    pub(crate) fn word(&mut self) -> Result<&'a [u8], Refusal> {
        let joins = |lexeme: &&Lexeme| {
            matches!(lexeme.kind, Kind::Atom | Kind::Nil | Kind::BracketOpen | Kind::BracketClose)
        };
        let count = self.rest.iter().take_while(joins).count();
        let (word, rest) = self.rest.split_at(count);
        let (Some(first), Some(last)) = (word.first(), word.last()) else { return Err(self.unexpected()) };
        self.rest = rest;
        Ok(&self.octets[first.at.start..last.at.end])
    }

    /// A quoted string or a literal, without NUL.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, Refusal> {
        let unexpected = self.unexpected();
        match self.take() {
            Some((Kind::Quoted, octets)) => Ok(unquote(octets)),
            Some((Kind::Literal(literal), octets)) if !literal.binary && !octets.contains(&0) => {
                Ok(Cow::Borrowed(octets))
            }
            _ => Err(unexpected),
        }
    }

    /// A string, or what needs no quotes.
    pub(crate) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Refusal> {
        match self.peek() {
            Some(Kind::Quoted | Kind::Literal(_)) => self.string(),
            _ => {
                let word = self.word()?;
                if word.iter().copied().all(is_astring_char) {
                    Ok(Cow::Borrowed(word))
                } else {
                    Err(Refusal::ArgumentMalformed)
                }
            }
        }
    }

    /// A string or `NIL`.
    pub(crate) fn nstring(&mut self) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        if self.eat(Kind::Nil) { Ok(None) } else { self.string().map(Some) }
    }

    /// What stands in parentheses, one space between.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        self.expect(Kind::Open)?;
        let mut items = Vec::new();
        if self.eat(Kind::Close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(Kind::Close) {
                return Ok(items);
            }
            self.space()?;
        }
    }
}

/// Digits alone.
pub(crate) fn read_number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The octets of a quoted string without its quotes and escapes.
pub(crate) fn unquote(quoted: &[u8]) -> Cow<'_, [u8]> {
    let inner = quoted.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(quoted);
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut octets = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for octet in inner {
        escaped = *octet == b'\\' && !escaped;
        if !escaped {
            octets.push(*octet);
        }
    }
    Cow::Owned(octets)
}

/// RFC 3501's ATOM-CHAR.
pub(crate) fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

/// RFC 3501's ASTRING-CHAR.
pub(crate) fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}
