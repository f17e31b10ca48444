//! Envelopes in COSE, against `proto/session/vectors.json`.

use serde_json::Value;

use super::super::envelope::Reject;
use super::super::envelope::cose::{self, Carried, Scope};
use super::super::envelope::{Bindings, Known};
use super::super::*;
use crate::ids::{ServerName, Timestamp};
use crate::pairing::Kek;
use crate::policy::{Held, Policy};
use crate::revocation::SealedHead;
use crate::vectors::{Recorded, array, cases, load, number, octets, outcome, text, texts};

struct Fixture {
    vectors: Value,
    kek: Kek,
    server: ServerName,
    user: UserName,
}

const NOW: Timestamp = Timestamp(1_700_000_000);

fn fixture() -> Fixture {
    let vectors = load(include_str!("../../../../proto/session/vectors.json"))["cose"].take();
    let gcm = Secret::copy_of(&array::<32>(&vectors["kek"]["gcm"])).unwrap();
    let kek = Kek { kw: Secret::fill_with(|_| ()), gcm, id: array(&vectors["kek"]["id"]) };
    let server = text(&vectors["scope"]["server"]).parse().unwrap();
    let user = text(&vectors["scope"]["user"]).parse().unwrap();
    Fixture { vectors, kek, server, user }
}

impl Fixture {
    fn scope(&self) -> Scope<'_> {
        let scope = &self.vectors["scope"];
        Scope {
            service: text(&scope["service"]).parse().unwrap(),
            server: &self.server,
            user: &self.user,
            pairing: text(&scope["pairing"]).parse().unwrap(),
        }
    }

    fn open(&self, envelope: &[u8]) -> Result<Carried, Reject> {
        cose::open(&self.kek, envelope, &self.scope(), NOW)
    }

    fn plain(&self) -> Vec<u8> {
        octets(&cases(&self.vectors, "cases")[0]["cose"])
    }

    /// The bindings of a case.
    fn bindings(&self, case: &Value) -> Bindings {
        let Scope { service, server, user, pairing } = self.scope();
        let mut head = [0; 32];
        head[..8].copy_from_slice(&case["revocations"].as_u64().unwrap().to_be_bytes());
        Bindings {
            service,
            server: server.clone(),
            user: user.clone(),
            pairing,
            session: SessionId::from_bytes(array(&case["session"])),
            generation: number(&case["generation"]),
            suite: Suite::from_octet(u8::try_from(number(&case["suite"])).unwrap()).unwrap(),
            not_before: Timestamp(number(&case["not_before"])),
            not_after: Timestamp(number(&case["not_after"])),
            policy: array(&self.vectors["policy"]),
            capabilities: Capabilities::parse(&texts(&self.vectors["capabilities"])).unwrap(),
            offer: SuiteList::parse(&texts(&self.vectors["offer"])).unwrap().offer_hash(),
            head: SealedHead::from_bytes(head),
        }
    }

    fn seal(&self, bindings: &Bindings, case: &Value) -> [u8; cose::SIZE] {
        let mut rng = Recorded::new(&[&array::<12>(&self.vectors["iv"])]);
        let key = Secret::copy_of(&array::<32>(&case["key"])).unwrap();
        cose::seal(&self.kek, bindings, &key, &mut rng)
    }
}

#[test]
fn an_envelope_in_cose_has_127_octets() {
    assert_eq!((cose::SIZE, fixture().plain().len()), (127, 127));
}

#[test]
fn envelopes_open_or_are_refused_by_name() {
    let fixture = fixture();
    for case in cases(&fixture.vectors, "cases") {
        let now = Timestamp(number(&case["now"]));
        let result = cose::open(&fixture.kek, &octets(&case["cose"]), &fixture.scope(), now);
        let Some(opened) = outcome(case, result) else { continue };
        assert_eq!(opened.session.as_bytes(), &array(&case["session"]), "{case}");
        assert_eq!(opened.generation, number(&case["generation"]), "{case}");
        assert_eq!(opened.revocations, case["revocations"].as_u64().unwrap(), "{case}");
        assert_eq!((opened.not_before.0, opened.not_after.0), {
            (number(&case["not_before"]), number(&case["not_after"]))
        });
        assert_eq!(u32::from(opened.suite.octet()), number(&case["suite"]), "{case}");
        assert_eq!(opened.key.expose(), &array(&case["key"]), "{case}");
        assert_eq!(opened.ctx, array(&case["ctx"]), "{case}");
    }
}

#[test]
fn our_sealer_writes_them_to_the_octet() {
    let fixture = fixture();
    for case in cases(&fixture.vectors, "cases").iter().filter(|case| case["refused"].is_null()) {
        assert_eq!(fixture.seal(&fixture.bindings(case), case).to_vec(), octets(&case["cose"]), "{case}");
    }
}

#[test]
fn the_longest_names_change_nothing_of_the_size() {
    let fixture = fixture();
    let case = &cases(&fixture.vectors, "cases")[0];
    let longest = &fixture.vectors["longest_names"];
    let (server, user): (ServerName, UserName) =
        (text(&longest["server"]).parse().unwrap(), text(&longest["user"]).parse().unwrap());
    let bindings = Bindings { server: server.clone(), user: user.clone(), ..fixture.bindings(case) };
    let envelope = fixture.seal(&bindings, case);
    assert_eq!(envelope.to_vec(), octets(&longest["cose"]));
    let scope = Scope { server: &server, user: &user, ..fixture.scope() };
    cose::open(&fixture.kek, &envelope, &scope, NOW).unwrap();
}

#[test]
fn every_flipped_bit_is_refused_for_its_field() {
    let fixture = fixture();
    let plain = fixture.plain();
    for bit in 0..8 * cose::SIZE {
        let mut flipped = plain.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            5 => Reject::AlgorithmForeign,
            8..16 => Reject::KekForeign,
            0..19 | 31..33 => Reject::FormForeign,
            _ => Reject::ContentWrong,
        };
        assert_eq!(fixture.open(&flipped).unwrap_err(), expected, "bit {bit}");
    }
}

#[test]
fn an_envelope_of_any_other_length_is_refused() {
    let fixture = fixture();
    let mut longer = fixture.plain();
    longer.resize(2 * cose::SIZE, 0);
    for length in (0..longer.len()).filter(|length| *length != cose::SIZE) {
        assert_eq!(fixture.open(&longer[..length]).unwrap_err(), Reject::SizeForeign, "{length}");
    }
}

#[test]
fn who_knows_other_lists_finds_out() {
    let fixture = fixture();
    for case in cases(&fixture.vectors, "lists") {
        let (carried, known) = (&case["carried"], &case["known"]);
        let carried = Carried {
            suite: Suite::from_name(text(&carried["suite"])).unwrap(),
            ctx: array(&carried["ctx"]),
            ..fixture.open(&fixture.plain()).unwrap()
        };
        let Scope { service, server, user, .. } = fixture.scope();
        let mut policy = Policy::built_in(service, server.clone(), user.clone());
        policy.suites = SuiteList::parse(&texts(&known["suites"])).unwrap();
        let held = Held { policy, hash: array(&known["policy"]), kid: String::new() };
        let offer = SuiteList::parse(&texts(&known["offer"])).unwrap();
        let capabilities = known["capabilities"].is_array().then(|| texts(&known["capabilities"]));
        let capabilities = capabilities.map(|list| Capabilities::parse(&list).unwrap());
        let known = Known { policy: &held, offer: Some(&offer), capabilities: capabilities.as_ref() };
        let Some(lists) = outcome(case, carried.lists(&known)) else { continue };
        assert_eq!(lists.offer, array(&case["offer"]), "{case}");
        assert_eq!((lists.policy, Some(lists.capabilities)), (held.hash, capabilities), "{case}");
    }
}
