//! Requests that the client crate would never send, and answers as they came.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde_json::Value;

/// A pool of connections to one service.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    /// Trusts the authority `ca` (PEM) alone.
    pub(crate) fn trusting(ca: &str) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca))
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Self(Client::builder(TokioExecutor::new()).build(https))
    }
}

/// TLS 1.3, trusting the authority `ca` (PEM) alone.
pub(crate) fn tls(ca: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(ca.as_bytes()).expect("the authority is PEM");
    roots.add(authority).expect("the authority is a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A request in the making.
#[derive(Debug)]
#[must_use = "nothing is asked until it is sent"]
pub struct Asking {
    http: Http,
    request: Request<Full<Bytes>>,
}

impl Asking {
    pub(crate) fn new(http: Http, method: Method, url: &str) -> Self {
        let request = Request::builder().method(method).uri(url).body(Full::default());
        Self { http, request: request.expect("the URL is one") }
    }

    /// Signed so.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// With this header too, as often as it is said.
    pub fn header(mut self, name: impl Into<HeaderName>, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("the value is one");
        self.request.headers_mut().append(name.into(), value);
        self
    }

    /// With an `Idempotency-Key`.
    pub fn once(self, key: &str) -> Self {
        self.header(HeaderName::from_static("idempotency-key"), key)
    }

    /// With this body, announced as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        let text = serde_json::to_string(body).expect("it is representable as JSON");
        self.header(CONTENT_TYPE, "application/json").body(text)
    }

    /// With these octets for a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sends it, once, and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        let (head, body) = self.begin().await;
        let body = body.collect().await.expect("the answer comes whole").to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Sends it, and reads the answer as a stream of events.
    ///
    /// # Panics
    /// When the answer is no such stream.
    pub async fn listen(self) -> EventStream {
        let (head, body) = self.begin().await;
        assert_eq!(head.status, 200);
        assert_eq!(head.headers[CONTENT_TYPE], "text/event-stream");
        EventStream { body, buffer: String::new(), last_id: None }
    }

    async fn begin(self) -> (http::response::Parts, Incoming) {
        self.http.0.request(self.request).await.expect("the service answers").into_parts()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body, which must be JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {text}", self.status))
    }

    /// That it is a success of this status.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// That it is this refusal, told by a problem document; gives the document without the request's name, which is
    /// all that two refusals of the same kind may differ in.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let mut problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:sidekey:problem:{code}"));
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401);
        problem["instance"].take();
        problem
    }
}

/// A stream of Server-Sent Events.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    buffer: String,
    last_id: Option<String>,
}

impl EventStream {
    /// The last id that the service told, with an event or as a sign of life.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Reads up to the next sign of life, which must come before any event; gives its id.
    ///
    /// # Panics
    /// When an event comes, or the stream ends.
    pub async fn quiet(&mut self) -> String {
        loop {
            if let Some(message) = self.take() {
                assert!(!message.contains("event:"), "{message}");
                return self.last_id.clone().expect("a sign of life has an id");
            }
            assert!(self.more().await, "the stream ends");
        }
    }

    /// The next message that is whole.
    fn take(&mut self) -> Option<String> {
        let (message, rest) = self.buffer.split_once("\n\n")?;
        let (message, rest) = (message.to_owned(), rest.to_owned());
        self.buffer = rest;
        if let Some(id) = message.lines().find_map(|line| line.strip_prefix("id:")) {
            self.last_id = Some(id.trim().to_owned());
        }
        Some(message)
    }

    /// More of the stream; false when it has ended.
    async fn more(&mut self) -> bool {
        let Some(frame) = self.body.frame().await else { return false };
        let octets = frame.expect("the stream does not break").into_data().expect("there are no trailers");
        self.buffer.push_str(std::str::from_utf8(&octets).expect("events are text"));
        true
    }

    /// The next event's name and data, heartbeats apart; `None` when the service has closed the stream.
    ///
    /// # Panics
    /// When the stream breaks, or says what is not text.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(message) = self.take() {
                let field =
                    |name| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
                // Where the head stands is told between the events that tests are about.
                if let (Some(event), Some(data)) =
                    (field("event:").filter(|name| *name != "head"), field("data:"))
                {
                    let data = serde_json::from_str(data).expect("an event's data is JSON");
                    return Some((event.to_owned(), data));
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }
}
