//! The audit log, as an administrator reads it.

use http::Method;

use super::{Admin, query};
use crate::error::Error;
use crate::transport::with_query;

pub use sidekey_protocol::audit::wire::{AuditPage, AuditQuery as AuditFilter, AuditRecord, Prune, Pruned};
pub use sidekey_protocol::pairing::registry::Paging;

impl Admin {
    /// One page of the audit log, oldest first. `next_page_token` of a page is the `page_token` of the next.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn audit(&self, filter: &AuditFilter, which: &Paging) -> Result<AuditPage, Error> {
        let query = [query(filter), query(which)].concat();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.transport().call(Method::GET, with_query("/v1/audit", &query)).send().await
    }

    /// One record of the journal, with all of its entries.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: there is no record of this number; with `log_pruned`: it is not kept any more.
    pub async fn audit_record(&self, seq: u64) -> Result<AuditRecord, Error> {
        self.transport().call(Method::GET, format!("/v1/audit/{seq}")).send().await
    }

    /// Deletes the oldest records, or says which would be.
    ///
    /// # Errors
    /// [`Error::Refused`] with `log_young`: not even an administrator may delete what is so young.
    pub async fn prune_audit(&self, prune: &Prune) -> Result<Pruned, Error> {
        self.transport().call(Method::POST, "/v1/audit/prune").json(prune).send().await
    }
}
