//! The whole system in one process: the real service over TLS on a port of its own, with its real store in a temporary
//! folder; the real client crate; a clock with hands, the same for both sides; seeded randomness.
//!
//! ```text
//!   System ── admin ── add_server · invite        the enterprise
//!     ├── pair_server ▶ MailServer                its mail server
//!     ├── pair_client ▶ Phone                     a user's device
//!     ├── ask ▶ Asking ▶ Answer                   whatever the client crate would never send
//!     └── restart · clock · records               stops, comes back, gets older, remembers
//! ```

#[path = "harness/clock.rs"]
mod clock;
#[path = "harness/h2.rs"]
pub mod h2;
#[path = "harness/imap/mod.rs"]
pub mod imap;
#[path = "harness/journal.rs"]
mod journal;
#[path = "harness/keys.rs"]
mod keys;
#[path = "harness/log.rs"]
mod log;
#[path = "harness/mail.rs"]
pub mod mail;
#[path = "harness/metrics.rs"]
mod metrics;
#[path = "harness/office.rs"]
mod office;
#[path = "harness/others/mod.rs"]
pub mod others;
#[path = "harness/post.rs"]
mod post;
#[path = "harness/raw.rs"]
mod raw;
#[path = "harness/scan.rs"]
pub mod scan;
#[path = "harness/stranger.rs"]
pub mod stranger;
#[path = "harness/system.rs"]
mod system;
#[path = "harness/wire.rs"]
pub mod wire;

pub use clock::Hands;
pub use keys::{Keys, MailServer, Phone};
pub use log::Captured;
pub use office::{ANN, BOB, MAIL, Office, SHOP};
pub use post::{Post, REPORTS, Sent, configured, kannel};
pub use raw::{Answer, Asking, EventStream};
pub use system::{System, server, unhurried, user};
pub use wire::Wire;
