//! Abuse of HTTP/2, HTTP/1.1 and TLS, against the built binary in a process of its own. Whatever is done on a connection,
//! it is ended within the promised time; meanwhile every honest request is answered as it should be, memory has a bound,
//! and afterwards nothing is left of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod attack;
#[expect(dead_code, reason = "tests/process needs more of it")]
#[path = "../../process/binary.rs"]
mod binary;
#[expect(dead_code, reason = "tests/process needs more of it")]
#[path = "../../process/load.rs"]
mod load;
mod target;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use attack::{ATTACKS, Attack, Attacker, Ended, Kind};
use futures_util::future::join_all;
use target::Target;
use tokio::time::timeout;

/// Shorter than the defaults: a test has no minute.
const LIMITS: [(&str, u32); 5] =
    [("handshake_s", 3), ("first_request_s", 3), ("keep_alive_s", 3), ("body_s", 2), ("stalled_s", 4)];
/// What a busy machine takes besides.
const SLACK: Duration = Duration::from_secs(15);
/// Honest requests beside an attack, however soon that is over.
const LEAST: usize = 10;
/// That all attacks of a test may add to the service's memory.
const MEMORY_MAX_KIB: u64 = 192 * 1024;

impl Ended {
    /// By the limits above.
    fn within(self) -> Duration {
        Duration::from_secs(match self {
            Self::AtOnce => 3,
            Self::Handshake => 3,
            Self::FirstRequest => 3 + 3,
            Self::Body => 3 + 2,
            Self::Idle => 3 + 3 + 5,
            Self::Stalled => 3 + 4,
        })
    }
}

async fn is_survived(kind: Kind) {
    let target = Target::start(&LIMITS).await;
    survives(&target, kind).await;
    ends(target);
}

/// Runs all attacks of a kind together. Whatever they do, the service serves, ends them, and is afterwards what it was.
async fn survives(target: &Target, kind: Kind) {
    for _ in 0..20 {
        target.ask().await;
    }
    let (before, descriptors) = (target.serving.memory("VmRSS"), target.descriptors());
    target.forget_the_most();
    let attacker = target.attacker(2);
    let each = |attack: &Attack| {
        let (name, within) = (attack.name, attack.ended.within() + SLACK);
        let runs = (0..attack.at_once).map(|_| tokio::spawn(timeout(within, (attack.run)(attacker.clone()))));
        let runs: Vec<_> = runs.collect();
        async move {
            for run in runs {
                assert!(run.await.unwrap().is_ok(), "{name}: not ended within {within:?}");
            }
        }
    };
    let attacks = join_all(ATTACKS.iter().filter(|attack| attack.kind == kind).map(each));
    let over = AtomicBool::new(false);
    let honest = async {
        let mut answered = 0;
        while answered < LEAST || !over.load(Ordering::Relaxed) {
            target.ask().await;
            answered += 1;
        }
    };
    let attacks = async {
        attacks.await;
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(attacks, honest);
    let most = target.serving.memory("VmHWM");
    assert!(most < before + MEMORY_MAX_KIB, "{most} KiB, and {before} before");
    recovers(target, descriptors).await;
}

/// That nothing is left of whatever was done.
async fn recovers(target: &Target, descriptors: usize) {
    let deadline = Instant::now() + SLACK;
    // One more: the honest connection may be another by now.
    while target.descriptors() > descriptors + 1 {
        assert!(Instant::now() < deadline, "{} descriptors, and {descriptors} before", target.descriptors());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    target.ask().await;
}

/// That it ends as it should, having said nothing of a panic.
fn ends(target: Target) {
    let Target { serving, .. } = target;
    let said: Vec<_> = serving.seen.iter().cloned().chain(serving.lines.try_iter()).collect();
    let panics: Vec<_> = said.iter().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
    assert_eq!(serving.stop("TERM"), 0, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_come_faster_than_they_may() {
    is_survived(Kind::Floods).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing() {
    is_survived(Kind::Empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_taken() {
    is_survived(Kind::Untaken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_an_octet_a_second() {
    is_survived(Kind::Slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end() {
    is_survived(Kind::Endless).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_handshakes_that_never_finish() {
    let target = Target::start(&LIMITS).await;
    let split = split_hello(target.attacker(3));
    tokio::join!(survives(&target, Kind::Handshakes), split);
    ends(target);
}

/// A first flight in two segments, while all that goes on, is taken.
async fn split_hello(by: Attacker) {
    let finished = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(by.at).unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut tls, mut hello) = (by.handshake(), Vec::new());
        tls.write_tls(&mut hello).unwrap();
        assert!(hello.len() > 1200, "{} octets: the hello is a hybrid one", hello.len());
        let (first, second) = hello.split_at(700);
        stream.write_all(first).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(second).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).unwrap();
        }
    });
    finished.await.unwrap();
}

/// Whoever takes all the seats that he can leaves some to others; where several take all there are, those who sit are
/// served, and seats come back.
#[tokio::test(flavor = "multi_thread")]
async fn every_seat_that_there_is() {
    let limits = [("connections", 60), ("address_connections", 20), ("first_request_s", 10)];
    let target = Target::start(&limits).await;
    target.ask().await;
    let descriptors = target.descriptors();
    let mut held = Vec::new();
    for address in [2, 3, 4] {
        let by = target.attacker(address);
        let mut ended = 0;
        for _ in 0..40 {
            match by.tls("h2").await {
                Ok(wire) => held.push(wire),
                Err(_) => ended += 1,
            }
        }
        assert!(ended >= 20, "{address}: {ended} of 40 were ended at once");
        target.ask().await;
    }
    assert!(held.len() >= 55, "{} sit", held.len());
    assert!(target.attacker(5).tls("h2").await.is_err(), "there is no seat left");
    // Nothing is asked by them: their seats come back without their doing.
    recovers(&target, descriptors).await;
    assert!(target.attacker(5).tls("h2").await.is_ok(), "there are seats again");
    drop(held);
    ends(target);
}
