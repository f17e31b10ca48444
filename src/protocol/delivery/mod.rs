//! Deliveries: what goes to a device on other bearers than HTTPS, by which carriers, and when that is given up.
//!
//! ```text
//!   queued ──claimed──▶ sending ──taken──▶ sent
//!     ▲  ▲                │  │               │
//!     │  └──── not now ───┘  └── given up ──▶│ the next carrier (queued), or dead
//!     └───────────── a newer key, or an administrator's wish ◀┘
//! ```
//! A delivery is a reference: what it carries is sealed at the moment of sending, under the receiver's keys of that
//! moment. It is at least once, and the receiver drops what it has seen.

pub mod wire;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::{Malformed, Timestamp};
pub use wire::{Dead, Fate};

/// Names a carrier, as the configuration calls it: 1 to 32 of `a-z`, `0-9`, `-` and `_`, of which the first is a letter.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CarrierName(Arc<str>);

impl CarrierName {
    /// Characters of the longest name.
    pub const MAX: usize = 32;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CarrierName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let formed = (1..=Self::MAX).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(plain);
        if formed { Ok(Self(text.into())) } else { Err(Malformed) }
    }
}

impl fmt::Display for CarrierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CarrierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for CarrierName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CarrierName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A carrier that may take a delivery.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Leg {
    /// Which.
    pub carrier: CarrierName,
    /// Whether its bearer keeps a document that is written whole, for all of the user's sessions: an XDMS.
    pub keeps: bool,
}

/// Carriers that one delivery may name.
pub const LEGS_MAX: usize = 8;

/// A delivery's progress. Each transition consumes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// In the order in which they are tried: each one only after those before it have given up.
    legs: Vec<Leg>,
    place: u8,
    /// How often the present carrier has tried.
    attempts: u16,
    /// Since when it is the present one's.
    since: Timestamp,
    created: Timestamp,
    not_after: Timestamp,
    state: State,
}

/// Where a delivery stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum State {
    /// It waits until then.
    Queued {
        /// When it may be tried.
        at: Timestamp,
        /// Why the last try failed, for eyes.
        trouble: Option<String>,
    },
    /// A carrier has it, until then: whoever claimed it may have died.
    Claimed {
        /// When the claim lapses. It names the claim, too.
        until: Timestamp,
        /// There is something newer since: once more when this one is through.
        again: bool,
    },
    /// The bearer took it over.
    Sent {
        /// When.
        at: Timestamp,
        /// The bearer's own ids of it.
        receipts: Vec<String>,
        /// What the bearer said became of it.
        fate: Option<Fate>,
    },
    /// Nobody tries it any more.
    Dead {
        /// When that was decided.
        at: Timestamp,
        /// Why.
        why: Dead,
        /// The bearer's words, for eyes.
        detail: Option<String>,
    },
}

/// What came of a claim.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Outcome {
    /// The bearer took it over, and calls it so.
    Sent {
        /// The bearer's ids.
        receipts: Vec<String>,
    },
    /// Not now.
    PutOff {
        /// When it may be tried again.
        at: Timestamp,
        /// Why.
        trouble: String,
    },
    /// Not by this carrier, or not at all.
    GivenUp {
        /// Why.
        why: Dead,
        /// The bearer's words.
        detail: Option<String>,
    },
}

impl Progress {
    /// A delivery that waits for its first carrier; `None` without one.
    #[must_use]
    pub fn begin(legs: Vec<Leg>, now: Timestamp, not_after: Timestamp) -> Option<Self> {
        let state = State::Queued { at: now, trouble: None };
        (!legs.is_empty()).then_some(Self {
            legs,
            place: 0,
            attempts: 0,
            since: now,
            created: now,
            not_after,
            state,
        })
    }

    /// The carriers, in order.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The present carrier.
    #[must_use]
    pub fn leg(&self) -> &Leg {
        &self.legs[usize::from(self.place)]
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// How often the present carrier has tried.
    #[must_use]
    pub const fn attempts(&self) -> u16 {
        self.attempts
    }

    /// When it was made.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// From when on nothing is sent: the key, or the invitation, is dead.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When its carrier may try it: also where a claim has lapsed.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Queued { at, .. } => Some(at),
            State::Claimed { until, .. } => Some(until),
            State::Sent { .. } | State::Dead { .. } => None,
        }
    }

    /// When the present carrier's time is over: the next one's turn, or the end.
    #[must_use]
    pub fn patience_ends(&self) -> Timestamp {
        if usize::from(self.place) + 1 == self.legs.len() {
            return self.not_after;
        }
        let share = self.not_after.since_s(self.since) / 2;
        self.since.after_s(share.min(PATIENCE_S))
    }

    /// Whether nothing more is tried.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self.state, State::Sent { .. } | State::Dead { .. })
    }

    /// Somebody sends it from now on until `until`. `None`: it is not due, or its time is over.
    #[must_use]
    pub fn claimed(self, now: Timestamp, until: Timestamp) -> Option<Self> {
        let due = self.due().is_some_and(|due| due <= now) && now < self.not_after;
        let (attempts, state) = (self.attempts.saturating_add(1), State::Claimed { until, again: false });
        due.then_some(Self { attempts, state, ..self })
    }

    /// What came of the claim that `until` names; that of another claim changes nothing.
    #[must_use]
    pub fn settled(self, until: Timestamp, outcome: Outcome, now: Timestamp) -> Self {
        let State::Claimed { until: claim, again } = self.state else { return self };
        if claim != until {
            return self;
        }
        match outcome {
            Outcome::Sent { .. } if again => self.queued(now),
            Outcome::Sent { receipts } => {
                Self { state: State::Sent { at: now, receipts, fate: None }, ..self }
            }
            Outcome::PutOff { at, trouble } => {
                Self { state: State::Queued { at, trouble: Some(trouble) }, ..self }
            }
            Outcome::GivenUp { why, detail } => self.given_up(why, detail, now),
        }
    }

    /// The present carrier gives up: the next one's turn, unless there is none, or none could do anything.
    #[must_use]
    pub fn given_up(self, why: Dead, detail: Option<String>, now: Timestamp) -> Self {
        if usize::from(self.place) + 1 < self.legs.len() && why.is_the_carriers() && now < self.not_after {
            return Self { place: self.place + 1, ..self }.queued(now);
        }
        Self { state: State::Dead { at: now, why, detail }, ..self }
    }

    /// There is something newer to deliver, good until `not_after`: from the first carrier on, at once, or when the claim
    /// that runs is through.
    #[must_use]
    pub fn renewed(mut self, now: Timestamp, not_after: Timestamp) -> Self {
        self.not_after = not_after;
        match &mut self.state {
            State::Claimed { again, .. } => {
                *again = true;
                self
            }
            // What waits will be sealed when it is sent.
            State::Queued { .. } => self,
            State::Sent { .. } | State::Dead { .. } => Self { place: 0, ..self }.queued(now),
        }
    }

    /// Nobody needs it any more.
    #[must_use]
    pub fn cancelled(self, now: Timestamp) -> Self {
        if self.is_settled() {
            return self;
        }
        Self { state: State::Dead { at: now, why: Dead::Cancelled, detail: None }, ..self }
    }

    /// An administrator wants another try: at once, and from the first carrier on where it was settled.
    #[must_use]
    pub fn retried(mut self, now: Timestamp) -> Self {
        match &mut self.state {
            State::Queued { at, .. } => *at = now,
            State::Claimed { .. } => {}
            State::Sent { .. } | State::Dead { .. } => return Self { place: 0, ..self }.queued(now),
        }
        self
    }

    /// What the bearer says about what it took. Anybody may have made it up: it is kept, and changes nothing else.
    #[must_use]
    pub fn reported(mut self, said: Fate) -> Self {
        if let State::Sent { fate, .. } = &mut self.state {
            *fate = Some(said);
        }
        self
    }

    fn queued(self, now: Timestamp) -> Self {
        Self { attempts: 0, since: now, state: State::Queued { at: now, trouble: None }, ..self }
    }
}

/// Seconds until the next try after so many: at least what the bearer asked for, else 5, doubled each time to 300, of
/// which `jitter` takes up to half.
#[must_use]
pub fn retry_after_s(attempts: u16, asked_s: u32, jitter: u32) -> u32 {
    spread(RETRY_S << attempts.saturating_sub(1).min(8), RETRY_MAX_S, jitter).max(asked_s)
}

/// Seconds for which a carrier is left alone whose bearer failed so many times in a row: 1, doubled each time to 60, of
/// which `jitter` takes up to half; at least what the bearer asked for.
#[must_use]
pub fn pause_s(failures: u32, asked_s: u32, jitter: u32) -> u32 {
    spread(1 << failures.saturating_sub(1).min(8), PAUSE_MAX_S, jitter).max(asked_s).max(1)
}

fn spread(seconds: u32, most: u32, jitter: u32) -> u32 {
    let seconds = seconds.min(most);
    // Rounded up: never at once.
    seconds - jitter % (seconds / 2 + 1)
}

/// Seconds for which a claim holds.
pub const LEASE_S: u32 = 60;
/// Seconds that a carrier has, at most, where another comes after it.
pub const PATIENCE_S: u32 = 600;
const RETRY_S: u32 = 5;
const RETRY_MAX_S: u32 = 300;
const PAUSE_MAX_S: u32 = 60;

#[cfg(test)]
mod tests;
