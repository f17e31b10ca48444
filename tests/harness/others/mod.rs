//! Who else is on a bearer's way: other people's programs on loopback, and stand-ins of ours for what those never say.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(clippy::missing_panics_doc, reason = "what fails here fails its test")]

pub mod authority;
pub mod process;
pub mod server;
pub mod smsc;
pub mod xcap;
