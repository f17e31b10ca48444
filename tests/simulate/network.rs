//! The network: what is under way between the parties and the service, and what becomes of it.

use bytes::Bytes;
use http::Method;
use sidekey_protocol::crypto::sha256;
use sidekey_protocol::ids::{CredentialId, InvitationId, PartyId, ServerName, SessionId, UserName};
use sidekey_protocol::revocation::{SealedHead, Target};
use sidekey_protocol::session::Audience;

use crate::disk::Dice;

/// What is asked of the service.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    AddServer,
    /// With the digits that the device shows, or with others.
    Approve(PartyId, bool),
    Begin(InvitationId),
    Current(Option<UserName>),
    End(SessionId),
    Fetch(SessionId, Option<u32>),
    Finish(InvitationId),
    IssueCredential {
        server: ServerName,
        user: UserName,
    },
    Invite {
        server: ServerName,
        user: Option<UserName>,
    },
    Open {
        audience: Audience,
        once: String,
    },
    Own,
    /// At a revision, the suites of a server.
    Policy {
        server: ServerName,
        revision: u32,
        suites: &'static [&'static str],
    },
    Rekey,
    Revoke(Target),
    Rotate(SessionId),
    Verify(CredentialId),
}

impl Ask {
    pub(crate) fn route(&self) -> (Method, String) {
        match self {
            Self::AddServer => (Method::POST, "/v1/servers".into()),
            Self::Approve(id, _) => (Method::POST, format!("/v1/pairings/{id}/approve")),
            Self::Begin(id) => (Method::POST, format!("/v1/pairings/{id}/begin")),
            Self::Current(None) => (Method::GET, "/v1/sessions/current".into()),
            Self::Current(Some(user)) => {
                (Method::GET, format!("/v1/sessions/current?user={}", user.as_str()))
            }
            Self::End(id) => (Method::DELETE, format!("/v1/sessions/{id}")),
            Self::Fetch(id, None) => (Method::GET, format!("/v1/sessions/{id}/key")),
            Self::Fetch(id, Some(n)) => (Method::GET, format!("/v1/sessions/{id}/key?generation={n}")),
            Self::Finish(id) => (Method::POST, format!("/v1/pairings/{id}/finish")),
            Self::IssueCredential { .. } => (Method::POST, "/v1/credentials".into()),
            Self::Invite { .. } => (Method::POST, "/v1/invitations".into()),
            Self::Open { .. } => (Method::POST, "/v1/sessions".into()),
            Self::Own => (Method::GET, "/v1/pairings/self".into()),
            Self::Policy { server, .. } => (Method::PUT, format!("/v1/policies/servers/{}", server.as_str())),
            Self::Rekey => (Method::POST, "/v1/pairings/self/rekey".into()),
            Self::Revoke(_) => (Method::POST, "/v1/revocations".into()),
            Self::Rotate(id) => (Method::POST, format!("/v1/sessions/{id}/rotate")),
            Self::Verify(_) => (Method::POST, "/v1/credentials/verify".into()),
        }
    }
}

/// A request, as often as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The party that waits for the answer, and what for.
    pub(crate) from: usize,
    pub(crate) call: u64,
    pub(crate) ask: Ask,
    pub(crate) by: Option<PartyId>,
    pub(crate) token: Option<String>,
    /// The key-encryption key that the token names.
    pub(crate) kek: Option<[u8; 8]>,
    pub(crate) head: Option<SealedHead>,
    pub(crate) body: Bytes,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Option<SealedHead>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        let problem: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        problem.and_then(|problem| Some(problem.get("code")?.as_str()?.to_owned())).unwrap_or_default()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("an answer reads: {error}"))
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(&self.body)
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Packet {
    There(Request),
    Back(Request, Answer),
}

/// What is under way.
#[derive(Default)]
pub(crate) struct Network {
    flying: Vec<Packet>,
    /// It loses, repeats and reorders.
    pub(crate) faulty: bool,
}

/// What the network does next.
pub(crate) enum Moved {
    Arrived(Packet),
    Lost(Packet),
    Nothing,
}

impl Network {
    pub(crate) fn send(&mut self, packet: Packet) {
        // What nobody waits for any more is lost at last.
        if self.flying.len() == FLYING_MAX {
            self.flying.remove(0);
        }
        self.flying.push(packet);
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.flying.is_empty()
    }

    /// Whether a refusal is on its way to this party.
    pub(crate) fn will_refuse(&self, whom: usize) -> bool {
        let refuses = |packet: &Packet| matches!(packet, Packet::Back(request, answer) if request.from == whom && answer.status == 410);
        self.flying.iter().any(refuses)
    }

    pub(crate) fn moves(&mut self, dice: &mut Dice) -> Moved {
        if self.flying.is_empty() {
            return Moved::Nothing;
        }
        if !self.faulty {
            return Moved::Arrived(self.flying.remove(0));
        }
        // The oldest first, mostly; what is left behind is late.
        let reach = if dice.roll(3) == 0 { self.flying.len() } else { 1 };
        let which = dice.roll(reach as u64) as usize;
        match dice.roll(10) {
            0 => Moved::Lost(self.flying.remove(which)),
            1 => Moved::Arrived(self.flying[which].clone()),
            _ => Moved::Arrived(self.flying.remove(which)),
        }
    }
}

const FLYING_MAX: usize = 64;
