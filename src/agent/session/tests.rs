//! A program on one side, a script on the other.

mod hostile;
mod reading;
mod sealing;

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_imap::command::Reader;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::object::{
    Agreed, Context, Item, Kind, ObjectKeys, Partial, RecordSize, Sealer, ServerToClient, seal,
};
use sidekey_protocol::session::Suite;

use super::*;
use crate::alert::{Changed, Forgery, Plain, Wrong};

const NOW: Timestamp = Timestamp(1_000);
const SESSION: SessionId = SessionId::from_bytes([7; 16]);

#[derive(Debug)]
struct Key(ObjectKeys, SessionId, u32);

impl Key {
    fn new(session: SessionId, generation: u32) -> Self {
        let agreed = Agreed {
            session,
            generation,
            suite: Suite::A256gcm,
            policy_hash: [1; 32],
            capabilities_hash: [2; 32],
            offer_hash: [0; 32],
        };
        Self(ObjectKeys::derive(&Secret::fill_with(|key| key.fill(9)), &agreed), session, generation)
    }
}

impl Keys for Key {
    fn object(&self) -> &ObjectKeys {
        &self.0
    }

    fn session(&self) -> SessionId {
        self.1
    }

    fn generation(&self) -> u32 {
        self.2
    }

    fn not_after(&self) -> Timestamp {
        Timestamp(5_000)
    }
}

/// A connection in memory, with INBOX selected.
struct Rig {
    session: Session,
    /// Octets that are handed in at once.
    piece: usize,
    wishes: Vec<Wish>,
    /// Why the key service gives no key, if it gives none.
    no_key: Option<Unavailable>,
    said: Vec<u8>,
    sent: Vec<u8>,
    alerts: Vec<Alert>,
    ended: Option<Ended>,
}

impl Rig {
    fn new() -> Self {
        Self::in_pieces(usize::MAX)
    }

    fn in_pieces(piece: usize) -> Self {
        let upstream =
            Capabilities::read("IMAP4rev1 LITERAL+ UIDPLUS XENCRYPTED XENCRYPTED=A256GCM").unwrap();
        let settings = Settings { deletions_max: 3, ..Settings::new(PartyId::from_bytes([5; 16])) };
        let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
        let session = Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, rng).unwrap();
        let mut rig = Self {
            session,
            piece,
            wishes: Vec::new(),
            no_key: None,
            said: Vec::new(),
            sent: Vec::new(),
            alerts: Vec::new(),
            ended: None,
        };
        assert_eq!(rig.sent(), "s1 LIST \"\" \"INBOX\"\r\n");
        rig.server(b"* LIST (\\HasNoChildren) \"/\" INBOX\r\ns1 OK listed\r\n");
        rig.program("p SELECT INBOX\r\n");
        assert_eq!(rig.sent(), "s2 SELECT INBOX\r\n");
        rig.server(b"* 9 EXISTS\r\n* OK [UIDVALIDITY 44] valid\r\ns2 OK [READ-WRITE] selected\r\n");
        assert_eq!(rig.said(), "* 9 EXISTS\r\n* OK [UIDVALIDITY 44] valid\r\np OK [READ-WRITE] selected\r\n");
        rig
    }

    /// With this command of the program's upstream, which is `sent`.
    fn asked(mut self, command: &str, sent: &str) -> Self {
        self.program(&format!("q {command}\r\n"));
        assert_eq!(self.sent(), format!("s3 {sent}\r\n"));
        self
    }

    fn program(&mut self, text: &str) {
        for mut piece in text.as_bytes().chunks(self.piece.min(text.len())) {
            while !piece.is_empty() && self.ended.is_none() {
                let before = piece.len();
                let ended = self.session.program(&mut piece, NOW).err();
                self.drain(ended);
                assert!(piece.len() < before || self.ended.is_some(), "it is stuck");
            }
        }
    }

    fn server(&mut self, octets: &[u8]) {
        for mut piece in octets.chunks(self.piece.min(octets.len().max(1))) {
            loop {
                let before = piece.len();
                let ended = self.session.server(&mut piece, NOW).err();
                let moved = self.drain(ended);
                if self.ended.is_some() || (piece.is_empty() && !moved) {
                    break;
                }
                assert!(piece.len() < before || moved, "it is stuck");
            }
        }
    }

    /// Takes what waits, and answers what is wished for; whether there was anything.
    fn drain(&mut self, ended: Option<Ended>) -> bool {
        assert!(self.session.to_program().len() < 2 * 64 * 1024, "what waits is bounded");
        let mut moved = !self.session.to_program().is_empty() || !self.session.to_server().is_empty();
        self.said.append(self.session.to_program());
        self.sent.append(self.session.to_server());
        self.alerts.extend(self.session.alerts());
        self.ended = self.ended.take().or(ended);
        if let Some(wish) = self.session.wish() {
            assert_eq!(self.session.wish(), None, "it is told once");
            assert!(!self.session.reads_server() && !self.session.reads_program());
            self.wishes.push(wish);
            moved = true;
            if let Wish::Key { session, generation } = wish {
                self.session.key(match (self.no_key, session == SESSION) {
                    (Some(why), _) => Err(why),
                    (None, true) => Ok(Arc::new(Key::new(session, generation))),
                    (None, false) => Err(Unavailable::Unknown),
                });
            } else {
                moved = false;
            }
        }
        moved
    }

    fn said(&mut self) -> String {
        String::from_utf8(mem::take(&mut self.said)).unwrap()
    }

    fn sent(&mut self) -> String {
        self.sent.append(self.session.to_server());
        String::from_utf8(mem::take(&mut self.sent)).unwrap()
    }
}

/// A place in the mailbox that is selected.
struct Place {
    mailbox: &'static str,
    uid_validity: u32,
    uid: u32,
    item: &'static str,
    partial: Option<(u64, u32)>,
    session: SessionId,
}

/// Of a whole item.
const fn of(uid: u32, item: &'static str) -> Place {
    Place { mailbox: "INBOX", uid_validity: 44, uid, item, partial: None, session: SESSION }
}

impl Place {
    fn frame(&self, kind: Kind, value: &[u8]) -> Vec<u8> {
        let number = |n| NonZeroU32::new(n).unwrap();
        let mailbox = object::Mailbox::new(self.mailbox, Some('/')).unwrap();
        let partial = self.partial.map(|(origin, count)| Partial::new(origin, count).unwrap());
        let item = Item::parse(self.item).unwrap();
        let context: Context<ServerToClient> =
            Context::fetch(&mailbox, number(self.uid_validity), number(self.uid), &item, partial).unwrap();
        let key = Key::new(self.session, 0);
        let len = value.len() as u64;
        let sealer = Sealer::new(&key.0.s2c, &context, kind, len, RecordSize::default(), [4; 16]).unwrap();
        let mut frame = Vec::new();
        seal(sealer, value, &mut frame).unwrap();
        frame
    }

    /// As it travels.
    fn text(&self, kind: Kind, value: &[u8]) -> String {
        literal(&self.frame(kind, value))
    }
}

fn literal(frame: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(frame);
    format!("{{{}}}\r\n{text}", text.len())
}
