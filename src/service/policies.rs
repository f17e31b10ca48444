//! `/v1/policies`: what the enterprise sets, for the service, a server or a user.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::HeaderMap;
use http::header::{ETAG, IF_MATCH};
use sidekey_protocol::ids::{ServerName, UserName};
use sidekey_protocol::pairing::registry::Page;
use sidekey_protocol::policy::setting::{Asked, Setting};
use sidekey_protocol::policy::wire::{
    ChangeQuery, PoliciesQuery, PolicyChange, PolicyRow, PolicyView, Whose,
};

use crate::http::auth::Caller;
use crate::http::described::As;
use crate::http::etag;
use crate::http::extract::{Json, Path, Query};
use crate::http::list::{Listed, list};
use crate::http::problem::{Code, Problem};
use crate::store::{Error, Refused, Store};

/// `GET /v1/policies`: the levels at which something is set.
pub(crate) async fn policies(
    State(store): State<Arc<Store>>,
    Listed { page, filter }: Listed<PoliciesQuery>,
) -> Json<Page<PolicyRow>> {
    Json(list(store.policies(page, &filter), Some))
}

macro_rules! of_level {
    ($show:ident, $set:ident, $unset:ident, $path:pat => $whose:expr, $type:ty) => {
        /// `GET`: what is set here, and what holds.
        pub(crate) async fn $show(
            State(store): State<Arc<Store>>,
            Path($path): Path<$type>,
        ) -> Result<As<Json<PolicyView>>, Problem> {
            Ok(shown(store.policy_view(&$whose, None).map_err(refusal)?))
        }

        /// `PUT`: sets it, whole.
        pub(crate) async fn $set(
            State(store): State<Arc<Store>>,
            caller: Caller,
            Path($path): Path<$type>,
            Query(query): Query<ChangeQuery>,
            headers: HeaderMap,
            Json(asked): Json<Asked>,
        ) -> Result<As<Json<PolicyChange>>, Problem> {
            change(store, &caller, $whose, asked.parse()?, query, &headers).await
        }

        /// `DELETE`: leaves everything to the level above.
        pub(crate) async fn $unset(
            State(store): State<Arc<Store>>,
            caller: Caller,
            Path($path): Path<$type>,
            Query(query): Query<ChangeQuery>,
            headers: HeaderMap,
        ) -> Result<As<Json<PolicyChange>>, Problem> {
            change(store, &caller, $whose, Setting::default(), query, &headers).await
        }
    };
}

of_level!(of_service, set_service, unset_service, () => Whose::Service, ());
of_level!(of_server, set_server, unset_server, server => Whose::Server(server), ServerName);
of_level!(of_user, set_user, unset_user, (server, user) => Whose::User(server, user), (ServerName, UserName));

/// Says whom it concerns, as things stand just before; and does it, unless that was all that was asked.
async fn change(
    store: Arc<Store>,
    caller: &Caller,
    whose: Whose,
    setting: Setting,
    query: ChangeQuery,
    headers: &HeaderMap,
) -> Result<As<Json<PolicyChange>>, Problem> {
    let before = store.policy_view(&whose, None).map_err(refusal)?;
    if !query.dry_run || headers.contains_key(IF_MATCH) {
        etag::is_meant(headers, &etag::tag(&before.revision.to_string()))?;
    }
    let (looking, whom, what) = (store.clone(), whose.clone(), setting.clone());
    // Many users take their time: not on a thread that answers others.
    let look = move || looking.policy_concerns(&whom, &what);
    let looked = tokio::task::spawn_blocking(look).await.map_err(|_| Code::Internal)?;
    let concerns = looked.map_err(refusal)?;
    let dry_run = query.dry_run;
    let policy = if dry_run {
        store.policy_view(&whose, Some(&setting))
    } else {
        let set = store.set_policy(caller.party(), whose.clone(), setting, before.revision).await;
        set.and_then(|()| store.policy_view(&whose, None))
    };
    let policy = policy.map_err(refusal)?;
    let tag = etag::tag(&policy.revision.to_string());
    Ok(([(ETAG, tag)], Json(PolicyChange { dry_run, policy, concerns })).into_response().into())
}

fn shown(view: PolicyView) -> As<Json<PolicyView>> {
    ([(ETAG, etag::tag(&view.revision.to_string()))], Json(view)).into_response().into()
}

fn refusal(error: Error) -> Problem {
    match error {
        Error::Refused(Refused::Stale) => Code::PreconditionFailed.into(),
        error => error.into(),
    }
}
