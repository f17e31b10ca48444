//! The walk over responses and the items of FETCH, token by token.

mod fetch;

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroU32;

use super::rewrite::Piece;
use super::status::{Status, is_condition};
use super::{Attribute, Data, Message, Policy, Reason, Verdict};
use crate::command::{Line, read_number};
use crate::scanner::{Kind, Token};

/// Octets of a response that is kept whole, or of a name.
const LINE_MAX: usize = 1024 * 1024 + 4096;
/// Its lexemes.
const LEXEMES_MAX: usize = 64 * 1024;
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
            // A tag may hold them.
            Kind::BracketOpen | Kind::BracketClose if !self.line.octets().contains(&b' ') => {
                return self.keep(token);
            }
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

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit())
}
