//! A gateway's session between anybody and anything.

use std::mem;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_gateway::allow::Profile;
use sidekey_gateway::replay::Replays;
use sidekey_gateway::session::{Ended, Keys, Sealing, Session, Settings, Unavailable, Wish};
use sidekey_imap::command::{Body, Change, Event, Reader};
use sidekey_imap::response::Capabilities;
use sidekey_imap::scanner::{Limits, Side};

use super::held::{END, Held, NOW, SESSION};
use super::script::{Scene, scenes};
use super::sound::{contents, count, is_clean, reads_as_responses};
use crate::choice;

/// What waits for one side at most: what it takes no more past, and what one piece makes of it.
const WAITING_MAX: usize = 3 * 64 * 1024;
/// The shortest content that is looked for: shorter octets stand anywhere.
const TELLING: usize = 6;

pub fn gateway(octets: &[u8]) {
    let (choice, script) = choice(octets);
    let mut talk = Talk::new(choice);
    for scene in scenes(script) {
        talk.play(scene);
        if talk.ended.is_some() {
            break;
        }
    }
    talk.shows_no_content();
    talk.speaks_imap();
    talk.changes_nothing();
}

struct Talk {
    session: Session,
    /// Octets that are handed in at once.
    piece: usize,
    late: bool,
    wish: Option<Wish>,
    /// What a side said that is not taken yet.
    unread: [Vec<u8>; 2],
    server_said: Vec<u8>,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    ended: Option<Ended>,
}

impl Talk {
    fn new(choice: u8) -> Self {
        let literals = ["LITERAL+", "LITERAL-", "ID"][usize::from(choice % 3)];
        let upstream = Capabilities::read(&format!("IMAP4rev1 UNSELECT {literals}")).expect("capabilities");
        let capabilities: &[String] = &["XENCRYPTED".into(), "C20P".into()];
        let settings = Settings {
            profile: Profile::Strict,
            sealing: Sealing::On,
            capabilities: capabilities.into(),
            replays: Replays::default(),
        };
        let keys = (choice < 128).then(|| Held::new() as Arc<dyn Keys>);
        let rng = Box::new(ChaCha20Rng::seed_from_u64(7));
        let session = Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, keys, rng);
        Self {
            session,
            piece: [usize::MAX, 1, 5, 64][usize::from(choice / 3 % 4)],
            late: false,
            wish: None,
            unread: [Vec::new(), Vec::new()],
            server_said: Vec::new(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            ended: None,
        }
    }

    fn play(&mut self, scene: Scene<'_>) {
        match scene {
            Scene::Client(said) => self.hear(0, said),
            Scene::Server(said) => {
                self.server_said.extend_from_slice(said);
                self.hear(1, said);
            }
            Scene::Key | Scene::Confirmed => {
                let known = !matches!(self.wish.take(), Some(Wish::KeyOf(session, generation))
                    if (session, generation) != (SESSION, 0));
                let key = || Held::new() as Arc<dyn Keys>;
                self.session.key(known.then(key).ok_or(Unavailable::Refused));
            }
            Scene::NoKey => self.session.key(Err(Unavailable::Later)),
            Scene::Late => self.late = true,
            Scene::Gone => self.ended = Some(self.session.server_gone()),
        }
        self.hear(0, b"");
        self.hear(1, b"");
    }

    /// Hands in what a side says, in pieces, until no more is taken.
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
                0 => self.session.client(&mut input, now),
                _ => self.session.server(&mut input, now),
            };
            self.ended = taken.err();
            self.wish = self.session.wish().or(self.wish.take());
            let moved = input.len() < before || self.drain();
            if side == 0 || !moved {
                assert!(side == 0 || self.ended.is_some() || self.session.rests(), "it is stuck");
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
        let (to_client, to_server) =
            (mem::take(self.session.to_client()), mem::take(self.session.to_server()));
        assert!(to_client.len() < WAITING_MAX && to_server.len() < WAITING_MAX, "what waits has a bound");
        self.to_client.extend_from_slice(&to_client);
        self.to_server.extend_from_slice(&to_server);
        !to_client.is_empty() || !to_server.is_empty()
    }

    /// What another parser finds of messages in what the server said goes to nobody as it is.
    fn shows_no_content(&self) {
        let contents = contents(&self.server_said);
        for (item, content) in contents.iter().filter(|(_, content)| content.len() >= TELLING) {
            let within = contents.iter().map(|(_, other)| count(other, content)).sum::<usize>();
            // What the server says elsewhere too, it has shown by itself.
            if count(&self.server_said, content) <= within {
                let shown = count(&self.to_client, content);
                assert_eq!(shown, 0, "{item} is shown: {}", content.escape_ascii());
            }
        }
    }

    /// Whatever came, what goes out is IMAP.
    fn speaks_imap(&self) {
        assert!(is_clean(Side::Server, &self.to_client), "{}", self.to_client.escape_ascii());
        assert!(is_clean(Side::Client, &self.to_server), "{}", self.to_server.escape_ascii());
        reads_as_responses(&self.to_client);
    }

    /// The mail server is asked nothing that a strict profile does not allow.
    fn changes_nothing(&self) {
        let (mut reader, mut input) = (Reader::new(Limits::CLIENT), self.to_server.as_slice());
        while let Some(event) = reader.next(&mut input).expect("commands") {
            match event {
                // How an IDLE ends.
                Event::Refused(Some(tag), _) if tag.as_str() == "DONE" => {}
                Event::Refused(tag, refusal) => panic!("{tag:?}: {refusal}"),
                Event::Command(command) => {
                    assert!(is_allowed(&command.body), "{command:?}");
                }
                _ => {}
            }
        }
    }
}

fn is_allowed(body: &Body) -> bool {
    match body {
        Body::Store { change, flags, .. } => {
            let marks = |flag: &str| ["\\Answered", "\\Flagged", "\\Seen"].contains(&flag);
            *change != Change::Replace && flags.iter().all(|flag| marks(flag.as_str()))
        }
        Body::Capability
        | Body::Check
        | Body::Enable(_)
        | Body::Examine(..)
        | Body::Fetch { .. }
        | Body::Idle
        | Body::List(_)
        | Body::Logout
        | Body::Lsub(..)
        | Body::Namespace
        | Body::Noop
        | Body::Search(..)
        | Body::Select(..)
        | Body::Status(..)
        | Body::Unselect => true,
        _ => false,
    }
}
