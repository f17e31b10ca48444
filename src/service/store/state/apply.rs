//! What each record does.

use std::sync::Arc;

use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::pairing::Waiting;
use sidekey_protocol::session::Cause;

use super::sessions::{NONE, New, Slot, is_of_several};
use super::{
    ATTEMPTS, EPOCH_S, Finish, INVITATION_KEPT_S, Invited, Listed, PartyState, Root, ServerState, State,
    UserState,
};
use crate::store::journal::Position;
use crate::store::record::{Confirmed, Entry, NewRoot, Opened, Posted, Record, RootOf, Secret, Spki};
use crate::store::view::{EndReason, Event, Happened, Party, Rights};

/// The record does not follow from the state: it was written by another history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::store) struct Misfit;

impl State {
    /// Applies a durable record, and says what its parties will want to know.
    #[expect(clippy::too_many_lines, reason = "an exhaustive table: an arm for each record")]
    pub(in crate::store) fn apply(
        &mut self,
        position: Position,
        body: &[u8],
        entry: Entry,
    ) -> Result<Vec<Event>, Misfit> {
        let Entry { at, by, record, .. } = entry;
        // Whoever decided on this record did so on a state in which it had been.
        self.carry(usize::MAX);
        let mut events = Vec::new();
        match record {
            Record::Created { service, public_url, key, key_public, admin, admin_key, label } => {
                self.global.service = service;
                self.global.public_url = public_url;
                self.global.keys.begin(*key_public, key, at);
                self.add_party(admin, Rights::Admin, &admin_key, label, at)?;
            }
            Record::ServerAdded { server } => self.add_server(server, at)?,
            Record::Invited { invitation, role, server, user, expires, verifier, approval, deliver } => {
                self.add_invitation(Invited {
                    id: invitation,
                    role,
                    server,
                    user,
                    created: at,
                    expires,
                    attempts: ATTEMPTS,
                    approval,
                    used: None,
                    revoked: None,
                    verifier: Some(verifier),
                    key: self.global.keys.newest(),
                    deliver,
                    delivery: None,
                });
                self.deliver_invitation(invitation, at)?;
            }
            Record::AttemptSpent { invitation } => self.spend_attempt(invitation)?,
            Record::InvitationSpent { invitation } => {
                self.spend_attempt(invitation)?;
                events.push(self.invitation_spent(invitation)?);
            }
            Record::Confirmed(confirmed) => events = self.confirm(*confirmed, at)?,
            Record::Used { pairing } => self.mark_used(pairing, at)?,
            Record::FinishConflict { pairing } => self.note_conflict(pairing)?,
            Record::Opened(opened) => {
                events.push(self.open_session(*opened, at, by.ok_or(Misfit)?)?);
            }
            Record::BatchOpened(opened) => events = self.open_batch(opened, at, by.ok_or(Misfit)?)?,
            Record::Rotated { session } => events.push(self.rotate(session, at)?),
            Record::Ended { session } => {
                let (handle, _) = self.sessions.find(session).ok_or(Misfit)?;
                events.push(self.end_session(handle, EndReason::Asked, at)?);
            }
            Record::Revoked { target, reason, roots } => {
                self.global.head = self.global.head.next(body);
                events = self.revoke(target, reason, roots, at)?;
            }
            Record::Resealed { secrets } => {
                secrets.into_iter().for_each(|(secret, sealed)| self.reseal(secret, sealed));
            }
            Record::Rekeyed(rekeyed) => self.rekey(*rekeyed, at)?,
            Record::EpochUsed { pairing, epoch } => self.use_epoch(pairing, epoch, at)?,
            Record::Lapsed { pairings } => self.lapse(&pairings, at)?,
            Record::HeadShown { head, by } => self.roll_back(head, by, at),
            Record::RevocationsReported(reports) => self.note_reports(reports, by.ok_or(Misfit)?)?,
            Record::RestoreAccepted(accepted) => events = self.accept(*accepted, body, at)?,
            Record::KeyRotated(rotated) => events.push(self.global.keys.rotate(*rotated, at)?),
            Record::Approval { pairing, word } => events = self.hear(pairing, word, by, at)?,
            Record::PolicySet { server, user, setting } => {
                events = self.set_policy(server, user, *setting, at)?;
            }
            Record::ClockAccepted { .. } => self.accept_clock(at)?,
            Record::Addressed { pairing, carrier, to } => self.address(pairing, &carrier, to, at)?,
            Record::Deliveries { turns } => turns.into_iter().for_each(|turn| self.turn(turn, at)),
            Record::CredentialIssued(issued) => self.issue_credential(*issued, at)?,
            Record::Pruned(pruned) if pruned.first < self.global.begins => return Err(Misfit),
            Record::Pruned(pruned) => {
                self.global.begins = pruned.first;
                self.dirty.global = self.dirty.tracked;
            }
        }
        for event in &mut events {
            (event.seq, event.at) = (position.seq, at);
        }
        (self.position, self.last_at) = (position, self.last_at.max(at));
        Ok(events)
    }

    /// Forgets what is long over among the next `count` sessions, and whatever else is.
    pub(in crate::store) fn sweep(&mut self, count: usize, now: Timestamp) {
        self.last_at = self.last_at.max(now);
        for handle in self.sessions.sweep(count, now) {
            self.drop_session(handle);
        }
        self.global.keys.sweep(now);
        self.sweep_deliveries(now);
        self.sweep_credentials(now);
        let over: Vec<u32> = self
            .invitations
            .iter()
            .take_while(|(_, invited)| invited.expires <= now)
            .filter(|(_, invited)| {
                invited.expires.after_s(INVITATION_KEPT_S) <= now || invited.verifier.is_some()
            })
            .map(|(&handle, _)| handle)
            .collect();
        for handle in over {
            self.dirty.invitation(handle);
            let Some(invited) = self.invitations.get_mut(&handle) else { continue };
            invited.verifier = None;
            if invited.expires.after_s(INVITATION_KEPT_S) <= now {
                self.invitation_index.remove(&invited.id);
                self.invitations.remove(&handle);
            }
        }
        let unused: Vec<u32> = self
            .roots
            .iter()
            .filter(|(_, root)| root.sessions == 0 && root.made.after_s(EPOCH_S) <= now)
            .map(|(&number, _)| number)
            .collect();
        for number in unused {
            self.drop_root(number);
        }
    }

    fn spend_attempt(&mut self, invitation: InvitationId) -> Result<(), Misfit> {
        let (handle, _) = self.invitation(invitation).ok_or(Misfit)?;
        let invited = self.invited_mut(handle)?;
        invited.attempts = invited.attempts.checked_sub(1).ok_or(Misfit)?;
        Ok(())
    }

    fn invitation_spent(&self, invitation: InvitationId) -> Result<Event, Misfit> {
        let (_, invited) = self.invitation(invitation).ok_or(Misfit)?;
        let (server, user) = (Some(invited.server.clone()), invited.user.clone());
        let what = Happened::Spent { invitation, role: invited.role };
        Ok(Event { seq: 0, at: Timestamp(0), server, user, pairing: None, what })
    }

    fn mark_used(&mut self, pairing: PartyId, at: Timestamp) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        self.parties[handle as usize].finish = None;
        let party = self.party_mut(handle);
        (party.used, party.recorded) = (true, at);
        Ok(())
    }

    fn note_conflict(&mut self, pairing: PartyId) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        self.dirty.party(handle);
        self.parties[handle as usize].finish.as_mut().ok_or(Misfit)?.conflict = true;
        Ok(())
    }

    fn rotate(&mut self, session: SessionId, at: Timestamp) -> Result<Event, Misfit> {
        let (handle, slot) = self.sessions.find(session).ok_or(Misfit)?;
        let next = slot.generations().rotate(Cause::Asked, at).map_err(|_| Misfit)?;
        self.slot_mut(handle)?.set_generations(next);
        self.rotated(handle, Cause::Asked, at)
    }

    fn add_server(&mut self, name: ServerName, at: Timestamp) -> Result<(), Misfit> {
        if self.server_index.contains_key(&name) {
            return Err(Misfit);
        }
        let server =
            ServerState { name, created: at, revoked: None, pairings: Vec::new(), users: Vec::new() };
        let handle = self.load_server(server);
        self.dirty.server(handle);
        Ok(())
    }

    fn add_invitation(&mut self, invited: Invited) {
        let handle = self.global.next_invitation;
        self.global.next_invitation += 1;
        self.load_invitation(handle, invited);
        self.dirty.invitation(handle);
    }

    fn add_party(
        &mut self,
        id: PartyId,
        rights: Rights,
        key: &Spki,
        label: String,
        at: Timestamp,
    ) -> Result<u32, Misfit> {
        if self.party_index.contains_key(&id) {
            return Err(Misfit);
        }
        let key = VerifyingKey::from_spki(&key.0).map_err(|_| Misfit)?;
        let party = Arc::new(Party::new(id, rights, key, label, at));
        let handle = self.load_party(PartyState { party, root: None, next: None, finish: None })?;
        self.dirty.party(handle);
        Ok(handle)
    }

    fn confirm(&mut self, confirmed: Confirmed, at: Timestamp) -> Result<Vec<Event>, Misfit> {
        let (invitation, invited) = self.invitation(confirmed.invitation).ok_or(Misfit)?;
        if invited.used.is_some() {
            return Err(Misfit);
        }
        let (role, server, user) = (invited.role, invited.server.clone(), invited.user.clone());
        let waiting = Waiting::begin(invited.approval, confirmed.th.0, confirmed.pinned, at);
        let rights = Rights::Pairing { role, server, user };
        let handle = self.add_party(confirmed.pairing, rights, &confirmed.key, confirmed.label, at)?;
        let party = self.party_mut(handle);
        party.offer = confirmed.offer;
        (party.pinned, party.waiting) = (confirmed.pinned, waiting);
        (party.epoch_not_after, party.kek) = (confirmed.epoch_not_after, confirmed.kek.0);
        let state = &mut self.parties[handle as usize];
        state.root = Some(confirmed.root);
        state.finish =
            Some(Finish { request: confirmed.finish.0, answer: confirmed.answer, conflict: false });
        let invited = self.invited_mut(invitation)?;
        (invited.used, invited.verifier) = (Some(confirmed.pairing), None);
        let reached = invited.deliver.clone();
        self.undeliver_invitation(confirmed.invitation, at);
        if let Some(Posted { leg, to }) = reached {
            self.address(confirmed.pairing, &leg.carrier, Some(to), at)?;
        }
        let party = &self.parties[handle as usize].party;
        let (pairing, label, state) = (party.id, party.label.clone(), party.standing());
        let mut events = vec![party.event(Happened::Paired { pairing, role, label, state })];
        if party.is_live() {
            events.extend(self.fit_to(handle, at)?);
        }
        Ok(events)
    }

    fn open_batch(&mut self, opened: Vec<Opened>, at: Timestamp, by: PartyId) -> Result<Vec<Event>, Misfit> {
        opened.into_iter().map(|opened| self.open_session(opened, at, by)).collect()
    }

    fn open_session(&mut self, opened: Opened, at: Timestamp, by: PartyId) -> Result<Event, Misfit> {
        if self.sessions.find(opened.session).is_some() {
            return Err(Misfit);
        }
        let (by, _) = self.party(by).ok_or(Misfit)?;
        let audience = match opened.audience {
            None => NONE,
            Some(pairing) => self.party(pairing).ok_or(Misfit)?.0,
        };
        let user = self.user_or_new(&opened.server, &opened.user)?;
        let root = match opened.root {
            RootOf::Epoch(number) => number,
            RootOf::Fresh(root) => self.add_root(user, root, at),
            RootOf::Newest => self.users[user as usize].root.ok_or(Misfit)?,
        };
        self.roots.get_mut(&root).ok_or(Misfit)?.sessions += 1;
        let offer = if is_of_several(&opened.offer.0) { NONE } else { self.hashes.hold(opened.offer.0) };
        let slot = New {
            id: opened.session,
            idempotency: opened.idempotency,
            user,
            root,
            by,
            audience,
            capabilities: self.capabilities.hold(Listed(opened.capabilities)),
            policy: self.hashes.hold(opened.policy.0),
            offer,
            not_before: at,
            not_after: opened.not_after,
            suite: opened.suite,
        };
        let user = &mut self.users[user as usize];
        let handle = self.sessions.insert(slot.slot(), &mut user.sessions);
        user.sessions_len += 1;
        self.dirty.opened(handle);
        self.deliver_session(handle, &opened.deliver, at)?;
        let not_after = opened.not_after;
        self.event(handle, Happened::Opened { session: opened.session, generation: 0, not_after })
    }

    /// Ends a session; it stays, as the answer to a repeated idempotency key, until its time is over.
    pub(super) fn end_session(
        &mut self,
        handle: u32,
        reason: EndReason,
        at: Timestamp,
    ) -> Result<Event, Misfit> {
        let slot = self.slot_mut(handle)?;
        slot.ended.get_or_insert(reason);
        let session = slot.id;
        self.undeliver(handle, at);
        self.event(handle, Happened::Ended { session, reason })
    }

    pub(super) fn rotated(&mut self, handle: u32, cause: Cause, at: Timestamp) -> Result<Event, Misfit> {
        self.redeliver(handle, at);
        let slot = self.sessions.get(handle).ok_or(Misfit)?;
        let generation = slot.generations().current;
        self.event(handle, Happened::Rotated { session: slot.id, generation, cause })
    }

    fn event(&self, handle: u32, what: Happened) -> Result<Event, Misfit> {
        let slot = self.sessions.get(handle).ok_or(Misfit)?;
        let user = &self.users[slot.user as usize];
        Ok(Event {
            seq: 0,
            at: Timestamp(0),
            server: Some(self.servers[user.server as usize].name.clone()),
            user: Some(user.name.clone()),
            pairing: (slot.audience != NONE).then(|| self.parties[slot.audience as usize].party.id),
            what,
        })
    }

    pub(super) fn add_root(&mut self, user: u32, root: NewRoot, at: Timestamp) -> u32 {
        let number = self.global.next_root;
        self.global.next_root += 1;
        self.roots.insert(number, Root { id: root.id, user, made: at, sealed: root.sealed, sessions: 0 });
        let before = self.users[user as usize].root.replace(number);
        self.dirty.root(number);
        self.dirty.user(user);
        if let Some(before) = before
            && self.roots.get(&before).is_some_and(|root| root.sessions == 0)
        {
            self.drop_root(before);
        }
        number
    }

    /// Moves a session onto another root.
    pub(super) fn move_to_root(&mut self, handle: u32, number: u32) -> Result<(), Misfit> {
        self.roots.get_mut(&number).ok_or(Misfit)?.sessions += 1;
        let slot = self.slot_mut(handle)?;
        let before = std::mem::replace(&mut slot.root, number);
        self.leave_root(before);
        Ok(())
    }

    /// One session less on a root; the last one takes it along, unless more may come.
    pub(super) fn leave_root(&mut self, number: u32) {
        let Some(root) = self.roots.get_mut(&number) else { return };
        root.sessions -= 1;
        if root.sessions == 0 && self.users[root.user as usize].root != Some(number) {
            self.drop_root(number);
        }
    }

    pub(super) fn drop_root(&mut self, number: u32) {
        let Some(root) = self.roots.remove(&number) else { return };
        self.dirty.root(number);
        let user = &mut self.users[root.user as usize];
        if user.root == Some(number) {
            user.root = None;
            self.dirty.user(root.user);
        }
    }

    fn drop_session(&mut self, handle: u32) {
        let Some(user) = self.sessions.get(handle).map(|slot| slot.user) else { return };
        let head = &mut self.users[user as usize].sessions;
        let Some(Slot { root, capabilities, policy, offer, .. }) = self.sessions.remove(handle, head) else {
            return;
        };
        self.users[user as usize].sessions_len -= 1;
        self.dirty.forget(handle);
        self.capabilities.release(capabilities);
        self.hashes.release(policy);
        if offer != NONE {
            self.hashes.release(offer);
        }
        self.leave_root(root);
    }

    fn reseal(&mut self, secret: Secret, sealed: crate::store::at_rest::Sealed) {
        // What is gone meanwhile needs no secret.
        match secret {
            Secret::Invitation(id) => {
                let Some((handle, _)) = self.invitation(id) else { return };
                if let Ok(invited) = self.invited_mut(handle)
                    && invited.verifier.is_some()
                {
                    invited.verifier = Some(sealed);
                }
            }
            Secret::Pairing(id, epoch) => self.reseal_epoch(id, epoch, sealed),
            Secret::Root(number, _) => {
                if let Some(root) = self.roots.get_mut(&number) {
                    root.sealed = sealed;
                    self.dirty.root(number);
                }
            }
            Secret::Service(_, number) => self.global.keys.reseal(number, sealed),
        }
    }

    pub(super) fn user_or_new(&mut self, server: &ServerName, user: &UserName) -> Result<u32, Misfit> {
        let (server, _) = self.server(server).ok_or(Misfit)?;
        if let Some(&handle) = self.user_index.get(&(server, user.clone())) {
            return Ok(handle);
        }
        let state = UserState {
            server,
            name: user.clone(),
            root: None,
            pairings: Vec::new(),
            credentials: Vec::new(),
            sessions: NONE,
            sessions_len: 0,
        };
        let handle = self.load_user(state)?;
        self.dirty.user(handle);
        Ok(handle)
    }

    /// A party to change: whoever holds the old one keeps the old one.
    pub(super) fn party_mut(&mut self, handle: u32) -> &mut Party {
        self.dirty.party(handle);
        Arc::make_mut(&mut self.parties[handle as usize].party)
    }

    pub(super) fn invited_mut(&mut self, handle: u32) -> Result<&mut Invited, Misfit> {
        self.dirty.invitation(handle);
        self.invitations.get_mut(&handle).ok_or(Misfit)
    }

    pub(super) fn slot_mut(&mut self, handle: u32) -> Result<&mut Slot, Misfit> {
        self.dirty.changed(handle);
        self.sessions.get_mut(handle).ok_or(Misfit)
    }
}
