//! Pairings as their administrator, and they themselves, see them.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::pairing::Waiting;
use sidekey_protocol::pairing::registry::{
    Page, Pairing, PairingRefused, PairingRevoked, PairingWaiting, PairingsQuery, Standing,
};

use crate::http::auth::{Caller, Paired};
use crate::http::extract::{Json, Path};
use crate::http::list::{Listed, list};
use crate::http::problem::{Code, Problem};
use crate::store::{Filter, Party, Refusal, Revocation, Store};

/// `GET /v1/pairings`: an administrator sees all, a party those it has to do with.
pub(crate) async fn pairings(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Listed { page, filter }: Listed<PairingsQuery>,
) -> Result<Json<Page<Pairing>>, Problem> {
    caller.epoch()?;
    let PairingsQuery { mut server, mut user, role, state, created_after } = filter;
    if let Some((own, at, of)) = caller.party.place() {
        // Among others there is nothing to look for.
        server = server.or_else(|| Some(at.clone()));
        user = user.or_else(|| of.filter(|_| own == Role::Client).cloned());
    }
    let filter = Filter { server, user, role, state, created_after };
    let seen = |party: Arc<Party>| may_see(&caller, &party).then(|| seen_by(&caller, &party)).flatten();
    Ok(Json(list(store.pairings(page, &filter), seen)))
}

/// `GET /v1/pairings/{id}`: an administrator sees every one, a party those it has to do with; what it has not is not
/// there.
pub(crate) async fn shown(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(id): Path<PartyId>,
) -> Result<Json<Pairing>, Problem> {
    caller.epoch()?;
    let party = store.party(id).filter(|party| may_see(&caller, party));
    party.and_then(|party| seen_by(&caller, &party)).map(Json).ok_or_else(|| Code::NotFound.into())
}

fn seen_by(caller: &Caller, party: &Party) -> Option<Pairing> {
    if caller.party.place().is_none() { seen_by_admin(party) } else { pairing(party) }
}

/// With its addresses, which a party itself has nothing to do with.
pub(crate) fn seen_by_admin(party: &Party) -> Option<Pairing> {
    pairing(party).map(|seen| Pairing { addresses: party.addresses.clone(), ..seen })
}

/// A server sees the pairings at it, a client those of its own user there.
fn may_see(caller: &Caller, party: &Party) -> bool {
    let Some((role, server, user)) = caller.party.place() else { return true };
    party.place().is_some_and(|(_, at, of)| at == server && (role == Role::Server || of == user))
}

/// `GET /v1/pairings/self`.
pub(crate) async fn own(caller: Paired) -> Result<Json<Pairing>, Problem> {
    pairing(&caller.party).map(Json).ok_or_else(|| Code::Internal.into())
}

/// `None` for an administrator, who is no pairing.
pub(super) fn pairing(party: &Party) -> Option<Pairing> {
    let (role, server, user) = party.place()?;
    let revoked = party.revoked.clone().map(|Revocation { at, reason }| PairingRevoked { at, reason });
    let standing = party.standing();
    Some(Pairing {
        pairing: party.id,
        role,
        server: server.clone(),
        user: user.cloned(),
        label: party.label.parse().ok()?,
        state: standing,
        created: party.created,
        last_seen: party.last_seen(),
        epoch: party.epoch,
        addresses: Vec::new(),
        revoked,
        refused: party.refused.clone().map(|Refusal { at, reason }| PairingRefused { at, reason }),
        waiting: party.waiting.as_ref().filter(|_| standing == Standing::Confirmed).map(waiting),
    })
}

fn waiting(waiting: &Waiting) -> PairingWaiting {
    PairingWaiting { needs: waiting.needs(), approval: waiting.approval(), until: waiting.until() }
}
