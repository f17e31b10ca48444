//! A clock that was ahead, and is believed again.

use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::pairing::EPOCH_S;

use super::State;
use super::apply::Misfit;
use crate::store::view::EndReason;

impl State {
    /// What holds until a time that only the wrong clock knew must not outlive it: sessions end, session roots go,
    /// invitations are over, and neither an epoch of a pairing nor a proxy credential lasts longer than one that begins
    /// at `at`.
    pub(super) fn accept_clock(&mut self, at: Timestamp) -> Result<(), Misfit> {
        for handle in self.unended() {
            self.end_session(handle, EndReason::Revocation, at)?;
        }
        let roots: Vec<u32> = self.roots.keys().copied().collect();
        for number in roots {
            self.drop_root(number);
        }
        for handle in self.invited() {
            let invited = self.invited_mut(handle)?;
            (invited.expires, invited.verifier) = (at, None);
        }
        for handle in 0..self.parties.len() as u32 {
            let party = self.party_mut(handle);
            party.epoch_not_after = party.epoch_not_after.min(at.after_s(EPOCH_S));
            party.recorded = party.recorded.min(at);
            party.forget_seen_after(at);
        }
        self.credentials_by_clock(at);
        self.last_at = at;
        Ok(())
    }

    /// Sessions that nobody ended, whatever their time says.
    pub(in crate::store) fn unended(&self) -> Vec<u32> {
        let of_user = |user: &super::UserState| self.sessions.list(user.sessions);
        let unended = |handle: &u32| self.sessions.get(*handle).is_some_and(|slot| slot.ended.is_none());
        self.users.iter().flat_map(of_user).filter(unended).collect()
    }

    /// Invitations that neither a pairing nor a revocation used up.
    pub(in crate::store) fn invited(&self) -> Vec<u32> {
        let waits = |invited: &super::Invited| invited.used.is_none() && invited.revoked.is_none();
        self.invitations.iter().filter(|(_, invited)| waits(invited)).map(|(&handle, _)| handle).collect()
    }
}
