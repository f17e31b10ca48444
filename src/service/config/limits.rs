//! `[limits]`: a limit on everything that grows or waits.

use serde::{Deserialize, Serialize};

/// A limit on everything that grows or waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// Connections of one address at one time.
    pub address_connections: usize,
    /// HTTP/2 requests at one time on one connection.
    pub streams: u32,
    /// For a TLS handshake.
    pub handshake_s: u32,
    /// From the end of the handshake to the first request.
    pub first_request_s: u32,
    /// For a later request's headers; also how long a connection may idle.
    pub keep_alive_s: u32,
    /// For the body of a request.
    pub body_s: u32,
    /// For the answer.
    pub answer_s: u32,
    /// A connection on which nothing moves, or an answer is not taken, is closed after it.
    pub stalled_s: u32,
    /// For requests in flight when the service stops.
    pub drain_s: u32,
    /// Octets of a request's line and headers.
    pub headers_size_bytes: usize,
    /// Verified bearer tokens that are remembered.
    pub tokens: usize,
    /// Event streams at one time.
    pub event_streams: usize,
    /// Requests of one address for what is open to everybody.
    pub address_open_per_min: u32,
    /// Steps of pairing, of one address.
    pub address_pairing_per_min: u32,
    /// Bearer tokens of one address that are not remembered.
    pub address_tokens_per_min: u32,
    /// Requests of one client that change nothing.
    pub client_reads_per_min: u32,
    /// Requests of one client that may change something.
    pub client_changes_per_min: u32,
    /// Requests of one server pairing that change nothing.
    pub server_reads_per_min: u32,
    /// Requests of one server pairing that may change something.
    pub server_changes_per_min: u32,
    /// Requests of one administrator that change nothing.
    pub admin_reads_per_min: u32,
    /// Requests of one administrator that may change something.
    pub admin_changes_per_min: u32,
    /// Addresses that are counted at one time, and as many parties.
    pub rate_entries: usize,
}

impl Limits {
    /// These, with those of `other` that take effect without a new start.
    #[must_use]
    pub fn with_live_of(&self, other: &Self) -> Self {
        Self {
            connections: self.connections,
            address_connections: self.address_connections,
            streams: self.streams,
            handshake_s: self.handshake_s,
            first_request_s: self.first_request_s,
            keep_alive_s: self.keep_alive_s,
            stalled_s: self.stalled_s,
            tokens: self.tokens,
            event_streams: self.event_streams,
            ..other.clone()
        }
    }

    /// The first option of what may be asked in a minute that lets nobody in.
    pub(super) fn denies_all(&self) -> Option<&'static str> {
        [
            ("address_open_per_min", self.address_open_per_min),
            ("address_pairing_per_min", self.address_pairing_per_min),
            ("address_tokens_per_min", self.address_tokens_per_min),
            ("client_reads_per_min", self.client_reads_per_min),
            ("client_changes_per_min", self.client_changes_per_min),
            ("server_reads_per_min", self.server_reads_per_min),
            ("server_changes_per_min", self.server_changes_per_min),
            ("admin_reads_per_min", self.admin_reads_per_min),
            ("admin_changes_per_min", self.admin_changes_per_min),
            ("rate_entries", u32::from(self.rate_entries > 0)),
        ]
        .into_iter()
        .find_map(|(option, value)| (value == 0).then_some(option))
    }
}

/// Seconds of the longest drain: with what comes after it, the service ends within 30.
pub(super) const DRAIN_MAX_S: u32 = 25;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            address_connections: 2_500,
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
            address_open_per_min: 600,
            address_pairing_per_min: 300,
            address_tokens_per_min: 6_000,
            client_reads_per_min: 600,
            client_changes_per_min: 120,
            server_reads_per_min: 60_000,
            server_changes_per_min: 60_000,
            admin_reads_per_min: 6_000,
            admin_changes_per_min: 1_200,
            rate_entries: 100_000,
        }
    }
}
