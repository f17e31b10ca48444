//! An APPEND whose connection breaks before it is answered: on another connection it is sent once more, the same frames in
//! their order, and the gateway gives the answer that it gave, or does now what it has not done
//! (proto/object/spec.md, section 6.4). Whether it was stored can be known in no other way.
//!
//! ```text
//!   sent, unanswered ──▶ the connection breaks ──▶ Wish::Again ──▶ again() ──▶ its answer, then BYE
//! ```
//! The program's mailbox is not selected on the other connection: it is told to connect again.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};

use rand_core::CryptoRng;
use sidekey_client::spool::{Spool, Spooled};
use sidekey_imap::command::Append;
use sidekey_imap::response::{Capabilities, Responses, Status};
use sidekey_imap::scanner::Limits;

use super::upstream::GONE;
use super::{Ended, Running, Session, What, Wish, Wished, literals, outbox};
use crate::told::{self, Expected};

/// What was sent, as it was.
pub(super) struct Kept {
    /// What announces each message, and how long its text is.
    messages: VecDeque<(Append, u64)>,
    /// The text of all of them.
    text: Spool,
}

/// What is sent once more.
pub(super) struct Again {
    messages: VecDeque<(Append, u64)>,
    text: Spooled,
    /// Octets of the present message that are still to be sent.
    left: u64,
    /// Whether the other end takes them now, or is to say first that it does.
    goes: bool,
}

impl Kept {
    pub(super) fn new(rng: &mut impl CryptoRng) -> Self {
        Self { messages: VecDeque::new(), text: Spool::new(rng) }
    }

    /// A message is announced.
    pub(super) fn announce(&mut self, append: &Append, size: u64) {
        self.messages.push_back((append.clone(), size));
    }

    /// Some of its text.
    pub(super) fn keep(&mut self, text: &[u8]) -> io::Result<()> {
        self.text.write_all(text)
    }

    fn again(self) -> io::Result<Again> {
        Ok(Again { messages: self.messages, text: self.text.finish()?, left: 0, goes: false })
    }
}

impl Session {
    /// Whether an APPEND of which all was sent waits for its answer: it is to be sent again.
    pub(super) fn once_more(&mut self) -> bool {
        let Some(Running { what, .. }) = &mut self.running else { return false };
        let What::Append(appending) = what else { return false };
        let Some(Ok(again)) = appending.take_kept().map(Kept::again) else { return false };
        *what = What::Again(Box::new(again));
        self.to_server.clear();
        self.wish = Wished::Untold(Wish::Again);
        true
    }

    /// The answer to [`Wish::Again`]: what the other end can, on another connection, where nothing was said since the login.
    /// What waited for the connection before is gone with it. `None`: there is none.
    pub fn again(&mut self, upstream: Option<&Capabilities>) {
        if self.wish != Wished::Unanswered(Wish::Again) {
            return;
        }
        self.wish = Wished::Nothing;
        let Some(upstream) = upstream else { return self.gone() };
        if let Err(alert) = told::is_gateway(upstream) {
            self.end = Some(self.refuse(alert));
            return;
        }
        self.responses = Responses::new(Limits::SERVER);
        self.literals = literals(upstream);
        self.mailbox = None;
        self.send_next();
    }

    /// The program is told that there is no other end.
    pub(super) fn gone(&mut self) {
        self.out.put(GONE);
        self.end = Some(Ended::ServerGone);
    }

    /// What announces the next message, or the end of the command.
    fn send_next(&mut self) {
        let Some(Running { ours, unsent, what: What::Again(again), .. }) = &mut self.running else { return };
        let Some((append, size)) = again.messages.pop_front() else {
            return self.to_server.extend_from_slice(b"\r\n");
        };
        *unsent = Append { tag: ours.clone(), ..append }.write(size, false, self.literals).into();
        again.left = size;
        self.to_server.extend(unsent.pop_front().unwrap_or_default());
        self.announced_again();
    }

    /// What was to be sent before a continuation is sent.
    pub(super) fn announced_again(&mut self) {
        if let Some(Running { unsent, what: What::Again(again), .. }) = &mut self.running {
            again.goes = unsent.is_empty() && !self.literals.waits(again.left);
        }
    }

    /// The other end goes on; whether it was to say so.
    pub(super) fn goes_again(&mut self) -> bool {
        let Some(Running { unsent, what: What::Again(again), .. }) = &mut self.running else { return false };
        let due = unsent.is_empty() && again.left > 0 && !again.goes;
        again.goes |= due;
        due
    }

    /// Sends of the messages what there is room for.
    pub(super) fn resend(&mut self) -> io::Result<()> {
        while let Some(Running { what: What::Again(again), .. }) = &mut self.running
            && again.goes
            && self.to_server.len() < outbox::ROOM
        {
            if again.left == 0 {
                again.goes = false;
                self.send_next();
                continue;
            }
            let at = self.to_server.len();
            self.to_server.resize(at + usize::try_from(again.left).map_or(PIECE, |left| left.min(PIECE)), 0);
            again.text.read_exact(&mut self.to_server[at..])?;
            again.left -= (self.to_server.len() - at) as u64;
        }
        Ok(())
    }

    /// It is answered. What was selected is not, on this connection.
    pub(super) fn answered_again(&mut self, running: &Running, status: &Status) {
        if let Some(tag) = &running.tag {
            self.tell(status, tag.as_str(), Expected::Append);
        }
        self.answer(None, "BYE", "the connection to the mail server broke: connect again");
        self.end = Some(Ended::ServerGone);
    }
}

/// Octets that are sent at once.
const PIECE: usize = 16 * 1024;
