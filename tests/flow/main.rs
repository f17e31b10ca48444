//! Each step over real sockets: what it does, and one test for each thing that it refuses. `journey` goes through all of
//! them and reads the log.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod admin;
mod agent;
mod audit;
mod batch;
mod clock;
mod credential;
mod delivery;
mod envelope;
mod journey;
mod keys;
mod object;
mod pairing;
mod restore;
mod resume;
mod retention;
mod revocation;
mod session;
