//! What records do to the outbox: those of deliveries, and every other that makes one, or makes one needless.

use sidekey_protocol::delivery::{CarrierName, Leg, Progress};
use sidekey_protocol::ids::{InvitationId, PartyId, SessionId, Timestamp};

use super::State;
use super::apply::Misfit;
use super::outbox::{Entry, What};
use super::sessions::NONE;
use crate::store::record::{Change, Posted, Turn, Whom};

impl State {
    /// A session was opened: each of its live pairings is to hear of it.
    pub(super) fn deliver_session(&mut self, handle: u32, legs: &[Leg], at: Timestamp) -> Result<(), Misfit> {
        if legs.is_empty() {
            return Ok(());
        }
        let slot = self.sessions.get(handle).ok_or(Misfit)?;
        let (session, user, audience, not_after) = (slot.id, slot.user, slot.audience, slot.not_after);
        let state = &self.users[user as usize];
        let (server, name) = (state.server, state.name.clone());
        let pairings: Vec<PartyId> = match audience {
            NONE => self.live(&state.pairings).map(|party| party.id).collect(),
            one => vec![self.parties[one as usize].party.id],
        };
        for pairing in pairings {
            let Some(progress) = Progress::begin(legs.to_vec(), at, not_after) else { continue };
            let what = What::Session { session, pairing };
            let (user, name) = (Some(user), Some(name.clone()));
            self.add_delivery(Entry { what, server, user, name, to: None, progress });
        }
        Ok(())
    }

    /// An invitation was made that is to be sent.
    pub(super) fn deliver_invitation(&mut self, id: InvitationId, at: Timestamp) -> Result<(), Misfit> {
        let (handle, invited) = self.invitation(id).ok_or(Misfit)?;
        let Some(Posted { leg, to }) = invited.deliver.clone() else { return Ok(()) };
        let (name, expires) = (invited.user.clone(), invited.expires);
        let (server, _) = self.server(&invited.server).ok_or(Misfit)?;
        let Some(progress) = Progress::begin(vec![leg], at, expires) else { return Ok(()) };
        let what = What::Invitation(id);
        let number = self.add_delivery(Entry { what, server, user: None, name, to: Some(to), progress });
        self.invited_mut(handle)?.delivery = Some(number);
        Ok(())
    }

    /// A session has a newer key: whoever was to hear of it hears of it again, by the carriers it was opened with.
    pub(super) fn redeliver(&mut self, handle: u32, at: Timestamp) {
        let Some((session, user, not_after)) =
            self.sessions.get(handle).map(|slot| (slot.id, slot.user, slot.not_after))
        else {
            return;
        };
        let to_hear = |what: &What| match what {
            What::Session { session: of, pairing } => {
                *of == session && self.party(*pairing).is_some_and(|(_, state)| state.party.is_live())
            }
            What::Invitation(_) | What::Document => false,
        };
        for number in self.deliveries_of(user, to_hear) {
            self.change_delivery(number, |progress| progress.renewed(at, not_after));
        }
    }

    /// A session is over: nobody needs to hear of it, and documents that hold its key are written without it.
    pub(super) fn undeliver(&mut self, handle: u32, at: Timestamp) {
        let Some((session, user)) = self.sessions.get(handle).map(|slot| (slot.id, slot.user)) else {
            return;
        };
        let over = self.deliveries_of(user, |what| names(what, session));
        self.withdraw(&over, at);
    }

    /// A pairing is over, likewise.
    pub(super) fn undeliver_to(&mut self, pairing: u32, at: Timestamp) {
        let party = &self.parties[pairing as usize].party;
        let id = party.id;
        let Some((_, server, Some(user))) = party.place() else { return };
        let Some((user, _)) = self.user(server, user) else { return };
        let to_it = |what: &What| matches!(what, What::Session { pairing, .. } if *pairing == id);
        let over = self.deliveries_of(user, to_it);
        self.withdraw(&over, at);
    }

    /// An invitation is over: a pairing came of it, or it was revoked.
    pub(super) fn undeliver_invitation(&mut self, id: InvitationId, at: Timestamp) {
        if let Some(number) = self.invitation(id).and_then(|(_, invited)| invited.delivery) {
            self.change_delivery(number, |progress| progress.cancelled(at));
        }
    }

    /// Where a pairing is reached by a carrier from now on. What an XDMS keeps under the old address is taken away.
    pub(super) fn address(
        &mut self,
        pairing: PartyId,
        carrier: &CarrierName,
        to: Option<String>,
        at: Timestamp,
    ) -> Result<(), Misfit> {
        let (handle, _) = self.party(pairing).ok_or(Misfit)?;
        let addresses = &mut self.party_mut(handle).addresses;
        addresses.retain(|known| known.carrier != *carrier);
        addresses.extend(
            to.map(|to| sidekey_protocol::delivery::wire::CarrierAddress { carrier: carrier.clone(), to }),
        );
        addresses.sort_by(|one, other| one.carrier.cmp(&other.carrier));
        let party = &self.parties[handle as usize].party;
        let Some((_, server, Some(user))) = party.place() else { return Ok(()) };
        let Some((user, _)) = self.user(server, user) else { return Ok(()) };
        let to_it = |what: &What| matches!(what, What::Session { pairing: to, .. } if *to == pairing);
        for number in self.deliveries_of(user, to_it) {
            let Some(entry) = self.outbox.get(number) else { continue };
            if entry.progress.leg().carrier == *carrier && entry.progress.leg().keeps {
                let not_after = entry.progress.not_after();
                self.rewrite(number, at);
                self.change_delivery(number, |progress| progress.renewed(at, not_after));
            }
        }
        Ok(())
    }

    /// What became of a delivery. Of one that is over meanwhile: nothing.
    pub(super) fn turn(&mut self, turn: Turn, at: Timestamp) {
        let Turn { delivery, carrier, change } = turn;
        match change {
            Change::Claimed { until, to, counted } => {
                let Some(mut entry) = self.outbox.get(delivery).cloned() else { return };
                let Some(progress) = entry.progress.claimed(at, until) else { return };
                (entry.progress, entry.to) = (progress, Some(to));
                self.put_delivery(delivery, entry);
                for of in counted {
                    let number = self.tallies.add(&carrier, of, at, &mut self.global.next_tally);
                    self.dirty.tally(number);
                }
            }
            Change::Settled { claim, outcome } => {
                self.change_delivery(delivery, |progress| progress.settled(claim, outcome, at));
            }
            Change::GivenUp { why } => {
                self.change_delivery(delivery, |progress| {
                    if progress.is_settled() { progress } else { progress.given_up(why, None, at) }
                });
            }
            Change::Reported { fate } => self.change_delivery(delivery, |progress| progress.reported(fate)),
            Change::Retried => self.change_delivery(delivery, |progress| progress.retried(at)),
            Change::Cancelled => self.change_delivery(delivery, |progress| progress.cancelled(at)),
        }
    }

    /// Forgets deliveries that were settled long ago.
    pub(super) fn sweep_deliveries(&mut self, now: Timestamp) {
        for number in self.outbox.sweep(now) {
            self.dirty.delivery(number);
        }
        for number in self.tallies.sweep(now) {
            self.dirty.tally(number);
        }
    }

    /// Whom a delivery concerns.
    pub(in crate::store) fn delivery_whom(&self, number: u32) -> Option<Whom> {
        let entry = self.outbox.get(number)?;
        let server = self.servers.get(entry.server as usize)?.name.clone();
        let pairing = match entry.what {
            What::Session { pairing, .. } => Some(pairing),
            What::Invitation(_) | What::Document => None,
        };
        Some(Whom { role: None, server, user: entry.name.clone(), pairing })
    }

    fn deliveries_of(&self, user: u32, wanted: impl Fn(&What) -> bool) -> Vec<u32> {
        let is_wanted = |number: &u32| self.outbox.get(*number).is_some_and(|entry| wanted(&entry.what));
        self.outbox.of_user(user).into_iter().filter(is_wanted).collect()
    }

    fn withdraw(&mut self, numbers: &[u32], at: Timestamp) {
        for &number in numbers {
            self.rewrite(number, at);
            self.change_delivery(number, |progress| progress.cancelled(at));
        }
    }

    /// The document that holds what a delivery brought is to be written again, once for however many.
    fn rewrite(&mut self, number: u32, at: Timestamp) {
        let Some(Entry {
            what: What::Session { .. },
            server,
            user: Some(user),
            name,
            to: Some(to),
            progress,
        }) = self.outbox.get(number)
        else {
            return;
        };
        if !progress.leg().keeps {
            return;
        }
        // No key lives longer: then whatever stands there is dead.
        let not_after = at.after_s(sidekey_protocol::session::TTL_MAX_S);
        let same = |number: &u32| {
            self.outbox.get(*number).is_some_and(|entry| {
                entry.what == What::Document
                    && entry.to.as_ref() == Some(to)
                    && entry.progress.leg().carrier == progress.leg().carrier
            })
        };
        match self.outbox.of_user(*user).into_iter().find(same) {
            Some(document) => self.change_delivery(document, |progress| progress.renewed(at, not_after)),
            None => {
                let legs = vec![progress.leg().clone()];
                let Some(progress) = Progress::begin(legs, at, not_after) else { return };
                let (user, name, to) = (Some(*user), name.clone(), Some(to.clone()));
                self.add_delivery(Entry { what: What::Document, server: *server, user, name, to, progress });
            }
        }
    }

    fn add_delivery(&mut self, entry: Entry) -> u32 {
        let number = self.global.next_delivery;
        self.global.next_delivery += 1;
        self.put_delivery(number, entry);
        number
    }

    fn change_delivery(&mut self, number: u32, change: impl FnOnce(Progress) -> Progress) {
        let Some(entry) = self.outbox.get(number).cloned() else { return };
        let progress = change(entry.progress.clone());
        if progress != entry.progress {
            self.put_delivery(number, Entry { progress, ..entry });
        }
    }

    pub(in crate::store) fn put_delivery(&mut self, number: u32, entry: Entry) {
        self.dirty.delivery(number);
        self.outbox.put(number, entry);
    }
}

fn names(what: &What, wanted: SessionId) -> bool {
    matches!(what, What::Session { session, .. } if *session == wanted)
}
