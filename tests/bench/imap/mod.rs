//! The mail path: what the gateway's sealing costs, and what an idle connection holds.

mod fetch;
mod frame;
mod idle;
mod line;
mod office;
