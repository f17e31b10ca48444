//! IMAP's wire without I/O: no sockets, no keys, no clock.
//!
//! A gateway in front of a mail server and an agent in front of a mail program share it. Octets go in as they come,
//! in pieces that end anywhere; what goes out is a token, a command, a piece of a response. Whatever a peer sends is
//! bounded in memory and ends in a value or a named refusal.

pub mod command;
pub mod login;
pub mod mailbox;
pub mod passes;
pub mod response;
pub mod scanner;
