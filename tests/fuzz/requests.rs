//! Requests: what is taken is what everybody else reads too; a refusal names what is wrong, in a document.

use std::collections::BTreeSet;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sidekey_protocol::{audit, delivery, keys, pairing, policy, revocation, session};
use sidekey_service::problem::Code;
use sidekey_service::requests::{Headers, Refused, body, listed, query};

/// Every body of a route, in the octets of one.
pub fn bodies(octets: &[u8]) {
    macro_rules! each {
        ($($module:path => $($name:ident)+;)+) => {$($({
            use $module as module;
            taken::<module::$name>(octets);
        })+)+};
    }
    each! {
        audit::wire => Prune;
        delivery::wire => SetAddress;
        keys::wire => Rotate;
        pairing::credential::wire => IssueCredential VerifyCredential;
        pairing::registry => Approve CreateInvitation CreateServer Refuse Reissue;
        pairing::wire => Begin Finish Rekey;
        policy::setting => Asked;
        revocation::restore => Accept Reports;
        revocation::wire => Revoke;
        session::batch => OpenBatch;
        session::wire => OpenSession Rotate;
    }
}

fn taken<T: DeserializeOwned + Serialize>(octets: &[u8]) {
    let json = serde_json::from_slice::<Value>(octets);
    match body::<T>(octets) {
        Ok(value) => {
            assert!(json.is_ok_and(|json| json.is_object()), "it is taken, and is no object");
            assert!(serde_json::from_slice::<Once>(octets).is_ok(), "a member stands there twice");
            let written = serde_json::to_vec(&value).expect("what was read is written");
            let again = body::<T>(&written).unwrap_or_else(|refused| panic!("{refused:?}"));
            assert_eq!(serde_json::to_vec(&again).expect("it was before"), written);
        }
        Err(refused) => {
            assert!(matches!(refused.code, Code::BodyInvalid | Code::BodyMalformed), "{refused:?}");
            assert!(json.is_err() || refused.code == Code::BodyInvalid, "it is JSON: {refused:?}");
            told(&refused);
        }
    }
}

/// A refusal's document, whatever it is about.
fn told(refused: &Refused) {
    let document: Value = serde_json::from_slice(&refused.document).expect("a document is JSON");
    assert_eq!(document["code"], refused.code.as_str());
    let fields = document["errors"].as_array().into_iter().flatten().map(|error| &error["field"]);
    for field in fields {
        let field = field.as_str().expect("a member has a name");
        let plain = !field.is_empty() && field.chars().count() <= 64 && !field.contains(char::is_control);
        assert!(plain, "{field:?}");
    }
}

/// JSON in which no member stands twice.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

macro_rules! any {
    ($($visit:ident $of:ty;)+) => {$(
        fn $visit<E: Error>(self, _: $of) -> Result<Once, E> {
            Ok(Once)
        }
    )+};
}

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    any! { visit_bool bool; visit_i64 i64; visit_u64 u64; visit_f64 f64; visit_str &str; }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Once, A::Error> {
        while list.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Once, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, Once)) = object.next_entry::<String, Once>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(Once)
    }
}

/// Every query of a route, and what is read of headers: the first line, and those that follow.
pub fn heads(octets: &[u8]) {
    let mut lines = octets.split(|octet| *octet == b'\n');
    if let Some(text) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) {
        queries(text);
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((which, value)) = line.split_first() else { continue };
        if let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) {
            headers.append(HeaderName::from_static(NAMES[usize::from(*which) % NAMES.len()]), value);
        }
    }
    read(&headers);
}

/// What headers are looked at.
const NAMES: [&str; 8] = [
    "content-type",
    "content-encoding",
    "idempotency-key",
    "last-event-id",
    "if-none-match",
    "if-match",
    "traceparent",
    "x-other",
];

fn queries(text: &str) {
    macro_rules! each {
        ($asks:ident: $($module:path => $($name:ident)+;)+) => {$($({
            use $module as module;
            $asks::<module::$name>(text);
        })+)+};
    }
    each! { asked:
        audit::proof => ProofQuery;
        keys::wire => RotateQuery;
        pairing::credential::wire => WithdrawQuery;
        policy::wire => ChangeQuery;
        revocation::restore => AcceptQuery;
        revocation::wire => RevokeQuery;
        session::wire => KeyQuery UserQuery;
    }
    each! { parted:
        audit::wire => CheckpointsQuery;
        delivery::wire => DeliveriesQuery;
        pairing::credential::wire => CredentialsQuery;
        pairing::registry => InvitationsQuery PairingsQuery ServersQuery;
        policy::wire => PoliciesQuery;
        session::registry => SessionsQuery;
    }
}

fn asked<T: DeserializeOwned>(text: &str) {
    judged(text, query::<T>(text).err());
}

fn parted<T: DeserializeOwned>(text: &str) {
    // What follows it is no part of the query in an address.
    let text = text.split('#').next().unwrap_or_default();
    match listed::<T>(text) {
        Ok((size, ..)) => {
            assert!((1..=1000).contains(&size));
            judged(text, None);
        }
        Err(refused) => judged(text, Some(refused)),
    }
}

/// What is taken is text in everybody's eyes.
fn judged(text: &str, refused: Option<Refused>) {
    match refused {
        None => assert!(percent_decode_str(text).decode_utf8().is_ok(), "{text:?} is taken, and is no text"),
        Some(refused) => {
            assert_eq!(refused.code, Code::QueryInvalid);
            told(&refused);
        }
    }
}

fn read(headers: &HeaderMap) {
    const TAG: &str = "a1";
    let found = Headers::read(headers, TAG);
    let all = |name: &str| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let (types, keys, ids) = (all("content-type"), all("idempotency-key"), all("last-event-id"));
    if found.announced.is_ok() {
        let plain =
            types.len() == 1 && types[0].as_bytes().to_ascii_lowercase().starts_with(b"application/json");
        assert!(plain && !headers.contains_key("content-encoding"), "{headers:?}");
    }
    match &found.idempotency {
        Ok(key) => assert!(keys.len() == 1 && keys[0] == **key && (16..=64).contains(&key.len())),
        Err(refused) => assert_eq!(refused.code == Code::HeaderRepeated, keys.len() > 1),
    }
    match &found.last_event {
        Ok(id) => assert_eq!(id.is_some(), ids.len() == 1),
        Err(refused) => assert!(refused.code == Code::HeaderRepeated && ids.len() > 1),
    }
    let names = |name: &str, weak: bool| {
        let tags = all(name);
        let mut members = tags.iter().filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
        members.any(|tag| matches!(tag.trim(), "*" | "\"a1\"") || weak && tag.trim() == "W/\"a1\"")
    };
    assert_eq!(found.known, names("if-none-match", true), "{headers:?}");
    assert_eq!(found.meant.is_ok(), names("if-match", false), "{headers:?}");
    // Whoever is told of a trace and goes on with it is in the same one.
    let onward = HeaderMap::from_iter([(HeaderName::from_static("traceparent"), found.trace.clone())]);
    assert_eq!(Headers::read(&onward, TAG).trace, found.trace);
}
