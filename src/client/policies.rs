//! The administrator's policies: what is set for the service, a server or a user.

use http::Method;
use sidekey_protocol::policy::setting::Asked;
use sidekey_protocol::policy::wire::{PoliciesQuery, PolicyChange, PolicyRow, PolicyView, Whose};

use crate::admin::Admin;
use crate::error::Error;

impl Admin {
    /// The levels at which something is set, those that are asked for.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn policies(&self, filter: &PoliciesQuery) -> Result<Vec<PolicyRow>, Error> {
        self.all("/v1/policies", filter).await
    }

    /// What is set at a level, and what holds there.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: no such server.
    pub async fn policy(&self, whose: &Whose) -> Result<PolicyView, Error> {
        self.transport().call(Method::GET, whose.path()).send().await
    }

    /// Sets what a level says, whole, if its revision is still this one; says whom that concerns.
    ///
    /// # Errors
    /// [`Error::Refused`] with `precondition_failed`: somebody else changed it, or this very call did and its answer was
    /// lost; with `policy_invalid`.
    pub async fn set_policy(
        &self,
        whose: &Whose,
        setting: &Asked,
        revision: u32,
    ) -> Result<PolicyChange, Error> {
        let call = self.transport().call(Method::PUT, whose.path()).json(setting);
        call.if_match(&revision.to_string()).send().await
    }

    /// Whom [`Admin::set_policy`] would concern, and what would hold. Changes nothing.
    ///
    /// # Errors
    /// As [`Admin::set_policy`].
    pub async fn try_policy(&self, whose: &Whose, setting: &Asked) -> Result<PolicyChange, Error> {
        let path = format!("{}?dry_run=true", whose.path());
        self.transport().call(Method::PUT, path).json(setting).repeatable().send().await
    }
}
