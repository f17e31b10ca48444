//! What is said about a pairing that waits to be approved.

use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::revocation::Reason;

use super::State;
use super::apply::Misfit;
use crate::store::record::Word;
use crate::store::view::Refusal;

impl State {
    pub(super) fn hear(&mut self, pairing: PartyId, word: Word, at: Timestamp) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        let party = self.party_mut(handle);
        party.recorded = at;
        let waiting = party.waiting.as_mut().ok_or(Misfit)?;
        match word {
            Word::Approved => waiting.approve(),
            Word::Matched => waiting.match_digits(),
            Word::Mistaken => {
                if waiting.mistake() {
                    self.refuse(handle, None, at);
                }
            }
            Word::Refused { reason } => self.refuse(handle, reason, at),
        }
        Ok(())
    }

    fn refuse(&mut self, handle: u32, reason: Option<Reason>, at: Timestamp) {
        self.party_mut(handle).refused = Some(Refusal { at, reason });
        self.forget_secrets(handle);
    }
}
