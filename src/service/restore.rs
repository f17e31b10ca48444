//! `/v1/restore`: a service that was restored from an older copy, and that answers nothing else until that is accepted.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::HeaderMap;
use http::header::ETAG;
use sidekey_protocol::revocation::restore::{
    Accept, AcceptQuery, Accepted, REPORTED_MAX, Reported, Reports, RestoreStatus,
};

use crate::http::auth::Caller;
use crate::http::described::As;
use crate::http::etag;
use crate::http::extract::{Json, Query};
use crate::http::problem::{Code, FieldFault, Problem};
use crate::store::{Error, Refused, Store};

/// `GET /v1/restore`: how it stands.
pub(crate) async fn status(State(store): State<Arc<Store>>) -> As<Json<RestoreStatus>> {
    let status = store.restore_status();
    ([(ETAG, etag::tag(&status.tag()))], Json(status)).into_response().into()
}

/// `POST /v1/restore/reports`: a party says which revocations it was told of.
pub(crate) async fn report(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Json(Reports { revocations }): Json<Reports>,
) -> Result<Json<Reported>, Problem> {
    if revocations.len() > REPORTED_MAX {
        return Err(Problem::field(Code::BodyInvalid, "revocations", FieldFault::Invalid));
    }
    let taken = store.report(caller.party(), revocations).await;
    let taken = taken.map_err(|error| refusal(error, Code::NotRolledBack))?;
    Ok(Json(Reported { taken: taken as u64 }))
}

/// `POST /v1/restore/accept`: the service goes on from here. With `dry_run` the same is decided and answered, and nothing
/// changes.
pub(crate) async fn accept(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Query(AcceptQuery { dry_run }): Query<AcceptQuery>,
    headers: HeaderMap,
    Json(accept): Json<Accept>,
) -> Result<Json<Accepted>, Problem> {
    let status = store.restore_status();
    let Some(shown) = status.shown else {
        // Known, and not recorded: the journal cannot be written.
        return Err(if status.rolled_back { Code::StoreUnavailable } else { Code::NotRolledBack }.into());
    };
    let accepted = if dry_run {
        store.would_accept(accept).await
    } else {
        etag::is_meant(&headers, &etag::tag(&status.tag()))?;
        store.accept(caller.party(), accept, (shown.revocations, status.reports.len())).await
    };
    accepted.map(Json).map_err(|error| refusal(error, Code::PreconditionFailed))
}

/// `stale` is what it means that things are not as they were seen.
fn refusal(error: Error, stale: Code) -> Problem {
    match error {
        Error::Refused(Refused::Stale) => stale.into(),
        Error::Refused(Refused::Missing(count)) => {
            Problem::because_of(Code::RevocationsMissing, format!("at least {count} revocations"))
        }
        error => error.into(),
    }
}
