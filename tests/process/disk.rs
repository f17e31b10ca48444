//! What a disk would hold after a power cut, from the log that `power_cut.c` keeps of a process.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the interposer.
pub(crate) fn interposer(folder: &Path) -> PathBuf {
    let (library, source) = (folder.join("power_cut.so"), folder.join("power_cut.c"));
    fs::write(&source, include_str!("power_cut.c")).unwrap();
    let made = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .expect("gcc makes the interposer");
    assert!(made.success());
    library
}

/// What survives of what was not synced.
pub(crate) enum Survives {
    /// All of it: what the process itself sees.
    Everything,
    /// None of it.
    Nothing,
    /// Any of it, in any order, torn at the sectors' ends.
    Some(Dice),
}

/// Seeded randomness.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// SplitMix64.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

#[derive(Clone)]
enum Change {
    Size(usize),
    Write(usize, Vec<u8>),
}

#[derive(Clone)]
enum Rename {
    Create(PathBuf, u64),
    Folder(PathBuf),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Clone, Default)]
struct File {
    durable: Vec<u8>,
    /// How many changes are in it.
    synced: usize,
    pending: Vec<Change>,
}

/// A disk: what it holds for certain, and what it was told since.
#[derive(Clone)]
pub(crate) struct Disk {
    files: HashMap<u64, File>,
    names: BTreeMap<PathBuf, u64>,
    folders: BTreeMap<PathBuf, ()>,
    pending: Vec<(usize, Rename)>,
    /// Names that were changed so far.
    renames: usize,
    /// Paths of folders by inode.
    opened: HashMap<u64, PathBuf>,
    /// How many changes there were when a sync began.
    syncs: HashMap<u64, usize>,
}

impl Disk {
    /// Everything under `folder` is on the disk.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut disk = Self {
            files: HashMap::new(),
            names: BTreeMap::new(),
            folders: BTreeMap::new(),
            pending: Vec::new(),
            renames: 0,
            opened: HashMap::new(),
            syncs: HashMap::new(),
        };
        let mut left = vec![folder.to_owned()];
        while let Some(path) = left.pop() {
            let inode = path.metadata().unwrap().ino();
            if path.is_dir() {
                disk.folders.insert(path.clone(), ());
                left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let durable = fs::read(&path).unwrap();
                disk.files.insert(inode, File { durable, ..File::default() });
                disk.names.insert(path, inode);
            }
        }
        disk
    }

    /// Plays the log from `at` for as long as whole records end by `end`; returns where it stopped.
    pub(crate) fn play(&mut self, log: &[u8], mut at: usize, end: usize) -> usize {
        while let Some((record, next)) = Record::read(log, at).filter(|(_, next)| *next <= end) {
            self.apply(&record);
            at = next;
        }
        at
    }

    fn apply(&mut self, record: &Record<'_>) {
        let inode = record.inode;
        match record.kind {
            b'C' => {
                self.files.insert(inode, File::default());
                self.renamed(Rename::Create(record.path(), inode));
            }
            b'O' => drop(self.opened.insert(inode, record.path())),
            b'W' => self.file(inode).push(Change::Write(record.a as usize, record.data.to_vec())),
            b'T' => self.file(inode).push(Change::Size(record.a as usize)),
            b'B' => {
                let made =
                    self.files.get(&inode).map_or(self.renames, |file| file.synced + file.pending.len());
                self.syncs.insert(record.a, made);
            }
            b'E' if record.b == 1 => self.synced(record),
            b'E' => {}
            b'R' => {
                let (from, to) = record.paths();
                self.renamed(Rename::Move(from, to));
            }
            b'U' => self.renamed(Rename::Remove(record.path())),
            b'M' => self.renamed(Rename::Folder(record.path())),
            other => panic!("record of kind {other}"),
        }
    }

    /// A sync covers what was done before it began, once it has ended.
    fn synced(&mut self, record: &Record<'_>) {
        let made = self.syncs.remove(&record.a).expect("a sync that ends has begun");
        if let Some(file) = self.files.get_mut(&record.inode) {
            // Another sync of the same file may have covered some of it meanwhile.
            let covered = made.saturating_sub(file.synced);
            file.synced += covered;
            for change in file.pending.drain(..covered) {
                change.apply(&mut file.durable);
            }
        } else {
            let folder = self.opened[&record.inode].clone();
            for (n, rename) in std::mem::take(&mut self.pending) {
                if n < made && rename.is_in(&folder) {
                    self.rename(&rename);
                } else {
                    self.pending.push((n, rename));
                }
            }
        }
    }

    fn renamed(&mut self, rename: Rename) {
        self.pending.push((self.renames, rename));
        self.renames += 1;
    }

    fn rename(&mut self, rename: &Rename) {
        match rename {
            Rename::Create(path, inode) => drop(self.names.insert(path.clone(), *inode)),
            Rename::Folder(path) => drop(self.folders.insert(path.clone(), ())),
            Rename::Remove(path) => {
                self.names.remove(path);
                self.folders.remove(path);
            }
            Rename::Move(from, to) => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
        }
    }

    fn file(&mut self, inode: u64) -> &mut Vec<Change> {
        &mut self.files.get_mut(&inode).expect("a file of the folder").pending
    }

    /// The folder `of` as it is found after the power cut, laid out at `to`.
    pub(crate) fn cut(&self, mut survives: Survives, of: &Path, to: &Path) {
        let mut after = self.clone();
        let renames = std::mem::take(&mut after.pending);
        // The file system keeps the order of names: some first part of it is there.
        let kept = match &mut survives {
            Survives::Everything => renames.len(),
            Survives::Nothing => 0,
            Survives::Some(dice) => dice.roll(renames.len() as u64 + 1) as usize,
        };
        renames[..kept].iter().for_each(|(_, rename)| after.rename(rename));
        for folder in after.folders.keys() {
            fs::create_dir_all(moved(folder, of, to)).unwrap();
        }
        for (path, inode) in &after.names {
            let file = &after.files[inode];
            let place = moved(path, of, to);
            // A file in a folder that is gone is gone.
            if place.parent().is_some_and(Path::exists) {
                fs::write(&place, file.after(&mut survives)).unwrap();
                // Keys that others can read are refused.
                fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }
}

impl File {
    fn after(&self, survives: &mut Survives) -> Vec<u8> {
        let mut content = self.durable.clone();
        match survives {
            Survives::Nothing => {}
            Survives::Everything => self.pending.iter().for_each(|change| change.apply(&mut content)),
            Survives::Some(dice) => {
                let mut parts: Vec<_> = self.pending.iter().flat_map(Change::sectors).collect();
                for n in (1..parts.len()).rev() {
                    parts.swap(n, dice.roll(n as u64 + 1) as usize);
                }
                parts.retain(|_| dice.roll(2) == 0);
                parts.iter().for_each(|part| part.apply(&mut content));
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Size(size) => content.resize(*size, 0),
            Self::Write(at, data) => {
                if content.len() < at + data.len() {
                    content.resize(at + data.len(), 0);
                }
                content[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }

    /// The parts of which a disk may keep some.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write(at, data) = self else { return vec![self.clone()] };
        let (mut at, mut data) = (*at, data.as_slice());
        let mut parts = Vec::new();
        while !data.is_empty() {
            let (part, rest) = data.split_at(data.len().min(SECTOR_SIZE - at % SECTOR_SIZE));
            parts.push(Self::Write(at, part.to_vec()));
            (at, data) = (at + part.len(), rest);
        }
        parts
    }
}

impl Rename {
    fn is_in(&self, folder: &Path) -> bool {
        let (Self::Create(path, _) | Self::Folder(path) | Self::Move(_, path) | Self::Remove(path)) = self;
        path.parent() == Some(folder)
    }
}

struct Record<'a> {
    kind: u8,
    inode: u64,
    a: u64,
    b: u64,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(log: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let head = log.get(at..at + HEAD_SIZE)?;
        let number = |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().unwrap());
        let size = u32::from_ne_bytes(head[25..].try_into().unwrap()) as usize;
        let next = at + HEAD_SIZE + size;
        let data = log.get(at + HEAD_SIZE..next)?;
        Some((Self { kind: head[0], inode: number(1), a: number(9), b: number(17), data }, next))
    }

    fn path(&self) -> PathBuf {
        std::str::from_utf8(self.data).unwrap().into()
    }

    fn paths(&self) -> (PathBuf, PathBuf) {
        let (from, to) = std::str::from_utf8(self.data).unwrap().split_once('\0').unwrap();
        (from.into(), to.into())
    }
}

fn moved(path: &Path, of: &Path, to: &Path) -> PathBuf {
    to.join(path.strip_prefix(of).unwrap())
}

const HEAD_SIZE: usize = 29;
const SECTOR_SIZE: usize = 512;
