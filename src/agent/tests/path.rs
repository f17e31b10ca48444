//! Both sessions between a program and a mail server.

use std::mem;
use std::num::NonZeroU64;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_agent::alert::Alert;
use sidekey_agent::session as agent;
use sidekey_gateway::allow::Profile;
use sidekey_gateway::replay::Replays;
use sidekey_gateway::session as gateway;
use sidekey_imap::command::Reader;
use sidekey_imap::response::{Capabilities, Piece};
use sidekey_imap::scanner::Limits;
use sidekey_protocol::ids::PartyId;

use crate::held::{Held, NOW};
use crate::server::Dovecot;

/// Program ⇄ agent ⇄ proxy ⇄ gateway ⇄ Dovecot.
pub(crate) struct Path {
    agent: agent::Session,
    gateway: gateway::Session,
    pub(crate) server: Dovecot,
    piece: usize,
    next: u64,
    /// What went over the proxy to the agent.
    pub(crate) seen: Vec<u8>,
    pub(crate) alerts: Vec<Alert>,
}

impl Path {
    /// With these messages in INBOX, which is selected.
    pub(crate) fn start(messages: &[Vec<u8>], piece: usize, octets: bool) -> Self {
        let capabilities: &[String] = &["XENCRYPTED".into(), "C20P".into()];
        let upstream = Capabilities::read("IMAP4rev1 LITERAL+ UNSELECT").unwrap();
        let settings = gateway::Settings {
            profile: Profile::MailboxAllow,
            sealing: gateway::Sealing::On,
            capabilities: capabilities.into(),
            replays: Replays::default(),
        };
        let rng = || Box::new(ChaCha20Rng::seed_from_u64(7));
        let reader = || Reader::new(Limits::CLIENT);
        let gateway = gateway::Session::begin(reader(), settings, &upstream, Some(Held::new()), rng());
        let settings = agent::Settings { octets, ..agent::Settings::new(PartyId::from_bytes([5; 16])) };
        let shown = Capabilities::read("IMAP4rev1 LITERAL+ UNSELECT XENCRYPTED XENCRYPTED=C20P").unwrap();
        let agent = agent::Session::begin(reader(), settings, &shown, rng()).unwrap();
        let server = Dovecot::start(messages, 8192);
        let mut path = Self { agent, gateway, server, piece, next: 1, seen: Vec::new(), alerts: Vec::new() };
        path.ask("SELECT INBOX");
        path
    }

    /// What the program gets for a command, to its tagged answer.
    pub(crate) fn ask(&mut self, text: &str) -> Vec<u8> {
        self.say(format!("a {text}\r\n").as_bytes(), b"\r\na ")
    }

    /// What the program gets until this has come.
    pub(crate) fn say(&mut self, said: &[u8], until: &[u8]) -> Vec<u8> {
        let (mut left, mut got) = (said, Vec::new());
        loop {
            self.program(&mut left, &mut got);
            let last = got.len().saturating_sub(400);
            let ended = got.starts_with(&until[2..])
                || got[last..].windows(until.len()).any(|window| window == until);
            if left.is_empty() && ended {
                return got;
            }
            let mut asked = mem::take(self.gateway.to_server());
            assert!(!asked.is_empty(), "nobody moves: {}", got.escape_ascii());
            while !asked.is_empty() {
                self.server.send(&asked);
                self.answer(b"", &mut got);
                asked = mem::take(self.gateway.to_server());
            }
            // It answers, or asks for what is to follow.
            let answer = self.server.read(|piece| match piece {
                Piece::Continuation(_) => true,
                Piece::Status(status) => status.tag.is_some(),
                _ => false,
            });
            self.answer(&answer.octets, &mut got);
        }
    }

    /// From the program to the gateway, as far as it goes.
    fn program(&mut self, left: &mut &[u8], got: &mut Vec<u8>) {
        loop {
            let before = (left.len(), got.len());
            self.agent.program(left, NOW).unwrap();
            self.grant();
            let asked = mem::take(self.agent.to_server());
            for mut octets in asked.chunks(self.piece) {
                while !octets.is_empty() {
                    let before = octets.len();
                    self.gateway.client(&mut octets, NOW).unwrap();
                    let granted = self.gateway.wish().is_some();
                    if granted {
                        self.gateway.key(Ok(Held::new()));
                    }
                    assert!(granted || octets.len() < before, "it is stuck");
                }
                self.gateway.client(&mut octets, NOW).unwrap();
            }
            self.answer(b"", got);
            if (left.len(), got.len()) == before && asked.is_empty() {
                break;
            }
        }
    }

    /// From the mail server to the program.
    fn answer(&mut self, octets: &[u8], got: &mut Vec<u8>) {
        let mut said = octets;
        loop {
            self.gateway.server(&mut said, NOW).unwrap();
            let shown = mem::take(self.gateway.to_client());
            self.seen.extend_from_slice(&shown);
            for mut shown in shown.chunks(self.piece) {
                loop {
                    self.agent.server(&mut shown, NOW).unwrap();
                    self.alerts.extend(self.agent.alerts());
                    let moved = self.grant() | !self.agent.to_program().is_empty();
                    got.append(self.agent.to_program());
                    if shown.is_empty() && !moved {
                        break;
                    }
                }
            }
            if said.is_empty() && shown.is_empty() && self.gateway.rests() {
                break;
            }
        }
    }

    /// Fulfils a wish of the agent's; whether there was one.
    fn grant(&mut self) -> bool {
        match self.agent.wish() {
            None => return false,
            Some(agent::Wish::Key { .. } | agent::Wish::Current { .. }) => self.agent.key(Ok(Held::new())),
            Some(agent::Wish::Numbers { count, .. }) => {
                self.agent.numbers(Ok(NonZeroU64::new(self.next).unwrap()));
                self.next += count.get();
            }
            Some(agent::Wish::Deletion { .. }) => self.agent.deletion(true),
            Some(agent::Wish::Again) => self.agent.again(None),
        }
        true
    }
}
