//! What a revocation strikes. The same walk says what it would do, before, and does it, after it is durable.

use std::collections::BTreeSet;

use sidekey_protocol::ids::{Role, ServerName, Timestamp, UserName};
use sidekey_protocol::revocation::{Reason, Reject, Target};
use sidekey_protocol::session::Cause;

use super::State;
use super::apply::Misfit;
use super::sessions::NONE;
use crate::store::record::NewRoot;
use crate::store::view::{EndReason, Event, Happened, Revocation};

/// What a revocation strikes, by handle.
#[derive(Debug, Default)]
pub(in crate::store) struct Effect {
    pub(in crate::store) server: Option<u32>,
    pub(in crate::store) invitations: Vec<u32>,
    pub(in crate::store) pairings: Vec<u32>,
    pub(in crate::store) credentials: Vec<u32>,
    /// Sessions that go on for those who are left, and their users.
    pub(in crate::store) rotate: Vec<u32>,
    pub(in crate::store) users: BTreeSet<u32>,
    /// Users whose roots go: of those who rotate, and of those who have nothing left.
    pub(in crate::store) rootless: BTreeSet<u32>,
    pub(in crate::store) end: Vec<u32>,
}

impl State {
    /// What revoking `target` at `now` does.
    pub(in crate::store) fn effect(&self, target: &Target, now: Timestamp) -> Result<Effect, Reject> {
        let mut effect = Effect::default();
        match target {
            Target::Credential { credential } => {
                let (number, kept) = self.credentials.find(*credential).ok_or(Reject::TargetUnknown)?;
                if !kept.is_live(now) {
                    return Err(Reject::AlreadyRevoked);
                }
                effect.credentials.push(number);
            }
            Target::Invitation { invitation } => {
                let (handle, invited) = self.invitation(*invitation).ok_or(Reject::TargetUnknown)?;
                if !invited.is_open(now) {
                    return Err(Reject::AlreadyRevoked);
                }
                effect.invitations.push(handle);
            }
            Target::Session { session } => {
                let (handle, slot) = self.sessions.find(*session).ok_or(Reject::TargetUnknown)?;
                if !slot.is_open(now) {
                    return Err(Reject::AlreadyRevoked);
                }
                effect.end.push(handle);
            }
            Target::Pairing { pairing } => {
                let (handle, state) = self.party(*pairing).ok_or(Reject::TargetUnknown)?;
                let (role, server, user) = state.party.place().ok_or(Reject::TargetUnknown)?;
                // What has lapsed does not come back either.
                if state.party.is_over() {
                    return Err(Reject::AlreadyRevoked);
                }
                effect.pairings.push(handle);
                // One that waits has had no key.
                if state.party.is_live() {
                    self.strike_pairing(&mut effect, handle, role, server, user, now);
                }
            }
            Target::User { server, user } => self.strike_user_whole(&mut effect, server, user, now)?,
            Target::Server { server } => {
                let (handle, state) = self.server(server).ok_or(Reject::TargetUnknown)?;
                if state.revoked.is_some() {
                    return Err(Reject::AlreadyRevoked);
                }
                effect.server = Some(handle);
                effect.pairings.extend(self.standing_handles(&state.pairings));
                for &user in &state.users {
                    effect.pairings.extend(self.standing_handles(&self.users[user as usize].pairings));
                    effect.credentials.extend(self.live_credentials(user, now));
                    self.end_all(&mut effect, user, now);
                }
                effect.invitations = self.open_invitations(now, |at, _| at == server);
            }
        }
        Ok(effect)
    }

    fn strike_user_whole(
        &self,
        effect: &mut Effect,
        server: &ServerName,
        user: &UserName,
        now: Timestamp,
    ) -> Result<(), Reject> {
        let invitations = self.open_invitations(now, |at, whom| at == server && whom == Some(user));
        let Some((handle, state)) = self.user(server, user) else {
            // Invited, and nothing came of it yet.
            effect.invitations = invitations;
            let empty = effect.invitations.is_empty();
            return if empty { Err(Reject::TargetUnknown) } else { Ok(()) };
        };
        effect.invitations = invitations;
        effect.pairings.extend(self.standing_handles(&state.pairings));
        effect.credentials.extend(self.live_credentials(handle, now));
        self.end_all(effect, handle, now);
        let nothing = effect.pairings.is_empty()
            && effect.credentials.is_empty()
            && effect.invitations.is_empty()
            && effect.end.is_empty();
        if nothing { Err(Reject::AlreadyRevoked) } else { Ok(()) }
    }

    fn strike_pairing(
        &self,
        effect: &mut Effect,
        pairing: u32,
        role: Role,
        server: &ServerName,
        user: Option<&UserName>,
        now: Timestamp,
    ) {
        let Some((_, state)) = self.server(server) else { return };
        match (role, user) {
            (Role::Client, Some(user)) => {
                if let Some((handle, _)) = self.user(server, user) {
                    self.strike_user(effect, pairing, handle, now);
                }
            }
            // A server's pairing could read every key of its server.
            _ => {
                for &user in &state.users {
                    self.strike_user(effect, pairing, user, now);
                }
            }
        }
    }

    /// One pairing less around a user: the open sessions rotate, if anybody is left on both sides.
    fn strike_user(&self, effect: &mut Effect, pairing: u32, user: u32, now: Timestamp) {
        let state = &self.users[user as usize];
        let server = &self.servers[state.server as usize];
        let left = |pairings: &[u32]| self.live_handles(pairings).any(|handle| handle != pairing);
        let anybody = left(&state.pairings) && left(&server.pairings);
        let mut rotates = false;
        for handle in self.sessions.list(state.sessions) {
            let Some(slot) = self.sessions.get(handle).filter(|slot| slot.is_open(now)) else { continue };
            let spent = slot.generations().current == u32::MAX;
            if slot.audience == pairing || !anybody || spent || effect.users.len() >= ROTATED_USERS_MAX {
                effect.end.push(handle);
            } else {
                effect.rotate.push(handle);
                rotates = true;
            }
        }
        effect.rootless.insert(user);
        if rotates {
            effect.users.insert(user);
        }
    }

    fn end_all(&self, effect: &mut Effect, user: u32, now: Timestamp) {
        let open = |handle: &u32| self.sessions.get(*handle).is_some_and(|slot| slot.is_open(now));
        effect.end.extend(self.sessions.list(self.users[user as usize].sessions).filter(open));
        effect.rootless.insert(user);
    }

    fn live_handles(&self, parties: &[u32]) -> impl Iterator<Item = u32> {
        parties.iter().copied().filter(|&handle| self.parties[handle as usize].party.is_live())
    }

    /// Those too that wait to be approved.
    fn standing_handles(&self, parties: &[u32]) -> impl Iterator<Item = u32> {
        parties.iter().copied().filter(|&handle| !self.parties[handle as usize].party.is_over())
    }

    fn open_invitations(
        &self,
        now: Timestamp,
        of: impl Fn(&ServerName, Option<&UserName>) -> bool,
    ) -> Vec<u32> {
        let struck = |(&handle, invited): (&u32, &super::Invited)| {
            (invited.is_open(now) && of(&invited.server, invited.user.as_ref())).then_some(handle)
        };
        self.invitations.iter().filter_map(struck).collect()
    }

    /// Does it, with the fresh roots that were made for those who rotate.
    pub(super) fn revoke(
        &mut self,
        target: Target,
        reason: Reason,
        roots: Vec<(ServerName, UserName, NewRoot)>,
        at: Timestamp,
    ) -> Result<Vec<Event>, Misfit> {
        let effect = self.effect(&target, at).map_err(|_| Misfit)?;
        let revocation = Revocation { at, reason: reason.clone() };
        let mut events = vec![self.revoked_event(&target, reason)];
        if let Some(server) = effect.server {
            self.servers[server as usize].revoked = Some(revocation.clone());
            self.dirty.server(server);
        }
        for &handle in &effect.invitations {
            let invited = self.invited_mut(handle)?;
            (invited.revoked, invited.verifier) = (Some(revocation.clone()), None);
            let id = invited.id;
            self.undeliver_invitation(id, at);
        }
        for &number in &effect.credentials {
            self.credential_mut(number)?.revoked = Some(revocation.clone());
        }
        for &handle in &effect.pairings {
            self.party_mut(handle).revoked = Some(revocation.clone());
            self.forget_secrets(handle, at);
        }
        for &handle in &effect.end {
            events.push(self.end_session(handle, EndReason::Revocation, at)?);
        }
        if roots.len() != effect.users.len() {
            return Err(Misfit);
        }
        for (server, user, root) in roots {
            let (user, _) = self.user(&server, &user).ok_or(Misfit)?;
            self.add_root(user, root, at);
        }
        for &handle in &effect.rotate {
            let slot = self.slot_mut(handle)?;
            let next = slot.generations().rotate(Cause::Revocation, at).map_err(|_| Misfit)?;
            slot.set_generations(next);
            let user = slot.user;
            let root = self.users[user as usize].root.ok_or(Misfit)?;
            self.move_to_root(handle, root)?;
            events.push(self.rotated(handle, Cause::Revocation, at)?);
        }
        self.drop_roots(&effect);
        Ok(events)
    }

    /// Drops every root of the users struck but those that were just made: what derived from them is over.
    fn drop_roots(&mut self, effect: &Effect) {
        let gone: Vec<u32> = self
            .roots
            .iter()
            .filter(|(number, root)| {
                let fresh = effect.users.contains(&root.user)
                    && self.users[root.user as usize].root == Some(**number);
                effect.rootless.contains(&root.user) && !fresh
            })
            .map(|(&number, _)| number)
            .collect();
        for number in gone {
            self.drop_root(number);
        }
    }

    fn revoked_event(&self, target: &Target, reason: Reason) -> Event {
        let mut event = Event {
            seq: 0,
            at: Timestamp(0),
            server: None,
            user: None,
            pairing: None,
            what: Happened::Revoked { target: target.clone(), reason },
        };
        let place = |role: Option<Role>, server: &ServerName, user: Option<&UserName>| {
            (Some(server.clone()), user.filter(|_| role != Some(Role::Server)).cloned())
        };
        match target {
            Target::Credential { credential } => {
                if let Some((_, kept)) = self.credentials.find(*credential) {
                    let (server, user) = self.whose(kept.user);
                    (event.server, event.user) = place(None, server, Some(user));
                }
            }
            Target::Invitation { invitation } => {
                if let Some((_, invited)) = self.invitation(*invitation) {
                    (event.server, event.user) = place(None, &invited.server, invited.user.as_ref());
                }
            }
            Target::Pairing { pairing } => {
                if let Some((role, server, user)) =
                    self.party(*pairing).and_then(|(_, state)| state.party.place())
                {
                    (event.server, event.user) = place(Some(role), server, user);
                }
            }
            Target::Server { server } => event.server = Some(server.clone()),
            Target::Session { session } => {
                if let Some((_, slot)) = self.sessions.find(*session) {
                    let user = &self.users[slot.user as usize];
                    event.server = Some(self.servers[user.server as usize].name.clone());
                    event.user = Some(user.name.clone());
                    if slot.audience != NONE {
                        event.pairing = Some(self.parties[slot.audience as usize].party.id);
                    }
                }
            }
            Target::User { server, user } => {
                (event.server, event.user) = (Some(server.clone()), Some(user.clone()));
            }
        }
        event
    }
}

/// Users whose sessions one revocation rotates; what is beyond ends, and its servers open it anew. A fresh root costs
/// about a hundred octets of the record.
const ROTATED_USERS_MAX: usize = 16_384;
