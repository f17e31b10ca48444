//! What each record does.

use sidekey_protocol::ids::{ServerName, Timestamp, UserName};

use super::pairing::ATTEMPTS;
use super::sessions::NONE;
use super::{Invited, ServerState, State, UserState};
use crate::store::at_rest::Sealed;
use crate::store::journal::Position;
use crate::store::record::{Entry, Record, Secret};
use crate::store::view::{EndReason, Event, Rights};

/// The record does not follow from the state: it was written by another history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::store) struct Misfit;

impl State {
    /// Applies a durable record, and says what its parties will want to know.
    pub(in crate::store) fn apply(
        &mut self,
        position: Position,
        body: &[u8],
        entry: Entry,
    ) -> Result<Vec<Event>, Misfit> {
        // Whoever decided on this record did so on a state in which it had been.
        self.carry(usize::MAX);
        let at = entry.at;
        let mut events = self.take_effect(entry, body)?;
        for event in &mut events {
            (event.seq, event.at) = (position.seq, at);
        }
        (self.position, self.last_at) = (position, self.last_at.max(at));
        Ok(events)
    }

    #[expect(clippy::too_many_lines, reason = "an exhaustive table: an arm for each record")]
    fn take_effect(&mut self, entry: Entry, body: &[u8]) -> Result<Vec<Event>, Misfit> {
        let Entry { at, by, record, .. } = entry;
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
        self.sweep_invitations(now);
        self.sweep_roots(now);
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

    fn reseal(&mut self, secret: Secret, sealed: Sealed) {
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
}
