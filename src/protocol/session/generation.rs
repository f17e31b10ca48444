//! Generations: the rotations of one session (proto/session/spec.md, section 4).

use serde::{Deserialize, Serialize};

use super::Reject;
use crate::ids::Timestamp;

/// Seconds for which generation n still opens after a plain rotation.
pub const OVERLAP_S: u32 = 120;

/// Why a session was rotated, or ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its server asked.
    Asked,
    /// A revocation.
    Revocation,
    /// A change of its user's policy.
    Policy,
    /// A device of its user that lacked its suite.
    Pairing,
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
            // Of another policy or suite: who has its key opens what is under way, nobody gets it anew.
            Some(1) if matches!(self.cause, Cause::Policy | Cause::Pairing) => Err(Reject::GenerationPassed),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_or_a_device_replaced_is_given_no_more() {
        let now = Timestamp(1000);
        for cause in [Cause::Policy, Cause::Pairing] {
            let next = Generations::first(now).rotate(cause, now).unwrap();
            assert_eq!(next.fetch(Some(0), now), Err(Reject::GenerationPassed));
            assert_eq!(next.fetch(None, now), Ok(1));
        }
    }

    #[test]
    fn generations_do_not_wrap() {
        let last = Generations { current: u32::MAX, ..Generations::first(Timestamp(0)) };
        assert_eq!(last.rotate(Cause::Asked, Timestamp(0)), Err(Reject::GenerationsSpent));
    }

    #[test]
    fn what_a_revocation_replaced_does_not_open_for_a_second() {
        let now = Timestamp(1000);
        let first = Generations::first(now);
        let plain = first.rotate(Cause::Asked, now).unwrap();
        assert!(plain.opens(0, now) && plain.opens(0, now.after_s(119)) && !plain.opens(0, now.after_s(120)));
        let struck = plain.rotate(Cause::Revocation, now).unwrap();
        assert!(
            !struck.opens(0, now) && !struck.opens(1, now) && struck.opens(2, now) && !struck.opens(3, now)
        );
    }
}
