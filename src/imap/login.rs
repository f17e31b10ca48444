//! Before login, on the side that is logged in at: all that somebody may say until it is known who he is.
//!
//! ```text
//!   Login ──next──▶ Reply     to be sent
//!                   Verify    user and secret are to be checked; then Login::verified
//!                   StartTls  to be sent, then TLS begins
//!                   End       to be sent, then the connection is closed
//! ```
//! No octet is for anybody behind it before [`Verified::LoggedIn`].

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::command::{Body, Command, Event, Password, Reader, Tag};
use crate::response::Capabilities;
use crate::scanner::Limits;

/// Whether secrets may be sent on this connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// They may.
    Established,
    /// Not before STARTTLS.
    Offered,
}

/// A connection that nobody has logged in on.
pub struct Login {
    reader: Reader,
    tls: Tls,
    state: State,
    commands_left: u8,
    attempts_left: u8,
}

enum State {
    /// Between commands.
    Ready,
    /// The client owes its answer to a challenge.
    Challenged(Tag),
    /// The caller owes the answer to [`Step::Verify`].
    Verifying(Tag),
}

/// What is to be done next.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// These octets are to be sent.
    Reply(Vec<u8>),
    /// It is to be found out whether this holds, and told to [`Login::verified`].
    Verify(Credentials),
    /// These octets are to be sent, then TLS begins, with a [`Login`] of its own. What had come behind the command is to
    /// be thrown away: whoever stands between could have put it there.
    StartTls(Vec<u8>),
    /// These octets are to be sent, and the connection closed.
    End(Vec<u8>),
}

/// Who somebody says that he is.
#[derive(Debug, Eq, PartialEq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// What he proves it with.
    pub secret: Password,
}

/// What was found out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It holds; these are the capabilities from now on.
    Accepted(Capabilities),
    /// It does not.
    Refused,
    /// Nobody could say.
    Unavailable,
    /// It holds, and there is no way on from here: why, for people, in printable ASCII.
    NoWayOn(&'static str),
}

/// What follows from it.
#[derive(Debug)]
pub enum Verified {
    /// These octets are to be sent. The rest of the input is the session's, to be read with this.
    LoggedIn(Vec<u8>, Reader),
    /// These octets are to be sent, and it goes on as before.
    Again(Vec<u8>, Login),
    /// These octets are to be sent, and the connection closed.
    Over(Vec<u8>),
}

impl Login {
    /// A new connection, and what it is greeted with.
    #[must_use]
    pub fn begin(tls: Tls) -> (Self, Vec<u8>) {
        let greeting = format!("* OK [{}] Sidekey is ready\r\n", capabilities(tls));
        (Self::after_tls(tls), greeting.into_bytes())
    }

    /// The same connection, once TLS is established: it is not greeted again.
    #[must_use]
    pub fn after_tls(tls: Tls) -> Self {
        let (commands_left, attempts_left) = (COMMANDS_MAX, ATTEMPTS_MAX);
        Self { reader: Reader::new(LIMITS), tls, state: State::Ready, commands_left, attempts_left }
    }

    /// What is to be done next, taken from the input; `None` when more input is needed, or [`Login::verified`].
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Step> {
        if matches!(self.state, State::Verifying(_)) {
            return None;
        }
        match self.reader.next(input) {
            Ok(None) => None,
            Ok(Some(event)) => Some(self.event(event)),
            Err(broken) => {
                let tag = broken.tag.as_ref().map_or("*", Tag::as_str);
                Some(Step::End(format!("{tag} BAD {broken}\r\n* BYE no IMAP\r\n").into_bytes()))
            }
        }
    }

    /// What was found out of [`Step::Verify`].
    #[must_use]
    pub fn verified(mut self, outcome: &Outcome) -> Verified {
        let State::Verifying(tag) = std::mem::replace(&mut self.state, State::Ready) else {
            return Verified::Again(Vec::new(), self);
        };
        let reply = match outcome {
            Outcome::Accepted(capabilities) => {
                let reply = format!("{tag} OK [{capabilities}] logged in\r\n");
                return Verified::LoggedIn(reply.into_bytes(), Reader::new(Limits::CLIENT));
            }
            Outcome::Refused => format!("{tag} NO [AUTHENTICATIONFAILED] user or secret is wrong\r\n"),
            Outcome::Unavailable => format!("{tag} NO [UNAVAILABLE] try again later\r\n"),
            Outcome::NoWayOn(why) => format!("{tag} NO [UNAVAILABLE] {why}\r\n"),
        };
        self.attempts_left = self.attempts_left.saturating_sub(1);
        if self.attempts_left == 0 {
            return Verified::Over(format!("{reply}{TOO_MANY}").into_bytes());
        }
        Verified::Again(reply.into_bytes(), self)
    }

    fn event(&mut self, event: Event<'_>) -> Step {
        if !matches!(event, Event::Continue | Event::Octets { .. }) {
            match self.commands_left.checked_sub(1) {
                Some(left) => self.commands_left = left,
                None => return Step::End(TOO_MANY.into()),
            }
        }
        match event {
            Event::Command(Command { tag, body }) => self.command(tag, body),
            Event::Continue => Step::Reply("+ go on\r\n".into()),
            Event::Raw(response) => self.response(&response),
            Event::Append(append) => {
                self.reader.decline(&append);
                reply(&append.tag, "BAD", "log in first")
            }
            Event::Refused(Some(tag), refusal) => reply(&tag, "BAD", &refusal.to_string()),
            Event::Refused(None, refusal) => Step::Reply(format!("* BAD {refusal}\r\n").into_bytes()),
            // Messages are declined.
            Event::Octets { .. } | Event::Appended => Step::Reply(Vec::new()),
        }
    }

    fn command(&mut self, tag: Tag, body: Body) -> Step {
        match (body, self.tls) {
            (Body::Capability, tls) => untagged(&capabilities(tls).to_string(), &tag, "done"),
            (Body::Id(_), _) => untagged("ID (\"name\" \"Sidekey\")", &tag, "done"),
            (Body::Noop, _) => reply(&tag, "OK", "done"),
            (Body::Logout, _) => Step::End(format!("* BYE until later\r\n{tag} OK done\r\n").into_bytes()),
            (Body::StartTls, Tls::Offered) => Step::StartTls(format!("{tag} OK begin TLS\r\n").into_bytes()),
            (Body::Login { .. } | Body::Authenticate { .. }, Tls::Offered) => {
                reply(&tag, "NO", "[PRIVACYREQUIRED] begin TLS first")
            }
            (Body::Login { user, password }, Tls::Established) => match String::from_utf8(user) {
                Ok(user) => self.verify(tag, user, password),
                Err(_) => reply(&tag, "BAD", "the user's name is not UTF-8"),
            },
            (Body::Authenticate { mechanism, .. }, _) if mechanism.as_str() != "PLAIN" => {
                reply(&tag, "NO", "PLAIN is the only mechanism here")
            }
            (Body::Authenticate { initial: Some(initial), .. }, _) => self.plain(tag, initial.expose()),
            (Body::Authenticate { initial: None, .. }, _) => {
                self.reader.expect_raw();
                self.state = State::Challenged(tag);
                Step::Reply("+ \r\n".into())
            }
            _ => reply(&tag, "BAD", "log in first"),
        }
    }

    fn response(&mut self, response: &Password) -> Step {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Challenged(tag) if response.expose() == b"*" => reply(&tag, "BAD", "cancelled"),
            State::Challenged(tag) => self.plain(tag, response.expose()),
            State::Ready | State::Verifying(_) => Step::Reply(Vec::new()),
        }
    }

    /// PLAIN (RFC 4616): for whom, who, secret. Nobody acts for another.
    fn plain(&mut self, tag: Tag, base64: &[u8]) -> Step {
        let malformed = |tag: &Tag| reply(tag, "BAD", "the response is malformed");
        let Ok(message) = BASE64_STANDARD.decode(base64) else { return malformed(&tag) };
        let parts: Vec<_> = message.split(|octet| *octet == 0).collect();
        let [acts_for, user, secret] = parts[..] else { return malformed(&tag) };
        if !acts_for.is_empty() && acts_for != user {
            return reply(&tag, "NO", "[AUTHORIZATIONFAILED] nobody acts for another here");
        }
        match String::from_utf8(user.to_vec()) {
            Ok(user) => self.verify(tag, user, Password::new(secret.to_vec())),
            Err(_) => malformed(&tag),
        }
    }

    fn verify(&mut self, tag: Tag, user: String, secret: Password) -> Step {
        if user.is_empty() || secret.expose().is_empty() {
            return reply(&tag, "BAD", "user and secret are needed");
        }
        self.state = State::Verifying(tag);
        Step::Verify(Credentials { user, secret })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("tls", &self.tls).finish_non_exhaustive()
    }
}

fn reply(tag: &Tag, condition: &str, text: &str) -> Step {
    Step::Reply(format!("{tag} {condition} {text}\r\n").into_bytes())
}

fn untagged(data: &str, tag: &Tag, text: &str) -> Step {
    Step::Reply(format!("* {data}\r\n{tag} OK {text}\r\n").into_bytes())
}

/// What is told before login: nothing of the mail server, and nothing of sessions.
fn capabilities(tls: Tls) -> Capabilities {
    let mut capabilities = Capabilities::default();
    let of_tls: &[&str] = match tls {
        Tls::Established => &["AUTH=PLAIN"],
        Tls::Offered => &["STARTTLS", "LOGINDISABLED"],
    };
    for name in ["IMAP4rev1", "ID", "LITERAL+", "SASL-IR"].iter().chain(of_tls) {
        capabilities.add(name);
    }
    capabilities
}

/// Of a stranger.
const LIMITS: Limits = Limits { token: 4096, literal: 4096, depth: 4 };
/// Commands before login.
const COMMANDS_MAX: u8 = 32;
/// Logins that fail.
const ATTEMPTS_MAX: u8 = 3;
const TOO_MANY: &str = "* BYE too many attempts\r\n";

#[cfg(test)]
mod tests;
