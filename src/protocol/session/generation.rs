//! Generations: the rotations of one session (proto/session/spec.md, section 4).

use serde::{Deserialize, Serialize};

use super::Reject;
use crate::ids::Timestamp;

/// Seconds for which generation n still opens after a plain rotation.
pub const OVERLAP_S: u32 = 120;

/// Why a session was rotated, or ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its server asked.
    Asked,
    /// A revocation.
    Revocation,
}

/// Where a session stands in its rotations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Generations {
    /// The newest, the only one that seals.
    pub current: u32,
    /// When it began.
    pub since: Timestamp,
    /// What made it; meaningless for generation 0.
    pub cause: Cause,
}

impl Generations {
    /// A session's first.
    #[must_use]
    pub const fn first(now: Timestamp) -> Self {
        Self { current: 0, since: now, cause: Cause::Asked }
    }

    /// Makes the next. After [`Cause::Revocation`] its key derives from a fresh session root.
    ///
    /// # Errors
    /// [`Reject::GenerationsSpent`].
    pub fn rotate(self, cause: Cause, now: Timestamp) -> Result<Self, Reject> {
        let current = self.current.checked_add(1).ok_or(Reject::GenerationsSpent)?;
        Ok(Self { current, since: now, cause })
    }

    /// Which generation a fetch gets: the newest, or the one before it for as long as that opens.
    ///
    /// # Errors
    /// [`Reject::GenerationPassed`], [`Reject::GenerationRevoked`], [`Reject::GenerationUnknown`].
    pub fn fetch(&self, asked: Option<u32>, now: Timestamp) -> Result<u32, Reject> {
        let Some(asked) = asked else { return Ok(self.current) };
        match self.current.checked_sub(asked) {
            None => Err(Reject::GenerationUnknown),
            Some(0) => Ok(asked),
            Some(1) if self.cause == Cause::Revocation => Err(Reject::GenerationRevoked),
            Some(1) if now < self.since.after_s(OVERLAP_S) => Ok(asked),
            Some(_) => Err(Reject::GenerationPassed),
        }
    }

    /// Whether `generation` still opens what was sealed under it.
    #[must_use]
    pub fn opens(&self, generation: u32, now: Timestamp) -> bool {
        self.fetch(Some(generation), now).is_ok()
    }
}
