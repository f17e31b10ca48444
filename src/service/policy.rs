//! `GET /v1/policy` and `GET /v1/keys`: what clients must insist on, and whose signature says so.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::encoding::Bytes;
use sidekey_protocol::ids::{ServerName, UserName};
use sidekey_protocol::policy::{KeysAnswer, Policy, PolicyAnswer, ServiceKey, ServiceKeyState, key_id};
use sidekey_protocol::session::wire::UserQuery;

use crate::http::auth::Paired;
use crate::http::extract::{Json, Query};
use crate::http::problem::{Code, Problem};
use crate::store::{Identity, Store};

/// `GET /v1/policy`: a client's own; that of the user whom a server names.
pub(crate) async fn policy(
    State(store): State<Arc<Store>>,
    caller: Paired,
    Query(query): Query<UserQuery>,
) -> Result<Json<PolicyAnswer>, Problem> {
    let user = caller.about(query.user)?;
    if store.live_pairings(&caller.server, &user).is_empty() {
        return Err(Code::NotFound.into());
    }
    let identity = store.identity();
    let policy = of(identity, &caller.server, &user).sign(&identity.key);
    Ok(Json(PolicyAnswer { policy }))
}

/// `GET /v1/keys`: the service's signing keys, by which a policy is verified.
pub(crate) async fn keys(State(store): State<Arc<Store>>) -> Json<KeysAnswer> {
    let identity = store.identity();
    let key = identity.key.verifying_key();
    let state = ServiceKeyState::Active;
    let active = ServiceKey { kid: key_id(&key), spki: Bytes(key.spki().to_vec()), state };
    Json(KeysAnswer { service: identity.service, keys: vec![active] })
}

/// What holds for a user at a server.
pub(crate) fn of(identity: &Identity, server: &ServerName, user: &UserName) -> Policy {
    Policy::built_in(identity.service, server.clone(), user.clone())
}
