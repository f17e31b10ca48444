//! `/v1/keys`: whose signature counts, and how another key takes over.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::keys::OVERLAP_MAX_S;
use sidekey_protocol::keys::wire::{KeysAnswer, Rotate, RotateQuery, Rotated};

use crate::app::KeyOverlap;
use crate::http::auth::Caller;
use crate::http::etag::{IfNoneMatch, Tagged};
use crate::http::extract::{Json, Query};
use crate::http::problem::{Code, FieldFault, Problem};
use crate::store::{Error, KeysRotated, Refused, Store};

/// `GET /v1/keys`: the service's signing keys, and the statements by which each vouches for the next.
pub(crate) async fn keys(State(store): State<Arc<Store>>, unless: IfNoneMatch) -> Tagged<KeysAnswer> {
    Tagged { value: store.keys(), unless }
}

/// `POST /v1/keys/rotate`: a fresh key signs from now on. With `dry_run` the same is decided and answered, and nothing
/// changes.
pub(crate) async fn rotate(
    State(store): State<Arc<Store>>,
    State(KeyOverlap(usual_s)): State<KeyOverlap>,
    caller: Caller,
    Query(RotateQuery { dry_run }): Query<RotateQuery>,
    Json(Rotate { from, overlap }): Json<Rotate>,
) -> Result<Json<Rotated>, Problem> {
    let overlap_s = overlap.unwrap_or(usual_s);
    if overlap_s > OVERLAP_MAX_S {
        return Err(Problem::field(Code::TtlOutOfRange, "overlap", FieldFault::Invalid));
    }
    let rotated = if dry_run {
        store.would_rotate_key(&from, overlap_s)
    } else {
        store.rotate_key(caller.party(), from, overlap_s).await
    };
    let KeysRotated { active, previous, invitations_cut } = rotated.map_err(refusal)?;
    Ok(Json(Rotated { dry_run, active, previous, invitations_cut: invitations_cut.into() }))
}

fn refusal(error: Error) -> Problem {
    match error {
        Error::Refused(Refused::Stale) => Code::KeyReplaced.into(),
        error => error.into(),
    }
}
