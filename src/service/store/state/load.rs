//! Putting things in, with the indexes that follow from them: what records make, and what comes from disk.

use sidekey_protocol::ids::Role;

use super::apply::Misfit;
use super::credentials::Kept;
use super::outbox::Entry;
use super::sessions::{NONE, is_of_several};
use super::tally::Tally;
use super::{Invited, PartyState, ServerState, State, UserState};
use crate::store::pages::StoredSession;

impl State {
    pub(in crate::store) fn load_server(&mut self, server: ServerState) -> u32 {
        let handle = self.servers.len() as u32;
        self.server_index.insert(server.name.clone(), handle);
        self.servers.push(server);
        handle
    }

    pub(in crate::store) fn load_user(&mut self, user: UserState) -> Result<u32, Misfit> {
        let handle = self.users.len() as u32;
        self.servers.get_mut(user.server as usize).ok_or(Misfit)?.users.push(handle);
        self.user_index.insert((user.server, user.name.clone()), handle);
        self.users.push(user);
        Ok(handle)
    }

    pub(in crate::store) fn load_invitation(&mut self, handle: u32, invited: Invited) {
        self.invitation_index.insert(invited.id, handle);
        self.invitations.insert(handle, invited);
    }

    pub(in crate::store) fn load_tally(&mut self, number: u32, tally: Tally) {
        self.tallies.load(number, tally);
    }

    pub(in crate::store) fn load_delivery(&mut self, number: u32, entry: Entry) -> Result<(), Misfit> {
        let known = self.servers.get(entry.server as usize).is_some();
        self.outbox.put(number, entry);
        known.then_some(()).ok_or(Misfit)
    }

    pub(in crate::store) fn load_credential(&mut self, number: u32, kept: Kept) -> Result<(), Misfit> {
        self.users.get_mut(kept.user as usize).ok_or(Misfit)?.credentials.push(number);
        self.credentials.put(number, kept);
        Ok(())
    }

    pub(in crate::store) fn load_party(&mut self, state: PartyState) -> Result<u32, Misfit> {
        let handle = self.parties.len() as u32;
        match state.party.place() {
            None => {}
            Some((Role::Server, server, _)) => {
                let (server, _) = self.server(server).ok_or(Misfit)?;
                self.servers[server as usize].pairings.push(handle);
            }
            Some((Role::Client, server, user)) => {
                let (server, user) = (server.clone(), user.ok_or(Misfit)?.clone());
                let user = self.user_or_new(&server, &user)?;
                self.users[user as usize].pairings.push(handle);
            }
        }
        self.party_index.insert(state.party.id, handle);
        self.parties.push(state);
        Ok(handle)
    }

    /// A session from disk, with what it shares. It is found once [`Sessions::index_all`] was called.
    ///
    /// [`Sessions::index_all`]: super::sessions::Sessions::index_all
    pub(in crate::store) fn load_session(&mut self, stored: StoredSession) -> Result<(), Misfit> {
        let StoredSession { mut slot, capabilities, policy, offer } = stored;
        if slot.is_over(self.last_at) {
            return Ok(());
        }
        match self.roots.get_mut(&slot.root) {
            Some(root) => root.sessions += 1,
            // A revocation took its root.
            None if slot.ended.is_some() => {}
            None => return Err(Misfit),
        }
        slot.capabilities = self.capabilities.hold(capabilities);
        slot.policy = self.hashes.hold(policy);
        slot.offer = if is_of_several(&offer) { NONE } else { self.hashes.hold(offer) };
        let user = self.users.get_mut(slot.user as usize).ok_or(Misfit)?;
        self.sessions.put(slot, &mut user.sessions);
        user.sessions_len += 1;
        Ok(())
    }
}
