//! Simulation by seed: the whole system in one world that dice move, first with every fault, then with none.
//!
//! ```text
//!   seed ──▶ dice ──▶ parties ⇄ network ⇄ service ── store ── disk        each step is held against
//!                                  every fault, then none                  a model of maps and sets
//! ```
//! The same seed is the same world to the last octet, so that what a seed finds is found again by
//! `./tests/run simulate SEED:1`. One request at a time is at the service: that it decides many at once is tested by
//! `tests/process/crash.rs`. The state that is written behind is left out: it saves time, and the journal has it all.

#![expect(clippy::unwrap_used, reason = "what fails here fails its world")]

mod acts;
mod beginning;
#[path = "../process/disk.rs"]
mod disk;
mod looks;
mod machine;
mod model;
mod network;
mod parties;
mod restored;
mod serving;
mod trace;
mod world;

use std::path::Path;
use std::process::Command;

use crate::world::live;

/// Which seeds a process lives: `first:count`.
const SEEDS: &str = "SIDEKEY_SIMULATE";
/// What is said of a seed that did not hold.
const BROKEN: &str = "does not hold";

/// A process of its own, under the interposer, that lives these seeds; what it says, and whether all of them held.
fn simulate(first: u64, count: u64, syncs: bool) -> (String, bool) {
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let path = |name: &str| scratch.path().join(name);
    std::fs::create_dir(path("disk")).unwrap();
    std::fs::write(path("log"), []).unwrap();
    std::fs::write(path("orders"), [0, 0]).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "one_process", "--ignored", "--nocapture"]);
    command.env("LD_PRELOAD", disk::interposer(scratch.path())).env(SEEDS, format!("{first}:{count}"));
    for (name, file) in [(machine::FOLDER, "disk"), (machine::LOG, "log"), (machine::ORDERS, "orders")] {
        command.env(name, path(file));
    }
    if !syncs {
        command.env("SIDEKEY_CUT_NO_SYNC", "1");
    }
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let held = !said.contains(BROKEN);
    (said, held)
}

/// The lines that name the seeds' traces.
fn traces(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("seed ")).collect()
}

/// `first:count`, or a count.
fn asked() -> (u64, u64) {
    let text = std::env::var(SEEDS).unwrap_or_else(|_| SEEDS_DEFAULT.to_string());
    let (first, count) = text.split_once(':').unwrap_or(("0", &text));
    (first.parse().expect("a seed"), count.parse().expect("a count of seeds"))
}

#[test]
fn whatever_breaks_nothing_acknowledged_is_lost_and_everything_comes_right() {
    let (first, count) = asked();
    let (end, step) = (first + count, SEEDS_OF_A_PROCESS);
    let mut processes = (first..end).step_by(step as usize).map(|first| (first, step.min(end - first)));
    let work = std::sync::Mutex::new(&mut processes);
    let run = || {
        loop {
            let Some((first, count)) = work.lock().unwrap().next() else { return };
            let (said, held) = simulate(first, count, true);
            assert!(held, "{said}");
            println!("{first}:{count} held");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(run);
        run();
    });
}

#[test]
fn a_seed_is_one_world_to_the_last_octet() {
    let [once, again] = [(); 2].map(|()| simulate(7, 4, true).0);
    assert_eq!(traces(&once).len(), 4, "{once}");
    assert_eq!(traces(&once), traces(&again));
}

#[test]
fn without_syncs_the_simulation_finds_what_is_lost() {
    let (said, held) = simulate(0, 20, false);
    assert!(!held, "a test that cannot fail proves nothing: {said}");
}

#[test]
#[ignore = "the others start it as a process of its own"]
fn one_process() {
    if std::env::var_os(machine::FOLDER).is_none() {
        return;
    }
    std::panic::set_hook(Box::new(|_| {}));
    let (first, count) = asked();
    let beginning = beginning::prepare();
    for seed in first..first + count {
        let ended = live(&beginning, seed);
        println!("seed {seed}: {} steps, trace {}", ended.trace.steps, ended.trace.name());
        if let Some(broken) = ended.broken {
            // A seed by itself tells everything.
            let lines = if count == 1 { usize::MAX } else { LINES };
            println!("{}seed {seed} {BROKEN}: {broken}", ended.trace.last(lines));
            println!("again: ./tests/run simulate {seed}:1");
        }
    }
}

const SEEDS_DEFAULT: u64 = 300;
const SEEDS_OF_A_PROCESS: u64 = 25;
/// Of a trace that did not hold.
const LINES: usize = 40;
