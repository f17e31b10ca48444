//! The state in memory: what the journal's records come to. Every read is served from here.
//!
//! [`State::apply`] is the only thing that changes it, with records that are durable, in their order; so whoever
//! replays the same records has the same state.

mod apply;
mod approval;
mod clock;
pub(super) mod credentials;
mod deliver;
mod dirty;
mod fit;
mod intern;
mod issue;
mod keys;
mod load;
pub(super) mod outbox;
mod pairing;
pub(super) mod policy;
mod rekey;
mod restore;
mod revoke;
mod roots;
pub(super) mod sessions;
pub(super) mod tally;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName};
use sidekey_protocol::revocation::Head;
use sidekey_protocol::session::{Capabilities, OFFER_OF_SEVERAL};

use self::credentials::Credentials;
use self::intern::Interned;
use self::outbox::Outbox;
use self::policy::{Carrying, Reach, Set};
use self::roots::Root;
use self::sessions::{NONE, Sessions, Slot};
use self::tally::Tallies;
use super::at_rest::Sealed;
use super::journal::Position;
use super::record;
use super::view::{Party, Revocation, Server, Session, SessionState};

pub(super) use self::dirty::Dirty;
pub(super) use self::keys::{SigningKey, SigningKeys};
pub(super) use self::pairing::{Invited, PartyState};
pub(super) use self::restore::{RolledBack, Struck};
pub(super) use self::revoke::Effect;

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    /// The last record that it holds.
    pub(super) position: Position,
    /// The latest time at which anything was decided or swept: no decision is older.
    pub(super) last_at: Timestamp,
    pub(super) global: Global,
    pub(super) servers: Vec<ServerState>,
    pub(super) users: Vec<UserState>,
    pub(super) parties: Vec<PartyState>,
    pub(super) invitations: BTreeMap<u32, Invited>,
    pub(super) roots: BTreeMap<u32, Root>,
    pub(super) sessions: Sessions,
    pub(super) policies: BTreeMap<Reach, Set>,
    pub(super) outbox: Outbox,
    pub(super) tallies: Tallies,
    pub(super) credentials: Credentials,
    /// How many users a change of policy has reached.
    carried: u32,
    capabilities: Interned<Capabilities>,
    hashes: Interned<[u8; 32]>,
    server_index: HashMap<ServerName, u32>,
    user_index: HashMap<(u32, UserName), u32>,
    party_index: HashMap<PartyId, u32>,
    invitation_index: HashMap<InvitationId, u32>,
    pub(super) dirty: Dirty,
}

/// What there is one of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Global {
    pub(super) service: ServiceId,
    pub(super) public_url: String,
    pub(super) keys: SigningKeys,
    pub(super) head: Head,
    pub(super) next_invitation: u32,
    pub(super) next_root: u32,
    pub(super) next_delivery: u32,
    pub(super) next_tally: u32,
    pub(super) next_credential: u32,
    /// The change of policy that has not reached all of its sessions.
    pub(super) carrying: Option<Carrying>,
    /// What is known of what was lost, until that is accepted.
    pub(super) rolled_back: Option<RolledBack>,
    /// The first record that the log keeps.
    pub(super) begins: u64,
}

/// A server.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ServerState {
    pub(super) name: ServerName,
    pub(super) created: Timestamp,
    pub(super) revoked: Option<Revocation>,
    /// Its own pairings.
    #[serde(skip)]
    pub(super) pairings: Vec<u32>,
    #[serde(skip)]
    pub(super) users: Vec<u32>,
}

/// A user at a server.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct UserState {
    pub(super) server: u32,
    pub(super) name: UserName,
    /// The session root of the current epoch.
    pub(super) root: Option<u32>,
    #[serde(skip)]
    pub(super) pairings: Vec<u32>,
    /// In the order in which they were issued.
    #[serde(skip)]
    pub(super) credentials: Vec<u32>,
    /// The newest of its sessions.
    #[serde(skip, default = "none")]
    pub(super) sessions: u32,
    /// How many are in that list.
    #[serde(skip)]
    pub(super) sessions_len: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            position: Position::START,
            last_at: Timestamp(0),
            global: Global {
                service: ServiceId::from_bytes([0; 16]),
                public_url: String::new(),
                keys: SigningKeys::default(),
                head: Head::START,
                next_invitation: 1,
                next_root: 0,
                next_delivery: 1,
                next_tally: 1,
                next_credential: 1,
                carrying: None,
                rolled_back: None,
                begins: 1,
            },
            servers: Vec::new(),
            users: Vec::new(),
            parties: Vec::new(),
            invitations: BTreeMap::new(),
            roots: BTreeMap::new(),
            sessions: Sessions::default(),
            policies: BTreeMap::new(),
            outbox: Outbox::default(),
            tallies: Tallies::default(),
            credentials: Credentials::default(),
            carried: 0,
            capabilities: Interned::default(),
            hashes: Interned::default(),
            server_index: HashMap::new(),
            user_index: HashMap::new(),
            party_index: HashMap::new(),
            invitation_index: HashMap::new(),
            dirty: Dirty::default(),
        }
    }
}

/// Look-ups.
impl State {
    pub(super) fn server(&self, name: &ServerName) -> Option<(u32, &ServerState)> {
        let &handle = self.server_index.get(name)?;
        Some((handle, &self.servers[handle as usize]))
    }

    pub(super) fn user(&self, server: &ServerName, user: &UserName) -> Option<(u32, &UserState)> {
        let (server, _) = self.server(server)?;
        let &handle = self.user_index.get(&(server, user.clone()))?;
        Some((handle, &self.users[handle as usize]))
    }

    pub(super) fn party(&self, id: PartyId) -> Option<(u32, &PartyState)> {
        let &handle = self.party_index.get(&id)?;
        Some((handle, &self.parties[handle as usize]))
    }

    pub(super) fn invitation(&self, id: InvitationId) -> Option<(u32, &Invited)> {
        let &handle = self.invitation_index.get(&id)?;
        Some((handle, self.invitations.get(&handle)?))
    }

    /// The names of a user and of its server.
    pub(super) fn whose(&self, user: u32) -> (&ServerName, &UserName) {
        let user = &self.users[user as usize];
        (&self.servers[user.server as usize].name, &user.name)
    }

    /// The live parties among these.
    pub(super) fn live(&self, parties: &[u32]) -> impl Iterator<Item = &Arc<Party>> + Clone {
        parties.iter().map(|&handle| &self.parties[handle as usize].party).filter(|party| party.is_live())
    }

    /// Every live secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (record::Secret, &Sealed)> {
        let service = self.global.keys.secrets();
        let service =
            service.map(|(number, sealed)| (record::Secret::Service(self.global.service, number), sealed));
        let invitations = self
            .invitations
            .values()
            .filter_map(|invited| Some((record::Secret::Invitation(invited.id), invited.verifier.as_ref()?)));
        let pairings = self.parties.iter().flat_map(PartyState::secrets);
        let roots =
            self.roots.iter().map(|(&number, root)| (record::Secret::Root(number, root.id), &root.sealed));
        service.chain(invitations).chain(pairings).chain(roots)
    }
}

/// Views.
impl State {
    pub(super) fn view_server(&self, server: &ServerState) -> Server {
        let paired = |&&user: &&u32| self.live(&self.users[user as usize].pairings).next().is_some();
        Server {
            name: server.name.clone(),
            created: server.created,
            revoked: server.revoked.clone(),
            pairings: self.live(&server.pairings).count() as u32,
            users: server.users.iter().filter(paired).count() as u32,
        }
    }

    pub(super) fn view_session(&self, slot: &Slot, now: Timestamp) -> Session {
        let user = &self.users[slot.user as usize];
        let party = |handle: u32| self.parties[handle as usize].party.id;
        Session {
            id: slot.id,
            server: self.servers[user.server as usize].name.clone(),
            user: user.name.clone(),
            by: party(slot.by),
            audience: (slot.audience != NONE).then(|| party(slot.audience)),
            generations: slot.generations(),
            suite: slot.suite,
            capabilities: self.capabilities(slot).clone(),
            policy_hash: *self.hashes.get(slot.policy),
            offer_hash: self.offer(slot),
            not_before: slot.not_before,
            not_after: slot.not_after,
            state: match slot.ended {
                _ if now >= slot.not_after => SessionState::Expired,
                Some(reason) => SessionState::Ended(reason),
                None => SessionState::Open,
            },
        }
    }

    pub(super) fn find_session(&self, id: SessionId) -> Option<&Slot> {
        self.sessions.find(id).map(|(_, slot)| slot)
    }

    pub(super) fn capabilities(&self, slot: &Slot) -> &Capabilities {
        self.capabilities.get(slot.capabilities)
    }

    pub(super) fn policy(&self, slot: &Slot) -> [u8; 32] {
        *self.hashes.get(slot.policy)
    }

    pub(super) fn offer(&self, slot: &Slot) -> [u8; 32] {
        if slot.offer == NONE { OFFER_OF_SEVERAL } else { *self.hashes.get(slot.offer) }
    }
}

const fn none() -> u32 {
    NONE
}
