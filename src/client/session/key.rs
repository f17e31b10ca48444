//! A session key as an app holds it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use sidekey_protocol::ids::{SessionId, Timestamp, UserName};
use sidekey_protocol::object::{Agreed, ObjectKeys};
use sidekey_protocol::session::envelope::cose::{Carried, Lists};
use sidekey_protocol::session::envelope::{Bindings, Opened};
use sidekey_protocol::session::{Capabilities, Suite};

/// A key of one generation of a session, with everything that it is bound to. The session key itself is gone: what it
/// was for, the object keys, is here.
pub struct SessionKey {
    session: SessionId,
    user: UserName,
    generation: u32,
    suite: Suite,
    not_before: Timestamp,
    not_after: Timestamp,
    capabilities: Capabilities,
    keys: ObjectKeys,
    /// What went into the object keys.
    agreed: Agreed,
    /// Whether it was asked why nothing opens: once is enough, whatever comes after.
    doubted: AtomicBool,
}

impl SessionKey {
    pub(crate) fn new(opened: Opened) -> Self {
        let Opened { key, bindings } = opened;
        let agreed = Agreed {
            session: bindings.session,
            generation: bindings.generation,
            suite: bindings.suite,
            policy_hash: bindings.policy,
            capabilities_hash: bindings.capabilities.hash(),
            offer_hash: bindings.offer,
        };
        let Bindings { session, user, generation, suite, not_before, not_after, capabilities, .. } = bindings;
        let keys = ObjectKeys::derive(&key, &agreed);
        let doubted = AtomicBool::new(false);
        Self { session, user, generation, suite, not_before, not_after, capabilities, keys, agreed, doubted }
    }

    /// From an envelope that names its lists by a hash alone.
    pub(crate) fn carried(carried: Carried, user: UserName, lists: Lists) -> Self {
        let Carried { key, suite, session, generation, not_before, not_after, .. } = carried;
        let Lists { policy, capabilities, offer } = lists;
        let agreed = Agreed {
            session,
            generation,
            suite,
            policy_hash: policy,
            capabilities_hash: capabilities.hash(),
            offer_hash: offer,
        };
        let keys = ObjectKeys::derive(&key, &agreed);
        let doubted = AtomicBool::new(false);
        Self { session, user, generation, suite, not_before, not_after, capabilities, keys, agreed, doubted }
    }

    /// Which session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whose session.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Which of the session's keys: grows with every rotation.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What the object keys are for.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// When this generation began.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the session ends.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// What the server said that it can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What went into the object keys.
    pub(crate) fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// `true` the first time.
    pub(crate) fn doubt(&self) -> bool {
        !self.doubted.swap(true, Ordering::Relaxed)
    }

    /// The object keys, for opening and sealing mail.
    #[must_use]
    pub fn keys(&self) -> &ObjectKeys {
        &self.keys
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({}, {})", self.session(), self.generation())
    }
}
