//! Real mail through real proxies, read by real mail programs.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod again;
mod gateway;
mod library;
mod sealed;
mod stock;
mod store;
mod trusted;
