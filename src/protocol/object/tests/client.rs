//! What clients send, against vectors that another implementation made (proto/object/client.json).

use std::collections::HashMap;
use std::num::NonZeroU64;

use serde::Deserialize;

use super::vectors::{Keys, kind, reason};
use super::*;
use crate::encoding::{Bytes, Octets};
use crate::ids::PartyId;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    keys: HashMap<String, Keys>,
    frames: Vec<Frame>,
    refused: Vec<Refused>,
    reflected: Reflected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    operation: String,
    mailbox: String,
    separator: Option<char>,
    pairing: PartyId,
    number: NonZeroU64,
    #[serde(default)]
    flags: Vec<String>,
    /// As the command has it.
    #[serde(default, rename = "date")]
    _date: Option<String>,
    #[serde(default)]
    date_s: Option<u64>,
    #[serde(default)]
    uid_validity: Option<NonZeroU32>,
    #[serde(default)]
    key: String,
    #[serde(default)]
    field: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    name: String,
    keys: String,
    place: Place,
    kind: String,
    value: Bytes,
    salt: Octets<16>,
    context: Octets<96>,
    frame: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    of: String,
    place: Place,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reflected {
    place: Place,
    keys: String,
    frame: Bytes,
    reason: String,
}

fn load() -> Vectors {
    serde_json::from_str(include_str!("../../../../proto/object/client.json")).unwrap()
}

impl Place {
    fn context(&self) -> Context<ClientToServer> {
        let mailbox = Mailbox::new(&self.mailbox, self.separator).unwrap();
        let sender = Sender::new(self.pairing, self.number);
        match (self.operation.as_str(), self.uid_validity) {
            ("APPEND", None) => {
                let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
                Context::append(&mailbox, sender, &flags, self.date_s)
            }
            ("SEARCH", Some(uid_validity)) => {
                Context::search(&mailbox, uid_validity, sender, &self.key, self.field.as_deref())
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn frames_of_a_client_are_those_of_the_reference() {
    let vectors = load();
    for case in &vectors.frames {
        let (keys, place) = (vectors.keys[&case.keys].derive(), case.place.context());
        assert_eq!(place.write(), case.context.0, "{}", case.name);
        let (size, len) = (RecordSize::from_log2(12).unwrap(), case.value.0.len() as u64);
        let sealer = Sealer::new(&keys.c2s, &place, kind(&case.kind), len, size, case.salt.0).unwrap();
        let mut frame = Vec::new();
        seal(sealer, case.value.0.as_slice(), &mut frame).unwrap();
        assert!(frame == case.frame.0, "{}", case.name);
        let value = opened(Opener::new(&keys.c2s, &place), &frame);
        assert_eq!(value, Ok((kind(&case.kind), case.value.0.clone())), "{}", case.name);
    }
}

#[test]
fn what_a_proxy_changes_around_a_clients_frame_is_named() {
    let vectors = load();
    for case in &vectors.refused {
        let of = vectors.frames.iter().find(|frame| frame.name == case.of).unwrap();
        let (keys, place) = (vectors.keys[&of.keys].derive(), case.place.context());
        let refused = opened(Opener::new(&keys.c2s, &place), &of.frame.0).unwrap_err();
        assert_eq!(reason(refused), case.reason, "{}", case.name);
    }
}

#[test]
fn what_a_server_sealed_is_not_taken_from_a_client() {
    let Vectors { keys, reflected, .. } = load();
    let keys = keys[&reflected.keys].derive();
    let refused = opened(Opener::new(&keys.c2s, &reflected.place.context()), &reflected.frame.0).unwrap_err();
    assert_eq!(reason(refused), reflected.reason);
}
