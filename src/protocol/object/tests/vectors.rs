//! The contract's vectors, which another implementation made (proto/object/vectors.json).

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::super::context::FIELDS;
use super::*;
use crate::crypto::TAG_SIZE;
use crate::encoding::{Bytes, Octets};

static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../proto/object/vectors.json"))
        .expect("the vectors are well-formed")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    keys: HashMap<String, Keys>,
    mailboxes: Vec<MailboxCase>,
    mailboxes_refused: Vec<MailboxRefused>,
    items: Vec<ItemCase>,
    items_refused: Vec<ItemRefused>,
    partials_refused: Vec<PartialRefused>,
    lengths: Vec<Length>,
    frames: Vec<Frame>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    session_key: Octets<32>,
    suite: Suite,
    policy_hash: Octets<32>,
    capabilities_hash: Octets<32>,
    offer_hash: Octets<32>,
    session: SessionId,
    generation: u32,
    s2c: Octets<32>,
    c2s: Octets<32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailboxCase {
    name: String,
    separator: Option<char>,
    canonical: String,
    sha256: Octets<32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailboxRefused {
    name: String,
    separator: Option<char>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemCase {
    item: String,
    canonical: String,
    r#type: Type,
    has_partial: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemRefused {
    item: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartialRefused {
    item: String,
    origin: u64,
    count: u32,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    r#type: Type,
    value_octets: u64,
    count: u64,
    record_size_log2: u8,
    frame_octets: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Type {
    HeaderLike,
    Body,
    Partial,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    name: String,
    #[serde(rename = "proves")]
    _proves: String,
    keys: String,
    place: Place,
    kind: String,
    value_repeat: Bytes,
    value_octets: usize,
    record_size_log2: u8,
    salt: Octets<16>,
    context: Octets<96>,
    frame: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    mailbox: String,
    separator: Option<char>,
    uid_validity: NonZeroU32,
    uid: NonZeroU32,
    item: String,
    partial: Option<(u64, u32)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    of: Option<String>,
    keys: Option<String>,
    place: Option<Place>,
    change: Option<Change>,
    frame: Option<Bytes>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    at: Option<usize>,
    xor: Option<u8>,
    cut: Option<usize>,
    append: Option<Bytes>,
    records: Option<Vec<usize>>,
}

impl Keys {
    pub(super) fn derive(&self) -> ObjectKeys {
        let agreed = Agreed {
            session: self.session,
            generation: self.generation,
            suite: self.suite,
            policy_hash: self.policy_hash.0,
            capabilities_hash: self.capabilities_hash.0,
            offer_hash: self.offer_hash.0,
        };
        ObjectKeys::derive(&Secret::copy_of(&self.session_key.0).unwrap(), &agreed)
    }
}

impl Place {
    fn context(&self) -> Result<Context<ServerToClient>, Reject> {
        let mailbox = Mailbox::new(&self.mailbox, self.separator)?;
        let partial = self.partial.map(|(origin, count)| Partial::new(origin, count)).transpose()?;
        Context::fetch(&mailbox, self.uid_validity, self.uid, &Item::parse(&self.item)?, partial)
    }
}

impl Frame {
    fn value(&self) -> Vec<u8> {
        self.value_repeat.0.iter().copied().cycle().take(self.value_octets).collect()
    }
}

impl Change {
    fn apply(&self, octets: &mut Vec<u8>) {
        if let (Some(at), Some(xor)) = (self.at, self.xor) {
            octets[at] ^= xor;
        }
        if let Some(cut) = self.cut {
            octets.truncate(cut);
        }
        if let Some(append) = &self.append {
            octets.extend_from_slice(&append.0);
        }
        if let Some(order) = &self.records {
            let records = octets.split_off(PREFIX_SIZE);
            let records: Vec<_> = records.chunks((1 << octets[5]) + TAG_SIZE).collect();
            for record in order {
                octets.extend_from_slice(records[*record]);
            }
        }
    }
}

fn class(of: Type) -> Class {
    match of {
        Type::HeaderLike => Class::HeaderLike,
        Type::Body => Class::Body,
        Type::Partial => Class::Partial,
    }
}

pub(super) fn kind(name: &str) -> Kind {
    match name {
        "NIL" => Kind::Nil,
        "quoted" => Kind::Quoted,
        "literal" => Kind::Literal,
        "literal8" => Kind::Literal8,
        "list" => Kind::List,
        _ => panic!("{name} is no kind"),
    }
}

/// `OtherUidValidity` as the vectors write it.
pub(super) fn reason(reject: Reject) -> String {
    let mut reason = String::new();
    for c in format!("{reject:?}").chars() {
        if c.is_ascii_uppercase() && !reason.is_empty() {
            reason.push('_');
        }
        reason.push(c.to_ascii_lowercase());
    }
    reason
}

fn frame_named(name: &str) -> &'static Frame {
    VECTORS.frames.iter().find(|frame| frame.name == name).unwrap()
}

#[test]
fn keys_are_those_of_the_reference() {
    for (name, case) in &VECTORS.keys {
        let keys = case.derive();
        assert_eq!(keys.s2c.secret.expose(), &case.s2c.0, "{name}");
        assert_eq!(keys.c2s.secret.expose(), &case.c2s.0, "{name}");
    }
}

#[test]
fn mailboxes_have_one_spelling() {
    for case in &VECTORS.mailboxes {
        let mailbox = Mailbox::new(&case.name, case.separator).unwrap();
        assert_eq!((mailbox.canonical(), mailbox.hash()), (case.canonical.as_str(), case.sha256.0));
    }
    for case in &VECTORS.mailboxes_refused {
        let reject = Mailbox::new(&case.name, case.separator).unwrap_err();
        assert_eq!(reason(reject), case.reason, "{:?}", case.name);
    }
}

#[test]
fn items_have_one_spelling() {
    for case in &VECTORS.items {
        let item = Item::parse(&case.item).unwrap_or_else(|_| panic!("{}", case.item));
        assert_eq!(item.canonical(), case.canonical, "{}", case.item);
        assert_eq!(
            (item.class(), item.has_partial()),
            (class(case.r#type), case.has_partial),
            "{}",
            case.item
        );
    }
    for case in &VECTORS.items_refused {
        assert_eq!(Item::parse(&case.item).map_err(reason), Err(case.reason.clone()), "{}", case.item);
    }
}

#[test]
fn partials_are_refused_as_by_the_reference() {
    for PartialRefused { item, origin, count, reason: expected } in &VECTORS.partials_refused {
        let place = Place {
            mailbox: "INBOX".to_owned(),
            separator: None,
            uid_validity: NonZeroU32::MIN,
            uid: NonZeroU32::MIN,
            item: item.clone(),
            partial: Some((*origin, *count)),
        };
        assert_eq!(&reason(place.context().unwrap_err()), expected, "{item} {origin} {count}");
    }
}

#[test]
fn lengths_are_those_of_the_reference() {
    for case in &VECTORS.lengths {
        let record_size = RecordSize::from_log2(case.record_size_log2).unwrap();
        let len = frame_len(class(case.r#type), case.value_octets, case.count, record_size);
        assert_eq!(len, case.frame_octets);
    }
}

#[test]
fn frames_are_those_of_the_reference() {
    for case in &VECTORS.frames {
        let keys = VECTORS.keys[&case.keys].derive();
        let (place, value) = (case.place.context().unwrap(), case.value());
        assert_eq!(place.write(), case.context.0, "{}", case.name);
        let record_size = RecordSize::from_log2(case.record_size_log2).unwrap();
        let len = value.len() as u64;
        let sealer = Sealer::new(&keys.s2c, &place, kind(&case.kind), len, record_size, case.salt.0).unwrap();
        let mut frame = Vec::new();
        seal(sealer, value.as_slice(), &mut frame).unwrap();
        assert!(frame == case.frame.0, "{}", case.name);
        assert_eq!(
            opened(Opener::new(&keys.s2c, &place), &frame),
            Ok((kind(&case.kind), value)),
            "{}",
            case.name
        );
    }
}

#[test]
fn what_must_be_refused_is_refused_for_its_reason() {
    for case in &VECTORS.refused {
        let of = case.of.as_deref().map(frame_named);
        let keys = case.keys.as_ref().or(of.map(|of| &of.keys)).unwrap();
        let place = case.place.as_ref().or(of.map(|of| &of.place)).unwrap().context().unwrap();
        let mut frame = case.frame.as_ref().or(of.map(|of| &of.frame)).unwrap().0.clone();
        if let Some(change) = &case.change {
            change.apply(&mut frame);
        }
        let keys = VECTORS.keys[keys].derive();
        let refused = opened(Opener::new(&keys.s2c, &place), &frame).map_err(reason);
        assert_eq!(refused, Err(case.reason.clone()), "{}", case.name);
    }
}

/// Every octet belongs to a field, and the field is named when the octet is flipped.
#[test]
fn every_flipped_octet_is_refused_for_its_field() {
    for case in &VECTORS.frames {
        let keys = VECTORS.keys[&case.keys].derive();
        let place = case.place.context().unwrap();
        let mut frame = case.frame.0.clone();
        for at in 0..frame.len() {
            for bit in [0x01, 0x80] {
                frame[at] ^= bit;
                let refused = refusal(Opener::new(&keys.s2c, &place), &frame);
                assert_eq!(refused, Some(blame(&frame, at)), "{}: octet {at}, bit {bit:#x}", case.name);
                frame[at] ^= bit;
            }
        }
    }
}

fn refusal(mut opener: Opener<'_, ServerToClient>, mut frame: &[u8]) -> Option<Reject> {
    while !frame.is_empty() {
        if let Err(reject) = opener.feed(&mut frame) {
            return Some(reject);
        }
    }
    opener.finish().err()
}

/// What a frame whose octet `at` was flipped is refused for.
fn blame(frame: &[u8], at: usize) -> Reject {
    let first_end = PREFIX_SIZE + (1 << frame[5].min(20)) + TAG_SIZE;
    match at {
        0..2 => Reject::NotAFrame,
        2 => Reject::VersionUnknown,
        3 if matches!(frame[3], 1..=3) => Reject::OtherType,
        3 => Reject::TypeUnknown,
        4 => Reject::SuiteUnknown,
        5 if !matches!(frame[5], 12..=20) => Reject::RecordSizeOutOfBounds,
        6..22 => Reject::OtherSession,
        22..26 => Reject::OtherGeneration,
        5 | 26..HEADER_SIZE => Reject::FirstRecordUnverified,
        HEADER_SIZE..PREFIX_SIZE => {
            let (_, reject) = FIELDS.iter().find(|(field, _)| field.contains(&(at - HEADER_SIZE))).unwrap();
            *reject
        }
        _ if at < first_end => Reject::FirstRecordUnverified,
        _ => Reject::RecordUnverified,
    }
}
