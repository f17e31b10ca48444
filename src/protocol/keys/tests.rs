use serde_json::Value;

use super::*;
use crate::vectors::{cases, flip_each, load, number, octets, outcome, text};

fn vectors() -> Value {
    load(include_str!("../../../proto/pairing/keys.json"))
}

fn key(hex: &Value) -> VerifyingKey {
    VerifyingKey::from_spki(&octets(hex)).unwrap()
}

fn service(vectors: &Value) -> ServiceId {
    text(&vectors["service"]).parse().unwrap()
}

fn answer(case: &Value) -> KeysAnswer {
    serde_json::from_value(case["answer"].clone()).unwrap()
}

#[test]
fn our_signer_writes_a_statement_to_the_octet() {
    let vectors = vectors();
    let [old, new] = cases(&vectors, "keys") else { panic!("two keys") };
    let case = &vectors["statement"];
    let statement = Statement {
        service: service(&vectors),
        number: number(&case["number"]),
        key: key(&new["spki"]),
        at: Timestamp(number(&case["at"])),
        until: Timestamp(number(&case["until"])),
    };
    let old = SigningKey::from_pkcs8(&octets(&old["pkcs8"])).unwrap();
    assert_eq!(statement.signed_by(&old), text(&case["jws"]));
    assert_eq!(key_id(&old.verifying_key()), text(&cases(&vectors, "keys")[0]["kid"]));
}

#[test]
fn a_party_follows_statements_and_nothing_else() {
    let vectors = vectors();
    for case in cases(&vectors, "follow") {
        let number_of = |value: &Value| value.as_u64().map(|number| number.try_into().unwrap());
        let held = &case["held"];
        let held = ServiceKeys::kept(key(&held["key"]), number_of(&held["number"]), Vec::new());
        let followed = held.follow(service(&vectors), &answer(case));
        let Some(known) = outcome(case, followed.map(|known| known.unwrap_or(held))) else { continue };
        let expected = &case["known"];
        assert_eq!((known.key(), known.number()), (&key(&expected["key"]), number_of(&expected["number"])));
        let previous = cases_or_none(&expected["previous"]).iter().map(|previous| Previous {
            key: key(&previous["key"]),
            until: Timestamp(number(&previous["until"])),
        });
        assert!(previous.eq(known.previous().iter().cloned()), "{case}");
        assert_eq!(known.follow(service(&vectors), &answer(case)), Ok(None), "once is enough");
    }
}

fn cases_or_none(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn every_flipped_octet_of_a_statement_is_refused_for_its_part() {
    let vectors = vectors();
    let case = cases(&vectors, "follow").iter().find(|case| case["name"] == "one step").unwrap();
    let known = ServiceKeys::new(key(&case["held"]["key"]));
    let header = [
        Reject::AlgorithmForeign,
        Reject::HeaderMalformed,
        Reject::HeaderMembers,
        Reject::KeyForeign,
        Reject::TypeForeign,
    ];
    let payload = [
        Reject::KeyForeign,
        Reject::PayloadMalformed,
        Reject::ServiceForeign,
        Reject::SignatureWrong,
        Reject::Unreached,
    ];
    let signature = [Reject::SignatureMalformed, Reject::SignatureWrong];
    let allowed: [&[Reject]; 3] = [&header, &payload, &signature];
    let told = answer(case);
    flip_each(&told.statements[0], Reject::NotThreeParts, &allowed, |flipped| {
        let told = KeysAnswer { statements: vec![flipped.to_owned()], ..told.clone() };
        known.follow(service(&vectors), &told).map(drop)
    });
}

#[test]
fn what_a_replaced_key_signed_counts_until_its_overlap_ends() {
    let vectors = vectors();
    let case = cases(&vectors, "follow").iter().find(|case| case["name"] == "one step").unwrap();
    let first = ServiceKeys::new(key(&case["held"]["key"]));
    let known = first.follow(service(&vectors), &answer(case)).unwrap().unwrap();
    let until = known.previous()[0].until;
    let in_force = |now| known.in_force(now).cloned().collect::<Vec<_>>();
    assert_eq!(in_force(Timestamp(until.0 - 1)), [known.key().clone(), first.key().clone()]);
    assert_eq!(in_force(until), [known.key().clone()]);
    assert_eq!(known.all().count(), 2);
}

#[test]
fn a_pin_reaches_the_active_key_or_nothing() {
    let vectors = vectors();
    let case = cases(&vectors, "follow").iter().find(|case| case["name"] == "two steps").unwrap();
    let (told, first) = (answer(case), key(&case["held"]["key"]));
    let known = reach(Pin::of(&first), service(&vectors), &told).unwrap();
    assert_eq!(known.number(), Some(2));
    let stranger = SigningKey::from_pkcs8(&octets(&cases(&vectors, "keys")[1]["pkcs8"])).unwrap();
    let told = KeysAnswer { keys: told.keys[..1].to_vec(), ..told };
    assert_eq!(reach(Pin::of(&stranger.verifying_key()), service(&vectors), &told), Err(Reject::Unreached));
}
