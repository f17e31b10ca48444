//! Many sessions at once, for a gateway that has just started say: one commit, one envelope.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::session::batch::{self, Batch, BatchAnswer, OpenBatch};
use sidekey_protocol::session::envelope::set::seal_set;

use super::{bound, kek, refusal, repeatable};
use crate::app::SharedRng;
use crate::delivery::Outbox;
use crate::http::auth::Paired;
use crate::http::extract::{Created, Idempotency, RawJson};
use crate::http::problem::Problem;
use crate::store::{NewBatch, Refused, Session, Store};

/// `POST /v1/sessions/batch`: opens all of the sessions or none, and answers their keys in one set.
pub(crate) async fn open_batch(
    State(store): State<Arc<Store>>,
    State(mut rng): State<SharedRng>,
    State(outbox): State<Arc<Outbox>>,
    caller: Paired,
    Idempotency(key): Idempotency,
    RawJson { value: request, hash }: RawJson<OpenBatch>,
) -> Result<Created<BatchAnswer>, Problem> {
    kek(&store, &caller)?;
    let (by, idempotency) = (caller.party.id, repeatable(&key, hash));
    let count = request.audiences.len();
    let opened = match store.batch_before(by, &idempotency, count).map_err(refusal)? {
        Some(opened) => opened,
        None => {
            let Batch { audiences, ttl_s, capabilities } = request.parse().map_err(malformed)?;
            let deliver = outbox.legs(&request.deliver)?;
            let new = NewBatch { by, audiences, ttl_s, capabilities, deliver, idempotency };
            store.open_batch(new).await.map_err(refusal)?
        }
    };
    let sessions = opened.map_err(|(index, refused)| at(index, refused))?;
    let keys = wrapped(&store, &caller, &sessions, &mut rng)?;
    Ok(Created(BatchAnswer { keys }))
}

/// All keys, in one set under the caller's key-encryption key.
fn wrapped(
    store: &Store,
    caller: &Paired,
    sessions: &[Session],
    rng: &mut SharedRng,
) -> Result<String, Problem> {
    let kek = kek(store, caller)?;
    let mut keys = Vec::with_capacity(sessions.len());
    for (index, session) in sessions.iter().enumerate() {
        keys.push(bound(store, caller, session.id, None).map_err(|problem| problem.at(field(index)))?);
    }
    Ok(seal_set(&kek, &keys, rng))
}

fn malformed(refusal: batch::Refusal) -> Problem {
    let problem = Problem::from(refusal.reject);
    match refusal.index {
        Some(index) => problem.at(field(index)),
        None => problem,
    }
}

fn at(index: usize, refused: Refused) -> Problem {
    refusal(refused.into()).at(field(index))
}

fn field(index: usize) -> String {
    format!("audiences[{index}]")
}
