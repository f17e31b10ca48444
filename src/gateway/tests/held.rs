//! A key, and whoever opens with it what a gateway sealed.

use std::num::{NonZeroU32, NonZeroU64};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sidekey_imap::command;
use sidekey_imap::response::{
    Attribute, Form, Message, Piece, Policy, Responses, Taken, ValueKind, Verdict, frame_within,
};
use sidekey_imap::scanner::Limits;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{PartyId, SessionId, Timestamp};
use sidekey_protocol::object::{
    Agreed, ClientToServer, Context, Item, Kind, Mailbox, ObjectKeys, Opener, Partial, RecordSize, Sealer,
    Sender, open, seal,
};
use sidekey_protocol::session::Suite;

use super::Keys;

/// A session key, one for each generation.
#[derive(Debug)]
pub(crate) struct Held {
    object: ObjectKeys,
    generation: u32,
    not_after: Timestamp,
}

impl Held {
    pub(crate) fn new(generation: u32, not_after: Timestamp) -> Self {
        let agreed = Agreed {
            session: SessionId::from_bytes([7; 16]),
            generation,
            suite: Suite::A256gcm,
            policy_hash: [1; 32],
            capabilities_hash: [2; 32],
            offer_hash: [0; 32],
        };
        let secret = Secret::fill_with(|key| key.fill(u8::try_from(generation).unwrap()));
        Self { object: ObjectKeys::derive(&secret, &agreed), generation, not_after }
    }
}

impl Keys for Held {
    fn object(&self) -> &ObjectKeys {
        &self.object
    }

    fn session(&self) -> SessionId {
        SessionId::from_bytes([7; 16])
    }

    fn generation(&self) -> u32 {
        self.generation
    }

    fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// An agent in small: what it asked for, and where.
pub(crate) struct Agent<'k> {
    pub(crate) keys: &'k Held,
    /// The name of the mailbox, and what separates its levels.
    pub(crate) mailbox: (&'k str, Option<char>),
    pub(crate) uid_validity: u32,
    /// The count of every partial.
    pub(crate) count: u32,
}

/// What is sealed is taken.
struct Sealed;

impl Policy for Sealed {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        Verdict::Pass
    }

    fn item(&mut self, _: &Message, attribute: &Attribute) -> Verdict {
        use command::Item as Name;
        match attribute {
            Attribute::Known(
                Name::Uid | Name::Flags | Name::ModSeq | Name::InternalDate | Name::Rfc822Size,
                _,
            ) => Verdict::Pass,
            _ => Verdict::Take,
        }
    }
}

/// What stands for this agent's frames of this number.
pub(crate) fn sender(number: u64) -> Sender {
    Sender::new(PartyId::from_bytes([3; 16]), NonZeroU64::new(number).unwrap())
}

/// A client's frame as text.
pub(crate) fn sealed(
    keys: &Held,
    place: &Context<ClientToServer>,
    kind: Kind,
    value: &[u8],
    salt: u8,
) -> String {
    let key = &keys.object.c2s;
    let size = RecordSize::default();
    let sealer = Sealer::new(key, place, kind, value.len() as u64, size, [salt; 16]).unwrap();
    let mut frame = Vec::new();
    seal(sealer, value, &mut frame).unwrap();
    BASE64_STANDARD.encode(frame)
}

impl Agent<'_> {
    /// What the mail server said before it was sealed. All of it must open.
    pub(crate) fn open(&self, octets: &[u8]) -> Vec<u8> {
        let mut responses = Responses::new(Limits::SERVER);
        let (mut out, mut taken, mut value, mut input) = (Vec::new(), None, Vec::new(), octets);
        while let Some(piece) = responses.next(&mut input, &mut Sealed).unwrap() {
            match piece {
                Piece::Wire(octets) => out.extend_from_slice(&octets),
                Piece::Status(status) => {
                    out.extend_from_slice(status.octets());
                    out.extend_from_slice(b"\r\n");
                }
                Piece::Continuation(text) => out.extend([b"+ ", text.as_slice(), b"\r\n"].concat()),
                Piece::Take(announced) => taken = Some(announced),
                Piece::Octets(octets) => value.extend_from_slice(&octets),
                Piece::Taken => {
                    let taken: Taken = taken.take().unwrap();
                    assert!(
                        taken.size.is_none_or(|size| size == value.len() as u64),
                        "the size was known before"
                    );
                    out.extend(self.value(&taken, &std::mem::take(&mut value)));
                }
                Piece::Data(data) => panic!("{data:?}"),
            }
        }
        assert!(responses.between(), "it ends with a whole response");
        out
    }

    fn value(&self, taken: &Taken, value: &[u8]) -> Vec<u8> {
        let Attribute::Known(item, origin) = &taken.attribute else { panic!("{taken:?}") };
        let (form, frame) = match taken.kind {
            ValueKind::List => frame_within(item, value).expect("a list that is a frame"),
            ValueKind::Literal => (Form::Text, value),
            ValueKind::Literal8 => (Form::Octets, value),
            other => panic!("{item} is shown: {other:?}"),
        };
        let frame = match form {
            Form::Text => BASE64_STANDARD.decode(frame).expect("base64 without line breaks"),
            Form::Octets => frame.to_vec(),
        };
        let partial = origin.map(|origin| Partial::new(origin, self.count).unwrap());
        let number = |n| NonZeroU32::new(n).unwrap();
        let (name, separator) = self.mailbox;
        let context = Context::fetch(
            &Mailbox::new(name, separator).unwrap(),
            number(self.uid_validity),
            taken.message.uid.unwrap(),
            &Item::parse(&item.canonical()).unwrap(),
            partial,
        );
        let mut value = Vec::new();
        let opener = Opener::new(&self.keys.object.s2c, context.as_ref().unwrap());
        let kind = open(opener, frame.as_slice(), &mut value).unwrap_or_else(|why| panic!("{item}: {why}"));
        let origin = origin.map_or_else(String::new, |origin| format!("<{origin}>"));
        [format!("{item}{origin} ").into_bytes(), written(kind, &value)].concat()
    }
}

/// A value as a mail server writes it.
fn written(kind: Kind, value: &[u8]) -> Vec<u8> {
    let literal = |tilde| [format!("{tilde}{{{}}}\r\n", value.len()).as_bytes(), value].concat();
    match kind {
        Kind::Nil => b"NIL".to_vec(),
        Kind::Quoted => {
            let text = String::from_utf8_lossy(value).replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"").into_bytes()
        }
        Kind::Literal => literal(""),
        Kind::Literal8 => literal("~"),
        Kind::List => value.to_vec(),
    }
}
