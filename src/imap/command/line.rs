//! One line as lexemes.

use std::ops::Range;

use super::Refusal;
use super::cursor::Cursor;
use crate::scanner::{Kind, Token};

/// Octets of room that a line keeps when it begins again.
const ROOM_KEPT: usize = 4096;

/// The tokens of a line, literals put together. Bounded.
pub(crate) struct Line {
    octets: Vec<u8>,
    lexemes: Vec<Lexeme>,
    octets_max: usize,
    lexemes_max: usize,
}

pub(crate) struct Lexeme {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

impl Line {
    /// Of at most so many octets, literals included, and so many lexemes.
    pub(crate) const fn new(octets_max: usize, lexemes_max: usize) -> Self {
        Self { octets: Vec::new(), lexemes: Vec::new(), octets_max, lexemes_max }
    }

    /// Adds a token.
    ///
    /// # Errors
    /// [`Refusal::TooLong`], when the line would grow out of bounds.
    pub(crate) fn push(&mut self, token: &Token<'_>) -> Result<(), Refusal> {
        let begin = self.octets.len();
        if token.octets.len() > self.room() {
            return Err(Refusal::TooLong);
        }
        self.octets.extend_from_slice(token.octets);
        let end = self.octets.len();
        match token.kind {
            Kind::Chunk { .. } => {
                if let Some(literal) = self.lexemes.last_mut() {
                    literal.at.end = end;
                }
            }
            Kind::Literal(literal) if literal.size > self.room() as u64 => return Err(Refusal::TooLong),
            _ if self.lexemes.len() == self.lexemes_max => return Err(Refusal::TooLong),
            // What is announced follows the announcement.
            Kind::Literal(_) => self.lexemes.push(Lexeme { kind: token.kind, at: end..end }),
            kind => self.lexemes.push(Lexeme { kind, at: begin..end }),
        }
        Ok(())
    }

    fn room(&self) -> usize {
        self.octets_max - self.octets.len()
    }

    pub(crate) fn clear(&mut self) {
        // A password may have been among them; what it was stays in memory no longer than it must.
        self.octets.fill(0);
        self.octets.clear();
        self.octets.shrink_to(ROOM_KEPT);
        self.lexemes.clear();
        self.lexemes.shrink_to(ROOM_KEPT / size_of::<Lexeme>());
    }

    /// All that was pushed.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.octets, &self.lexemes)
    }
}
