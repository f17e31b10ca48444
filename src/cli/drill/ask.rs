//! What the drill asks: requests that the client crate would never send, and answers as they came.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A request in the making.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is sent"]
pub struct Ask {
    pub(super) method: Method,
    /// Without the path of the service's own URL.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Ask {
    /// With this method, and nothing else yet.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Asks for what is at `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Says this, announced as JSON.
    ///
    /// # Panics
    /// When `body` is not representable as JSON, which no wire type is.
    pub fn post(path: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("wire types are representable as JSON");
        Self::new(Method::POST, path).header(CONTENT_TYPE, JSON).octets(body)
    }

    /// Signed so.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// With this header too, as often as it is said.
    ///
    /// # Panics
    /// When `value` cannot stand in a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("the drill's values can stand in a header");
        self.headers.append(name, value);
        self
    }

    /// With an `Idempotency-Key`.
    pub fn once(self, key: &str) -> Self {
        self.header(HeaderName::from_static("idempotency-key"), key)
    }

    /// With this body in the place of what it had, whatever it is.
    pub fn octets(mut self, octets: impl Into<Bytes>) -> Self {
        self.body = octets.into();
        self
    }

    /// The same, announced as something else.
    ///
    /// # Panics
    /// As [`Ask::header`].
    pub fn announced(mut self, kind: &str) -> Self {
        self.headers.remove(CONTENT_TYPE);
        self.header(CONTENT_TYPE, kind)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// What its problem document calls the refusal, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let problem: Value = serde_json::from_slice(&self.body).ok().filter(|_| self.status >= 400)?;
        problem["code"].as_str().map(str::to_owned)
    }

    /// For eyes: `410 invitation_over`, or `200`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.code() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }

    /// The body, which must be such a one.
    ///
    /// # Errors
    /// It is another.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

pub(super) const JSON: &str = "application/json";
