//! The small crate a mail app or a mail server links: pair, fetch session keys, open and seal mail objects.
//!
//! ```text
//!                           ┌──open──▶ Confirmed  digits · matches · approved     where it is to be approved
//!   Invitation ──pair──▶ KeyStore ──open──▶ Client  session_key · accept · current · policy · watch
//!                                      └──▶ Server  issue · rotate · end · session_key · sessions · verify_credential · watch
//! ```
//! A [`Client`] is a mail app's side, a [`Server`] a mail server's or a gateway's; `examples/phone.rs` and
//! `examples/server.rs` are each a whole one. Every error says what to do about it: see [`Error`]. Nothing is global:
//! the clock and the randomness come in an [`Ambient`], connections belong to a [`transport::Transport`], and what
//! was fetched to the [`Client`] or [`Server`] and its clones. A tokio runtime with time and I/O is required.
//!
//! The feature `xdms` reads keys from the user's document on an XDMS: `Client::fetch_xdms`. The feature `spool` keeps a
//! value that is not whole yet where nobody reads it, however large it is.

pub mod admin;
mod ambient;
mod approval;
mod audit;
mod cache;
pub mod credential;
mod delivery;
pub mod error;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod heads;
mod kept;
mod keys;
mod keystore;
mod look;
mod mismatch;
pub mod object;
mod pairing;
mod party;
mod policies;
mod profile;
mod rekey;
mod restore;
mod revocation;
mod session;
#[cfg(feature = "spool")]
pub mod spool;
mod sse;
#[cfg(test)]
mod tests;
pub mod transport;
#[cfg(feature = "xdms")]
pub mod xdms;

pub use ambient::{Ambient, Clock, SystemClock};
pub use approval::{Confirmed, KeptWaiting, Progress};
pub use audit::AuditLog;
pub use error::Error;
pub use keystore::{FileKeyStore, KeyStore, MemoryKeyStore, refuse_readable_by_others};
pub use pairing::{Invitation, Paired, pair};
pub use profile::{KeptPolicy, Profile};
pub use revocation::{Notice, Watch};
pub use session::{Client, Server, SessionKey};
pub use transport::Roots;

/// The rules and types that both sides share.
pub use sidekey_protocol as protocol;

/// Runs what blocks off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down: nobody will ask again.
        Err(_) => std::future::pending().await,
    }
}
