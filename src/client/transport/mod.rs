//! Requests to one service over TLS: signed, bounded in time and size, and retried where that does no harm.

mod call;
mod connect;
mod problem;
mod route;
#[cfg(test)]
mod several;
mod signer;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, USER_AGENT};
use http::{HeaderName, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::pairing::PublicUrl;
use sidekey_protocol::revocation::wire::HEAD;
use tokio::time::timeout;

use self::call::{EPOCHS, Reply, Said};
pub(crate) use self::connect::{HttpClient, http_client, is_untrusted};
use self::route::{Addresses, Sending};
use self::signer::Signer;
use crate::ambient::Ambient;
use crate::error::{Error, Unavailable, Unintelligible, Usage};
use crate::heads::Heads;
use crate::rekey::Epochs;

pub use self::call::Call;
pub use self::connect::Roots;
pub use self::signer::{Bearer, Identity};

/// A way to one service: a pool of connections, what is known of the service's clock, and who signs. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    link: Arc<Link>,
    signer: Option<Arc<Signer>>,
    /// Who says under which epoch a request is sent, and renews it.
    epochs: Option<Arc<Epochs>>,
    /// What is shown of the service's revocations, and learned.
    heads: Option<Arc<Heads>>,
}

struct Link {
    http: HttpClient,
    addresses: Addresses,
    ambient: Ambient,
    /// Seconds to add to our clock to get the service's.
    offset_s: AtomicI64,
}

impl Transport {
    /// To the service at `url`, trusting `roots`. Opens no connection; [`Roots::Native`] reads
    /// files.
    ///
    /// # Errors
    /// [`Error::Usage`]: no usable certificate in `roots`.
    pub fn new(url: &PublicUrl, roots: &Roots, ambient: Ambient) -> Result<Self, Error> {
        Self::at_several(url, &[], roots, ambient)
    }

    /// To the service at `url` and at `others`: several ways into one service, under one service id, with certificates
    /// from `roots` for each. Up to eight.
    ///
    /// # Errors
    /// As [`Transport::new`].
    pub fn at_several(
        url: &PublicUrl,
        others: &[PublicUrl],
        roots: &Roots,
        ambient: Ambient,
    ) -> Result<Self, Error> {
        let link = Link {
            http: http_client(roots)?,
            addresses: Addresses::new(url, others),
            ambient,
            offset_s: AtomicI64::new(0),
        };
        Ok(Self { link: Arc::new(link), signer: None, epochs: None, heads: None })
    }

    /// The same way to the same service, every request signed as `identity`.
    #[must_use]
    pub fn signed(&self, identity: Identity) -> Self {
        let signer = Some(Arc::new(Signer::new(identity)));
        Self { link: Arc::clone(&self.link), signer, epochs: None, heads: None }
    }

    /// The same, every request under the epoch that is in use, which is renewed when it is due.
    pub(crate) fn renewing(self, epochs: Arc<Epochs>) -> Self {
        Self { epochs: Some(epochs), ..self }
    }

    /// The same, every request with the highest head of the service's revocations.
    pub(crate) fn showing(self, heads: Arc<Heads>) -> Self {
        Self { heads: Some(heads), ..self }
    }

    /// A request in the making. `path` begins with `/` and may carry a query (see [`with_query`]).
    pub fn call(&self, method: Method, path: impl Into<String>) -> Call<'_> {
        Call::new(self, method, path.into())
    }

    /// The service's address; of several the one that is asked first.
    #[must_use]
    pub fn url(&self) -> &PublicUrl {
        self.link.addresses.first()
    }

    /// The time, by the service's clock as far as it is known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let here = i64::from(self.link.ambient.now().0);
        let there = here.saturating_add(self.link.offset_s.load(Ordering::Relaxed));
        Timestamp(u32::try_from(there.max(0)).unwrap_or(u32::MAX))
    }

    /// A bearer token, for requests that something else sends. Nothing is asked of the service; `None` where requests are
    /// not signed. It names no epoch: what is wrapped for it is wrapped under the one that the pairing is in.
    #[must_use]
    pub fn token(&self) -> Option<Bearer> {
        self.signer.as_ref().map(|signer| signer.token(self.now()))
    }

    pub(crate) fn ambient(&self) -> &Ambient {
        &self.link.ambient
    }

    /// Opens the body of a `text/event-stream` at `path`, with what came after the event `after`: the caller bounds its
    /// reading.
    pub(crate) async fn events(&self, path: &str, after: Option<&str>) -> Result<Incoming, Error> {
        let mut call = self.call(Method::GET, path);
        call.condition = after.map(|id| (LAST_EVENT_ID, id.to_owned()));
        let late = |_| unavailable(Unavailable::Deadline);
        self.ready().await?;
        for _ in 0..EPOCHS {
            let kek = self.in_use();
            let sending = Sending { call: &call, accept: EVENT_STREAM, kek };
            let answer = timeout(ATTEMPT, self.route(sending)).await.map_err(late)??;
            let said = if answer.status().is_success() {
                Said::Answer(answer)
            } else {
                let reply = Reply::read(answer, call::ANSWER_MAX_BYTES);
                Said::Refusal(timeout(ATTEMPT, reply).await.map_err(late)??)
            };
            if let Some(answer) = self.settle(said, kek).await? {
                return stream(answer);
            }
        }
        Err(unavailable(Unavailable::Busy))
    }

    /// Before a request: renews the epoch, when that is due.
    async fn ready(&self) -> Result<(), Error> {
        match &self.epochs {
            Some(epochs) => Box::pin(epochs.renew_if_due(self)).await,
            None => Ok(()),
        }
    }

    /// Names the epoch that requests are sent under.
    fn in_use(&self) -> Option<[u8; 8]> {
        self.epochs.as_ref().map(|epochs| epochs.in_use())
    }

    /// After a request: an epoch that was answered under erases the one before; one that is refused is left for another.
    /// `None`: the request, which has changed nothing, is to be sent again.
    async fn settle<A>(&self, said: Said<A>, sent: Option<[u8; 8]>) -> Result<Option<A>, Error> {
        let used = self.epochs.as_ref().zip(sent);
        if let Some(heads) = &self.heads {
            match &said {
                Said::Answer(_) => heads.answered(),
                Said::Refusal(reply) if reply.is_rolled_back() => heads.report(self).await,
                Said::Refusal(_) => {}
            }
        }
        match (said, used) {
            (Said::Answer(answer), Some((epochs, sent))) => {
                epochs.answered(sent).await;
                Ok(Some(answer))
            }
            (Said::Answer(answer), None) => Ok(Some(answer)),
            (Said::Refusal(reply), Some((epochs, sent))) => match reply.epoch() {
                Some(refused) if epochs.mend(refused, sent, self).await? => Ok(None),
                _ => Err(reply.into_error()),
            },
            (Said::Refusal(reply), None) => Err(reply.into_error()),
        }
    }

    /// One request, one answer's head; learns the service's clock from it.
    async fn exchange(&self, url: &PublicUrl, sending: Sending<'_>) -> Result<Response<Incoming>, Error> {
        let request = self.request(url, sending)?;
        let answer = self.link.http.request(request).await.map_err(|error| failed(&error))?;
        self.learn_clock(answer.headers());
        if let Some(heads) = &self.heads {
            heads.learn(answer.headers()).await;
        }
        Ok(answer)
    }

    fn request(
        &self,
        url: &PublicUrl,
        Sending { call, accept, kek }: Sending<'_>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{url}{}", call.path))
            .header(ACCEPT, accept)
            .header(USER_AGENT, concat!("sidekey-client/", env!("CARGO_PKG_VERSION")));
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some((name, value)) = &call.condition {
            request = request.header(name, value);
        }
        if let Some(head) = self.heads.as_ref().and_then(|heads| heads.header()) {
            request = request.header(HEAD, head);
        }
        if let Some(signer) = &self.signer {
            request = request.header(AUTHORIZATION, signer.bearer(self.now(), kek));
        }
        request.body(Full::new(call.body.clone())).map_err(|_| Error::Usage(Usage::Path))
    }

    fn learn_clock(&self, head: &HeaderMap) {
        let date = head.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let Some(date) = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok()) else {
            return;
        };
        let there = i64::try_from(date.as_secs()).unwrap_or(i64::MAX);
        let offset = there.saturating_sub(self.link.ambient.now().0.into());
        // A Date has whole seconds and was on its way for a while: less than that is noise.
        let offset = if offset.abs() <= CLOCK_NOISE_S { 0 } else { offset };
        self.link.offset_s.store(offset, Ordering::Relaxed);
    }

    /// Full jitter: evenly from nothing to an exponentially growing bound.
    fn backoff(&self, attempt: u32) -> Duration {
        let bound_ms = BACKOFF_MS.saturating_mul(1 << attempt.min(10)).min(BACKOFF_MAX_MS);
        Duration::from_millis(self.link.ambient.up_to(bound_ms))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.url())
    }
}

/// A path with a query, every value percent-encoded.
#[must_use]
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (n, (name, value)) in pairs.iter().enumerate() {
        text.push(if n == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&percent_encoded(value));
    }
    text
}

/// A value as it stands in a path or a query.
pub(crate) fn percent_encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(byte.into());
        } else {
            write!(text, "%{byte:02X}").expect("a String takes whatever is written");
        }
    }
    text
}

/// The body of an answer that is a stream of events.
fn stream(answer: Response<Incoming>) -> Result<Incoming, Error> {
    match answer.headers().get(CONTENT_TYPE) {
        Some(kind) if kind.as_bytes().starts_with(EVENT_STREAM.as_bytes()) => Ok(answer.into_body()),
        _ => Err(Error::Answer(Unintelligible::Malformed)),
    }
}

fn failed(error: &hyper_util::client::legacy::Error) -> Error {
    if is_untrusted(error) {
        return Error::Untrusted;
    }
    unavailable(if error.is_connect() { Unavailable::Connection } else { Unavailable::Interrupted })
}

fn unavailable(why: Unavailable) -> Error {
    Error::Retry { after: A_MOMENT, why }
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
/// One attempt, connecting included.
const ATTEMPT: Duration = Duration::from_secs(5);
const BACKOFF_MS: u64 = 100;
const BACKOFF_MAX_MS: u64 = 2_000;
const A_MOMENT: Duration = Duration::from_secs(1);
const CLOCK_NOISE_S: i64 = 2;
