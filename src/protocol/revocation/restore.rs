//! A service that was restored from an older copy: what it is shown, what parties report, and what its administrator
//! accepts (proto/revocation/spec.md, section 4).

use serde::{Deserialize, Serialize};

use super::wire::Revoked;
use super::{Reason, Target};
use crate::ids::{PartyId, Timestamp};

/// Revocations that a party reports at one time: the latest that it was told.
pub const REPORTED_MAX: usize = 64;

/// Answer to `GET /v1/restore`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RestoreStatus {
    /// Whether the service was shown a head that it does not have, and answers nothing else.
    pub rolled_back: bool,
    /// How many revocations the service has.
    pub revocations: u64,
    /// The head that it does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<ShownHead>,
    /// At least so many revocations are neither here nor reported.
    pub missing: u64,
    /// What parties report.
    pub reports: Vec<Report>,
}

impl RestoreStatus {
    /// Names what is known: the content of its `ETag`.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{}.{}", self.shown.map_or(0, |shown| shown.revocations), self.reports.len())
    }
}

/// A head that the service does not have.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ShownHead {
    /// How many revocations there were.
    pub revocations: u64,
    /// Who showed it; absent when that party is not known (any more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PartyId>,
    /// When.
    pub at: Timestamp,
}

/// A revocation that a party was told of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Report {
    /// What was revoked.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// When, as the party was told.
    pub at: Timestamp,
    /// Who reports it.
    pub by: PartyId,
}

/// `POST /v1/restore/reports`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// What the caller was told by events, at most 64.
    #[cfg_attr(feature = "openapi", schemars(length(max = REPORTED_MAX)))]
    pub revocations: Vec<Revoked>,
}

/// Answer to `POST /v1/restore/reports`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Reported {
    /// How many of them are news: neither revoked here nor reported before, and of things that are here.
    pub taken: u64,
}

/// `POST /v1/restore/accept`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// Go on although so many revocations are lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Revoke every pairing besides, and every proxy credential.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_all: bool,
    /// Every pairing but these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<PartyId>,
}

/// Answer to `POST /v1/restore/accept`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Accepted {
    /// Whether it was only asked what would be.
    pub dry_run: bool,
    /// From which count of revocations on the service goes on.
    pub revocations: u64,
    /// Reported revocations that are in force again.
    pub reapplied: u64,
    /// Pairings revoked: by those, by `revoke_all`, and what waited to be approved.
    pub pairings: u64,
    /// Proxy credentials revoked: by those, and by `revoke_all` all.
    pub credentials: u64,
    /// Sessions ended: all.
    pub sessions_ended: u64,
    /// Open invitations cancelled: all.
    pub invitations: u64,
}

/// Query of `POST /v1/restore/accept`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptQuery {
    /// Say what it would do, and do nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Revocations of which neither the service nor a report knows, at the least, when it has `own` of them, somebody has
/// seen a head after `shown`, and `reported` are news. Of another history with as many one at least is missing.
#[must_use]
pub fn missing(own: u64, shown: u64, reported: usize) -> u64 {
    shown.saturating_sub(own).max(1).saturating_sub(reported as u64)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn what_nobody_reports_is_missing() {
        assert_eq!(missing(3, 7, 0), 4);
        assert_eq!(missing(3, 7, 3), 1);
        assert_eq!(missing(3, 7, 9), 0);
        assert_eq!(missing(7, 7, 0), 1, "another history");
    }
}
