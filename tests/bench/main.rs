//! What it costs: ratios of one run, told and not asserted. `./tests/run bench`, or `… bench service`, `imap` or `abuse`.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod abuse;
#[expect(dead_code, reason = "the attacks' own tests need more of it")]
#[path = "../hostile/abuse/attack.rs"]
mod attack;
#[expect(dead_code, reason = "tests/process needs more of it")]
#[path = "../process/binary.rs"]
mod binary;
mod delivery;
mod enterprise;
mod imap;
#[expect(dead_code, reason = "tests/process needs more of it")]
#[path = "../process/load.rs"]
mod load;
mod measure;
mod service;
#[expect(dead_code, reason = "the attacks' own tests need more of it")]
#[path = "../hostile/abuse/target.rs"]
mod target;
