//! Refusals as RFC 9457 problem documents.
//!
//! A handler returns a [`Problem`]; the edge (`limits.rs`) writes the document, because it knows the request id.

mod refusals;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use sidekey_protocol::ids::Timestamp;

pub(crate) use self::refusals::of_revocation;
pub use super::code::Code;
use crate::health::Check;
use crate::store::Refusal;

/// What every `type` starts with; the code follows.
pub const TYPE_PREFIX: &str = "urn:sidekey:problem:";

/// A refusal on its way out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Which.
    pub code: Code,
    /// What only some refusals tell.
    pub members: Option<Box<Members>>,
}

/// What only some refusals tell.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Members {
    /// Faulty members of the body or parameters of the query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Which of the checks behind a code failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What a readiness check looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Why it was revoked or refused: told to the party itself alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Seconds to wait before the next try; also in Retry-After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// One faulty member.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FieldError {
    /// Where: `target.pairing`, `capabilities[2]`.
    pub field: String,
    /// What is wrong with it.
    pub fault: FieldFault,
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldFault {
    /// It stands there twice.
    Duplicate,
    /// It is not what it should be.
    Invalid,
    /// It is not there.
    Missing,
    /// This route has no such member.
    Unknown,
}

/// The document itself.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    instance: &'a str,
    code: &'static str,
    #[serde(flatten)]
    members: Option<&'a Members>,
}

impl Problem {
    /// A revoked party's own: with the reason and the time.
    pub(crate) fn revoked(reason: &str, at: Timestamp) -> Self {
        Self::with(
            Code::Revoked,
            Members { reason: Some(reason.into()), revoked_at: Some(at), ..Members::default() },
        )
    }

    /// A refused party's own: with the reason, if anybody said one.
    pub(crate) fn declined(refusal: &Refusal) -> Self {
        let reason = refusal.reason.as_ref().map(|reason| reason.as_str().into());
        Self::with(Code::PairingRefused, Members { reason, ..Members::default() })
    }

    /// Not now, but in so many seconds.
    pub(crate) fn later(code: Code, seconds: u32) -> Self {
        Self::with(code, Members { retry_after: Some(seconds), ..Members::default() })
    }

    /// A body or query with one faulty member.
    pub(crate) fn field(code: Code, field: impl Into<String>, fault: FieldFault) -> Self {
        Self::with(
            code,
            Members { errors: vec![FieldError { field: field.into(), fault }], ..Members::default() },
        )
    }

    /// With everything that a readiness check looked at.
    pub(crate) fn with_checks(mut self, checks: Vec<Check>) -> Self {
        if !checks.is_empty() {
            self.members.get_or_insert_default().checks = checks;
        }
        self
    }

    /// The same refusal, about this member of a body that names many things.
    pub(crate) fn at(mut self, field: String) -> Self {
        let members = self.members.get_or_insert_default();
        members.errors.push(FieldError { field, fault: FieldFault::Invalid });
        self
    }

    /// With the check that failed. What does not exist says no more: not even which thing it is.
    fn because(code: Code, reject: &dyn std::error::Error) -> Self {
        match code {
            Code::NotFound => code.into(),
            _ => Self::with(code, Members { cause: Some(reject.to_string()), ..Members::default() }),
        }
    }

    /// With what this refusal alone can say.
    pub(crate) fn because_of(code: Code, cause: String) -> Self {
        Self::with(code, Members { cause: Some(cause), ..Members::default() })
    }

    fn with(code: Code, members: Members) -> Self {
        Self { code, members: Some(Box::new(members)) }
    }

    /// Seconds to wait before the next try, where that helps.
    const fn retry_after_s(code: Code) -> Option<u32> {
        match code {
            Code::AnswerTimeout | Code::Overloaded | Code::StoreUnavailable => Some(1),
            _ => None,
        }
    }

    /// The document, for the request named `instance`.
    pub(crate) fn document(&self, instance: &str) -> Vec<u8> {
        let document = Document {
            r#type: format!("{TYPE_PREFIX}{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            detail: self.code.detail(),
            instance,
            code: self.code.as_str(),
            members: self.members.as_deref(),
        };
        serde_json::to_vec(&document).expect("a document of texts and numbers serialises")
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        match Self::retry_after_s(code) {
            Some(seconds) => Self::with(code, Members { retry_after: Some(seconds), ..Members::default() }),
            None => Self { code, members: None },
        }
    }
}

impl IntoResponse for Problem {
    /// Status and headers; the document itself is the edge's to write.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).expect("each code has a real status");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code.status() == 401 {
            headers.insert(header::WWW_AUTHENTICATE, challenge(self.code));
        }
        if let Some(seconds) = self.members.as_ref().and_then(|members| members.retry_after) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// RFC 6750 section 3: no error code when no token came.
fn challenge(code: Code) -> HeaderValue {
    HeaderValue::from_static(match code {
        Code::TokenMissing => "Bearer",
        _ => "Bearer error=\"invalid_token\"",
    })
}

#[cfg(test)]
mod tests {
    use sidekey_protocol::{pairing, revocation, session};

    use super::*;

    #[test]
    fn a_code_has_one_name_and_a_status_of_refusal() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            let snake = code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(snake, "{code:?}");
            assert!(code.title().ends_with('.') && code.detail().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn what_does_not_exist_says_no_more() {
        let stranger = Problem::from(Code::NotFound);
        assert_eq!(Problem::from(pairing::Reject::InvitationUnknown), stranger);
        assert_eq!(Problem::from(session::Reject::SessionUnknown), stranger);
        assert_eq!(Problem::from(session::Reject::AudienceUnknown), stranger);
        assert_eq!(of_revocation(revocation::Reject::TargetForeign), Some(stranger));
        assert_eq!(of_revocation(revocation::Reject::AlreadyRevoked), None);
    }

    #[test]
    fn a_document_says_what_happened_and_what_to_do() {
        let problem = Problem::revoked("phone lost", Timestamp(7));
        let document: serde_json::Value = serde_json::from_slice(&problem.document("abc")).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "type": "urn:sidekey:problem:revoked",
                "title": "This was revoked.",
                "status": 410,
                "detail": "It does not come back: pair again.",
                "instance": "abc",
                "code": "revoked",
                "reason": "phone lost",
                "revoked_at": 7,
            })
        );
    }

    #[test]
    fn a_401_challenges() {
        for (code, challenge) in
            [(Code::TokenMissing, "Bearer"), (Code::TokenExpired, "Bearer error=\"invalid_token\"")]
        {
            let response = Problem::from(code).into_response();
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], challenge);
        }
    }
}
