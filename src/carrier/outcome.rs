//! What became of a payload.

use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;

/// A bearer took a payload over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Receipt(Vec<ReceiptId>);

impl Receipt {
    /// With this one id.
    #[must_use]
    pub fn of(id: ReceiptId) -> Self {
        Self(vec![id])
    }

    /// The bearer's ids of it: one for each message that it became, none where the bearer gives none.
    #[must_use]
    pub fn ids(&self) -> &[ReceiptId] {
        &self.0
    }
}

impl FromIterator<ReceiptId> for Receipt {
    fn from_iter<T: IntoIterator<Item = ReceiptId>>(ids: T) -> Self {
        Self(ids.into_iter().collect())
    }
}

/// How a bearer names a payload: its words, shortened to 128 visible ASCII characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReceiptId(Box<str>);

impl ReceiptId {
    /// From what a bearer said.
    #[must_use]
    pub fn new(said: &str) -> Self {
        Self(said.chars().filter(char::is_ascii_graphic).take(128).collect())
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both name the same payload: SMSCs change the case of an id between answer and report, and lose its zeros.
    #[must_use]
    pub fn names_the_same(&self, other: &Self) -> bool {
        let bare = |id: &Self| id.0.trim_start_matches('0').to_ascii_lowercase();
        !self.0.is_empty() && bare(self) == bare(other)
    }
}

/// Why a payload did not leave.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Undelivered {
    /// Never: this bearer will not take it.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// Not now: it may be tried again.
    #[error("{why}; another try after {after:?}")]
    Retry {
        /// After this long.
        after: Duration,
        /// Because of this.
        why: Trouble,
    },
}

/// Why a bearer will never take a payload to an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The bearer says that there is no such address.
    #[error("the bearer knows no such address")]
    Address,
    /// A carrier for another kind of address.
    #[error("this carrier takes nothing to such an address")]
    AddressKind,
    /// RFC 4825, section 11.
    #[error("the XDMS has a conflict: {0}")]
    Conflict(Conflict),
    /// A carrier for another kind of payload.
    #[error("this carrier does not take such a payload")]
    PayloadKind,
    /// The bearer's own reason: an SMPP status, or one of HTTP.
    #[error("the bearer answered with status {0:#x} ({0})")]
    Status(u32),
}

/// Why a payload could not leave now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// It has trouble of its own.
    #[error("the bearer has a fault")]
    Bearer,
    /// Somebody else writes the same document at the same time.
    #[error("the document keeps changing under us")]
    Changing,
    /// No connection.
    #[error("the bearer cannot be reached")]
    Connection,
    /// Our name or password does not count there: the administrator has to act.
    #[error("the bearer does not accept our credentials")]
    Credentials,
    /// No answer in time: it may have left.
    #[error("the bearer did not answer in time")]
    Deadline,
    /// The connection ended before the answer: it may have left.
    #[error("the connection ended before the bearer's answer")]
    Interrupted,
    /// An answer longer than any that makes sense.
    #[error("the bearer's answer is too long")]
    Oversized,
    /// Its queue is full.
    #[error("the bearer's queue is full")]
    QueueFull,
    /// It points elsewhere, where nothing goes.
    #[error("the bearer redirects, which is not followed")]
    Redirected,
    /// We send too fast.
    #[error("the bearer slows us down")]
    Throttled,
    /// An answer that this protocol does not know.
    #[error("the bearer's answer makes no sense")]
    Unintelligible,
    /// Its certificate is not one that we trust: the administrator has to act.
    #[error("the bearer's certificate is not trusted")]
    Untrusted,
}

impl Trouble {
    /// Not now, because of this, and worth a try after this many seconds.
    pub(crate) const fn retry_s(self, after_s: u64) -> Undelivered {
        Undelivered::Retry { after: Duration::from_secs(after_s), why: self }
    }

    /// As patient as the trouble deserves.
    pub(crate) const fn retry(self) -> Undelivered {
        self.retry_s(match self {
            Self::Changing | Self::Throttled => 5,
            Self::Deadline | Self::Interrupted => 10,
            Self::Bearer | Self::Connection | Self::QueueFull => 30,
            // Nothing changes before somebody acts.
            Self::Credentials
            | Self::Oversized
            | Self::Redirected
            | Self::Unintelligible
            | Self::Untrusted => 300,
        })
    }
}

impl From<Trouble> for Undelivered {
    fn from(trouble: Trouble) -> Self {
        trouble.retry()
    }
}

/// What stands in the way of a document, as an XDMS says it (RFC 4825, section 11).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// The name of the error's element.
    pub error: &'static str,
    /// The phrase with it, shortened to 120 printable ASCII characters: for eyes.
    pub phrase: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error)?;
        if self.phrase.is_empty() { Ok(()) } else { write!(f, " ({})", self.phrase) }
    }
}

/// What a bearer says afterwards about what it took. Anybody on its way may have made it up: it is shown, and
/// authorises nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// About which payload.
    pub id: ReceiptId,
    /// What became of it.
    pub fate: Fate,
}

/// What a bearer says became of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It arrived.
    Delivered,
    /// Its time was over before it arrived.
    Expired,
    /// On its way.
    Underway,
    /// It did not arrive and will not.
    Undeliverable,
    /// Something that we do not know.
    Unknown,
}

/// Reports as they come in. Bounded: what nobody reads in time is dropped, and counted in the log.
pub type Reports = mpsc::Receiver<Report>;

/// How many reports wait for their reader.
pub(crate) const REPORTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_again_by_what_smscs_do_to_it() {
        let id = ReceiptId::new;
        assert!(id("0000002A").names_the_same(&id("2a")));
        assert!(!id("2b").names_the_same(&id("2a")));
        assert!(!id("").names_the_same(&id("")), "no id names nothing");
    }

    #[test]
    fn an_id_cannot_write_into_a_log() {
        assert_eq!(ReceiptId::new("a\r\nb\u{1b}[31m ü").as_str(), "ab[31m");
        assert_eq!(ReceiptId::new(&"x".repeat(1000)).as_str().len(), 128);
    }
}
