//! A message on its way to the gateway: sealed as it comes, and answered where the program stands.

use std::num::NonZeroU64;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sidekey_imap::command::Append;
use sidekey_imap::response::Status;
use sidekey_protocol::object::{Context, Kind, RecordSize, Sealer};

use super::again::Kept;
use super::{Keys, Running, Session, What, outbox};
use crate::told::Expected;

/// An APPEND that is upstream.
pub(super) struct Appending {
    /// The message that comes.
    append: Append,
    text: Text,
    sealer: Option<Sealer>,
    /// Whether the other end is to say that it goes on.
    waits: bool,
    /// Whether the program was told that it may send the message.
    begun: bool,
    /// Whether the program has ended the command.
    ended: bool,
    /// What the other end answered before that.
    pub(super) answered: Option<Status>,
    /// What was sent of the whole command, while it can be.
    kept: Option<Kept>,
}

impl Appending {
    /// Whether octets of a message are awaited, or another message.
    pub(super) const fn reads(&self) -> bool {
        self.begun && !self.ended && !self.pads()
    }

    /// All that was sent, if that was all.
    pub(super) fn take_kept(&mut self) -> Option<Kept> {
        self.kept.take_if(|_| self.ended)
    }

    /// Keeps what is sent of a message.
    fn keep(&mut self, text: &[u8]) {
        // Without room for it, it is sent once.
        self.kept.take_if(|kept| kept.keep(text).is_err());
    }

    /// Whether padding of the message is to be made.
    const fn pads(&self) -> bool {
        match &self.sealer {
            Some(sealer) => sealer.value_left() == 0 && self.begun,
            None => false,
        }
    }
}

impl Session {
    pub(super) fn seal_append(&mut self, mut append: Append, keys: &dyn Keys, number: NonZeroU64) {
        let date = append.date.map(|date| u64::try_from(date.unix_s()).ok());
        // A date before 1970 has no place in a frame's context.
        if date == Some(None) {
            append.date = None;
        }
        let name = self.canonical(&append.mailbox);
        let flags: Vec<_> = append.flags.iter().map(sidekey_imap::command::Flag::as_str).collect();
        let context = Context::append(&name, self.sender(number), &flags, date.flatten());
        let kind = if append.literal.binary { Kind::Literal8 } else { Kind::Literal };
        let sealer = self.sealer(keys, &context, kind, append.literal.size);
        let size = sealer.frame_len().div_ceil(3) * 4;
        let running = self.running.take();
        let mut running = running.unwrap_or_else(|| self.running(Some(append.tag.clone()), What::Plain));
        let sent = Append { tag: running.ours.clone(), ..append.clone() };
        running.unsent = sent.write(size, false, self.literals).into();
        let mut kept = match running.what {
            What::Append(before) => before.kept,
            _ => Some(Kept::new(&mut self.rng)),
        };
        if let Some(kept) = &mut kept {
            kept.announce(&append, size);
        }
        running.what = What::Append(Box::new(Appending {
            append,
            text: Text(Vec::new()),
            sealer: Some(sealer),
            waits: self.literals.waits(size),
            begun: false,
            ended: false,
            answered: None,
            kept,
        }));
        if let Some(segment) = running.unsent.pop_front() {
            self.to_server.extend_from_slice(&segment);
        }
        self.running = Some(running);
        self.announced();
    }

    /// What was to be sent before a continuation is sent.
    pub(super) fn announced(&mut self) {
        if let Some(Running { unsent, what: What::Append(appending), .. }) = &self.running
            && unsent.is_empty()
            && !appending.waits
        {
            self.begin_message();
        }
    }

    /// The program may send its message; whether one was awaited.
    pub(super) fn begin_message(&mut self) -> bool {
        let Some(Running { what: What::Append(appending), .. }) = &mut self.running else { return false };
        if appending.begun {
            return false;
        }
        appending.begun = true;
        if !appending.append.literal.plus {
            self.out.put(b"+ go on\r\n");
        }
        true
    }

    pub(super) fn message(&mut self, mut octets: &[u8]) {
        let Some(Running { what: What::Append(appending), .. }) = &mut self.running else { return };
        let Some(sealer) = &mut appending.sealer else { return };
        let at = self.to_server.len();
        while !octets.is_empty() {
            let sealed = sealer.feed(&mut octets).expect("a message is as long as was announced");
            appending.text.encode(sealed, &mut self.to_server);
        }
        appending.keep(&self.to_server[at..]);
        self.pad();
    }

    /// Makes as much padding as there is room for.
    pub(super) fn pad(&mut self) {
        let Some(Running { what: What::Append(appending), .. }) = &mut self.running else { return };
        let at = self.to_server.len();
        while appending.pads() && self.to_server.len() < outbox::ROOM {
            let sealed = appending.sealer.as_mut().map(|sealer| sealer.pad());
            match sealed.transpose().expect("a message is as long as was announced").flatten() {
                Some(octets) => appending.text.encode(octets, &mut self.to_server),
                None => {
                    appending.text.finish(&mut self.to_server);
                    appending.sealer = None;
                }
            }
        }
        appending.keep(&self.to_server[at..]);
    }

    /// The program has ended its command.
    pub(super) fn appended(&mut self) {
        self.to_server.extend_from_slice(b"\r\n");
        let Some(Running { tag, what: What::Append(appending), .. }) = &mut self.running else { return };
        appending.ended = true;
        let Some(status) = appending.answered.take() else { return };
        let tag = tag.take();
        self.running = None;
        if let Some(tag) = tag {
            self.tell(&status, tag.as_str(), Expected::Append);
        }
    }

    /// The other end has answered; `false` when the program is told later: what was announced is sent nevertheless.
    pub(super) fn append_answered(&mut self, appending: &mut Appending, status: &Status) -> bool {
        if appending.begun && !appending.ended {
            appending.answered = Some(status.clone());
            return false;
        }
        if !appending.begun {
            self.reader.decline(&appending.append);
        }
        true
    }
}

/// Octets on the wire of a message of this size.
pub(super) fn text_len(size: u64) -> u64 {
    let class = sidekey_protocol::object::Class::Body;
    sidekey_protocol::object::frame_len(class, size, 0, RecordSize::default()).div_ceil(3) * 4
}

/// Base64 as it goes.
struct Text(Vec<u8>);

impl Text {
    fn encode(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            let (taken, rest) = octets.split_at(octets.len().min(3 - self.0.len()));
            self.0.extend_from_slice(taken);
            octets = rest;
            if self.0.len() < 3 {
                return;
            }
            self.finish(out);
        }
        let (groups, rest) = octets.split_at(octets.len() / 3 * 3);
        put(groups, out);
        self.0.extend_from_slice(rest);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        put(&self.0, out);
        self.0.clear();
    }
}

fn put(octets: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + octets.len().div_ceil(3) * 4, 0);
    BASE64_STANDARD.encode_slice(octets, &mut out[at..]).expect("there is room for all of it");
}
