//! What the fuzzer sees of what an SMS gateway says (feature `fuzz`, of nobody else).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Gateway;
use crate::outcome::{ReceiptId, Undelivered};
use crate::web::Answer;

/// What this answer says of a message that is called `name`.
///
/// # Errors
/// It was not taken.
pub fn outcome(
    gateway: &Gateway,
    (status, headers, body): (StatusCode, HeaderMap, Bytes),
    name: &str,
) -> Result<ReceiptId, Undelivered> {
    gateway.outcome(&Answer { status, headers, body }, name)
}
