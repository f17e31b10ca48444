//! `GET /v1/audit`: the log of everything that ever changed anything, read from the journal itself.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::audit::wire::{AuditPage, AuditQuery, AuditRecord};
use sidekey_protocol::encoding::base64url;
use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::http::extract::{Json, Path, Query};
use crate::http::list::page;
use crate::http::problem::{Code, Problem};
use crate::store::Store;

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
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.0.clone().acquire_owned().await.map_err(|_| Code::Internal)?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = read();
            drop(turn);
            read
        });
        Ok(reading.await.map_err(|_| Code::Internal)??)
    }
}

/// `GET /v1/audit`: what happened, oldest first.
pub(crate) async fn log(
    State(store): State<Arc<Store>>,
    State(readers): State<Readers>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let page = page(query.page_size, query.page_token.as_deref())?;
    let audited = readers.read(move || store.audit(page, &query)).await?;
    let next_page_token = audited.next.map(|place| base64url(&place.to_be_bytes()));
    Ok(Json(AuditPage { items: audited.entries, next_page_token, last: audited.last }))
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

/// Pages that are read at one time.
const READERS: usize = 2;
