//! What it costs to come in: a full handshake, and a pairing.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::load::{Asked, Door, Process};
use super::table::{Goal, Protocol, fact};
use super::yardstick;
use crate::enterprise::Enterprise;
use crate::measure::{Ratio, tell};

/// TLS 1.3 without resumption, and one request for the service's health.
#[tokio::test]
async fn handshakes_and_pairings() {
    let enterprise = Enterprise::start("").await;
    let (bare, port) = yardstick::bare(&enterprise.sidekey);
    let door = Door::of(&enterprise).await;
    let (ours, bare) =
        ((door.clone(), Process::of(enterprise.pid())), (door.at(port), Process::of(bare.pid())));
    let (mut costs, mut beside) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 0..=ROUNDS {
        for ((door, process), costs) in [(&ours, &mut costs), (&bare, &mut beside)] {
            let (processor, time) = handshakes(door, process).await;
            if round > 0 {
                costs.0.push(processor);
                costs.1.push(time);
            }
        }
    }
    tell(&format!(
        "full handshakes and a request each, × the bare stack's, {ROUNDS} interleaved rounds of {HANDSHAKES}:"
    ));
    // So many in a second, or in a second of the processor: the other way round.
    for (what, ratio) in [
        ("rate, per processor", Ratio::of(&beside.0, &costs.0)),
        ("rate, per second", Ratio::of(&beside.1, &costs.1)),
    ] {
        let [low, median, high] = ratio.quartiles;
        fact(what, median, &format!("({low:.3} to {high:.3})"), Goal::AtLeast(0.95));
    }
    pairings(&enterprise, &ours.1, costs.0[ROUNDS / 2]).await;
}

async fn handshakes(door: &Door, process: &Process) -> (Duration, Duration) {
    let (made, since) = (Cell::new(0), Instant::now());
    let side = async |_| {
        while made.replace(made.get() + 1) < HANDSHAKES {
            door.open(Protocol::Http1).await.read(Asked::get("/livez")).await;
        }
    };
    join_all((0..SIDES).map(side)).await;
    (process.since(), since.elapsed())
}

/// An invitation and its pairing, as the service has them: its processor alone, not the administrator's nor the device's.
async fn pairings(enterprise: &Enterprise, process: &Process, handshake: Duration) {
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        process.since();
        for n in 0..PAIRINGS {
            enterprise.device(&format!("user{round}-{n}")).await;
        }
        costs.push(process.since() / u32::try_from(PAIRINGS).unwrap());
    }
    costs.sort();
    let half = costs[ROUNDS / 2].as_secs_f64();
    tell("pairing a device, its invitation included:");
    fact("pairings in a second of one core", 1.0 / half, "", Goal::Told);
    fact("× a full handshake", half / handshake.as_secs_f64() * HANDSHAKES as f64, "", Goal::Told);
}

const HANDSHAKES: usize = 400;
const SIDES: usize = 8;
const PAIRINGS: usize = 8;
const ROUNDS: usize = 9;
