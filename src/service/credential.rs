//! Proxy credentials: what an operator's proxy logs in with at a gateway. The administrator's side, and the gateway's.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::ids::CredentialId;
use sidekey_protocol::pairing::credential::wire::{
    self, CredentialIssued, CredentialVerified, CredentialsQuery, IssueCredential, VerifyCredential,
    WithdrawQuery,
};
use sidekey_protocol::pairing::credential::{self, CredentialSecret, Reject};
use sidekey_protocol::pairing::registry::{Page, PairingRevoked};
use sidekey_protocol::revocation::Target;

use crate::app::{App, SharedRng};
use crate::http::auth::{Caller, Paired};
use crate::http::extract::{Created, Json, NoContent, Path, Query};
use crate::http::list::{Listed, list};
use crate::http::problem::{Code, Problem};
use crate::http::rates::{Denied, NO_ROOM};
use crate::store::{Credential, Error, NewCredential, Refused, Revocation, Shown, Store};

/// `POST /v1/credentials`: shows the secret, once, and keeps a hash of it alone.
pub(crate) async fn issue(
    State(store): State<Arc<Store>>,
    State(mut rng): State<SharedRng>,
    caller: Caller,
    Json(request): Json<IssueCredential>,
) -> Result<Created<CredentialIssued>, Problem> {
    let IssueCredential { server, user, label, ttl } = request;
    let expires = credential::expires(ttl, store.now())?;
    let (id, secret) = (CredentialId::random(&mut rng), CredentialSecret::random(&mut rng));
    let new = NewCredential { id, server, user, label, expires };
    let made = store.issue_credential(caller.party(), new, &secret).await.map_err(refusal)?;
    let Credential { id: credential, server, user, label, created, expires, .. } = made;
    Ok(Created(CredentialIssued { credential, secret, server, user, label, created, expires }))
}

/// `GET /v1/credentials`.
pub(crate) async fn credentials(
    State(store): State<Arc<Store>>,
    Listed { page, filter }: Listed<CredentialsQuery>,
) -> Json<Page<wire::Credential>> {
    Json(list(store.credentials(page, &filter), |kept| Some(seen(kept))))
}

/// `GET /v1/credentials/{credential}`.
pub(crate) async fn shown(
    State(store): State<Arc<Store>>,
    Path(id): Path<CredentialId>,
) -> Result<Json<wire::Credential>, Problem> {
    store.credential(id).map(|kept| Json(seen(kept))).ok_or_else(|| Code::NotFound.into())
}

/// `DELETE /v1/credentials/{credential}`: a revocation like any other. One that is over already is as good as revoked.
pub(crate) async fn withdraw(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(credential): Path<CredentialId>,
    Query(WithdrawQuery { reason }): Query<WithdrawQuery>,
) -> Result<NoContent, Problem> {
    let reason = reason.unwrap_or_else(|| WITHDRAWN.parse().expect("a reason"));
    match store.revoke(caller.party(), Target::Credential { credential }, reason).await {
        Ok(_) | Err(Error::Refused(Refused::AlreadyRevoked)) => Ok(NoContent),
        Err(error) => Err(refusal(error)),
    }
}

/// `POST /v1/credentials/verify`: a server asks whose secret somebody shows. Whoever guesses learns nothing but that it
/// was wrong, and soon has to wait; the metrics and the log tell administrators more.
pub(crate) async fn verify(
    State(app): State<App>,
    caller: Paired,
    Json(VerifyCredential { user, secret }): Json<VerifyCredential>,
) -> Result<Json<CredentialVerified>, Problem> {
    let (limits, now) = (app.limits.get(), app.store.now());
    let mut over = None;
    let look = || match app.store.show_credential(&caller.server, &user, &secret) {
        Shown::Live(seen) => Some(seen),
        Shown::Over(seen) => {
            over = Some(seen.id);
            None
        }
        Shown::Wrong => None,
    };
    let looked = app.rates.of_guess((caller.server.clone(), user.clone()), &limits, now, look);
    let found = looked.map_err(|denied| too_often(&app, denied))?;
    app.metrics.credential_shown(match (&found, over) {
        (Some(_), _) => "live",
        (None, Some(_)) => "over",
        (None, None) => "wrong",
    });
    if let Some(credential) = over {
        tracing::warn!(%credential, party = %caller.party.id, "somebody shows a proxy credential that is over");
    }
    let Credential { id, user, label, expires, .. } = found.ok_or(Reject::Wrong)?;
    Ok(Json(CredentialVerified { credential: id, user, label, expires }))
}

fn too_often(app: &App, denied: Denied) -> Problem {
    match denied {
        Denied::Empty(standing) => {
            app.metrics.rate_limited(standing.scope.as_str());
            Problem::later(Code::RateLimited, standing.wait_s)
        }
        Denied::Full => {
            app.metrics.rate_limited(NO_ROOM);
            Code::Overloaded.into()
        }
    }
}

fn seen(kept: Credential) -> wire::Credential {
    let Credential { id, server, user, label, created, last_used, expires, revoked, state } = kept;
    let revoked = revoked.map(|Revocation { at, reason }| PairingRevoked { at, reason });
    wire::Credential { credential: id, server, user, label, state, created, last_used, expires, revoked }
}

fn refusal(error: Error) -> Problem {
    match error {
        Error::Refused(Refused::Credential(reject)) => reject.into(),
        // The server's, which says so to an administrator.
        Error::Refused(Refused::Revoked(revocation)) => {
            Problem::revoked(revocation.reason.as_str(), revocation.at)
        }
        Error::Refused(_) => Code::NotFound.into(),
        Error::Fault(fault) => fault.into(),
    }
}

/// Why one was revoked when nobody says.
const WITHDRAWN: &str = "withdrawn by an administrator";
