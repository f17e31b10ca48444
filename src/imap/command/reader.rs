//! A client's octets as commands.

use std::fmt;

use super::cursor::Cursor;
use super::line::Line;
use super::parse::{read_body, read_mailbox, read_message, read_tag};
use super::{Command, DateTime, Flag, Literals, Password, Refusal, Tag, write};
use crate::mailbox::Mailbox;
use crate::scanner::{Kind, Limits, Literal, Malformed, Scanner, Side};

/// Octets of a command, literals within it included.
const OCTETS_MAX: usize = 64 * 1024;
/// Lexemes of a command.
const LEXEMES_MAX: usize = 8192;

/// Reads the commands of one connection. A command is kept until it is whole, up to 64 KiB; the messages of an APPEND
/// are handed through.
///
/// ```text
///   a SELECT x⏎                 Command
///   a LOGIN {3}⏎                Continue            "+ " is to be sent, or nothing more comes
///   ann {3+}⏎pwd⏎               Command
///   a APPEND x (\Seen) {9}⏎     Append              "+ " is to be sent, or Reader::decline
///   message⏎                    Octets              until nothing is left
///   ⏎                           Appended            or a space, and another Append
///   a FROB x⏎                   Refused             the whole command is gone; the next one follows
/// ```
pub struct Reader {
    scanner: Scanner,
    line: Line,
    mode: Mode,
    append: Option<(Tag, Mailbox)>,
}

/// What came.
#[derive(Debug, Eq, PartialEq)]
pub enum Event<'i> {
    /// A literal was announced that the client keeps until it is asked for it.
    Continue,
    /// A command.
    Command(Command),
    /// Something else, with its tag if it had one. In the midst of an APPEND: its messages so far were not all.
    Refused(Option<Tag>, Refusal),
    /// A message is to be appended. Unless its literal has a plus, the client waits for a continuation.
    Append(Append),
    /// Octets of that message.
    Octets {
        /// Some of them.
        octets: &'i [u8],
        /// How many follow.
        left: u64,
    },
    /// The APPEND is whole.
    Appended,
    /// The line that [`Reader::expect_raw`] was told of, without its end.
    Raw(Password),
}

/// What precedes a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// The command's tag.
    pub tag: Tag,
    /// Where to.
    pub mailbox: Mailbox,
    /// Whether it is the command's first message (MULTIAPPEND has more).
    pub first: bool,
    /// The message's flags.
    pub flags: Vec<Flag>,
    /// When it came.
    pub date: Option<DateTime>,
    /// How its octets come.
    pub literal: Literal,
}

/// A client's octets that are no IMAP, and the tag of the command they stand in. Nothing can be read after them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The command's.
    pub tag: Option<Tag>,
    /// What is wrong, and where.
    pub malformed: Malformed,
}

#[derive(Clone, Copy)]
enum Mode {
    /// Within a command.
    Line,
    /// Within a message.
    Message,
    /// After a message.
    AfterMessage,
    /// Within a line that is no command.
    Raw,
    /// To the end of what was refused. `None` is told to nobody: the caller knows.
    Discard(Option<Refusal>),
}

impl Reader {
    /// At the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            scanner: Scanner::new(Side::Client, limits),
            line: Line::new(OCTETS_MAX, LEXEMES_MAX),
            mode: Mode::Line,
            append: None,
        }
    }

    /// The next event, taken from the input; `None` when more input is needed, and all of this was taken.
    ///
    /// # Errors
    /// [`Broken`]: the connection is to be closed.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, Broken> {
        loop {
            let before = *input;
            let token = match self.scanner.next(input) {
                Ok(Some(token)) => token,
                Ok(None) => return Ok(None),
                Err(malformed) => return Err(Broken { tag: self.tag(), malformed }),
            };
            let kind = token.kind;
            if let (Mode::Message, Kind::Chunk { left }) = (self.mode, kind) {
                if left == 0 {
                    self.mode = Mode::AfterMessage;
                }
                let octets = &before[..before.len() - input.len()];
                return Ok(Some(Event::Octets { octets, left }));
            }
            let message = match kind {
                Kind::Literal(literal) => message(self.mode, &self.line, self.append.as_ref(), literal),
                _ => Ok(None),
            };
            let pushed = match (self.mode, kind, &message) {
                (Mode::Discard(_), ..) | (_, Kind::Line, _) | (_, _, Ok(Some(_))) => Ok(()),
                (_, _, Err(refusal)) => Err(*refusal),
                (_, _, Ok(None)) => self.line.push(&token),
            };
            let event = match (self.mode, pushed, kind, message) {
                (Mode::Discard(refusal), ..) => self.discarded(kind, refusal),
                (_, Err(refusal), ..) => self.discard(kind, refusal),
                (.., Ok(Some(append))) => Some(self.announced(append)),
                (_, _, Kind::Literal(literal), _) => (!literal.plus).then_some(Event::Continue),
                (_, _, Kind::Line, _) => Some(self.ended()),
                _ => None,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// The next line is no command: the answer to a challenge of AUTHENTICATE, or the DONE of an IDLE.
    pub const fn expect_raw(&mut self) {
        self.mode = Mode::Raw;
    }

    /// The message announced last is not taken. What the client sends of its command is thrown away.
    pub fn decline(&mut self, append: &Append) {
        self.mode = Mode::Discard(None);
        if !append.literal.plus {
            self.scanner.refuse_literal();
            self.restart();
        }
    }

    /// Octets kept for what is not whole yet.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.scanner.kept() + self.line.octets().len()
    }

    fn tag(&self) -> Option<Tag> {
        let append = self.append.as_ref().map(|(tag, _)| tag.clone());
        append.or_else(|| read_tag(&mut self.line.cursor()).ok())
    }

    fn restart(&mut self) {
        self.line.clear();
        self.append = None;
        self.mode = Mode::Line;
    }

    fn announced<'i>(&mut self, append: Append) -> Event<'i> {
        self.append = Some((append.tag.clone(), append.mailbox.clone()));
        self.line.clear();
        self.mode = Mode::Message;
        Event::Append(append)
    }

    fn ended<'i>(&mut self) -> Event<'i> {
        let tag = self.tag();
        let event = match self.mode {
            Mode::Raw => Event::Raw(Password::new(self.line.octets().to_vec())),
            Mode::AfterMessage if self.line.octets().is_empty() => Event::Appended,
            Mode::AfterMessage => Event::Refused(tag, Refusal::ArgumentSuperfluous),
            _ => match read_command(&mut self.line.cursor()) {
                Ok(command) => Event::Command(command),
                Err(refusal) => Event::Refused(tag, refusal),
            },
        };
        self.restart();
        event
    }

    /// Begins to throw away.
    fn discard<'i>(&mut self, kind: Kind, refusal: Refusal) -> Option<Event<'i>> {
        self.mode = Mode::Discard(Some(refusal));
        self.discarded(kind, Some(refusal))
    }

    /// Throws away. A client that waits for a continuation is told at once, the others at the end of the command.
    fn discarded<'i>(&mut self, kind: Kind, refusal: Option<Refusal>) -> Option<Event<'i>> {
        match kind {
            Kind::Literal(literal) if !literal.plus => self.scanner.refuse_literal(),
            Kind::Line => {}
            _ => return None,
        }
        let tag = self.tag();
        self.restart();
        refusal.map(|refusal| Event::Refused(tag, refusal))
    }
}

impl Append {
    /// The octets that precede the message, in segments; `size` and `binary` are of what is sent, which need not be
    /// what came. After each segment but the last, the sender waits for a continuation; after the last too, where
    /// [`Literals::waits`]. The last message is followed by CR LF.
    #[must_use]
    pub fn write(&self, size: u64, binary: bool, literals: Literals) -> Vec<Vec<u8>> {
        write::append(self, size, binary, literals)
    }
}

fn read_command(cursor: &mut Cursor<'_>) -> Result<Command, Refusal> {
    let tag = read_tag(cursor)?;
    Ok(Command { tag, body: read_body(cursor)? })
}

/// Whether what is announced is a message, and which.
fn message(
    mode: Mode,
    line: &Line,
    append: Option<&(Tag, Mailbox)>,
    literal: Literal,
) -> Result<Option<Append>, Refusal> {
    let cursor = line.cursor();
    match (mode, append) {
        (Mode::AfterMessage, Some((tag, mailbox))) => {
            read_append(cursor, literal, tag.clone(), mailbox.clone(), false).map(Some)
        }
        (Mode::Raw, _) => Err(Refusal::LiteralMisplaced),
        (Mode::Line, _) => first_message(cursor, literal),
        _ => Ok(None),
    }
}

/// Of an APPEND, the literal after the mailbox is a message. The mailbox may be one too, and is not.
fn first_message(mut cursor: Cursor<'_>, literal: Literal) -> Result<Option<Append>, Refusal> {
    let tag = read_tag(&mut cursor)?;
    cursor.space()?;
    if cursor.keyword()? != "APPEND" {
        return Ok(None);
    }
    let mut ahead = cursor.clone();
    if ahead.eat(Kind::Space) && ahead.is_at_end() {
        return Ok(None);
    }
    cursor.space()?;
    let mailbox = read_mailbox(&mut cursor)?;
    read_append(cursor, literal, tag, mailbox, true).map(Some)
}

fn read_append(
    mut cursor: Cursor<'_>,
    literal: Literal,
    tag: Tag,
    mailbox: Mailbox,
    first: bool,
) -> Result<Append, Refusal> {
    cursor.space()?;
    let (flags, date) = read_message(&mut cursor)?;
    cursor.end()?;
    Ok(Append { tag, mailbox, first, flags, date, literal })
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.malformed.fmt(f)
    }
}

impl std::error::Error for Broken {}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("scanner", &self.scanner).finish_non_exhaustive()
    }
}
