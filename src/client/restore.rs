//! A service that was restored from an older copy: the administrator looks, and accepts.

use http::Method;
use sidekey_protocol::revocation::restore::{Accept, Accepted, RestoreStatus};

use crate::admin::Admin;
use crate::error::Error;

impl Admin {
    /// How it stands; what [`Admin::accept_restore`] takes is [`RestoreStatus::tag`].
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn restore_status(&self) -> Result<RestoreStatus, Error> {
        self.transport().call(Method::GET, "/v1/restore").answer_up_to(STATUS_SIZE).send().await
    }

    /// Lets the service go on from where it is, if what is known is still what `tag` names.
    ///
    /// # Errors
    /// [`Error::Refused`] with `revocations_missing`; with `precondition_failed`: more was shown or reported; with
    /// `not_rolled_back`: there is nothing to accept, perhaps because this very call did it, and its answer was lost.
    pub async fn accept_restore(&self, accept: &Accept, tag: &str) -> Result<Accepted, Error> {
        let call = self.transport().call(Method::POST, "/v1/restore/accept").json(accept);
        call.if_match(tag).send().await
    }

    /// What [`Admin::accept_restore`] would do. Changes nothing.
    ///
    /// # Errors
    /// As [`Admin::accept_restore`].
    pub async fn would_accept_restore(&self, accept: &Accept) -> Result<Accepted, Error> {
        let call = self.transport().call(Method::POST, "/v1/restore/accept?dry_run=true").json(accept);
        call.repeatable().send().await
    }
}

/// Octets of the longest status: 256 reports.
const STATUS_SIZE: usize = 512 * 1024;
