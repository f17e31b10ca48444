//! The walk over responses and the items of FETCH, token by token.

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroU32;

use super::rewrite::Piece;
use super::status::{Status, is_condition};
use super::{Attribute, Data, Message, Policy, Reason, Taken, ValueKind, Verdict};
use crate::command::{Item, Line, read_number, unquote};
use crate::scanner::{Kind, Token};

/// Octets of a response that is kept whole, or of a name.
const LINE_MAX: usize = 1024 * 1024 + 4096;
/// Its lexemes.
const LEXEMES_MAX: usize = 64 * 1024;
/// Octets of a list that is handed over whole: an ENVELOPE or a BODYSTRUCTURE, or the frame in its place. A longer one is
/// handed over as it comes.
const HELD_MAX: usize = 256 * 1024;
/// Octets of any list that is taken.
const LIST_MAX: u64 = 64 * 1024 * 1024;
/// Octets after which what goes on goes on.
const FLUSH_AT: usize = 16 * 1024;

/// Where in a response the walk stands, and what it has not handed out yet.
pub(super) struct Walk {
    pub(super) queue: VecDeque<Piece<'static>>,
    state: State,
    /// What goes on next.
    out: Vec<u8>,
    /// The head of a line, a name, or a line that is kept.
    line: Line,
    /// The beginning of a FETCH response, until an item of it goes on.
    opening: Option<Vec<u8>>,
    /// A list that is taken, or an atom.
    value: Vec<u8>,
    /// Octets of the list that were handed over, once it is longer than is kept.
    handed: u64,
    in_brackets: bool,
    message: Message,
    attribute: Attribute,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    Status,
    Data(Option<u32>, Verdict),
    FetchOpen,
    Name,
    /// Within a value, in so many lists of it.
    Value(Verdict, u16),
    /// After a run of octets that may go on.
    Run(Verdict),
    AfterValue,
    FetchEnd,
}

/// What to do with a chunk of a literal.
pub(super) enum Hand {
    /// Nothing.
    Kept,
    /// It goes on.
    On,
    /// It is handed over.
    Over,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            state: State::Head,
            out: Vec::new(),
            line: Line::new(LINE_MAX, LEXEMES_MAX),
            opening: None,
            value: Vec::new(),
            handed: 0,
            in_brackets: false,
            message: Message { number: NonZeroU32::MIN, uid: None },
            attribute: Attribute::Unknown(String::new()),
        }
    }

    /// Whether no response has begun to be handed out: a head is kept until it is known.
    pub(super) fn between(&self) -> bool {
        matches!(self.state, State::Head) && self.queue.is_empty() && self.out.is_empty()
    }

    pub(super) fn kept(&self) -> usize {
        self.out.len() + self.line.octets().len() + self.value.len()
    }

    /// What goes on, goes on now.
    pub(super) fn flush(&mut self) {
        if !self.out.is_empty() {
            self.queue.push_back(Piece::Wire(mem::take(&mut self.out).into()));
        }
    }

    pub(super) fn token(&mut self, token: &Token<'_>, policy: &mut impl Policy) -> Result<Hand, Reason> {
        match self.state {
            State::Head => self.head(token, policy)?,
            State::Status if token.kind == Kind::Line => self.status()?,
            State::Status => self.keep(token)?,
            State::Data(number, verdict) => return self.data(token, number, verdict),
            State::FetchOpen if token.kind == Kind::Open => self.state = State::Name,
            State::Name => self.name(token, policy)?,
            State::Value(verdict, depth) => return self.value(token, verdict, depth),
            State::Run(verdict) => self.run(token, verdict)?,
            State::AfterValue => self.after_value(token)?,
            State::FetchEnd if token.kind == Kind::Line => {
                if self.opening.take().is_none() {
                    self.pass(b")\r\n");
                }
                self.state = State::Head;
            }
            State::FetchOpen | State::FetchEnd => return Err(Reason::FetchMalformed),
        }
        Ok(Hand::Kept)
    }

    fn keep(&mut self, token: &Token<'_>) -> Result<(), Reason> {
        self.line.push(token).map_err(|_| Reason::TooLong)
    }

    fn pass(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
        if self.out.len() >= FLUSH_AT {
            self.flush();
        }
    }
}

/// Heads: which response it is.
impl Walk {
    fn head(&mut self, token: &Token<'_>, policy: &mut impl Policy) -> Result<(), Reason> {
        match token.kind {
            Kind::Atom | Kind::Nil => return self.keep(token),
            Kind::Space | Kind::Line => {}
            _ => return Err(Reason::HeadMalformed),
        }
        let ends = token.kind == Kind::Line;
        let text = std::str::from_utf8(self.line.octets()).map_err(|_| Reason::HeadMalformed)?;
        let words: Vec<_> = text.split(' ').collect();
        let (number, name) = match words[..] {
            ["+"] if ends => return self.status(),
            ["+"] => return self.begin_status(token),
            [.., ""] => return Err(Reason::HeadMalformed),
            [_] if !ends => return self.keep(token),
            [_, condition] if is_condition(condition) && ends => return self.status(),
            [_, condition] if is_condition(condition) => return self.begin_status(token),
            ["*", number] if is_number(number) && ends => return Err(Reason::HeadMalformed),
            ["*", number] if is_number(number) => return self.keep(token),
            ["*", number, name] => (Some(read_number(number).ok_or(Reason::HeadMalformed)?), name),
            ["*", name] => (None, name),
            _ => return Err(Reason::HeadMalformed),
        };
        let name = name.to_ascii_uppercase();
        if let (Some(number), "FETCH") = (number, name.as_str()) {
            let number = NonZeroU32::new(number).ok_or(Reason::HeadMalformed)?;
            return self.begin_fetch(number, ends);
        }
        let verdict = policy.data(number, &name);
        self.state = State::Data(number, verdict);
        if verdict != Verdict::Take {
            if verdict == Verdict::Pass {
                self.out.extend_from_slice(self.line.octets());
            }
            self.line.clear();
        }
        self.data(token, number, verdict).map(|_| ())
    }

    fn begin_status(&mut self, space: &Token<'_>) -> Result<(), Reason> {
        self.state = State::Status;
        self.keep(space)
    }

    fn status(&mut self) -> Result<(), Reason> {
        self.flush();
        let octets = self.line.octets();
        let piece = match octets.strip_prefix(b"+") {
            Some(text) => Piece::Continuation(text.strip_prefix(b" ").unwrap_or(text).to_vec()),
            None => Piece::Status(Status::read(octets).ok_or(Reason::HeadMalformed)?),
        };
        self.queue.push_back(piece);
        self.line.clear();
        self.state = State::Head;
        Ok(())
    }

    fn data(&mut self, token: &Token<'_>, number: Option<u32>, verdict: Verdict) -> Result<Hand, Reason> {
        if token.kind == Kind::Line {
            self.state = State::Head;
        }
        match (verdict, token.kind) {
            (Verdict::Drop, _) => {}
            (Verdict::Pass, Kind::Chunk { .. }) => return Ok(Hand::On),
            (Verdict::Pass, kind) => {
                self.pass(token.octets);
                if matches!(kind, Kind::Literal(_)) {
                    self.flush();
                }
            }
            (Verdict::Take, Kind::Line) => {
                self.flush();
                let line = mem::replace(&mut self.line, Line::new(LINE_MAX, LEXEMES_MAX));
                self.queue.push_back(Piece::Data(Data::new(number, line)));
            }
            (Verdict::Take, _) => self.keep(token)?,
        }
        Ok(Hand::Kept)
    }
}

/// FETCH: its items.
impl Walk {
    fn begin_fetch(&mut self, number: NonZeroU32, ends: bool) -> Result<(), Reason> {
        if ends {
            return Err(Reason::FetchMalformed);
        }
        self.message = Message { number, uid: None };
        self.opening = Some(format!("* {number} FETCH (").into_bytes());
        self.line.clear();
        self.state = State::FetchOpen;
        Ok(())
    }

    fn name(&mut self, token: &Token<'_>, policy: &mut impl Policy) -> Result<(), Reason> {
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

    fn value(&mut self, token: &Token<'_>, verdict: Verdict, depth: u16) -> Result<Hand, Reason> {
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

    fn run(&mut self, token: &Token<'_>, verdict: Verdict) -> Result<(), Reason> {
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

    fn after_value(&mut self, token: &Token<'_>) -> Result<(), Reason> {
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

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit())
}
