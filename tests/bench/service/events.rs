//! How soon five thousand who listen have heard of a revocation.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sidekey_client::protocol::revocation::Target;
use tokio::sync::oneshot;

use super::load::{Asked, Connection, Door};
use super::table::{Goal, Protocol, fact};
use crate::enterprise::Enterprise;
use crate::measure::tell;
use crate::target::enough_files;

/// A stream of events, and the connection that it is on.
struct Listening {
    _connection: Connection,
    body: Incoming,
}

impl Listening {
    async fn open(door: &Door) -> Self {
        let mut connection = door.open(Protocol::Http1).await;
        let body = connection.ask(Asked::get("/v1/events")).await.into_body();
        Self { _connection: connection, body }
    }

    /// Reads until the revocation of this device is told.
    async fn hear(&mut self, device: &str) {
        let mut said = String::new();
        while !(said.contains("event: revoked") && said.contains(device)) {
            let octets = self.body.frame().await.unwrap().unwrap().into_data().unwrap();
            said.push_str(std::str::from_utf8(&octets).unwrap());
        }
    }
}

/// Each on a TCP connection of its own.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_who_listen_hear_of_a_revocation() {
    enough_files(LISTENERS as u64 * 2);
    let enterprise = Enterprise::start("").await;
    let door = Door::of(&enterprise).await;
    let mut listeners = Vec::new();
    while listeners.len() < LISTENERS {
        listeners.extend(join_all((0..AT_ONCE).map(|_| Listening::open(&door))).await);
    }
    let mut took = Vec::new();
    for n in 0..ROUNDS {
        let device = enterprise.device(&format!("user{n}")).await;
        let name = device.to_string();
        let (revoke, when) = oneshot::channel();
        let hearing = async {
            let hear = async |mut listening: Listening| {
                listening.hear(&name).await;
                listening
            };
            let heard = listeners.drain(..).map(hear);
            join_all(heard).await
        };
        let revoking = async {
            let since = Instant::now();
            enterprise
                .admin
                .revoke(&Target::Pairing { pairing: device }, &"lost".parse().unwrap())
                .await
                .unwrap();
            revoke.send(since).unwrap();
        };
        let (heard, ()) = tokio::join!(hearing, revoking);
        took.push(when.await.unwrap().elapsed());
        listeners = heard;
    }
    took.sort();
    let s = |took: &Duration| took.as_secs_f64();
    tell(&format!(
        "a revocation, until the last of {LISTENERS} event streams has told of it; {ROUNDS} of them:"
    ));
    fact("the slowest", s(took.last().unwrap()), "s", Goal::AtMost(1.0));
    fact("half of them", s(&took[ROUNDS / 2]), "s", Goal::AtMost(1.0));
}

const LISTENERS: usize = 5_000;
/// Handshakes on the way.
const AT_ONCE: usize = 50;
const ROUNDS: usize = 9;
