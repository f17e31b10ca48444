//! Power cuts of the real process under load, sled's own writes included.
//!
//! The process runs on a disk that remembers what it was told and when a sync covered it (`power_cut.c`). From one run
//! many cuts are tried: of the log up to any place, what was not synced vanishes, or survives in any part and order.
//! What had been acknowledged by then must be there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::binary::{Serving, Sidekey};
use crate::disk::{Dice, Disk, Survives, interposer};
use crate::kept;
use crate::load::{Acknowledged, Load};
use crate::machine::wait_a_little;

/// What one run left.
struct Run {
    sidekey: Sidekey,
    /// What was on the disk before.
    before: Disk,
    log: Vec<u8>,
    /// With the length of the log by then.
    acknowledged: Vec<(u64, Acknowledged)>,
}

impl Run {
    /// A service under load on that disk, killed in the midst of it.
    fn new(syncs: bool) -> Self {
        let sidekey = Sidekey::new();
        let port = sidekey.init();
        let before = Disk::of(&sidekey.data());
        let log = sidekey.path("disk.log");
        let mut command = sidekey.command(&format!("serve --listen 127.0.0.1:{port}"));
        command.env("LD_PRELOAD", interposer(&sidekey.path(""))).env("SIDEKEY_CUT_LOG", &log);
        command.env("SIDEKEY_CUT_FOLDER", sidekey.data());
        if !syncs {
            command.env("SIDEKEY_CUT_NO_SYNC", "1");
        }
        let serving = Serving::start(&mut command);
        let load = Arc::new(Load::prepare(&sidekey.data()));
        let length = log.clone();
        let acknowledged = load.run(Duration::from_millis(1500), move || length.metadata().unwrap().len());
        // Killed between a write and its line in the log, it would have written past the log: the cuts are made afterwards.
        quiet(&log);
        drop(serving);
        let log = fs::read(log).unwrap();
        Self { sidekey, before, log, acknowledged }
    }

    /// The folder after a power cut when the log was so long.
    fn cut(&self, end: usize, survives: Survives) -> PathBuf {
        let mut disk = self.before.clone();
        disk.play(&self.log, 0, end);
        let folder = self.sidekey.path("after");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        disk.cut(survives, &self.sidekey.data(), &folder);
        folder
    }

    fn acknowledged_by(&self, end: usize) -> impl Iterator<Item = &Acknowledged> {
        self.acknowledged.iter().filter(move |(mark, _)| *mark <= end as u64).map(|(_, what)| what)
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let cuts = std::env::var("SIDEKEY_CRASH_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let run = Run::new(true);
    assert!(run.acknowledged.len() > 20, "{} acknowledged", run.acknowledged.len());
    nothing_escaped(&run);
    let first = run.acknowledged[0].0;
    let mut dice = Dice(cuts);
    for n in 0..cuts {
        let end = (first + dice.roll(run.log.len() as u64 - first + 1)) as usize;
        let survives = if n % 3 == 0 { Survives::Nothing } else { Survives::Some(Dice(n)) };
        let folder = run.cut(end, survives);
        let store = kept::open(&folder).unwrap_or_else(|fault| panic!("cut {n} at {end}: {fault}"));
        let missing = kept::missing(&store, run.acknowledged_by(end));
        assert!(missing.is_empty(), "cut {n} at {end}: {missing:?}");
    }
}

#[test]
fn without_syncs_the_same_cut_loses_something() {
    let run = Run::new(false);
    assert!(run.acknowledged.len() > 20, "{} acknowledged", run.acknowledged.len());
    let folder = run.cut(run.log.len(), Survives::Nothing);
    let lost = match kept::open(&folder) {
        Ok(store) => !kept::missing(&store, run.acknowledged_by(run.log.len())).is_empty(),
        Err(_) => true,
    };
    assert!(lost, "a test that cannot fail proves nothing");
}

/// With everything surviving, the log comes to what the process itself left: no write went past it.
fn nothing_escaped(run: &Run) {
    let folder = run.cut(run.log.len(), Survives::Everything);
    let mut left = vec![run.sidekey.data()];
    let mut files = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let copy = folder.join(path.strip_prefix(run.sidekey.data()).unwrap());
        assert!(same(&path, &copy), "{} was written past the interposer", path.display());
        files += 1;
    }
    assert!(files > 5, "{files} files");
}

/// Waits until what is written behind the load is written.
fn quiet(log: &Path) {
    let (mut length, mut unchanged) = (0, 0);
    for _ in 0..200 {
        let now = log.metadata().unwrap().len();
        unchanged = if now == length { unchanged + 1 } else { 0 };
        length = now;
        if unchanged == 10 {
            return;
        }
        wait_a_little();
    }
    panic!("it writes and writes");
}

fn same(a: &Path, b: &Path) -> bool {
    fs::read(a).unwrap() == fs::read(b).unwrap()
}
