//! A client's frames: read as text, held against what the command says around them, and opened.

use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sidekey_client::spool::Spool;
use sidekey_protocol::object::{
    ClientToServer, Context, HEADER_SIZE, Header, Kind, Opener, PREFIX_SIZE, Reject, Sender, Stopped, open,
};

use super::Keys;
use crate::replay::Frames;

/// Header and context of a frame, not verified yet.
pub(super) struct Prefix {
    pub(super) header: Header,
    pub(super) sender: Sender,
    pub(super) octets: [u8; PREFIX_SIZE],
}

/// A frame whose text comes in pieces.
#[derive(Default)]
pub(super) struct Inbound {
    /// Letters that do not make four yet.
    letters: Vec<u8>,
    padded: bool,
    /// Octets that are not opened yet.
    octets: Vec<u8>,
    prefix: Option<Box<Prefix>>,
    opener: Option<Opener<'static, ClientToServer>>,
}

/// Why a frame is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unsound {
    /// It is no base64 in one line.
    Text,
    /// It does not hold.
    Frame(Reject),
    /// The value is of a kind that is not sent.
    Kind,
}

impl Prefix {
    pub(super) fn read(octets: &[u8; PREFIX_SIZE]) -> Result<Self, Reject> {
        let header = octets.first_chunk::<HEADER_SIZE>().ok_or(Reject::Truncated)?;
        Ok(Self { header: Header::read(header)?, sender: Sender::read(octets)?, octets: *octets })
    }

    /// Whether this is the key that it names.
    pub(super) fn is_under(&self, keys: &dyn Keys) -> bool {
        (self.header.session, self.header.generation) == (keys.session(), keys.generation())
    }

    pub(super) fn opener(
        &self,
        keys: &dyn Keys,
        expected: &Context<ClientToServer>,
    ) -> Result<Opener<'static, ClientToServer>, Reject> {
        if !keys.accepts(self.sender.id()) {
            return Err(Reject::OtherSubject);
        }
        Opener::behind(&self.octets, &keys.object().c2s, expected)
    }
}

impl Inbound {
    /// Takes letters of its text.
    pub(super) fn feed(&mut self, letters: &[u8], last: bool) -> Result<(), Unsound> {
        self.letters.extend_from_slice(letters);
        let whole = self.letters.len() / 4 * 4;
        if self.padded && whole > 0 {
            return Err(Unsound::Text);
        }
        self.padded = self.letters[..whole].ends_with(b"=");
        let decoded = BASE64_STANDARD.decode_vec(&self.letters[..whole], &mut self.octets);
        decoded.map_err(|_| Unsound::Text)?;
        self.letters.drain(..whole);
        if last && !self.letters.is_empty() {
            return Err(Unsound::Text);
        }
        if self.prefix.is_none() {
            if let Some((prefix, _)) = self.octets.split_first_chunk() {
                self.prefix = Some(Box::new(Prefix::read(prefix)?));
                self.octets.drain(..PREFIX_SIZE);
            } else if last {
                return Err(Unsound::Frame(Reject::Truncated));
            }
        }
        Ok(())
    }

    /// The prefix, while the key that it names is still to come.
    pub(super) fn locked(&self) -> Option<&Prefix> {
        self.prefix.as_deref().filter(|_| self.opener.is_none())
    }

    /// Holds it against what the command says, and takes its number.
    pub(super) fn unlock(
        &mut self,
        keys: &dyn Keys,
        expected: &Context<ClientToServer>,
        frames: &mut Frames,
    ) -> Result<(), Unsound> {
        if let Some(prefix) = self.locked() {
            let opener = prefix.opener(keys, expected)?;
            frames.push(&prefix.header, prefix.sender, &prefix.octets);
            self.opener = Some(opener);
        }
        Ok(())
    }

    /// Opens what has come; `None` is told where the spool fails.
    pub(super) fn open(&mut self, spool: &mut Spool) -> Result<(), Option<Unsound>> {
        let Some(opener) = &mut self.opener else { return Ok(()) };
        let mut octets = self.octets.as_slice();
        while !octets.is_empty() {
            let value = opener.feed(&mut octets).map_err(|reject| Some(reject.into()))?;
            spool.write_all(value).map_err(|_| None)?;
        }
        self.octets.clear();
        Ok(())
    }

    /// Opens the last of it, and says that it is whole.
    pub(super) fn finish(self, spool: &mut Spool) -> Result<Kind, Option<Unsound>> {
        let opener = self.opener.ok_or(Some(Unsound::Frame(Reject::Truncated)))?;
        let ending = opener.finish().map_err(|reject| Some(reject.into()))?;
        spool.write_all(ending.octets()).map_err(|_| None)?;
        Ok(ending.kind())
    }
}

/// A frame that is in memory: what precedes its records, and these.
pub(super) fn split(text: &[u8]) -> Result<(Prefix, Vec<u8>), Unsound> {
    let frame = BASE64_STANDARD.decode(text).map_err(|_| Unsound::Text)?;
    let (prefix, records) = frame.split_first_chunk().ok_or(Reject::Truncated)?;
    Ok((Prefix::read(prefix)?, records.to_vec()))
}

/// The string in it.
pub(super) fn open_string(
    opener: Opener<'static, ClientToServer>,
    records: &[u8],
) -> Result<Vec<u8>, Unsound> {
    let mut value = Vec::new();
    match open(opener, records, &mut value) {
        Ok(Kind::Literal) if std::str::from_utf8(&value).is_ok() && !value.contains(&0) => Ok(value),
        Ok(_) => Err(Unsound::Kind),
        Err(Stopped::Refused(reject)) => Err(reject.into()),
        // Memory does not fail.
        Err(Stopped::Io(_)) => Err(Unsound::Text),
    }
}

impl From<Reject> for Unsound {
    fn from(reject: Reject) -> Self {
        Self::Frame(reject)
    }
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a frame is base64 in one line"),
            Self::Frame(reject) => write!(f, "a frame does not hold: {reject}"),
            Self::Kind => f.write_str("what is sealed is of another kind"),
        }
    }
}
