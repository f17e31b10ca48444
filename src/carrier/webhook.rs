//! A carrier for whatever the enterprise has itself: it posts the sealed payload to a URL, signed.
//!
//! The signature is that of the Standard Webhooks specification, for which most languages have a library:
//! `webhook-signature: v1,` and base64 of HMAC-SHA-256(secret, `id.timestamp.body`). The body is JSON:
//!
//! ```json
//! {"kind": "envelope", "to": "+491700000000", "payload": "…base64url…"}
//! ```
//! | kind | payload |
//! |---|---|
//! | `envelope` | the octets, in base64url |
//! | `invitation` | the words |
//! | `document` | the XML |

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::ambient::Ambient;
use crate::outcome::{Receipt, ReceiptId, Refusal, Undelivered};
use crate::web::{Client, Roots, Url};
use crate::{Address, BadUrl, Carrier, Payload, xdms};

/// What is wrong with a webhook's settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misconfigured {
    /// A short one could be guessed from what it signed; the specification sets both ends.
    #[error("the secret has 24 to 64 octets")]
    Secret,
    /// Nothing to trust.
    #[error("{0}")]
    Url(#[from] BadUrl),
}

/// Posts to one URL.
pub struct Webhook {
    client: Client,
    url: Url,
    key: hmac::Key,
    ambient: Ambient,
}

impl Webhook {
    /// To `url`, signed with `secret`.
    ///
    /// # Errors
    /// [`Misconfigured`].
    pub fn new(url: Url, secret: &[u8], roots: &Roots, ambient: Ambient) -> Result<Self, Misconfigured> {
        if !(24..=64).contains(&secret.len()) {
            return Err(Misconfigured::Secret);
        }
        let client = Client::new(roots, DEADLINE)?;
        Ok(Self { client, url, key: hmac::Key::new(hmac::HMAC_SHA256, secret), ambient })
    }

    async fn post(&self, to: &Address, payload: &Payload) -> Result<Receipt, Undelivered> {
        let id = format!("msg_{}", URL_SAFE_NO_PAD.encode(self.ambient.random::<18>()));
        let answer = self.client.send(self.request(&id, body(to, payload))).await?;
        match answer.status {
            status if status.is_success() => Ok(Receipt::of(ReceiptId::new(&id))),
            // The specification's word for: not this one, never again.
            StatusCode::GONE => Err(Refusal::Address.into()),
            _ => Err(answer.undelivered(self.ambient.now())),
        }
    }

    fn request(&self, id: &str, body: String) -> Request<Full<Bytes>> {
        let timestamp = self.ambient.now().0.to_string();
        let signed = [id, &timestamp, &body].join(".");
        let signature = STANDARD.encode(hmac::sign(&self.key, signed.as_bytes()));
        Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(Full::new(body.into()))
            .expect("a URL that was parsed, and headers of plain text")
    }
}

impl Carrier for Webhook {
    fn send<'a>(
        &'a self,
        to: &'a Address,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(self.post(to, payload))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.url.as_str())
    }
}

fn body(to: &Address, payload: &Payload) -> String {
    let (kind, payload) = match payload {
        Payload::Sealed(sealed) => ("envelope", URL_SAFE_NO_PAD.encode(sealed.octets())),
        Payload::Invitation(invitation) => ("invitation", invitation.text().to_owned()),
        Payload::Document(document) => ("document", xdms::written(document)),
    };
    let to = match to {
        Address::Phone(phone) => phone.as_str(),
        Address::Xui(xui) => xui.as_str(),
    };
    serde_json::json!({ "kind": kind, "to": to, "payload": payload }).to_string()
}

const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use serde_json::Value;
    use sidekey_protocol::ids::Timestamp;

    use super::*;

    #[test]
    fn a_signature_is_that_of_the_vectors() {
        let vectors: Value = serde_json::from_str(include_str!("../../proto/delivery/vectors.json")).unwrap();
        for case in vectors["webhooks"].as_array().unwrap() {
            let at = Timestamp(case["timestamp"].as_u64().unwrap().try_into().unwrap());
            let secret = base16ct::lower::decode_vec(case["secret"].as_str().unwrap()).unwrap();
            let ambient = Ambient::new(move || at, ChaCha20Rng::seed_from_u64(1));
            let url = "https://example.com/hook".parse().unwrap();
            let webhook = Webhook::new(url, &secret, &Roots::Native, ambient).unwrap();
            let body = case["body"].as_str().unwrap();
            let request = webhook.request(case["id"].as_str().unwrap(), body.to_owned());
            assert_eq!(request.headers()["webhook-timestamp"], at.0.to_string());
            assert_eq!(request.headers()["webhook-signature"].to_str().unwrap(), case["signature"]);
            let said: Value = serde_json::from_str(body).unwrap();
            assert_eq!(said.to_string(), body, "and the members stand in this order");
        }
    }
}
