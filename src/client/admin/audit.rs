//! The audit log, as an administrator reads it.

use http::Method;

use super::{Admin, query};
use crate::error::Error;
use crate::transport::with_query;

pub use sidekey_protocol::audit::wire::{AuditPage, AuditQuery as AuditFilter, AuditRecord};

impl Admin {
    /// One page of the audit log, oldest first. `next_page_token` of a page is the `page_token` of the next.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, Error> {
        let query = query(filter);
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.transport().call(Method::GET, with_query("/v1/audit", &query)).send().await
    }

    /// One record of the journal, with all of its entries.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: there is no record of this number.
    pub async fn audit_record(&self, seq: u64) -> Result<AuditRecord, Error> {
        self.transport().call(Method::GET, format!("/v1/audit/{seq}")).send().await
    }
}
