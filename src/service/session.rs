//! Sessions: a server opens, rotates and ends them; their parties fetch the keys.

mod batch;
mod form;
mod registry;

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{PartyId, Role, SessionId};
use sidekey_protocol::pairing::{Kek, rekey};
use sidekey_protocol::session::envelope::{self, Bindings, cose};
use sidekey_protocol::session::wire::{
    self, KeyQuery, OpenSession, Opening, Rotate, SessionKey, Sessions, UserQuery,
};
use sidekey_protocol::session::{BodyHash, IdempotencyKey, Reject};

pub(crate) use self::batch::open_batch;
use self::form::{Form, Turned, Wrapped};
use crate::app::SharedRng;
use crate::delivery::Outbox;
use crate::fault::Fault;
use crate::http::auth::{Caller, Paired};
use crate::http::extract::{Created, Idempotency, Json, JsonOrNothing, NoContent, Path, Query, RawJson};
use crate::http::problem::{Code, Problem};
use crate::store::{self, Error, Keyed, NewSession, Party, Refused, Session, SessionState, Store};

pub(crate) use registry::{sessions, shown};

/// `POST /v1/sessions`: opens a session, and answers its key wrapped for the server.
pub(crate) async fn open(
    State(store): State<Arc<Store>>,
    State(mut rng): State<SharedRng>,
    State(outbox): State<Arc<Outbox>>,
    caller: Paired,
    Idempotency(key): Idempotency,
    RawJson { value: request, hash }: RawJson<OpenSession>,
) -> Result<Created<SessionKey>, Problem> {
    kek(&store, &caller)?;
    let (by, idempotency) = (caller.party.id, repeatable(&key, hash));
    let session = match store.opened_before(by, &idempotency).map_err(refusal)? {
        Some(session) => session,
        None => {
            let Opening { audience, ttl_s, capabilities } = request.parse()?;
            let deliver = outbox.legs(&request.deliver)?;
            let new = NewSession { by, audience, ttl_s, capabilities, deliver, idempotency };
            store.open_session(new).await.map_err(refusal)?
        }
    };
    wrapped(&store, &caller, session.id, None, &mut rng).map(Created)
}

/// `GET /v1/sessions/current`: the live sessions of a client, or of the user whom a server names; newest first.
pub(crate) async fn current(
    State(store): State<Arc<Store>>,
    caller: Paired,
    Query(query): Query<UserQuery>,
) -> Result<Json<Sessions>, Problem> {
    let user = caller.about(query.user)?;
    let mut sessions = store.sessions_of(&caller.server, &user);
    sessions.retain(|session| is_party(&caller, session));
    sessions.sort_by_key(|session| std::cmp::Reverse(session.not_before));
    Ok(Json(Sessions { items: sessions.into_iter().map(seen).collect() }))
}

/// `GET /v1/sessions/{session}/key`: the key, wrapped for the caller, in the form that it asks for. No I/O.
pub(crate) async fn key(
    State(store): State<Arc<Store>>,
    State(mut rng): State<SharedRng>,
    caller: Paired,
    Path(id): Path<SessionId>,
    Query(query): Query<KeyQuery>,
    form: Form,
) -> Result<Wrapped, Problem> {
    match form {
        Form::Jose => wrapped(&store, &caller, id, query.generation, &mut rng).map(Json).map(Wrapped::Jose),
        Form::Cose => {
            let kek = kek(&store, &caller)?;
            let (bindings, key) = bound(&store, &caller, id, query.generation)?;
            Ok(Wrapped::Cose(cose::seal(&kek, &bindings, &key, &mut rng)))
        }
    }
}

/// `POST /v1/sessions/{session}/rotate`: the next generation; the one before it still opens for 120 s. The server gets
/// the new key, an administrator sees the session: no key is his.
pub(crate) async fn rotate(
    State(store): State<Arc<Store>>,
    State(mut rng): State<SharedRng>,
    caller: Caller,
    Path(id): Path<SessionId>,
    JsonOrNothing(Rotate {}): JsonOrNothing<Rotate>,
) -> Result<Turned, Problem> {
    let by = caller.party();
    let Some(server) = Paired::of(caller)? else {
        let session = store.rotate(by, id).await.map_err(refusal)?;
        return Ok(Turned::Seen(Json(registry::seen(session))));
    };
    live(&store, &server, id)?;
    kek(&store, &server)?;
    store.rotate(by, id).await.map_err(refusal)?;
    wrapped(&store, &server, id, None, &mut rng).map(Json).map(Turned::Key)
}

/// `DELETE /v1/sessions/{session}`: it is over for everybody.
pub(crate) async fn end(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> Result<NoContent, Problem> {
    let by = caller.party();
    if let Some(server) = Paired::of(caller)? {
        live(&store, &server, id)?;
    }
    store.end(by, id).await.map_err(refusal)?;
    Ok(NoContent)
}

/// What makes a repeat the same: hashes alone are kept.
fn repeatable(key: &IdempotencyKey, body: BodyHash) -> store::Idempotency {
    store::Idempotency { key: BodyHash::of(key.as_str().as_bytes()).0, body: body.0 }
}

/// Whether the caller may see a session: a server its users', a client its own, and of one pairing only if it is that.
fn is_party(caller: &Paired, session: &Session) -> bool {
    let here = caller.server == session.server;
    match caller.role {
        Role::Server => here,
        Role::Client => {
            let own = caller.user.as_ref() == Some(&session.user);
            here && own && session.is_for(&caller.party)
        }
    }
}

/// A session that the caller is a party of, and that gives keys.
fn live(store: &Store, caller: &Paired, id: SessionId) -> Result<Session, Reject> {
    let session =
        store.session(id).filter(|session| is_party(caller, session)).ok_or(Reject::SessionUnknown)?;
    match session.state {
        SessionState::Open => Ok(session),
        SessionState::Ended(_) => Err(Reject::SessionEnded),
        SessionState::Expired => Err(Reject::SessionExpired),
    }
}

fn seen(session: Session) -> wire::Session {
    wire::Session {
        session: session.id,
        server: session.server,
        user: session.user,
        generation: session.generations.current,
        suite: session.suite,
        not_before: session.generations.since,
        not_after: session.not_after,
    }
}

/// The key of the generation that is asked for, or of the newest, wrapped under the caller's key-encryption key.
fn wrapped(
    store: &Store,
    caller: &Paired,
    id: SessionId,
    asked: Option<u32>,
    rng: &mut SharedRng,
) -> Result<SessionKey, Problem> {
    let kek = kek(store, caller)?;
    let (bindings, key) = bound(store, caller, id, asked)?;
    let key = envelope::seal(&kek, &bindings, &key, rng);
    let Bindings { session, generation, suite, not_before, not_after, .. } = bindings;
    Ok(SessionKey { session, generation, suite, not_before, not_after, key })
}

/// The same key derived, with what it is bound to.
fn bound(
    store: &Store,
    caller: &Paired,
    id: SessionId,
    asked: Option<u32>,
) -> Result<(Bindings, Secret<32>), Problem> {
    issuing(store)?;
    bindings(store, caller.party.id, id, asked, |session, _| is_party(caller, session)).map_err(refusal)
}

/// The key of the generation that is asked for, or of the newest, and what an envelope for `pairing` binds it to.
pub(crate) fn bindings(
    store: &Store,
    pairing: PartyId,
    id: SessionId,
    asked: Option<u32>,
    admits: impl FnOnce(&Session, &Party) -> bool,
) -> Result<(Bindings, Secret<32>), Error> {
    let Keyed { session, generation, key } = store.session_key(pairing, id, asked, admits)?;
    // When the generation before the newest began is not kept; the session's own beginning is no later.
    let newest = generation == session.generations.current;
    let not_before = if newest { session.generations.since } else { session.not_before };
    let bindings = Bindings {
        service: store.identity().service,
        server: session.server.clone(),
        user: session.user.clone(),
        pairing,
        session: session.id,
        generation,
        suite: session.suite,
        not_before,
        not_after: session.not_after,
        policy: session.policy_hash,
        capabilities: session.capabilities.clone(),
        offer: session.offer_hash,
        head: store.head(),
    };
    Ok((bindings, key))
}

/// Whether keys may leave: not while the clock is not understood, nor after a write of which nobody knows what became.
/// A full disk keeps nobody from the keys of sessions that are open.
fn issuing(store: &Store) -> Result<(), Fault> {
    match store.ready() {
        Ok(()) | Err(Fault::Full) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// The key-encryption key of the caller's epoch, which must be the one that it uses, and not be over. Looked at before
/// anything is changed, and again when the key is wrapped: another request of the caller may have ended the epoch meanwhile.
fn kek(store: &Store, caller: &Paired) -> Result<Kek, Problem> {
    let kek = store.epoch(caller.party.id).map_err(refusal)?.kek(store.now())?;
    match caller.kek {
        Some(used) if used != kek.id => Err(rekey::Reject::EpochUnknown.into()),
        _ => Ok(kek),
    }
}

/// What the store refuses about a session, in the protocol's words.
fn refusal(error: Error) -> Problem {
    match error {
        Error::Fault(fault) => fault.into(),
        Error::Refused(refused) => match refused {
            Refused::Conflict => Reject::IdempotencyKeyReused.into(),
            Refused::Ended | Refused::AlreadyRevoked => Reject::SessionEnded.into(),
            Refused::Expired => Reject::SessionExpired.into(),
            Refused::Session(reject) => reject.into(),
            Refused::SessionsFull { retry_after_s } => Problem::later(Code::SessionLimit, retry_after_s),
            Refused::Revoked(revocation) => Problem::revoked(revocation.reason.as_str(), revocation.at),
            Refused::Declined(refusal) => Problem::declined(&refusal),
            Refused::Pairing(reject) => reject.into(),
            Refused::Lapsed => rekey::Reject::Lapsed.into(),
            Refused::Absent
            | Refused::AttemptsSpent
            | Refused::Credential(_)
            | Refused::Exists
            | Refused::Missing(_)
            | Refused::Pruned
            | Refused::Stale
            | Refused::Used
            | Refused::Young => Reject::SessionUnknown.into(),
        },
    }
}
