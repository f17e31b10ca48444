//! What is sealed: one item of a FETCH response becomes one frame, as its octets come.

use std::num::NonZeroU32;

use base64_simd::STANDARD;
use sidekey_imap::command;
use sidekey_imap::response::{Form, StandIn, ValueKind};
use sidekey_protocol::object::{
    Class, Context, Item, Kind, Mailbox, ObjectKeys, Partial, RecordSize, Reject, SALT_SIZE, Sealer,
    ServerToClient, Unsealable, frame_len,
};

/// An item that the client asked for, as it is sealed.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// As the response names it.
    name: command::Item,
    /// As it is sealed.
    item: Item,
    partial: Option<Partial>,
}

/// Where the items of one message are.
pub(crate) struct Place<'a> {
    pub(crate) mailbox: &'a Mailbox,
    pub(crate) uid_validity: NonZeroU32,
    pub(crate) uid: NonZeroU32,
}

impl Wanted {
    /// # Errors
    /// It is not one that is sealed, or its partial would tell an exact size.
    pub(crate) fn new(asked: &command::Asked) -> Result<Self, Reject> {
        let item = Item::parse(&asked.item().canonical())?;
        let partial = match asked.partial() {
            None => None,
            Some(partial) => Some(Partial::new(partial.origin, partial.count.get())?),
        };
        Ok(Self { name: asked.item().clone(), item, partial })
    }

    /// Whether the response means it.
    pub(crate) fn is(&self, name: &command::Item, origin: Option<u64>) -> bool {
        // A lazy PREVIEW is called like any other.
        let lazy = self.name == command::Item::PreviewLazy && *name == command::Item::Preview;
        (self.name == *name || lazy) && self.origin() == origin
    }

    /// Whether a response could mean both, and they are not the same.
    pub(crate) fn is_confused_with(&self, other: &Self) -> bool {
        let same = self.item == other.item && self.partial == other.partial;
        let one = |item: &Self| match item.name {
            command::Item::PreviewLazy => command::Item::Preview,
            ref name => name.clone(),
        };
        !same && one(self) == one(other) && self.origin() == other.origin()
    }

    pub(crate) const fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    fn origin(&self) -> Option<u64> {
        self.partial.map(Partial::origin)
    }

    fn context(&self, place: &Place<'_>) -> Result<Context<ServerToClient>, Reject> {
        Context::fetch(place.mailbox, place.uid_validity, place.uid, &self.item, self.partial)
    }
}

/// What kind of value is sealed; `None` for what no sealed item is.
pub(crate) const fn kind(kind: ValueKind) -> Option<Kind> {
    match kind {
        ValueKind::Nil => Some(Kind::Nil),
        ValueKind::Atom => None,
        ValueKind::Quoted => Some(Kind::Quoted),
        ValueKind::Literal => Some(Kind::Literal),
        ValueKind::Literal8 => Some(Kind::Literal8),
        ValueKind::List => Some(Kind::List),
    }
}

/// What stands in place of an exact size: the length of the text that BODY[] is sealed in (proto/object/spec.md,
/// section 6.3).
pub(crate) fn sealed_size(size: u32) -> u64 {
    Form::Text.octets(frame_len(Class::Body, u64::from(size), 0, RecordSize::default()))
}

/// The exact size, as it is sealed.
pub(crate) fn descriptor(size: u32) -> String {
    format!("SIDEKEY-DESCRIPTOR: size={size:020}\r\n\r\n")
}

/// One frame on its way to the client, with what stands around it. Its memory is one record.
pub(crate) struct Frame {
    sealer: Sealer,
    text: Option<Text>,
    after: &'static str,
}

impl Frame {
    /// Writes what stands before the frame.
    ///
    /// # Errors
    /// The value is not what was asked for.
    pub(crate) fn begin(
        keys: &ObjectKeys,
        (wanted, place): (&Wanted, &Place<'_>),
        (kind, value_len): (Kind, u64),
        form: Form,
        salt: [u8; SALT_SIZE],
        out: &mut Vec<u8>,
    ) -> Result<Self, Unsealable> {
        let context = wanted.context(place).map_err(|_| Unsealable::CountExceeded)?;
        let sealer = Sealer::new(&keys.s2c, &context, kind, value_len, RecordSize::default(), salt)?;
        let StandIn { before, after } =
            StandIn::new(&wanted.name, wanted.origin(), form, form.octets(sealer.frame_len()));
        out.extend_from_slice(before.as_bytes());
        Ok(Self { sealer, text: (form == Form::Text).then(Text::default), after })
    }

    /// Takes octets of the value, and writes what they completed of the frame.
    ///
    /// # Errors
    /// [`Unsealable::ValueLonger`].
    pub(crate) fn feed(&mut self, mut value: &[u8], out: &mut Vec<u8>) -> Result<(), Unsealable> {
        while !value.is_empty() {
            let octets = self.sealer.feed(&mut value)?;
            write(self.text.as_mut(), octets, out);
        }
        Ok(())
    }

    /// Once the value is whole: writes the next record of the frame; whether that was the last one.
    ///
    /// # Errors
    /// [`Unsealable::ValueShorter`].
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) -> Result<bool, Unsealable> {
        if let Some(octets) = self.sealer.pad()? {
            write(self.text.as_mut(), octets, out);
            return Ok(false);
        }
        if let Some(text) = &self.text {
            text.end(out);
        }
        out.extend_from_slice(self.after.as_bytes());
        Ok(true)
    }
}

fn write(text: Option<&mut Text>, octets: &[u8], out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(octets, out),
        None => out.extend_from_slice(octets),
    }
}

/// Base64 of octets that come in pieces.
#[derive(Default)]
struct Text {
    /// Octets that do not make three yet.
    carry: [u8; 2],
    carried: usize,
}

impl Text {
    fn write(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        if self.carried > 0 {
            let lacks = 3 - self.carried;
            if octets.len() < lacks {
                self.keep(octets);
                return;
            }
            let mut three = [0; 3];
            three[..self.carried].copy_from_slice(&self.carry[..self.carried]);
            three[self.carried..].copy_from_slice(&octets[..lacks]);
            self.carried = 0;
            STANDARD.encode_append(three, out);
            octets = &octets[lacks..];
        }
        let (whole, rest) = octets.split_at(octets.len() - octets.len() % 3);
        STANDARD.encode_append(whole, out);
        self.keep(rest);
    }

    fn keep(&mut self, rest: &[u8]) {
        self.carry[self.carried..self.carried + rest.len()].copy_from_slice(rest);
        self.carried += rest.len();
    }

    fn end(&self, out: &mut Vec<u8>) {
        STANDARD.encode_append(&self.carry[..self.carried], out);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    #[test]
    fn text_is_the_same_however_the_octets_come() {
        let octets: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for len in (0..20).chain([999, 1000]) {
            for piece in [1, 2, 3, 4, 5, 7, 1000] {
                let (mut text, mut out) = (Text::default(), Vec::new());
                octets[..len].chunks(piece).for_each(|octets| text.write(octets, &mut out));
                text.end(&mut out);
                assert_eq!(out, BASE64_STANDARD.encode(&octets[..len]).into_bytes(), "{len} by {piece}");
            }
        }
    }

    #[test]
    fn a_size_is_that_of_the_text_in_the_contract() {
        // proto/object/spec.md, section 4: a body of nothing, and of a mebibyte.
        assert_eq!((sealed_size(0), sealed_size(1 << 20)), (4250_u64.div_ceil(3) * 4, 1_442_340));
        assert_eq!(descriptor(12345), "SIDEKEY-DESCRIPTOR: size=00000000000000012345\r\n\r\n");
        assert_eq!(descriptor(u32::MAX).len(), 49);
    }
}
