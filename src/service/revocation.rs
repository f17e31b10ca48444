//! `POST /v1/revocations`: what is struck never works again, and what would be can be seen before.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::revocation::wire::{Revoke, RevokeAnswer, RevokeQuery};
use sidekey_protocol::revocation::{Reject, Target};

use crate::http::auth::Caller;
use crate::http::extract::{Json, JsonOrNoContent, Query};
use crate::http::problem::{self, Problem};
use crate::store::{Error, Refused, Revoked, Rights, Store};

/// `POST /v1/revocations`: durable before it is answered, and in force from the very next request. With `dry_run` the
/// same is decided and answered, and nothing changes.
pub(crate) async fn revoke(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Query(query): Query<RevokeQuery>,
    Json(request): Json<Revoke>,
) -> Result<JsonOrNoContent<RevokeAnswer>, Problem> {
    let struck = match permitted(&caller, &request.target) {
        Ok(()) if query.dry_run => store.would_revoke(&request.target).map_err(refusal),
        Ok(()) => store.revoke(caller.party(), request.target, request.reason).await.map_err(refusal),
        Err(reject) => Err(Refusal::Reject(reject)),
    };
    match struck {
        Ok(revoked) => Ok(JsonOrNoContent(Some(answer(revoked)))),
        Err(refusal) => refusal.problem().map_or(Ok(JsonOrNoContent(None)), Err),
    }
}

/// An administrator revokes anything, a pairing itself.
fn permitted(caller: &Caller, target: &Target) -> Result<(), Reject> {
    let itself = matches!(target, Target::Pairing { pairing } if *pairing == caller.party());
    match caller.party.rights {
        Rights::Admin => Ok(()),
        Rights::Pairing { .. } if itself => Ok(()),
        Rights::Pairing { .. } => Err(Reject::TargetForeign),
    }
}

fn answer(revoked: Revoked) -> RevokeAnswer {
    RevokeAnswer {
        revocations: revoked.revocations,
        invitations: revoked.invitations.into(),
        pairings: revoked.pairings.into(),
        credentials: revoked.credentials.into(),
        sessions_rotated: revoked.sessions_rotated.into(),
        sessions_ended: revoked.sessions_ended.into(),
    }
}

enum Refusal {
    Reject(Reject),
    Problem(Problem),
}

impl Refusal {
    /// `None` where there was nothing to do.
    fn problem(self) -> Option<Problem> {
        match self {
            Self::Reject(reject) => problem::of_revocation(reject),
            Self::Problem(problem) => Some(problem),
        }
    }
}

/// What the store refuses about a revocation, in the protocol's words. What is over already is as good as revoked.
fn refusal(error: Error) -> Refusal {
    match error {
        Error::Fault(fault) => Refusal::Problem(fault.into()),
        Error::Refused(refused) => Refusal::Reject(match refused {
            Refused::AlreadyRevoked
            | Refused::Declined(_)
            | Refused::Ended
            | Refused::Expired
            | Refused::Lapsed
            | Refused::Revoked(_)
            | Refused::Used => Reject::AlreadyRevoked,
            Refused::Absent
            | Refused::AttemptsSpent
            | Refused::Conflict
            | Refused::Credential(_)
            | Refused::Exists
            | Refused::Missing(_)
            | Refused::Pairing(_)
            | Refused::Pruned
            | Refused::Session(_)
            | Refused::SessionsFull { .. }
            | Refused::Stale
            | Refused::Young => Reject::TargetUnknown,
        }),
    }
}
