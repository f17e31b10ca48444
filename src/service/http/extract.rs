//! Extractors whose refusals are problem documents that name the faulty member, never a library's own words.

mod parse;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sidekey_protocol::session::{self, BodyHash, IdempotencyKey};

pub(super) use self::parse::{announced_as_json, parse, query};
use super::problem::{Code, Problem};

/// A JSON body, in and out.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct JsonOrNothing<T>(pub(crate) T);

/// The `Last-Event-ID` of a stream's reader that comes back.
#[derive(Debug)]
pub(crate) struct LastEventId(pub(crate) Option<String>);

/// A JSON answer about something that was made: 201.
#[derive(Debug)]
pub(crate) struct Created<T>(pub(crate) T);

/// An answer without content: 204.
#[derive(Debug)]
pub(crate) struct NoContent;

/// A JSON answer, or none where nothing was to be done: 200 or 204.
#[derive(Debug)]
pub(crate) struct JsonOrNoContent<T>(pub(crate) Option<T>);

/// The query's parameters.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// A query and a body as they came, whatever they are.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) query: String,
    pub(crate) body: Bytes,
}

/// The path's parameters. What is not an id names nothing: 404, as for an id that nobody has.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

/// The body as it came: what an idempotency key remembers is its hash.
#[derive(Debug)]
pub(crate) struct RawJson<T> {
    pub(crate) value: T,
    pub(crate) hash: BodyHash,
}

/// The `Idempotency-Key` of a request that creates something.
#[derive(Debug)]
pub(crate) struct Idempotency(pub(crate) IdempotencyKey);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        announced_as_json(request.headers())?;
        parse(&body(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for RawJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        announced_as_json(request.headers())?;
        let body = body(request, state).await?;
        Ok(Self { value: parse(&body)?, hash: BodyHash::of(&body) })
    }
}

impl<S: Send + Sync> FromRequest<S> for Said {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        Ok(Self { query, body: body(request, state).await? })
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let announced = announced_as_json(request.headers());
        let body = body(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        announced?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            Err(_) => Problem::from(Code::Internal).into_response(),
        }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl<T: Serialize> IntoResponse for JsonOrNoContent<T> {
    fn into_response(self) -> Response {
        self.0.map_or_else(|| NoContent.into_response(), |value| Json(value).into_response())
    }
}

/// The guard has read it already, within the route's limits.
async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|_| Code::BodyMalformed.into())
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Code::NotFound.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        match (keys.next(), keys.next()) {
            (None, _) => Err(session::Reject::IdempotencyKeyMissing.into()),
            (Some(_), Some(_)) => Err(Code::HeaderRepeated.into()),
            (Some(key), None) => {
                let text = key.to_str().map_err(|_| session::Reject::IdempotencyKeyMalformed)?;
                text.parse().map(Self).map_err(|reject: session::Reject| reject.into())
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut ids = parts.headers.get_all(LAST_EVENT_ID).iter();
        match (ids.next(), ids.next()) {
            (id, None) => Ok(Self(id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned()))),
            (_, Some(_)) => Err(Code::HeaderRepeated.into()),
        }
    }
}
