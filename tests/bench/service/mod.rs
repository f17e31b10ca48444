//! What the service costs, beside yardsticks that run in the same minutes on the same machine: an empty handler on the
//! same axum and rustls (*bare*), one that answers the very octets that the service answers, head and all (*octets*), a
//! handler behind the service's own guards that answers as many (*same*), and one that also makes three hundred octets
//! durable, with whoever else waits (*durable*).
//!
//! ```text
//!              ┌─▶ bare, octets  axum and rustls, and nothing else
//!   load ──────┼─▶ same, durable the service, with other handlers in the place of its own
//!   one client └─▶ fetch, issue, batch   `sidekey serve`, the built binary, as `sidekey init` sets it up
//! ```
//! Each is a process of its own, they take turns within each round, and what is compared is processor time per request
//! of the whole process, what it writes behind its answers included. What may be asked in a minute is raised by
//! configuration, so that it is not that which is measured.

mod doors;
mod events;
mod load;
mod paths;
mod population;
mod scale;
mod table;
mod yardstick;
