//! Pairing: servers and invitations by the administrator, `begin` and `finish` by whoever holds a code.

mod approval;
mod exchanges;
mod invitations;
mod listing;
mod rekey;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::Html;
use sidekey_protocol::crypto::spake2plus::Verifier;
use sidekey_protocol::crypto::{Secret, sha256};
use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServiceId};
use sidekey_protocol::pairing::wire::{Begin, BeginAnswer, Finish, FinishAnswer};
use sidekey_protocol::pairing::{Confirmed, Grant, Invited, PublicUrl, Reject};
use sidekey_protocol::session::SuiteList;

use crate::app::SharedRng;
use crate::fault::Fault;
use crate::http::extract::{Json, Path};
use crate::http::problem::{Code, Problem};
use crate::store::{Error, InvitationState, NewPairing, Refused, Repeat, Signer, Store};

pub(crate) use approval::{approve, match_digits, refuse};
pub(crate) use exchanges::Exchanges;
pub(crate) use invitations::{add_server, invitation, invitations, invite, reissue, server, servers};
pub(crate) use listing::{own, pairings, seen_by_admin, shown};
pub(crate) use rekey::rekey;

/// `POST /v1/pairings/{invitation}/begin`: the client's share; an attempt is spent, durably, before the answer leaves.
pub(crate) async fn begin(
    State(store): State<Arc<Store>>,
    State(exchanges): State<Arc<Exchanges>>,
    State(public_url): State<PublicUrl>,
    State(mut rng): State<SharedRng>,
    Path(id): Path<InvitationId>,
    Json(request): Json<Begin>,
) -> Result<Json<BeginAnswer>, Problem> {
    let mut exchange = exchanges.of(id, &store, store.now())?.lock_owned().await;
    let now = store.now();
    if let Some(answer) = exchange.as_ref().and_then(|begun| begun.repeat(&request, now)) {
        return Ok(Json(answer));
    }
    let (invited, signer) = (invited(&store, id)?, signer(&store, id)?);
    let attempt = invited.begin(request, now, &mut rng)?;
    let verifier = verifier(&store, id)?;
    if store.spend_attempt(id).await.map_err(refusal)? == 0 {
        tracing::warn!(invitation = %id, "invitation_spent: if nobody pairs now, issue it again");
    }
    *exchange = None;
    let (begun, answer) = attempt.answer(&verifier, &public_url, &signer.public, &mut rng)?;
    *exchange = Some(begun);
    Ok(Json(answer))
}

/// `POST /v1/pairings/{invitation}/finish`: the client proves the code and shows its key.
pub(crate) async fn finish(
    State(store): State<Arc<Store>>,
    State(exchanges): State<Arc<Exchanges>>,
    State(mut rng): State<SharedRng>,
    Path(id): Path<InvitationId>,
    Json(request): Json<Finish>,
) -> Result<Json<FinishAnswer>, Problem> {
    let mut exchange = exchanges.of(id, &store, store.now())?.lock_owned().await;
    if let Some(answer) = repeated(&store, id, &request).await? {
        return Ok(Json(answer));
    }
    let now = store.now();
    exchange.as_ref().ok_or(Reject::StateUnknown)?.admits(&request, now)?;
    // From here on a refusal ends the exchange.
    let begun = exchange.take().ok_or(Reject::StateUnknown)?;
    let signer = signer(&store, id)?;
    let policy = Applied::to(begun.invited(), &store, &signer);
    let grant = policy.grant(store.identity().service, &signer, &mut rng);
    let confirmed = begun.finish(&request, grant, now, &mut rng)?;
    Ok(Json(confirm(&store, &request, confirmed).await?))
}

/// `GET /p/{invitation}`: what a pairing link is for. Says nothing about the invitation, whose secret half it never sees.
pub(crate) async fn page(Path(_): Path<InvitationId>) -> (PageHeaders, Html<&'static str>) {
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy), (REFERRER_POLICY, "no-referrer")], Html(include_str!("page.html")))
}

type PageHeaders = [(HeaderName, &'static str); 2];

/// The invitation as the protocol knows it, while it is open.
fn invited(store: &Store, id: InvitationId) -> Result<Invited, Problem> {
    let found = store.invitation(id).ok_or(Reject::InvitationUnknown)?;
    match found.state {
        InvitationState::Open => Ok(Invited {
            invitation: id,
            role: found.role,
            server: found.server,
            user: found.user,
            expires: found.expires,
            attempts_left: found.attempts,
            approval: found.approval,
        }),
        InvitationState::Cancelled => Err(Reject::InvitationCancelled.into()),
        InvitationState::Expired => Err(Reject::InvitationExpired.into()),
        InvitationState::Spent => Err(Reject::AttemptsSpent.into()),
        InvitationState::Used => Err(Code::InvitationOver.into()),
    }
}

/// The signing key that the invitation's link names, while it is in force.
fn signer(store: &Store, id: InvitationId) -> Result<Arc<Signer>, Problem> {
    let named = store.invitation(id).ok_or(Reject::InvitationUnknown)?.key;
    store.signer_of(named)?.ok_or_else(|| Reject::KeyRetired.into())
}

fn verifier(store: &Store, id: InvitationId) -> Result<Verifier, Problem> {
    let octets = store.verifier(id).map_err(refusal)?;
    let record = Secret::copy_of(&octets).ok_or(Fault::Unsealable)?;
    Ok(Verifier::from_secret(record).map_err(|_| Fault::Unsealable)?)
}

/// The answer to a `finish` that was answered before. The same one to the same body; that another came is recorded.
async fn repeated(
    store: &Store,
    id: InvitationId,
    request: &Finish,
) -> Result<Option<FinishAnswer>, Problem> {
    match store.finish_repeat(id, &fingerprint(request)) {
        Repeat::None => Ok(None),
        Repeat::Same(answer) => Ok(Some(serde_json::from_slice(&answer).map_err(|_| Fault::Unsealable)?)),
        Repeat::Other => {
            tracing::warn!(invitation = %id, "finished before, now with another body");
            store.finish_conflict(id).await?;
            Err(Reject::FinishDiffers.into())
        }
    }
}

fn fingerprint(request: &Finish) -> [u8; 32] {
    sha256(&serde_json::to_vec(request).expect("a finish is JSON of plain members"))
}

/// The policy that a new pairing is given: a client's own user's; a server has none.
struct Applied {
    jws: Option<String>,
    suites: SuiteList,
}

impl Applied {
    fn to(invited: &Invited, store: &Store, signer: &Signer) -> Self {
        let policy = invited.user.as_ref().map(|user| store.policy(&invited.server, user));
        match policy {
            Some(policy) => Self { jws: Some(policy.sign(&signer.key)), suites: policy.suites },
            None => Self { jws: None, suites: SuiteList::ours() },
        }
    }

    fn grant<'a>(&'a self, service: ServiceId, signer: &'a Signer, rng: &mut SharedRng) -> Grant<'a> {
        Grant {
            pairing: PartyId::random(rng),
            service,
            key: &signer.key,
            policy: self.jws.as_deref(),
            suites: &self.suites,
        }
    }
}

/// Makes the pairing. Its commit checks once more that the invitation is still open: exactly one `finish` wins.
async fn confirm(store: &Store, request: &Finish, confirmed: Confirmed) -> Result<FinishAnswer, Problem> {
    let answer = confirmed.finished.answer;
    let new = NewPairing {
        id: confirmed.pairing,
        key: confirmed.key,
        label: confirmed.label.as_str().to_owned(),
        offer: (confirmed.role == Role::Client).then_some(confirmed.offer),
        pinned: confirmed.pinned,
        root: confirmed.root,
        epoch_not_after: confirmed.not_after,
        finish: fingerprint(request),
        answer: serde_json::to_vec(&answer).expect("an answer is JSON of plain members").into(),
        th: confirmed.th,
    };
    store.confirm(confirmed.invitation, new).await.map_err(refusal)?;
    Ok(answer)
}

/// What the store refuses about an invitation, in the protocol's words.
fn refusal(error: Error) -> Problem {
    match error {
        Error::Fault(fault) => fault.into(),
        Error::Refused(refused) => match refused {
            Refused::AttemptsSpent => Reject::AttemptsSpent.into(),
            Refused::Expired => Reject::InvitationExpired.into(),
            Refused::Revoked(_) | Refused::AlreadyRevoked => Reject::InvitationCancelled.into(),
            Refused::Used => Code::InvitationOver.into(),
            Refused::Absent
            | Refused::Conflict
            | Refused::Credential(_)
            | Refused::Declined(_)
            | Refused::Ended
            | Refused::Exists
            | Refused::Lapsed
            | Refused::Missing(_)
            | Refused::Pruned
            | Refused::Session(_)
            | Refused::SessionsFull { .. }
            | Refused::Stale
            | Refused::Young => Reject::InvitationUnknown.into(),
            Refused::Pairing(reject) => reject.into(),
        },
    }
}
