//! What a connection is given, and what it asks for.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use sidekey_client::SessionKey;
use sidekey_protocol::ids::{PartyId, SessionId, Timestamp};
use sidekey_protocol::object::ObjectKeys;

use crate::alert::Distrust;
use crate::seen::Seen;

#[cfg(doc)]
use super::Session;

/// What holds for one connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This device's own pairing: the sender of its frames.
    pub pairing: PartyId,
    /// What the program is given in place of what does not hold.
    pub failing: Failing,
    /// Messages that may vanish from a mailbox without the program having asked for it; more are held until confirmed.
    pub deletions_max: u64,
    /// Whether frames are asked for as octets: smaller, and not every proxy passes them.
    pub octets: bool,
    /// What the program has been shown, shared by its connections.
    pub seen: Arc<Seen>,
}

impl Settings {
    /// The usual ones.
    #[must_use]
    pub fn new(pairing: PartyId) -> Self {
        Self {
            pairing,
            failing: Failing::Omit,
            deletions_max: DELETIONS_MAX,
            octets: false,
            seen: Arc::default(),
        }
    }
}

/// What a program is given in place of what does not hold. Never a part of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Failing {
    /// Nothing: the item is left out, and the command ends NO.
    #[default]
    Omit,
    /// A message that says what happened: for programs that give up a whole folder for one item.
    Stub,
}

/// A session key as a connection needs it.
pub trait Keys: fmt::Debug + Send + Sync {
    /// The object keys.
    fn object(&self) -> &ObjectKeys;
    /// Which session.
    fn session(&self) -> SessionId;
    /// Which of its keys.
    fn generation(&self) -> u32;
    /// Nothing is opened or sealed from then on.
    fn not_after(&self) -> Timestamp;
}

impl Keys for SessionKey {
    fn object(&self) -> &ObjectKeys {
        self.keys()
    }

    fn session(&self) -> SessionId {
        self.session()
    }

    fn generation(&self) -> u32 {
        self.generation()
    }

    fn not_after(&self) -> Timestamp {
        self.not_after()
    }
}

/// What only the outside can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// The key that a frame names: [`Session::key`].
    Key {
        /// Its session.
        session: SessionId,
        /// Its generation.
        generation: u32,
    },
    /// The key to seal with: [`Session::key`].
    Current {
        /// The session that the gateway at the other end has shown, by a frame or by its own word, which a proxy may
        /// forge; if it is of no use, the newest that is live.
        near: Option<SessionId>,
    },
    /// Numbers in a row that were never given before, from 1 on in each generation; durable before they are answered:
    /// [`Session::numbers`].
    Numbers {
        /// Of this session.
        session: SessionId,
        /// Of this generation.
        generation: u32,
        /// How many.
        count: NonZeroU64,
    },
    /// Whether so many messages are to vanish: [`Session::deletion`]. Until then nothing goes on.
    Deletion {
        /// How many at least.
        messages: u64,
    },
    /// Another connection, logged in as this one was, which has broken: [`Session::again`].
    Again,
}

/// Why a wish is not fulfilled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unavailable {
    /// There is no such session, it is not this user's, or it is over.
    Unknown,
    /// The key service cannot be reached.
    Unreachable,
    /// What came in place of a key is refused.
    Refused(Distrust),
}

/// Messages that may vanish unasked, unless it is set otherwise.
const DELETIONS_MAX: u64 = 20;
