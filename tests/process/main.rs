//! The built binary, from outside: as users run it, and as machines fail under it.
#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod admin;
mod agent;
mod approval;
mod audit;
mod bad_input;
mod binary;
mod commands;
mod completion;
mod config;
mod container;
mod crash;
mod credential;
mod delivery;
mod demo;
mod disk;
mod doctor;
mod drill;
mod full;
mod gateway;
mod kept;
mod key;
mod linear;
mod load;
mod machine;
mod made;
mod operations;
mod package;
mod policy;
mod power_cut;
mod readme;
mod restore;
mod retention;
mod root;
mod runbook;
mod witness;
