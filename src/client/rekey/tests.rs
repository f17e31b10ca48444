//! What a service that is out of reach, or that lies, may answer to a rekey; and a key store that fails. (The honest ones
//! are met in `tests/flow`.)

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use sidekey_protocol::crypto::{Secret, SigningKey};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, Role, ServiceId};
use sidekey_protocol::keys::ServiceKeys;
use sidekey_protocol::pairing::rekey::Refusal;
use sidekey_protocol::pairing::wire::Rekey;
use sidekey_protocol::revocation::Seen;
use sidekey_protocol::session::SuiteList;

use super::*;
use crate::error::Tampered;
use crate::keystore::{KeyStore, MemoryKeyStore};
use crate::session::Server;
use crate::tests::{Answer, NOON, Script, ambient, answer};

/// A key store that fails when it is told to.
#[derive(Default)]
struct Failing {
    store: MemoryKeyStore,
    fails: AtomicBool,
}

impl KeyStore for Failing {
    fn load(&self) -> io::Result<Option<Profile>> {
        self.store.load()
    }

    fn save(&self, profile: &Profile) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no room"));
        }
        self.store.save(profile)
    }

    fn erase(&self) -> io::Result<()> {
        self.store.erase()
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(8)
}

/// A mail server whose epoch ends so many seconds from now.
async fn server(script: &Script, ends_in_s: u32) -> (Server, Arc<Failing>) {
    let store = Arc::new(Failing::default());
    let profile = Profile {
        waiting: None,
        url: script.url.parse().unwrap(),
        other_urls: Vec::new(),
        roots: script.roots.clone(),
        service: ServiceId::from_bytes([1; 16]),
        service_keys: ServiceKeys::new(SigningKey::generate(&mut rng()).verifying_key()),
        pairing: PartyId::from_bytes([2; 16]),
        role: Role::Server,
        server: "mail.example.org".parse().unwrap(),
        user: None,
        label: "test".to_owned(),
        pinned: true,
        signing_key: SigningKey::generate(&mut rng()),
        root: Secret::random(&mut rng()),
        epoch: 0,
        not_after: NOON.after_s(ends_in_s),
        next: None,
        offer: SuiteList::ours(),
        policy: None,
        capabilities: None,
        head: Seen::default(),
        revocations: Vec::new(),
    };
    store.save(&profile).unwrap();
    (Server::open(store.clone(), ambient()).await.unwrap(), store)
}

/// An epoch that is two days old.
const DUE: u32 = 5 * 86_400;

/// The answer of a service that keeps this epoch.
fn renewed(epoch: &Epoch, request: &str, change: impl FnOnce(&mut RekeyAnswer)) -> Answer {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let request: Rekey = serde_json::from_str(body).unwrap();
    let (_, mut answered) = epoch.renew(&request, NOON, &mut rng()).unwrap();
    change(&mut answered);
    Answer::Octets(answer(200, "", &serde_json::to_string(&answered).unwrap()))
}

fn honest(request: &str) -> Answer {
    let root = Secret::random(&mut rng());
    renewed(&Epoch { number: 0, root, not_after: NOON }, request, |_| {})
}

fn fine() -> Answer {
    Answer::Octets(answer(200, "", &json!({ "items": [] }).to_string()))
}

fn problem(status: u16, code: &str) -> Answer {
    Answer::Octets(answer(status, "", &json!({ "code": code }).to_string()))
}

fn is_rekey(request: &str) -> bool {
    request.starts_with("POST /v1/pairings/self/rekey ")
}

async fn ask(server: &Server) -> Result<(), Error> {
    server.sessions(&"ann@example.org".parse().unwrap()).await.map(drop)
}

fn rekeys(script: &Script) -> usize {
    script.requests().iter().filter(|request| is_rekey(request)).count()
}

#[tokio::test]
async fn a_rekey_that_is_refused_or_not_answered_keeps_nobody_from_what_the_epoch_serves() {
    for (status, code, tries) in [(404, "not_found", 1), (500, "internal", 1), (503, "overloaded", 4)] {
        let script =
            Script::start(move |_, request| if is_rekey(request) { problem(status, code) } else { fine() })
                .await;
        let (server, store) = server(&script, DUE).await;
        ask(&server).await.unwrap();
        // Nor is it tried again with every call.
        ask(&server).await.unwrap();
        assert_eq!(rekeys(&script), tries, "{code}");
        assert_eq!(store.load().unwrap().unwrap().epoch, 0);
    }
}

#[tokio::test]
async fn an_altered_answer_is_tampered_with_and_nothing_is_kept() {
    type Change = fn(&mut RekeyAnswer);
    let changes: [(Change, Refusal); 4] = [
        (|answer| answer.confirm = Octets([0; 32]), Refusal::NotConfirmed),
        (|answer| answer.not_after.0 += 1, Refusal::NotConfirmed),
        (|answer| answer.to = 2, Refusal::EpochForeign),
        (|answer| answer.point.0[64] ^= 1, Refusal::BadPoint),
    ];
    for (change, refusal) in changes {
        let script = Script::start(move |_, request| {
            let epoch = Epoch { number: 0, root: Secret::random(&mut rng()), not_after: NOON };
            if is_rekey(request) { renewed(&epoch, request, change) } else { fine() }
        })
        .await;
        let (server, store) = server(&script, DUE).await;
        let refused = ask(&server).await.unwrap_err();
        assert!(matches!(refused, Error::Tampered(Tampered::Rekey(why)) if why == refusal), "{refused:?}");
        assert!(store.load().unwrap().unwrap().next.is_none());
    }
}

#[tokio::test]
async fn an_epoch_that_cannot_be_kept_is_not_used() {
    let script = Script::start(|_, request| if is_rekey(request) { honest(request) } else { fine() }).await;
    let (server, store) = server(&script, DUE).await;
    let before = server_kek(&store);
    store.fails.store(true, Ordering::SeqCst);
    ask(&server).await.unwrap();
    let sent = script.requests().iter().map(|request| kek(request)).collect::<Vec<_>>();
    assert_eq!(sent, [before.clone(), before], "the rekey and the call, both under the old epoch");
}

#[tokio::test]
async fn the_epoch_before_is_kept_until_a_use_of_the_next_is_answered() {
    let script = Script::start(|n, request| match n {
        1 => honest(request),
        2 => problem(404, "not_found"),
        _ => fine(),
    })
    .await;
    let (server, store) = server(&script, DUE).await;
    let before = server_kek(&store);
    ask(&server).await.unwrap_err();
    let kept = store.load().unwrap().unwrap();
    assert_eq!((kept.epoch, kept.next.as_ref().unwrap().number), (0, 1));
    ask(&server).await.unwrap();
    let kept = store.load().unwrap().unwrap();
    assert_eq!((kept.epoch, kept.next.is_none()), (1, true));
    let sent = script.requests().iter().map(|request| kek(request)).collect::<Vec<_>>();
    assert_eq!(sent, [before, server_kek(&store), server_kek(&store)]);
}

#[tokio::test]
async fn an_epoch_that_is_over_is_renewed_at_once_and_the_call_made_again() {
    let script = Script::start(|n, request| match n {
        1 => problem(409, "rekey_first"),
        2 => honest(request),
        _ => fine(),
    })
    .await;
    // By our own clock it is not even due.
    let (server, store) = server(&script, 7 * 86_400).await;
    ask(&server).await.unwrap();
    assert_eq!(store.load().unwrap().unwrap().epoch, 1);
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test]
async fn a_service_that_refuses_every_epoch_is_not_asked_for_ever() {
    let script = Script::start(|_, _| problem(409, "kek_unknown")).await;
    let (server, _) = server(&script, 7 * 86_400).await;
    let refused = ask(&server).await.unwrap_err();
    assert!(matches!(&refused, Error::PairAgain { code, .. } if code == "kek_unknown"), "{refused:?}");
    assert_eq!(script.requests().len(), 1);
    let script = Script::start(|_, request| {
        if is_rekey(request) { problem(409, "epoch_passed") } else { problem(409, "rekey_first") }
    })
    .await;
    let (server, _) = self::server(&script, 7 * 86_400).await;
    let refused = ask(&server).await.unwrap_err();
    assert!(matches!(&refused, Error::PairAgain { code, .. } if code == "epoch_passed"), "{refused:?}");
}

/// What the token of a request says of its epoch.
fn kek(request: &str) -> String {
    let token = request.split_once("authorization: Bearer ").unwrap().1;
    let payload = token.split('.').nth(1).unwrap();
    let claims = sidekey_protocol::encoding::from_base64url(payload).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["kek"].as_str().unwrap().to_owned()
}

fn server_kek(store: &Failing) -> String {
    let id = Kek::of(&store.load().unwrap().unwrap().root).id;
    sidekey_protocol::encoding::base64url(&id)
}
