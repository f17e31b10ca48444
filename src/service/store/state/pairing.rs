//! Invitations, and the parties that come of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::wire::RekeyAnswer;
use sidekey_protocol::pairing::{Approval, Waiting};

use super::State;
use super::apply::Misfit;
use crate::store::at_rest::Sealed;
use crate::store::record::{Confirmed, Posted, Spki};
use crate::store::view::{Event, Happened, Invitation, InvitationState, Party, Revocation, Rights};

/// An invitation.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::store) struct Invited {
    pub(in crate::store) id: InvitationId,
    pub(in crate::store) role: Role,
    pub(in crate::store) server: ServerName,
    pub(in crate::store) user: Option<UserName>,
    pub(in crate::store) created: Timestamp,
    pub(in crate::store) expires: Timestamp,
    pub(in crate::store) attempts: u8,
    /// Whose word its pairing will need.
    pub(in crate::store) approval: Approval,
    /// The pairing that came of it.
    pub(in crate::store) used: Option<PartyId>,
    pub(in crate::store) revoked: Option<Revocation>,
    /// The secret half, while it may still be needed.
    pub(in crate::store) verifier: Option<Sealed>,
    /// The number of the signing key that its link names.
    pub(in crate::store) key: u32,
    /// By which carrier it is sent, and where to: the address stays with the pairing that comes of it.
    pub(in crate::store) deliver: Option<Posted>,
    /// The number of that delivery.
    pub(in crate::store) delivery: Option<u32>,
}

impl Invited {
    pub(in crate::store) fn state(&self, now: Timestamp) -> InvitationState {
        match self {
            Self { used: Some(_), .. } => InvitationState::Used,
            Self { revoked: Some(_), .. } => InvitationState::Cancelled,
            Self { expires, .. } if now >= *expires => InvitationState::Expired,
            Self { attempts: 0, .. } => InvitationState::Spent,
            _ => InvitationState::Open,
        }
    }

    /// Whether a pairing may still come of it.
    pub(in crate::store) fn is_open(&self, now: Timestamp) -> bool {
        matches!(self.state(now), InvitationState::Open | InvitationState::Spent)
    }

    pub(in crate::store) fn view(&self, now: Timestamp) -> Invitation {
        Invitation {
            id: self.id,
            role: self.role,
            server: self.server.clone(),
            user: self.user.clone(),
            created: self.created,
            expires: self.expires,
            attempts: self.attempts,
            key: self.key,
            approval: self.approval,
            deliver: self.deliver.clone(),
            state: self.state(now),
        }
    }
}

/// A party and what it shows nobody.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::store) struct PartyState {
    #[serde(with = "shared")]
    pub(in crate::store) party: Arc<Party>,
    /// root_e, while it is live.
    pub(in crate::store) root: Option<Sealed>,
    /// The epoch that waits for its first use.
    pub(in crate::store) next: Option<NextEpoch>,
    /// The finish that made it, until it is used.
    pub(in crate::store) finish: Option<Finish>,
}

/// An epoch that waits for its first use.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::store) struct NextEpoch {
    pub(in crate::store) root: Sealed,
    /// Names the request that made it.
    pub(in crate::store) request: [u8; 32],
    pub(in crate::store) answer: RekeyAnswer,
}

/// A finish and its answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::store) struct Finish {
    pub(in crate::store) request: [u8; 32],
    pub(in crate::store) answer: Box<[u8]>,
    /// Whether another one came.
    pub(in crate::store) conflict: bool,
}

impl State {
    pub(super) fn add_invitation(&mut self, invited: Invited) {
        let handle = self.global.next_invitation;
        self.global.next_invitation += 1;
        self.load_invitation(handle, invited);
        self.dirty.invitation(handle);
    }

    pub(super) fn spend_attempt(&mut self, invitation: InvitationId) -> Result<(), Misfit> {
        let (handle, _) = self.invitation(invitation).ok_or(Misfit)?;
        let invited = self.invited_mut(handle)?;
        invited.attempts = invited.attempts.checked_sub(1).ok_or(Misfit)?;
        Ok(())
    }

    pub(super) fn invitation_spent(&self, invitation: InvitationId) -> Result<Event, Misfit> {
        let (_, invited) = self.invitation(invitation).ok_or(Misfit)?;
        let (server, user) = (Some(invited.server.clone()), invited.user.clone());
        let what = Happened::Spent { invitation, role: invited.role };
        Ok(Event { seq: 0, at: Timestamp(0), server, user, pairing: None, what })
    }

    pub(super) fn mark_used(&mut self, pairing: PartyId, at: Timestamp) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        self.parties[handle as usize].finish = None;
        let party = self.party_mut(handle);
        (party.used, party.recorded) = (true, at);
        Ok(())
    }

    pub(super) fn note_conflict(&mut self, pairing: PartyId) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        self.dirty.party(handle);
        self.parties[handle as usize].finish.as_mut().ok_or(Misfit)?.conflict = true;
        Ok(())
    }

    pub(super) fn confirm(&mut self, confirmed: Confirmed, at: Timestamp) -> Result<Vec<Event>, Misfit> {
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

    pub(super) fn add_party(
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

    /// Forgets what is long over, and the secret half of what is over.
    pub(super) fn sweep_invitations(&mut self, now: Timestamp) {
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
}

mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        T::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

/// Attempts of an invitation.
pub(super) const ATTEMPTS: u8 = 5;
/// Seconds for which an invitation that is over is still shown.
const INVITATION_KEPT_S: u32 = 7 * 86_400;
