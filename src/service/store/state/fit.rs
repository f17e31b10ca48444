//! A device that becomes live, beside sessions that were opened before it (proto/session/spec.md, section 4).

use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::session::Cause;

use super::State;
use super::apply::Misfit;
use super::sessions::{NONE, Slot};
use crate::store::view::Event;

impl State {
    /// Whether a session's keys are for a device of its user.
    pub(in crate::store) fn is_for(&self, slot: &Slot, device: u32) -> bool {
        let own = slot.audience == NONE || slot.audience == device;
        own && self.parties[device as usize].party.has(slot.suite)
    }

    /// The user's open sessions that are in a suite which the device lacks have their next generation in one that all
    /// have. Where there is none, a session goes on without the device.
    pub(super) fn fit_to(&mut self, device: u32, at: Timestamp) -> Result<Vec<Event>, Misfit> {
        let party = &self.parties[device as usize].party;
        let Some((_, server, Some(user))) = party.place() else { return Ok(Vec::new()) };
        let (_, state) = self.user(server, user).ok_or(Misfit)?;
        let (suites, lacks) = (self.policy_of(server, user).0.suites, |suite| !party.has(suite));
        let mut events = Vec::new();
        let next: Vec<_> = self
            .sessions
            .list(state.sessions)
            .filter_map(|handle| Some((handle, self.sessions.get(handle)?)))
            .filter(|(_, slot)| slot.audience == NONE && slot.is_open(at) && lacks(slot.suite))
            .filter_map(|(handle, slot)| {
                let generations = slot.generations().rotate(Cause::Pairing, at).ok()?;
                Some((handle, self.choice(slot, &suites).ok()?.suite, generations))
            })
            .collect();
        for (handle, suite, generations) in next {
            let slot = self.slot_mut(handle)?;
            slot.suite = suite;
            slot.set_generations(generations);
            events.push(self.rotated(handle, Cause::Pairing, at)?);
        }
        Ok(events)
    }
}
