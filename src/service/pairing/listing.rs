//! Pairings as their administrator, and they themselves, see them.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::pairing::registry::{Page, Pairing, PairingRevoked, PairingsQuery};

use crate::http::auth::Paired;
use crate::http::extract::{Json, Query};
use crate::http::list::{list, page};
use crate::http::problem::{Code, Problem};
use crate::store::{Filter, Party, Revocation, Store};

/// `GET /v1/pairings`.
pub(crate) async fn pairings(
    State(store): State<Arc<Store>>,
    Query(query): Query<PairingsQuery>,
) -> Result<Json<Page<Pairing>>, Problem> {
    let page = page(query.page_size, query.page_token.as_deref())?;
    let filter = Filter { server: query.server, user: query.user, role: query.role, state: query.state };
    Ok(Json(list(store.pairings(page, &filter), |party| pairing(&party))))
}

/// `GET /v1/pairings/self`.
pub(crate) async fn own(caller: Paired) -> Result<Json<Pairing>, Problem> {
    pairing(&caller.party).map(Json).ok_or_else(|| Code::Internal.into())
}

/// `None` for an administrator, who is no pairing.
fn pairing(party: &Party) -> Option<Pairing> {
    let (role, server, user) = party.place()?;
    let revoked = party.revoked.clone().map(|Revocation { at, reason }| PairingRevoked { at, reason });
    Some(Pairing {
        pairing: party.id,
        role,
        server: server.clone(),
        user: user.cloned(),
        label: party.label.parse().ok()?,
        state: party.standing(),
        created: party.created,
        last_seen: party.last_seen(),
        epoch: party.epoch,
        revoked,
    })
}
