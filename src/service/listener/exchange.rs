//! What is under way on one connection: requests that are not answered yet, and answers that are not taken yet.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum_server::ConnectionShutdown;
use bytes::Bytes;
use http::{Extensions, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// Octets of an answer that are handed on at one time: what comes after them waits until the peer makes room.
const PIECE_SIZE: usize = 16 * 1024;

/// Of one connection.
#[derive(Debug, Default)]
pub(crate) struct Exchanges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Each by its number, and since when its answer waits for the peer, if it does.
    under_way: BTreeMap<u64, Option<Instant>>,
    begun: u64,
    /// When the last one ended.
    ended: Option<Instant>,
    /// What closes the connection once nothing is under way.
    shutdown: Option<ConnectionShutdown>,
}

/// One request and its answer, from when it is read to when the peer has taken it.
#[derive(Debug)]
pub(crate) struct Exchange {
    of: Arc<Exchanges>,
    number: u64,
}

impl Exchanges {
    /// That of a request with these extensions, which came by a connection of ours.
    pub(crate) fn begin(extensions: &Extensions) -> Option<Exchange> {
        let of = extensions.get::<Arc<Self>>()?.clone();
        let mut known = of.known();
        let number = known.begun;
        known.begun += 1;
        known.under_way.insert(number, None);
        if known.shutdown.is_none() {
            known.shutdown = extensions.get::<ConnectionShutdown>().cloned();
        }
        drop(known);
        Some(Exchange { of, number })
    }

    /// Since when nothing has been asked. A connection on which nothing ever was is under another limit.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let known = self.known();
        known.ended.filter(|_| known.under_way.is_empty())
    }

    /// Since when an answer waits for the peer to make room: the one that waits longest.
    pub(super) fn untaken_since(&self) -> Option<Instant> {
        self.known().under_way.values().flatten().min().copied()
    }

    /// Tells the peer to go: HTTP/2 has a word for it.
    pub(super) fn dismiss(&self) {
        if let Some(shutdown) = &self.known().shutdown {
            shutdown.graceful_shutdown();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// The answer, which is under way until the peer has taken it.
    pub(crate) fn answered_by(self, response: Response<Body>) -> Response<Body> {
        self.waits(true);
        response.map(|body| Body::new(Answer { body, rest: Bytes::new(), exchange: self }))
    }

    fn waits(&self, waits: bool) {
        self.of.known().under_way.insert(self.number, waits.then(Instant::now));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut known = self.of.known();
        known.under_way.remove(&self.number);
        known.ended = Some(Instant::now());
    }
}

/// An answer's body, in pieces. It waits for the peer from when a piece was handed on to when the next one is asked for.
#[derive(Debug)]
struct Answer {
    body: Body,
    rest: Bytes,
    exchange: Exchange,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.exchange.waits(false);
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let size = self.rest.len().min(PIECE_SIZE);
        let piece = self.rest.split_to(size);
        self.exchange.waits(true);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn begun() -> (Arc<Exchanges>, Exchange) {
        let exchanges = Arc::new(Exchanges::default());
        let mut extensions = Extensions::new();
        extensions.insert(exchanges.clone());
        let exchange = Exchanges::begin(&extensions).unwrap();
        (exchanges, exchange)
    }

    #[tokio::test]
    async fn an_answer_waits_for_its_peer_while_no_more_of_it_is_asked_for() {
        let (exchanges, exchange) = begun();
        assert_eq!((exchanges.untaken_since(), exchanges.idle_since()), (None, None), "it is being answered");
        let mut asked = Instant::now();
        let whole = Body::from(vec![7; 2 * PIECE_SIZE + 1]);
        let mut body = exchange.answered_by(Response::new(whole)).into_body();
        assert_eq!(body.size_hint().exact(), Some(2 * PIECE_SIZE as u64 + 1));
        for size in [PIECE_SIZE, PIECE_SIZE, 1] {
            assert!(exchanges.untaken_since().unwrap() >= asked, "since it was last asked for more");
            asked = Instant::now();
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(piece.len(), size);
        }
        assert!(exchanges.untaken_since().is_some() && exchanges.idle_since().is_none());
        assert!(body.is_end_stream(), "without another question");
        drop(body);
        assert!(exchanges.untaken_since().is_none() && exchanges.idle_since().unwrap() >= asked);
    }

    #[tokio::test]
    async fn an_answer_that_has_nothing_to_say_yet_waits_for_nobody() {
        let (exchanges, exchange) = begun();
        let silent = futures_util::stream::pending::<Result<Bytes, axum::Error>>();
        let mut body = exchange.answered_by(Response::new(Body::from_stream(silent))).into_body();
        assert!(body.frame().now_or_never().is_none());
        assert_eq!((exchanges.untaken_since(), exchanges.idle_since()), (None, None));
    }

    #[test]
    fn what_is_dropped_unanswered_is_under_way_no_more() {
        let (exchanges, first) = begun();
        let mut extensions = Extensions::new();
        extensions.insert(exchanges.clone());
        let second = Exchanges::begin(&extensions).unwrap();
        drop(first);
        assert_eq!(exchanges.idle_since(), None, "another is");
        drop(second);
        assert!(exchanges.idle_since().is_some());
    }
}
