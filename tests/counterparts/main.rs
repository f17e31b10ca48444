//! Programs that others wrote, held against ours.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod cose;
mod envelope;
mod schemathesis;
