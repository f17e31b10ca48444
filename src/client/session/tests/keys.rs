//! The service's signing keys: what a service, or whoever stands in its place, may lie about them.

use sidekey_protocol::keys::wire::{KeysAnswer, ServiceKey};
use sidekey_protocol::keys::{Reject as Keys, Statement};

use super::*;

/// The nth signing key of the service; the first is the one that every profile knows.
fn nth(n: u32) -> SigningKey {
    match n {
        0 => service_key(),
        n => SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(100 + u64::from(n))),
    }
}

fn statement(n: u32, by: &SigningKey) -> String {
    let (key, at, until) = (nth(n).verifying_key(), NOON, NOON.after_s(600));
    Statement { service: SERVICE, number: n, key, at, until }.signed_by(by)
}

/// What is told while the nth key is active.
fn told(n: u32, statements: Vec<String>) -> Answer {
    let key = |n, until| ServiceKey::at(&nth(n).verifying_key(), n, (NOON, until), NOON);
    let replaced = (0..n).rev().map(|n| key(n, Some(NOON.after_s(600))));
    let keys = std::iter::once(key(n, None)).chain(replaced).collect();
    let answer = KeysAnswer { service: SERVICE, keys, statements };
    Answer::Octets(answer_of(&serde_json::to_string(&answer).unwrap()))
}

fn answer_of(body: &str) -> String {
    answer(200, "", body)
}

/// A service whose policy is signed by the nth key, and that shows these keys.
async fn signing_with(n: u32, keys: impl Fn() -> Answer + Send + Sync + 'static) -> Script {
    Script::start(move |_, request| {
        if request.starts_with("GET /v1/keys") {
            return keys();
        }
        Answer::Octets(answer_of(&json!({ "policy": policy(2).sign(&nth(n)) }).to_string()))
    })
    .await
}

fn honest(n: u32) -> Answer {
    told(n, (1..=n).map(|n| statement(n, &nth(n - 1))).collect())
}

#[tokio::test]
async fn a_device_goes_where_statements_lead_and_keeps_it() {
    let script = signing_with(2, || honest(2)).await;
    let store = store(&script, Role::Client);
    let client = Client::open(store.clone(), ambient()).await.unwrap();
    assert_eq!(client.policy().await.unwrap().policy.version, 2);
    let kept = store.load().unwrap().unwrap().service_keys;
    assert_eq!((kept.key(), kept.number()), (&nth(2).verifying_key(), Some(2)));
    assert_eq!(kept.previous().len(), 2);
    // After a restart it is asked no more, and the policy holds under the key that signed it.
    let again = Client::open(store, ambient()).await.unwrap();
    assert_eq!(again.policy().await.unwrap().policy.version, 2);
    let asked = script.requests().iter().filter(|request| request.starts_with("GET /v1/keys")).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_device_follows_no_forged_replayed_or_broken_chain() {
    let lies: [(fn() -> Answer, Keys); 4] = [
        // By somebody else, about the key that is to be believed.
        (|| told(1, vec![statement(1, &nth(7))]), Keys::Unreached),
        (|| told(1, vec![forged()]), Keys::SignatureWrong),
        (|| told(2, vec![statement(2, &nth(1))]), Keys::Unreached),
        (|| told(3, vec![statement(1, &nth(0)), statement(3, &nth(2))]), Keys::Gap),
    ];
    for (keys, expected) in lies {
        let script = signing_with(1, keys).await;
        let store = store(&script, Role::Client);
        let client = Client::open(store.clone(), ambient()).await.unwrap();
        let refused = client.policy().await.unwrap_err();
        assert!(
            matches!(refused, Error::Tampered(Tampered::Keys(reject)) if reject == expected),
            "{refused:?} for {expected:?}"
        );
        let kept = store.load().unwrap().unwrap();
        assert_eq!(kept.service_keys, ServiceKeys::new(nth(0).verifying_key()));
        assert_eq!(kept.policy.unwrap().seen.version, 1);
    }
}

/// What the first key says of the next, with another end in its place.
fn forged() -> String {
    let true_one = statement(1, &nth(0));
    let says = Statement {
        service: SERVICE,
        number: 1,
        key: nth(1).verifying_key(),
        at: NOON,
        until: NOON.after_s(601),
    };
    let altered = says.signed_by(&nth(0));
    let (signed, _) = altered.rsplit_once('.').unwrap();
    let (_, signature) = true_one.rsplit_once('.').unwrap();
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_device_that_has_followed_does_not_go_back() {
    let script = signing_with(2, || honest(2)).await;
    let store = store(&script, Role::Client);
    Client::open(store.clone(), ambient()).await.unwrap().policy().await.unwrap();
    for n in [0, 1] {
        let old = signing_with(7, move || honest(n)).await;
        let mut profile = store.load().unwrap().unwrap();
        (profile.url, profile.roots) = (old.url.parse().unwrap(), old.roots.clone());
        store.save(&profile).unwrap();
        let client = Client::open(store.clone(), ambient()).await.unwrap();
        let refused = client.policy().await.unwrap_err();
        assert!(matches!(refused, Error::Downgrade(Downgrade::Keys(Keys::Older))), "{refused:?}");
        assert_eq!(store.load().unwrap().unwrap().service_keys.number(), Some(2));
    }
}

#[tokio::test]
async fn what_the_old_key_signed_counts_until_the_overlap_ends() {
    for (until, counts) in [(NOON.after_s(1), true), (NOON, false)] {
        let script = signing_with(0, || honest(1)).await;
        let store = store(&script, Role::Client);
        let mut profile = store.load().unwrap().unwrap();
        let previous = sidekey_protocol::keys::Previous { key: nth(0).verifying_key(), until };
        profile.service_keys = ServiceKeys::kept(nth(1).verifying_key(), Some(1), vec![previous]);
        store.save(&profile).unwrap();
        // What it holds already it goes on to hold.
        let client = Client::open(store, ambient()).await.unwrap();
        match client.policy().await {
            Ok(held) => assert!(counts && held.policy.version == 2),
            Err(Error::Tampered(Tampered::Policy(policy::Reject::KeyForeign))) => assert!(!counts),
            Err(other) => panic!("{other:?}"),
        }
    }
}
