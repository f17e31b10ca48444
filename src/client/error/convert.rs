//! What each refusal means for the app.

use std::borrow::Cow;
use std::sync::Arc;
use std::{fmt, io};

use sidekey_protocol::session::envelope;
use sidekey_protocol::{audit, keys, object, pairing, policy};

use super::{Downgrade, Error, Tampered, Unintelligible, Usage, XdmsTrouble};

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Usage> for Error {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<XdmsTrouble> for Error {
    fn from(trouble: XdmsTrouble) -> Self {
        Self::Xdms(trouble)
    }
}

impl From<Unintelligible> for Error {
    fn from(answer: Unintelligible) -> Self {
        Self::Answer(answer)
    }
}

impl From<envelope::Reject> for Error {
    fn from(reject: envelope::Reject) -> Self {
        use envelope::Reject as R;

        match reject {
            R::Expired => Self::Expired,
            R::CapabilitiesForeign
            | R::ContextForeign
            | R::GenerationOlder
            | R::OfferForeign
            | R::PolicyForeign
            | R::SuiteDowngraded
            | R::SuiteLegacy
            | R::SuiteUnknown => Self::Downgrade(Downgrade::Envelope(reject)),
            _ => Self::Tampered(Tampered::Envelope(reject)),
        }
    }
}

impl From<audit::proof::Reject> for Error {
    fn from(reject: audit::proof::Reject) -> Self {
        Self::Tampered(Tampered::Audit(reject))
    }
}

impl From<keys::Reject> for Error {
    fn from(reject: keys::Reject) -> Self {
        match reject {
            keys::Reject::Older => Self::Downgrade(Downgrade::Keys(reject)),
            _ => Self::Tampered(Tampered::Keys(reject)),
        }
    }
}

impl From<policy::Reject> for Error {
    fn from(reject: policy::Reject) -> Self {
        use policy::Reject as R;

        match reject {
            R::ContentChanged | R::Older | R::SuiteLegacy | R::SuiteUnsupported => {
                Self::Downgrade(Downgrade::Policy(reject))
            }
            _ => Self::Tampered(Tampered::Policy(reject)),
        }
    }
}

impl From<pairing::Refusal> for Error {
    fn from(refusal: pairing::Refusal) -> Self {
        use pairing::Refusal as R;

        match refusal {
            // A mistyped code, most of the time: only the user can tell.
            R::CodeMismatch => Self::refused("code_mismatch", &refusal),
            R::RoleMismatch => Self::refused("role_mismatch", &refusal),
            R::PolicyMismatch => Self::Downgrade(Downgrade::Pairing(refusal)),
            R::BadBox
            | R::BadKemCiphertext
            | R::BadServiceKey
            | R::BadShare
            | R::MalformedBox
            | R::PinMismatch
            | R::Unsigned
            | R::UserMismatch => Self::Tampered(Tampered::Pairing(refusal)),
        }
    }
}

impl From<pairing::rekey::Refusal> for Error {
    fn from(refusal: pairing::rekey::Refusal) -> Self {
        Self::Tampered(Tampered::Rekey(refusal))
    }
}

impl From<object::Reject> for Error {
    fn from(reject: object::Reject) -> Self {
        use object::Reject as R;

        match reject {
            R::OtherExtent
            | R::OtherFlags
            | R::OtherGeneration
            | R::OtherItem
            | R::OtherKind
            | R::OtherMailbox
            | R::OtherPosition
            | R::OtherSession
            | R::OtherSubject
            | R::OtherUidValidity => Self::WrongPlace(reject),
            _ => Self::Tampered(Tampered::Object(reject)),
        }
    }
}

impl Error {
    fn refused(code: &'static str, reject: &dyn fmt::Display) -> Self {
        Self::Refused { code: Cow::Borrowed(code), detail: reject.to_string() }
    }
}
