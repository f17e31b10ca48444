//! What is said about a pairing that waits to be approved.

use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::revocation::Reason;

use super::State;
use super::apply::Misfit;
use crate::store::record::Word;
use crate::store::view::{Event, Happened, Party, Refusal};

impl State {
    /// What its user's devices will want to know of it.
    pub(super) fn hear(
        &mut self,
        pairing: PartyId,
        word: Word,
        by: Option<PartyId>,
        at: Timestamp,
    ) -> Result<Vec<Event>, Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        let party = self.party_mut(handle);
        party.recorded = at;
        let waiting = party.waiting.as_mut().ok_or(Misfit)?;
        let by = by.ok_or(Misfit)?;
        let told = match word {
            Word::Approved => {
                waiting.approve();
                Some(party.event(Happened::Approved { pairing, by }))
            }
            Word::Matched => {
                waiting.match_digits();
                None
            }
            Word::Mistaken => {
                let refused = waiting.mistake();
                refused.then(|| self.refuse(handle, by, None, at))
            }
            Word::Refused { reason } => Some(self.refuse(handle, by, reason, at)),
        };
        let mut events = Vec::from_iter(told);
        if self.parties[handle as usize].party.is_live() {
            events.extend(self.fit_to(handle, at)?);
        }
        Ok(events)
    }

    fn refuse(&mut self, handle: u32, by: PartyId, reason: Option<Reason>, at: Timestamp) -> Event {
        self.forget_secrets(handle, at);
        let party = self.party_mut(handle);
        party.refused = Some(Refusal { at, reason: reason.clone() });
        party.event(Happened::Declined { pairing: party.id, by, reason })
    }
}

impl Party {
    /// What happened to a pairing: told to all of its user's, and at its server. [`State::apply`] says when.
    pub(super) fn event(&self, what: Happened) -> Event {
        let place = self.place().map(|(_, server, user)| (server.clone(), user.cloned()));
        let (server, user) = place.map_or((None, None), |(server, user)| (Some(server), user));
        Event { seq: 0, at: Timestamp(0), server, user, pairing: None, what }
    }
}
