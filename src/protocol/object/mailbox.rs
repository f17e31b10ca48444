//! A mailbox as both ends name it (proto/object/spec.md, section 3.1).

use super::Reject;
use crate::crypto::sha256;

/// Octets of the longest mailbox name.
pub const MAILBOX_MAX: usize = 4096;

/// The gateway's own name of a mailbox, whatever a proxy shows of it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Mailbox(String);

impl Mailbox {
    /// From the name in UTF-8, modified UTF-7 decoded, and the separator that LIST gives for it. INBOX as the whole
    /// name or the first level is upper-cased; the separator becomes NUL.
    ///
    /// # Errors
    /// [`Reject::MailboxMalformed`]: empty, longer than [`MAILBOX_MAX`], or with NUL, CR or LF in it.
    pub fn new(name: &str, separator: Option<char>) -> Result<Self, Reject> {
        if name.is_empty() || name.len() > MAILBOX_MAX || name.contains(['\0', '\r', '\n']) {
            return Err(Reject::MailboxMalformed);
        }
        let first = separator.and_then(|separator| name.split(separator).next()).unwrap_or(name);
        let rest = &name[first.len()..];
        let first = if first.eq_ignore_ascii_case("INBOX") { "INBOX" } else { first };
        let rest = separator.map_or_else(|| rest.to_owned(), |separator| rest.replace(separator, "\0"));
        Ok(Self(format!("{first}{rest}")))
    }

    /// The name as it is hashed.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the canonical name.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }
}
