//! `POST /v1/pairings/self/rekey`: a party's next epoch.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::pairing::rekey::{self, Reject};
use sidekey_protocol::pairing::wire::{Rekey, RekeyAnswer};

use crate::app::SharedRng;
use crate::http::auth::Caller;
use crate::http::extract::Json;
use crate::http::problem::Problem;
use crate::store::{Error, NewEpoch, Refused, Store};

/// `POST /v1/pairings/self/rekey`: the next epoch waits, durably, until a token names it; until then everything is wrapped
/// under the one before. An epoch that is over serves this alone.
pub(crate) async fn rekey(
    State(store): State<Arc<Store>>,
    State(mut rng): State<SharedRng>,
    caller: Caller,
    Json(request): Json<Rekey>,
) -> Result<Json<RekeyAnswer>, Problem> {
    let (id, name) = (caller.party(), rekey::fingerprint(&request));
    let epoch = store.epoch(id)?;
    rekey::from(epoch.number, request.from)?;
    named(&caller, &Kek::of(&epoch.root))?;
    if let Some(answer) = store.rekey_repeat(id, &name) {
        return Ok(Json(answer));
    }
    let (epoch, answer) = epoch.renew(&request, store.now(), &mut rng)?;
    let made = store.rekey(id, NewEpoch { epoch, request: name, answer }).await;
    made.map(Json).map_err(refusal)
}

/// The token names the epoch that the party is in: an erased one asks from its own, and is told so.
fn named(caller: &Caller, kek: &Kek) -> Result<(), Reject> {
    match caller.kek {
        Some(used) if used != kek.id => Err(Reject::EpochUnknown),
        _ => Ok(()),
    }
}

fn refusal(error: Error) -> Problem {
    match error {
        Error::Refused(Refused::Ended) => Reject::EpochPassed.into(),
        error => error.into(),
    }
}
