//! Real mail through real proxies, read by real mail programs.

mod enterprise;
mod stock;
mod store;
mod trusted;
