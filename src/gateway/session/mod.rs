//! After login: all that goes through an untrusted connection, octets in and octets out.
//!
//! ```text
//!   client ──▶ Reader ─▶ Profile::rule ─▶ Command::write ──▶ mail server      one command at a time
//!   client ◀── frames ◀─ object::Frame ◀─ Responses ◀─────── mail server      what is not on a list is left out
//!                              ▲
//!                        Wish::Key ──▶ the caller ──▶ Session::key
//! ```
//! Nothing that is sealed goes out without a key that is in force, and what has begun to go out is either whole or cut.

mod answer;
mod append;
mod command;
mod ended;
mod fetch;
mod inbound;
mod noted;
mod place;
mod search;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;
use sidekey_imap::command::{Literals, Reader, Tag};
use sidekey_imap::response::{Capabilities, Responses};
use sidekey_imap::scanner::Limits;
use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::object::ObjectKeys;

use crate::allow::Profile;
use crate::replay::Replays;
use answer::Value;
use command::Doing;
use place::Places;

pub use ended::{Ended, Unavailable, Unfit};
pub use noted::Noted;

/// How a user's connections are ruled.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a client may change.
    pub profile: Profile,
    /// Whether anything is sealed.
    pub sealing: Sealing,
    /// What the gateway's sessions are opened with, `XENCRYPTED` among them, as it is advertised.
    pub capabilities: Arc<[String]>,
    /// What was taken of clients' frames: one for the whole process.
    pub replays: Replays,
}

/// Whether anything is sealed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sealing {
    /// What must be sealed is.
    #[default]
    On,
    /// Nothing is: for measuring and showing what sealing changes, where the configuration says so of a user.
    Off,
}

/// A session key, as it is needed here.
pub trait Keys: fmt::Debug + Send + Sync {
    /// What frames are sealed and opened with.
    fn object(&self) -> &ObjectKeys;

    /// Whose key it is.
    fn session(&self) -> SessionId;

    /// Which of the session's keys.
    fn generation(&self) -> u32;

    /// From then on nothing is sealed or opened with it.
    fn not_after(&self) -> Timestamp;

    /// Whether frames are taken of this sender, who has the key: of any, where the session is for all that the user
    /// has paired. (`SHA-256(pairing id)[..8]`.)
    fn accepts(&self, _sender: [u8; 8]) -> bool {
        true
    }
}

/// What only the caller can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// The key that is in force for the user.
    Key,
    /// That of this session and generation, which a frame of a client names: one of the user's sessions that this
    /// process has opened, or none.
    KeyOf(SessionId, u32),
}

/// An untrusted connection after its login.
pub struct Session {
    settings: Settings,
    reader: Reader,
    responses: Responses,
    /// How the mail server takes literals.
    literals: Literals,
    /// Whether it can leave a mailbox without expunging.
    unselects: bool,
    places: Places,
    keys: Option<Arc<dyn Keys>>,
    wish: Option<Wish>,
    rng: Box<dyn CryptoRng + Send>,
    state: State,
    value: Value,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    /// What the gateway says by itself, until the mail server has ended what it is saying.
    own: Vec<u8>,
    /// When it was last given something.
    now: Timestamp,
    over: bool,
    noted: Noted,
}

/// Where the one command stands.
enum State {
    /// There is none.
    Ready,
    /// It waits for the key.
    Keyless(Tag, Waits),
    /// The client's messages are coming.
    Receiving(Box<append::Incoming>),
    /// It is with the mail server.
    Sent(Sent),
}

/// What waits for a key.
enum Waits {
    /// For the one that is in force.
    Fetch(Box<fetch::Plan>),
    /// For the one that its frames name.
    Search(Box<search::Opening>),
    Append(Box<append::Incoming>),
}

struct Sent {
    tag: Tag,
    doing: Doing,
    /// What the mail server is sent after its continuations.
    segments: VecDeque<Vec<u8>>,
}

impl Session {
    /// After the tagged OK of a login, and of the one at the mail server, whose capabilities these are. The reader is the
    /// login's.
    #[must_use]
    pub fn begin(
        reader: Reader,
        settings: Settings,
        upstream: &Capabilities,
        keys: Option<Arc<dyn Keys>>,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Self {
        let literals = match (upstream.has("LITERAL+"), upstream.has("LITERAL-")) {
            (true, _) => Literals::Plus,
            (_, true) => Literals::Minus,
            _ => Literals::Waiting,
        };
        Self {
            settings,
            reader,
            responses: Responses::new(Limits::SERVER),
            literals,
            unselects: upstream.has("UNSELECT"),
            places: Places::default(),
            keys,
            wish: None,
            rng,
            state: State::Ready,
            value: Value::None,
            to_client: Vec::new(),
            to_server: Vec::new(),
            own: Vec::new(),
            now: Timestamp(0),
            over: false,
            noted: Noted::NONE,
        }
    }

    /// Takes of the client's octets what it can take now. To be called again with the rest, or with nothing, after
    /// anything else was done.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn client(&mut self, input: &mut &[u8], now: Timestamp) -> Result<(), Ended> {
        self.now = now;
        while self.reads_client() {
            let (mut part, rest) = input.split_at(input.len().min(PART_MAX));
            let len = part.len();
            let event = self.reader.next(&mut part);
            *input = &input[len - part.len()..];
            match event {
                Ok(Some(event)) => self.event(event),
                Ok(None) if rest.is_empty() => break,
                Ok(None) => {}
                Err(broken) => {
                    let tag = broken.tag.as_ref().map_or("*", Tag::as_str);
                    self.say(&format!("{tag} BAD {broken}\r\n* BYE no IMAP\r\n"));
                    self.over = true;
                    return Err(Ended::Client(broken));
                }
            }
        }
        Ok(())
    }

    /// Takes of the mail server's octets what it can take now. To be called again with the rest, or with nothing, after
    /// anything else was done: what is sent of a frame is made as there is room.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn server(&mut self, input: &mut &[u8], now: Timestamp) -> Result<(), Ended> {
        self.now = now;
        let taken = self.take(input);
        self.over |= taken.is_err();
        taken
    }

    /// The mail server has closed its connection. Where a response had begun nothing completes it: the cut tells.
    pub fn server_gone(&mut self) -> Ended {
        self.say("* BYE [UNAVAILABLE] the mail server is gone\r\n");
        self.over = true;
        Ended::ServerGone
    }

    /// The gateway ends the connection by itself. In the midst of a response nothing is said: the cut tells.
    pub fn bye(&mut self, why: &str) {
        self.say(&format!("* BYE {why}\r\n"));
        self.over = true;
    }

    /// Whether messages of the client's are with the mail server, which has not answered yet.
    #[must_use]
    pub const fn appends(&self) -> bool {
        !self.over && matches!(&self.state, State::Sent(Sent { doing: Doing::Append(_), .. }))
    }

    /// What waits to be sent to the client; to be taken out, so that a connection that rests holds no memory.
    pub const fn to_client(&mut self) -> &mut Vec<u8> {
        &mut self.to_client
    }

    /// What waits to be sent to the mail server; to be taken out.
    pub const fn to_server(&mut self) -> &mut Vec<u8> {
        &mut self.to_server
    }

    /// Whether it would take more of the client's octets now.
    #[must_use]
    pub fn reads_client(&self) -> bool {
        let listens = match &self.state {
            State::Ready | State::Receiving(_) => true,
            State::Sent(sent) => sent.doing.awaits_done(),
            State::Keyless(..) => false,
        };
        listens && !self.over && self.to_client.len() < WAITING_MAX && self.own.len() < WAITING_MAX
    }

    /// Whether it would take more of the mail server's octets now.
    #[must_use]
    pub const fn reads_server(&self) -> bool {
        !self.over && self.to_client.len() < WAITING_MAX
    }

    /// Whether it has nothing to say until it is given something, or what waits is taken. While it does not rest,
    /// [`Session::server`] is to be called again, without octets too.
    #[must_use]
    pub fn rests(&self) -> bool {
        let sends =
            matches!(&self.state, State::Sent(Sent { doing: Doing::Append(outgoing), .. }) if outgoing.goes);
        let says =
            self.responses.has_next() || matches!(self.value, Value::Unspooling(..) | Value::Ending(_));
        let has_room = |waiting: &Vec<u8>| waiting.len() < WAITING_MAX;
        self.over || !(sends && has_room(&self.to_server) || says && has_room(&self.to_client))
    }

    /// What only the caller can do; told once.
    pub const fn wish(&mut self) -> Option<Wish> {
        self.wish.take()
    }

    /// What is counted, since it was asked last.
    pub const fn noted(&mut self) -> Noted {
        std::mem::replace(&mut self.noted, Noted::NONE)
    }

    /// The answer to a [`Wish`]. The key that is in force is also taken unasked, when it was renewed: the frames that have
    /// begun end under the one before, and the client is told.
    pub fn key(&mut self, answer: Result<Arc<dyn Keys>, Unavailable>) {
        match (std::mem::replace(&mut self.state, State::Ready), answer) {
            (State::Keyless(_, Waits::Append(incoming)), Err(unavailable)) => {
                self.locked_out(incoming, unavailable)
            }
            (State::Keyless(tag, _), Err(unavailable)) => {
                self.noted.refused.push("no_key");
                self.say(&format!("{tag} NO {unavailable}\r\n"));
            }
            (State::Keyless(tag, Waits::Search(opening)), Ok(keys))
                if opening.prefix().is_some_and(|prefix| prefix.is_under(&*keys)) =>
            {
                self.searched(tag, *opening, &*keys);
            }
            (State::Keyless(_, Waits::Append(incoming)), Ok(keys))
                if incoming.locked().is_some_and(|prefix| prefix.is_under(&*keys)) =>
            {
                self.unlocked(incoming, &*keys);
            }
            (State::Keyless(tag, Waits::Fetch(plan)), Ok(keys)) => {
                self.renew(keys);
                self.fetch(tag, plan);
            }
            (state, answer) => {
                self.state = state;
                if let Ok(keys) = answer {
                    self.renew(keys);
                }
            }
        }
    }

    fn renew(&mut self, keys: Arc<dyn Keys>) {
        let names = |keys: &Arc<dyn Keys>| (keys.session(), keys.generation());
        if self.keys.as_ref().is_none_or(|before| names(before) != names(&keys)) {
            self.say(&announcement(&*keys));
        }
        self.keys = Some(keys);
    }

    /// Says something by itself, as soon as the mail server's response has ended.
    fn say(&mut self, text: &str) {
        self.own.extend_from_slice(text.as_bytes());
        self.let_speak();
    }

    fn let_speak(&mut self) {
        if self.responses.between() {
            self.to_client.append(&mut self.own);
        }
    }
}

impl fmt::Debug for Session {
    /// How it is ruled; what goes through it is a user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("settings", &self.settings)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// The last words of a login, behind its tagged OK and in the same write, and of each renewal of the key: a hint, since
/// what lies between may drop or forge it.
#[must_use]
pub fn announcement(keys: &dyn Keys) -> String {
    format!("* OK [XENCRYPTED session={} generation={}] sealed\r\n", keys.session(), keys.generation())
}

/// Octets that are read at once, so that what is made of them has a bound.
const PART_MAX: usize = 32 * 1024;
/// Octets that wait for one side, past which nothing more is taken.
const WAITING_MAX: usize = 64 * 1024;
const NO_KEY: &str = "there is no key now";

#[cfg(test)]
mod tests;
