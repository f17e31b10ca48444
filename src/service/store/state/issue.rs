//! What becomes of a session: it is opened, rotated, ended, forgotten.

use sidekey_protocol::ids::{PartyId, SessionId, Timestamp};
use sidekey_protocol::session::Cause;

use super::State;
use super::apply::Misfit;
use super::sessions::{NONE, New, Slot, is_of_several};
use crate::store::record::{Opened, RootOf};
use crate::store::view::{EndReason, Event, Happened};

impl State {
    pub(super) fn open_batch(
        &mut self,
        opened: Vec<Opened>,
        at: Timestamp,
        by: PartyId,
    ) -> Result<Vec<Event>, Misfit> {
        opened.into_iter().map(|opened| self.open_session(opened, at, by)).collect()
    }

    pub(super) fn open_session(
        &mut self,
        opened: Opened,
        at: Timestamp,
        by: PartyId,
    ) -> Result<Event, Misfit> {
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
            capabilities: self.capabilities.hold(opened.capabilities),
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

    pub(super) fn rotate(&mut self, session: SessionId, at: Timestamp) -> Result<Event, Misfit> {
        let (handle, slot) = self.sessions.find(session).ok_or(Misfit)?;
        let next = slot.generations().rotate(Cause::Asked, at).map_err(|_| Misfit)?;
        self.slot_mut(handle)?.set_generations(next);
        self.rotated(handle, Cause::Asked, at)
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

    pub(super) fn drop_session(&mut self, handle: u32) {
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

    pub(super) fn slot_mut(&mut self, handle: u32) -> Result<&mut Slot, Misfit> {
        self.dirty.changed(handle);
        self.sessions.get_mut(handle).ok_or(Misfit)
    }
}
