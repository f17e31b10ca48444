//! What each answer is stamped with: the request's id, and the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use sidekey_protocol::ids::Timestamp;

use super::trace::Trace;
use super::value::value;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of the longest request id that we take from a caller.
const REQUEST_ID_MAX: usize = 64;

/// Names requests: a random prefix for this start of the service, and a count.
#[derive(Debug)]
pub(crate) struct RequestIds {
    start: u64,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn starting_at(start: u64) -> Self {
        Self { start, count: AtomicU64::new(0) }
    }

    /// A request's id, and its trace: the caller's own, when they are plain; new ones otherwise.
    pub(super) fn of(&self, headers: &HeaderMap) -> (HeaderValue, Trace) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let plain = |value: &&HeaderValue| {
            (1..=REQUEST_ID_MAX).contains(&value.len())
                && value.as_bytes().iter().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
        };
        let fresh = u128::from(self.start) << 64 | u128::from(count);
        let id = headers
            .get(REQUEST_ID)
            .filter(plain)
            .cloned()
            .unwrap_or_else(|| value(format_args!("{fresh:032x}")));
        (id, Trace::of(headers, fresh, self.start.wrapping_add(count)))
    }
}

/// `Date`, written once a second.
#[derive(Debug, Default)]
pub(crate) struct Dates(Mutex<Option<(Timestamp, HeaderValue)>>);

impl Dates {
    pub(super) fn of(&self, now: Timestamp) -> HeaderValue {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, date)) if *at == now => date.clone(),
            _ => {
                let since = Duration::from_secs(now.0.into());
                let text = httpdate::fmt_http_date(UNIX_EPOCH + since);
                let date = HeaderValue::try_from(text).expect("a date is visible ASCII");
                last.insert((now, date)).1.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_date() {
        let dates = Dates::default();
        let at = |seconds| dates.of(Timestamp(seconds));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT", "a clock may be set back");
    }
}
