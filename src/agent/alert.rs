//! What is noticed of somebody on the path, and how the user hears of it.

use std::fmt;

use sidekey_client::error;
use sidekey_protocol::object::Reject;

/// What was noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alert {
    /// A sealed value is not what was sealed, or not what was asked for.
    Tampered(Wrong),
    /// Plaintext, or nothing sealed at all, where the policy asks for sealed values.
    Downgrade(Plain),
    /// Messages that were there gave neither their data nor notice that they are gone.
    Missing {
        /// How many.
        messages: u64,
    },
    /// Somebody said what the mail server had no reason to say.
    Forged(Forgery),
    /// Many messages vanish at once, and nobody here asked for it.
    MassDeletion {
        /// How many at least.
        messages: u64,
    },
    /// The other end is a mail server of the operator's, with names or numbers of its own.
    Reterminated(Changed),
    /// A key, or what it hangs on, is not what was made and agreed: it is not used.
    Key(Distrust),
}

/// Why a sealed value does not hold.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wrong {
    /// The frame does not open, or is of another place.
    Frame(Reject),
    /// It names a session that is not this user's, or is over.
    SessionUnknown,
    /// What it holds is not of the item's form.
    ValueMalformed,
}

/// What came in the clear.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Plain {
    /// The other end does not offer XENCRYPTED.
    NotOffered,
    /// A value without a frame.
    Value,
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// Its envelope, the policy or a signature is not what its maker sealed or signed.
    #[error(transparent)]
    Tampered(error::Tampered),
    /// It is weaker, or older, than what this device has agreed to or seen.
    #[error(transparent)]
    Downgrade(error::Downgrade),
    /// It was made under other lists than this device was shown.
    #[error(transparent)]
    Mismatch(error::Mismatch),
}

/// What nobody asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Forgery {
    /// Content of a message, in the middle of something else.
    Content,
    /// A response code that belongs to another command.
    Code,
    /// A message under a number that is another's, or nobody's.
    Number,
    /// Words for the user's eyes: ALERT, REFERRAL.
    Words,
    /// An answer that is out of place in the exchange.
    Response,
}

/// What a mail server between agent and gateway does differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Changed {
    /// It offers what no gateway offers, and nothing sealed.
    Capabilities,
    /// Mailboxes have other names.
    Names,
    /// Mailboxes have another UIDVALIDITY.
    Numbering,
    /// Messages have other UIDs.
    Uids,
}

impl Alert {
    /// Its name, in logs and counters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tampered(_) | Self::Key(Distrust::Tampered(_)) => "tampered",
            Self::Downgrade(_) | Self::Key(Distrust::Downgrade(_) | Distrust::Mismatch(_)) => "downgrade",
            Self::Missing { .. } => "missing",
            Self::Forged(_) => "forged",
            Self::MassDeletion { .. } => "mass_deletion",
            Self::Reterminated(_) => "reterminated",
        }
    }

    /// What exactly, for logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Tampered(Wrong::Frame(reject)) => frame_reason(*reject),
            Self::Tampered(Wrong::SessionUnknown) => "session_unknown",
            Self::Tampered(Wrong::ValueMalformed) => "value_malformed",
            Self::Downgrade(Plain::NotOffered) => "not_offered",
            Self::Downgrade(Plain::Value) => "plaintext",
            Self::Missing { .. } => "no_answer",
            Self::Forged(Forgery::Content) => "content",
            Self::Forged(Forgery::Code) => "code",
            Self::Forged(Forgery::Number) => "number",
            Self::Forged(Forgery::Words) => "words",
            Self::Forged(Forgery::Response) => "response",
            Self::MassDeletion { .. } => "not_asked_for",
            Self::Reterminated(Changed::Capabilities) => "capabilities",
            Self::Reterminated(Changed::Names) => "names",
            Self::Reterminated(Changed::Numbering) => "numbering",
            Self::Reterminated(Changed::Uids) => "uids",
            Self::Key(distrust) => distrust.reason(),
        }
    }

    /// Whether nothing can go on after it.
    #[must_use]
    pub const fn ends(&self) -> bool {
        match self {
            Self::Downgrade(Plain::NotOffered) | Self::MassDeletion { .. } | Self::Reterminated(_) => true,
            Self::Downgrade(Plain::Value)
            | Self::Tampered(_)
            | Self::Missing { .. }
            | Self::Forged(_)
            | Self::Key(_) => false,
        }
    }
}

impl fmt::Display for Alert {
    /// One sentence for the user, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tampered(wrong) => write!(
                f,
                "A message was changed on its way and is not shown ({wrong}). Report it to your mail administrator."
            ),
            Self::Downgrade(Plain::NotOffered) => f.write_str(
                "The mail server does not offer encryption, which your policy requires; nothing was read. Report it to \
                 your mail administrator.",
            ),
            Self::Downgrade(Plain::Value) => f.write_str(
                "A message came unencrypted, against your policy, and is not shown. Report it to your mail administrator.",
            ),
            Self::Missing { messages } => write!(
                f,
                "Messages that were in this mailbox are withheld ({messages}). Try again; if it stays, report it to your \
                 mail administrator."
            ),
            Self::Forged(_) => f.write_str(
                "Somebody between you and your mail server said what your mail server had no reason to say; it is not \
                 shown. Report it to your mail administrator.",
            ),
            Self::MassDeletion { messages } => write!(
                f,
                "{messages} or more messages are about to vanish from this mailbox, and not by this device. Confirm it if \
                 you deleted them elsewhere; otherwise report it to your mail administrator."
            ),
            Self::Reterminated(changed) => write!(
                f,
                "Your operator's own mail server answers instead of your enterprise's: {changed}. Mail cannot be read \
                 through it; use a connection that your operator passes through unchanged."
            ),
            Self::Key(distrust @ Distrust::Tampered(_)) => write!(
                f,
                "The key to your mail is not what your enterprise made ({distrust}) and is not used. Report it to your \
                 mail administrator."
            ),
            Self::Key(distrust) => write!(
                f,
                "The key to your mail is weaker or older than what was agreed ({distrust}) and is not used. Report it to \
                 your mail administrator."
            ),
        }
    }
}

impl Distrust {
    /// That of an error of the key service's client, unless it says only that no key can be had.
    #[must_use]
    pub const fn of(error: &error::Error) -> Option<Self> {
        match error {
            error::Error::Tampered(tampered) => Some(Self::Tampered(*tampered)),
            error::Error::Downgrade(downgrade) => Some(Self::Downgrade(*downgrade)),
            error::Error::Mismatch(mismatch) => Some(Self::Mismatch(*mismatch)),
            _ => None,
        }
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::Tampered(error::Tampered::Envelope(_)) | Self::Downgrade(error::Downgrade::Envelope(_)) => {
                "session_key"
            }
            Self::Tampered(error::Tampered::Keys(_)) | Self::Downgrade(error::Downgrade::Keys(_)) => {
                "signing_keys"
            }
            Self::Tampered(error::Tampered::Policy(_)) | Self::Downgrade(error::Downgrade::Policy(_)) => {
                "policy"
            }
            Self::Tampered(error::Tampered::Rekey(_)) => "rekey",
            Self::Tampered(_) | Self::Downgrade(_) => "key_service",
            Self::Mismatch(_) => "lists",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(reject) => reject.fmt(f),
            Self::SessionUnknown => f.write_str("it names a session that is not yours"),
            Self::ValueMalformed => f.write_str("it is not of the form that was asked for"),
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capabilities => "it offers other commands",
            Self::Names => "it has renamed the mailboxes",
            Self::Numbering => "it has numbered the mailboxes anew",
            Self::Uids => "it has given the messages other numbers",
        })
    }
}

impl std::error::Error for Alert {}

/// As proto/object/spec.md, section 5, names them.
const fn frame_reason(reject: Reject) -> &'static str {
    match reject {
        Reject::ContextReserved => "context_reserved",
        Reject::CountExceeded => "count_exceeded",
        Reject::FirstRecordUnverified => "first_record_unverified",
        Reject::ItemMalformed => "item_malformed",
        Reject::KindUnknown => "kind_unknown",
        Reject::LengthExcessive => "length_excessive",
        Reject::LengthZero => "length_zero",
        Reject::MailboxMalformed => "mailbox_malformed",
        Reject::NilWithValue => "nil_with_value",
        Reject::NotAFrame => "not_a_frame",
        Reject::OtherExtent => "other_extent",
        Reject::OtherFlags => "other_flags",
        Reject::OtherGeneration => "other_generation",
        Reject::OtherItem => "other_item",
        Reject::OtherKind => "other_kind",
        Reject::OtherMailbox => "other_mailbox",
        Reject::OtherPosition => "other_position",
        Reject::OtherSession => "other_session",
        Reject::OtherSubject => "other_subject",
        Reject::OtherSuite => "other_suite",
        Reject::OtherType => "other_type",
        Reject::OtherUidValidity => "other_uid_validity",
        Reject::Overlong => "overlong",
        Reject::PaddingAltered => "padding_altered",
        Reject::PartialMisplaced => "partial_misplaced",
        Reject::PartialTooLong => "partial_too_long",
        Reject::PartialUnaligned => "partial_unaligned",
        Reject::RecordSizeOutOfBounds => "record_size_out_of_bounds",
        Reject::RecordUnverified => "record_unverified",
        Reject::SuiteUnknown => "suite_unknown",
        Reject::Truncated => "truncated",
        Reject::TypeUnknown => "type_unknown",
        Reject::VersionUnknown => "version_unknown",
    }
}
