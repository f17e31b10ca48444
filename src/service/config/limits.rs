//! `[limits]`: a limit on everything that grows or waits.

use serde::{Deserialize, Serialize};

/// A limit on everything that grows or waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// HTTP/2 requests at one time on one connection.
    pub streams: u32,
    /// For a TLS handshake.
    pub handshake_s: u32,
    /// From the end of the handshake to the first request.
    pub first_request_s: u32,
    /// For a later request's headers; also how long an HTTP/1.1 connection may idle.
    pub keep_alive_s: u32,
    /// For the body of a request.
    pub body_s: u32,
    /// For the answer.
    pub answer_s: u32,
    /// A connection on which nothing moves is closed after it.
    pub stalled_s: u32,
    /// For requests in flight when the service stops.
    pub drain_s: u32,
    /// Octets of a request's line and headers.
    pub headers_size_bytes: usize,
    /// Verified bearer tokens that are remembered.
    pub tokens: usize,
    /// Event streams at one time.
    pub event_streams: usize,
}

impl Limits {
    /// These, with those of `other` that take effect without a new start.
    #[must_use]
    pub fn with_live_of(&self, other: &Self) -> Self {
        Self {
            answer_s: other.answer_s,
            body_s: other.body_s,
            drain_s: other.drain_s,
            headers_size_bytes: other.headers_size_bytes,
            ..self.clone()
        }
    }
}

/// Seconds of the longest drain: with what comes after it, the service ends within 30.
pub(super) const DRAIN_MAX_S: u32 = 25;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            streams: 100,
            handshake_s: 10,
            first_request_s: 10,
            keep_alive_s: 30,
            body_s: 10,
            answer_s: 10,
            stalled_s: 60,
            drain_s: 20,
            headers_size_bytes: 16_384,
            tokens: 65_536,
            event_streams: 5_000,
        }
    }
}
