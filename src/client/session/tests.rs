//! What a service that lies, or that was restored from an old copy, may answer. (The honest one is met in `tests/flow`.)

mod accepting;
mod issuing;
mod keys;
mod policies;
mod watching;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::json;
use sidekey_protocol::crypto::{Secret, SigningKey};
use sidekey_protocol::ids::{ServiceId, Timestamp};
use sidekey_protocol::keys::ServiceKeys;
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::policy::{self, Policy};
use sidekey_protocol::revocation::{Head, Seen};
use sidekey_protocol::session::envelope::{self, Bindings, Reject};
use sidekey_protocol::session::{OFFER_OF_SEVERAL, Suite, SuiteList};

use super::*;
use crate::error::{Downgrade, Tampered};
use crate::keystore::MemoryKeyStore;
use crate::profile::{KeptPolicy, Profile};
use crate::tests::{Answer, NOON, Script, ambient, answer};

const SERVICE: ServiceId = ServiceId::from_bytes([1; 16]);
const PAIRING: PartyId = PartyId::from_bytes([2; 16]);
const SESSION: SessionId = SessionId::from_bytes([3; 16]);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(9)
}

fn service_key() -> SigningKey {
    SigningKey::generate(&mut rng())
}

fn root() -> Secret<32> {
    Secret::random(&mut rng())
}

fn policy(version: u32) -> Policy {
    let (server, user) = ("mail.example.org".parse().unwrap(), "ann@example.org".parse().unwrap());
    Policy { version, ..Policy::built_in(SERVICE, server, user) }
}

/// The answer to a fetch: an envelope with everything in order, but for what `change` changes.
fn sealed(change: impl FnOnce(&mut Bindings)) -> Answer {
    let mut bindings = bindings();
    change(&mut bindings);
    let key = envelope::seal(&Kek::of(&root()), &bindings, &Secret::random(&mut rng()), &mut rng());
    let Bindings { session, generation, suite, not_before, not_after, .. } = bindings;
    let beside = wire::SessionKey { session, generation, suite, not_before, not_after, key };
    Answer::Octets(answer(200, "", &serde_json::to_string(&beside).unwrap()))
}

fn bindings() -> Bindings {
    Bindings {
        service: SERVICE,
        server: "mail.example.org".parse().unwrap(),
        user: "ann@example.org".parse().unwrap(),
        pairing: PAIRING,
        session: SESSION,
        generation: 0,
        suite: Suite::A256gcm,
        not_before: NOON,
        not_after: NOON.after_s(3600),
        policy: policy(1).hash(),
        capabilities: Capabilities::parse(&["A256GCM", "C20P"]).unwrap(),
        offer: OFFER_OF_SEVERAL,
        head: Head::START.sealed(&root()),
    }
}

fn problem(status: u16, document: &serde_json::Value) -> Answer {
    Answer::Octets(answer(status, "", &document.to_string()))
}

fn signed(policy: &Policy) -> Answer {
    Answer::Octets(answer(200, "", &json!({ "policy": policy.sign(&service_key()) }).to_string()))
}

fn store(script: &Script, role: Role) -> Arc<MemoryKeyStore> {
    let store = MemoryKeyStore::default();
    let policy = policy(1);
    let seen = policy::SeenPolicy { version: 1, hash: policy.hash() };
    store
        .save(&Profile {
            waiting: None,
            url: script.url.parse().unwrap(),
            other_urls: Vec::new(),
            roots: script.roots.clone(),
            service: SERVICE,
            service_keys: ServiceKeys::new(service_key().verifying_key()),
            pairing: PAIRING,
            role,
            server: policy.server.clone(),
            user: (role == Role::Client).then(|| policy.user.clone()),
            label: "test".to_owned(),
            pinned: true,
            signing_key: SigningKey::generate(&mut rng()),
            root: root(),
            epoch: 0,
            not_after: NOON.after_s(7 * 86_400),
            next: None,
            offer: SuiteList::ours(),
            policy: (role == Role::Client).then(|| KeptPolicy { jws: policy.sign(&service_key()), seen }),
            head: Seen::default(),
            revocations: Vec::new(),
            capabilities: None,
        })
        .unwrap();
    Arc::new(store)
}

async fn client(script: &Script) -> Client {
    Client::open(store(script, Role::Client), ambient()).await.unwrap()
}

async fn server(script: &Script) -> Server {
    Server::open(store(script, Role::Server), ambient()).await.unwrap()
}

/// What a client makes of an envelope that `change` changed.
async fn refused(change: impl Fn(&mut Bindings) + Send + Sync + 'static) -> Error {
    let script = Script::start(move |_, request| {
        if request.starts_with("GET /v1/policy") { signed(&policy(1)) } else { sealed(&change) }
    })
    .await;
    client(&script).await.session_key(SESSION).await.unwrap_err()
}

#[track_caller]
fn is_tampered(error: &Error, with: Reject) {
    assert!(matches!(error, Error::Tampered(Tampered::Envelope(reject)) if *reject == with), "{error:?}");
}

#[track_caller]
fn is_downgrade(error: &Error, by: Reject) {
    assert!(matches!(error, Error::Downgrade(Downgrade::Envelope(reject)) if *reject == by), "{error:?}");
}

#[tokio::test]
async fn a_key_is_fetched_once_for_all_who_ask_and_then_kept() {
    let script = Script::start(|_, _| sealed(|_| {})).await;
    let client = client(&script).await;
    let askers: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.session_key(SESSION).await.map(|key| key.generation()) })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap().unwrap(), 0);
    }
    client.session_key(SESSION).await.unwrap();
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn what_a_newer_service_adds_to_an_answer_means_nothing() {
    let script = Script::start(|_, _| {
        let Answer::Octets(octets) = sealed(|_| {}) else { unreachable!() };
        let mut body: serde_json::Value = serde_json::from_str(octets.rsplit_once('\n').unwrap().1).unwrap();
        body["later_member"] = json!({ "of": ["another", 1] });
        Answer::Octets(answer(200, "", &body.to_string()))
    })
    .await;
    assert_eq!(client(&script).await.session_key(SESSION).await.unwrap().generation(), 0);
}

#[tokio::test]
async fn who_waits_for_a_fetch_that_fails_does_not_repeat_it() {
    let gone = || problem(410, &json!({ "code": "session_ended" }));
    let script = Script::start(move |_, _| gone()).await;
    let client = client(&script).await;
    let askers: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.session_key(SESSION).await })
        })
        .collect();
    for asker in askers {
        assert!(matches!(asker.await.unwrap(), Err(Error::Expired)));
    }
    // Those who came while it was under way share the next one.
    assert!(script.requests().len() <= 2, "{}", script.requests().len());
    assert!(matches!(client.session_key(SESSION).await, Err(Error::Expired)));
}

#[tokio::test]
async fn a_key_for_anybody_else_is_tampered_with() {
    is_tampered(&refused(|b| b.service = ServiceId::from_bytes([9; 16])).await, Reject::ServiceForeign);
    is_tampered(&refused(|b| b.server = "other".parse().unwrap()).await, Reject::ServerForeign);
    is_tampered(&refused(|b| b.user = "eve".parse().unwrap()).await, Reject::UserForeign);
    is_tampered(&refused(|b| b.pairing = PartyId::from_bytes([9; 16])).await, Reject::PairingForeign);
    is_tampered(&refused(|b| b.session = SessionId::from_bytes([9; 16])).await, Reject::SessionForeign);
}

#[tokio::test]
async fn a_key_for_a_weaker_choice_is_a_downgrade() {
    is_downgrade(
        &refused(|b| b.offer = SuiteList::parse(&["C20P"]).unwrap().offer_hash()).await,
        Reject::OfferForeign,
    );
    let of_one = |b: &mut Bindings| (b.offer, b.suite) = (SuiteList::ours().offer_hash(), Suite::C20p);
    is_downgrade(&refused(of_one).await, Reject::SuiteDowngraded);
    let without = |b: &mut Bindings| b.capabilities = Capabilities::parse(&["C20P"]).unwrap();
    is_downgrade(&refused(without).await, Reject::SuiteDowngraded);
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_expired() {
    let over =
        refused(|b| (b.not_before, b.not_after) = (Timestamp(NOON.0 - 7200), Timestamp(NOON.0 - 3600))).await;
    assert!(matches!(over, Error::Expired), "{over:?}");
}

#[tokio::test]
async fn nobody_is_led_back_to_an_older_generation() {
    let script = Script::start(|n, _| sealed(|b| b.generation = if n == 1 { 3 } else { 2 })).await;
    let client = client(&script).await;
    assert_eq!(client.session_key(SESSION).await.unwrap().generation(), 3);
    client.0.cache.drop_keys(SESSION);
    is_downgrade(&client.session_key(SESSION).await.unwrap_err(), Reject::GenerationOlder);
}

/// A service where generation 5 is the newest, and 4 still opens.
async fn at_five() -> Script {
    Script::start(|_, request| match request.split_once("?generation=") {
        None => sealed(|b| b.generation = 5),
        Some((_, asked)) if asked.starts_with("4 ") => sealed(|b| b.generation = 4),
        Some((_, asked)) if asked.starts_with("3 ") => problem(410, &json!({ "code": "generation_passed" })),
        Some(_) => problem(404, &json!({ "code": "generation_unknown" })),
    })
    .await
}

#[tokio::test]
async fn the_generation_that_a_frame_names_is_fetched_and_kept() {
    let script = at_five().await;
    let client = client(&script).await;
    for _ in 0..2 {
        assert_eq!(client.session_key_of(SESSION, 4).await.unwrap().generation(), 4);
        assert_eq!(client.session_key_of(SESSION, 5).await.unwrap().generation(), 5);
        assert_eq!(client.session_key(SESSION).await.unwrap().generation(), 5);
    }
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn a_frame_of_a_generation_that_is_over_or_was_never_made_gets_no_key() {
    let client = client(&at_five().await).await;
    assert!(matches!(client.session_key_of(SESSION, 3).await, Err(Error::Expired)));
    let forged = client.session_key_of(SESSION, u32::MAX).await.unwrap_err();
    assert!(matches!(forged, Error::Refused { code, .. } if code == "generation_unknown"));
    assert_eq!(client.session_key(SESSION).await.unwrap().generation(), 5);
}

#[tokio::test]
async fn another_generation_than_the_one_asked_for_is_tampered_with() {
    let script = Script::start(|_, _| sealed(|b| b.generation = 5)).await;
    is_tampered(
        &client(&script).await.session_key_of(SESSION, 4).await.unwrap_err(),
        Reject::GenerationForeign,
    );
}

#[tokio::test]
async fn a_changed_policy_is_fetched_kept_and_never_left_for_an_older_one() {
    let script = Script::start(|n, request| match n {
        _ if !request.starts_with("GET /v1/policy") => sealed(|b| b.policy = policy(2).hash()),
        2 => signed(&policy(2)),
        _ => signed(&policy(1)),
    })
    .await;
    let store = store(&script, Role::Client);
    let client = Client::open(store.clone(), ambient()).await.unwrap();
    client.session_key(SESSION).await.unwrap();
    assert_eq!(store.load().unwrap().unwrap().policy.unwrap().seen.version, 2);
    let older = client.policy().await.unwrap_err();
    assert!(matches!(older, Error::Downgrade(Downgrade::Policy(policy::Reject::Older))), "{older:?}");
    // Also after a restart.
    let client = Client::open(store, ambient()).await.unwrap();
    assert!(matches!(client.policy().await, Err(Error::Downgrade(Downgrade::Policy(policy::Reject::Older)))));
}

#[tokio::test]
async fn one_version_of_a_policy_has_one_content() {
    let other = || Policy { items: vec!["BODY".to_owned()], ..policy(1) };
    let script = Script::start(move |_, request| {
        if request.starts_with("GET /v1/policy") {
            signed(&other())
        } else {
            sealed(|b| b.policy = other().hash())
        }
    })
    .await;
    let changed = client(&script).await.session_key(SESSION).await.unwrap_err();
    assert!(
        matches!(changed, Error::Downgrade(Downgrade::Policy(policy::Reject::ContentChanged))),
        "{changed:?}"
    );
    is_downgrade(&refused(|b| b.policy = [0; 32]).await, Reject::PolicyForeign);
}

#[tokio::test]
async fn a_revoked_pairing_keeps_no_keys() {
    let revoked = || problem(410, &json!({ "code": "revoked", "reason": "lost", "revoked_at": 7 }));
    let script = Script::start(move |n, _| if n == 1 { sealed(|_| {}) } else { revoked() }).await;
    let client = client(&script).await;
    client.session_key(SESSION).await.unwrap();
    let other = SessionId::from_bytes([4; 16]);
    for session in [other, SESSION] {
        let gone = client.session_key(session).await.unwrap_err();
        assert!(matches!(gone, Error::Revoked { reason, at: Timestamp(7) } if reason == "lost"));
    }
}

#[tokio::test]
async fn the_highest_head_is_kept() {
    let head = || Head::START.next(b"revoked").sealed(&root());
    let script = Script::start(move |_, _| sealed(|b| b.head = head())).await;
    let store = store(&script, Role::Client);
    Client::open(store.clone(), ambient()).await.unwrap().session_key(SESSION).await.unwrap();
    assert_eq!(store.load().unwrap().unwrap().head.highest(), Some(head()));
}

#[tokio::test]
async fn a_profile_opens_as_what_it_is() {
    let script = Script::start(|_, _| Answer::Silence).await;
    let wrong = Server::open(store(&script, Role::Client), ambient()).await.unwrap_err();
    assert!(matches!(wrong, Error::Usage(crate::error::Usage::WrongRole)));
    let none = Client::open(Arc::new(MemoryKeyStore::default()), ambient()).await.unwrap_err();
    assert!(matches!(none, Error::Usage(crate::error::Usage::Unpaired)));
}
