//! What stands before every handler: the edge (request id, headers, panics, the answer's last touches) and, for each
//! route, its guard (who may call, how long a body may be, how long an answer may take).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::pairing::rekey;
use sidekey_protocol::revocation::SealedHead;
use sidekey_protocol::revocation::wire::HEAD;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::auth::{self, Caller};
use super::layer::{Before, Behind};
use super::problem::{Code, Problem};
use super::rates::{Denied, NO_ROOM, Scope, Standing};
use super::stamp::{Dates, REQUEST_ID, RequestIds};
use super::trace::{TRACERESPONSE, Trace};
use super::{Route, Time, openapi};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Limits;
use crate::listener::Exchanges;
use crate::live::Live;
use crate::metrics::{Metrics, RouteMeter};
use crate::store::{self, Compared, Refused, Rights};

/// Octets of the longest path and query.
const URI_SIZE_MAX: usize = 2048;
/// Header lines of one request.
const HEADERS_MAX: usize = 64;
/// Headers that an answer has beside its handler's own.
const HEADERS: usize = 10;
/// Octets that a header line takes besides its name and value.
const HEADER_OVERHEAD: usize = 4;

/// What the edge needs.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) dates: Arc<Dates>,
    pub(crate) limits: Live<Limits>,
    /// Where requests are counted, if they are.
    pub(crate) metrics: Option<Arc<Metrics>>,
}

/// What the edge's log line says of an answer, left in its extensions by the guard.
#[derive(Clone, Debug)]
struct Answered {
    route: &'static Route,
    meter: Arc<RouteMeter>,
    party: Option<PartyId>,
}

/// The outermost layer: every request passes it, every answer leaves by it.
impl Before for Edge {
    async fn pass(self: Arc<Self>, request: Request, behind: Behind) -> Response {
        let started = Instant::now();
        let (id, trace) = self.ids.of(request.headers());
        // What is logged meanwhile can be found by either.
        let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default(), %trace);
        let method = request.method().clone();
        let exchange = Exchanges::begin(request.extensions());
        let in_flight = self.metrics.as_deref().map(Metrics::begun);
        let answer = match self.refuse(&request) {
            Some(code) => Problem::from(code).into_response(),
            None => AssertUnwindSafe(behind.answer(request))
                .catch_unwind()
                .instrument(span)
                .await
                .unwrap_or_else(|_| Problem::from(Code::Internal).into_response()),
        };
        let response = self.finish(answer, &id, trace);
        let took = started.elapsed();
        drop(in_flight);
        self.count(&response, took);
        note(&method, &response, (&id, trace), took);
        match exchange {
            Some(exchange) => exchange.answered_by(response),
            None => response,
        }
    }
}

impl Edge {
    /// Refuses what is too long to look at, and what two readers could take to be for two hosts.
    fn refuse(&self, request: &Request) -> Option<Code> {
        let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        if uri > URI_SIZE_MAX {
            return Some(Code::UriTooLong);
        }
        let headers = request.headers();
        let octets: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum();
        if headers.len() > HEADERS_MAX || uri + octets > self.limits.get().headers_size_bytes {
            return Some(Code::HeadersTooLarge);
        }
        // RFC 9112, section 3.2. In HTTP/2 the request's own address names the host.
        let hosts = headers.get_all(header::HOST).iter().count();
        (request.version() == Version::HTTP_11 && hosts != 1).then_some(Code::HostInvalid)
    }

    fn count(&self, response: &Response, took: Duration) {
        let Some(metrics) = &self.metrics else { return };
        let refused = response.extensions().get::<Problem>().map(|problem| problem.code);
        let answered = response.extensions().get::<Answered>();
        let meter = answered.map_or(metrics.unrouted(), |answered| &answered.meter);
        meter.answered(response.status().as_u16(), refused, took);
    }

    /// Writes the document of a refusal, and the headers that every answer carries.
    fn finish(&self, mut response: Response, id: &HeaderValue, trace: Trace) -> Response {
        if let Some(problem) = response.extensions().get::<Problem>() {
            let document = problem.document(id.to_str().unwrap_or_default());
            response.headers_mut().insert(header::CONTENT_LENGTH, document.len().into());
            *response.body_mut() = Body::from(document);
        }
        let headers = response.headers_mut();
        // Ours, not hyper's: callers learn from it the clock that judges their tokens.
        headers.insert(header::DATE, self.dates.of(self.clock.now()));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REQUEST_ID, id.clone());
        headers.insert(TRACERESPONSE, trace.header());
        response
    }
}

/// One event for each outcome: quiet when it went well, loud when the service failed. Probes of its health come all the
/// time: `health.rs` says when what they find changes.
fn note(method: &http::Method, response: &Response, (id, trace): (&HeaderValue, Trace), took: Duration) {
    let answered = response.extensions().get::<Answered>();
    let route = answered.map_or("-", |answered| answered.route.path);
    let probed = answered.is_some_and(|answered| answered.route.is_probe());
    let party = answered.and_then(|answered| answered.party).map(tracing::field::display);
    let code = response.extensions().get::<Problem>().map_or("-", |problem| problem.code.as_str());
    let status = response.status().as_u16();
    let (id, took_us) = (id.to_str().unwrap_or_default(), took.as_micros());
    match status {
        _ if probed => tracing::debug!(%method, route, status, code, id, %trace, took_us, "probed"),
        500.. => tracing::error!(%method, route, status, code, party, id, %trace, took_us, "failed"),
        400.. => tracing::info!(%method, route, status, code, party, id, %trace, took_us, "refused"),
        _ => tracing::debug!(%method, route, status, party, id, %trace, took_us, "answered"),
    }
}

/// What a route's guard needs.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) app: App,
    pub(crate) route: &'static Route,
    pub(crate) meter: Arc<RouteMeter>,
}

/// What a guard finds out of a request, whether it lets it through or not.
#[derive(Debug, Default)]
struct Found {
    party: Option<PartyId>,
    standing: Option<Standing>,
}

/// Stands before one route's handler: its row of the table, enforced.
impl Before for Guard {
    async fn pass(self: Arc<Self>, request: Request, behind: Behind) -> Response {
        let mut found = Found::default();
        let mut response = match self.admit(request, &mut found).await {
            Ok(request) => self.answer(behind.answer(request)).await,
            Err(problem) => {
                self.app.metrics.not_admitted(problem.code);
                problem.into_response()
            }
        };
        // Once for all that is added here and at the edge.
        response.headers_mut().reserve(HEADERS);
        let announced = openapi::announces(self.route, &response);
        #[cfg(test)]
        assert!(announced, "a refusal that its route's row does not announce");
        if !announced {
            tracing::error!(route = self.route.path, "a refusal that its route's row does not announce");
        }
        if self.route.time == Time::Stream {
            // Where axum says that a stream may be kept and asked for again.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(standing) = found.standing {
            standing.write(response.headers_mut());
        }
        if found.party.is_some() {
            let head = HeaderValue::try_from(self.app.store.head().to_string());
            response.headers_mut().insert(HEAD, head.expect("base64url is visible ASCII"));
        }
        let answered = Answered { route: self.route, meter: self.meter.clone(), party: found.party };
        response.extensions_mut().insert(answered);
        response
    }
}

impl Guard {
    /// Lets through a caller who may call, and not too often, with a body of bearable length, read whole.
    async fn admit(&self, mut request: Request, found: &mut Found) -> Result<Request, Problem> {
        let announced = request.body().size_hint().lower();
        if announced > self.route.body_size_bytes as u64 {
            return Err(Code::BodyTooLarge.into());
        }
        self.compare(request.headers()).await?;
        if self.route.who.is_anybody() {
            if let Some(scope) = self.route.scope() {
                self.count_address(&request, scope, found)?;
            }
        } else {
            let afford = || self.count_address(&request, Scope::Token, found);
            let mut caller = auth::caller(&self.app, request.headers(), afford)?;
            found.party = Some(caller.party());
            self.count_party(&caller, found)?;
            self.permit(&caller).await?;
            if !self.route.ends_things() {
                self.app.store.clock_holds()?;
            }
            self.seen(&mut caller).await?;
            request.extensions_mut().insert(caller);
        }
        if request.body().is_end_stream() {
            return Ok(request);
        }
        let (head, body) = request.into_parts();
        let body = read(body, self.route.body_size_bytes, &self.app.limits.get()).await?;
        Ok(Request::from_parts(head, body))
    }

    /// Holds the head that the caller shows, whoever it is, against ours: a party may have been paired, and the head seen,
    /// after the copy was made that this service was restored from. Nobody else can invent one.
    async fn compare(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let store = &self.app.store;
        if let Some(shown) = headers.get(HEAD) {
            let shown = shown.to_str().ok().and_then(|text| text.parse::<SealedHead>().ok());
            match shown.map_or(Compared::Forged, |shown| store.compare(&shown)) {
                Compared::Forged => self.app.metrics.head_forged(),
                Compared::Later => {
                    store.roll_back(shown.ok_or(Code::Internal)?, self.claimed(headers)).await?
                }
                Compared::Ours => {}
            }
        }
        if store.is_rolled_back() && !self.route.answers_rolled_back() {
            return Err(Code::RolledBack.into());
        }
        Ok(())
    }

    /// Who shows it, when that can be told.
    fn claimed(&self, headers: &HeaderMap) -> Option<PartyId> {
        auth::caller(&self.app, headers, || Ok(())).ok().map(|caller| caller.party())
    }

    fn count_address(&self, request: &Request, scope: Scope, found: &mut Found) -> Result<(), Problem> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        // Nobody comes without an address; if somebody did, he would not go uncounted.
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let (limits, now) = (self.app.limits.get(), self.app.store.now());
        self.counted(self.app.rates.of_address(address, scope, &limits, now), found)
    }

    fn count_party(&self, caller: &Caller, found: &mut Found) -> Result<(), Problem> {
        let Some(scope) = self.route.scope() else { return Ok(()) };
        let (limits, now) = (self.app.limits.get(), self.app.store.now());
        self.counted(self.app.rates.of_party(&caller.party, scope, &limits, now), found)
    }

    fn counted(&self, taken: Result<Standing, Denied>, found: &mut Found) -> Result<(), Problem> {
        match taken {
            Ok(standing) => {
                found.standing = Some(standing);
                Ok(())
            }
            Err(Denied::Empty(standing)) => {
                found.standing = Some(standing);
                self.app.metrics.rate_limited(standing.scope.as_str());
                Err(Problem::later(Code::RateLimited, standing.wait_s))
            }
            Err(Denied::Full) => {
                self.app.metrics.rate_limited(NO_ROOM);
                Err(Code::Overloaded.into())
            }
        }
    }

    /// Whether this route is for the caller, who is not over: nobody has used it for too long, or approved it in time.
    async fn permit(&self, caller: &Caller) -> Result<(), Problem> {
        let store = &self.app.store;
        if !self.route.who.admits(caller) {
            return Err(Code::RoleForbidden.into());
        }
        if caller.party.is_idle(store.now()) && store.lapse(caller.party()).await? {
            return Err(rekey::Reject::Lapsed.into());
        }
        if self.route.who.turns_away_confirmed() {
            caller.party.still_live().map_err(store::Error::from)?;
        }
        Ok(())
    }

    /// What a pairing's request says of it, durably: the first one ends the repetition of its `finish`, the first under its
    /// next epoch erases the one before.
    async fn seen(&self, caller: &mut Caller) -> Result<(), Problem> {
        let (store, id) = (&self.app.store, caller.party());
        let Rights::Pairing { .. } = caller.party.rights else { return Ok(()) };
        store.touch(id);
        if !caller.party.used {
            store.mark_used(id).await?;
        }
        if let Some(kek) = caller.kek.filter(|kek| caller.party.next_kek == Some(*kek)) {
            // Another rekey may have taken its place meanwhile: then it is unknown, as the handler will find.
            match store.use_epoch(id, kek).await {
                Ok(()) | Err(store::Error::Refused(Refused::Absent)) => {}
                Err(error) => return Err(error.into()),
            }
            caller.party = store.party(id).ok_or(Code::NotFound)?;
        }
        Ok(())
    }

    async fn answer(&self, answer: impl Future<Output = Response>) -> Response {
        match self.route.time {
            Time::Stream => answer.await,
            Time::Answer => in_time(seconds(self.app.limits.get().answer_s), answer).await,
        }
    }
}

/// An answer, or word that it was not ready in time.
async fn in_time(time: Duration, answer: impl Future<Output = Response>) -> Response {
    timeout(time, answer).await.unwrap_or_else(|_| Problem::from(Code::AnswerTimeout).into_response())
}

/// Reads a whole body, up to a length and a time.
async fn read(body: Body, size_bytes: usize, limits: &Limits) -> Result<Body, Problem> {
    let read = Limited::new(body, size_bytes).collect();
    match timeout(seconds(limits.body_s), read).await {
        Ok(Ok(body)) => Ok(Body::from(body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Code::BodyTooLarge.into()),
        Ok(Err(_)) => Err(Code::BodyMalformed.into()),
        Err(_) => Err(Code::RequestTimeout.into()),
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests;
