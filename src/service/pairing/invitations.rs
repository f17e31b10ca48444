//! What the administrator does: servers, invitations.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::crypto::spake2plus::Verifier;
use sidekey_protocol::delivery::wire::CarrierAddress;
use sidekey_protocol::ids::{InvitationId, Role, ServerName};
use sidekey_protocol::pairing::registry::{
    self, CreateInvitation, CreateServer, InvitationCreated, InvitationsQuery, Page, Reissue, ServerCreated,
    ServersQuery, Standing,
};
use sidekey_protocol::pairing::{ATTEMPTS, Ask, Invited, Link, PairingCode, Pin, PublicUrl, Reject};
use sidekey_protocol::revocation::Target;
use zeroize::Zeroizing;

use crate::app::SharedRng;
use crate::delivery::Outbox;
use crate::http::auth::Caller;
use crate::http::extract::{Created, Json, JsonOrNothing, Path};
use crate::http::list::{Listed, list};
use crate::http::problem::{Code, Problem};
use crate::store::{
    Error, Filter, Invitation, InvitationState, NewInvitation, Posted, Refused, Revocation, Server, Store,
};

/// `POST /v1/servers`: an enterprise mail server that clients can be paired for.
pub(crate) async fn add_server(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Json(request): Json<CreateServer>,
) -> Result<Created<ServerCreated>, Problem> {
    let server = store.add_server(caller.party(), request.name).await.map_err(refusal)?;
    Ok(Created(ServerCreated { name: server.name, created: server.created }))
}

/// `GET /v1/servers`.
pub(crate) async fn servers(
    State(store): State<Arc<Store>>,
    Listed { page, filter }: Listed<ServersQuery>,
) -> Json<Page<registry::Server>> {
    let wanted = |seen: &registry::Server| {
        filter.state.is_none_or(|state| state == seen.state)
            && filter.created_after.is_none_or(|after| seen.created > after)
    };
    Json(list(store.servers(page), |server| Some(server_seen(server)).filter(wanted)))
}

/// `GET /v1/servers/{name}`.
pub(crate) async fn server(
    State(store): State<Arc<Store>>,
    Path(name): Path<ServerName>,
) -> Result<Json<registry::Server>, Problem> {
    store.server(&name).map(|server| Json(server_seen(server))).ok_or_else(|| Code::NotFound.into())
}

/// `POST /v1/invitations`: shows the pairing code, once, and keeps its verifier alone.
pub(crate) async fn invite(
    State(store): State<Arc<Store>>,
    State(public_url): State<PublicUrl>,
    State(rng): State<SharedRng>,
    State(outbox): State<Arc<Outbox>>,
    caller: Caller,
    Json(request): Json<CreateInvitation>,
) -> Result<Created<InvitationCreated>, Problem> {
    let rules = store.rules(&request.server, request.user.as_ref());
    let CreateInvitation { role, server, user, ttl, approval, deliver } = request;
    let deliver = deliver.map(|CarrierAddress { carrier, to }| match role {
        Role::Client => outbox.posted(&carrier, &to),
        Role::Server => Err(Code::CarrierUnfit.into()),
    });
    let deliver = deliver.transpose()?;
    let approval = approval.unwrap_or(rules.approval).of(role);
    let ttl_s = Some(rules.invitation_ttl_s(ttl, approval.ttl_max_s())?);
    let ask = Ask { role, server, user, ttl_s, approval };
    made(&store, public_url, rng, &caller, ask, deliver).await.map(Created)
}

/// `POST /v1/invitations/{invitation}/reissue`: another one for the same, in place of this one, whose code is dead from
/// then on. It has another id: what was begun with the old code belongs to the old one, and so does whoever spent it.
pub(crate) async fn reissue(
    State(store): State<Arc<Store>>,
    State(public_url): State<PublicUrl>,
    State(rng): State<SharedRng>,
    State(outbox): State<Arc<Outbox>>,
    caller: Caller,
    Path(id): Path<InvitationId>,
    JsonOrNothing(request): JsonOrNothing<Reissue>,
) -> Result<Created<InvitationCreated>, Problem> {
    let Invitation { role, server, user, approval, state, deliver, .. } =
        store.invitation(id).ok_or(Code::NotFound)?;
    if state == InvitationState::Used {
        return Err(Code::InvitationOver.into());
    }
    let rules = store.rules(&server, user.as_ref());
    let ttl_s = Some(rules.invitation_ttl_s(request.ttl, approval.ttl_max_s())?);
    // What is refused changes nothing; what is cut off between the two is done by saying it again.
    let deliver = deliver.map(|Posted { leg, to }| outbox.posted(&leg.carrier, &to)).transpose()?;
    let ask = Ask { role, server, user, ttl_s, approval };
    let made = made(&store, public_url, rng, &caller, ask, deliver).await?;
    if cancelled(&store, &caller, id).await? {
        return Ok(Created(made));
    }
    // Somebody paired with the old code meanwhile.
    cancelled(&store, &caller, made.invitation).await?;
    Err(Code::InvitationOver.into())
}

/// Whether no pairing comes of an invitation any more, nor has come.
async fn cancelled(store: &Store, caller: &Caller, id: InvitationId) -> Result<bool, Problem> {
    let reason = REISSUED.parse().expect("a reason");
    match store.revoke(caller.party(), Target::Invitation { invitation: id }, reason).await {
        Ok(_) => Ok(true),
        Err(Error::Refused(_)) => {
            let found = store.invitation(id).map(|invitation| invitation.state);
            Ok(found != Some(InvitationState::Used))
        }
        Err(Error::Fault(fault)) => Err(fault.into()),
    }
}

async fn made(
    store: &Store,
    public_url: PublicUrl,
    mut rng: SharedRng,
    caller: &Caller,
    ask: Ask,
    deliver: Option<Posted>,
) -> Result<InvitationCreated, Problem> {
    let (invited, code) = Invited::invite(ask, store.now(), &mut rng)?;
    let (invited, code, verifier) = stretched(invited, code, public_url.clone()).await?;
    let new = NewInvitation {
        id: invited.invitation,
        role: invited.role,
        server: invited.server.clone(),
        user: invited.user.clone(),
        expires: invited.expires,
        approval: invited.approval,
        verifier: Zeroizing::new(verifier.secret().expose().to_vec()),
        deliver,
    };
    let kept = store.invite(caller.party(), new).await.map_err(refusal)?;
    // Whichever key takes over meanwhile: the link names the one that the invitation is kept under.
    let signer = store.signer_of(kept.key)?.ok_or(Reject::KeyRetired)?;
    let pin = Pin::of(&signer.public);
    Ok(shown(invited, code, public_url, pin))
}

/// `GET /v1/invitations`.
pub(crate) async fn invitations(
    State(store): State<Arc<Store>>,
    Listed { page, filter: query }: Listed<InvitationsQuery>,
) -> Json<Page<registry::Invitation>> {
    let InvitationsQuery { server, user, role, created_after, .. } = query;
    let filter = Filter { server, user, role, created_after, state: query.state.map(kept_as) };
    let wanted = |seen: &registry::Invitation| query.state.is_none_or(|state| state == seen.state);
    Json(list(store.invitations(page, &filter), |kept| Some(invitation_seen(kept)).filter(wanted)))
}

/// `GET /v1/invitations/{id}`.
pub(crate) async fn invitation(
    State(store): State<Arc<Store>>,
    Path(id): Path<InvitationId>,
) -> Result<Json<registry::Invitation>, Problem> {
    store.invitation(id).map(|kept| Json(invitation_seen(kept))).ok_or_else(|| Code::NotFound.into())
}

/// Argon2id takes 20 ms and 19 MiB: not on a thread that answers others.
async fn stretched(
    invited: Invited,
    code: PairingCode,
    public_url: PublicUrl,
) -> Result<(Invited, PairingCode, Verifier), Problem> {
    let stretch = move || {
        let verifier = invited.verifier(&code, &public_url);
        (invited, code, verifier)
    };
    tokio::task::spawn_blocking(stretch).await.map_err(|_| Code::Internal.into())
}

fn shown(invited: Invited, code: PairingCode, public_url: PublicUrl, pin: Pin) -> InvitationCreated {
    let Invited { invitation, role, server, user, expires, approval, .. } = invited;
    let printed = code.expose_printed().to_string();
    let link = Link { public_url, invitation, proof: Some((code, pin)) }.expose().to_string();
    InvitationCreated { invitation, code: printed, link, role, server, user, expires, approval }
}

fn server_seen(server: Server) -> registry::Server {
    let Server { name, created, revoked, pairings, users } = server;
    let state = if revoked.is_some() { Standing::Revoked } else { Standing::Active };
    let revoked = revoked.map(|Revocation { at, reason }| registry::PairingRevoked { at, reason });
    registry::Server { name, created, state, pairings: pairings.into(), users: users.into(), revoked }
}

fn invitation_seen(kept: Invitation) -> registry::Invitation {
    let state = match kept.state {
        InvitationState::Open if kept.attempts == ATTEMPTS => registry::InvitationState::Invited,
        InvitationState::Open => registry::InvitationState::Begun,
        InvitationState::Used => registry::InvitationState::Paired,
        InvitationState::Spent => registry::InvitationState::Spent,
        InvitationState::Expired => registry::InvitationState::Expired,
        InvitationState::Cancelled => registry::InvitationState::Cancelled,
    };
    let Invitation { id, role, server, user, created, expires, attempts, approval, deliver, .. } = kept;
    let deliver = deliver.map(|Posted { leg, to }| CarrierAddress { carrier: leg.carrier, to });
    registry::Invitation {
        invitation: id,
        role,
        server,
        user,
        created,
        expires,
        attempts,
        approval,
        deliver,
        state,
    }
}

/// The store's word for a state: it does not tell whether somebody has begun.
fn kept_as(state: registry::InvitationState) -> InvitationState {
    match state {
        registry::InvitationState::Invited | registry::InvitationState::Begun => InvitationState::Open,
        registry::InvitationState::Paired => InvitationState::Used,
        registry::InvitationState::Spent => InvitationState::Spent,
        registry::InvitationState::Expired => InvitationState::Expired,
        registry::InvitationState::Cancelled => InvitationState::Cancelled,
    }
}

fn refusal(error: Error) -> Problem {
    match error {
        Error::Fault(fault) => fault.into(),
        Error::Refused(refused) => match refused {
            Refused::Exists | Refused::Conflict => Code::ServerExists.into(),
            Refused::Pairing(reject) => reject.into(),
            Refused::Revoked(revocation) => Problem::revoked(revocation.reason.as_str(), revocation.at),
            Refused::Absent
            | Refused::AlreadyRevoked
            | Refused::AttemptsSpent
            | Refused::Credential(_)
            | Refused::Declined(_)
            | Refused::Ended
            | Refused::Expired
            | Refused::Lapsed
            | Refused::Missing(_)
            | Refused::Session(_)
            | Refused::SessionsFull { .. }
            | Refused::Stale
            | Refused::Pruned
            | Refused::Used
            | Refused::Young => Code::NotFound.into(),
        },
    }
}

/// Why an invitation was cancelled that was issued again.
const REISSUED: &str = "issued again";
