//! SIGKILL of the real process under load: nothing that was acknowledged is lost, what was answered could have come one after
//! another, and it serves again without hands.

use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::binary::Sidekey;
use crate::disk::Dice;
use crate::kept;
use crate::load::Load;
use crate::witness::Enterprise;

#[test]
fn a_killed_service_loses_nothing_it_acknowledged() {
    let rounds = rounds(5);
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let mut serving = sidekey.serve(port);
    let load = Arc::new(Load::prepare(&sidekey.data()));
    let mut dice = Dice(rounds);
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let until = Duration::from_millis(100 + dice.roll(400));
        let killer = killed_after(until, serving.pid());
        acknowledged.extend(load.run(until + Duration::from_millis(100), || 0));
        killer.join().unwrap();
        drop(serving);
        {
            let store = kept::open(&sidekey.data()).unwrap();
            let missing = kept::missing(&store, acknowledged.iter().map(|(_, what)| what));
            assert!(missing.is_empty(), "round {round}: {missing:?}");
        }
        serving = sidekey.serve(port);
    }
    assert!(acknowledged.len() as u64 > rounds * 5, "{} acknowledged", acknowledged.len());
}

#[test]
fn a_killed_service_answers_as_if_one_thing_had_come_after_another() {
    let rounds = rounds(3);
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let mut serving = sidekey.serve(port);
    let enterprise = Arc::new(Enterprise::prepare(&sidekey.data()));
    let mut dice = Dice(rounds);
    let (mut asked, mut answered) = (0, 0);
    for round in 0..rounds {
        let name = |user| format!("user{user}.{round}@example.org");
        let users: Vec<_> = (0..USERS).map(|user| enterprise.user(&name(user))).collect();
        let until = Duration::from_millis(60 + dice.roll(240));
        let killer = killed_after(until, serving.pid());
        enterprise.act(&users, 0, &mut dice, until + Duration::from_millis(50));
        killer.join().unwrap();
        drop(serving);
        serving = sidekey.serve(port);
        enterprise.act(&users, 1, &mut dice, Duration::from_secs(30));
        for user in users {
            assert!(user.history.is_linearizable(), "round {round}: {:#?}", user.history);
            let counts = user.history.counts();
            (asked, answered) = (asked + counts.0, answered + counts.1);
        }
    }
    println!(
        "{answered} answers of {asked} in {} histories, each in an order that explains it",
        rounds * USERS
    );
    assert!(answered as u64 > rounds * USERS * 30, "{answered} answers");
}

fn rounds(unless_said: u64) -> u64 {
    std::env::var("SIDEKEY_CRASH_ROUNDS").map_or(unless_said, |rounds| rounds.parse().unwrap())
}

fn killed_after(time: Duration, pid: u32) -> JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        let kill = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        assert!(kill.success());
    })
}

/// Users at a time, each with a history of its own.
const USERS: u64 = 3;
