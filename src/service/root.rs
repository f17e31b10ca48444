//! The root key: where it is read, whether it is the one that this folder asks for, and how another takes its place.
//!
//! ```text
//!   prepare          the new key is written beside the old one, or is where the administrator put it
//!   admit            seal.keys opens under either
//!   switch           the new key takes the old one's place; elsewhere the administrator does that
//!   forget           seal.keys opens under the new one alone
//! ```
//! Each step is whole or not at all. Whichever of the two keys is found at the next start opens the folder, and a
//! second `rotate` goes on where the first one stopped.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::base64url;
use zeroize::Zeroizing;

use crate::config::{Config, RootKey};
use crate::fault::Fault;
use crate::files::{self, BadFile};
use crate::store::{self, KeyId, SealKeys, Slot, Stretch};

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum BadRootKey {
    /// The process was given no credentials.
    #[error(
        "the root key is in systemd's credential {name}, and the process was given none: `LoadCredential={name}:FILE`"
    )]
    Credential {
        /// By which name.
        name: String,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] BadFile),
    /// What the source holds is no key and no passphrase.
    #[error("the {from} does not hold {what}")]
    Malformed {
        /// Which source.
        from: RootKey,
        /// What it should hold.
        what: &'static str,
    },
    /// The variable is not set.
    #[error("the root key is in the environment variable {name}, which is not set")]
    Unset {
        /// Which.
        name: String,
    },
    /// Nobody was asked for the passphrase.
    #[error("the passphrase is to be typed, and there is nobody to ask")]
    Untyped,
    /// The key in force is to be replaced by itself.
    #[error("that is the key in force already")]
    Same,
    /// The store.
    #[error(transparent)]
    Store(#[from] Fault),
    /// A new key cannot be put where this one comes from.
    #[error("the root key comes from the {from}: say where the new one is")]
    TargetMissing {
        /// Where from.
        from: RootKey,
    },
    /// It is a key, and not the folder's.
    #[error("wrong root key: the {from} gives {}, the data folder expects {}", given(*.offered), list(.expected))]
    Wrong {
        /// Where it came from.
        from: RootKey,
        /// Which it is; a passphrase says nothing of the kind.
        offered: Option<KeyId>,
        /// Which it should be.
        expected: Vec<KeyId>,
    },
}

fn given(id: Option<KeyId>) -> String {
    id.map_or_else(|| "another".to_owned(), |id| format!("key {id}"))
}

fn list(ids: &[KeyId]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| format!("key {id}")).collect();
    ids.join(" or ")
}

/// A passphrase that somebody typed.
pub type Typed = Option<Zeroizing<String>>;

/// The root key of the configuration's data folder.
///
/// # Errors
/// [`BadRootKey`] says in one line what is wrong with which source.
pub fn read(config: &Config, typed: Typed) -> Result<Secret<32>, BadRootKey> {
    let slots = slots(&config.data)?;
    let offered = Offered::read(&config.root_key, &config.data, typed)?;
    offered.choose(&slots, &config.root_key)
}

/// What the folder asks for, if it is one that we read.
fn slots(data: &Path) -> Result<Vec<Slot>, Fault> {
    let slots = SealKeys::slots(data);
    match store::check_format(data) {
        // Without seal.keys there is nothing to be of any format.
        Err(fault) if !matches!(slots, Err(Fault::Missing)) => Err(fault),
        _ => slots,
    }
}

/// What a source gives.
enum Offered {
    Key(Secret<32>),
    Passphrase(Zeroizing<Vec<u8>>),
}

impl Offered {
    fn read(source: &RootKey, data: &Path, typed: Typed) -> Result<Self, BadRootKey> {
        let content = match source {
            RootKey::File(path) | RootKey::PassphraseFile(path) => files::read_private(&data.join(path))?,
            RootKey::Credential(name) | RootKey::PassphraseCredential(name) => credential(name)?,
            RootKey::Env(name) => match std::env::var(name) {
                Ok(value) => Zeroizing::new(value.into_bytes()),
                Err(_) => return Err(BadRootKey::Unset { name: name.clone() }),
            },
            RootKey::PassphraseFd(fd) => from_fd(*fd)?,
            RootKey::PassphrasePrompt => {
                Zeroizing::new(typed.ok_or(BadRootKey::Untyped)?.as_bytes().to_vec())
            }
        };
        let malformed = |what| BadRootKey::Malformed { from: source.clone(), what };
        let line = content.strip_suffix(b"\n").unwrap_or(&content);
        if source.is_passphrase() {
            let plausible = (PASSPHRASE_MIN..=PASSPHRASE_MAX).contains(&line.len()) && !line.contains(&b'\n');
            let what = "a passphrase of one line, 12 to 1024 octets";
            return if plausible {
                Ok(Self::Passphrase(Zeroizing::new(line.to_vec())))
            } else {
                Err(malformed(what))
            };
        }
        files::root_key(line).map(Self::Key).ok_or_else(|| malformed(files::A_ROOT_KEY))
    }

    /// The key, if the folder asks for it.
    fn choose(self, slots: &[Slot], from: &RootKey) -> Result<Secret<32>, BadRootKey> {
        let (root, offered) = match self {
            Self::Key(root) => {
                let id = KeyId::of(&root);
                let fits = slots.iter().any(|slot| slot.id == id);
                (fits.then_some(root), Some(id))
            }
            Self::Passphrase(passphrase) => (stretched(&passphrase, slots)?, None),
        };
        let expected = || slots.iter().map(|slot| slot.id).collect();
        root.ok_or_else(|| BadRootKey::Wrong { from: from.clone(), offered, expected: expected() })
    }
}

/// The key that the passphrase makes of one of the slots' parameters.
fn stretched(passphrase: &[u8], slots: &[Slot]) -> Result<Option<Secret<32>>, Fault> {
    // The newest first: it is the one that stays.
    for slot in slots.iter().rev() {
        if let Some(stretch) = slot.stretch {
            let root = stretch.apply(passphrase)?;
            if KeyId::of(&root) == slot.id {
                return Ok(Some(root));
            }
        }
    }
    Ok(None)
}

fn credential(name: &str) -> Result<Zeroizing<Vec<u8>>, BadRootKey> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY");
    let folder = folder.ok_or_else(|| BadRootKey::Credential { name: name.to_owned() })?;
    Ok(files::read_credential(&Path::new(&folder).join(name))?)
}

/// A file that whoever started us has opened for us.
fn from_fd(fd: u32) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    let path = PathBuf::from(format!("/proc/self/fd/{fd}"));
    let mut content = Zeroizing::new(Vec::new());
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(2 * PASSPHRASE_MAX as u64).read_to_end(&mut content));
    read.map_err(|source| BadFile::Io { path, source })?;
    Ok(content)
}

/// What is known of a folder's root key without opening anything.
#[derive(Clone, Debug)]
pub struct Status {
    /// The keys that open it, older first, and whether each is derived from a passphrase.
    pub expected: Vec<(KeyId, bool)>,
    /// What the configured source gives: the key, where it is the right one.
    pub offered: Option<KeyId>,
}

/// Asks the configured source for its key, and the folder for what it expects.
///
/// # Errors
/// [`BadRootKey`], [`BadRootKey::Wrong`] among them.
pub fn status(config: &Config, typed: Typed) -> Result<Status, BadRootKey> {
    let slots = slots(&config.data)?;
    let root = Offered::read(&config.root_key, &config.data, typed)?.choose(&slots, &config.root_key)?;
    let expected = slots.iter().map(|slot| (slot.id, slot.stretch.is_some())).collect();
    Ok(Status { expected, offered: Some(KeyId::of(&root)) })
}

/// Where the new key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fresh {
    /// Where the old one is: a file.
    InPlace,
    /// In this file; made when there is none.
    File(PathBuf),
    /// A passphrase, in this file.
    PassphraseFile(PathBuf),
}

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Either key opens the folder; the administrator has to put the new one into force.
    Admitted,
    /// The new key alone opens the folder.
    Forgotten,
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotated {
    /// The new key.
    pub id: KeyId,
    /// How far it came.
    pub stage: Stage,
    /// An earlier one had begun it.
    pub resumed: bool,
}

/// Replaces the root key, or goes on with that. Nobody may use the folder meanwhile.
///
/// # Errors
/// [`BadRootKey`]; [`Fault::Locked`] while the service runs.
pub fn rotate(
    config: &Config,
    typed: Typed,
    fresh: &Fresh,
    rng: &mut dyn CryptoRng,
) -> Result<Rotated, BadRootKey> {
    let data = &config.data;
    slots(data)?;
    let _lock = store::lock(data)?;
    let root = read(config, typed)?;
    let mut seal_keys = SealKeys::read(data)?;
    let under_way = SealKeys::slots(data)?.len() > 1;
    if under_way && seal_keys.open(&root)?.1 {
        seal_keys.forget_all_but(&root, rng)?;
        seal_keys.write(data)?;
        return Ok(Rotated { id: KeyId::of(&root), stage: Stage::Forgotten, resumed: true });
    }
    match (fresh, &config.root_key) {
        (Fresh::InPlace, RootKey::File(path)) => in_place(data, &data.join(path), &root, &mut seal_keys, rng),
        (Fresh::InPlace, from) => Err(BadRootKey::TargetMissing { from: from.clone() }),
        (Fresh::File(path), _) => {
            let (next, _) = made_or_read(path, rng)?;
            let resumed = admit(&mut seal_keys, data, &root, &next, None)?;
            Ok(Rotated { id: KeyId::of(&next), stage: Stage::Admitted, resumed })
        }
        (Fresh::PassphraseFile(path), _) => {
            let source = RootKey::PassphraseFile(path.clone());
            let Offered::Passphrase(passphrase) = Offered::read(&source, Path::new(""), None)? else {
                unreachable!("the source is a passphrase's");
            };
            let known = stretched(&passphrase, &SealKeys::slots(data)?)?;
            let stretch = Stretch::fresh(rng);
            let next = known.map_or_else(|| stretch.apply(&passphrase), Ok)?;
            let resumed = admit(&mut seal_keys, data, &root, &next, Some(stretch))?;
            Ok(Rotated { id: KeyId::of(&next), stage: Stage::Admitted, resumed })
        }
    }
}

/// From prepare to forget, for a key that lives in a file.
fn in_place(
    data: &Path,
    path: &Path,
    root: &Secret<32>,
    seal_keys: &mut SealKeys,
    rng: &mut dyn CryptoRng,
) -> Result<Rotated, BadRootKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".next");
    let beside = PathBuf::from(beside);
    let (next, resumed) = made_or_read(&beside, rng)?;
    admit(seal_keys, data, root, &next, None)?;
    files::rename(&beside, path)?;
    seal_keys.forget_all_but(&next, rng)?;
    seal_keys.write(data)?;
    Ok(Rotated { id: KeyId::of(&next), stage: Stage::Forgotten, resumed })
}

/// The key in a file, and whether it was there.
fn made_or_read(path: &Path, mut rng: &mut dyn CryptoRng) -> Result<(Secret<32>, bool), BadFile> {
    if path.exists() {
        return Ok((files::read_root_key(path)?, true));
    }
    let key = Secret::<32>::random(&mut rng);
    files::write(path, line(&key).as_bytes(), 0o600)?;
    Ok((key, false))
}

/// A root key as its file holds it.
pub(crate) fn line(key: &Secret<32>) -> Zeroizing<String> {
    let mut line = Zeroizing::new(base64url(key.expose()));
    line.push('\n');
    line
}

/// Lets the new key in, unless it is; and whether it was.
fn admit(
    seal_keys: &mut SealKeys,
    data: &Path,
    root: &Secret<32>,
    next: &Secret<32>,
    stretch: Option<Stretch>,
) -> Result<bool, BadRootKey> {
    if KeyId::of(root) == KeyId::of(next) {
        return Err(BadRootKey::Same);
    }
    if seal_keys.open(next).is_ok() {
        return Ok(true);
    }
    seal_keys.admit(root, next, stretch)?;
    seal_keys.write(data)?;
    Ok(false)
}

/// Octets of the shortest and the longest passphrase.
const PASSPHRASE_MIN: usize = 12;
const PASSPHRASE_MAX: usize = 1024;

#[cfg(test)]
mod tests;
