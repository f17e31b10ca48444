//! What a delivery carries, made at the moment of sending: of the newest key, under the receiver's epoch of now.

use rand_core::CryptoRng;
use sidekey_carrier::{Document, Entry, Invitation, Payload};
use sidekey_protocol::delivery::Dead;
use sidekey_protocol::delivery::wire::CarrierKind;
use sidekey_protocol::ids::{InvitationId, PartyId, SessionId};
use sidekey_protocol::pairing::{Kek, PublicUrl};
use sidekey_protocol::session::envelope::{self, cose};

use super::bearer::Bearer;
use crate::fault::Fault;
use crate::session::bindings;
use crate::store::{Claimed, Error, InvitationState, Parcel, Party, Refused, Session, Store};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Made {
    /// This is sent.
    Payload(Payload),
    /// What lies there is taken back.
    Nothing,
    /// There is nothing to be sent any more, or nothing that could be.
    Over(Dead),
}

/// Makes it.
///
/// # Errors
/// A fault of ours: later, perhaps.
pub(super) fn made(
    store: &Store,
    public_url: &PublicUrl,
    bearer: &Bearer,
    claimed: &Claimed,
    rng: &mut impl CryptoRng,
) -> Result<Made, Fault> {
    match claimed.parcel {
        Parcel::Invitation(id) => Ok(invitation(store, public_url, id)),
        Parcel::Session { .. } | Parcel::Document if bearer.kind == CarrierKind::Xdms => {
            document(store, bearer, claimed, rng)
        }
        Parcel::Session { session, pairing } => one(store, session, pairing, rng),
        Parcel::Document => Ok(Made::Over(Dead::Unfit)),
    }
}

fn invitation(store: &Store, public_url: &PublicUrl, id: InvitationId) -> Made {
    match store.invitation(id).map(|invitation| invitation.state) {
        Some(InvitationState::Open | InvitationState::Spent) => {}
        Some(InvitationState::Expired) => return Made::Over(Dead::Expired),
        _ => return Made::Over(Dead::Cancelled),
    }
    Invitation::new(public_url, id)
        .map_or(Made::Over(Dead::Unfit), |words| Made::Payload(Payload::Invitation(words)))
}

fn one(store: &Store, session: SessionId, pairing: PartyId, rng: &mut impl CryptoRng) -> Result<Made, Fault> {
    let Some(kek) = kek(store, pairing)? else { return Ok(Made::Over(Dead::EpochOver)) };
    match bindings(store, pairing, session, None, Session::is_for) {
        Ok((bindings, key)) => {
            let envelope = cose::seal(&kek, &bindings, &key, rng);
            Ok(Made::Payload(Payload::Sealed(envelope.into())))
        }
        Err(error) => over(error),
    }
}

/// The envelopes of all of the user's live sessions for those of their pairings that are reached there.
fn document(
    store: &Store,
    bearer: &Bearer,
    claimed: &Claimed,
    rng: &mut impl CryptoRng,
) -> Result<Made, Fault> {
    let Some(user) = &claimed.user else { return Ok(Made::Over(Dead::Unfit)) };
    let here = |party: &Party| bearer.reaches(party).is_some_and(|to| to == claimed.to);
    let mut receivers = Vec::new();
    for party in store.live_pairings(&claimed.server, user).into_iter().filter(|party| here(party)) {
        receivers.extend(kek(store, party.id)?.map(|kek| (party, kek)));
    }
    let mut entries = Vec::new();
    for session in store.sessions_of(&claimed.server, user) {
        for (party, kek) in receivers.iter().filter(|(party, _)| session.is_for(party)) {
            if entries.len() == Document::ENTRIES_MAX {
                break;
            }
            match bindings(store, party.id, session.id, None, Session::is_for) {
                Ok((bindings, key)) => entries.push(Entry {
                    session: session.id,
                    generation: bindings.generation,
                    envelope: envelope::seal(kek, &bindings, &key, rng),
                }),
                Err(Error::Fault(fault)) => return Err(fault),
                // It ended meanwhile.
                Err(Error::Refused(_)) => {}
            }
        }
    }
    if entries.is_empty() {
        return Ok(Made::Nothing);
    }
    Ok(Document::new(entries)
        .map_or(Made::Over(Dead::Unfit), |document| Made::Payload(Payload::Document(document))))
}

/// The key-encryption key of a pairing's epoch; `None` when that is over, and a rekey comes first.
fn kek(store: &Store, pairing: PartyId) -> Result<Option<Kek>, Fault> {
    match store.epoch(pairing) {
        Ok(epoch) => Ok(epoch.kek(store.now()).ok()),
        Err(Error::Refused(_)) => Ok(None),
        Err(Error::Fault(fault)) => Err(fault),
    }
}

fn over(error: Error) -> Result<Made, Fault> {
    match error {
        Error::Fault(fault) => Err(fault),
        Error::Refused(Refused::Expired) => Ok(Made::Over(Dead::Expired)),
        Error::Refused(_) => Ok(Made::Over(Dead::Cancelled)),
    }
}
