//! IMAP's wire, in both directions, and the sessions that speak it.

mod agent;
mod commands;
#[path = "../../../src/imap/tests/ends.rs"]
mod ends;
mod gateway;
#[path = "../../../src/agent/tests/held.rs"]
mod held;
mod login;
mod mailboxes;
mod responses;
mod rewritten;
mod scanner;
mod script;
mod sound;

pub use agent::agent;
pub use commands::commands;
pub use gateway::gateway;
pub use login::login;
pub use mailboxes::mailboxes;
pub use responses::responses;
pub use rewritten::ends;
pub use scanner::scanner;
