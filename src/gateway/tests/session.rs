//! A session before a real mail server: what is opened again is what the server says by itself.

use std::num::NonZeroU32;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_gateway::allow::Profile;
use sidekey_gateway::replay::Replays;
use sidekey_gateway::session::{Keys, Sealing, Session, Settings};
use sidekey_imap::command::{Literals, Reader};
use sidekey_imap::response::Capabilities;
use sidekey_imap::scanner::Limits;
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::object::{Context, Kind, Mailbox};

use crate::held::{Agent, Held, sealed, sender};
use crate::server::Dovecot;
use crate::{command, corpus};

const NOW: Timestamp = Timestamp(1_000);
const END: Timestamp = Timestamp(4_600);

/// A session and its mail server.
struct Gateway {
    session: Session,
    server: Dovecot,
    piece: usize,
    uid_validity: u32,
}

impl Gateway {
    fn start(messages: &[Vec<u8>], piece: usize, profile: Profile, sealing: Sealing) -> Self {
        let server = Dovecot::start(messages, 8192);
        let capabilities: &[String] = &["XENCRYPTED".into(), "A256GCM".into()];
        let capabilities = capabilities.into();
        let settings = Settings { profile, sealing, capabilities, replays: Replays::default() };
        let upstream = Capabilities::read("IMAP4rev1 LITERAL+ UNSELECT").unwrap();
        let keys: Arc<dyn Keys> = Arc::new(Held::new(0, END));
        let rng = Box::new(ChaCha20Rng::seed_from_u64(7));
        let session = Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, Some(keys), rng);
        Self { session, server, piece, uid_validity: 0 }
    }

    /// What the client gets.
    fn ask(&mut self, text: &str) -> Vec<u8> {
        let (said, mut shown) = (format!("a {text}\r\n"), Vec::new());
        for mut octets in said.as_bytes().chunks(self.piece.min(said.len())) {
            self.session.client(&mut octets, NOW).unwrap();
            assert!(octets.is_empty());
        }
        loop {
            shown.append(self.session.to_client());
            let asked = std::mem::take(self.session.to_server());
            if asked.is_empty() {
                return shown;
            }
            self.server.send(&asked);
            if !self.session.rests() {
                // A message that there was no room for.
                self.session.server(&mut &[][..], NOW).unwrap();
                continue;
            }
            let answer = if asked.ends_with(b"}\r\n") {
                self.server.until_continuation()
            } else {
                self.server.answer(|status| status.tag.is_some()).octets
            };
            for mut octets in answer.chunks(self.piece.min(answer.len())) {
                while !octets.is_empty() || !self.session.rests() {
                    self.session.server(&mut octets, NOW).unwrap();
                    shown.append(self.session.to_client());
                }
            }
        }
    }

    /// What the server says by itself.
    fn directly(&mut self, text: &str) -> Vec<u8> {
        self.server.ask(&command(text), Literals::Plus).octets
    }

    /// With a mailbox selected.
    fn select(&mut self) {
        let answer = self.server.ask(&command("STATUS INBOX (UIDVALIDITY)"), Literals::Plus);
        let text = String::from_utf8(answer.octets).unwrap();
        let number = text.split("UIDVALIDITY ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
        self.uid_validity = number.parse().unwrap();
        assert!(contains(&self.ask("SELECT INBOX"), "\r\na OK [READ-WRITE]"));
    }

    fn agent<'k>(&self, keys: &'k Held) -> Agent<'k> {
        Agent { keys, mailbox: ("INBOX", Some('/')), uid_validity: self.uid_validity, count: 16384 }
    }
}

const ITEMS: [&str; 6] = [
    "UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY",
    "UID BODY.PEEK[] FLAGS",
    "UID BODY.PEEK[]<0.16384> BODY.PEEK[TEXT]<16384.16384> BODY.PEEK[HEADER] BODY.PEEK[2.MIME]",
    "UID BODY.PEEK[TEXT] PREVIEW BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (FROM \"A]B\")]",
    "UID RFC822.HEADER BODY.PEEK[HEADER.FIELDS.NOT (FROM TO)] BODY.PEEK[1.HEADER]",
    "UID RFC822 RFC822.TEXT",
];

#[test]
fn what_is_sealed_opens_to_what_the_server_says_by_itself() {
    let keys = Held::new(0, END);
    for piece in [1, 7, usize::MAX] {
        let mut gateway = Gateway::start(&corpus::messages(), piece, Profile::Strict, Sealing::On);
        gateway.select();
        gateway.directly("STORE 1:* +FLAGS.SILENT (\\Seen)");
        // In single octets a message of a mebibyte takes its time.
        let set = if piece == 1 { "1:7,9:57" } else { "1:*" };
        for items in ITEMS {
            for modifier in ["", " (XENCRYPTED)"] {
                let sealed = gateway.ask(&format!("FETCH {set} ({items}){modifier}"));
                let opened = gateway.agent(&keys).open(&sealed);
                let direct = gateway.directly(&format!("FETCH {set} ({items})"));
                assert!(untimed(&opened) == untimed(&direct), "{items}{modifier} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn nothing_of_a_message_is_shown_whatever_is_allowed() {
    for profile in [Profile::Strict, Profile::MailboxAllow] {
        for (sealing, shown) in [(Sealing::On, 0), (Sealing::Off, crate::SECRETS.len())] {
            let mut gateway = Gateway::start(&corpus::messages(), 8192, profile, sealing);
            let mut seen = Vec::new();
            for text in crate::ALLOWED {
                let answer = gateway.ask(text);
                let last = String::from_utf8_lossy(&answer[answer.len().saturating_sub(100)..]).into_owned();
                assert!(last.contains("\r\na OK ") || last.starts_with("a OK "), "{text}: {last}");
                seen.extend(answer);
            }
            let found = crate::SECRETS.iter().filter(|secret| contains(&seen, secret)).count();
            assert_eq!(found, shown, "a look that cannot find is none");
            assert!(contains(&seen, "\\Flagged") && contains(&seen, "EXISTS"), "the rest goes on");
        }
    }
}

#[test]
fn what_clients_seal_is_stored_and_searched_for() {
    let keys = Held::new(0, END);
    let (inbox, message) =
        (Mailbox::new("INBOX", Some('/')).unwrap(), "Subject: gr\u{fc}n zebra\r\n\r\nhello\r\n");
    let frame = |number, value: &str| {
        let place = Context::append(&inbox, sender(number), &["\\Seen"], None);
        let frame = sealed(&keys, &place, Kind::Literal, value.as_bytes(), 1);
        format!(" (\\Seen) {{{}+}}\r\n{frame}", frame.len())
    };
    for piece in [7, usize::MAX] {
        let mut gateway = Gateway::start(&corpus::messages(), piece, Profile::Strict, Sealing::On);
        gateway.select();
        let both = format!("APPEND INBOX{}{}", frame(1, message), frame(2, &message.repeat(9000)));
        let stored = gateway.ask(&both);
        assert!(
            contains(&stored, "EXISTS\r\n") && contains(&stored, "a OK [APPENDUID "),
            "{}",
            stored.escape_ascii()
        );
        let direct = gateway.directly("FETCH 58:* (FLAGS BODY.PEEK[])");
        assert!(contains(&direct, &format!("BODY[] {{{}}}\r\n{message}", message.len())));
        assert!(contains(&direct, &message.repeat(9000)) && contains(&direct, "\\Seen"));
        assert!(stored.ends_with(&gateway.ask(&both)), "a repeat is given the answer of then");
        assert!(
            contains(&gateway.directly("STATUS INBOX (MESSAGES)"), "(MESSAGES 59)"),
            "and not stored again"
        );
        let uid_validity = NonZeroU32::new(gateway.uid_validity).unwrap();
        for (number, key, string) in
            [(3, "SUBJECT", "zebra"), (4, "TEXT", "gr\u{fc}n"), (5, "FROM", "O'Brien")]
        {
            let place = Context::search(&inbox, uid_validity, sender(number), key, None);
            let frame = sealed(&keys, &place, Kind::Literal, string.as_bytes(), 1);
            let found = gateway.ask(&format!("SEARCH NOT SEEN {key} {{{}+}}\r\n{frame}", frame.len()));
            let seen = gateway.ask("SEARCH SEEN");
            assert!(contains(&found, "* SEARCH") && contains(&seen, "58 59"), "{}", found.escape_ascii());
            let direct = gateway
                .directly(&format!("SEARCH CHARSET UTF-8 NOT SEEN {key} {{{}+}}\r\n{string}", string.len()));
            assert!(untimed(&found) == untimed(&direct), "{key}: {}", found.escape_ascii());
        }
    }
}

fn contains(octets: &[u8], wanted: &str) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

/// Without the last line, which tells how long it took.
fn untimed(octets: &[u8]) -> &[u8] {
    let end = octets.strip_suffix(b"\r\n").unwrap();
    &octets[..end.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1)]
}
