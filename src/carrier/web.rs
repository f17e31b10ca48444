//! One way to send an HTTP request: to one origin, over TLS or on this machine, bounded in time and size, and never
//! where an answer points.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sidekey_protocol::ids::Timestamp;
use tokio::time::timeout;
use tower_service::Service;

use crate::outcome::{Refusal, Trouble, Undelivered};

/// Why something is not a URL that a carrier sends to, or not an authority that it trusts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadUrl {
    /// No certificate in what is to be trusted.
    #[error("no usable certificate (PEM) to trust")]
    Authority,
    /// Not an absolute URL of http or https without user, query and fragment.
    #[error("not an absolute https URL without user, query and fragment")]
    Form,
    /// Credentials and addresses would be readable on the way.
    #[error("http in the clear, and not to this machine: use https, or say that it is to be unprotected")]
    Unprotected,
}

/// Whose certificates count.
#[derive(Clone, Debug)]
pub enum Roots {
    /// What the operating system trusts.
    Native,
    /// These certificates alone (PEM), pinned.
    Pem(String),
}

/// Where requests go: an origin and a path, with no slash at the end.
#[derive(Clone, Eq, PartialEq)]
pub struct Url(Arc<str>);

impl Url {
    /// Also `http` to another machine: for a network that is trusted with what it carries.
    ///
    /// # Errors
    /// [`BadUrl::Form`].
    pub fn unprotected(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::Form)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(BadUrl::Form)?;
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let formed = matches!(uri.scheme_str(), Some("http" | "https"))
            && !authority.contains('@')
            && uri.query().is_none()
            && !text.contains('#')
            && !host.is_empty();
        if formed { Ok(Self(text.trim_end_matches('/').into())) } else { Err(BadUrl::Form) }
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_protected(&self) -> bool {
        let host =
            self.0.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let here =
            bare.parse::<std::net::IpAddr>().map_or(bare == "localhost", |address| address.is_loopback());
        self.0.starts_with("https:") || here
    }
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let url = Self::unprotected(text)?;
        if url.is_protected() { Ok(url) } else { Err(BadUrl::Unprotected) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sends requests.
pub(crate) struct Client {
    http: legacy::Client<Timed<HttpsConnector<HttpConnector>>, Full<Bytes>>,
    deadline: Duration,
}

/// What came back: the body whole, or not at all.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// That trusts `roots`, and gives a request `deadline` for everything together.
    pub(crate) fn new(roots: &Roots, deadline: Duration) -> Result<Self, BadUrl> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http1_max_buf_size(HEAD_MAX)
            .build(Timed(https));
        Ok(Self { http, deadline })
    }

    /// Sends, and reads the answer's body, up to a bound.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
        let exchange = async {
            let (head, body) = self.http.request(request).await.map_err(|error| failed(&error))?.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(cut_short)?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        timeout(self.deadline, exchange).await.map_err(|_| Trouble::Deadline)?
    }

    /// Sends, and wants the answer's head alone: of its body no more is read than keeps a connection.
    pub(crate) async fn head(&self, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
        let exchange = async {
            let (head, body) = self.http.request(request).await.map_err(|error| failed(&error))?.into_parts();
            drain(body).await;
            Ok(Answer { status: head.status, headers: head.headers, body: Bytes::new() })
        };
        timeout(self.deadline, exchange).await.map_err(|_| Trouble::Deadline)?
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Answer {
    /// What an answer that is no success means.
    pub(crate) fn undelivered(&self, now: Timestamp) -> Undelivered {
        let trouble = match self.status.as_u16() {
            300..=399 => Trouble::Redirected,
            401 | 403 | 407 => Trouble::Credentials,
            408 => Trouble::Deadline,
            429 => Trouble::Throttled,
            100..=199 | 500.. => Trouble::Bearer,
            status => return Refusal::Status(status.into()).into(),
        };
        match (trouble, self.retry_after_s(now)) {
            (Trouble::Throttled | Trouble::Bearer, Some(seconds)) => trouble.retry_s(seconds),
            _ => trouble.retry(),
        }
    }

    /// `Retry-After`, in seconds or as a date, and no more than a day.
    fn retry_after_s(&self, now: Timestamp) -> Option<u64> {
        let said = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        let until = |date: SystemTime| {
            let date = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Some(date.as_secs().saturating_sub(now.0.into()))
        };
        let seconds = said.parse().ok().or_else(|| until(httpdate::parse_http_date(said).ok()?))?;
        Some(seconds.clamp(1, DAY_S))
    }
}

/// A value as it stands in a segment of a path (RFC 3986, section 3.3), `kept` beside the unreserved characters.
pub(crate) fn percent_encoded(value: &[u8], kept: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            text.push(byte.into());
        } else {
            write!(text, "%{byte:02X}").expect("a String takes whatever is written");
        }
    }
    text
}

/// TLS 1.3, and `roots` alone.
pub(crate) fn tls_config(roots: &Roots) -> Result<ClientConfig, BadUrl> {
    let mut store = RootCertStore::empty();
    match roots {
        // One unreadable certificate of a system's hundreds must not cost it all the others.
        Roots::Native => {
            let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Roots::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| BadUrl::Authority)?;
                store.add(certificate).map_err(|_| BadUrl::Authority)?;
            }
            if store.is_empty() {
                return Err(BadUrl::Authority);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .with_root_certificates(store)
        .with_no_client_auth())
}

/// Whether TLS refused the peer's certificate, somewhere down the chain of causes.
pub(crate) fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An io::Error hands out its inner error's source, not its inner error.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    false
}

fn failed(error: &legacy::Error) -> Trouble {
    if is_untrusted(error) {
        Trouble::Untrusted
    } else if error.is_connect() {
        Trouble::Connection
    } else {
        Trouble::Interrupted
    }
}

fn cut_short(error: Box<dyn StdError + Send + Sync>) -> Trouble {
    if error.is::<LengthLimitError>() { Trouble::Oversized } else { Trouble::Interrupted }
}

/// Reads a short body to its end, which keeps the connection; a long one ends it.
async fn drain(body: Incoming) {
    let _ = Limited::new(body, ANSWER_MAX).collect().await;
}

/// Bounds connecting as a whole: name, TCP and TLS. (The connector's own limit ends with TCP.)
#[derive(Clone)]
struct Timed<S>(S);

impl<S> Service<Uri> for Timed<S>
where
    S: Service<Uri, Error = Box<dyn StdError + Send + Sync>>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
            timeout(CONNECT, connecting).await.map_err(late)?
        })
    }
}

/// Connecting, TLS included.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
const POOL_IDLE: Duration = Duration::from_secs(20);
const HEAD_MAX: usize = 32 * 1024;
/// Octets of an answer's body that are ever held.
const ANSWER_MAX: usize = 64 * 1024;
const DAY_S: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_does_not_travel_in_the_clear() {
        for url in [
            "https://xcap.example.com/root/",
            "http://127.0.0.1:13013",
            "http://[::1]:80/x",
            "http://localhost",
        ] {
            assert!(url.parse::<Url>().is_ok(), "{url}");
        }
        assert_eq!("http://10.0.0.1/x".parse::<Url>(), Err(BadUrl::Unprotected));
        assert_eq!("http://localhost.example.com/".parse::<Url>(), Err(BadUrl::Unprotected));
        assert!(Url::unprotected("http://10.0.0.1/x").is_ok());
        for url in [
            "",
            "/x",
            "ftp://a/",
            "https://user@a/",
            "https://a/?b",
            "https://a/#b",
            "https://",
            "mailto:a@b",
        ] {
            assert_eq!(url.parse::<Url>(), Err(BadUrl::Form), "{url}");
        }
    }

    #[test]
    fn retry_after_is_kept_to_in_both_its_forms_within_a_day() {
        let after = |said: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, said.parse().unwrap())]);
            let answer = Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body: Bytes::new() };
            answer.undelivered(Timestamp(784_111_777))
        };
        assert_eq!(after("120"), Trouble::Bearer.retry_s(120));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Trouble::Bearer.retry_s(60));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Trouble::Bearer.retry_s(1), "passed");
        assert_eq!(after("99999999999"), Trouble::Bearer.retry_s(86_400));
        assert_eq!(after("soon"), Trouble::Bearer.retry());
    }
}
