//! Refusals as RFC 9457 problem documents, and what each step's refusals look like from outside.
//!
//! A handler returns a [`Problem`]; the edge (`limits.rs`) writes the document, because it knows the request id.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::pairing::{credential, rekey};
use sidekey_protocol::policy::setting::Unsettable;
use sidekey_protocol::{pairing, revocation, session, token};

pub use super::code::Code;
use crate::fault::Fault;
use crate::health::Check;
use crate::store::{self, Refusal, Refused};

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

impl From<pairing::Reject> for Problem {
    /// proto/pairing/spec.md section 6.
    fn from(reject: pairing::Reject) -> Self {
        use pairing::Reject as R;
        let code = match reject {
            R::ApprovalForeign => Code::RoleForbidden,
            R::ApprovalOver => Code::ApprovalOver,
            R::ApprovalPending | R::MatchPending => Code::ApprovalPending,
            R::AttemptsSpent | R::InvitationCancelled | R::InvitationExpired => Code::InvitationOver,
            R::BadBox | R::BadLabel | R::BadOffer | R::KeyMismatch | R::MalformedBox | R::Unsigned => {
                Code::BoxInvalid
            }
            R::BadKemKey | R::BadShare => Code::ShareInvalid,
            R::CodeMismatch => Code::CodeMismatch,
            R::DigitsDiffer | R::DigitsSpent => Code::DigitsMismatch,
            R::DeviceLimit => Code::DeviceLimit,
            R::ExchangeExpired | R::StateUnknown => Code::ExchangeOver,
            R::FinishDiffers => Code::FinishConflict,
            R::InvitationUnknown => Code::NotFound,
            R::KeyRetired => Code::KeyRetired,
            R::LegacySuite => Code::SuiteForbidden,
            R::NoCommonSuite => Code::NoCommonSuite,
            R::TtlOutOfRange => Code::TtlOutOfRange,
            R::UserMismatch => Code::UserMismatch,
        };
        Self::because(code, &reject)
    }
}

impl From<rekey::Reject> for Problem {
    /// proto/pairing/spec.md section 9.
    fn from(reject: rekey::Reject) -> Self {
        use rekey::Reject as R;
        let code = match reject {
            R::BadKemKey | R::BadPoint => Code::ShareInvalid,
            R::EpochOver => Code::RekeyFirst,
            R::EpochPassed => Code::EpochPassed,
            R::EpochUnknown => Code::KekUnknown,
            R::Lapsed => Code::Lapsed,
        };
        Self::because(code, &reject)
    }
}

impl From<credential::Reject> for Problem {
    /// proto/pairing/spec.md section 12.
    fn from(reject: credential::Reject) -> Self {
        use credential::Reject as R;
        let code = match reject {
            R::LabelTaken => Code::CredentialExists,
            R::Limit => Code::CredentialLimit,
            R::TtlOutOfRange => Code::TtlOutOfRange,
            // Which part is wrong is not told.
            R::Wrong => return Code::CredentialWrong.into(),
        };
        Self::because(code, &reject)
    }
}

impl From<session::Reject> for Problem {
    fn from(reject: session::Reject) -> Self {
        use session::Reject as R;
        let code = match reject {
            R::AudienceAmbiguous => Code::AudienceAmbiguous,
            R::AudienceRepeated => Code::AudienceRepeated,
            // What does not exist and what is not yours look the same.
            R::AudienceUnknown | R::SessionUnknown => Code::NotFound,
            R::BatchSize => Code::BatchSize,
            R::CapabilitiesMalformed => Code::CapabilitiesMalformed,
            R::CarrierUnknown => Code::CarrierUnknown,
            R::GenerationPassed => Code::GenerationPassed,
            R::GenerationRevoked => Code::GenerationRevoked,
            R::GenerationUnknown => Code::GenerationUnknown,
            R::GenerationsSpent => Code::GenerationsSpent,
            R::IdempotencyKeyMalformed => Code::IdempotencyKeyMalformed,
            R::IdempotencyKeyMissing => Code::IdempotencyKeyMissing,
            R::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            R::SessionEnded => Code::SessionEnded,
            R::SessionExpired => Code::SessionExpired,
            R::SessionLimit => Code::SessionLimit,
            R::SuiteLegacy => Code::SuiteForbidden,
            R::SuiteNone => Code::NoCommonSuite,
            R::SuitesMalformed => Code::BodyInvalid,
            R::TtlBeyondPolicy | R::TtlOutOfRange => Code::TtlOutOfRange,
        };
        Self::because(code, &reject)
    }
}

impl From<Unsettable> for Problem {
    fn from(reject: Unsettable) -> Self {
        let code = match reject {
            Unsettable::SuiteLegacy => Code::SuiteForbidden,
            _ => Code::PolicyInvalid,
        };
        let fault = FieldError { field: reject.member().to_owned(), fault: FieldFault::Invalid };
        let cause = Some(reject.to_string());
        Self::with(code, Members { errors: vec![fault], cause, ..Members::default() })
    }
}

impl From<token::Reject> for Problem {
    /// Two codes alone: what a caller does next is either to mend its clock or to mend itself. The log tells which check.
    fn from(reject: token::Reject) -> Self {
        use token::Reject as R;
        let code = match reject {
            R::Expired | R::IssuedInFuture => Code::TokenExpired,
            R::AlgorithmForeign
            | R::AudienceForeign
            | R::ClaimsMalformed
            | R::ExpiresBeforeIssued
            | R::HeaderMalformed
            | R::HeaderMembers
            | R::LifetimeTooLong
            | R::NotThreeParts
            | R::PartyMalformed
            | R::SignatureMalformed
            | R::SignatureWrong
            | R::TooLong
            | R::TypeForeign => Code::TokenInvalid,
        };
        tracing::debug!(%reject, "token");
        code.into()
    }
}

/// `None` where nothing is refused: what is revoked already stays so (204).
pub(crate) fn of_revocation(reject: revocation::Reject) -> Option<Problem> {
    use revocation::Reject as R;
    match reject {
        R::AlreadyRevoked => None,
        R::TargetForeign | R::TargetUnknown => Some(Code::NotFound.into()),
    }
}

impl From<store::Error> for Problem {
    /// Of a verb that refuses nothing that its caller has not checked.
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Fault(fault) => fault.into(),
            store::Error::Refused(Refused::Revoked(revocation)) => {
                Self::revoked(revocation.reason.as_str(), revocation.at)
            }
            store::Error::Refused(Refused::Lapsed) => rekey::Reject::Lapsed.into(),
            store::Error::Refused(Refused::Declined(refusal)) => Self::declined(&refusal),
            store::Error::Refused(Refused::Pairing(reject)) => reject.into(),
            store::Error::Refused(Refused::Pruned) => Code::LogPruned.into(),
            store::Error::Refused(Refused::Young) => Code::LogYoung.into(),
            store::Error::Refused(_) => Code::NotFound.into(),
        }
    }
}

impl From<Fault> for Problem {
    /// The log has the cause; outside, only what to do next differs.
    fn from(fault: Fault) -> Self {
        tracing::error!(error = &fault as &dyn std::error::Error, "store");
        Self::from(match fault {
            Fault::ClockBehind { .. } => Code::ClockStepped,
            Fault::RolledBack => Code::RolledBack,
            Fault::Fenced | Fault::Full | Fault::Io { .. } => Code::StoreUnavailable,
            Fault::Corrupt { .. }
            | Fault::Exists
            | Fault::FormatNewer { .. }
            | Fault::FormatOlder { .. }
            | Fault::FormatUnknown
            | Fault::Locked { .. }
            | Fault::Missing
            | Fault::RecordTooLarge
            | Fault::RootKeyWrong
            | Fault::SealKeysDamaged
            | Fault::Unsealable => Code::Internal,
        })
    }
}

#[cfg(test)]
mod tests {
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
