//! A pairing that waits: approved or refused by whoever may, matched by its own user.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::pairing::registry::{Approve, Pairing, Refuse};

use super::listing::pairing;
use crate::http::auth::{Caller, Paired};
use crate::http::extract::{Json, JsonOrNothing, Path};
use crate::http::problem::{Code, Problem};
use crate::store::{Party, Store};

/// `POST /v1/pairings/{pairing}/approve`: compares what the approver was told with what the device shows.
pub(crate) async fn approve(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(id): Path<PartyId>,
    Json(request): Json<Approve>,
) -> Result<Json<Pairing>, Problem> {
    caller.epoch()?;
    seen(&*store.approve(caller.party(), id, request.digits).await?)
}

/// `POST /v1/pairings/{pairing}/refuse`.
pub(crate) async fn refuse(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(id): Path<PartyId>,
    JsonOrNothing(request): JsonOrNothing<Refuse>,
) -> Result<Json<Pairing>, Problem> {
    caller.epoch()?;
    seen(&*store.refuse(caller.party(), id, request.reason).await?)
}

/// `POST /v1/pairings/self/match`: the word of whoever holds the device.
pub(crate) async fn match_digits(
    State(store): State<Arc<Store>>,
    caller: Paired,
) -> Result<Json<Pairing>, Problem> {
    seen(&*store.match_digits(caller.party.id).await?)
}

fn seen(party: &Party) -> Result<Json<Pairing>, Problem> {
    pairing(party).map(Json).ok_or_else(|| Code::Internal.into())
}
