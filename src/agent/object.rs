//! What is opened, and compared with what was asked for. Nothing of a value is handed on before it is whole.

use std::io::{self, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sidekey_client::spool::Spool;
use sidekey_imap::response::Form;
use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::object::{
    Context, HEADER_SIZE, Header, Kind, Opener, PREFIX_SIZE, Reject, ServerToClient,
};

use crate::alert::{Distrust, Wrong};
use crate::session::{Keys, Unavailable};

/// A frame that comes in.
pub(crate) struct Opening {
    expected: Context<ServerToClient>,
    text: Option<Text>,
    /// Octets of the frame that nothing has been done with.
    pending: Vec<u8>,
    opener: Option<Begun>,
    sink: Sink,
    failed: Option<Failed>,
}

/// A frame that is being opened, and the session that it was sealed in.
type Begun = (SessionId, Opener<'static, ServerToClient>);
/// A session and its generation, whose key is to be asked for.
pub(crate) type Missing = (SessionId, u32);

/// Who gets which octets of a value.
#[derive(Debug)]
pub(crate) struct Sink {
    /// Where in the item the next octet stands.
    at: u64,
    cuts: Vec<Share>,
}

/// Some octets of an item.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) spool: Spool,
}

/// A value that is whole.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    /// The session that it was sealed in.
    pub(crate) session: SessionId,
    /// In the order of the sink's cuts.
    pub(crate) shares: Vec<Share>,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failed {
    /// It is no frame.
    Plain,
    /// It is a frame that does not hold.
    Wrong(Wrong),
    /// The key could not be had.
    Unreachable,
    /// The key is not one to be used.
    Distrusted(Distrust),
}

/// The keys of a connection, and the sessions that are known to be none.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    keys: Vec<Arc<dyn Keys>>,
    unknown: Vec<(SessionId, u32)>,
    unreachable: Option<(SessionId, u32)>,
    /// The last one that is not to be used.
    distrusted: Option<(Missing, Distrust)>,
}

enum Found {
    Key(Arc<dyn Keys>),
    Not(Failed),
    /// It is to be asked for.
    Ask,
}

impl Opening {
    /// Waits for the frame of what was asked for.
    pub(crate) const fn new(expected: Context<ServerToClient>, form: Form, sink: Sink) -> Self {
        let text = match form {
            Form::Text => Some(Text { quad: Vec::new(), ended: false }),
            Form::Octets => None,
        };
        Self { expected, text, pending: Vec::new(), opener: None, sink, failed: None }
    }

    /// Takes octets as they came. Where a key is missing, says whose; then [`Opening::go_on`] goes on with it.
    pub(crate) fn feed(
        &mut self,
        octets: &[u8],
        ring: &mut Ring,
        now: Timestamp,
    ) -> io::Result<Option<Missing>> {
        if self.failed.is_some() {
            return Ok(None);
        }
        match &mut self.text {
            None => self.pending.extend_from_slice(octets),
            Some(text) => {
                if text.decode(octets, &mut self.pending).is_none() {
                    self.failed = Some(self.broken());
                    return Ok(None);
                }
            }
        }
        self.go_on(ring, now)
    }

    /// Does with what has come what can be done.
    pub(crate) fn go_on(&mut self, ring: &mut Ring, now: Timestamp) -> io::Result<Option<Missing>> {
        if self.opener.is_none() && self.failed.is_none() {
            let Some(prefix) = self.pending.first_chunk::<PREFIX_SIZE>() else { return Ok(None) };
            match begin(prefix, &self.expected, ring, now) {
                Ok(Ok(opener)) => self.opener = Some(opener),
                Ok(Err(missing)) => return Ok(Some(missing)),
                Err(failed) => self.failed = Some(failed),
            }
            self.pending.drain(..PREFIX_SIZE);
        }
        let mut rest = self.pending.as_slice();
        while let (Some((_, opener)), false) = (&mut self.opener, rest.is_empty()) {
            match opener.feed(&mut rest) {
                Ok(octets) => self.sink.write(octets)?,
                Err(reject) => {
                    self.failed = Some(Failed::Wrong(Wrong::Frame(reject)));
                    self.opener = None;
                }
            }
        }
        self.pending.clear();
        Ok(None)
    }

    /// The frame has ended: all of the value, or why there is none.
    pub(crate) fn finish(mut self) -> io::Result<Result<Opened, Failed>> {
        if let Some(failed) = self.failed {
            return Ok(Err(failed));
        }
        let whole = self.text.as_ref().is_none_or(|text| text.quad.is_empty());
        let Some((session, opener)) = self.opener.take().filter(|_| whole) else {
            return Ok(Err(self.broken()));
        };
        match opener.finish() {
            Err(reject) => Ok(Err(Failed::Wrong(Wrong::Frame(reject)))),
            Ok(ending) => {
                self.sink.write(ending.octets())?;
                Ok(Ok(Opened { kind: ending.kind(), session, shares: self.sink.cuts }))
            }
        }
    }

    /// What ended before a key was found, or is no base64: a cut in a frame, or none at all.
    fn broken(&self) -> Failed {
        if self.opener.is_some() || self.pending.starts_with(b"XE") {
            Failed::Wrong(Wrong::Frame(Reject::Truncated))
        } else {
            Failed::Plain
        }
    }
}

/// What was asked for is compared first: a frame from elsewhere is not worth a question to the key service.
fn begin(
    prefix: &[u8; PREFIX_SIZE],
    expected: &Context<ServerToClient>,
    ring: &mut Ring,
    now: Timestamp,
) -> Result<Result<Begun, Missing>, Failed> {
    let wrong = |reject| match reject {
        Reject::NotAFrame => Failed::Plain,
        reject => Failed::Wrong(Wrong::Frame(reject)),
    };
    let (header, context) = prefix.split_at(HEADER_SIZE);
    let (header, context) =
        (header.first_chunk().expect("it is split there"), context.first_chunk().expect("it is the rest"));
    let header = Header::read(header).map_err(wrong)?;
    expected.compare(context).map_err(wrong)?;
    match ring.find(header.session, header.generation, now) {
        Found::Ask => Ok(Err((header.session, header.generation))),
        Found::Not(failed) => Err(failed),
        Found::Key(keys) => {
            let opener = Opener::behind(prefix, &keys.object().s2c, expected).map_err(wrong)?;
            Ok(Ok((header.session, opener)))
        }
    }
}

impl Sink {
    /// For octets that begin there.
    pub(crate) const fn new(at: u64, cuts: Vec<Share>) -> Self {
        Self { at, cuts }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let end = self.at + octets.len() as u64;
        for cut in &mut self.cuts {
            let (from, to) = (cut.from.max(self.at), cut.to.min(end));
            if from < to {
                let within = |at: u64| usize::try_from(at - self.at).expect("it is within the octets");
                cut.spool.write_all(&octets[within(from)..within(to)])?;
            }
        }
        self.at = end;
        Ok(())
    }
}

impl Ring {
    /// What was answered to the question for a key.
    pub(crate) fn answered(
        &mut self,
        session: SessionId,
        generation: u32,
        answer: Result<Arc<dyn Keys>, Unavailable>,
    ) {
        match answer {
            Ok(keys) if (keys.session(), keys.generation()) == (session, generation) => {
                if self.keys.len() == KEYS_MAX {
                    self.keys.remove(0);
                }
                self.keys.push(keys);
            }
            Ok(_) | Err(Unavailable::Unknown) => {
                if self.unknown.len() < UNKNOWN_MAX {
                    self.unknown.push((session, generation));
                }
            }
            Err(Unavailable::Unreachable) => self.unreachable = Some((session, generation)),
            Err(Unavailable::Refused(distrust)) => self.distrusted = Some(((session, generation), distrust)),
        }
    }

    /// Forgets the keys: who needs one asks again.
    pub(crate) fn forget(&mut self) {
        self.keys.clear();
        self.retry();
    }

    /// Another command begins: a key that was not to be used may be another one by now.
    pub(crate) const fn retry(&mut self) {
        self.distrusted = None;
    }

    /// An answer that none could be had counts once.
    fn find(&mut self, session: SessionId, generation: u32, now: Timestamp) -> Found {
        self.keys.retain(|keys| now < keys.not_after());
        let of = |keys: &&Arc<dyn Keys>| (keys.session(), keys.generation()) == (session, generation);
        if let Some(keys) = self.keys.iter().find(of) {
            return Found::Key(Arc::clone(keys));
        }
        if self.unreachable.take_if(|named| *named == (session, generation)).is_some() {
            return Found::Not(Failed::Unreachable);
        }
        if let Some((_, distrust)) = self.distrusted.filter(|(named, _)| *named == (session, generation)) {
            return Found::Not(Failed::Distrusted(distrust));
        }
        if self.unknown.contains(&(session, generation)) || self.unknown.len() == UNKNOWN_MAX {
            return Found::Not(Failed::Wrong(Wrong::SessionUnknown));
        }
        Found::Ask
    }
}

/// Base64 as it comes.
struct Text {
    /// What is no whole group yet.
    quad: Vec<u8>,
    /// Whether padding has come.
    ended: bool,
}

impl Text {
    /// `None` when it is no base64.
    fn decode(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if !self.quad.is_empty() {
            let (taken, rest) = octets.split_at(octets.len().min(4 - self.quad.len()));
            self.quad.extend_from_slice(taken);
            octets = rest;
            if self.quad.len() < 4 {
                return Some(());
            }
            let quad = std::mem::take(&mut self.quad);
            self.groups(&quad, out)?;
        }
        let (groups, rest) = octets.split_at(octets.len() / 4 * 4);
        self.groups(groups, out)?;
        self.quad.extend_from_slice(rest);
        Some(())
    }

    fn groups(&mut self, groups: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if groups.is_empty() {
            return Some(());
        }
        if self.ended {
            return None;
        }
        self.ended = groups.ends_with(b"=");
        BASE64_STANDARD.decode_vec(groups, out).ok()
    }
}

/// Keys of one connection: of a session, its generations, and those of another gateway behind the same name.
const KEYS_MAX: usize = 16;
/// Sessions that are asked for in vain; after so many nothing more is asked on this connection.
const UNKNOWN_MAX: usize = 64;
