use std::process::Command;

use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{ServiceId, SessionId, Timestamp};
use sidekey_protocol::session::{Capabilities, OFFER_OF_SEVERAL, Suite};

use super::super::at_rest::AtRest;
use super::super::journal::Position;
use super::super::open::spki;
use super::super::record::{self, Entry, NewRoot, Opened, Record, RootOf};
use super::super::state::State;
use super::{ADMIN, START, rng, root_key, server};

const SESSIONS: usize = 200_000;
const PER_USER: usize = 20;
/// Says that this process is the one that is measured.
const CHILD: &str = "SIDEKEY_MEASURED_CHILD";

/// Runs once more, in a process of its own whose memory nothing else uses.
#[test]
fn a_live_session_costs_at_most_200_octets() {
    if std::env::var_os(CHILD).is_some() {
        return many_sessions_in_memory();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::measured::a_live_session_costs_at_most_200_octets", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    let octets = said.lines().find_map(|line| line.split_once("octets a session: ")).expect(&said).1;
    let octets: usize = octets.trim().parse().unwrap();
    assert!((80..=200).contains(&octets), "{octets} octets");
}

fn many_sessions_in_memory() {
    let folder = super::scratch();
    let mut rng = rng();
    let at_rest = AtRest::create(folder.path(), &root_key(), START, &mut *rng).unwrap();
    let mut state = State::default();
    let mut seq = 0;
    let mut apply = |state: &mut State, record| {
        seq += 1;
        let entry = Entry { salt: [0; 16], at: START, by: Some(ADMIN), record, whom: Vec::new() };
        state.apply(Position { seq, hash: [0; 32] }, &[], entry).unwrap();
    };
    let key = SigningKey::generate(&mut rng).verifying_key();
    let sealed = at_rest.seal(record::Secret::Root(0, [0; 16]).place(), &[0; 32], &mut *rng);
    let (service, public_url, label) = (ServiceId::from_bytes([0; 16]), String::new(), String::new());
    let created = Record::Created {
        service,
        public_url,
        key: sealed.clone(),
        key_public: Box::new(spki(&key)),
        admin: ADMIN,
        admin_key: spki(&key),
        label,
    };
    apply(&mut state, created);
    apply(&mut state, Record::ServerAdded { server: server() });
    let mut open = |state: &mut State, user: usize, n: usize| {
        let mut session = [0; 16];
        session[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let root =
            match state.user(&server(), &name(user)).and_then(|(user, _)| state.root_of_epoch(user, START)) {
                Some(number) => RootOf::Epoch(number),
                None => RootOf::Fresh(NewRoot { id: [0; 16], sealed: sealed.clone() }),
            };
        let opened = Opened {
            session: SessionId::from_bytes(session),
            server: server(),
            user: name(user),
            audience: None,
            root,
            suite: Suite::A256gcm,
            capabilities: Capabilities::parse(&["A256GCM"]).unwrap(),
            policy: Octets([user as u8; 32]),
            offer: Octets(OFFER_OF_SEVERAL),
            not_after: Timestamp(u32::MAX),
            idempotency: [session, [0; 16]],
            deliver: Vec::new(),
        };
        apply(state, Record::Opened(Box::new(opened)));
    };
    // Users, their roots and their policies are not the sessions' cost.
    let users = SESSIONS / PER_USER;
    (0..users).for_each(|user| open(&mut state, user, user));
    let before = resident();
    (users..SESSIONS + users).for_each(|n| open(&mut state, n % users, n));
    println!("octets a session: {}", (resident() - before) / SESSIONS);
    assert_eq!(state.sessions.len(), SESSIONS + users);
}

fn name(n: usize) -> sidekey_protocol::ids::UserName {
    format!("user{n}@example.org").parse().unwrap()
}

fn resident() -> usize {
    let pages: usize =
        std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
