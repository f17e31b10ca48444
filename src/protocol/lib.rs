//! Every rule of Sidekey: bytes, time and randomness in; decisions out. No I/O, no async, no clock.
//!
//! The modules follow a key on its way: [`pairing`], [`session`], [`delivery`], [`object`], and [`revocation`], which
//! can strike at each; [`audit`] tells of all of them. The contract that they implement is in `proto/`.

pub mod audit;
pub mod crypto;
pub mod delivery;
pub mod encoding;
pub mod ids;
mod jose;
pub mod keys;
pub mod object;
pub mod pairing;
pub mod policy;
pub mod revocation;
#[cfg(feature = "openapi")]
mod schema;
pub mod session;
pub mod token;
#[cfg(test)]
mod vectors;
