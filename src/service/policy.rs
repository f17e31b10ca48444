//! `GET /v1/policy` and `GET /v1/keys`: what clients must insist on, and whose signature says so.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header::ETAG;
use http::{HeaderMap, StatusCode};
use sidekey_protocol::encoding::Bytes;
use sidekey_protocol::policy::{self, KeysAnswer, PolicyAnswer, ServiceKey, ServiceKeyState, key_id};
use sidekey_protocol::session::wire::UserQuery;

use crate::http::auth::Paired;
use crate::http::described::As;
use crate::http::etag::{self, IfNoneMatch, Tagged};
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
    let identity = store.identity();
    let policy = store.policy(&caller.server, &user);
    let tag = etag::tag(&policy::tag(&policy.hash(), &identity.key.verifying_key()));
    if etag::is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response().into());
    }
    Ok(([(ETAG, tag)], Json(PolicyAnswer { policy: policy.sign(&identity.key) })).into_response().into())
}

/// `GET /v1/keys`: the service's signing keys, by which a policy is verified.
pub(crate) async fn keys(State(store): State<Arc<Store>>, unless: IfNoneMatch) -> Tagged<KeysAnswer> {
    let identity = store.identity();
    let key = identity.key.verifying_key();
    let state = ServiceKeyState::Active;
    let active = ServiceKey { kid: key_id(&key), spki: Bytes(key.spki().to_vec()), state };
    Tagged { value: KeysAnswer { service: identity.service, keys: vec![active] }, unless }
}
