//! The user's end of the mail path: through it an unmodified mail program reads and manages mail that travels sealed.
//!
//! ```text
//!   mail program ── plain IMAP, on this machine ──▶ Session ── frames, through the operator's proxy ──▶ gateway
//! ```
//! A [`session::Session`] is what lies between, without sockets, clock or key service: what the program asks is asked
//! anew, what comes back is opened, compared with what was asked, and handed on once it is whole. What does not hold
//! becomes an [`alert::Alert`]. Around it so far: the configuration, the program's password, the way to the proxy and the
//! login there, keys and numbers.

pub mod alert;
pub mod config;
mod fetch;
pub mod keys;
pub mod numbers;
mod object;
pub mod password;
pub mod session;
pub mod state;
pub mod tls;
mod told;
mod uids;
pub mod upstream;
