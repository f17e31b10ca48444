//! An APPEND: its messages come as a client's frames, and are held until all of them have opened. Only then does the mail
//! server hear of them.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read as _, Write as _};

use sidekey_client::spool::{Spool, Spooled};
use sidekey_imap::command::{Append, Literals, Tag};
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::object::{Context, Kind, Mailbox, Reject};

use super::command::{Doing, Then};
use super::inbound::{Inbound, Prefix, Unsound};
use super::{Ended, Keys, Sealing, Sent, Session, State, Unavailable, Unfit, WAITING_MAX, Waits, Wish};
use crate::replay::{Frames, Known};

/// Messages on their way in.
pub(super) struct Incoming {
    tag: Tag,
    mailbox: Mailbox,
    whole: VecDeque<Message>,
    spool: Spool,
    /// Octets of the literals so far.
    octets: u64,
    frames: Frames,
    /// When the session of the frames is over.
    not_after: Timestamp,
    present: Option<Present>,
    /// Why nothing comes of it.
    refused: Option<Refused>,
}

/// The message that is coming.
struct Present {
    append: Append,
    frame: Option<Inbound>,
    /// Octets of the spool before it.
    before: u64,
    last: bool,
}

/// A message in the spool.
struct Message {
    append: Append,
    size: u64,
    binary: bool,
}

/// Messages on their way to the mail server.
pub(super) struct Outgoing {
    messages: VecDeque<Message>,
    spooled: Spooled,
    /// Octets of the present message that are still to be sent.
    left: u64,
    /// Whether the mail server takes octets now.
    pub(super) goes: bool,
    frames: Frames,
}

/// Why an APPEND is not done.
#[derive(Clone, Copy, Debug)]
enum Refused {
    Unsound(Unsound),
    /// Its literal is one that frames do not come in.
    Binary,
    /// Of so many or so long messages nothing is kept.
    Limit,
    /// The temporary file.
    Spool,
    /// The key that a frame names.
    Locked(Unavailable),
}

impl Session {
    /// A message is announced.
    pub(super) fn announced(&mut self, append: Append) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Receiving(incoming) => self.receive(incoming, append),
            _ => match self.places.name(&append.mailbox) {
                None => self.locate(append.tag.clone(), Then::Append(append)),
                Some(mailbox) => {
                    let incoming = Incoming::new(append.tag.clone(), mailbox, Spool::new(&mut self.rng));
                    self.receive(Box::new(incoming), append);
                }
            },
        }
    }

    fn receive(&mut self, mut incoming: Box<Incoming>, append: Append) {
        incoming.admit(&append, self.settings.sealing);
        if let Some(refused) = incoming.refused {
            self.reader.decline(&append);
            return self.say(&format!("{} NO {refused}\r\n", incoming.tag));
        }
        let waits = !append.literal.plus;
        incoming.begin(append, self.settings.sealing);
        self.state = State::Receiving(incoming);
        if waits {
            self.say("+ go on\r\n");
        }
    }

    /// Octets of it.
    pub(super) fn octets(&mut self, octets: &[u8], last: bool) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Receiving(mut incoming) => {
                incoming.feed(octets, last);
                self.digest(incoming);
            }
            state => self.state = state,
        }
    }

    fn digest(&mut self, mut incoming: Box<Incoming>) {
        if let Some(prefix) = incoming.locked() {
            let Some(keys) = self.key_of(prefix) else {
                self.wish = Some(Wish::KeyOf(prefix.header.session, prefix.header.generation));
                self.state = State::Keyless(incoming.tag.clone(), Waits::Append(incoming));
                return;
            };
            incoming.unlock(&*keys);
        }
        incoming.digest();
        self.state = State::Receiving(incoming);
    }

    /// The key that a frame names is there, or there is none.
    pub(super) fn unlocked(&mut self, mut incoming: Box<Incoming>, keys: &dyn Keys) {
        incoming.unlock(keys);
        incoming.digest();
        self.state = State::Receiving(incoming);
    }

    /// There is none for it: what is still to come of the message is thrown away.
    pub(super) fn locked_out(&mut self, mut incoming: Box<Incoming>, unavailable: Unavailable) {
        incoming.refuse(Refused::Locked(unavailable));
        self.state = State::Receiving(incoming);
    }

    /// All of it has come.
    pub(super) fn appended(&mut self) {
        let incoming = match std::mem::replace(&mut self.state, State::Ready) {
            State::Receiving(incoming) => incoming,
            state => {
                self.state = state;
                return;
            }
        };
        let Incoming { tag, whole: messages, spool, frames, not_after, refused, .. } = *incoming;
        let refused = match (refused, spool.finish()) {
            (None, Ok(spooled)) => match self.settings.replays.take(&frames, not_after, self.now) {
                Ok(()) => {
                    self.noted.accepted += frames.len();
                    let outgoing = Outgoing { messages, spooled, left: 0, goes: false, frames };
                    return self.send_messages(tag, outgoing);
                }
                Err(Known::Done(answer)) => {
                    self.noted.replayed += 1;
                    let unknown = "NO [UNAVAILABLE] what became of it is not known";
                    return self.say(&format!("{tag} {}\r\n", answer.as_deref().unwrap_or(unknown)));
                }
                Err(known @ (Known::Disordered | Known::Spent)) => {
                    self.noted.unsound += 1;
                    known.to_string()
                }
            },
            (Some(refused), _) => {
                self.noted.unsound += u64::from(matches!(refused, Refused::Unsound(_)));
                refused.to_string()
            }
            (None, Err(_)) => Refused::Spool.to_string(),
        };
        self.say(&format!("{tag} NO {refused}\r\n"));
    }

    fn send_messages(&mut self, tag: Tag, mut outgoing: Outgoing) {
        let mut segments = outgoing.next_message().unwrap_or_default();
        self.to_server.extend(segments.pop_front().unwrap_or_default());
        self.state = State::Sent(Sent { tag, doing: Doing::Append(Box::new(outgoing)), segments });
    }

    /// Sends of the messages what there is room for.
    pub(super) fn send_octets(&mut self) -> Result<(), Ended> {
        let State::Sent(Sent { doing: Doing::Append(outgoing), segments, .. }) = &mut self.state else {
            return Ok(());
        };
        while outgoing.goes && self.to_server.len() < WAITING_MAX {
            if outgoing.left > 0 {
                outgoing.read(&mut self.to_server).map_err(|_| Ended::Spool)?;
                continue;
            }
            outgoing.goes = false;
            match outgoing.next_message() {
                None => self.to_server.extend_from_slice(b"\r\n"),
                Some(next) => {
                    *segments = next;
                    self.to_server.extend(segments.pop_front().unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// The mail server's answer is kept, for a client that asks again.
    pub(super) fn remember(&self, outgoing: &Outgoing, tag: &Tag, shown: &str) -> Result<(), Ended> {
        if outgoing.goes {
            return Err(Ended::Server(Unfit::TooEarly));
        }
        let answer = shown.trim_end().strip_prefix(tag.as_str()).unwrap_or_default();
        self.settings.replays.answered(&outgoing.frames, answer.trim_start());
        Ok(())
    }
}

impl Incoming {
    fn new(tag: Tag, mailbox: Mailbox, spool: Spool) -> Self {
        Self {
            tag,
            mailbox,
            whole: VecDeque::new(),
            spool,
            octets: 0,
            frames: Frames::default(),
            not_after: Timestamp(0),
            present: None,
            refused: None,
        }
    }

    fn refuse(&mut self, refused: Refused) {
        self.refused.get_or_insert(refused);
        self.present = None;
    }

    /// Whether one more is taken.
    fn admit(&mut self, append: &Append, sealing: Sealing) {
        self.octets = self.octets.saturating_add(append.literal.size);
        if append.literal.binary && sealing == Sealing::On {
            self.refuse(Refused::Binary);
        } else if self.whole.len() == MESSAGES_MAX || self.octets > OCTETS_MAX {
            self.refuse(Refused::Limit);
        }
    }

    fn begin(&mut self, append: Append, sealing: Sealing) {
        let frame = (sealing == Sealing::On).then(Inbound::default);
        self.present = Some(Present { append, frame, before: self.spool.len(), last: false });
    }

    fn feed(&mut self, octets: &[u8], last: bool) {
        let Some(present) = &mut self.present else { return };
        present.last = last;
        let fed = match &mut present.frame {
            Some(frame) => frame.feed(octets, last).map_err(Refused::Unsound),
            None => self.spool.write_all(octets).map_err(|_| Refused::Spool),
        };
        if let Err(refused) = fed {
            self.refuse(refused);
        }
    }

    /// Which key the present frame waits for.
    pub(super) fn locked(&self) -> Option<&Prefix> {
        self.present.as_ref()?.frame.as_ref()?.locked()
    }

    fn unlock(&mut self, keys: &dyn Keys) {
        let Some(Present { append, frame: Some(frame), .. }) = &mut self.present else { return };
        let flags: Vec<_> = append.flags.iter().map(|flag| flag.as_str()).collect();
        let date = append.date.map(|date| u64::try_from(date.unix_s())).transpose();
        let unlocked = match (date, frame.locked().map(|prefix| prefix.sender)) {
            (Ok(date), Some(sender)) => {
                frame.unlock(keys, &Context::append(&self.mailbox, sender, &flags, date), &mut self.frames)
            }
            // An earlier date than any that is sent.
            _ => Err(Unsound::Frame(Reject::OtherExtent)),
        };
        self.not_after = keys.not_after();
        if let Err(unsound) = unlocked {
            self.refuse(Refused::Unsound(unsound));
        }
    }

    /// Opens what has come, and what is whole is a message.
    fn digest(&mut self) {
        let Some(present) = &mut self.present else { return };
        let opened = match &mut present.frame {
            Some(frame) => frame.open(&mut self.spool),
            None => Ok(()),
        };
        if let Err(refused) = opened {
            return self.refuse(refused.map_or(Refused::Spool, Refused::Unsound));
        }
        let Some(Present { append, frame, before, .. }) = self.present.take_if(|present| present.last) else {
            return;
        };
        let kind = match frame {
            Some(frame) => frame.finish(&mut self.spool),
            None if append.literal.binary => Ok(Kind::Literal8),
            None => Ok(Kind::Literal),
        };
        match kind {
            Ok(kind @ (Kind::Literal | Kind::Literal8)) => {
                let (size, binary) = (self.spool.len() - before, kind == Kind::Literal8);
                self.whole.push_back(Message { append, size, binary });
            }
            Ok(_) => self.refuse(Refused::Unsound(Unsound::Kind)),
            Err(refused) => self.refuse(refused.map_or(Refused::Spool, Refused::Unsound)),
        }
    }
}

impl Outgoing {
    /// What announces the next message; the mail server is waited for, so that it can say NO before it is sent one.
    fn next_message(&mut self) -> Option<VecDeque<Vec<u8>>> {
        let Message { append, size, binary } = self.messages.pop_front()?;
        self.left = size;
        Some(append.write(size, binary, Literals::Waiting).into())
    }

    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let at = out.len();
        out.resize(at + usize::try_from(self.left).map_or(PART, |left| left.min(PART)), 0);
        self.spooled.read_exact(&mut out[at..])?;
        self.left -= (out.len() - at) as u64;
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsound(unsound) => unsound.fmt(f),
            Self::Binary => f.write_str("a frame comes as base64 in a plain literal"),
            Self::Limit => f.write_str("[LIMIT] that is more than is taken at once"),
            Self::Locked(unavailable) => unavailable.fmt(f),
            Self::Spool => f.write_str("[UNAVAILABLE] it cannot be kept now"),
        }
    }
}

/// Messages of one APPEND: as many as their numbers are remembered.
const MESSAGES_MAX: usize = 64;
/// Octets of their frames' text.
const OCTETS_MAX: u64 = 256 * 1024 * 1024;
/// Octets that are sent at once.
const PART: usize = 16 * 1024;
