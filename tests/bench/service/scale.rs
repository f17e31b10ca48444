//! What many live sessions cost: a fetch among them, memory, and a start.

use std::time::{Duration, Instant};

use super::load::{Way, compare};
use super::population::Population;
use super::table::{Goal, Protocol, fact, head, row};
use crate::measure::tell;

const FEW: usize = 10_000;

/// A million, unless `SIDEKEY_BENCH_SESSIONS` says ten: made in batches of a hundred, as a mail server would.
#[tokio::test]
async fn a_million_live_sessions() {
    let many = std::env::var("SIDEKEY_BENCH_SESSIONS").map_or(1_000_000, |many| many.parse().unwrap());
    let (few, mut full) = (Population::settle().await, Population::settle().await);
    few.fill(FEW).await;
    let since = Instant::now();
    full.fill(many).await;
    tell(&format!("{many} sessions opened in {:.0} s, in batches", since.elapsed().as_secs_f64()));
    tokio::time::sleep(WRITTEN_BEHIND).await;
    head(&format!("a fetch among {many} live sessions, beside one among {FEW}:"));
    for protocol in Protocol::BOTH {
        let load = (protocol, 16);
        let mut ways = [
            Way::open(("few", &few.door, &few.process), load, few.fetch().await).await,
            Way::open(("many", &full.door, &full.process), load, full.fetch().await).await,
        ];
        compare(&mut ways, ROUNDS).await;
        row(&ways[1], &ways[0], load, Goal::AtMost(1.2));
    }
    let a_session =
        |few: &Population, full: &Population| (full.resident() - few.resident()) / (many - FEW) as f64;
    fact("resident memory of a live session", a_session(&few, &full), "octets", Goal::AtMost(200.0));
    let few = few.restarted("TERM").0;
    for signal in ["TERM", "KILL"] {
        let (again, took) = full.restarted(signal);
        full = again;
        fact(
            &format!("a start with {many} sessions, after SIG{signal}"),
            took.as_secs_f64(),
            "s",
            Goal::AtMost(2.0),
        );
        fact("resident memory of one after it", a_session(&few, &full), "octets", Goal::AtMost(200.0));
    }
}

impl Population {
    fn restarted(self, signal: &str) -> (Self, Duration) {
        let (enterprise, took) = self.enterprise.restart(signal);
        (Self { enterprise, ..self }, took)
    }
}

/// What was opened last is on the disk by then.
const WRITTEN_BEHIND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 15;
