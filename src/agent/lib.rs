//! The user's end of the mail path: through it an unmodified mail program reads and manages mail that travels sealed.
//!
//! ```text
//!   mail program ── plain IMAP, on this machine ──▶ Session ── frames, through the operator's proxy ──▶ gateway
//! ```
//! A [`session::Session`] is what lies between, without sockets, clock or key service: what the program asks is asked
//! anew, what comes back is opened, compared with what was asked, and handed on once it is whole. What does not hold
//! becomes an [`alert::Alert`]. Around it, [`serve::serve`]: the program's password, the way to the proxy and the login
//! there, keys and numbers, the user's word on what is held.

pub mod alert;
pub mod config;
pub mod control;
mod fetch;
pub mod keys;
mod link;
pub mod listener;
pub mod numbers;
mod object;
pub mod password;
mod relay;
pub mod seen;
pub mod serve;
pub mod session;
mod side;
pub mod state;
pub mod stream;
mod stub;
pub mod tally;
pub mod tls;
mod told;
mod uids;
pub mod upstream;
pub mod work;
