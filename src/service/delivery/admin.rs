//! What an administrator does with deliveries, addresses and carriers.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::delivery::wire::{CarrierSeen, Carriers, DeliveriesQuery, DeliverySeen, SetAddress};
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::pairing::registry::{Page, Pairing};

use super::Outbox;
use super::bearer::needs_somebody;
use crate::http::auth::Caller;
use crate::http::extract::{Json, Path};
use crate::http::list::{Listed, list};
use crate::http::problem::{Code, Problem};
use crate::pairing::seen_by_admin;
use crate::store::{DeliveryFilter, Error, Refused, Store};

/// `GET /v1/deliveries`.
pub(crate) async fn deliveries(
    State(store): State<Arc<Store>>,
    Listed { page, filter: query }: Listed<DeliveriesQuery>,
) -> Json<Page<DeliverySeen>> {
    let DeliveriesQuery { state, carrier, server, user, pairing, created_after } = query;
    let filter = DeliveryFilter { state, carrier, server, user, pairing, created_after };
    Json(list(store.deliveries(page, &filter), Some))
}

/// `GET /v1/deliveries/{delivery}`.
pub(crate) async fn delivery(
    State(store): State<Arc<Store>>,
    Path(number): Path<u32>,
) -> Result<Json<DeliverySeen>, Problem> {
    store.delivery(number).map(Json).ok_or_else(|| Code::NotFound.into())
}

/// `POST /v1/deliveries/{delivery}/retry`.
pub(crate) async fn retry(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(number): Path<u32>,
) -> Result<Json<DeliverySeen>, Problem> {
    store.retry_delivery(caller.party(), number).await.map(Json).map_err(refusal)
}

/// `POST /v1/deliveries/{delivery}/cancel`.
pub(crate) async fn cancel(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(number): Path<u32>,
) -> Result<Json<DeliverySeen>, Problem> {
    store.cancel_delivery(caller.party(), number).await.map(Json).map_err(refusal)
}

/// `GET /v1/carriers`.
pub(crate) async fn carriers(State(outbox): State<Arc<Outbox>>) -> Json<Carriers> {
    let now = outbox.store.now();
    let seen = outbox.bearers.values().map(|bearer| {
        let (pending, oldest) = outbox.store.pending_deliveries(&bearer.name);
        let (paused_until, trouble) = bearer.paused(now);
        CarrierSeen {
            carrier: bearer.name.clone(),
            kind: bearer.kind,
            domain: bearer.domain.clone(),
            pending: pending as u64,
            oldest,
            paused_until,
            trouble: trouble.map(|trouble| trouble.to_string()),
            needs_you: trouble.is_some_and(needs_somebody),
        }
    });
    Json(Carriers { items: seen.collect() })
}

/// `PUT /v1/pairings/{pairing}/addresses/{carrier}`.
pub(crate) async fn set_address(
    State(outbox): State<Arc<Outbox>>,
    caller: Caller,
    Path((pairing, carrier)): Path<(PartyId, CarrierName)>,
    Json(SetAddress { to }): Json<SetAddress>,
) -> Result<Json<Pairing>, Problem> {
    let bearer = outbox.bearers.get(&carrier).ok_or(Code::CarrierUnknown)?;
    bearer.address(&to).ok_or(Code::AddressInvalid)?;
    changed(&outbox, &caller, pairing, carrier, Some(to)).await
}

/// `DELETE /v1/pairings/{pairing}/addresses/{carrier}`: also of a carrier that is configured no more.
pub(crate) async fn clear_address(
    State(outbox): State<Arc<Outbox>>,
    caller: Caller,
    Path((pairing, carrier)): Path<(PartyId, CarrierName)>,
) -> Result<Json<Pairing>, Problem> {
    changed(&outbox, &caller, pairing, carrier, None).await
}

async fn changed(
    outbox: &Outbox,
    caller: &Caller,
    pairing: PartyId,
    carrier: CarrierName,
    to: Option<String>,
) -> Result<Json<Pairing>, Problem> {
    let party = outbox.store.set_address(caller.party(), pairing, carrier, to).await?;
    seen_by_admin(&party).map(Json).ok_or_else(|| Code::NotFound.into())
}

fn refusal(error: Error) -> Problem {
    match error {
        Error::Refused(Refused::Ended | Refused::Expired) => Code::DeliveryOver.into(),
        error => error.into(),
    }
}
