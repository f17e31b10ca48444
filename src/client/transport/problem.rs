//! Problem documents (RFC 9457), and the one place that turns them into errors.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use sidekey_protocol::ids::Timestamp;

use crate::error::{Error, Unavailable, Unintelligible};
use crate::rekey::Refused;

/// What a service says when it refuses. Unknown members are skipped, as RFC 9457 section 3.2 asks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) code: String,
    cause: Option<String>,
    detail: Option<String>,
    title: Option<String>,
    reason: Option<String>,
    revoked_at: Option<Timestamp>,
    retry_after: Option<u32>,
    errors: Vec<FieldError>,
}

/// One faulty member.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldError {
    field: String,
}

impl Problem {
    /// From the body of an answer that is not a success.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|problem| is_code(&problem.code))
    }

    /// How long the service asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// What it refuses of the key epoch that the request was sent under.
    pub(super) fn epoch(&self) -> Option<Refused> {
        match self.code.as_str() {
            "kek_unknown" => Some(Refused::Unknown),
            "rekey_first" => Some(Refused::Over),
            _ => None,
        }
    }

    /// What the app should do about it.
    pub(super) fn into_error(self, status: StatusCode) -> Error {
        match self.code.as_str() {
            // Of one of many things that the request names, and not of the caller.
            "revoked" if !self.errors.is_empty() => {
                let (_, detail) = self.said();
                Error::Refused { code: "pairing_revoked".into(), detail }
            }
            "revoked" => Error::Revoked {
                reason: plain(self.reason.as_deref().unwrap_or_default()),
                at: self.revoked_at.unwrap_or(Timestamp(0)),
            },
            "generation_passed" | "generation_revoked" | "session_ended" | "session_expired" => {
                Error::Expired
            }
            "approval_pending" => {
                let (_, detail) = self.said();
                Error::Pending { detail }
            }
            "pairing_refused" => {
                let reason = self.reason.as_deref().map(|reason| format!(": {reason}"));
                let detail = format!("the enterprise refused this pairing{}", reason.unwrap_or_default());
                Error::PairAgain { code: "pairing_refused".into(), detail: plain(&detail) }
            }
            "rolled_back" => Error::Retry { after: A_WHILE, why: Unavailable::RolledBack },
            code if PAIR_AGAIN.contains(&code) => {
                let (code, detail) = self.said();
                Error::PairAgain { code, detail }
            }
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let why = match self.code.as_str() {
                    "clock_stepped" => Unavailable::Clock,
                    "store_unavailable" => Unavailable::Store,
                    _ => Unavailable::Busy,
                };
                Error::Retry { after: self.retry_after().unwrap_or(A_MOMENT), why }
            }
            _ => {
                let (code, detail) = self.said();
                Error::Refused { code, detail }
            }
        }
    }

    fn said(self) -> (Cow<'static, str>, String) {
        // The check that failed says more than what holds for all its kind.
        let detail = self.cause.unwrap_or_else(|| {
            let said = [self.title, self.detail].into_iter().flatten();
            said.collect::<Vec<_>>().join(" ")
        });
        // Of a request that names many things: which.
        let detail = match self.errors.first() {
            Some(error) => format!("{}: {detail}", error.field),
            None => detail,
        };
        (Cow::Owned(self.code), plain(&detail))
    }
}

/// An answer that is neither a success nor a problem document.
pub(super) fn foreign(status: StatusCode) -> Error {
    match status {
        status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            Error::Retry { after: A_MOMENT, why: Unavailable::Busy }
        }
        status if status.is_redirection() => Error::Answer(Unintelligible::Redirect),
        _ => Error::Answer(Unintelligible::Malformed),
    }
}

/// Text from the other side, fit for a terminal: one line, no control characters, bounded.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX_CHARS).collect()
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Refusals that only a new invitation mends. A token that we signed and the service does not take is one: it does not
/// know us.
const PAIR_AGAIN: [&str; 7] = [
    "epoch_passed",
    "invitation_over",
    "kek_unknown",
    "key_retired",
    "lapsed",
    "rekey_first",
    "token_invalid",
];
const A_MOMENT: Duration = Duration::from_secs(1);
/// An administrator has to look into it.
const A_WHILE: Duration = Duration::from_secs(30);
const TEXT_MAX_CHARS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> Error {
        Problem::parse(body.as_bytes()).unwrap().into_error(StatusCode::from_u16(status).unwrap())
    }

    #[test]
    fn a_revocation_carries_reason_and_time() {
        let gone =
            error(410, r#"{"code":"revoked","reason":"lost","revoked_at":7,"type":"about:blank","new":1}"#);
        assert!(matches!(gone, Error::Revoked { reason, at: Timestamp(7) } if reason == "lost"));
    }

    #[test]
    fn what_remains_keeps_its_code_and_a_detail_fit_for_a_terminal() {
        let refused = error(404, r#"{"code":"not_found","detail":"no\u001b[2J such thing\n"}"#);
        assert!(
            matches!(refused, Error::Refused { code, detail } if code == "not_found" && detail == "no[2J such thing")
        );
    }

    #[test]
    fn a_busy_service_says_when_to_come_back() {
        let busy = error(503, r#"{"code":"sealed","retry_after":9}"#);
        assert!(
            matches!(busy, Error::Retry { after, why: Unavailable::Busy } if after == Duration::from_secs(9))
        );
    }

    #[test]
    fn html_is_no_problem_document() {
        for body in ["<html>", "{}", r#"{"code":"No Code"}"#, "[]", ""] {
            assert!(Problem::parse(body.as_bytes()).is_none(), "{body}");
        }
    }
}
