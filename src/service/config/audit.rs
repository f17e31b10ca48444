//! `[audit]`: for how long the audit log is kept.

use serde::{Deserialize, Serialize};
use sidekey_protocol::audit::KEPT_DAYS_MIN;

/// For how long the audit log is kept.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Days for which every record is kept; 0 for ever.
    pub keep_days: u32,
}

impl Audit {
    /// Whether records would go that nobody may delete.
    pub(super) const fn keeps_too_little(&self) -> bool {
        self.keep_days > 0 && self.keep_days < KEPT_DAYS_MIN
    }
}
