//! A policy that changes, and what a service may lie about it.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use sidekey_protocol::object::{ObjectKeys, Reject as Unopened, SALT_SIZE};

use super::watching::{event, is_gap, next};
use super::*;
use crate::error::Mismatch;
use crate::object::{Context, Item, Kind, Mailbox, NotOpened, RecordSize, Sealer, ServerToClient, seal};
use crate::revocation::Notice;

fn place() -> Context<ServerToClient> {
    let (inbox, item) = (Mailbox::new("INBOX", None).unwrap(), Item::parse("BODY[]").unwrap());
    Context::fetch(&inbox, NonZeroU32::MIN, NonZeroU32::MIN, &item, None).unwrap()
}

/// A frame as a server seals it that holds another key of the same session and generation.
async fn frame_under_another_key(key: &SessionKey) -> Vec<u8> {
    let secret = Secret::random(&mut ChaCha20Rng::seed_from_u64(77));
    let (other, size) = (ObjectKeys::derive(&secret, key.agreed()), RecordSize::default());
    let sealer = Sealer::new(&other.s2c, &place(), Kind::Literal, 5, size, [5; SALT_SIZE]).unwrap();
    let mut frame = Vec::new();
    seal(sealer, &b"hello"[..], &mut frame).await.unwrap();
    frame
}

/// What a client makes of such a frame, when the service answers its second question so.
async fn named(second: impl Fn() -> Answer + Send + Sync + 'static, shown: Option<&[&str]>) -> Error {
    let script = Script::start(move |n, request| match n {
        _ if request.starts_with("GET /v1/policy") => signed(&policy(2)),
        1 => sealed(|_| {}),
        _ => second(),
    })
    .await;
    let client = client(&script).await;
    let key = client.session_key(SESSION).await.unwrap();
    let frame = frame_under_another_key(&key).await;
    let shown = shown.map(|shown| Capabilities::parse(shown).unwrap());
    let opened = client.open_frame(&key, &place(), &frame[..], tokio::io::sink(), shown.as_ref()).await;
    match opened {
        Err(NotOpened::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_mismatch(error: &Error, expected: Mismatch) {
    assert!(matches!(error, Error::Mismatch(mismatch) if *mismatch == expected), "{error:?}");
}

#[tokio::test]
async fn the_first_frame_names_the_list_on_which_the_two_sides_disagree() {
    let policies = named(|| sealed(|b| b.policy = policy(2).hash()), None).await;
    is_mismatch(&policies, Mismatch::Policy);
    let fewer = || sealed(|b| b.capabilities = Capabilities::parse(&["A256GCM"]).unwrap());
    is_mismatch(&named(fewer, None).await, Mismatch::Capabilities);
    is_mismatch(&named(|| sealed(|_| {}), Some(&["C20P"])).await, Mismatch::Capabilities);
    let ours = || sealed(|b| b.offer = SuiteList::ours().offer_hash());
    is_mismatch(&named(ours, None).await, Mismatch::Offer);
    let foreign = || sealed(|b| b.offer = SuiteList::parse(&["C20P"]).unwrap().offer_hash());
    is_mismatch(&named(foreign, None).await, Mismatch::Offer);
    is_mismatch(&named(|| sealed(|b| b.suite = Suite::C20p), None).await, Mismatch::Suite);
}

#[tokio::test]
async fn a_frame_that_was_merely_altered_is_tampered_with_and_asked_about_once() {
    let script = Script::start(|_, _| sealed(|_| {})).await;
    let client = client(&script).await;
    let key = client.session_key(SESSION).await.unwrap();
    let frame = frame_under_another_key(&key).await;
    for _ in 0..5 {
        let opened = client.open_frame(&key, &place(), &frame[..], tokio::io::sink(), None).await;
        let Err(NotOpened::Refused(Error::Tampered(Tampered::Object(reject)))) = opened else {
            panic!("{opened:?}")
        };
        assert_eq!(reject, Unopened::FirstRecordUnverified);
    }
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn a_policy_that_is_known_is_not_sent_again() {
    let script = Script::start(|_, _| Answer::Octets("HTTP/1.1 304 Not Modified\r\n\r\n".to_owned())).await;
    let held = client(&script).await.policy().await.unwrap();
    assert_eq!(held.seen().version, 1);
    let tag = policy::tag(&policy(1).hash(), &policy::key_id(&service_key().verifying_key()));
    let asked = format!("\r\nif-none-match: \"{tag}\"\r\n");
    assert!(script.requests()[0].contains(&asked), "{}", script.requests()[0]);
}

#[tokio::test]
async fn an_event_brings_the_new_policy_and_no_older_one_is_taken_afterwards() {
    let changed = json!({ "server": "mail.example.org", "user": "ann@example.org", "version": 2, "at": 1 });
    let stream = Mutex::new(Some(event("policy", &changed)));
    let script = Script::start(move |_, request| {
        if request.starts_with("GET /v1/policy") {
            return signed(&policy(2));
        }
        if !request.starts_with("GET /v1/events") {
            // A replay: key and policy of before, and they fit one another.
            return sealed(|b| b.policy = policy(1).hash());
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let events = stream.lock().unwrap().take();
        events.map_or(Answer::Silence, |events| Answer::Cut(format!("{head}{events}")))
    })
    .await;
    let store = store(&script, Role::Client);
    let client = Client::open(store.clone(), ambient()).await.unwrap();
    client.session_key(SESSION).await.unwrap();
    let mut watch = client.watch();
    is_gap(&mut watch).await;
    assert!(matches!(next(&mut watch).await, Some(Ok(Notice::Event(_)))));
    let kept = || store.load().unwrap().unwrap().policy.unwrap().seen.version;
    tokio::time::timeout(Duration::from_secs(10), async {
        while kept() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    is_downgrade(&client.session_key(SESSION).await.unwrap_err(), Reject::PolicyForeign);
}
