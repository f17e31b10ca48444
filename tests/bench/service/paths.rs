//! What one request costs, by its path.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, DATE};

use super::load::{Asked, Way, compare};
use super::load::{Door, Process};
use super::population::{Population, USERS, batches, issue};
use super::table::{Goal, Protocol, head, row};
use super::yardstick;
use crate::enterprise::Enterprise;

/// Everyone who is asked, each a process of its own.
struct Servers {
    bare: (Door, Process),
    octets: (Door, Process),
    ours: (Door, Process),
    fetching: Population,
    issuing: Population,
    batching: Population,
}

#[tokio::test]
async fn every_path_beside_an_empty_handler() {
    let fetching = Population::settle().await;
    fetching.fill(10_000).await;
    let size = fetching.answer_size().await;
    let ours = Enterprise::served("", |sidekey, port| yardstick::ours(sidekey, port, size)).await;
    let (bare, port) = yardstick::bare(&ours.sidekey);
    let ours_door = Door::of(&ours).await;
    let fields = answer_head(&ours_door, fetching.fetch().await(0)).await;
    let (octets, octets_port) = yardstick::octets(&ours.sidekey, &fields, size);
    let servers = Servers {
        bare: (ours_door.at(port), Process::of(bare.pid())),
        octets: (ours_door.at(octets_port), Process::of(octets.pid())),
        ours: (ours_door, Process::of(ours.pid())),
        fetching,
        issuing: Population::settle().await,
        batching: Population::settle().await,
    };
    head(&format!(
        "processor time of the whole server process, per request and per key, {} interleaved rounds:",
        rounds()
    ));
    for protocol in Protocol::BOTH {
        for connections in [1, 16, 64] {
            servers.measure((protocol, connections)).await;
        }
    }
}

impl Servers {
    async fn measure(&self, load: (Protocol, usize)) {
        let run = |what: &str| format!("{what}-{:?}-{:02}", load.0, load.1);
        let (bare, octets, ours) = (&self.bare, &self.octets, &self.ours);
        let of = |population: &Population| (population.door.clone(), population.process.clone());
        let (fetching, issuing, batching) = (of(&self.fetching), of(&self.issuing), of(&self.batching));
        let fetch = async || self.fetching.fetch().await;
        let way = async |name, server: &(Door, Process), request: Box<dyn Fn(usize) -> Asked>| {
            Way::open((name, &server.0, &server.1), load, request).await
        };
        let mut ways = [
            way("bare", bare, Box::new(fetch().await)).await,
            way("octets", octets, Box::new(fetch().await)).await,
            way("same", ours, Box::new(fetch().await)).await,
            way("fetch", &fetching, Box::new(fetch().await)).await,
            way("bare, issue", bare, Box::new(issue(run("bare")))).await,
            way("durable", ours, Box::new(issue(run("ours")))).await,
            way("issue", &issuing, Box::new(issue(run("more")))).await,
            way("batch of 100, a key", &batching, Box::new(batches(run("many"))))
                .await
                .by_the_key(USERS as u32),
        ];
        if let Ok(name) = std::env::var("SIDEKEY_BENCH_ALONE") {
            // For whoever watches what one path does.
            return compare(ways.iter_mut().filter(|way| way.name == name), rounds()).await;
        }
        compare(&mut ways, rounds()).await;
        let [bare, octets, same, fetch, bare_issue, durable, issue, batch] = &ways;
        for (way, beside, goal) in [
            (bare, bare, Goal::Told),
            (octets, bare, Goal::Told),
            (same, octets, Goal::Told),
            (same, bare, Goal::AtMost(1.2)),
            (fetch, same, Goal::AtMost(1.15)),
            (durable, bare_issue, Goal::Told),
            (issue, durable, Goal::AtMost(1.2)),
            (batch, bare, Goal::AtMost(0.25)),
        ] {
            row(way, beside, load, goal);
        }
    }
}

/// The head of an answer, but for what every server adds by itself.
async fn answer_head(door: &Door, asked: Asked) -> HeaderMap {
    let mut head = door.open(Protocol::Http1).await.ask(asked).await.headers().clone();
    for own in [DATE, CONTENT_LENGTH] {
        head.remove(own);
    }
    head
}

/// Fifteen, unless it is said otherwise.
fn rounds() -> usize {
    std::env::var("SIDEKEY_BENCH_ROUNDS").map_or(15, |rounds| rounds.parse().unwrap())
}
