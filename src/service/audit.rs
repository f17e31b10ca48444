//! `GET /v1/audit`: the log of everything that ever changed anything, read from the journal itself.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::audit::Checkpoint;
use sidekey_protocol::audit::proof::{Asker, Proof, ProofQuery};
use sidekey_protocol::audit::wire::{
    AuditPage, AuditQuery, AuditRecord, CheckpointKept, CheckpointsQuery, Prune, Pruned,
};
use sidekey_protocol::encoding::{Octets, base64url};
use sidekey_protocol::pairing::registry::Page;
use tokio::sync::Semaphore;

use crate::http::auth::Caller;
use crate::http::extract::{Json, Path, Query};
use crate::http::list::{Listed, list};
use crate::http::problem::{Code, Problem};
use crate::store::{Checkpointed, Store};

/// Whoever reads the journal holds one of these: the disk serves those who issue keys first.
#[derive(Clone, Debug)]
pub(crate) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS)))
    }
}

impl Readers {
    /// Reads in its turn, off the threads that answer others.
    pub(crate) async fn read<T: Send + 'static, E: Into<Problem> + Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.0.clone().acquire_owned().await.map_err(|_| Code::Internal)?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = read();
            drop(turn);
            read
        });
        reading.await.map_err(|_| Code::Internal)?.map_err(Into::into)
    }
}

/// `GET /v1/audit`: what happened, oldest first.
pub(crate) async fn log(
    State(store): State<Arc<Store>>,
    State(readers): State<Readers>,
    Listed { page, filter }: Listed<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let audited = readers.read(move || store.audit(page, &filter)).await?;
    let next_page_token = audited.next.map(|place| base64url(&place.to_be_bytes()));
    Ok(Json(AuditPage { items: audited.entries, next_page_token, first: audited.first, last: audited.last }))
}

/// `GET /v1/audit/{record}`: one record, as the chain binds it.
pub(crate) async fn record(
    State(store): State<Arc<Store>>,
    State(readers): State<Readers>,
    Path(seq): Path<u64>,
) -> Result<Json<AuditRecord>, Problem> {
    let record = readers.read(move || store.audit_record(seq)).await?;
    record.map(Json).ok_or_else(|| Code::NotFound.into())
}

/// `POST /v1/audit/prune`: deletes the oldest records, or says which would be.
pub(crate) async fn prune(
    State(store): State<Arc<Store>>,
    State(readers): State<Readers>,
    caller: Caller,
    Json(Prune { before, dry_run }): Json<Prune>,
) -> Result<Json<Pruned>, Problem> {
    let by = caller.party();
    readers.read(move || store.prune(Some(by), before, dry_run)).await.map(Json)
}

/// `GET /v1/audit/proof`: the caller's own entries, and what proves them.
pub(crate) async fn proof(
    State(store): State<Arc<Store>>,
    State(readers): State<Readers>,
    caller: Caller,
    Query(ProofQuery { after }): Query<ProofQuery>,
) -> Result<Json<Proof>, Problem> {
    let party = caller.party.clone();
    let read = move || store.audit_proof(after, &Asker { party: party.id, place: party.place() });
    readers.read(read).await?.map(Json).ok_or_else(|| Code::NotFound.into())
}

/// `GET /v1/audit/checkpoints`: where the chain stood, signed, oldest first.
pub(crate) async fn checkpoints(
    State(store): State<Arc<Store>>,
    State(readers): State<Readers>,
    Listed { page, filter: CheckpointsQuery {} }: Listed<CheckpointsQuery>,
) -> Result<Json<Page<CheckpointKept>>, Problem> {
    let kept = readers.read(move || store.checkpoints(page)).await?;
    let shown = |kept: Checkpointed| {
        let (Checkpoint { position, at, .. }, kid) = (&kept.checkpoint, kept.checkpoint.kid());
        let (seq, hash) = (position.seq, Octets(position.hash));
        Some(CheckpointKept { seq, hash, at: *at, kid, checkpoint: kept.jws })
    };
    Ok(Json(list(kept, shown)))
}

/// Pages that are read at one time.
const READERS: usize = 2;
