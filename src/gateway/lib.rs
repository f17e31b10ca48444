//! The enterprise's end of the mail path, in front of any IMAP4rev1 server.
//!
//! So far what an untrusted connection may ask, and what of the server's answers it is shown: decisions alone, without
//! sockets and keys.

pub mod allow;
