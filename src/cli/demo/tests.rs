use std::collections::BTreeSet;

use serde_json::Value;
use sidekey_protocol::revocation::Target;

use super::attacks::{ATTACKS, Attack, MAILBOX};
use super::bearer::{By, Via};
use super::claims::{Claim, claims};
use super::evidence::{Evidence, Step};
use super::lie::Lie;
use super::path::Request;
use super::screen::Page;
use super::story::{self, Path};
use super::{Told, mail, tell, verdict};
use crate::exit::Exit;

async fn told(attacks: &[Attack], by: &By) -> Told {
    tell(mail::own(), attacks, by, &mut |_, _| Ok(())).await.unwrap()
}

fn by(via: Via) -> By {
    By { via: Some(via), ..By::default() }
}

fn all(by: &By) -> Vec<Claim> {
    claims(by.imap, by.via)
}

fn broken(evidence: &Evidence, by: &By) -> BTreeSet<&'static str> {
    let checked = all(by).into_iter().map(|claim| claim.check(evidence));
    checked.filter(|checked| checked.why_not().is_some()).map(|checked| checked.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_and_every_fact_bears_a_claim() {
    holds(&By::default(), &["/start/folder"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_through_others_programs_holds_and_every_fact_bears_a_claim() {
    holds(&By { imap: true, ..By::default() }, &["/start/folder"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_sms_holds_and_every_fact_bears_a_claim() {
    holds(&by(Via::Sms), &["/deliver/whose", "/start/folder"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_an_xdms_holds_and_every_fact_bears_a_claim() {
    holds(&by(Via::Xdms), &["/deliver/whose", "/start/folder"]).await;
}

/// `shown_only`: facts that the screen shows and no claim speaks of.
async fn holds(by: &By, shown_only: &[&str]) {
    let told = told(&ATTACKS, by).await;
    for checked in told.claims() {
        assert_eq!(checked.why_not(), None, "{}", checked.name());
    }
    let (said, claimed): (Vec<_>, Vec<_>) =
        (told.claims().map(|c| c.name()).collect(), all(by).iter().map(|claim| claim.name).collect());
    assert_eq!(said, claimed, "every claim is said once");

    // Each fact that a run reports is changed in turn: some claim must notice, and each claim must notice something.
    let (mut noticed, mut idle) = (BTreeSet::new(), Vec::new());
    let whole = serde_json::to_value(&told.evidence).unwrap();
    for path in leaves(&whole, "") {
        // A list of fixed length cannot be another one.
        let changed = corruptions(&whole, &path);
        let noticing: BTreeSet<_> = changed.iter().flat_map(|evidence| broken(evidence, by)).collect();
        if noticing.is_empty() && !changed.is_empty() {
            idle.push(path);
        }
        noticed.extend(noticing);
    }
    idle.retain(|path: &String| !path.starts_with("/imap/hops") && !path.starts_with("/imap/programs"));
    assert_eq!(idle, shown_only, "facts that no claim depends on");
    for claim in all(by) {
        assert!(noticed.contains(claim.name), "nothing breaks the claim \u{201c}{}\u{201d}", claim.name);
    }
    told.service.stop().await.unwrap();
}

/// Pointers (RFC 6901) to every fact, every list and every part that may be missing.
fn leaves(value: &Value, at: &str) -> Vec<String> {
    let inner = |(name, value): (String, &Value)| leaves(value, &format!("{at}/{name}"));
    let own = if at.is_empty() { Vec::new() } else { vec![at.to_owned()] };
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| inner((name.clone(), value))).collect()
        }
        Value::Array(items) => {
            let items =
                items.iter().enumerate().flat_map(|(number, value)| inner((number.to_string(), value)));
            items.chain(own).collect()
        }
        _ => own,
    }
}

/// The evidence with one fact changed, in every way that makes another fact of it.
fn corruptions(whole: &Value, path: &str) -> Vec<Evidence> {
    let parent = whole.pointer(path.rsplit_once('/').unwrap().0).unwrap();
    let siblings =
        parent.as_object().into_iter().flat_map(|members| members.values().filter(|value| value.is_string()));
    let instead: Vec<Value> = match whole.pointer(path).unwrap() {
        Value::Number(number) => [number.as_u64().unwrap() + 1, 0, 1_000_000_000].map(Value::from).into(),
        Value::String(text) => siblings
            .cloned()
            .chain([format!("{text}!"), String::new()].map(Value::from))
            .chain(["server", "phone", "laptop"].map(Value::from))
            .collect(),
        Value::Array(items) if items.is_empty() => vec![serde_json::json!(["more"])],
        Value::Array(items) => vec![items[1..].into()],
        Value::Null => vec!["something".into()],
        other => panic!("{path} is {other}"),
    };
    let changed = instead.into_iter().map(|value| {
        let mut whole = whole.clone();
        *whole.pointer_mut(path).unwrap() = value;
        whole
    });
    changed
        .filter(|changed| changed != whole)
        .filter_map(|changed| serde_json::from_value(changed).ok())
        .collect()
}

/// A proxy that does not lie when it should: refusing is no proof then.
#[tokio::test(flavor = "multi_thread")]
async fn an_honest_proxy_fails_every_attack() {
    let honest = ATTACKS
        .map(|attack| Attack { tries: |v| vec![(Request::whole(MAILBOX, v.one), Lie::None)], ..attack });
    let told = told(&honest, &By::default()).await;
    let failed: Vec<_> = told.claims().filter(|c| c.why_not().is_some()).map(|c| c.name()).collect();
    assert_eq!(failed, ATTACKS.map(|attack| attack.name));
    let lies = told.chapters.iter().find(|chapter| chapter.step == Step::Lies).unwrap();
    let shown = Page::new(false).chapter(6, lies, &told.evidence);
    assert_eq!((shown.matches('✗').count(), shown.matches('✓').count()), (ATTACKS.len(), 1), "{shown}");
    assert_eq!(verdict(told.failed()).unwrap_err().exit(), Exit::Unverified);
    told.service.stop().await.unwrap();
}

/// A revocation that strikes somebody else: the phone goes on, and the demo says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_not_revoked_fails_the_demo() {
    let (service, _) = story::start(&By::default()).await.unwrap();
    let (parties, pair) = story::pair(&service).await.unwrap();
    let (keys, issue) = story::issue(&service, &parties).await.unwrap();
    let path = Path::start(mail::own()).unwrap();
    let sealed = path.sealed(&parties, &keys).unwrap();
    let laptop = Target::Pairing { pairing: parties.laptop.pairing() };
    let revoke = path.revoke(&service, &parties, &keys, &laptop).await;
    // The laptop cannot fetch the next key: the story comes to no end, let alone a good one.
    assert!(revoke.is_err(), "{revoke:?}");
    let evidence = Evidence { pair, issue, sealed, ..Evidence::default() };
    for claim in all(&By::default()).iter().filter(|claim| claim.step == Step::Revoke) {
        assert!(claim.check(&evidence).why_not().is_some(), "{} holds without evidence", claim.name);
    }
    service.stop().await.unwrap();
}

/// What was not seen cannot be claimed.
#[test]
fn without_evidence_nothing_holds() {
    let ways = [By { imap: true, ..By::default() }, by(Via::Sms), by(Via::Xdms)];
    for claim in ways.iter().flat_map(all) {
        assert!(
            claim.check(&Evidence::default()).why_not().is_some(),
            "{} holds without evidence",
            claim.name
        );
    }
}
