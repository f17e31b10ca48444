//! `proto/session/vectors.json`, made by a program that shares no code with ours.

use serde_json::Value;

use super::super::envelope::{self, Bindings, Expected, Known, open, seal, set};
use super::super::*;
use crate::encoding::{array_from_base64url, from_base64url};
use crate::ids::{ServerName, ServiceId, Timestamp};
use crate::pairing::Kek;
use crate::policy::{Held, Policy};
use crate::revocation::SealedHead;
use crate::vectors::{Recorded, array, cases, flip_each, load, number, outcome, text, texts};

fn vectors() -> Value {
    load(include_str!("../../../../proto/session/vectors.json"))
}

fn suites(value: &Value) -> SuiteList {
    SuiteList::parse(&texts(value)).unwrap()
}

fn capabilities(value: &Value) -> Capabilities {
    Capabilities::parse(&texts(value)).unwrap()
}

#[test]
fn session_keys() {
    for case in cases(&vectors(), "session_keys") {
        let root = SessionRoot::from_secret(Secret::copy_of(&array::<32>(&case["root"])).unwrap());
        let session = SessionId::from_bytes(array(&case["session"]));
        let key = root.key(session, number(&case["generation"]));
        assert_eq!(*key.expose(), array(&case["key"]), "{case}");
    }
}

#[test]
fn lists_and_their_hashes() {
    for case in cases(&vectors(), "capabilities") {
        let Some(list) = outcome(case, Capabilities::parse(&texts(&case["list"]))) else { continue };
        assert!(list.iter().eq(texts(&case["canonical"])), "{case}");
        assert_eq!(list.hash(), array(&case["hash"]), "{case}");
    }
    for case in cases(&vectors(), "offers") {
        let Some(offer) = outcome(case, SuiteList::parse(&texts(&case["names"]))) else { continue };
        assert!(offer.names().eq(texts(&case["names"])), "{case}");
        assert_eq!(offer.offer_hash(), array(&case["hash"]), "{case}");
    }
}

#[test]
fn choices() {
    let vectors = vectors();
    let of_one = cases(&vectors, "of_one").iter().map(|case| {
        (
            case,
            choose_of_one(
                &suites(&case["offer"]),
                &suites(&case["policy"]),
                &capabilities(&case["capabilities"]),
            ),
        )
    });
    let of_several = cases(&vectors, "of_several").iter().map(|case| {
        let offers: Vec<SuiteList> = case["offers"].as_array().unwrap().iter().map(suites).collect();
        let capabilities = capabilities(&case["capabilities"]);
        (case, choose_of_several(offers.iter(), &suites(&case["policy"]), &capabilities))
    });
    for (case, result) in of_one.chain(of_several) {
        let Some(choice) = outcome(case, result) else { continue };
        assert_eq!(choice.suite.name(), text(&case["suite"]), "{case}");
        assert_eq!(choice.offer, array(&case["offer_hash"]), "{case}");
    }
}

#[test]
fn times() {
    for case in cases(&vectors(), "ttl") {
        let Some(ttl_s) = outcome(case, ttl_s(case["asked"].as_u64().map(|asked| asked.try_into().unwrap())))
        else {
            continue;
        };
        assert_eq!(ttl_s, number(&case["ttl"]));
    }
    for case in cases(&vectors(), "generations") {
        let mut generations = Generations::first(Timestamp(0));
        for rotation in case["rotations"].as_array().unwrap() {
            let cause = serde_json::from_value(rotation["cause"].clone()).unwrap();
            generations = generations.rotate(cause, Timestamp(number(&rotation["at"]))).unwrap();
        }
        let asked = case["asked"].as_u64().map(|asked| asked.try_into().unwrap());
        let now = Timestamp(number(&case["now"]));
        let Some(generation) = outcome(case, generations.fetch(asked, now)) else { continue };
        assert_eq!(generation, number(&case["generation"]), "{case}");
    }
}

struct Fixture {
    vectors: Value,
    kek: Kek,
    server: ServerName,
    user: UserName,
}

fn fixture() -> Fixture {
    let vectors = vectors()["envelopes"].take();
    let kw = Secret::copy_of(&array::<32>(&vectors["kek"]["kw"])).unwrap();
    let kek = Kek { kw, gcm: Secret::fill_with(|_| ()), id: array(&vectors["kek"]["id"]) };
    let server = text(&vectors["expected"]["server"]).parse().unwrap();
    let user = text(&vectors["expected"]["user"]).parse().unwrap();
    Fixture { vectors, kek, server, user }
}

impl Fixture {
    fn expected(&self) -> Expected<'_> {
        let expected = &self.vectors["expected"];
        Expected {
            service: text(&expected["service"]).parse().unwrap(),
            server: &self.server,
            user: Some(&self.user),
            pairing: text(&expected["pairing"]).parse().unwrap(),
            session: Some(text(&expected["session"]).parse().unwrap()),
            generation: None,
            generation_seen: 0,
        }
    }

    fn open(&self, jwe: &str) -> Result<(), envelope::Reject> {
        open(&self.kek, jwe, &self.expected(), Timestamp(1_700_000_000)).map(drop)
    }

    fn plain(&self) -> (&str, &Value) {
        let case = &cases(&self.vectors, "cases")[0];
        (text(&case["jwe"]), &case["payload"])
    }
}

fn bindings(payload: &Value) -> Bindings {
    let hash = |name: &str| array_from_base64url(text(&payload[name])).unwrap();
    Bindings {
        service: text(&payload["sk_service"]).parse().unwrap(),
        server: text(&payload["sk_server"]).parse().unwrap(),
        user: text(&payload["sk_user"]).parse().unwrap(),
        pairing: text(&payload["sk_pairing"]).parse().unwrap(),
        session: text(&payload["sk_session"]).parse().unwrap(),
        generation: number(&payload["sk_generation"]),
        suite: Suite::from_name(text(&payload["sk_suite"])).unwrap(),
        not_before: Timestamp(number(&payload["sk_nbf"])),
        not_after: Timestamp(number(&payload["sk_exp"])),
        policy: hash("sk_policy"),
        capabilities: capabilities(&payload["sk_caps"]),
        offer: hash("sk_offer"),
        head: SealedHead::from_bytes(hash("sk_head")),
    }
}

fn key(payload: &Value) -> Secret<32> {
    Secret::copy_of(&from_base64url(text(&payload["k"])).unwrap()).unwrap()
}

#[test]
fn envelopes_open_or_are_refused_by_name() {
    let fixture = fixture();
    for case in cases(&fixture.vectors, "cases") {
        let mut expected = fixture.expected();
        let changed = &case["expected"];
        let user: Option<UserName> = changed["user"].as_str().map(|user| user.parse().unwrap());
        if changed.get("user").is_some() {
            expected.user = user.as_ref();
        }
        if changed.get("session").is_some() {
            expected.session = None;
        }
        expected.generation = changed["generation"].as_u64().map(|generation| generation.try_into().unwrap());
        expected.generation_seen = changed["generation_seen"].as_u64().unwrap_or(0).try_into().unwrap();
        let now = Timestamp(number(&case["now"]));
        let result = open(&fixture.kek, text(&case["jwe"]), &expected, now);
        let Some(opened) = outcome(case, result) else { continue };
        assert_eq!(opened.bindings, bindings(&case["payload"]), "{case}");
        assert_eq!(opened.key.expose(), key(&case["payload"]).expose(), "{case}");
    }
}

#[test]
fn our_sealer_writes_the_first_envelope_to_the_octet() {
    let fixture = fixture();
    let mut rng =
        Recorded::new(&[&array::<32>(&fixture.vectors["cek"]), &array::<12>(&fixture.vectors["nonce"])]);
    let (jwe, payload) = fixture.plain();
    assert_eq!(seal(&fixture.kek, &bindings(payload), &key(payload), &mut rng), jwe);
    assert_eq!(jwe.len(), 964, "names of 16 and 15 octets, three capabilities");
}

#[test]
fn sets_open_or_are_refused_by_name() {
    let fixture = fixture();
    for case in cases(&fixture.vectors, "sets") {
        let count = case["count"].as_u64().unwrap().try_into().unwrap();
        let Some(opened) = outcome(case, set::open_set(&fixture.kek, text(&case["jwe"]), count)) else {
            continue;
        };
        for (opened, told) in opened.iter().zip(cases(case, "keys")) {
            assert_eq!(opened.bindings, bindings(told), "{case}");
            assert_eq!(opened.key.expose(), key(told).expose(), "{case}");
        }
    }
}

#[test]
fn our_sealer_writes_the_first_set_to_the_octet() {
    let fixture = fixture();
    let mut rng =
        Recorded::new(&[&array::<32>(&fixture.vectors["cek"]), &array::<12>(&fixture.vectors["nonce"])]);
    let case = &cases(&fixture.vectors, "sets")[0];
    let keys: Vec<_> = cases(case, "keys").iter().map(|told| (bindings(told), key(told))).collect();
    assert_eq!(set::seal_set(&fixture.kek, &keys, &mut rng), text(&case["jwe"]));
}

#[test]
fn every_flipped_octet_is_refused_for_its_part() {
    use envelope::Reject::*;
    let fixture = fixture();
    let header = [
        AlgorithmForeign,
        ContentTypeForeign,
        EncryptionForeign,
        HeaderMalformed,
        HeaderMembers,
        KekForeign,
        TypeForeign,
    ];
    let allowed: [&[envelope::Reject]; 5] = [
        &header,
        &[WrapMalformed, WrapWrong],
        &[NonceMalformed, ContentWrong],
        &[CiphertextMalformed, ContentWrong],
        &[TagMalformed, ContentWrong],
    ];
    flip_each(fixture.plain().0, NotFiveParts, &allowed, |jwe| fixture.open(jwe));
}

#[test]
fn a_truncated_or_huge_envelope_is_refused() {
    let fixture = fixture();
    let (jwe, _) = fixture.plain();
    for length in 0..jwe.len() {
        assert!(fixture.open(&jwe[..length]).is_err(), "cut to {length}");
    }
    let huge = "A".repeat(envelope::SIZE_MAX + 1);
    assert_eq!(fixture.open(&huge), Err(envelope::Reject::TooLong));
    assert_eq!(fixture.open(&huge[1..]), Err(envelope::Reject::NotFiveParts));
}

#[test]
fn who_was_shown_other_lists_finds_out() {
    let payload = fixture().plain().1.clone();
    for case in cases(&vectors(), "agreement") {
        let (bound, known) = (&case["bound"], &case["known"]);
        let bound = Bindings {
            suite: Suite::from_name(text(&bound["suite"])).unwrap(),
            policy: array(&bound["policy"]),
            capabilities: capabilities(&bound["capabilities"]),
            offer: array(&bound["offer"]),
            ..bindings(&payload)
        };
        let mut policy = Policy::built_in(
            ServiceId::from_bytes([0; 16]),
            "mail.example.org".parse().unwrap(),
            "ann@example.org".parse().unwrap(),
        );
        policy.suites = suites(&known["suites"]);
        let held = Held { policy, hash: array(&known["policy"]), kid: String::new() };
        let offer = known["offer"].is_array().then(|| suites(&known["offer"]));
        let named = known["capabilities"].is_array().then(|| capabilities(&known["capabilities"]));
        let known = Known { policy: &held, offer: offer.as_ref(), capabilities: named.as_ref() };
        outcome(case, bound.agree(&known));
    }
}
