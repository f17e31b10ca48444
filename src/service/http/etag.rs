//! Conditional requests (RFC 9110, section 13), by strong entity tags alone.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use sidekey_protocol::crypto::sha256;
use sidekey_protocol::encoding::base64url;

use super::problem::{Code, Problem};

/// The entity tag of what is named `text`: visible ASCII without double quotes.
pub(crate) fn tag(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{text}\"")).expect("a tag is visible ASCII")
}

/// Whether the caller has what `tag` names already.
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    // Weakly compared, as the RFC says of this header.
    tags(headers, &IF_NONE_MATCH)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == *tag)
}

/// That the caller means what `tag` names, and no other state of it.
///
/// # Errors
/// 412; 428 when the caller does not say what it means.
pub(crate) fn is_meant(headers: &HeaderMap, tag: &HeaderValue) -> Result<(), Problem> {
    if !headers.contains_key(IF_MATCH) {
        return Err(Code::PreconditionRequired.into());
    }
    if tags(headers, &IF_MATCH).any(|meant| meant == "*" || meant == *tag) {
        Ok(())
    } else {
        Err(Code::PreconditionFailed.into())
    }
}

/// The members of a list of tags. (None of ours holds a comma.)
fn tags<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The request's `If-None-Match`.
#[derive(Debug)]
pub(crate) struct IfNoneMatch(HeaderMap);

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let named = parts.headers.get_all(IF_NONE_MATCH).iter();
        Ok(Self(named.map(|value| (IF_NONE_MATCH, value.clone())).collect()))
    }
}

/// A JSON answer under the tag of its content; 304 to whoever has it. Nothing secret: it may be kept, and is asked for
/// each time.
#[derive(Debug)]
pub(crate) struct Tagged<T> {
    pub(crate) value: T,
    pub(crate) unless: IfNoneMatch,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.value) {
            Ok(body) => tagged(body.into(), &self.unless),
            Err(_) => Problem::from(Code::Internal).into_response(),
        }
    }
}

/// `body`, which is JSON, under its tag.
pub(crate) fn tagged(body: Bytes, IfNoneMatch(unless): &IfNoneMatch) -> Response {
    let tag = tag(&base64url(&sha256(&body)[..16]));
    let known = is_known(unless, &tag);
    let headers = [(ETAG, tag), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_content_is_told_so() {
        let answer =
            |unless: HeaderMap| Tagged { value: "same", unless: IfNoneMatch(unless) }.into_response();
        let first = answer(HeaderMap::new());
        let known = answer(HeaderMap::from_iter([(IF_NONE_MATCH, first.headers()[ETAG].clone())]));
        assert_eq!((first.status().as_u16(), known.status().as_u16()), (200, 304));
        assert_eq!(first.headers()[ETAG], known.headers()[ETAG]);
        assert_eq!(answer(with(IF_NONE_MATCH, "\"other\"")).status(), 200);
    }

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn what_is_known_need_not_be_said_again() {
        for known in ["\"a\"", "\"x\", \"a\"", "W/\"a\"", "*"] {
            assert!(is_known(&with(IF_NONE_MATCH, known), &tag("a")), "{known}");
        }
        for other in ["a", "W/W/\"a\""] {
            assert!(!is_known(&with(IF_NONE_MATCH, other), &tag("a")), "{other}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag("a")));
    }

    #[test]
    fn a_change_says_what_it_changes() {
        let code = |headers: &HeaderMap| is_meant(headers, &tag("7")).map_err(|problem| problem.code);
        assert_eq!(code(&with(IF_MATCH, "\"7\"")), Ok(()));
        assert_eq!(code(&with(IF_MATCH, "*")), Ok(()));
        assert_eq!(code(&with(IF_MATCH, "W/\"7\"")), Err(Code::PreconditionFailed));
        assert_eq!(code(&with(IF_MATCH, "\"6\"")), Err(Code::PreconditionFailed));
        assert_eq!(code(&HeaderMap::new()), Err(Code::PreconditionRequired));
    }
}
