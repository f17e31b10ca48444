//! What each step's refusals look like from outside, and our own faults.

use sidekey_protocol::pairing::{credential, rekey};
use sidekey_protocol::policy::setting::Unsettable;
use sidekey_protocol::{pairing, revocation, session, token};

use super::{Code, FieldError, FieldFault, Members, Problem};
use crate::fault::Fault;
use crate::store::{self, Refused};

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
