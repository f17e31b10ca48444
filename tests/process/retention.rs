//! Old records go from under the real process, which is killed meanwhile; and whoever cuts them off by hand is found.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sidekey_service::store::Store;

use crate::binary::Sidekey;
use crate::disk::Dice;
use crate::made::{Made, Making, segments};

/// A folder of 60 days ago, whose journal has four segments.
fn old() -> Made {
    let mut making = Making::begin(Sidekey::new(), 60);
    while segments(&making.data()).len() < 4 {
        making.pair();
        making.fill(3 << 20);
    }
    making.finish()
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_service_killed_while_it_prunes_loses_nothing_and_finishes() {
    let rounds = std::env::var("SIDEKEY_CRASH_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let old = old();
    let (sidekey, data) = (&old.sidekey, old.sidekey.data());
    let before = sidekey.path("before");
    copy(&data, &before);
    let mut dice = Dice(rounds);
    for round in 0..rounds {
        fs::remove_dir_all(&data).unwrap();
        copy(&before, &data);
        let serving = sidekey.serve(old.port);
        let pruning = sidekey.command("audit prune --before 40d --yes").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(dice.roll(600)));
        serving.signal("KILL");
        drop(serving);
        pruning.wait_with_output().unwrap();
        Store::verify(&data, &[]).unwrap_or_else(|fault| panic!("round {round}: {fault}"));
        old.is_whole();
        let serving = sidekey.serve(old.port);
        sidekey.run("audit prune --before 40d --yes").succeeded();
        assert_eq!(segments(&data).len(), 1, "round {round}");
        sidekey.run("audit verify").succeeded();
        assert_eq!(serving.stop("TERM"), 0);
        old.is_whole();
    }
}

#[test]
fn an_administrator_prunes_and_what_is_cut_off_by_hand_is_found() {
    let old = old();
    let (sidekey, data) = (&old.sidekey, old.sidekey.data());
    let serving = sidekey.serve(old.port);
    sidekey.run("audit prune --before 40d").failed(2);
    sidekey.run("audit prune --before 20d --yes").failed(1);
    let would = sidekey.json("audit prune --before 40d --dry-run");
    assert_eq!(segments(&data).len(), 4, "nothing was to be done");
    let did = sidekey.json("audit prune --before 40d --yes");
    assert_eq!(did, would);
    assert_eq!((&did["segments"], segments(&data).len()), (&3.into(), 1));
    let first = did["first"].as_u64().unwrap();
    let tail = sidekey.run("audit tail --action log_pruned").succeeded().out;
    assert!(tail.contains(&format!("first kept {first}")), "{tail}");
    let gone = sidekey.run("audit show 1").failed(3).err;
    assert!(gone.contains("not kept any more"), "{gone}");
    let exported = sidekey.run("audit export").succeeded().out;
    assert!(exported.starts_with(&format!("{{\"seq\":{first},")), "{exported:.80}");
    assert_eq!(sidekey.json("audit verify --data data")["first"], first);
    sidekey.run("audit verify --admin data/admin.json").succeeded();
    sidekey.run("doctor").succeeded();
    assert_eq!(serving.stop("TERM"), 0);
    old.is_whole();

    let beginning = segments(&data).remove(0);
    let name = beginning.file_name().unwrap().to_str().unwrap();
    let later = beginning.with_file_name(name.replace(&first.to_string(), &(first + 1).to_string()));
    fs::rename(&beginning, &later).unwrap();
    sidekey.run("audit verify").failed(7);
    fs::remove_file(&later).unwrap();
    sidekey.run("audit verify").failed(3);
    sidekey.run(&format!("serve --listen 127.0.0.1:{}", old.port)).failed(3);
}
