//! One key for both ends.

use std::sync::Arc;

use sidekey_agent::session as agent;
use sidekey_gateway::session as gateway;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::object::{Agreed, ObjectKeys};
use sidekey_protocol::session::Suite;

pub(crate) const NOW: Timestamp = Timestamp(1_000);
pub(crate) const END: Timestamp = Timestamp(4_600);
pub(crate) const SESSION: SessionId = SessionId::from_bytes([7; 16]);

/// A session key that both ends hold.
#[derive(Debug)]
pub(crate) struct Held(ObjectKeys);

impl Held {
    pub(crate) fn new() -> Arc<Self> {
        let agreed = Agreed {
            session: SESSION,
            generation: 0,
            suite: Suite::C20p,
            policy_hash: [1; 32],
            capabilities_hash: [2; 32],
            offer_hash: [0; 32],
        };
        Arc::new(Self(ObjectKeys::derive(&Secret::fill_with(|key| key.fill(9)), &agreed)))
    }
}

/// Both ends ask a key the same questions.
macro_rules! keys {
    ($($end:ident),+) => {$(
        impl $end::Keys for Held {
            fn object(&self) -> &ObjectKeys {
                &self.0
            }

            fn session(&self) -> SessionId {
                SESSION
            }

            fn generation(&self) -> u32 {
                0
            }

            fn not_after(&self) -> Timestamp {
                END
            }
        }
    )+};
}

keys!(agent, gateway);
