//! The user's end of the mail path, between a mail program on this machine and the operator's proxy.
//!
//! So far what stands around a connection: the configuration, the program's password, the way to the proxy and the login
//! there, keys and numbers.

pub mod config;
pub mod keys;
pub mod numbers;
pub mod password;
pub mod state;
pub mod tls;
pub mod upstream;
