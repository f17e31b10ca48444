//! In which of its two forms an envelope leaves: JOSE in JSON, or COSE's 127 octets. And who is told what of a rotation.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use serde_json::json;
use sidekey_protocol::session::envelope::cose;
use sidekey_protocol::session::registry::SessionSeen;
use sidekey_protocol::session::wire::SessionKey;

use crate::http::described::{Answered, Asked, Operation};
use crate::http::extract::Json;

/// Which form is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// COSE_Encrypt0, where `Accept` names it.
    Cose,
    /// JSON around a JWE, whatever else is accepted.
    Jose,
}

/// An envelope on its way out.
#[derive(Debug)]
pub(crate) enum Wrapped {
    /// As [`Form::Cose`].
    Cose([u8; cose::SIZE]),
    /// As [`Form::Jose`].
    Jose(Json<SessionKey>),
}

/// What a rotation comes to.
#[derive(Debug)]
pub(crate) enum Turned {
    /// The server gets the new key.
    Key(Json<SessionKey>),
    /// An administrator sees the session.
    Seen(Json<SessionSeen>),
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        match self {
            Self::Key(key) => key.into_response(),
            Self::Seen(seen) => seen.into_response(),
        }
    }
}

impl Answered for Turned {
    fn describe(operation: &mut Operation<'_>) {
        <Json<SessionKey> as Answered>::describe(operation);
        operation.or_json::<SessionSeen>(200);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepted = parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let cose = accepted.flat_map(|value| value.split(',')).any(is_cose);
        Ok(if cose { Self::Cose } else { Self::Jose })
    }
}

/// `application/cose` with `cose-type="cose-encrypt0"` (RFC 9052, section 11.3), quoted or not, unless it is refused by
/// a weight of zero.
fn is_cose(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/cose"));
    let (mut encrypt0, mut refused) = (false, false);
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.trim_matches('"');
        encrypt0 |= name.eq_ignore_ascii_case("cose-type") && value.eq_ignore_ascii_case("cose-encrypt0");
        refused |= name.eq_ignore_ascii_case("q") && value.trim_matches(['0', '.']).is_empty();
    }
    essence && encrypt0 && !refused
}

impl IntoResponse for Wrapped {
    fn into_response(self) -> Response {
        match self {
            Self::Cose(envelope) => ([(CONTENT_TYPE, cose::MEDIA_TYPE)], envelope.to_vec()).into_response(),
            Self::Jose(json) => json.into_response(),
        }
    }
}

/// `Accept` is HTTP's own: the answer's media types say all of it.
impl Asked for Form {
    fn describe(_: &mut Operation<'_>) {}
}

impl Answered for Wrapped {
    fn describe(operation: &mut Operation<'_>) {
        <Json<SessionKey> as Answered>::describe(operation);
        operation.or_media(
            200,
            cose::MEDIA_TYPE,
            json!({ "schema": {
            "type": "string", "format": "binary", "minLength": cose::SIZE, "maxLength": cose::SIZE,
        } }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::is_cose;

    #[test]
    fn cose_is_what_names_its_type() {
        for range in [
            r#"application/cose; cose-type="cose-encrypt0""#,
            r#" Application/COSE;cose-type=cose-encrypt0;q=0.5"#,
            r#"application/cose;cose-type="COSE-Encrypt0";q=1"#,
        ] {
            assert!(is_cose(range), "{range}");
        }
        for range in [
            "",
            "*/*",
            "application/json",
            "application/cose",
            r#"application/cose; cose-type="cose-sign1""#,
            r#"application/cbor; cose-type="cose-encrypt0""#,
            r#"application/cose; cose-type="cose-encrypt0";q=0"#,
            r#"application/cose; cose-type="cose-encrypt0";q=0.000"#,
        ] {
            assert!(!is_cose(range), "{range}");
        }
    }
}
