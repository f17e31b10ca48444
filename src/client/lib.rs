//! The small crate a mail app or a mail server links: pair, fetch session keys, open and seal mail objects.

pub mod admin;
mod ambient;
mod cache;
pub mod error;
mod keystore;
mod pairing;
mod party;
mod profile;
mod revocation;
mod session;
mod sse;
pub mod transport;

pub use ambient::{Ambient, Clock, SystemClock};
pub use error::Error;
pub use keystore::{FileKeyStore, KeyStore, MemoryKeyStore};
pub use pairing::{Invitation, Paired, pair};
pub use profile::{KeptPolicy, Profile};
pub use revocation::{Notice, Watch};
pub use session::{Client, Server, SessionKey};
pub use transport::Roots;

/// Runs what blocks off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down: nobody will ask again.
        Err(_) => std::future::pending().await,
    }
}
