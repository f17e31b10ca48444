//! Approval: whose word a pairing needs whose code travelled electronically.

use serde::{Deserialize, Serialize};

/// Whose word a pairing needs before it may do anything.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nobody's: the code is handed over in person, or scanned.
    #[default]
    None,
    /// An administrator's.
    Admin,
    /// An administrator's, or that of another live device of the same user.
    Device,
}
