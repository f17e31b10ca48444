//! One request: what it carries, how often it may be said, and what its answer means.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderName, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::problem::{self, Problem};
use super::route::{Repeats, Sending};
use super::{ATTEMPT, JSON, Transport, unavailable};
use crate::error::{Error, Unavailable, Unintelligible};
use crate::rekey::Refused;

/// One request in the making.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    transport: &'a Transport,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Bytes,
    pub(super) idempotency_key: Option<String>,
    pub(super) condition: Option<(HeaderName, String)>,
    pub(super) repeats: Repeats,
    deadline: Duration,
    answer_max_bytes: usize,
}

impl<'a> Call<'a> {
    pub(super) fn new(transport: &'a Transport, method: Method, path: String) -> Self {
        let repeats = match method {
            Method::GET => Repeats::AtOnce,
            // What the first has ended, the second finds ended.
            Method::DELETE => Repeats::InTurn,
            _ => Repeats::Never,
        };
        Self {
            transport,
            method,
            path,
            body: Bytes::new(),
            idempotency_key: None,
            condition: None,
            repeats,
            deadline: transport.ambient().deadline(),
            answer_max_bytes: ANSWER_MAX_BYTES,
        }
    }

    /// With this body.
    ///
    /// # Panics
    /// When `body` is not representable as JSON, which no wire type is.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).expect("wire types are representable as JSON").into();
        self
    }

    /// With an `Idempotency-Key`, which makes it safe to retry.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self.repeats = Repeats::AtOnce;
        self
    }

    /// Only if what is there is still what `tag` names.
    pub fn if_match(mut self, tag: &str) -> Self {
        self.condition = Some((IF_MATCH, format!("\"{tag}\"")));
        self
    }

    /// Only if what is there is no longer what `tag` names: see [`Call::send_optional`].
    pub fn if_none_match(mut self, tag: &str) -> Self {
        self.condition = Some((IF_NONE_MATCH, format!("\"{tag}\"")));
        self
    }

    /// Says that the service answers a repetition as it answered the first.
    pub fn repeatable(mut self) -> Self {
        self.repeats = Repeats::InTurn;
        self
    }

    /// To be answered, retries and all, within this time instead of the transport's.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// With an answer of up to so many octets instead of 64 KiB.
    pub fn answer_up_to(mut self, octets: usize) -> Self {
        self.answer_max_bytes = octets;
        self
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// As [`Error`] says; an answer without content is [`Error::Answer`] here.
    pub async fn send<A: DeserializeOwned>(self) -> Result<A, Error> {
        self.send_optional().await?.ok_or(Error::Answer(Unintelligible::Malformed))
    }

    /// Sends it; `None` when the answer has no content (204), or is what the caller has already (304).
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn send_optional<A: DeserializeOwned>(self) -> Result<Option<A>, Error> {
        self.transport.ready().await?;
        for _ in 0..EPOCHS {
            let sent = self.transport.in_use();
            let said = self.said(sent).await?;
            if let Some(reply) = self.transport.settle(said, sent).await? {
                return Self::read(&reply);
            }
        }
        Err(unavailable(Unavailable::Busy))
    }

    /// Sends it under this epoch, whatever the service makes of that.
    pub(crate) async fn send_under<A: DeserializeOwned>(self, kek: [u8; 8]) -> Result<A, Error> {
        let reply = match self.said(Some(kek)).await? {
            Said::Answer(reply) => reply,
            Said::Refusal(reply) => return Err(reply.into_error()),
        };
        Self::read(&reply)?.ok_or(Error::Answer(Unintelligible::Malformed))
    }

    fn read<A: DeserializeOwned>(reply: &Reply) -> Result<Option<A>, Error> {
        if matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(None);
        }
        serde_json::from_slice(&reply.body).map(Some).map_err(|_| Error::Answer(Unintelligible::Malformed))
    }

    /// The same, in a box: every request of this crate passes here, and the compiler looks at what is inside once, not at
    /// each place again.
    fn said(
        &self,
        kek: Option<[u8; 8]>,
    ) -> Pin<Box<dyn Future<Output = Result<Said<Reply>, Error>> + Send + '_>> {
        Box::pin(self.say(kek))
    }

    /// Sends it until there is a success, a refusal, or no time left.
    async fn say(&self, kek: Option<[u8; 8]>) -> Result<Said<Reply>, Error> {
        let until = Instant::now() + self.deadline;
        let mut clock_mended = false;
        let mut attempt = 0;
        loop {
            let before = self.transport.link.offset_s.load(Ordering::Relaxed);
            let outcome = self.attempt(until, kek).await;
            let clock_was_wrong = self.transport.link.offset_s.load(Ordering::Relaxed) != before;
            match &outcome {
                Ok(reply) if reply.status.is_success() || self.is_known(reply) => {
                    return outcome.map(Said::Answer);
                }
                // Refused before it took effect: any request may be said again with the right time.
                Ok(reply) if reply.is_clock() && clock_was_wrong && !clock_mended => {
                    clock_mended = true;
                    continue;
                }
                _ => {}
            }
            match self.wait(attempt, &outcome) {
                Some(wait) if Instant::now() + wait < until => sleep(wait).await,
                _ => return outcome.map(Said::Refusal),
            }
            attempt += 1;
        }
    }

    /// The answer that the caller has already.
    fn is_known(&self, reply: &Reply) -> bool {
        let asked = self.condition.as_ref().is_some_and(|(name, _)| *name == IF_NONE_MATCH);
        asked && reply.status == StatusCode::NOT_MODIFIED
    }

    async fn attempt(&self, until: Instant, kek: Option<[u8; 8]>) -> Result<Reply, Error> {
        let left = until.saturating_duration_since(Instant::now());
        // Only what may be said twice is given up early: of the rest we want to know the outcome. Whoever has more
        // patience gives each attempt its share of it.
        let limit = if self.repeats == Repeats::Never { left } else { left.min(share(self.deadline)) };
        let asked = self.transport.link.addresses.first().clone();
        let sending = Sending { call: self, accept: JSON, kek };
        let answer = async { Reply::read(self.transport.route(sending).await?, self.answer_max_bytes).await };
        let outcome =
            timeout(limit, answer).await.unwrap_or_else(|_| Err(unavailable(Unavailable::Deadline)));
        let no_use = match &outcome {
            Ok(reply) => reply.status.is_server_error(),
            Err(error) => matches!(error, Error::Retry { .. }),
        };
        if no_use {
            self.transport.link.addresses.leave(&asked);
        }
        outcome
    }

    /// How long to wait before the next attempt; `None` when this outcome stands.
    fn wait(&self, attempt: u32, outcome: &Result<Reply, Error>) -> Option<Duration> {
        // Of what was refused before anything was done, any request may be said again.
        let undone = outcome.as_ref().is_ok_and(Reply::is_rate_limited);
        if attempt + 1 >= ATTEMPTS || (self.repeats == Repeats::Never && !undone) {
            return None;
        }
        let backoff = self.transport.backoff(attempt);
        match outcome {
            // That takes an administrator.
            Ok(reply) if reply.is_rolled_back() => None,
            Ok(reply) if matches!(reply.status.as_u16(), 429 | 503) => {
                Some(backoff + reply.retry_after().unwrap_or_default())
            }
            Err(Error::Retry { .. }) => Some(backoff),
            _ => None,
        }
    }
}

/// How long one attempt may take of what all may take together.
pub(super) fn share(deadline: Duration) -> Duration {
    ATTEMPT.max(deadline / ATTEMPTS)
}

/// What came of a request.
pub(super) enum Said<A> {
    /// A success.
    Answer(A),
    /// A problem document, or something in its place.
    Refusal(Reply),
}

/// A whole answer, within its limits.
pub(super) struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Reply {
    pub(super) async fn read(answer: Response<Incoming>, answer_max_bytes: usize) -> Result<Self, Error> {
        let (head, body) = answer.into_parts();
        let seconds = head.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let body = Limited::new(body, answer_max_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Error::Answer(Unintelligible::TooLarge)
            } else {
                unavailable(Unavailable::Interrupted)
            }
        })?;
        Ok(Self { status: head.status, retry_after: seconds.map(Duration::from_secs), body: body.to_bytes() })
    }

    /// The service found our clock wrong.
    fn is_clock(&self) -> bool {
        let problem = (self.status == StatusCode::UNAUTHORIZED).then(|| Problem::parse(&self.body)).flatten();
        problem.is_some_and(|problem| problem.code == "token_expired")
    }

    /// The service has lost revocations, and waits for its administrator.
    pub(super) fn is_rolled_back(&self) -> bool {
        let unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        unavailable && Problem::parse(&self.body).is_some_and(|problem| problem.code == "rolled_back")
    }

    /// The service found that we ask too often, and did nothing.
    fn is_rate_limited(&self) -> bool {
        let limited = self.status == StatusCode::TOO_MANY_REQUESTS;
        limited && Problem::parse(&self.body).is_some_and(|problem| problem.code == "rate_limited")
    }

    /// What it refuses of the epoch that the request was sent under.
    pub(super) fn epoch(&self) -> Option<Refused> {
        let problem = (self.status == StatusCode::CONFLICT).then(|| Problem::parse(&self.body)).flatten();
        problem.and_then(|problem| problem.epoch())
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after.or_else(|| Problem::parse(&self.body)?.retry_after())
    }

    pub(super) fn into_error(self) -> Error {
        let error = match Problem::parse(&self.body) {
            Some(problem) => problem.into_error(self.status),
            None => problem::foreign(self.status),
        };
        match (error, self.retry_after) {
            (Error::Retry { why, .. }, Some(after)) => Error::Retry { after, why },
            (error, _) => error,
        }
    }
}

const ATTEMPTS: u32 = 4;
/// Epochs under which one request is sent: the next, the one before, one that another process made, and a fresh one.
pub(super) const EPOCHS: u32 = 4;
pub(super) const ANSWER_MAX_BYTES: usize = 64 * 1024;
