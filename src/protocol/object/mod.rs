//! Objects: mail attributes as encrypted literals (proto/object/spec.md).
//!
//! ```text
//!   session key ──derive──▶ ObjectKeys ── s2c ──▶ Sealer ══ frame ══▶ Opener      server seals, client opens
//!                                      └─ c2s ──▶ Sealer ══ frame ══▶ Opener      client seals, server opens
//! ```
//! A key, a context and so a frame belong to one direction, and the direction is a type: what one side sent
//! cannot be handed back to it as an answer.

mod context;
mod frame;
mod item;
mod mailbox;
mod open;
mod seal;
mod stream;

use std::fmt;
use std::marker::PhantomData;

use crate::crypto::labels::{FRAME, OBJECT_C2S, OBJECT_S2C};
use crate::crypto::{Aead, Label, Secret, derive, extract};
use crate::ids::SessionId;
use crate::session::Suite;

pub use context::{CONTEXT_SIZE, Context, Partial, Sender, WHOLE};
pub use frame::{
    Class, HEADER_SIZE, Header, Kind, PREFIX_SIZE, RecordSize, SALT_SIZE, VALUE_MAX, frame_len, read_prefix,
};
pub use item::{ITEM_MAX, Item};
pub use mailbox::{MAILBOX_MAX, Mailbox};
pub use open::{Ending, Opener};
pub use seal::Sealer;
pub use stream::{Stopped, open, seal};

/// Where a frame travels.
pub trait Direction: fmt::Debug {
    /// What its object key is derived for.
    const LABEL: Label;
}

/// From the mail server to its user's client: FETCH items.
#[derive(Debug)]
pub enum ServerToClient {}

/// From the client to the mail server.
#[derive(Debug)]
pub enum ClientToServer {}

impl Direction for ServerToClient {
    const LABEL: Label = OBJECT_S2C;
}

impl Direction for ClientToServer {
    const LABEL: Label = OBJECT_C2S;
}

/// What client and server must have seen alike for their object keys to be the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// The session.
    pub session: SessionId,
    /// Rotations of the session so far.
    pub generation: u32,
    /// The suite that was chosen.
    pub suite: Suite,
    /// Hash of the policy's payload.
    pub policy_hash: [u8; 32],
    /// Hash of the capabilities that the session was opened with.
    pub capabilities_hash: [u8; 32],
    /// Hash of the client's offer; zeros in a session of several.
    pub offer_hash: [u8; 32],
}

/// The object keys of one generation of a session, one for each direction.
#[derive(Debug)]
pub struct ObjectKeys {
    /// Seals at the server, opens at the client.
    pub s2c: ObjectKey<ServerToClient>,
    /// Seals at the client, opens at the server.
    pub c2s: ObjectKey<ClientToServer>,
}

impl ObjectKeys {
    /// Both keys (proto/object/spec.md, section 1). Who was shown other lists derives other keys, and nothing opens.
    #[must_use]
    pub fn derive(session_key: &Secret<32>, agreed: &Agreed) -> Self {
        Self { s2c: ObjectKey::derive(session_key, agreed), c2s: ObjectKey::derive(session_key, agreed) }
    }
}

/// The object key of one direction.
pub struct ObjectKey<D> {
    secret: Secret<32>,
    suite: Suite,
    session: SessionId,
    generation: u32,
    direction: PhantomData<fn() -> D>,
}

impl<D: Direction> ObjectKey<D> {
    /// `Derive(session key, "object s2c" | "object c2s", suite, policy hash, capabilities hash, offer hash, session
    /// id, generation)`.
    fn derive(session_key: &Secret<32>, agreed: &Agreed) -> Self {
        let Agreed { session, generation, suite, policy_hash, capabilities_hash, offer_hash } = agreed;
        let fields: [&[u8]; 6] = [
            &[suite.octet()],
            policy_hash,
            capabilities_hash,
            offer_hash,
            session.as_bytes(),
            &generation.to_be_bytes(),
        ];
        Self {
            secret: derive(session_key, D::LABEL, &fields),
            suite: *suite,
            session: *session,
            generation: *generation,
            direction: PhantomData,
        }
    }

    /// The key of one frame's records: `Derive(Extract(salt, K_direction), "frame", header, context)`.
    fn frame_key(&self, salt: &[u8; SALT_SIZE], prefix: &[u8; PREFIX_SIZE]) -> Aead {
        let salted = extract(salt, &[self.secret.expose()]);
        let (header, context) = prefix.split_at(HEADER_SIZE);
        let key = derive(&salted, FRAME, &[header, context]);
        match self.suite {
            Suite::A256gcm => Aead::aes_256_gcm(&key),
            Suite::C20p => Aead::chacha20_poly1305(&key),
        }
    }
}

impl<D> fmt::Debug for ObjectKey<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({}, {})", self.session, self.generation)
    }
}

/// Why a frame was not opened, or the place of an item not understood. One variant per check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Reject {
    /// The context's two zero octets are not zero.
    #[error("the context's reserved octets are not zero")]
    ContextReserved,
    /// The value of a partial is longer than the count asked.
    #[error("the value is longer than the count asked")]
    CountExceeded,
    /// The first record does not verify: another key, salt, record size or content, or a cut inside it.
    #[error("the first record does not open")]
    FirstRecordUnverified,
    /// The item is not one that is sealed, or is not well-formed.
    #[error("not a well-formed item that is sealed")]
    ItemMalformed,
    /// The kind of the value is none of ours.
    #[error("the value is of no known kind")]
    KindUnknown,
    /// The length field names more than a value may have.
    #[error("the length field is too large")]
    LengthExcessive,
    /// The length field leaves no room for the kind.
    #[error("the length field is zero")]
    LengthZero,
    /// The mailbox name is empty, too long, or holds NUL, CR or LF.
    #[error("not a well-formed mailbox name")]
    MailboxMalformed,
    /// A NIL that carries octets.
    #[error("a NIL carries a value")]
    NilWithValue,
    /// The first two octets are not "XE".
    #[error("not a frame")]
    NotAFrame,
    /// The frame holds another range's length.
    #[error("the frame is of another extent")]
    OtherExtent,
    /// The context's flags differ.
    #[error("the frame's context has other flags")]
    OtherFlags,
    /// Sealed under another generation of the session.
    #[error("the frame is of another generation")]
    OtherGeneration,
    /// The frame holds another item.
    #[error("the frame is of another item")]
    OtherItem,
    /// The context is of another kind of use.
    #[error("the frame's context is of another kind")]
    OtherKind,
    /// The frame is of another mailbox.
    #[error("the frame is of another mailbox")]
    OtherMailbox,
    /// The frame begins elsewhere in the item.
    #[error("the frame is of another position")]
    OtherPosition,
    /// Sealed in another session.
    #[error("the frame is of another session")]
    OtherSession,
    /// The frame is of another message.
    #[error("the frame is of another message")]
    OtherSubject,
    /// Sealed with another suite than the session's.
    #[error("the frame is of another suite")]
    OtherSuite,
    /// The padding class is not that of the item.
    #[error("the frame is of another type")]
    OtherType,
    /// The mailbox has been numbered anew.
    #[error("the frame is of another UIDVALIDITY")]
    OtherUidValidity,
    /// More octets than the length field allows.
    #[error("the frame is longer than its length field allows")]
    Overlong,
    /// Padding that is not zero.
    #[error("the padding is not zero")]
    PaddingAltered,
    /// A partial of an item that has none.
    #[error("the item has no partial")]
    PartialMisplaced,
    /// A partial of more than 1 MiB.
    #[error("the partial is too long")]
    PartialTooLong,
    /// A partial whose origin or count is not in whole steps of 16 KiB, or whose count is zero.
    #[error("the partial is not in whole steps of 16 KiB")]
    PartialUnaligned,
    /// The record size is below 2¹² or above 2²⁰.
    #[error("the record size is out of bounds")]
    RecordSizeOutOfBounds,
    /// A record after the first does not verify.
    #[error("a record does not open")]
    RecordUnverified,
    /// The suite octet is none of ours.
    #[error("no such suite")]
    SuiteUnknown,
    /// Fewer octets than the frame must have.
    #[error("the frame is cut short")]
    Truncated,
    /// The type octet is none of ours.
    #[error("no such type of frame")]
    TypeUnknown,
    /// Another version of the frame.
    #[error("no such version of the frame")]
    VersionUnknown,
}

/// Why a value was not sealed: what was handed over is not what was announced.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Unsealable {
    /// More octets than the count asked.
    #[error("the value is longer than the count asked")]
    CountExceeded,
    /// A NIL with octets.
    #[error("a NIL carries no value")]
    NilWithValue,
    /// More octets than were announced.
    #[error("the value is longer than was announced")]
    ValueLonger,
    /// Fewer octets than were announced.
    #[error("the value is shorter than was announced")]
    ValueShorter,
    /// More octets than a value may have.
    #[error("the value is too long")]
    ValueTooLong,
}

#[cfg(test)]
mod tests;
