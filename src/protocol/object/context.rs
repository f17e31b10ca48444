//! What a frame is bound to: 96 octets that may be public (proto/object/spec.md, section 3).

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;

use super::frame::{Class, HEADER_SIZE, PREFIX_SIZE, part};
use super::item::Item;
use super::mailbox::Mailbox;
use super::{ClientToServer, Direction, Reject, ServerToClient};
use crate::crypto::labels::{APPEND, SEARCH};
use crate::crypto::{Label, hash, sha256};
use crate::ids::PartyId;

/// Octets of a context.
pub const CONTEXT_SIZE: usize = 96;
/// The extent of an item that is not a partial.
pub const WHOLE: u64 = u64::MAX;

/// The steps that origin and count of a partial are made of. A proxy that could choose finer ranges would find a
/// value's exact size in 26 of them.
const STEP: u64 = 16 * 1024;
/// Octets of the longest partial.
const COUNT_MAX: u32 = 1 << 20;

/// The fields, where they stand, and how a difference in one is called.
pub(super) const FIELDS: [(Range<usize>, Reject); 9] = [
    (0..1, Reject::OtherKind),
    (1..2, Reject::OtherFlags),
    (2..4, Reject::ContextReserved),
    (4..8, Reject::OtherUidValidity),
    (8..40, Reject::OtherMailbox),
    (40..48, Reject::OtherSubject),
    (48..56, Reject::OtherPosition),
    (56..88, Reject::OtherItem),
    (88..96, Reject::OtherExtent),
];

/// A range of an item, in whole steps of 16 KiB, at most 1 MiB long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Partial {
    origin: u64,
    count: u32,
}

impl Partial {
    /// `<origin.count>`.
    ///
    /// # Errors
    /// [`Reject::PartialUnaligned`], [`Reject::PartialTooLong`].
    pub const fn new(origin: u64, count: u32) -> Result<Self, Reject> {
        if count > COUNT_MAX {
            Err(Reject::PartialTooLong)
        } else if count == 0 || !origin.is_multiple_of(STEP) || !(count as u64).is_multiple_of(STEP) {
            Err(Reject::PartialUnaligned)
        } else {
            Ok(Self { origin, count })
        }
    }

    /// The first octet asked for.
    #[must_use]
    pub const fn origin(self) -> u64 {
        self.origin
    }

    /// Octets asked for.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }
}

/// Who sends a frame to the server, and which of his frames it is (proto/object/spec.md, section 3.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Sender {
    id: [u8; 8],
    number: NonZeroU64,
}

impl Sender {
    /// A pairing, and its number: from 1 on in each generation of a session, each once.
    #[must_use]
    pub fn new(pairing: PartyId, number: NonZeroU64) -> Self {
        Self { id: part(&sha256(pairing.as_bytes()), 0), number }
    }

    /// Who a frame says that sent it, and which of his it is: of this prefix, which nobody has verified.
    ///
    /// # Errors
    /// [`Reject::OtherPosition`]: the first number is 1.
    pub fn read(prefix: &[u8; PREFIX_SIZE]) -> Result<Self, Reject> {
        let number = NonZeroU64::new(u64::from_be_bytes(part(prefix, HEADER_SIZE + 48)));
        Ok(Self { id: part(prefix, HEADER_SIZE + 40), number: number.ok_or(Reject::OtherPosition)? })
    }

    /// What stands for the pairing in a context.
    #[must_use]
    pub const fn id(self) -> [u8; 8] {
        self.id
    }

    /// The frame's number.
    #[must_use]
    pub const fn number(self) -> NonZeroU64 {
        self.number
    }
}

/// What one frame is bound to, in one direction.
pub struct Context<D> {
    class: Class,
    kind: u8,
    flags: u8,
    uid_validity: u32,
    mailbox: [u8; 32],
    subject: [u8; 8],
    position: u64,
    descriptor: [u8; 32],
    extent: u64,
    direction: PhantomData<fn() -> D>,
}

impl Context<ServerToClient> {
    /// Of one item of one message in a FETCH response.
    ///
    /// # Errors
    /// [`Reject::PartialMisplaced`] when the item has no partial.
    pub fn fetch(
        mailbox: &Mailbox,
        uid_validity: NonZeroU32,
        uid: NonZeroU32,
        item: &Item,
        partial: Option<Partial>,
    ) -> Result<Self, Reject> {
        let (class, position, extent) = match partial {
            None => (item.class(), 0, WHOLE),
            Some(_) if !item.has_partial() => return Err(Reject::PartialMisplaced),
            Some(Partial { origin, count }) => (Class::Partial, origin, u64::from(count)),
        };
        Ok(Self {
            class,
            kind: 1,
            flags: 0,
            uid_validity: uid_validity.get(),
            mailbox: mailbox.hash(),
            subject: u64::from(uid.get()).to_be_bytes(),
            position,
            descriptor: item.hash(),
            extent,
            direction: PhantomData,
        })
    }
}

impl Context<ClientToServer> {
    /// Of one message of an APPEND. Flags in any case and order; the date in seconds since 1970, UTC.
    #[must_use]
    pub fn append(mailbox: &Mailbox, sender: Sender, flags: &[&str], date: Option<u64>) -> Self {
        let flags: BTreeSet<_> = flags.iter().map(|flag| flag.to_ascii_uppercase()).collect();
        let flags: Vec<_> = flags.iter().map(String::as_bytes).collect();
        let extent = date.unwrap_or(WHOLE);
        Self { kind: 2, extent, ..Self::sent(Class::Body, mailbox, sender, APPEND, &flags) }
    }

    /// Of the string of one SEARCH key in the selected mailbox; the key, and the field of `HEADER`, in any case.
    #[must_use]
    pub fn search(
        mailbox: &Mailbox,
        uid_validity: NonZeroU32,
        sender: Sender,
        key: &str,
        field: Option<&str>,
    ) -> Self {
        let key = key.to_ascii_uppercase();
        let field = field.unwrap_or_default().to_ascii_uppercase();
        let named = [key.as_bytes(), field.as_bytes()];
        let uid_validity = uid_validity.get();
        Self { kind: 3, uid_validity, ..Self::sent(Class::HeaderLike, mailbox, sender, SEARCH, &named) }
    }

    fn sent(class: Class, mailbox: &Mailbox, sender: Sender, operation: Label, fields: &[&[u8]]) -> Self {
        Self {
            class,
            kind: 0,
            flags: 0,
            uid_validity: 0,
            mailbox: mailbox.hash(),
            subject: sender.id,
            position: sender.number.get(),
            descriptor: hash(operation, fields),
            extent: WHOLE,
            direction: PhantomData,
        }
    }
}

impl<D: Direction> Context<D> {
    /// How a frame of this context is padded.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The count asked; [`WHOLE`] when it is not a partial.
    #[must_use]
    pub const fn extent(&self) -> u64 {
        self.extent
    }

    /// The 96 octets.
    #[must_use]
    pub fn write(&self) -> [u8; CONTEXT_SIZE] {
        let mut octets = [0; CONTEXT_SIZE];
        octets[0] = self.kind;
        octets[1] = self.flags;
        octets[4..8].copy_from_slice(&self.uid_validity.to_be_bytes());
        octets[8..40].copy_from_slice(&self.mailbox);
        octets[40..48].copy_from_slice(&self.subject);
        octets[48..56].copy_from_slice(&self.position.to_be_bytes());
        octets[56..88].copy_from_slice(&self.descriptor);
        octets[88..].copy_from_slice(&self.extent.to_be_bytes());
        octets
    }

    /// Holds what a frame carries against what was asked for, and names the first field that differs.
    ///
    /// # Errors
    /// The field's: [`Reject::OtherMailbox`] and its kin, [`Reject::ContextReserved`].
    pub fn compare(&self, found: &[u8; CONTEXT_SIZE]) -> Result<(), Reject> {
        let expected = self.write();
        match FIELDS.iter().find(|(field, _)| expected[field.clone()] != found[field.clone()]) {
            Some((_, reject)) => Err(*reject),
            None => Ok(()),
        }
    }
}

impl<D> Clone for Context<D> {
    fn clone(&self) -> Self {
        Self { direction: PhantomData, ..*self }
    }
}

impl<D> fmt::Debug for Context<D> {
    /// The message and the range; mailbox and item are hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("uid_validity", &self.uid_validity)
            .field("subject", &u64::from_be_bytes(self.subject))
            .field("position", &self.position)
            .field("extent", &self.extent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_fill_the_context() {
        let mut at = 0;
        for (field, _) in FIELDS {
            assert_eq!(field.start, at);
            at = field.end;
        }
        assert_eq!(at, CONTEXT_SIZE);
    }

    #[test]
    fn a_sender_is_read_where_it_was_written() {
        let sender = Sender::new(PartyId::from_bytes([9; 16]), NonZeroU64::new(77).unwrap());
        let drafts = Mailbox::new("Drafts", None).unwrap();
        let mut prefix = [0; PREFIX_SIZE];
        assert_eq!(Sender::read(&prefix), Err(Reject::OtherPosition));
        prefix[HEADER_SIZE..].copy_from_slice(&Context::append(&drafts, sender, &[], None).write());
        assert_eq!(Sender::read(&prefix), Ok(sender));
    }

    #[test]
    fn a_partial_goes_in_steps() {
        assert_eq!(Partial::new(0, 16384).map(Partial::count), Ok(16384));
        assert_eq!(Partial::new(16384, 1 << 20).map(Partial::origin), Ok(16384));
        assert_eq!(Partial::new(0, (1 << 20) + 1), Err(Reject::PartialTooLong));
        for (origin, count) in [(0, 0), (1, 16384), (0, 16385), (16384, 100)] {
            assert_eq!(Partial::new(origin, count), Err(Reject::PartialUnaligned));
        }
    }

    #[test]
    fn an_envelope_has_no_partial() {
        let one = NonZeroU32::MIN;
        let (inbox, partial) = (Mailbox::new("INBOX", None).unwrap(), Partial::new(0, 16384).unwrap());
        let of = |item| Context::fetch(&inbox, one, one, &Item::parse(item).unwrap(), Some(partial));
        assert_eq!(of("ENVELOPE").unwrap_err(), Reject::PartialMisplaced);
        assert_eq!(of("BODY[HEADER]").unwrap().class(), Class::Partial);
    }
}
