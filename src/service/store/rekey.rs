//! A pairing's epochs: the next one waits beside the current one until it is first used, and takes its place then.

use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::pairing::rekey::{Epoch, is_lapsed};
use sidekey_protocol::pairing::wire::RekeyAnswer;

use super::engine::{About, Desk, Verdict};
use super::record::{self, Record, Rekeyed};
use super::state::{PartyState, State};
use super::view::Party;
use super::{Error, Refused, Store};

/// An epoch that was just agreed on, and for whom.
#[derive(Debug)]
pub struct NewEpoch {
    /// The epoch.
    pub epoch: Epoch,
    /// Names the request, for its repeat.
    pub request: [u8; 32],
    /// The answer, for its repeat.
    pub answer: RekeyAnswer,
}

impl Store {
    /// The epoch that a live pairing is in: everything is wrapped under what derives from its root.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::Lapsed`], [`Refused::Revoked`]; [`crate::fault::Fault::Unsealable`].
    pub fn epoch(&self, pairing: PartyId) -> Result<Epoch, Error> {
        let (sealed, number, not_after) = {
            let state = self.shared.read();
            let (_, PartyState { party, root, .. }) = state.party(pairing).ok_or(Refused::Absent)?;
            party.still_live()?;
            (root.clone().ok_or(Refused::Absent)?, party.epoch, party.epoch_not_after)
        };
        let place = record::Secret::Pairing(pairing, number).place();
        Ok(Epoch { number, root: self.shared.at_rest.open_secret(place, &sealed)?, not_after })
    }

    /// The answer to the rekey of this name, while the epoch that it made waits for its first use.
    #[must_use]
    pub fn rekey_repeat(&self, pairing: PartyId, request: &[u8; 32]) -> Option<RekeyAnswer> {
        let state = self.shared.read();
        let (_, found) = state.party(pairing)?;
        found.repeat(request)
    }

    /// Keeps a pairing's next epoch, in place of one that waited. Of two that are asked for at once by the same request,
    /// the first stays, and its answer is both's.
    ///
    /// # Errors
    /// [`Refused::Absent`]; [`Refused::Ended`]: the epoch that it comes from was replaced meanwhile; [`Refused::Lapsed`],
    /// [`Refused::Revoked`].
    pub async fn rekey(&self, pairing: PartyId, new: NewEpoch) -> Result<RekeyAnswer, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (_, found) = state.party(pairing).ok_or(Refused::Absent)?;
            found.party.still_live()?;
            if found.party.epoch.checked_add(1) != Some(new.epoch.number) {
                return Err(Refused::Ended.into());
            }
            if let Some(answer) = found.repeat(&new.request) {
                return Ok(Verdict::Already(answer));
            }
            let NewEpoch { epoch: Epoch { number: epoch, root, .. }, request, answer } = new;
            let rekeyed = Rekeyed {
                pairing,
                epoch,
                root: desk.seal(record::Secret::Pairing(pairing, epoch).place(), root.expose()),
                kek: Octets(Kek::of(&root).id),
                request: Octets(request),
                answer: answer.clone(),
            };
            Ok(Verdict::Commit(Record::Rekeyed(Box::new(rekeyed)), Box::new(move |_| answer)))
        };
        self.engine.commit(About::one(pairing), Some(pairing), decide).await
    }

    /// Notes that a pairing's next epoch was used, by the name of its key-encryption key: the one before is erased. Does
    /// nothing the second time.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such pairing, or it has no such epoch (any more); [`Refused::Lapsed`],
    /// [`Refused::Revoked`].
    pub async fn use_epoch(&self, pairing: PartyId, kek: [u8; 8]) -> Result<(), Error> {
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let (_, PartyState { party, .. }) = state.party(pairing).ok_or(Refused::Absent)?;
            party.still_live()?;
            if party.kek == kek {
                return Ok(Verdict::Already(()));
            }
            if party.next_kek != Some(kek) {
                return Err(Refused::Absent.into());
            }
            let record = Record::EpochUsed { pairing, epoch: party.epoch + 1 };
            Ok(Verdict::Commit(record, Box::new(|_| ())))
        };
        self.engine.commit(About::one(pairing), Some(pairing), decide).await
    }

    /// Records that nobody has used this pairing for too long, if that is so, and says whether it has lapsed. The service
    /// looks for such pairings by itself now and then; this is for one that comes back before it was found.
    ///
    /// # Errors
    /// [`Refused::Absent`].
    pub async fn lapse(&self, pairing: PartyId) -> Result<bool, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (_, PartyState { party, .. }) = state.party(pairing).ok_or(Refused::Absent)?;
            if !party.is_idle(desk.now) {
                return Ok(Verdict::Already(party.lapsed.is_some()));
            }
            Ok(Verdict::Commit(Record::Lapsed { pairings: vec![pairing] }, Box::new(|_| true)))
        };
        self.engine.commit(About::one(pairing), None, decide).await
    }
}

/// Records a bounded number of pairings that nobody has used for too long, and says whether there may be more.
pub(super) fn lapse_some(state: &State, desk: &mut Desk<'_>) -> Result<Verdict<bool>, Error> {
    let idle = |state: &&PartyState| state.party.is_idle(desk.now);
    let idle = state.parties.iter().filter(idle).take(LAPSED_COUNT);
    let pairings: Vec<PartyId> = idle.map(|state| state.party.id).collect();
    match pairings.len() {
        0 => Ok(Verdict::Already(false)),
        _ => Ok(Verdict::Commit(Record::Lapsed { pairings }, Box::new(|_| true))),
    }
}

impl Party {
    /// Whether it is a pairing that could act, and has not for too long; or one that was not approved in time. What a record tells counts as much as when it was
    /// last seen, which a state that is rebuilt from the journal does not know.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        if self.waiting.as_ref().is_some_and(|waiting| waiting.is_over(now)) {
            return !self.is_over();
        }
        let heard = self.last_seen().map_or(self.recorded, |seen| seen.max(self.recorded));
        self.is_live() && self.place().is_some() && is_lapsed(heard, now)
    }
}

/// Pairings that one record lets lapse.
const LAPSED_COUNT: usize = 256;
