//! An agent's session between a program and whoever stands in the gateway's place: a program is shown no content but
//! what the other end has sealed, for the item that it stands for.

use std::mem;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_agent::session::{Ended, Keys, Session, Settings, Unavailable, Wish};
use sidekey_imap::command::Reader;
use sidekey_imap::response::Capabilities;
use sidekey_imap::scanner::{Limits, Side};
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::object::{Context, Item, Kind, Mailbox, Partial, RecordSize, Sealer, seal};

use super::held::{END, Held, NOW, SESSION};
use super::script::{Scene, scenes};
use super::sound::{contents, is_clean, reads_as_responses};
use crate::choice;

const WAITING_MAX: usize = 3 * 64 * 1024;

/// What the other end has sealed: the item, its partial, and the name that another parser gives it.
const SEALED: [(&str, Option<(u64, u32)>, &str); 8] = [
    ("BODY[]", None, "None"),
    ("BODY[]", Some((0, 16384)), "None"),
    ("BODY[TEXT]", None, "Some(Full(Text))"),
    ("BODY[HEADER]", None, "Some(Full(Header))"),
    ("BODY[1]", None, "Some(Part([1], None))"),
    ("BODY[HEADER.FIELDS (SUBJECT)]", None, "Some(Full(Header))"),
    ("ENVELOPE", None, "ENVELOPE"),
    ("BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]", None, "Some(Full(Header))"),
];

pub fn agent(octets: &[u8]) {
    let (choice, script) = choice(octets);
    let mut talk = Talk::new(choice);
    for scene in scenes(script) {
        talk.play(scene);
        if talk.ended.is_some() {
            break;
        }
    }
    assert!(is_clean(Side::Server, &talk.to_program), "{}", talk.to_program.escape_ascii());
    assert!(is_clean(Side::Client, &talk.to_server), "{}", talk.to_server.escape_ascii());
    reads_as_responses(&talk.to_program);
    let (mut reader, mut input) = (Reader::new(Limits::CLIENT), talk.to_server.as_slice());
    while reader.next(&mut input).expect("commands").is_some() {}
    for (name, content) in contents(&talk.to_program) {
        assert!(was_sealed(&name, &content), "{name} is forged: {}", content.escape_ascii());
    }
}

/// What stands in the place of an item.
fn value(item: &str, uid: u32) -> String {
    match item {
        "BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]" => {
            format!("SIDEKEY-DESCRIPTOR: size={:020}\r\n\r\n", 1000 + uid)
        }
        item => format!("{item} of {uid}, which is sealed"),
    }
}

/// Whether it is, or is a part of, what was sealed for an item that is called so.
fn was_sealed(name: &str, content: &[u8]) -> bool {
    let mut values = SEALED.iter().filter(|(.., called)| *called == name);
    values.any(|(item, ..)| {
        (0..32).any(|uid| {
            let value = value(item, uid);
            content.is_empty() || value.as_bytes().windows(content.len()).any(|part| part == content)
        })
    })
}

/// A frame that holds, as it travels: three bits say of what, five of which message.
fn frame(which: u8) -> String {
    let (item, partial, _) = SEALED[usize::from(which >> 5)];
    let uid = u32::from(which & 31);
    let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let mailbox = Mailbox::new("INBOX", Some('/')).expect("a name");
    let partial = partial.map(|(origin, count)| Partial::new(origin, count).expect("a partial"));
    let parsed = Item::parse(item).expect("an item");
    let context = Context::fetch(&mailbox, number(44), number(uid), &parsed, partial).expect("a place");
    let value = match item {
        "ENVELOPE" => format!("(NIL \"{}\" NIL NIL NIL NIL NIL NIL NIL NIL)", value(item, uid)),
        item => value(item, uid),
    };
    let kind = if item == "ENVELOPE" { Kind::List } else { Kind::Literal };
    let held = Held::new();
    let key = &sidekey_agent::session::Keys::object(&*held).s2c;
    let sealer = Sealer::new(key, &context, kind, value.len() as u64, RecordSize::default(), [4; 16]);
    let mut sealed = Vec::new();
    seal(sealer.expect("it fits"), value.as_bytes(), &mut sealed).expect("it is as long as was said");
    let text = BASE64_STANDARD.encode(sealed);
    let literal = format!("{{{}}}\r\n{text}", text.len());
    if item == "ENVELOPE" { format!("(NIL {literal} NIL NIL NIL NIL NIL NIL NIL NIL)") } else { literal }
}

struct Talk {
    session: Session,
    piece: usize,
    late: bool,
    wish: Option<Wish>,
    unread: [Vec<u8>; 2],
    to_program: Vec<u8>,
    to_server: Vec<u8>,
    ended: Option<Ended>,
}

impl Talk {
    fn new(choice: u8) -> Self {
        let literals = ["LITERAL+", "LITERAL-", "ID"][usize::from(choice % 3)];
        let upstream = format!("IMAP4rev1 {literals} UIDPLUS MOVE XENCRYPTED XENCRYPTED=C20P");
        let upstream = Capabilities::read(&upstream).expect("capabilities");
        let settings = Settings { deletions_max: 3, ..Settings::new(PartyId::from_bytes([5; 16])) };
        let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
        let session = Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, rng);
        let mut talk = Self {
            session: session.expect("the other end is a gateway"),
            piece: [usize::MAX, 1, 5, 64][usize::from(choice / 3 % 4)],
            late: false,
            wish: None,
            unread: [Vec::new(), Vec::new()],
            to_program: Vec::new(),
            to_server: Vec::new(),
            ended: None,
        };
        talk.play(Scene::Server(b"* LIST (\\HasNoChildren) \"/\" INBOX\r\ns1 OK listed\r\n"));
        talk.play(Scene::Client(b"p SELECT INBOX\r\n"));
        talk.play(Scene::Server(b"* 31 EXISTS\r\n* OK [UIDVALIDITY 44] x\r\ns2 OK [READ-WRITE] x\r\n"));
        talk
    }

    fn play(&mut self, scene: Scene<'_>) {
        match scene {
            Scene::Client(said) => self.hear(0, said),
            Scene::Server(said) => {
                // An octet of its own stands for a frame, the next says which.
                let mut parts = said.split(|octet| *octet == 14);
                self.hear(1, parts.next().unwrap_or_default());
                for part in parts {
                    if let Some((which, rest)) = part.split_first() {
                        self.hear(1, frame(*which).as_bytes());
                        self.hear(1, rest);
                    }
                }
            }
            Scene::Key => self.grant(true),
            Scene::NoKey => self.grant(false),
            Scene::Confirmed => self.session.deletion(true),
            Scene::Late => self.late = true,
            Scene::Gone => self.session.server_gone(),
        }
        self.hear(0, b"");
        self.hear(1, b"");
    }

    fn grant(&mut self, granted: bool) {
        match self.wish.take() {
            Some(Wish::Key { session, .. }) if session != SESSION => {
                self.session.key(Err(Unavailable::Unknown))
            }
            Some(Wish::Key { .. } | Wish::Current { .. }) => {
                let key = || Held::new() as Arc<dyn Keys>;
                self.session.key(granted.then(key).ok_or(Unavailable::Unreachable));
            }
            Some(Wish::Numbers { .. }) => {
                self.session.numbers(granted.then_some(NonZeroU64::MIN).ok_or(Unavailable::Unreachable));
            }
            Some(Wish::Deletion { .. }) => self.session.deletion(granted),
            Some(Wish::Again) => self.session.again(None),
            None => self.session.forget_keys(),
        }
    }

    fn hear(&mut self, side: usize, said: &[u8]) {
        let piece = self.piece.min(said.len().max(1));
        for octets in said.chunks(piece).chain([&b""[..]]) {
            self.unread[side].extend_from_slice(octets);
            self.take(side);
        }
    }

    fn take(&mut self, side: usize) {
        let mut unread = mem::take(&mut self.unread[side]);
        let mut input = unread.as_slice();
        while self.ended.is_none() {
            let before = input.len();
            let now = if self.late { END } else { NOW };
            let taken = match side {
                0 => self.session.program(&mut input, now),
                _ => self.session.server(&mut input, now),
            };
            self.ended = taken.err();
            if let Some(wish) = self.session.wish() {
                assert!(!self.session.reads_program() && !self.session.reads_server(), "it waits");
                self.wish = Some(wish);
            }
            let moved = self.drain() || input.len() < before;
            if !moved {
                break;
            }
        }
        let taken = unread.len() - input.len();
        unread.drain(..taken);
        self.unread[side] = unread;
        self.drain();
    }

    /// Whether there was anything.
    fn drain(&mut self) -> bool {
        let to_program = mem::take(self.session.to_program());
        let to_server = mem::take(self.session.to_server());
        assert!(to_program.len() < WAITING_MAX && to_server.len() < WAITING_MAX, "what waits has a bound");
        self.to_program.extend_from_slice(&to_program);
        self.to_server.extend_from_slice(&to_server);
        assert!(self.session.alerts().len() <= 64, "alerts have a bound");
        !to_program.is_empty() || !to_server.is_empty()
    }
}
