//! Takes sealed payloads to their address.
//!
//! A key or an invitation travels on a bearer that nobody trusts: `proto/delivery/spec.md` says what may travel on which,
//! and what its receiver checks. A [`Carrier`] is one such bearer, or the way into it. It learns nothing from what it
//! takes, decides nothing, and what comes back from it, [`Report`]s included, authorises nothing.
//!
//! | carrier | takes | to |
//! |---|---|---|
//! | [`sms::smpp::Smpp`] | envelopes, invitations | a phone, through an SMSC that speaks SMPP 3.4 |
//! | [`sms::http::Gateway`] | envelopes, invitations | a phone, through an SMS gateway's HTTP interface |
//! | [`xdms::Xdms`] | documents | a user's tree on an XDMS, by XCAP |
//! | [`webhook::Webhook`] | all of them | a URL of the enterprise, signed |
//!
//! # A carrier of your own
//!
//! A carrier answers one question: did this payload leave, and if not, is it worth another try? This one hands envelopes
//! to a pager; `webhook.rs` is a real one from end to end.
//!
//! ```
//! use futures_util::future::BoxFuture;
//! use sidekey_carrier::{Address, Carrier, Payload, Receipt, ReceiptId, Refusal, Undelivered};
//!
//! #[derive(Debug)]
//! struct Pager;
//!
//! impl Carrier for Pager {
//!     fn send<'a>(
//!         &'a self,
//!         to: &'a Address,
//!         payload: &'a Payload,
//!     ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
//!         Box::pin(async move {
//!             // What it cannot take, now or ever, it refuses: nothing tries that again.
//!             let Address::Phone(_number) = to else { return Err(Refusal::AddressKind.into()) };
//!             let Payload::Sealed(_envelope) = payload else { return Err(Refusal::PayloadKind.into()) };
//!             // What may work later is `Undelivered::Retry`, with the time after which.
//!             Ok(Receipt::of(ReceiptId::new("page-1")))
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let phone: Address = "+491700000000".parse::<sidekey_carrier::Phone>().unwrap().into();
//! let receipt = Pager.send(&phone, &Payload::Sealed([0; 127].into())).await.unwrap();
//! assert_eq!(receipt.ids()[0].as_str(), "page-1");
//! # }
//! ```

mod address;
mod ambient;
mod outcome;
mod payload;
mod web;

pub mod sms;
pub mod webhook;
pub mod xdms;

use std::fmt;

use futures_util::future::BoxFuture;

pub use self::address::{Address, Malformed, Phone, Xui};
pub use self::ambient::Ambient;
pub use self::outcome::{Conflict, Fate, Receipt, ReceiptId, Refusal, Report, Reports, Trouble, Undelivered};
pub use self::payload::{Document, Entry, Invitation, Payload, Sealed, Unfit};
pub use self::web::{BadUrl, Roots, Url};

/// Takes a sealed payload to one address.
///
/// An answer of `Ok` says that the bearer took it over, not that it arrived. A payload whose sending was cut short may have
/// left: carriers deliver at least once, and receivers drop what they have seen.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// Sends `payload` to `to`, within a time of the carrier's own.
    fn send<'a>(
        &'a self,
        to: &'a Address,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>>;

    /// Takes back what lies at `to`, where the bearer keeps things. By default there is nothing to take back.
    fn withdraw<'a>(&'a self, _to: &'a Address) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async { Ok(()) })
    }
}
