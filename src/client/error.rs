//! Errors that an app can act on: each says what happened and what to do about it.

mod convert;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::session::envelope;
use sidekey_protocol::{audit, keys, object, pairing, policy};

/// What went wrong, told by what the app should do next. Holds no secret: it may be shown and logged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What this device holds, or the invitation that it was given, is of no use any more.
    ///
    /// *Do:* tell the user that this device must be paired again, and ask the enterprise for a new invitation.
    #[error("pair again, with a new invitation: {detail} ({code})")]
    PairAgain {
        /// From the closed list of the service's codes.
        code: Cow<'static, str>,
        /// For eyes.
        detail: String,
    },

    /// The enterprise has revoked this pairing (or its user, or its server).
    ///
    /// *Do:* stop, erase the profile, show the reason. Nothing that was revoked comes back: only a new pairing helps.
    #[error("revoked by the enterprise: {reason}")]
    Revoked {
        /// What the administrator wrote.
        reason: String,
        /// When it took effect.
        at: Timestamp,
    },

    /// This pairing waits to be approved, and may do nothing until then.
    ///
    /// *Do:* show the digits, and wait: see [`Confirmed`](crate::Confirmed).
    #[error("this pairing waits to be approved: {detail}")]
    Pending {
        /// For eyes: what is missing.
        detail: String,
    },

    /// The session, or this generation of its key, is over.
    ///
    /// *Do:* ask for the live sessions (`current`) and go on with one of those; a server issues a new one.
    #[error("the session is over")]
    Expired,

    /// The service cannot be reached or is busy; nothing is known to be wrong.
    ///
    /// *Do:* the same call again after this long. Idempotent calls have been retried already.
    #[error("the key service is not available ({why}): try again in {} s", after.as_secs())]
    Retry {
        /// How long to wait: what the service asked for, or a moment.
        after: Duration,
        /// What stood in the way.
        why: Unavailable,
    },

    /// Something is not what its maker sealed or signed.
    ///
    /// *Do:* discard what was read, do not fall back to the clear, and report it: somebody on the path changed it.
    #[error("tampered with: {0}")]
    Tampered(Tampered),

    /// The service answered with something weaker than this device and its policy had agreed on, or older than it
    /// has already seen.
    ///
    /// *Do:* do not go on with what was offered; report it as an attack or as a service restored from an old copy.
    #[error("downgrade refused: {0}")]
    Downgrade(Downgrade),

    /// A sealed object is genuine, but not what was asked for: another mailbox, message, item, session …
    ///
    /// *Do:* discard it and report it: somebody on the path gave out one mail for another.
    #[error("not what was asked for: {0}")]
    WrongPlace(object::Reject),

    /// A sealed object opens under no key that this device has, and what went into its key is not what the service, the
    /// server and this device should agree on.
    ///
    /// *Do:* discard it and report it, with the name: somebody was shown another list than others.
    #[error("the two sides do not hold the same key: {0}")]
    Mismatch(Mismatch),

    /// The TLS certificate is not one that this profile trusts.
    ///
    /// *Do:* do not send anything. Either the address is not the enterprise's service, or its certificate has
    /// expired or was renewed under another authority.
    #[error("the certificate of the key service is not trusted")]
    Untrusted,

    /// The answer is not one that this crate understands.
    ///
    /// *Do:* check the address; look for a proxy in the way; update the app.
    #[error("not an answer of a Sidekey service: {0}")]
    Answer(Unintelligible),

    /// The key store cannot be read or written.
    ///
    /// *Do:* check space and permissions. After a failed save during pairing, pair again.
    #[error("key store: {0}")]
    Store(#[source] Arc<io::Error>),

    /// What the caller handed in cannot be right.
    ///
    /// *Do:* mend the call.
    #[error("{0}")]
    Usage(Usage),

    /// The user's document on an XDMS could not be had.
    ///
    /// *Do:* go on over HTTPS ([`Client::current`](crate::Client::current)): it says nothing about any key. Report it when
    /// it stays.
    #[error("the document on the XDMS: {0}")]
    Xdms(XdmsTrouble),

    /// The service understood and refused.
    ///
    /// *Do:* show `detail`; `code` is stable and may be matched on.
    #[error("refused by the key service: {detail} ({code})")]
    Refused {
        /// From the closed list of the service's codes.
        code: Cow<'static, str>,
        /// For eyes.
        detail: String,
    },
}

/// Which of the lists that go into the object keys is another one on the other side.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// What the server says it can do.
    #[error("another list of capabilities")]
    Capabilities,
    /// What this device offered.
    #[error("another offer")]
    Offer,
    /// The signed policy.
    #[error("another policy")]
    Policy,
    /// The suite that was chosen.
    #[error("another suite")]
    Suite,
}

/// Why a document on an XDMS could not be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum XdmsTrouble {
    /// It does not take us for whom we say we are, or asks in a way that we do not answer.
    #[error("the XDMS does not accept these credentials")]
    Credentials,
    /// Not a document of ours.
    #[error("what lies there is no document of session keys")]
    Document,
    /// It points elsewhere, where nothing goes.
    #[error("the XDMS redirects, which is not followed")]
    Redirect,
    /// Another answer.
    #[error("the XDMS answers with status {0}")]
    Status(u16),
    /// More than any document may hold.
    #[error("what lies there is too large")]
    TooLarge,
    /// No connection, or no whole answer in time.
    #[error("the XDMS cannot be reached")]
    Unreachable,
    /// Its certificate is not one that we trust.
    #[error("the certificate of the XDMS is not trusted")]
    Untrusted,
}

/// Why the service is not available.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// It says so: 429 or 5xx.
    #[error("it is busy")]
    Busy,
    /// Its clock went back: it gives out nothing until an administrator has seen to that.
    #[error("its clock went back")]
    Clock,
    /// No connection could be made.
    #[error("no connection")]
    Connection,
    /// The deadline passed without an answer.
    #[error("no answer in time")]
    Deadline,
    /// It cannot write down what it would do, and so does nothing: its disk is full, say.
    #[error("it cannot record anything")]
    Store,
    /// It was restored from an older copy, and waits for its administrator.
    #[error("it was restored from an older copy, and its administrator has not accepted that yet")]
    RolledBack,
    /// The connection broke before the whole answer was there: the request may have taken effect.
    #[error("the answer was cut off")]
    Interrupted,
}

/// Why an answer means nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unintelligible {
    /// Neither what the route answers nor a problem document.
    #[error("malformed")]
    Malformed,
    /// A redirect: the service never sends one, and a token must not follow it.
    #[error("a redirect")]
    Redirect,
    /// More than any answer may hold.
    #[error("too large")]
    TooLarge,
}

/// Why a call cannot be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Usage {
    /// The trusted certificates do not parse, or there are none.
    #[error("no usable certificate authority")]
    Authority,
    /// The key store already holds a profile: pairing would overwrite it.
    #[error("this key store already holds a pairing")]
    Occupied,
    /// A path or a header value that cannot be sent.
    #[error("a path or header that HTTP does not allow")]
    Path,
    /// The key store holds no profile.
    #[error("this key store holds no pairing")]
    Unpaired,
    /// The profile is of the other role.
    #[error("this pairing has the other role")]
    WrongRole,
}

/// What was tampered with, and which check found it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Tampered {
    /// The audit log's chain.
    #[error("audit log: {0}")]
    Audit(audit::proof::Reject),
    /// The envelope that carries a session key.
    #[error("session key: {0}")]
    Envelope(envelope::Reject),
    /// A sealed frame.
    #[error("sealed object: {0}")]
    Object(object::Reject),
    /// The service's signing keys.
    #[error("signing keys: {0}")]
    Keys(keys::Reject),
    /// The exchange that pairs this device.
    #[error("pairing: {0}")]
    Pairing(pairing::Refusal),
    /// The signed policy.
    #[error("policy: {0}")]
    Policy(policy::Reject),
    /// The exchange that renews this pairing's root.
    #[error("rekey: {0}")]
    Rekey(pairing::rekey::Refusal),
}

/// What would have been weaker or older, and which check found it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Downgrade {
    /// A session key made for another suite, offer, policy or list of capabilities, or of an older generation.
    #[error("session key: {0}")]
    Envelope(envelope::Reject),
    /// A signing key of the service that was replaced.
    #[error("signing keys: {0}")]
    Keys(keys::Reject),
    /// A pairing without the policy that belongs to it.
    #[error("pairing: {0}")]
    Pairing(pairing::Refusal),
    /// A policy that is older than one seen, or allows what is not safe.
    #[error("policy: {0}")]
    Policy(policy::Reject),
    /// A pairing that waits for nobody's word, where nothing tells that the service is the enterprise's: there was no pin,
    /// and the code was sent, so that somebody else may know it and answer as the service.
    #[error("pairing: the code was sent, no pin names the service, and nobody is to approve this device")]
    Unvouched,
}
