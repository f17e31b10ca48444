//! A mail program's connection through a proxy to a gateway, without sockets, clock or key service.
//!
//! ```text
//!   program ── program() ──▶ one command at a time, written anew ── to_server() ──▶ gateway
//!           ◀─ to_program() ─ opened, compared, in its own spelling ◀── server() ──
//!                                   │ wish()
//!                                   ▼
//!                        key() · numbers() · deletion() · again()     what only the outside can do
//! ```
//! Both sides hand in octets in pieces that end anywhere; what could not be taken yet stays in the input, and is handed
//! in again once buffers were drained or a wish was answered.

mod again;
mod answer;
mod appending;
mod ended;
mod fetching;
mod mailbox;
mod outbox;
mod program;
mod sealing;
mod upstream;
mod wish;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use rand_core::CryptoRng;
use sidekey_imap::command::{Body, Command, Literals, Reader, Tag};
use sidekey_imap::mailbox::Mailbox;
use sidekey_imap::response::{Capabilities, Responses};
use sidekey_imap::scanner::Limits;
use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::object;

use crate::alert::Alert;
use crate::object::Ring;
use crate::told;
use answer::Answer;
use mailbox::Selected;
use outbox::Outbox;

pub use ended::{Ended, Unfit};
pub use wish::{Failing, Keys, Settings, Unavailable, Wish};

/// One connection.
pub struct Session {
    settings: Settings,
    rng: Box<dyn CryptoRng + Send>,
    now: Timestamp,
    reader: Reader,
    responses: Responses,
    literals: Literals,
    capabilities: Capabilities,
    /// What separates the levels of a mailbox's name.
    separator: Option<char>,
    mailbox: Option<Selected>,
    running: Option<Running>,
    tags: u64,
    ring: Ring,
    /// The session that the other end uses, as far as it has shown it.
    near: Option<SessionId>,
    unsealed: Option<sealing::Unsealed>,
    answer: Option<Answer>,
    /// Within the answer of a SEARCH.
    searching: bool,
    wish: Wished,
    /// What waits until the outside has confirmed it.
    held: Option<Vec<u8>>,
    out: Outbox,
    to_server: Vec<u8>,
    alerts: Vec<Alert>,
    /// Why it is over, once all that waits for the program is sent.
    end: Option<Ended>,
}

/// Where a wish stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wished {
    Nothing,
    /// To be told.
    Untold(Wish),
    /// To be answered.
    Unanswered(Wish),
}

/// The command that is upstream.
struct Running {
    /// The program's; `None`: it is ours.
    tag: Option<Tag>,
    ours: Tag,
    /// What is sent at the next continuation.
    unsent: VecDeque<Vec<u8>>,
    what: What,
}

/// What kind of command it is.
enum What {
    /// Which separator the mailboxes have.
    Separator,
    /// One that changes nothing here.
    Plain,
    Search,
    Select(Box<Selected>),
    /// CLOSE, UNSELECT.
    Leave,
    /// One that changes nothing here, and is answered with data of these names.
    Data(&'static [&'static str]),
    /// EXPUNGE and its kin: whether messages are also copied, and how many may still vanish for it.
    Expunge {
        copies: bool,
        named: u64,
    },
    Copy,
    Append(Box<appending::Appending>),
    /// One that is sent once more.
    Again(Box<again::Again>),
    Fetch(Box<fetching::Fetching>),
    /// Whether what was missing is gone.
    Recount(Box<fetching::Recount>),
    /// And whether it has begun.
    Idle {
        begun: bool,
    },
    Logout,
}

impl Session {
    /// Once the program is logged in here, and we are upstream. `reader` is what has read the program's login; `upstream`
    /// what CAPABILITY said after ours.
    ///
    /// # Errors
    /// The other end is no gateway: nothing was asked of it.
    pub fn begin(
        reader: Reader,
        settings: Settings,
        upstream: &Capabilities,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, Alert> {
        told::is_gateway(upstream)?;
        let mut session = Self {
            settings,
            rng,
            now: Timestamp(0),
            reader,
            responses: Responses::new(Limits::SERVER),
            literals: literals(upstream),
            capabilities: told::capabilities(upstream),
            separator: None,
            mailbox: None,
            running: None,
            tags: 0,
            ring: Ring::default(),
            near: None,
            unsealed: None,
            answer: None,
            searching: false,
            wish: Wished::Nothing,
            held: None,
            out: Outbox::default(),
            to_server: Vec::new(),
            alerts: Vec::new(),
            end: None,
        };
        session.start(None, What::Separator, program::list_inbox());
        Ok(session)
    }

    /// What a program is told that can be done here, behind its login.
    #[must_use]
    pub fn capabilities(upstream: &Capabilities) -> Capabilities {
        told::capabilities(upstream)
    }

    /// Octets for the program; the caller takes them, then hands in what was left of both inputs.
    pub const fn to_program(&mut self) -> &mut Vec<u8> {
        &mut self.out.ready
    }

    /// Octets for the other end.
    pub const fn to_server(&mut self) -> &mut Vec<u8> {
        &mut self.to_server
    }

    /// Whether it would take more from the program.
    #[must_use]
    pub fn reads_program(&self) -> bool {
        let free = match &self.running {
            None => true,
            Some(Running { what: What::Idle { begun }, .. }) => *begun,
            Some(Running { what: What::Append(appending), .. }) => appending.reads(),
            Some(_) => false,
        };
        free && self.end.is_none()
            && self.wish == Wished::Nothing
            && !self.out.is_full()
            && self.to_server.len() < outbox::ROOM
    }

    /// Whether it would take more from the other end.
    #[must_use]
    pub fn reads_server(&self) -> bool {
        self.end.is_none() && self.wish == Wished::Nothing && !self.out.is_full()
    }

    /// Whether the program waits for nothing: no command of its is under way, or it idles.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let waits = |running: &Running| !matches!(running.what, What::Idle { .. } | What::Separator);
        self.wish == Wished::Nothing && !self.out.is_full() && !self.running.as_ref().is_some_and(waits)
    }

    /// Nothing goes on: the program is told why, unless it is in the midst of a value. The caller sends what waits for it
    /// and closes both connections.
    pub fn close(&mut self, why: &str) {
        if !self.out.has_more() && self.end.is_none() {
            self.answer(None, "BYE", why);
        }
    }

    /// What only the outside can do, told once.
    pub const fn wish(&mut self) -> Option<Wish> {
        match self.wish {
            Wished::Untold(wish) => {
                self.wish = Wished::Unanswered(wish);
                Some(wish)
            }
            Wished::Nothing | Wished::Unanswered(_) => None,
        }
    }

    /// The answer to [`Wish::Key`] and [`Wish::Current`].
    pub fn key(&mut self, answer: Result<Arc<dyn Keys>, Unavailable>) {
        if let Err(Unavailable::Refused(distrust)) = answer {
            self.alert(Alert::Key(distrust));
        }
        match self.wish {
            Wished::Unanswered(Wish::Key { session, generation }) => {
                self.wish = Wished::Nothing;
                self.ring.answered(session, generation, answer);
            }
            Wished::Unanswered(Wish::Current { .. }) => {
                self.wish = Wished::Nothing;
                self.current(answer);
            }
            _ => {}
        }
    }

    /// The answer to [`Wish::Deletion`]. Confirmed, it holds until another mailbox is selected.
    pub fn deletion(&mut self, confirmed: bool) {
        let Wished::Unanswered(Wish::Deletion { messages }) = self.wish else { return };
        self.wish = Wished::Nothing;
        if !confirmed {
            self.end = Some(self.refuse(Alert::MassDeletion { messages }));
            return;
        }
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.unasked = None;
        }
        if let Some(held) = self.held.take() {
            self.vanished(&held);
        }
    }

    /// Keys have changed: those of this connection are asked for again. To be called at each event of the key service.
    pub fn forget_keys(&mut self) {
        self.ring.forget();
    }

    /// What was noticed since it was asked last.
    pub fn alerts(&mut self) -> Vec<Alert> {
        mem::take(&mut self.alerts)
    }

    fn alert(&mut self, alert: Alert) {
        if self.alerts.len() < ALERTS_MAX {
            self.alerts.push(alert);
        }
    }

    /// A command under a tag of our own, of which nothing is sent yet.
    fn running(&mut self, tag: Option<Tag>, what: What) -> Running {
        self.tags += 1;
        let ours = Tag::new(&format!("s{}", self.tags)).expect("a letter and digits are a tag");
        Running { tag, ours, unsent: VecDeque::new(), what }
    }

    /// Sends a command.
    fn start(&mut self, tag: Option<Tag>, what: What, body: Body) {
        let mut running = self.running(tag, what);
        running.unsent = Command { tag: running.ours.clone(), body }.write(self.literals).into();
        if let Some(first) = running.unsent.pop_front() {
            self.to_server.extend_from_slice(&first);
        }
        self.running = Some(running);
    }

    /// The name that frames are bound to.
    fn canonical(&self, mailbox: &Mailbox) -> object::Mailbox {
        object::Mailbox::new(mailbox.as_str(), self.separator).expect("both have the same names")
    }
}

impl fmt::Debug for Session {
    /// That there is one; what it holds is somebody's mail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("wish", &self.wish).finish_non_exhaustive()
    }
}

/// How the other end takes literals.
fn literals(upstream: &Capabilities) -> Literals {
    match (upstream.has("LITERAL+"), upstream.has("LITERAL-")) {
        (true, _) => Literals::Plus,
        (false, true) => Literals::Minus,
        (false, false) => Literals::Waiting,
    }
}

/// Alerts that wait for the caller at most: a flood tells nothing more.
const ALERTS_MAX: usize = 64;

#[cfg(test)]
mod tests;
