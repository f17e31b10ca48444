//! FETCH responses: their items, of which each passes, is dropped or is taken.

use std::mem;
use std::num::NonZeroU32;

use super::{FLUSH_AT, Hand, State, Walk};
use crate::command::{Item, read_number, unquote};
use crate::response::rewrite::Piece;
use crate::response::{Attribute, Message, Policy, Reason, Taken, ValueKind, Verdict};
use crate::scanner::{Kind, Token};

impl Walk {
    pub(super) fn begin_fetch(&mut self, number: NonZeroU32, ends: bool) -> Result<(), Reason> {
        if ends {
            return Err(Reason::FetchMalformed);
        }
        self.message = Message { number, uid: None };
        self.opening = Some([self.line.octets(), b" ("].concat());
        self.line.clear();
        self.state = State::FetchOpen;
        Ok(())
    }

    pub(super) fn name(&mut self, token: &Token<'_>, policy: &mut impl Policy) -> Result<(), Reason> {
        match token.kind {
            Kind::Space if !self.in_brackets => {}
            Kind::BracketOpen => {
                self.in_brackets = true;
                return self.keep(token);
            }
            Kind::BracketClose => {
                self.in_brackets = false;
                return self.keep(token);
            }
            Kind::Atom | Kind::Nil => return self.keep(token),
            Kind::Space | Kind::Open | Kind::Close | Kind::Quoted if self.in_brackets => {
                return self.keep(token);
            }
            _ => return Err(Reason::FetchMalformed),
        }
        self.attribute = self.read_attribute()?;
        let verdict = policy.item(&self.message, &self.attribute);
        if verdict != Verdict::Drop {
            let separator = self.opening.take().unwrap_or_else(|| b" ".to_vec());
            self.pass(&separator);
        }
        if verdict == Verdict::Pass {
            self.out.extend_from_slice(self.line.octets());
            self.pass(b" ");
        }
        self.line.clear();
        self.state = State::Value(verdict, 0);
        Ok(())
    }

    fn read_attribute(&self) -> Result<Attribute, Reason> {
        let mut cursor = self.line.cursor();
        match Item::read(&mut cursor) {
            Ok((item, origin)) if cursor.is_at_end() => Ok(Attribute::Known(item, origin)),
            _ if self.line.octets().is_empty() => Err(Reason::FetchMalformed),
            _ => Ok(Attribute::Unknown(String::from_utf8_lossy(self.line.octets()).to_ascii_uppercase())),
        }
    }

    pub(super) fn value(&mut self, token: &Token<'_>, verdict: Verdict, depth: u16) -> Result<Hand, Reason> {
        let (depth, ends) = match token.kind {
            Kind::Open => (depth + 1, false),
            Kind::Close => (depth.checked_sub(1).ok_or(Reason::FetchMalformed)?, depth == 1),
            Kind::Nil | Kind::Quoted | Kind::Chunk { left: 0 } => (depth, depth == 0),
            Kind::Space if depth == 0 => return Err(Reason::FetchMalformed),
            Kind::Line | Kind::Text => return Err(Reason::FetchMalformed),
            _ => (depth, false),
        };
        self.state = match token.kind {
            Kind::Atom | Kind::BracketOpen | Kind::BracketClose if depth == 0 => {
                self.read_uid(token.octets)?;
                State::Run(verdict)
            }
            _ if ends => State::AfterValue,
            _ => State::Value(verdict, depth),
        };
        let lone = depth == 0 && (!ends || token.kind != Kind::Close);
        match (verdict, token.kind) {
            (Verdict::Drop, _) => Ok(Hand::Kept),
            (Verdict::Pass, Kind::Chunk { .. }) => Ok(Hand::On),
            (Verdict::Pass, kind) => {
                self.pass(token.octets);
                if matches!(kind, Kind::Literal(_)) {
                    self.flush();
                }
                Ok(Hand::Kept)
            }
            (Verdict::Take, kind) if lone => Ok(self.take(kind, token.octets)),
            (Verdict::Take, _) => {
                self.list(token.octets, ends)?;
                Ok(Hand::Kept)
            }
        }
    }

    /// Takes a value that is no list.
    fn take(&mut self, kind: Kind, octets: &[u8]) -> Hand {
        match kind {
            Kind::Nil => self.take_value(ValueKind::Nil),
            Kind::Quoted => {
                self.value = unquote(octets).into_owned();
                self.take_value(ValueKind::Quoted);
            }
            Kind::Literal(literal) => {
                let kind = if literal.binary { ValueKind::Literal8 } else { ValueKind::Literal };
                self.begin_take(kind, Some(literal.size));
            }
            Kind::Chunk { left } => {
                if left == 0 {
                    // It follows the octets, which the caller hands over first.
                    self.queue.push_back(Piece::Taken);
                }
                return Hand::Over;
            }
            _ => self.value.extend_from_slice(octets),
        }
        Hand::Kept
    }

    fn begin_take(&mut self, kind: ValueKind, size: Option<u64>) {
        self.flush();
        let attribute = self.attribute.clone();
        self.queue.push_back(Piece::Take(Taken { message: self.message, attribute, kind, size }));
    }

    /// More of a list.
    fn list(&mut self, octets: &[u8], ends: bool) -> Result<(), Reason> {
        self.value.extend_from_slice(octets);
        if self.handed + self.value.len() as u64 > LIST_MAX {
            return Err(Reason::TooLong);
        }
        if self.handed == 0 && self.value.len() <= HELD_MAX {
            if ends {
                self.take_value(ValueKind::List);
            }
            return Ok(());
        }
        if self.handed == 0 {
            self.begin_take(ValueKind::List, None);
        }
        if ends || self.value.len() >= FLUSH_AT {
            self.handed += self.value.len() as u64;
            self.queue.push_back(Piece::Octets(mem::take(&mut self.value).into()));
        }
        if ends {
            self.queue.push_back(Piece::Taken);
            self.handed = 0;
        }
        Ok(())
    }

    /// Takes the value that was kept.
    fn take_value(&mut self, kind: ValueKind) {
        let value = mem::take(&mut self.value);
        self.begin_take(kind, Some(value.len() as u64));
        if !value.is_empty() {
            self.queue.push_back(Piece::Octets(value.into()));
        }
        self.queue.push_back(Piece::Taken);
    }

    pub(super) fn run(&mut self, token: &Token<'_>, verdict: Verdict) -> Result<(), Reason> {
        match token.kind {
            Kind::Space | Kind::Close => {
                if verdict == Verdict::Take {
                    self.take_value(ValueKind::Atom);
                }
                self.after_value(token)
            }
            Kind::Atom | Kind::Nil | Kind::BracketOpen | Kind::BracketClose => {
                match verdict {
                    Verdict::Pass => self.pass(token.octets),
                    Verdict::Take if self.value.len() + token.octets.len() > HELD_MAX => {
                        return Err(Reason::TooLong);
                    }
                    Verdict::Take => self.value.extend_from_slice(token.octets),
                    Verdict::Drop => {}
                }
                Ok(())
            }
            _ => Err(Reason::FetchMalformed),
        }
    }

    pub(super) fn after_value(&mut self, token: &Token<'_>) -> Result<(), Reason> {
        self.state = match token.kind {
            Kind::Space => State::Name,
            Kind::Close => State::FetchEnd,
            _ => return Err(Reason::FetchMalformed),
        };
        Ok(())
    }

    fn read_uid(&mut self, octets: &[u8]) -> Result<(), Reason> {
        if self.attribute == Attribute::Known(Item::Uid, None) {
            let uid = std::str::from_utf8(octets).ok().and_then(read_number);
            self.message.uid = Some(uid.ok_or(Reason::UidMalformed)?);
        }
        Ok(())
    }
}

/// Octets of a list that is handed over whole: an ENVELOPE or a BODYSTRUCTURE, or the frame in its place. A longer one is
/// handed over as it comes.
const HELD_MAX: usize = 256 * 1024;
/// Octets of any list that is taken.
const LIST_MAX: u64 = 64 * 1024 * 1024;
