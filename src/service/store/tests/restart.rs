use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::pairing::Digits;
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::Audience;

use super::{ADMIN, Data, EVERYTHING, START, asked, server, user};
use crate::fault::Fault;

/// One thing that may happen, whatever was before.
#[derive(Clone, Debug)]
enum Step {
    Advance(u32),
    Approve(usize, bool),
    Close,
    Crash,
    Invite(u8),
    IssueCredential(u8, u8),
    Match(usize),
    Open(u8, u64),
    Pair(u8),
    PairGateway,
    PairWaiting(u8),
    Refuse(usize),
    Rekey(usize),
    RevokeCredential(usize),
    RevokeInvitation(usize),
    RevokePairing(usize),
    RevokeSession(usize),
    RevokeUser(u8),
    Rotate(usize),
    End(usize),
    Spend(usize),
    Use(usize),
    UseEpoch(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => prop_oneof![1..100_u32, 3000..90_000_u32].prop_map(Step::Advance),
        1 => Just(Step::Close),
        1 => Just(Step::Crash),
        2 => (0..4_u8).prop_map(Step::Invite),
        8 => (0..4_u8, 0..200_u64).prop_map(|(user, key)| Step::Open(user, key)),
        3 => (0..4_u8).prop_map(Step::Pair),
        1 => Just(Step::PairGateway),
        3 => (0..4_u8).prop_map(Step::PairWaiting),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(pairing, right)| Step::Approve(pairing, right)),
        1 => any::<usize>().prop_map(Step::Refuse),
        2 => any::<usize>().prop_map(Step::Match),
        3 => any::<usize>().prop_map(Step::Rekey),
        2 => any::<usize>().prop_map(Step::UseEpoch),
        3 => (0..6_u8, 0..3_u8).prop_map(|(user, label)| Step::IssueCredential(user, label)),
        1 => any::<usize>().prop_map(Step::RevokeCredential),
        1 => any::<usize>().prop_map(Step::RevokeInvitation),
        2 => any::<usize>().prop_map(Step::RevokePairing),
        1 => any::<usize>().prop_map(Step::RevokeSession),
        1 => (0..4_u8).prop_map(Step::RevokeUser),
        3 => any::<usize>().prop_map(Step::Rotate),
        2 => any::<usize>().prop_map(Step::End),
        2 => any::<usize>().prop_map(Step::Spend),
        1 => any::<usize>().prop_map(Step::Use),
    ]
}

/// What the steps may choose from.
#[derive(Default)]
struct Known {
    credentials: Vec<sidekey_protocol::ids::CredentialId>,
    invitations: Vec<sidekey_protocol::ids::InvitationId>,
    sessions: Vec<sidekey_protocol::ids::SessionId>,
}

fn pick<T: Copy>(items: &[T], n: usize) -> Option<T> {
    items.get(n.checked_rem(items.len())?).copied()
}

/// A gateway's pairing that is live, if there is one.
fn gateway(data: &Data) -> PartyId {
    let gateways = super::super::Filter {
        role: Some(Role::Server),
        state: Some(Standing::Active),
        ..Default::default()
    };
    data.store.pairings(EVERYTHING, &gateways).items.first().map_or(ADMIN, |party| party.id)
}

async fn take(data: &mut Data, known: &mut Known, step: Step) {
    let parties: Vec<PartyId> =
        data.store.pairings(EVERYTHING, &Default::default()).items.iter().map(|party| party.id).collect();
    let by = gateway(data);
    let store = data.store.clone();
    // A refusal is as good an outcome as any: what counts is that the state is the same afterwards.
    match step {
        Step::Advance(seconds) => data.clock.advance_s(seconds),
        Step::Close | Step::Crash => {
            drop(store);
            let before = data.dump();
            if matches!(step, Step::Close) {
                data.store.close().await;
            }
            data.swap(|_| {});
            assert_same(&before, &data.dump());
        }
        Step::Invite(n) => known.invitations.push(data.invite(Role::Client, Some(user(n))).await),
        Step::IssueCredential(n, label) => {
            if let Ok((issued, _)) = data.issue(user(n), &format!("proxy {label}"), Some(80_000)).await {
                known.credentials.push(issued.id);
            }
        }
        Step::Open(n, key) => {
            if let Ok(session) = store.open_session(asked(by, Audience::User(user(n)), key)).await {
                known.sessions.push(session.id);
            }
        }
        Step::Pair(n) => drop(data.pair(Role::Client, Some(user(n))).await),
        Step::PairGateway => drop(data.pair(Role::Server, None).await),
        Step::PairWaiting(n) => drop(data.waits_of(n, true).await),
        Step::Approve(n, _)
        | Step::Match(n)
        | Step::Refuse(n)
        | Step::Rekey(n)
        | Step::Use(n)
        | Step::UseEpoch(n) => {
            if let Some(pairing) = pick(&parties, n) {
                act(data, pairing, &step).await;
            }
        }
        Step::Rotate(n) | Step::End(n) => {
            if let Some(session) = pick(&known.sessions, n) {
                let _ = match step {
                    Step::End(_) => store.end(by, session).await.map(drop),
                    _ => store.rotate(by, session).await.map(drop),
                };
            }
        }
        Step::Spend(n) => {
            if let Some(invitation) = pick(&known.invitations, n) {
                let _ = store.spend_attempt(invitation).await;
            }
        }
        revoked => revoke(data, known, &parties, revoked).await,
    }
}

/// What a pairing does by itself, and what whoever may approve it says of it.
async fn act(data: &mut Data, pairing: PartyId, step: &Step) {
    let digits = |right: bool| {
        let party = data.store.party(pairing).expect("it was listed");
        Digits::of(&[if right { 7 } else { 8 }; 32], &party.key)
    };
    let next = data.store.party(pairing).and_then(|party| party.next_kek);
    match (step, next) {
        (&Step::Approve(_, right), _) => drop(data.store.approve(ADMIN, pairing, digits(right)).await),
        (Step::Refuse(_), _) => drop(data.store.refuse(ADMIN, pairing, None).await),
        (Step::Match(_), _) => drop(data.store.match_digits(pairing).await),
        (Step::Rekey(_), _) => drop(data.rekey(pairing).await),
        (Step::UseEpoch(_), Some(kek)) => drop(data.store.use_epoch(pairing, kek).await),
        _ => drop(data.store.mark_used(pairing).await),
    }
}

async fn revoke(data: &Data, known: &Known, parties: &[PartyId], step: Step) {
    let target = match step {
        Step::RevokeCredential(n) => {
            pick(&known.credentials, n).map(|credential| Target::Credential { credential })
        }
        Step::RevokeInvitation(n) => {
            pick(&known.invitations, n).map(|invitation| Target::Invitation { invitation })
        }
        Step::RevokePairing(n) => pick(parties, n).map(|pairing| Target::Pairing { pairing }),
        Step::RevokeSession(n) => pick(&known.sessions, n).map(|session| Target::Session { session }),
        Step::RevokeUser(n) => Some(Target::User { server: server(), user: user(n) }),
        _ => None,
    };
    if let Some(target) = target {
        let _ = data.store.revoke(ADMIN, target, "because".parse().unwrap()).await;
    }
}

#[track_caller]
fn assert_same(
    before: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
    after: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
) {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        assert_eq!(before.get(key), after.get(key), "{}", key.escape_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_happens_a_restart_changes_nothing(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut data = Data::with_users(2).await;
            let mut known = Known::default();
            for step in steps.clone() {
                take(&mut data, &mut known, step).await;
            }
            let before = data.dump();
            data.store.close().await;
            data.swap(|_| {});
            assert_same(&before, &data.dump());
            // Without the pages, from the journal alone.
            data.store.close().await;
            data.swap(|folder| fs::remove_dir_all(folder.join("state")).unwrap());
            assert_same(&before, &data.dump());
        });
    }
}

#[tokio::test]
async fn many_sessions_come_back_from_their_pages() {
    let mut data = Data::with_users(3).await;
    for key in 0..700 {
        let session = data.open(user((key % 3) as u8), key).await.unwrap();
        if key % 7 == 0 {
            data.store.rotate(data.gateway(), session.id).await.unwrap();
        }
    }
    let before = data.dump();
    data.reopen().await;
    assert_same(&before, &data.dump());
    let position = data.store.shared.read().position;
    // All of it came from the pages: the journal had nothing to add.
    assert!(data.store.shared.read().dirty.opened.is_empty());
    assert!(position.seq > 700);
    let session = data.open(user(0), 0).await.unwrap();
    assert_eq!(session.generations.current, 1, "the idempotency key is known");
}

/// As threads of sled's do when the machine is busy.
#[tokio::test]
async fn pages_that_somebody_has_for_a_moment_longer_are_waited_for_and_not_set_aside() {
    let mut data = Data::with_users(1).await;
    data.open(user(0), 0).await.unwrap();
    let before = data.dump();
    data.store.close().await;
    data.swap(|folder| {
        let file = std::fs::File::open(folder.join("state/db")).unwrap();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            drop(file);
        });
    });
    assert_same(&before, &data.dump());
    assert!(data.store.shared.read().dirty.opened.is_empty(), "the journal had nothing to add");
    assert!(!data.folder.path().join("state.damaged-1").exists());
}

#[tokio::test]
async fn sessions_that_are_over_before_they_were_written_leave_good_pages() {
    let mut data = Data::with_users(1).await;
    for key in 0..600 {
        data.open(user(0), key).await.unwrap();
    }
    // As when the clock jumps ahead between two rounds of the keeper.
    data.clock.set(START.after_s(7_200));
    data.open(user(0), 600).await.unwrap();
    data.store.close().await;
    let position = data.store.position();
    let before = data.dump();
    data.swap(|_| {});
    assert_same(&before, &data.dump());
    assert_eq!(data.store.position(), position);
    assert!(!data.folder.path().join("state.damaged-1").exists());
}

#[tokio::test]
async fn damaged_pages_are_set_aside_and_rebuilt() {
    let mut data = Data::with_users(2).await;
    for key in 0..50 {
        data.open(user(0), key).await.unwrap();
    }
    let before = data.dump();
    for at in [0_usize, 100, 5_000, 20_000, 60_000] {
        data.store.close().await;
        data.swap(|folder| flip(&folder.join("state/db"), at));
        assert_same(&before, &data.dump());
    }
    data.store.close().await;
    data.swap(|folder| {
        fs::write(folder.join("state/db"), b"").unwrap();
        fs::write(folder.join("state/conf"), b"no").unwrap();
    });
    assert_same(&before, &data.dump());
    assert!(data.folder.path().join("state.damaged-1").exists());
}

#[tokio::test]
async fn a_journal_older_than_its_pages_is_refused() {
    let mut data = Data::with_users(1).await;
    data.open(user(0), 1).await.unwrap();
    data.store.close().await;
    let refused = data.try_swap(|folder| {
        // As if the last record had never been written: only the pages know better.
        let segment = folder.join("journal/00000000000000000001.journal");
        let mut bytes = fs::read(&segment).unwrap();
        let end = bytes.iter().rposition(|&octet| octet != 0).unwrap();
        bytes[end] ^= 1;
        fs::write(&segment, bytes).unwrap();
    });
    assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_secret_at_rest_is_not_in_any_file() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let new = data.pairing();
    let root = *new.root.expose();
    let pairing = data.store.confirm(invitation, new).await.unwrap().id;
    let next = data.rekey(pairing).await.unwrap();
    let session = data.open(user(0), 1).await.unwrap();
    let key = *data.key(session.id, 0).unwrap().expose();
    data.store.close().await;
    let mut files = Vec::new();
    let mut folders = vec![data.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let mut captured = false;
    for file in files {
        let bytes = fs::read(&file).unwrap();
        captured |= bytes.windows(16).any(|window| window == session.id.as_bytes());
        for secret in [&root, &key, next.root.expose(), root_key_octets().expose()] {
            assert!(!bytes.windows(32).any(|window| window == secret), "{}", file.display());
        }
        assert!(!bytes.windows(10).any(|window| window == b"a verifier"), "{}", file.display());
    }
    assert!(captured, "the files were read");
}

fn root_key_octets() -> sidekey_protocol::crypto::Secret<32> {
    super::root_key()
}
