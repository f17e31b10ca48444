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
mod tests {
    use super::*;

    /// What is sent until something else is to be done, and that.
    fn talk(login: &mut Login, said: &str) -> (String, Option<Step>) {
        let mut input = said.as_bytes();
        let mut sent = Vec::new();
        loop {
            match login.next(&mut input) {
                Some(Step::Reply(octets)) => sent.extend(octets),
                step => return (String::from_utf8(sent).unwrap(), step),
            }
        }
    }

    fn credentials(user: &str, secret: &str) -> Option<Step> {
        Some(Step::Verify(Credentials { user: user.to_owned(), secret: Password::new(secret.into()) }))
    }

    fn encoded(plain: &str) -> String {
        BASE64_STANDARD.encode(plain)
    }

    #[test]
    fn every_way_to_log_in_leads_to_the_same_question() {
        let plain = encoded("\0ann\0s3cret");
        for (said, sent) in [
            ("a LOGIN ann s3cret\r\n".to_owned(), ""),
            ("a LOGIN {3}\r\nann {6+}\r\ns3cret\r\n".to_owned(), "+ go on\r\n"),
            (format!("a AUTHENTICATE plain {plain}\r\n"), ""),
            (format!("a AUTHENTICATE PLAIN\r\n{plain}\r\n"), "+ \r\n"),
            (format!("a AUTHENTICATE PLAIN {}\r\n", encoded("ann\0ann\0s3cret")), ""),
        ] {
            let (mut login, _) = Login::begin(Tls::Established);
            assert_eq!(talk(&mut login, &said), (sent.to_owned(), credentials("ann", "s3cret")), "{said}");
        }
    }

    #[test]
    fn nobody_is_asked_about_what_is_malformed_or_in_clear() {
        for (tls, said, sent) in [
            (Tls::Offered, "a LOGIN ann x\r\n".to_owned(), "a NO [PRIVACYREQUIRED] begin TLS first\r\n"),
            (
                Tls::Offered,
                "a AUTHENTICATE PLAIN\r\n".to_owned(),
                "a NO [PRIVACYREQUIRED] begin TLS first\r\n",
            ),
            (Tls::Established, "a STARTTLS\r\n".to_owned(), "a BAD log in first\r\n"),
            (
                Tls::Established,
                "a AUTHENTICATE LOGIN\r\n".to_owned(),
                "a NO PLAIN is the only mechanism here\r\n",
            ),
            (Tls::Established, "a AUTHENTICATE PLAIN\r\n*\r\n".to_owned(), "+ \r\na BAD cancelled\r\n"),
            (
                Tls::Established,
                "a AUTHENTICATE PLAIN =\r\n".to_owned(),
                "a BAD the response is malformed\r\n",
            ),
            (
                Tls::Established,
                format!("a AUTHENTICATE PLAIN {}\r\n", encoded("bob\0ann\0x")),
                "a NO [AUTHORIZATIONFAILED] nobody acts for another here\r\n",
            ),
            (
                Tls::Established,
                format!("a AUTHENTICATE PLAIN {}\r\n", encoded("\0ann\0x\0y")),
                "a BAD the response is malformed\r\n",
            ),
            (Tls::Established, "a LOGIN ann \"\"\r\n".to_owned(), "a BAD user and secret are needed\r\n"),
            (Tls::Established, "a SELECT INBOX\r\n".to_owned(), "a BAD log in first\r\n"),
            (
                Tls::Established,
                "a APPEND x {5}\r\nb NOOP\r\n".to_owned(),
                "a BAD log in first\r\nb OK done\r\n",
            ),
        ] {
            let (mut login, _) = Login::begin(tls);
            assert_eq!(talk(&mut login, &said), (sent.to_owned(), None), "{said}");
        }
    }

    #[test]
    fn before_tls_no_login_is_offered_and_none_is_taken_over_from_before() {
        let (mut login, greeting) = Login::begin(Tls::Offered);
        let greeting = String::from_utf8(greeting).unwrap();
        assert_eq!(
            greeting,
            "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ SASL-IR STARTTLS LOGINDISABLED] Sidekey is ready\r\n"
        );
        // The injected command stays in the input, which the caller throws away.
        let mut input = &b"a STARTTLS\r\nb LOGIN mallory x\r\n"[..];
        assert_eq!(login.next(&mut input), Some(Step::StartTls(b"a OK begin TLS\r\n".to_vec())));
        assert_eq!(input, b"b LOGIN mallory x\r\n");
        let (sent, _) = talk(&mut Login::after_tls(Tls::Established), "c CAPABILITY\r\n");
        assert_eq!(sent, "* CAPABILITY IMAP4rev1 ID LITERAL+ SASL-IR AUTH=PLAIN\r\nc OK done\r\n");
    }

    #[test]
    fn what_was_found_out_decides() {
        let (mut login, _) = Login::begin(Tls::Established);
        for (outcome, sent) in [
            (Outcome::Refused, "a NO [AUTHENTICATIONFAILED] user or secret is wrong\r\n"),
            (Outcome::Unavailable, "a NO [UNAVAILABLE] try again later\r\n"),
        ] {
            talk(&mut login, "a LOGIN ann x\r\n");
            let Verified::Again(octets, again) = login.verified(&outcome) else { panic!("{sent}") };
            assert_eq!(String::from_utf8(octets).unwrap(), sent);
            login = again;
        }
        talk(&mut login, "a LOGIN ann x\r\n");
        let Verified::Over(octets) = login.verified(&Outcome::NoWayOn("no mail server today")) else {
            panic!("the third is the last")
        };
        assert_eq!(octets, b"a NO [UNAVAILABLE] no mail server today\r\n* BYE too many attempts\r\n");
        let (mut login, _) = Login::begin(Tls::Established);
        let mut input = &b"a LOGIN ann x\r\nb SELECT INBOX\r\n"[..];
        assert_eq!(login.next(&mut input), credentials("ann", "x"));
        assert_eq!(login.next(&mut input), None, "nothing is read before it is decided");
        let outcome = Outcome::Accepted(Capabilities::read("IMAP4rev1 XENCRYPTED").unwrap());
        let Verified::LoggedIn(octets, mut reader) = login.verified(&outcome) else { panic!("logged in") };
        assert_eq!(octets, b"a OK [CAPABILITY IMAP4rev1 XENCRYPTED] logged in\r\n");
        assert!(matches!(
            reader.next(&mut input),
            Ok(Some(Event::Command(Command { body: Body::Select(..), .. })))
        ));
    }

    #[test]
    fn a_stranger_is_heard_for_a_while_and_not_kept() {
        let (mut login, _) = Login::begin(Tls::Established);
        let (sent, end) = talk(&mut login, &"a NOOP\r\n".repeat(40));
        assert_eq!((sent.lines().count(), end), (32, Some(Step::End(TOO_MANY.into()))));
        for said in [
            "a NOOP\nb NOOP\r\n".to_owned(),
            format!("a LOGIN ann {}", "x".repeat(5000)),
            "a ((((((".to_owned(),
        ] {
            let (mut login, _) = Login::begin(Tls::Established);
            let Some(Step::End(octets)) = login.next(&mut said.as_bytes()) else { panic!("{said}") };
            let text = String::from_utf8(octets).unwrap();
            assert!(text.starts_with("a BAD ") && text.ends_with("\r\n* BYE no IMAP\r\n"), "{text}");
        }
        let (mut login, _) = Login::begin(Tls::Established);
        assert!(matches!(talk(&mut login, "a LOGOUT\r\n").1, Some(Step::End(_))));
    }

    #[test]
    fn a_secret_is_mute() {
        let (mut login, _) = Login::begin(Tls::Established);
        let step = talk(&mut login, "a LOGIN ann opensesame\r\n").1;
        let text = format!("{step:?} {login:?}");
        assert!(text.contains("ann") && !text.contains("opensesame"), "{text}");
    }
}
