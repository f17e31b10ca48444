//! One service at several addresses: which is asked first, and when the next one is.
//!
//! ```text
//!   asked so that two askings are as one (GET, Idempotency-Key)   first ─300 ms─▶ next, beside it ─300 ms─▶ …
//!   whatever else                                                 first ─no connection─▶ next ─▶ …
//! ```
//! The address that answered last is asked first. What was sent and may have taken effect is never sent elsewhere of
//! its own accord: the caller's retry decides that.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use sidekey_protocol::pairing::PublicUrl;
use tokio::time::timeout;

use super::{Call, Transport};
use crate::error::{Error, Unavailable};

/// How often a request may be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repeats {
    /// Again at once, at another address: all of them have one effect and one answer.
    AtOnce,
    /// Again, when its answer did not come.
    InTurn,
    /// Not when it may have taken effect.
    Never,
}

/// A request as it is sent.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) accept: &'static str,
    /// Names the epoch that it is sent under.
    pub(super) kek: Option<[u8; 8]>,
}

/// The addresses of one service.
#[derive(Debug)]
pub(super) struct Addresses {
    urls: Box<[PublicUrl]>,
    /// Which is asked first.
    first: AtomicUsize,
}

impl Addresses {
    /// These, each once; never none.
    pub(super) fn new(first: &PublicUrl, others: &[PublicUrl]) -> Self {
        let mut urls = vec![first.clone()];
        for url in others.iter().take(ADDRESSES_MAX - 1) {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        Self { urls: urls.into(), first: AtomicUsize::new(0) }
    }

    /// The one that is asked first.
    pub(super) fn first(&self) -> &PublicUrl {
        &self.urls[self.first.load(Ordering::Relaxed)]
    }

    /// The next one shall be asked first, if `url` still is.
    pub(super) fn leave(&self, url: &PublicUrl) {
        let now = self.first.load(Ordering::Relaxed);
        if self.urls[now] == *url {
            self.first.store((now + 1) % self.urls.len(), Ordering::Relaxed);
        }
    }

    /// This one has answered.
    fn answered(&self, url: &PublicUrl) {
        if let Some(place) = self.urls.iter().position(|other| other == url) {
            self.first.store(place, Ordering::Relaxed);
        }
    }

    /// All of them, in the order in which they are asked.
    fn in_order(&self) -> Vec<&PublicUrl> {
        let first = self.first.load(Ordering::Relaxed);
        self.urls[first..].iter().chain(&self.urls[..first]).collect()
    }
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send + 'a>>;

impl Transport {
    /// One request, the head of the first answer.
    pub(super) async fn route(&self, sending: Sending<'_>) -> Result<Response<Incoming>, Error> {
        let order = self.link.addresses.in_order();
        match sending.call.repeats {
            Repeats::AtOnce => self.race(sending, &order).await,
            Repeats::InTurn | Repeats::Never => self.in_turn(sending, &order).await,
        }
    }

    /// The first address; soon the others beside it.
    fn race<'a>(&'a self, sending: Sending<'a>, order: &'a [&PublicUrl]) -> Answering<'a> {
        Box::pin(async move {
            let (here, others) = order.split_first().expect("a service has an address");
            let mut here = pin!(self.at(here, sending));
            if others.is_empty() {
                return here.await;
            }
            match timeout(HEDGE, &mut here).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    return self.race(sending, others).await.map_err(|other| worse(error, other));
                }
                Err(_) => {}
            }
            let mut there = self.race(sending, others);
            tokio::select! {
                answer = &mut here => match answer {
                    Ok(answer) => Ok(answer),
                    Err(error) => there.await.map_err(|other| worse(error, other)),
                },
                answer = &mut there => match answer {
                    Ok(answer) => Ok(answer),
                    Err(error) => here.await.map_err(|other| worse(error, other)),
                },
            }
        })
    }

    /// One address after another, as long as there is no connection over which anything was sent.
    async fn in_turn(&self, sending: Sending<'_>, order: &[&PublicUrl]) -> Result<Response<Incoming>, Error> {
        let mut failed = None;
        for url in order {
            match self.at(url, sending).await {
                Err(error @ (Error::Untrusted | Error::Retry { why: Unavailable::Connection, .. })) => {
                    failed = Some(failed.map_or(error.clone(), |before| worse(before, error)));
                }
                answered => return answered,
            }
        }
        Err(failed.expect("a service has an address"))
    }

    /// One address.
    async fn at(&self, url: &PublicUrl, sending: Sending<'_>) -> Result<Response<Incoming>, Error> {
        let answer = self.exchange(url, sending).await;
        match &answer {
            Ok(_) => self.link.addresses.answered(url),
            Err(_) => self.link.addresses.leave(url),
        }
        answer
    }
}

/// Of two failures the one that somebody should look into.
fn worse(one: Error, other: Error) -> Error {
    if matches!(one, Error::Untrusted) { one } else { other }
}

/// For how long one address is asked alone.
const HEDGE: Duration = Duration::from_millis(300);
/// Addresses of one service; more are not asked.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(name: &str) -> PublicUrl {
        format!("https://{name}.example.org").parse().unwrap()
    }

    fn order(addresses: &Addresses) -> Vec<PublicUrl> {
        addresses.in_order().into_iter().cloned().collect()
    }

    #[test]
    fn each_address_is_asked_once_and_the_last_that_answered_first() {
        let (a, b, c) = (url("a"), url("b"), url("c"));
        let addresses = Addresses::new(&a, &[b.clone(), a.clone(), c.clone(), b.clone()]);
        assert_eq!(order(&addresses), [a.clone(), b.clone(), c.clone()]);
        addresses.answered(&c);
        assert_eq!(order(&addresses), [c.clone(), a.clone(), b.clone()]);
        addresses.leave(&c);
        assert_eq!(*addresses.first(), a);
        // Of two that left it, the second changes nothing.
        addresses.leave(&c);
        assert_eq!(*addresses.first(), a);
    }
}
