//! The enterprise's end of the mail path, in front of any IMAP4rev1 server.
//!
//! So far how an untrusted connection logs in, what it may ask, and what of the server's answers it is shown: decisions
//! alone, without sockets and keys.

pub mod allow;

/// How a connection logs in: as at the agent.
pub use sidekey_imap::login;
