//! What can be revoked.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{InvitationId, PartyId, ServerName, SessionId, UserName};

/// What can be revoked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// An invitation that nobody has completed.
    Invitation {
        /// Which.
        invitation: InvitationId,
    },
    /// One pairing, of a client or of a server.
    Pairing {
        /// Which.
        pairing: PartyId,
    },
    /// A server, its users, and all their pairings and sessions.
    Server {
        /// Which.
        server: ServerName,
    },
    /// One session.
    Session {
        /// Which.
        session: SessionId,
    },
    /// All pairings and sessions of a user at a server.
    User {
        /// At which server.
        server: ServerName,
        /// Who.
        user: UserName,
    },
}

/// As JSON: `{"kind": "pairing", "pairing": …}`.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Target", tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Tagged {
    Invitation { invitation: InvitationId },
    Pairing { pairing: PartyId },
    Server { server: ServerName },
    Session { session: SessionId },
    User { server: ServerName, user: UserName },
}

/// In the store's own format, which describes nothing and so cannot look for a tag. Never reorder.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Target")]
enum Stored {
    Invitation { invitation: InvitationId },
    Pairing { pairing: PartyId },
    Server { server: ServerName },
    Session { session: SessionId },
    User { server: ServerName, user: UserName },
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Tagged::serialize(self, serializer)
        } else {
            Stored::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Tagged::deserialize(deserializer)
        } else {
            Stored::deserialize(deserializer)
        }
    }
}
