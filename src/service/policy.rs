//! `GET /v1/policy`: what clients must insist on.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header::ETAG;
use http::{HeaderMap, StatusCode};
use sidekey_protocol::policy::{self, PolicyAnswer, key_id};
use sidekey_protocol::session::wire::UserQuery;

use crate::http::auth::Paired;
use crate::http::described::As;
use crate::http::etag::{self, Tagged};
use crate::http::extract::{Json, Query};
use crate::http::problem::{Code, Problem};
use crate::store::Store;

/// `GET /v1/policy`: a client's own; that of the user whom a server names. Not said again to whoever has it.
pub(crate) async fn policy(
    State(store): State<Arc<Store>>,
    caller: Paired,
    Query(query): Query<UserQuery>,
    headers: HeaderMap,
) -> Result<As<Tagged<PolicyAnswer>>, Problem> {
    let user = caller.about(query.user)?;
    if store.live_pairings(&caller.server, &user).is_empty() {
        return Err(Code::NotFound.into());
    }
    let signer = store.signer()?;
    let policy = store.policy(&caller.server, &user);
    let tag = etag::tag(&policy::tag(&policy.hash(), &key_id(&signer.public)));
    if etag::is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response().into());
    }
    Ok(([(ETAG, tag)], Json(PolicyAnswer { policy: policy.sign(&signer.key) })).into_response().into())
}
