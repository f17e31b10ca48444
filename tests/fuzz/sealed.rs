//! What is signed or sealed: nothing is taken but what the contract's vectors hold, of which every key is known here.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use sidekey_protocol::crypto::{Secret, VerifyingKey};
use sidekey_protocol::ids::{PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName};
use sidekey_protocol::object::{
    Agreed, Context, Item, Mailbox, ObjectKeys, Opener, Partial, ServerToClient, open,
};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::session::Suite;
use sidekey_protocol::session::envelope::{self, Expected, cose, set};
use sidekey_protocol::token::Presented;
use sidekey_protocol::{object, policy};

use crate::choice;

static SESSION: LazyLock<Value> = LazyLock::new(|| read(include_str!("../../proto/session/vectors.json")));
static OBJECT: LazyLock<Value> = LazyLock::new(|| read(include_str!("../../proto/object/vectors.json")));
/// When the vectors hold.
const NOW: Timestamp = Timestamp(1_700_000_000);

pub fn tokens(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let tokens = &SESSION["tokens"];
    let Ok(presented) = Presented::read(text) else { return };
    let key = VerifyingKey::from_spki(&hex(&tokens["key"]["spki"])).expect("the vectors' key");
    if presented.verify(&key, parsed::<ServiceId>(&tokens["service"]), NOW).is_ok() {
        // A signature has a twin that verifies as well.
        let signed = presented.signed_part();
        let known = |case: &Value| word(&case["token"]).starts_with(signed);
        assert!(cases(&tokens["cases"]).iter().any(known), "a token that nobody signed: {text}");
    }
}

pub fn policies(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let policies = &SESSION["policies"];
    let key = VerifyingKey::from_spki(&hex(&policies["key"]["spki"])).expect("the vectors' key");
    let (server, user) = (parsed(&policies["scope"]["server"]), parsed(&policies["scope"]["user"]));
    let scope =
        policy::Scope { service: parsed(&policies["scope"]["service"]), server: &server, user: &user };
    if policy::verify(text, &key, &scope, None).is_ok() {
        let signed = text.rsplit_once('.').map_or(text, |(signed, _)| signed);
        let known = |case: &Value| word(&case["jws"]).starts_with(signed);
        assert!(cases(&policies["cases"]).iter().any(known), "a policy that nobody signed: {text}");
    }
}

pub fn envelopes(octets: &[u8]) {
    let Ok(jwe) = std::str::from_utf8(octets) else { return };
    let envelopes = &SESSION["envelopes"];
    let kek = Kek { kw: secret(&envelopes["kek"]["kw"]), gcm: Secret::fill_with(|_| ()), id: id(envelopes) };
    let expected = &envelopes["expected"];
    let (server, user): (ServerName, UserName) = (parsed(&expected["server"]), parsed(&expected["user"]));
    let expected = Expected {
        service: parsed(&expected["service"]),
        server: &server,
        user: Some(&user),
        pairing: parsed(&expected["pairing"]),
        session: Some(parsed(&expected["session"])),
        generation: None,
        generation_seen: 0,
    };
    let opened = envelope::open(&kek, jwe, &expected, NOW).is_ok();
    let opened_set = (1..4).any(|count| set::open_set(&kek, jwe, count).is_ok());
    let known = |of: &str| cases(&envelopes[of]).iter().any(|case| case["jwe"] == jwe);
    assert!(!opened || known("cases"), "an envelope that nobody sealed: {jwe}");
    assert!(!opened_set || known("sets"), "envelopes that nobody sealed: {jwe}");
}

pub fn carried(octets: &[u8]) {
    let vectors = &SESSION["cose"];
    let kek = Kek { kw: Secret::fill_with(|_| ()), gcm: secret(&vectors["kek"]["gcm"]), id: id(vectors) };
    let scope = &vectors["scope"];
    let (server, user): (ServerName, UserName) = (parsed(&scope["server"]), parsed(&scope["user"]));
    let scope = cose::Scope {
        service: parsed(&scope["service"]),
        server: &server,
        user: &user,
        pairing: parsed::<PartyId>(&scope["pairing"]),
    };
    if cose::open(&kek, octets, &scope, NOW).is_ok() {
        let known = cases(&vectors["cases"]).iter().any(|case| hex(&case["cose"]) == octets);
        assert!(known, "an envelope that nobody sealed");
    }
}

/// The first octet says for which of the vectors' places it is.
pub fn frames(octets: &[u8]) {
    let (choice, frame) = choice(octets);
    let frames = cases(&OBJECT["frames"]);
    let case = &frames[usize::from(choice) % frames.len()];
    let keys = keys(&OBJECT["keys"][word(&case["keys"])]);
    let mut value = Vec::new();
    if open(Opener::new(&keys.s2c, &context(&case["place"])), frame, &mut value).is_ok() {
        let known = |other: &Value| other["frame"].as_str().is_some_and(|text| base64url(text) == frame);
        assert!(frames.iter().any(known), "a frame that nobody sealed");
    }
}

fn context(place: &Value) -> Context<ServerToClient> {
    let separator = place["separator"].as_str().and_then(|text| text.chars().next());
    let mailbox = Mailbox::new(word(&place["mailbox"]), separator).expect("a mailbox");
    let partial = place["partial"].as_array().map(|partial| {
        let count = number(&partial[1]).try_into().expect("a count");
        Partial::new(number(&partial[0]), count).expect("a partial")
    });
    let positive = |value| NonZeroU32::new(u32::try_from(number(value)).expect("32 bits")).expect("no zero");
    let item = Item::parse(word(&place["item"])).expect("an item");
    let context =
        Context::fetch(&mailbox, positive(&place["uid_validity"]), positive(&place["uid"]), &item, partial);
    context.expect("a place")
}

fn keys(keys: &Value) -> ObjectKeys {
    let agreed = Agreed {
        session: parsed::<SessionId>(&keys["session"]),
        generation: u32::try_from(number(&keys["generation"])).expect("32 bits"),
        suite: Suite::from_name(word(&keys["suite"])).expect("a suite"),
        policy_hash: hash(&keys["policy_hash"]),
        capabilities_hash: hash(&keys["capabilities_hash"]),
        offer_hash: hash(&keys["offer_hash"]),
    };
    let secret = Secret::copy_of(&base64url(word(&keys["session_key"]))).expect("32 octets");
    object::ObjectKeys::derive(&secret, &agreed)
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("vectors")
}

fn cases(value: &Value) -> &[Value] {
    value.as_array().expect("cases")
}

fn word(value: &Value) -> &str {
    value.as_str().expect("a word")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn parsed<T: std::str::FromStr>(value: &Value) -> T {
    word(value).parse().unwrap_or_else(|_| panic!("{value}"))
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = word(value);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn secret(value: &Value) -> Secret<32> {
    Secret::copy_of(&hex(value)).expect("32 octets")
}

fn id(vectors: &Value) -> [u8; 8] {
    hex(&vectors["kek"]["id"]).try_into().expect("8 octets")
}

fn base64url(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn hash(value: &Value) -> [u8; 32] {
    base64url(word(value)).try_into().expect("32 octets")
}
