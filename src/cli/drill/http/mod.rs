//! HTTP: bodies that are not what they must be, lines over which two readers could disagree, and paths that are none.
//!
//! What is asked is an invitation, by the administrator: the request that is worth most. The twin makes one.

mod bodies;
mod lines;
mod paths;

use serde_json::{Value, json};

use super::attack::Attack;
use super::ground::Ground;

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    [bodies::attacks(), lines::attacks(), paths::attacks()].into_iter().flatten().collect()
}

/// An invitation of a device of the drill's own.
fn honest(ground: &Ground) -> Value {
    json!({"role": "client", "server": ground.mail.name, "user": ground.fresh_user(), "ttl": 600, "approval": "none"})
}

const INVITATIONS: &str = "/v1/invitations";
