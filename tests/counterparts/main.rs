//! Programs that others wrote, and one of ours that knows nothing but `proto/`, held against the rest of ours.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod client;
mod cose;
mod envelope;
mod schemathesis;
