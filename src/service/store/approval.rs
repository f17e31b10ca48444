//! A pairing's approval: each word is one record, and what it comes to follows from all of them.

use std::sync::Arc;

use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::pairing::{Approval, Digits, Reject, Waiting};
use sidekey_protocol::revocation::Reason;

use super::engine::{About, Answer, Desk, Verdict};
use super::record::{Record, Word};
use super::state::State;
use super::view::Party;
use super::{Error, Refused, Store};

impl Store {
    /// Approves a pairing, if these are the digits that its device shows. A mistake is kept: the fifth refuses the pairing.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such pairing, or none of the user whose device asks. [`Refused::Pairing`]: it does not wait
    /// to be approved, not by a device, or the digits are others. [`Refused::Lapsed`], [`Refused::Revoked`] …: who asks is.
    pub async fn approve(&self, by: PartyId, pairing: PartyId, digits: Digits) -> Result<Arc<Party>, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let party = permitted(state, by, pairing)?;
            let waiting = waiting(party, desk.now)?;
            let (word, told) = match waiting.compare(&party.key, digits) {
                Ok(true) => return Ok(Verdict::Already(Ok(party.clone()))),
                // It does not wait for this word any more.
                Err(mistake) if waiting.is_approved() => return Err(Refused::Pairing(mistake).into()),
                Ok(false) => (Word::Approved, None),
                Err(mistake) => (Word::Mistaken, Some(mistake)),
            };
            let seen = seen(pairing);
            let answer: Answer<_> = Box::new(move |state| match told {
                None => Ok(seen(state)),
                Some(mistake) => Err(mistake),
            });
            Ok(Verdict::Commit(Record::Approval { pairing, word }, answer))
        };
        let told = self.engine.commit(About::one(pairing), Some(by), decide).await?;
        told.map_err(|mistake| Refused::Pairing(mistake).into())
    }

    /// Refuses a pairing that waits to be approved, for good. Does nothing the second time.
    ///
    /// # Errors
    /// As [`Store::approve`].
    pub async fn refuse(
        &self,
        by: PartyId,
        pairing: PartyId,
        reason: Option<Reason>,
    ) -> Result<Arc<Party>, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let party = permitted(state, by, pairing)?;
            if party.standing() == Standing::Refused {
                return Ok(Verdict::Already(party.clone()));
            }
            if !waiting(party, desk.now)?.is_confirmed() {
                return Err(Refused::Pairing(Reject::ApprovalOver).into());
            }
            let word = Word::Refused { reason };
            Ok(Verdict::Commit(Record::Approval { pairing, word }, Box::new(seen(pairing))))
        };
        self.engine.commit(About::one(pairing), Some(by), decide).await
    }

    /// Notes that a pairing's user says that the enterprise took their digits. Does nothing the second time, nor where
    /// nobody needs to say so.
    ///
    /// # Errors
    /// [`Refused::Absent`]; [`Refused::Declined`], [`Refused::Lapsed`], [`Refused::Revoked`].
    pub async fn match_digits(&self, pairing: PartyId) -> Result<Arc<Party>, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let party = found(state, pairing)?;
            party.still_standing()?;
            match &party.waiting {
                Some(waiting) if waiting.is_over(desk.now) => Err(Refused::Lapsed.into()),
                Some(waiting) if !waiting.is_matched() => {
                    let record = Record::Approval { pairing, word: Word::Matched };
                    Ok(Verdict::Commit(record, Box::new(seen(pairing))))
                }
                _ => Ok(Verdict::Already(party.clone())),
            }
        };
        self.engine.commit(About::one(pairing), Some(pairing), decide).await
    }
}

/// A pairing; an administrator is none.
fn found(state: &State, pairing: PartyId) -> Result<&Arc<Party>, Refused> {
    let (_, found) = state.party(pairing).ok_or(Refused::Absent)?;
    found.party.place().map(|_| &found.party).ok_or(Refused::Absent)
}

/// A pairing that `by` may approve and refuse: any, for an administrator; for a device those of its own user that wait for
/// a device's word.
fn permitted(state: &State, by: PartyId, pairing: PartyId) -> Result<&Arc<Party>, Refused> {
    let party = found(state, pairing)?;
    let (_, asking) = state.party(by).ok_or(Refused::Absent)?;
    let Some(place) = asking.party.place() else { return Ok(party) };
    asking.party.still_live()?;
    if party.place() != Some(place) {
        return Err(Refused::Absent);
    }
    match &party.waiting {
        Some(waiting) if waiting.approval() == Approval::Device => Ok(party),
        _ => Err(Refused::Pairing(Reject::ApprovalForeign)),
    }
}

/// The approval of a pairing that is not over.
fn waiting(party: &Party, now: Timestamp) -> Result<&Waiting, Refused> {
    let waiting = party.waiting.as_ref().filter(|waiting| !party.is_over() && !waiting.is_over(now));
    waiting.ok_or(Refused::Pairing(Reject::ApprovalOver))
}

fn seen(pairing: PartyId) -> impl FnOnce(&State) -> Arc<Party> {
    move |state| state.party(pairing).map(|(_, state)| state.party.clone()).expect("it was there")
}

impl Party {
    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self { revoked: Some(_), .. } => Standing::Revoked,
            Self { refused: Some(_), .. } => Standing::Refused,
            Self { lapsed: Some(_), .. } => Standing::Lapsed,
            Self { waiting: Some(waiting), .. } if waiting.is_confirmed() => Standing::Confirmed,
            _ => Standing::Active,
        }
    }

    /// Whether it may act.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.standing() == Standing::Active
    }

    /// Whether it will never act (again).
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self.standing(), Standing::Active | Standing::Confirmed)
    }

    /// That it may act.
    ///
    /// # Errors
    /// As [`Party::still_standing`]; [`Refused::Pairing`]: it waits to be approved.
    pub fn still_live(&self) -> Result<(), Refused> {
        self.still_standing()?;
        self.waiting.as_ref().map_or(Ok(()), Waiting::active).map_err(Refused::Pairing)
    }

    /// That it is not over, whether it may act already or waits to be approved.
    ///
    /// # Errors
    /// [`Refused::Declined`], [`Refused::Lapsed`], [`Refused::Revoked`].
    pub fn still_standing(&self) -> Result<(), Refused> {
        match (&self.revoked, &self.refused, self.lapsed) {
            (Some(revocation), ..) => Err(Refused::Revoked(revocation.clone())),
            (None, Some(refusal), _) => Err(Refused::Declined(refusal.clone())),
            (None, None, Some(_)) => Err(Refused::Lapsed),
            (None, None, None) => Ok(()),
        }
    }
}
