//! The file `seal.keys`: all that is needed to open what is sealed at rest, besides the root key.
//!
//! ```text
//!   root key ──wraps──▶ master ──wraps──▶ K_head, K_cred, sealing keys ──seal──▶ every secret at rest
//! ```
//! A *slot* is the master wrapped under one root key, named by that key's id. There are two slots while one root key
//! takes over from another: either opens the folder. When the old one is forgotten the master is replaced as well, so
//! who has the old root key, and an old copy of this file, opens nothing of the new one.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::{Secret, derive, labels, stretch, unwrap, wrap};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::Timestamp;

use crate::fault::Fault;
use crate::files::sync_folder;

/// Names a root key and tells nothing of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The id of `root`.
    #[must_use]
    pub fn of(root: &Secret<32>) -> Self {
        let id = derive(root, labels::REST_ID, &[]);
        Self(id.expose()[..8].try_into().expect("8 octets of 32"))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// How a root key is derived from a passphrase: Argon2id with these.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stretch {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Random, made with the slot.
    pub salt: [u8; 16],
}

impl Stretch {
    /// What RFC 9106 recommends where memory is scarce: 64 MiB, three passes.
    pub fn fresh(rng: &mut dyn CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { memory_kib: 64 * 1024, passes: 3, salt }
    }

    /// The root key.
    ///
    /// # Errors
    /// [`Fault::SealKeysDamaged`] when nobody would have chosen such parameters.
    pub fn apply(&self, passphrase: &[u8]) -> Result<Secret<32>, Fault> {
        if !self.is_bearable() {
            return Err(Fault::SealKeysDamaged);
        }
        stretch(passphrase, &self.salt, self.memory_kib, self.passes).map_err(|_| Fault::SealKeysDamaged)
    }

    /// Whether anybody would wait for it.
    const fn is_bearable(&self) -> bool {
        self.memory_kib <= MEMORY_MAX_KIB && self.passes <= PASSES_MAX
    }
}

/// One root key's way in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Slot {
    /// Which root key.
    pub id: KeyId,
    /// How it is derived, when it is from a passphrase.
    pub stretch: Option<Stretch>,
    master: Octets<40>,
}

impl Slot {
    fn new(root: &Secret<32>, stretch: Option<Stretch>, master: &Secret<32>) -> Self {
        Self { id: KeyId::of(root), stretch, master: Octets(wrap(root, master)) }
    }
}

/// A sealing key's number, when it was made, and the key, wrapped.
pub(super) type Wrapped = (u32, Timestamp, Octets<40>);

/// What the file holds after its version octet.
#[derive(Debug, Deserialize, Serialize)]
pub struct SealKeys {
    /// Older first.
    pub(super) slots: Vec<Slot>,
    pub(super) head: Octets<40>,
    pub(super) credential: Octets<40>,
    pub(super) keys: Vec<Wrapped>,
}

impl SealKeys {
    /// Reads the file in `folder`.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::SealKeysDamaged`], [`Fault::Io`].
    pub(crate) fn read(folder: &Path) -> Result<Self, Fault> {
        match read(folder)?.split_first() {
            Some((&VERSION, rest)) => match postcard::from_bytes::<Self>(rest) {
                Ok(stored) if !stored.slots.is_empty() && !stored.keys.is_empty() => Ok(stored),
                _ => Err(Fault::SealKeysDamaged),
            },
            _ => Err(Fault::SealKeysDamaged),
        }
    }

    /// The ways in, older first.
    ///
    /// # Errors
    /// As [`SealKeys::read`].
    pub(crate) fn slots(folder: &Path) -> Result<Vec<Slot>, Fault> {
        Ok(Self::read(folder)?.slots)
    }

    /// Replaces the file in a way that leaves the old one or the new one, whole, whenever the power fails.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Fault> {
        let bytes = postcard::to_extend(self, vec![VERSION]).expect("memory takes every octet");
        replace(folder, &bytes).map_err(Fault::io("write seal.keys"))
    }

    /// The master key, and whether `root` is the newest slot's.
    ///
    /// # Errors
    /// [`Fault::RootKeyWrong`]; [`Fault::SealKeysDamaged`] when it is the right one and does not open it.
    pub(crate) fn open(&self, root: &Secret<32>) -> Result<(Secret<32>, bool), Fault> {
        let id = KeyId::of(root);
        let place = self.slots.iter().position(|slot| slot.id == id).ok_or(Fault::RootKeyWrong)?;
        let master = unwrap(root, &self.slots[place].master.0).map_err(|_| Fault::SealKeysDamaged)?;
        Ok((master, place + 1 == self.slots.len()))
    }

    /// Lets `fresh` open the folder too, as well as `root`.
    ///
    /// # Errors
    /// As [`SealKeys::open`].
    pub(crate) fn admit(
        &mut self,
        root: &Secret<32>,
        fresh: &Secret<32>,
        with: Option<Stretch>,
    ) -> Result<(), Fault> {
        let (master, _) = self.open(root)?;
        let id = KeyId::of(root);
        // Of an earlier attempt nothing may stay.
        self.slots.retain(|slot| slot.id == id);
        self.slots.push(Slot::new(fresh, with, &master));
        Ok(())
    }

    /// Forgets every root key but `root`, and renews the master key, so that nothing the others opened opens this.
    ///
    /// # Errors
    /// As [`SealKeys::open`].
    pub(crate) fn forget_all_but(
        &mut self,
        root: &Secret<32>,
        mut rng: &mut dyn CryptoRng,
    ) -> Result<(), Fault> {
        let (old, _) = self.open(root)?;
        let master = Secret::random(&mut rng);
        let moved = |Octets(wrapped): &Octets<40>| {
            let key = unwrap(&old, wrapped).map_err(|_| Fault::SealKeysDamaged)?;
            Ok::<_, Fault>(Octets(wrap(&master, &key)))
        };
        self.head = moved(&self.head)?;
        self.credential = moved(&self.credential)?;
        for (_, _, wrapped) in &mut self.keys {
            *wrapped = moved(wrapped)?;
        }
        let id = KeyId::of(root);
        self.slots.retain(|slot| slot.id == id);
        for slot in &mut self.slots {
            *slot = Slot::new(root, slot.stretch, &master);
        }
        Ok(())
    }

    /// The first of a folder.
    pub(super) fn new(
        root: &Secret<32>,
        master: &Secret<32>,
        [head, credential]: [&Secret<32>; 2],
        keys: Vec<Wrapped>,
    ) -> Self {
        let slots = vec![Slot::new(root, None, master)];
        let (head, credential) = (Octets(wrap(master, head)), Octets(wrap(master, credential)));
        Self { slots, head, credential, keys }
    }
}

fn read(folder: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(folder.join(NAME)).map_err(|error| match error.kind() {
        // Where there is a journal there were keys: making new ones would open nothing of it.
        std::io::ErrorKind::NotFound if folder.join("journal").exists() => Fault::SealKeysDamaged,
        std::io::ErrorKind::NotFound => Fault::Missing,
        _ => Fault::io("read seal.keys")(error),
    })
}

fn replace(folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = folder.join("seal.keys.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(NAME))?;
    sync_folder(folder)
}

const NAME: &str = "seal.keys";
const VERSION: u8 = 3;
/// More than anybody would wait for.
const MEMORY_MAX_KIB: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn key(octet: u8) -> Secret<32> {
        Secret::fill_with(|octets| octets.fill(octet))
    }

    fn made() -> (SealKeys, ChaCha20Rng) {
        let keys = vec![(1, Timestamp(1), Octets(wrap(&key(2), &key(4))))];
        (SealKeys::new(&key(1), &key(2), [&key(3), &key(5)], keys), ChaCha20Rng::seed_from_u64(1))
    }

    #[test]
    fn while_one_key_takes_over_from_another_either_opens() {
        let (mut seal_keys, _) = made();
        seal_keys.admit(&key(1), &key(9), None).unwrap();
        assert!(!seal_keys.open(&key(1)).unwrap().1);
        assert!(seal_keys.open(&key(9)).unwrap().1);
        // Another attempt takes the first one's place.
        seal_keys.admit(&key(1), &key(8), None).unwrap();
        assert!(matches!(seal_keys.open(&key(9)), Err(Fault::RootKeyWrong)));
    }

    #[test]
    fn a_forgotten_key_opens_nothing_even_with_an_old_copy_of_the_file() {
        let (mut seal_keys, mut rng) = made();
        seal_keys.admit(&key(1), &key(9), None).unwrap();
        let (leaked, _) = seal_keys.open(&key(1)).unwrap();
        seal_keys.forget_all_but(&key(9), &mut rng).unwrap();
        assert!(matches!(seal_keys.open(&key(1)), Err(Fault::RootKeyWrong)));
        assert!(unwrap(&leaked, &seal_keys.head.0).is_err());
        assert!(unwrap(&leaked, &seal_keys.keys[0].2.0).is_err());
        // What was sealed is the same.
        let (master, _) = seal_keys.open(&key(9)).unwrap();
        assert_eq!(unwrap(&master, &seal_keys.head.0).unwrap().expose(), key(3).expose());
        assert_eq!(unwrap(&master, &seal_keys.credential.0).unwrap().expose(), key(5).expose());
        assert_eq!(unwrap(&master, &seal_keys.keys[0].2.0).unwrap().expose(), key(4).expose());
    }

    #[test]
    fn absurd_parameters_of_a_passphrase_are_damage_not_an_hour_of_work() {
        let stretch = Stretch { memory_kib: u32::MAX, passes: 1, salt: [0; 16] };
        assert!(matches!(stretch.apply(b"x"), Err(Fault::SealKeysDamaged)));
        let stretch = Stretch { memory_kib: 64, passes: u32::MAX, salt: [0; 16] };
        assert!(matches!(stretch.apply(b"x"), Err(Fault::SealKeysDamaged)));
        let most = Stretch { memory_kib: MEMORY_MAX_KIB, passes: PASSES_MAX, salt: [0; 16] };
        assert!(most.is_bearable());
        assert!(!Stretch { memory_kib: MEMORY_MAX_KIB + 1, ..most }.is_bearable());
        assert!(!Stretch { passes: PASSES_MAX + 1, ..most }.is_bearable());
    }

    #[test]
    fn a_fresh_slot_stretches_as_rfc_9106_recommends() {
        let (_, mut rng) = made();
        let [one, other] = [Stretch::fresh(&mut rng), Stretch::fresh(&mut rng)];
        assert_eq!((one.memory_kib, one.passes), (65_536, 3));
        assert_ne!(one.salt, other.salt);
    }

    #[test]
    fn a_root_key_s_id_is_written_as_sixteen_digits() {
        let id = KeyId([0x0f, 0xe1, 0, 1, 2, 3, 4, 5]);
        assert_eq!(id.to_string(), "0fe1000102030405");
        assert_ne!(KeyId::of(&key(1)).to_string(), KeyId::of(&key(2)).to_string());
    }

    #[test]
    fn a_file_that_opens_nothing_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let read = || SealKeys::read(folder.path());
        let (whole, _) = made();
        whole.write(folder.path()).unwrap();
        assert_eq!(read().unwrap().slots.len(), 1);
        let (mut shut, _) = made();
        shut.slots.clear();
        let (mut empty, _) = made();
        empty.keys.clear();
        for damaged in [shut, empty] {
            damaged.write(folder.path()).unwrap();
            assert!(matches!(read(), Err(Fault::SealKeysDamaged)));
        }
    }

    #[test]
    fn keys_are_missing_where_nothing_was_made_and_lost_where_a_journal_is() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(SealKeys::read(folder.path()), Err(Fault::Missing)));
        fs::create_dir(folder.path().join("journal")).unwrap();
        assert!(matches!(SealKeys::read(folder.path()), Err(Fault::SealKeysDamaged)));
        // In the place of the file.
        fs::create_dir(folder.path().join(NAME)).unwrap();
        assert!(matches!(SealKeys::read(folder.path()), Err(Fault::Io { .. })));
    }
}
