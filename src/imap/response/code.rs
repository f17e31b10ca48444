//! Response codes: what stands in brackets after OK and its kin (RFC 3501 section 7.1, RFC 4315, 5530, 7162, 8474).

use std::num::NonZeroU32;

use super::Capabilities;
use crate::command::{Set, read_number};

/// A response code.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "they are called what IMAP calls them")]
pub enum Code {
    AppendUid {
        uid_validity: NonZeroU32,
        uids: Set,
    },
    Capability(Capabilities),
    CopyUid {
        uid_validity: NonZeroU32,
        from: Set,
        to: Set,
    },
    HighestModSeq(u64),
    Modified(Set),
    /// The flags as they came, with their parentheses.
    PermanentFlags(String),
    UidNext(NonZeroU32),
    UidValidity(NonZeroU32),
    Unseen(NonZeroU32),
    /// What the gateway says of a session: names and values, apart by spaces.
    XEncrypted(String),
    /// Another, with its name in upper case and what follows it: `READ-ONLY`, `ALERT`, `TRYCREATE`, `CLOSED`.
    Other(String, String),
}

impl Code {
    /// What stands between the brackets; `None` when one of those above is not as it must be.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let name = name.to_ascii_uppercase();
        Some(match name.as_str() {
            "APPENDUID" => {
                let [uid_validity, uids] = words(rest)?;
                Self::AppendUid { uid_validity: read_number(uid_validity)?, uids: set(uids)? }
            }
            "CAPABILITY" => Self::Capability(Capabilities::read(rest)?),
            "COPYUID" => {
                let [uid_validity, from, to] = words(rest)?;
                Self::CopyUid { uid_validity: read_number(uid_validity)?, from: set(from)?, to: set(to)? }
            }
            "HIGHESTMODSEQ" => Self::HighestModSeq(read_number(rest)?),
            "MODIFIED" => Self::Modified(set(rest)?),
            "PERMANENTFLAGS" => Self::PermanentFlags(
                Some(rest).filter(|it| it.starts_with('(') && it.ends_with(')'))?.to_owned(),
            ),
            "UIDNEXT" => Self::UidNext(read_number(rest)?),
            "UIDVALIDITY" => Self::UidValidity(read_number(rest)?),
            "UNSEEN" => Self::Unseen(read_number(rest)?),
            "XENCRYPTED" => Self::XEncrypted(rest.to_owned()),
            "" => return None,
            _ => Self::Other(name, rest.to_owned()),
        })
    }

    /// Its name, in upper case.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::AppendUid { .. } => "APPENDUID",
            Self::Capability(_) => "CAPABILITY",
            Self::CopyUid { .. } => "COPYUID",
            Self::HighestModSeq(_) => "HIGHESTMODSEQ",
            Self::Modified(_) => "MODIFIED",
            Self::PermanentFlags(_) => "PERMANENTFLAGS",
            Self::UidNext(_) => "UIDNEXT",
            Self::UidValidity(_) => "UIDVALIDITY",
            Self::Unseen(_) => "UNSEEN",
            Self::XEncrypted(_) => "XENCRYPTED",
            Self::Other(name, _) => name,
        }
    }
}

fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(' ').collect::<Vec<_>>().try_into().ok()
}

fn set(text: &str) -> Option<Set> {
    Set::parse(text).ok()
}
