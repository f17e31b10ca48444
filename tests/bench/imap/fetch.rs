//! What it costs to fetch two hundred messages: from Dovecot, through the gateway as they are, and sealed.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidekey_client::Roots;
use sidekey_tests::imap::PASSWORD;
use sidekey_tests::imap::corpus::{Corpus, MESSAGES};
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::others::authority::Authority;

use super::line::Line;
use super::office::{ANN, Office};
use crate::measure::{Processor, Ratio, tell};

/// A way to the same mail.
struct Way {
    name: &'static str,
    /// With which it is compared, and how many times as much it should cost at most, if that was promised.
    beside: Option<(usize, Option<f64>)>,
    line: Line,
    items: &'static str,
    /// The gateway's, where there is one.
    process: Option<u32>,
    costs: Costs,
}

/// Of each round.
#[derive(Default)]
struct Costs {
    time: Vec<Duration>,
    processor: Vec<Duration>,
}

/// What is fetched.
#[derive(Clone, Copy)]
enum Task {
    Bulk,
    Singly,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_messages() {
    let authority = Authority::new();
    let dovecot = Dovecot::start(&authority).await;
    dovecot.deliver("ann", None, &Corpus::new(1).messages);
    let office = Office::open();
    let trust = Arc::new(Roots::Pem(authority.pem().to_owned()).client_config().unwrap());
    for (hops, port, tls) in
        [("TLS on every hop", dovecot.tls_port, Some((&authority, &trust))), ("no TLS", dovecot.port, None)]
    {
        let gateway = office.gateway(port, tls.map(|(authority, _)| authority));
        let trust = tls.map(|(_, trust)| trust);
        let dovecot = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let direct = (dovecot, "ann", PASSWORD, None);
        let relayed = (relay(dovecot), "ann", PASSWORD, None);
        let through = |listener| (gateway.at(listener), ANN, office.credential.as_str(), Some(gateway.pid()));
        let way = |name, beside, (at, user, password, process), items| {
            let mut line = Line::connect(at, trust);
            line.ask(&format!("LOGIN \"{user}\" \"{password}\""));
            line.ask("SELECT INBOX");
            Way { name, beside, line, items, process, costs: Costs::default() }
        };
        for (task, name) in
            [(Task::Bulk, "one FETCH of 200 messages"), (Task::Singly, "200 FETCHes of one message")]
        {
            let mut ways = [
                way("direct", None, direct, MESSAGE),
                way("relayed", Some((0, None)), relayed, MESSAGE),
                way("not sealed", Some((0, Some(1.4))), through("unsealed"), MESSAGE),
                way("sealed, octets", Some((2, Some(1.25))), through("sealed"), OCTETS),
                way("sealed, base64", Some((2, Some(1.35))), through("sealed"), MESSAGE),
            ];
            compare(&mut ways, task);
            tell(&format!("{name}, {hops}; {} interleaved rounds:", rounds()));
            told(&ways);
        }
    }
}

/// A way to there over one hop more, which hands on what it does not read.
fn relay(to: SocketAddr) -> SocketAddr {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = door.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in door.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(to).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            for (from, to) in [(client, server), back] {
                to.set_nodelay(true).unwrap();
                std::thread::spawn(move || hand_on(from, to));
            }
        }
    });
    at
}

fn hand_on(mut from: TcpStream, mut to: TcpStream) {
    let mut octets = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut octets) {
        if to.write_all(&octets[..read]).is_err() {
            return;
        }
    }
}

/// As many rounds as there are to be, each way in turn, and one before that counts nothing.
fn compare(ways: &mut [Way], task: Task) {
    for way in &mut *ways {
        way.line.fetch(task, way.items);
    }
    for _ in 0..rounds() {
        for way in &mut *ways {
            let (processor, since) = (way.process.map(Processor::of), Instant::now());
            way.line.fetch(task, way.items);
            way.costs.time.push(since.elapsed());
            way.costs.processor.extend(processor.map(|processor| processor.since()));
        }
    }
}

impl Line {
    fn fetch(&mut self, task: Task, items: &str) {
        match task {
            Task::Bulk => self.ask(&format!("FETCH 1:* {items}")),
            Task::Singly => (1..=MESSAGES).for_each(|uid| self.ask(&format!("UID FETCH {uid} {items}"))),
        }
    }
}

fn told(ways: &[Way]) {
    tell(
        "  way                  time   beside       goal   least / least, half of the rounds   the gateway's processor",
    );
    for way in ways {
        let least = way.costs.time.iter().min().unwrap().as_secs_f64() * 1e3;
        let beside = way.beside.map_or_else(String::new, |(other, goal)| {
            let other = &ways[other];
            let goal = goal.map_or_else(String::new, |goal: f64| format!("{goal:.2}"));
            let time = ratio(&way.costs.time, &other.costs.time);
            let processor = ratio(&way.costs.processor, &other.costs.processor);
            format!("{:<11} {goal:>5}   {time:<33}   {processor}", other.name)
        });
        tell(&format!("  {:<14} {least:>7.1} ms   {beside}", way.name));
    }
}

fn ratio(these: &[Duration], those: &[Duration]) -> String {
    if these.is_empty() || those.is_empty() {
        return String::new();
    }
    let Ratio { least, quartiles: [low, _, high] } = Ratio::of(these, those);
    format!("{least:.2} ({low:.2} to {high:.2})")
}

/// Thirty, unless it is said otherwise.
fn rounds() -> usize {
    std::env::var("SIDEKEY_BENCH_ROUNDS").map_or(30, |rounds| rounds.parse().unwrap())
}

const MESSAGE: &str = "(BODY.PEEK[])";
const OCTETS: &str = "(BODY.PEEK[]) (XENCRYPTED)";
