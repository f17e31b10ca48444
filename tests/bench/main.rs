//! What it costs: ratios of one run, told and not asserted. `./tests/run bench`, or `./tests/run bench imap`, or `… service`.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

#[expect(dead_code, reason = "tests/process needs more of it")]
#[path = "../process/binary.rs"]
mod binary;
mod delivery;
mod enterprise;
mod imap;
mod measure;
mod service;
