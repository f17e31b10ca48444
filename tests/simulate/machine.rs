//! The machine that the service runs on: a disk that forgets what was not synced, which may fail a sync or have no room.
//!
//! The process that simulates is itself under `tests/process/power_cut.c`: whatever the store does to files is logged, and
//! what a power cut leaves is made from the log, at any place in it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::disk::{Dice, Disk, Survives};

/// Where the interposer logs, and where it is told what to do: given to the process when it starts.
pub(crate) const FOLDER: &str = "SIDEKEY_CUT_FOLDER";
pub(crate) const LOG: &str = "SIDEKEY_CUT_LOG";
pub(crate) const ORDERS: &str = "SIDEKEY_CUT_ORDERS";

pub(crate) struct Machine {
    /// Everything under it is watched.
    watched: PathBuf,
    log: PathBuf,
    orders: PathBuf,
    folders: u32,
    folder: PathBuf,
    disk: Disk,
}

impl Machine {
    /// With a copy of the data folder `from`, all of it on the disk for certain.
    pub(crate) fn with(from: &Path) -> Self {
        let [watched, log, orders] =
            [FOLDER, LOG, ORDERS].map(|name| PathBuf::from(std::env::var(name).unwrap()));
        let folder = watched.join("0");
        fs::write(&orders, [0, 0]).unwrap();
        copy(from, &folder);
        let disk = Disk::of(&folder);
        let machine = Self { watched, log, orders, folders: 0, folder, disk };
        machine.forget_log();
        machine
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How much was done to the disk so far.
    pub(crate) fn mark(&self) -> usize {
        fs::metadata(&self.log).unwrap().len() as usize
    }

    /// While it is so, syncs fail, or no file can grow.
    pub(crate) fn order(&self, [no_sync, no_room]: [u8; 2]) {
        let orders = fs::OpenOptions::new().write(true).open(&self.orders).unwrap();
        orders.write_all_at(&[no_sync, no_room], 0).unwrap();
    }

    /// The power is cut: now, or at any place of what was done since the mark. Says how many changes since then were made,
    /// of how many.
    pub(crate) fn cut(&mut self, since: Option<usize>, dice: &mut Dice) -> (usize, usize) {
        self.order([0, 0]);
        let log = fs::read(&self.log).unwrap();
        let ends = ends(&log, since.unwrap_or(log.len()));
        let kept = dice.roll(ends.len() as u64) as usize;
        self.disk.play(&log, 0, ends[kept]);
        let survives = match dice.roll(6) {
            0 | 1 => Survives::Nothing,
            // The process was killed, and the disk had the time to write all.
            2 => Survives::Everything,
            _ => Survives::Some(Dice(dice.roll(u64::MAX))),
        };
        let next = self.next_folder();
        fs::DirBuilder::new().mode(0o700).create(&next).unwrap();
        self.disk.cut(survives, &self.folder, &next);
        self.moved_to(next);
        (kept, ends.len() - 1)
    }

    /// A copy of the data folder as it stands.
    pub(crate) fn copy_to(&self, to: &Path) {
        copy(&self.folder, to);
    }

    /// A copy of the data folder beside it.
    pub(crate) fn aside(&mut self) -> PathBuf {
        let aside = self.watched.with_file_name("copy");
        let _ = fs::remove_dir_all(&aside);
        copy(&self.folder, &aside);
        aside
    }

    /// Puts a copy in its place.
    pub(crate) fn put_back(&mut self, from: &Path) {
        fs::write(&self.orders, [0, 0]).unwrap();
        let next = self.next_folder();
        copy(from, &next);
        self.moved_to(next);
    }

    fn next_folder(&mut self) -> PathBuf {
        self.folders += 1;
        self.watched.join(self.folders.to_string())
    }

    fn moved_to(&mut self, next: PathBuf) {
        fs::remove_dir_all(&self.folder).unwrap();
        (self.disk, self.folder) = (Disk::of(&next), next);
        self.forget_log();
    }

    /// What the log says is on the disk for certain, or was done by us.
    fn forget_log(&self) {
        fs::OpenOptions::new().write(true).open(&self.log).unwrap().set_len(0).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where each record of the log ends, from `at` on, which is one such place.
fn ends(log: &[u8], at: usize) -> Vec<usize> {
    let next = |at: &usize| {
        let size = log.get(at + SIZE_AT..at + HEAD_SIZE)?;
        let next = at + HEAD_SIZE + u32::from_ne_bytes(size.try_into().unwrap()) as usize;
        (next <= log.len()).then_some(next)
    };
    std::iter::successors(Some(at), next).collect()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (here, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let there = to.join(name);
        if here.is_dir() {
            copy(&here, &there);
        } else {
            // Read and written: the interposer knows no other way.
            fs::write(&there, fs::read(here).unwrap()).unwrap();
            fs::set_permissions(there, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Of a record of the log.
const HEAD_SIZE: usize = 29;
const SIZE_AT: usize = 25;
