//! What others send who mean harm, or know no better. Each test is named for its attack; whatever it is, the answer says
//! what to do next, nothing has changed, and everybody else is served.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod carrier;
mod http;
mod imap;
mod tls;
