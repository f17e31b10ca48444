//! What the records of a pairing's epochs do.

use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::pairing::wire::RekeyAnswer;

use super::apply::Misfit;
use super::pairing::NextEpoch;
use super::{PartyState, State};
use crate::store::at_rest::Sealed;
use crate::store::record::{Rekeyed, Secret};

impl PartyState {
    /// The answer to the rekey of this name, if that made the epoch which waits.
    pub(in crate::store) fn repeat(&self, request: &[u8; 32]) -> Option<RekeyAnswer> {
        self.next.as_ref().filter(|next| next.request == *request).map(|next| next.answer.clone())
    }

    /// Its live secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (Secret, &Sealed)> {
        let named = |epoch| Secret::Pairing(self.party.id, epoch);
        let current = self.root.iter().map(move |root| (named(self.party.epoch), root));
        current.chain(self.next.iter().map(move |next| (named(next.answer.to), &next.root)))
    }
}

impl State {
    pub(super) fn rekey(&mut self, rekeyed: Rekeyed, at: Timestamp) -> Result<(), Misfit> {
        let Rekeyed { pairing, epoch, root, kek, request, answer } = rekeyed;
        let (handle, found) = self.party(pairing).ok_or(Misfit)?;
        if found.root.is_none() || epoch != answer.to || found.party.epoch.checked_add(1) != Some(epoch) {
            return Err(Misfit);
        }
        let party = self.party_mut(handle);
        (party.next_kek, party.recorded) = (Some(kek.0), at);
        self.parties[handle as usize].next = Some(NextEpoch { root, request: request.0, answer });
        Ok(())
    }

    /// The next epoch becomes the current one; with the sealed root of the one before goes its last copy in the state.
    pub(super) fn use_epoch(&mut self, pairing: PartyId, epoch: u32, at: Timestamp) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        let state = &mut self.parties[handle as usize];
        let next = state.next.take_if(|next| next.answer.to == epoch).ok_or(Misfit)?;
        state.root = Some(next.root);
        let party = self.party_mut(handle);
        party.kek = party.next_kek.take().ok_or(Misfit)?;
        (party.epoch, party.epoch_not_after, party.recorded) = (epoch, next.answer.not_after, at);
        Ok(())
    }

    pub(super) fn lapse(&mut self, pairings: &[PartyId], at: Timestamp) -> Result<(), Misfit> {
        for &pairing in pairings {
            let (handle, _) = self.party(pairing).ok_or(Misfit)?;
            self.party_mut(handle).lapsed = Some(at);
            self.forget_secrets(handle, at);
        }
        Ok(())
    }

    /// A pairing that is over needs none, and nothing more is delivered to it.
    pub(super) fn forget_secrets(&mut self, handle: u32, at: Timestamp) {
        self.undeliver_to(handle, at);
        self.party_mut(handle).next_kek = None;
        let state = &mut self.parties[handle as usize];
        (state.root, state.next, state.finish) = (None, None, None);
    }

    pub(super) fn reseal_epoch(&mut self, pairing: PartyId, epoch: u32, sealed: Sealed) {
        let Some((handle, _)) = self.party(pairing) else { return };
        self.dirty.party(handle);
        let state = &mut self.parties[handle as usize];
        match &mut state.next {
            Some(next) if next.answer.to == epoch => next.root = sealed,
            _ if state.root.is_some() && state.party.epoch == epoch => state.root = Some(sealed),
            // It was replaced, or the pairing ended, meanwhile.
            _ => {}
        }
    }
}
