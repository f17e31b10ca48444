//! SMS: how a payload becomes messages (`proto/delivery/spec.md`, section 3).

pub mod http;
pub mod smpp;

use std::fmt;

use crate::outcome::Refusal;
use crate::payload::Payload;

/// The application ports of a message in octets (3GPP TS 23.040, section 9.2.3.24.4): which app of a phone gets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// Where it goes.
    pub to: u16,
    /// Where it comes from.
    pub from: u16,
}

impl Ports {
    /// Phones skip an element with a port that the standard reserves for itself.
    pub(crate) const fn are_reserved(self) -> bool {
        self.to >= RESERVED || self.from >= RESERVED
    }
}

impl Default for Ports {
    /// Of those that are applications' own: 16000 to 16999.
    fn default() -> Self {
        Self { to: 16_127, from: 16_127 }
    }
}

/// One message: a user data header, and data as octets or as text.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) coding: Coding,
    /// With its length octet; empty where there is none.
    pub(crate) udh: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// How a phone reads a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coding {
    Octets,
    /// In the characters on which ASCII and the GSM alphabet agree.
    Text,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} + {})", self.coding, self.udh.len(), self.data.len())
    }
}

/// The messages of a payload. `reference` is what those of one payload share.
pub(crate) fn messages(payload: &Payload, ports: Ports, reference: u8) -> Result<Vec<Message>, Refusal> {
    match payload {
        Payload::Sealed(sealed) => {
            let [to, from] = [ports.to.to_be_bytes(), ports.from.to_be_bytes()];
            let ports = [0x05, 0x04, to[0], to[1], from[0], from[1]];
            Ok(split(Coding::Octets, &ports, sealed.octets(), OCTETS_MAX, reference))
        }
        Payload::Invitation(invitation) => {
            Ok(split(Coding::Text, &[], invitation.text().as_bytes(), SEPTETS_MAX, reference))
        }
        Payload::Document(_) => Err(Refusal::PayloadKind),
    }
}

/// One message where it fits, else several with a concatenation element (section 9.2.3.24.1) in each.
fn split(coding: Coding, elements: &[u8], data: &[u8], most: usize, reference: u8) -> Vec<Message> {
    let header = |more: &[u8]| {
        let elements = [elements, more].concat();
        let length = u8::try_from(elements.len()).expect("two elements have 11 octets");
        if elements.is_empty() { elements } else { [&[length], &elements[..]].concat() }
    };
    let room = |udh: &[u8]| match coding {
        Coding::Octets => most - udh.len(),
        // The header takes whole septets of the room.
        Coding::Text => most - (udh.len() * 8).div_ceil(7),
    };
    let whole = header(&[]);
    if data.len() <= room(&whole) {
        return vec![Message { coding, udh: whole, data: data.to_vec() }];
    }
    let part = |number, count| header(&[0x00, 0x03, reference, count, number]);
    let chunks = data.chunks(room(&part(0, 0)));
    let count = u8::try_from(chunks.len()).expect("no payload needs 256 messages");
    let numbered = (1..=count).zip(chunks);
    numbered.map(|(number, data)| Message { coding, udh: part(number, count), data: data.to_vec() }).collect()
}

/// User data of a message, in octets and in septets.
const OCTETS_MAX: usize = 140;
const SEPTETS_MAX: usize = 160;
/// The first port that nobody has.
const RESERVED: u16 = 49_152;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::payload::{Invitation, Sealed};

    const PORTS: Ports = Ports { to: 2948, from: 9200 };

    #[test]
    fn messages_are_those_of_the_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../proto/delivery/vectors.json")).unwrap();
        let number = |case: &Value, name: &str| case[name].as_u64().unwrap();
        let hex = |value: &Value| base16ct::lower::decode_vec(value.as_str().unwrap()).unwrap();
        let expected =
            |case: &Value| case["messages"].as_array().unwrap().iter().map(hex).collect::<Vec<_>>();
        let sent = |payload: &Payload, ports: Ports, reference: u64| {
            let sent = messages(payload, ports, reference.try_into().unwrap()).unwrap();
            sent.iter().map(|message| [&message.udh[..], &message.data].concat()).collect::<Vec<_>>()
        };
        for case in vectors["sms_octets"].as_array().unwrap() {
            let port = |name| u16::try_from(number(case, name)).unwrap();
            let ports = Ports { to: port("to"), from: port("from") };
            let payload = Payload::Sealed(Sealed::other(&hex(&case["data"])).unwrap());
            assert_eq!(sent(&payload, ports, number(case, "reference")), expected(case), "{}", case["name"]);
        }
        for case in vectors["sms_text"].as_array().unwrap() {
            let id = case["invitation"].as_str().unwrap().parse().unwrap();
            let invitation = Invitation::new(&case["url"].as_str().unwrap().parse().unwrap(), id).unwrap();
            assert_eq!(invitation.text(), case["text"], "{}", case["name"]);
            let payload = Payload::Invitation(invitation);
            assert_eq!(sent(&payload, PORTS, number(case, "reference")), expected(case), "{}", case["name"]);
        }
    }

    #[test]
    fn an_envelope_is_one_message_of_134_octets() {
        let sent = messages(&Payload::Sealed([7; 127].into()), PORTS, 0x77).unwrap();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].udh, [0x06, 0x05, 0x04, 0x0b, 0x84, 0x23, 0xf0]);
        assert_eq!(sent[0].udh.len() + sent[0].data.len(), 134);
    }

    #[test]
    fn what_is_longer_is_concatenated_and_each_part_finds_its_port() {
        let octets: Vec<u8> = (0..=255).collect();
        let sent = messages(&Payload::Sealed(Sealed::other(&octets).unwrap()), PORTS, 0x77).unwrap();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].udh, [0x0b, 5, 4, 0x0b, 0x84, 0x23, 0xf0, 0, 3, 0x77, 2, 1]);
        assert_eq!(sent[1].udh, [0x0b, 5, 4, 0x0b, 0x84, 0x23, 0xf0, 0, 3, 0x77, 2, 2]);
        assert_eq!([&sent[0].data[..], &sent[1].data].concat(), octets);
        assert!(sent.iter().all(|message| message.udh.len() + message.data.len() <= 140));
        let most = Sealed::other(&[0; Sealed::MAX]).unwrap();
        assert_eq!(messages(&Payload::Sealed(most), PORTS, 0).unwrap().len(), 8);
        assert_eq!(messages(&Payload::Sealed(Sealed::other(&[0; 133]).unwrap()), PORTS, 0).unwrap().len(), 1);
        assert_eq!(messages(&Payload::Sealed(Sealed::other(&[0; 134]).unwrap()), PORTS, 0).unwrap().len(), 2);
    }

    #[test]
    fn a_long_text_is_split_into_messages_of_153_septets() {
        let url = format!("https://{}.example.com", "a".repeat(200)).parse().unwrap();
        let invitation =
            Invitation::new(&url, sidekey_protocol::ids::InvitationId::from_bytes([1; 16])).unwrap();
        let sent = messages(&Payload::Invitation(invitation.clone()), PORTS, 9).unwrap();
        assert_eq!(sent[0].udh, [5, 0, 3, 9, 3, 1]);
        assert_eq!(sent[0].data.len(), 153);
        let text: Vec<u8> = sent.iter().flat_map(|message| message.data.clone()).collect();
        assert_eq!(text, invitation.text().as_bytes());
    }
}
