//! What the lists allow, asked of a real server; what of its answers goes on; and what is sealed of it, opened again.
//!
//! ```text
//! tests/counterparts/imap/install && cargo nextest run -p sidekey-gateway
//! ```

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

#[path = "../../imap/tests/chance_source.rs"]
mod chance_source;
#[path = "../../imap/tests/corpus.rs"]
mod corpus;
mod held;
mod memory;
#[path = "../../imap/tests/server.rs"]
mod server;
mod session;

use chance_source::Chance;
use sidekey_gateway::allow::{Answers, Profile, Ruling};
use sidekey_gateway::session::Keys;
use sidekey_imap::command::{Command, Event, Literals, Reader};
use sidekey_imap::response::{Condition, Piece, Responses};
use sidekey_imap::scanner::Limits;

fn command(text: &str) -> Command {
    let line = format!("a {text}\r\n");
    match Reader::new(Limits::CLIENT).next(&mut line.as_bytes()) {
        Ok(Some(Event::Command(command))) => command,
        other => panic!("{text}: {other:?}"),
    }
}

/// What a proxy under this profile makes the mail server do.
fn forwarded(profile: Profile, text: &str) -> Command {
    let Command { tag, body } = command(text);
    let body = match profile.rule(body) {
        Ruling::Forward(body) => body,
        Ruling::Fetch(fetch) => fetch.ask,
        Ruling::Unselect => command("UNSELECT").body,
        other => panic!("{text}: {other:?}"),
    };
    Command { tag, body }
}

const ALLOWED: &[&str] = &[
    "ENABLE CONDSTORE X-NEW",
    "LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT))",
    "STATUS INBOX (MESSAGES UNSEEN HIGHESTMODSEQ)",
    "SELECT INBOX (CONDSTORE)",
    "FETCH 1:* ALL",
    "FETCH 1:* FULL",
    "FETCH 1:* (BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.16384> FLAGS MODSEQ)",
    "UID FETCH 1:* (RFC822 BODYSTRUCTURE PREVIEW) (CHANGEDSINCE 1 XENCRYPTED)",
    "FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)] BODY.PEEK[HEADER.FIELDS (FROM)])",
    "UID SEARCH RETURN (ALL) UNSEEN SINCE 1-Jan-2020",
    "UID STORE 1:5 +FLAGS (\\Seen \\Flagged)",
    "UNSELECT",
    "SELECT INBOX",
    "CLOSE",
];

/// What stands in the messages.
const SECRETS: [&str; 5] = ["partner.example", "Subject", "quarter", "invoice", "multipart"];

#[test]
fn what_is_allowed_is_understood_and_nothing_of_a_message_goes_on() {
    for profile in [Profile::Strict, Profile::MailboxAllow] {
        let mut server = server::Dovecot::start(&corpus::messages(), 8192);
        let (mut taken, mut passed) = (0, Vec::new());
        for text in ALLOWED {
            let answer = server.ask(&forwarded(profile, text), Literals::Plus);
            let status = answer.status.unwrap();
            assert_eq!(status.condition, Condition::Ok, "{text}: {}", status.text);
            let mut responses = Responses::new(Limits::SERVER);
            let mut input = answer.octets.as_slice();
            while let Some(piece) = responses.next(&mut input, &mut Answers).unwrap() {
                match piece {
                    Piece::Wire(octets) => passed.extend_from_slice(&octets),
                    Piece::Take(item) => {
                        assert!(item.message.uid.is_some(), "a frame is bound to the UID: {text}: {item:?}");
                        taken += 1;
                    }
                    _ => {}
                }
            }
        }
        let passed = String::from_utf8_lossy(&passed);
        assert!(passed.contains("\\Flagged") && passed.contains("EXISTS"), "the rest goes on");
        for secret in SECRETS {
            assert!(!passed.contains(secret), "{secret} goes on");
        }
        assert!(taken > 500, "{taken}");
    }
}
