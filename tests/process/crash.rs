//! SIGKILL of the real process under load: nothing that was acknowledged is lost, and it serves again without hands.

use std::sync::Arc;
use std::time::Duration;

use crate::binary::Sidekey;
use crate::disk::Dice;
use crate::kept;
use crate::load::Load;

#[test]
fn a_killed_service_loses_nothing_it_acknowledged() {
    let rounds = std::env::var("SIDEKEY_CRASH_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let mut serving = sidekey.serve(port);
    let load = Arc::new(Load::prepare(&sidekey.data()));
    let mut dice = Dice(rounds);
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let pid = serving.pid();
        let until = Duration::from_millis(100 + dice.roll(400));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(until);
            let kill = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
            assert!(kill.success());
        });
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
