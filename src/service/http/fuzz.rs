//! What the fuzzer sees of how requests are read (feature `fuzz`, of nobody else).

use axum::extract::FromRequestParts;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request};
use serde::de::DeserializeOwned;

use super::etag;
use super::extract::{self, Idempotency, LastEventId};
use super::list::Listed;
use super::problem::{Code, Problem};
use super::trace::Trace;

/// A refusal, as whoever asked reads it.
#[derive(Debug)]
pub struct Refused {
    /// Which.
    pub code: Code,
    /// The document.
    pub document: Vec<u8>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, document: problem.document("a-request") }
    }
}

/// A body of JSON.
///
/// # Errors
/// As whoever sent it is told.
pub fn body<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Refused> {
    Ok(extract::parse(octets)?)
}

/// A query.
///
/// # Errors
/// As whoever asked is told.
pub fn query<T: DeserializeOwned>(text: &str) -> Result<T, Refused> {
    Ok(extract::query(text)?)
}

/// A list's query: how many, after what, and which.
///
/// # Errors
/// As whoever asked is told.
pub fn listed<F: DeserializeOwned>(text: &str) -> Result<(usize, u64, F), Refused> {
    let mut parts = parts(HeaderMap::new());
    parts.uri = format!("/?{text}").parse().map_err(|_| Problem::from(Code::QueryInvalid))?;
    let Listed { page, filter } = of(&mut parts)?;
    Ok((page.size, page.after, filter))
}

/// What is read of a request's headers.
#[derive(Debug)]
pub struct Headers {
    /// That its body is JSON.
    pub announced: Result<(), Refused>,
    /// Its `Idempotency-Key`.
    pub idempotency: Result<String, Refused>,
    /// Its `Last-Event-ID`.
    pub last_event: Result<Option<String>, Refused>,
    /// Whether its `If-None-Match` names the tag.
    pub known: bool,
    /// Whether its `If-Match` does.
    pub meant: Result<(), Refused>,
    /// The trace that its answer names.
    pub trace: HeaderValue,
}

impl Headers {
    /// Of a request, where `tag` is what there is.
    #[must_use]
    pub fn read(headers: &HeaderMap, tag: &str) -> Self {
        let (mut parts, tag) = (parts(headers.clone()), etag::tag(tag));
        Self {
            announced: extract::announced_as_json(headers).map_err(Refused::from),
            idempotency: of(&mut parts).map(|Idempotency(key)| key.as_str().to_owned()),
            last_event: of(&mut parts).map(|LastEventId(id)| id),
            known: etag::is_known(headers, &tag),
            meant: etag::is_meant(headers, &tag).map_err(Refused::from),
            trace: Trace::of(headers, 7, 9).header(),
        }
    }
}

fn parts(headers: HeaderMap) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers;
    parts
}

/// No extractor of these waits for anything.
fn of<T: FromRequestParts<(), Rejection = Problem>>(parts: &mut Parts) -> Result<T, Refused> {
    let read = T::from_request_parts(parts, &()).now_or_never().expect("it is all there");
    Ok(read?)
}
