//! What an administrator sees of deliveries.

use sidekey_protocol::delivery::wire::{DeliveryKind, DeliverySeen, DeliveryState};
use sidekey_protocol::delivery::{CarrierName, State as Standing};
use sidekey_protocol::ids::{PartyId, ServerName, Timestamp, UserName};

use super::super::state::State;
use super::super::state::outbox::{Entry, What};

/// Which deliveries are wanted: all that are unset are wanted.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// That stand so.
    pub state: Option<DeliveryState>,
    /// That this carrier has.
    pub carrier: Option<CarrierName>,
    /// At this server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// For this pairing.
    pub pairing: Option<PartyId>,
    /// Made later than this.
    pub created_after: Option<Timestamp>,
}

impl DeliveryFilter {
    pub(super) fn wants(&self, seen: &DeliverySeen) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        fits(self.state.as_ref(), Some(&seen.state))
            && fits(self.carrier.as_ref(), Some(&seen.carrier))
            && fits(self.server.as_ref(), seen.server.as_ref())
            && fits(self.user.as_ref(), seen.user.as_ref())
            && fits(self.pairing.as_ref(), seen.pairing.as_ref())
            && self.created_after.is_none_or(|after| seen.created > after)
    }
}

impl State {
    pub(super) fn delivery_seen(&self, number: u32) -> Option<DeliverySeen> {
        let Entry { what, server, name, to, progress, .. } = self.outbox.get(number)?;
        let (kind, session, pairing, invitation) = match *what {
            What::Session { session, pairing } => (DeliveryKind::Session, Some(session), Some(pairing), None),
            What::Invitation(id) => (DeliveryKind::Invitation, None, None, Some(id)),
            What::Document => (DeliveryKind::Document, None, None, None),
        };
        let mut seen = DeliverySeen {
            delivery: number,
            kind,
            server: self.servers.get(*server as usize).map(|server| server.name.clone()),
            user: name.clone(),
            pairing,
            session,
            invitation,
            carriers: progress.legs().iter().map(|leg| leg.carrier.clone()).collect(),
            carrier: progress.leg().carrier.clone(),
            to: to.clone(),
            state: DeliveryState::Queued,
            attempts: progress.attempts(),
            created: progress.created(),
            not_after: progress.not_after(),
            next: None,
            settled: None,
            reason: None,
            detail: None,
            receipts: Vec::new(),
            fate: None,
        };
        match progress.state().clone() {
            Standing::Queued { at, trouble } => (seen.next, seen.detail) = (Some(at), trouble),
            Standing::Claimed { .. } => seen.state = DeliveryState::Sending,
            Standing::Sent { at, receipts, fate } => {
                (seen.state, seen.settled) = (DeliveryState::Sent, Some(at));
                (seen.receipts, seen.fate) = (receipts, fate);
            }
            Standing::Dead { at, why, detail } => {
                (seen.state, seen.settled) = (DeliveryState::Dead, Some(at));
                (seen.reason, seen.detail) = (Some(why), detail);
            }
        }
        Some(seen)
    }
}
