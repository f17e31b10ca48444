//! Who gets in: while there is a seat, and while his address does not hold its share of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Ready;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use http::Request;
use tokio::net::TcpStream;
use tower_service::Service;

use super::connection::Connection;
use super::exchange::Exchanges;
use super::seconds;
use crate::config::Limits;
use crate::http::rates::Network;

/// Lets a connection in while there is a seat.
#[derive(Clone, Debug)]
pub(super) struct Door {
    seats: Arc<Seats>,
    limits: Patience,
}

/// How long a connection may be of no use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// While nothing moves, or an answer is not taken.
    pub(super) stalled: std::time::Duration,
    /// While nothing is asked.
    pub(super) idle: std::time::Duration,
}

impl Door {
    /// With so many seats, and so many of them for one address.
    pub(super) fn with(seats: usize, of_one_address: usize, limits: &Limits) -> Self {
        let taken = Mutex::new(Taken::default());
        let limits = Patience { stalled: seconds(limits.stalled_s), idle: seconds(limits.keep_alive_s) };
        Self { seats: Arc::new(Seats { all: seats, of_one_address, taken }), limits }
    }

    fn seat(&self, stream: TcpStream, exchanges: Arc<Exchanges>) -> io::Result<Connection> {
        let network = Network::of(stream.peer_addr()?.ip());
        let seat = self.seats.clone().take(network).ok_or(io::ErrorKind::QuotaExceeded)?;
        stream.set_nodelay(true)?;
        Ok(Connection::seated(stream, seat, exchanges, self.limits))
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Connection;
    type Service = Seated<S>;
    type Future = Ready<io::Result<(Connection, Seated<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let exchanges = Arc::new(Exchanges::default());
        let connection = self.seat(stream, exchanges.clone());
        std::future::ready(connection.map(|connection| (connection, Seated { service, exchanges })))
    }
}

/// Seats, and who has them.
#[derive(Debug)]
struct Seats {
    all: usize,
    of_one_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Network, usize>,
}

/// One of them, given back at its end.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    network: Network,
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: Arc<Self>, network: Network) -> Option<Seat> {
        let mut taken = self.taken();
        let by_it = taken.by.get(&network).copied().unwrap_or(0);
        if taken.all >= self.all || by_it >= self.of_one_address {
            return None;
        }
        taken.all += 1;
        taken.by.insert(network, by_it + 1);
        drop(taken);
        Some(Seat { seats: self, network })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        if let Entry::Occupied(mut by_it) = taken.by.entry(self.network) {
            *by_it.get_mut() -= 1;
            if *by_it.get() == 0 {
                by_it.remove();
            }
        }
    }
}

/// The service of one connection: each request brings what is under way on it.
#[derive(Clone, Debug)]
pub(super) struct Seated<S> {
    service: S,
    exchanges: Arc<Exchanges>,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Seated<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.exchanges.clone());
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_its_share_of_the_seats_and_leaves_the_others() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        let seats = Arc::new(Seats { all: 3, of_one_address: 2, taken: Mutex::new(Taken::default()) });
        let take = |text| seats.clone().take(of(text));
        let (first, second) = (take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap());
        assert!(take("2001:db8::3").is_none(), "it holds its two");
        let third = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.2").is_none(), "there is no more");
        drop(first);
        assert!(take("::ffff:192.0.2.1").is_some(), "a seat that was given back is taken again");
        drop((second, third));
        let taken = seats.taken();
        assert_eq!((taken.all, taken.by.len()), (0, 0), "nobody is remembered");
    }
}
