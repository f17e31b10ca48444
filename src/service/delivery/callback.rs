//! What a gateway says about a message later, by a request to us. Whoever has the URL may say it: it is shown, and
//! authorises nothing.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::crypto::{equal, sha256};
use sidekey_protocol::delivery::CarrierName;

use super::Outbox;
use super::reports::keep;
use crate::http::extract::{NoContent, Path, Said};
use crate::http::problem::{Code, Problem};

/// `GET /v1/reports/{carrier}/{token}`: a wrong token is a URL that does not exist.
pub(crate) async fn report(
    State(outbox): State<Arc<Outbox>>,
    Path((carrier, token)): Path<(CarrierName, String)>,
    said: Said,
) -> Result<NoContent, Problem> {
    kept(&outbox, carrier, &token, &said).await
}

/// `POST /v1/reports/{carrier}/{token}`: the same, in a form or as JSON.
pub(crate) async fn report_in_a_body(
    State(outbox): State<Arc<Outbox>>,
    Path((carrier, token)): Path<(CarrierName, String)>,
    said: Said,
) -> Result<NoContent, Problem> {
    kept(&outbox, carrier, &token, &said).await
}

async fn kept(
    outbox: &Outbox,
    carrier: CarrierName,
    token: &str,
    Said { query, body }: &Said,
) -> Result<NoContent, Problem> {
    let bearer = outbox.bearers.get(&carrier).ok_or(Code::NotFound)?;
    let callback = bearer.callback.as_ref().ok_or(Code::NotFound)?;
    // Hashes are compared: how long it takes tells nothing about the token.
    equal(&sha256(token.as_bytes()), &callback.token).map_err(|_| Code::NotFound)?;
    let report = callback.reader.read(query, body).ok_or(Code::QueryInvalid)?;
    keep(&outbox.store, bearer, report).await?;
    Ok(NoContent)
}
