//! Secrets at rest: sealed under keys that live only in `seal.keys`.
//!
//! A blob names its sealing key by number and is bound to where it belongs: AAD = lp(kind, record id, field, number).
//! Once nothing live needs a sealing key it is destroyed, and with it every old copy of what it sealed, in the journal,
//! in the pages behind it, and in their backups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::{Aead, Context, Label, Secret, derive, labels, unwrap, wrap};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::Timestamp;
use zeroize::Zeroizing;

use super::seal_keys::{SealKeys, Slot, Wrapped};
use crate::fault::Fault;

/// A sealed secret, as it stands in records and in the state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Sealed {
    /// The number of its sealing key.
    pub(super) key: u32,
    nonce: [u8; 12],
    /// Ciphertext and tag.
    text: Box<[u8]>,
}

/// Where a secret belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The kind of record.
    pub(super) kind: Label,
    /// Which record.
    pub(super) id: [u8; 16],
    /// Which of its secrets.
    pub(super) field: &'static str,
    /// Which of those that followed one another.
    pub(super) number: u32,
}

impl Place {
    fn aad(&self) -> Context {
        Context::of(self.kind, &[&self.id, self.field.as_bytes(), &self.number.to_be_bytes()])
    }
}

/// The sealing keys, open.
#[derive(Debug)]
pub(super) struct AtRest {
    folder: PathBuf,
    head: Secret<32>,
    credential: Secret<32>,
    ring: RwLock<Ring>,
    /// One writer of `seal.keys` at a time.
    over: Mutex<Over>,
    /// A rotation that had no room on the disk.
    owed: AtomicBool,
    /// A test's disk has no room for `seal.keys` while this is set.
    #[cfg(test)]
    pub(super) no_room: AtomicBool,
}

/// What stands over the sealing keys. The root key itself is not kept.
#[derive(Debug)]
struct Over {
    master: Secret<32>,
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Ring(BTreeMap<u32, SealingKey>);

#[derive(Debug)]
struct SealingKey {
    aead: Aead,
    made: Timestamp,
    wrapped: [u8; 40],
}

impl AtRest {
    /// Makes `seal.keys` in `folder`, with the first sealing key, K_head and K_cred.
    pub(super) fn create(
        folder: &Path,
        root: &Secret<32>,
        now: Timestamp,
        mut rng: &mut dyn CryptoRng,
    ) -> Result<Self, Fault> {
        let [head, key, master, credential] = std::array::from_fn(|_| Secret::random(&mut rng));
        let keys = vec![(1, now, Octets(wrap(&master, &key)))];
        SealKeys::new(root, &master, [&head, &credential], keys).write(folder)?;
        Self::open(folder, root, rng)
    }

    /// Opens `seal.keys` in `folder`. With the newest of several root keys, the others are forgotten.
    pub(super) fn open(folder: &Path, root: &Secret<32>, rng: &mut dyn CryptoRng) -> Result<Self, Fault> {
        let mut stored = SealKeys::read(folder)?;
        let (_, newest) = stored.open(root)?;
        match (stored.slots.len(), newest) {
            (1, _) => {}
            (_, true) => {
                stored.forget_all_but(root, rng)?;
                stored.write(folder)?;
                tracing::info!("the root key has been rotated; the old one is forgotten");
            }
            (_, false) => tracing::warn!("a rotation of the root key is not finished: `sidekey root status`"),
        }
        let (master, _) = stored.open(root)?;
        let head = unwrap(&master, &stored.head.0).map_err(|_| Fault::SealKeysDamaged)?;
        let credential = unwrap(&master, &stored.credential.0).map_err(|_| Fault::SealKeysDamaged)?;
        let mut ring = Ring::default();
        for (number, made, Octets(wrapped)) in stored.keys {
            let key = unwrap(&master, &wrapped).map_err(|_| Fault::SealKeysDamaged)?;
            ring.0.insert(number, SealingKey { aead: Aead::aes_256_gcm(&key), made, wrapped });
        }
        let (ring, over) = (RwLock::new(ring), Mutex::new(Over { master, slots: stored.slots }));
        Ok(Self {
            folder: folder.to_owned(),
            head,
            credential,
            ring,
            over,
            owed: AtomicBool::new(false),
            #[cfg(test)]
            no_room: AtomicBool::new(false),
        })
    }

    /// The data folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// K_head: what the heads of revocations are authenticated with.
    pub(super) const fn head_key(&self) -> &Secret<32> {
        &self.head
    }

    /// K_cred: what is kept of proxy credentials is a hash under it.
    pub(super) const fn credential_key(&self) -> &Secret<32> {
        &self.credential
    }

    /// What the state behind the journal is authenticated with.
    pub(super) fn state_key(&self) -> Secret<32> {
        derive(&self.head, labels::REST_STATE, &[])
    }

    /// Seals under the newest key.
    pub(super) fn seal(&self, place: Place, secret: &[u8], rng: &mut dyn CryptoRng) -> Sealed {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let (&key, newest) = ring.0.last_key_value().expect("a ring is never empty");
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        // Encrypted where it stands, and long enough from the start: no copy of the secret is left behind.
        let mut text = Vec::with_capacity(secret.len() + sidekey_protocol::crypto::TAG_SIZE);
        text.extend_from_slice(secret);
        let tag = newest.aead.seal(nonce, place.aad().as_ref(), &mut text);
        text.extend_from_slice(&tag);
        Sealed { key, nonce, text: text.into_boxed_slice() }
    }

    /// Opens what was sealed for this very place.
    pub(super) fn open_sealed(&self, place: Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let key = ring.0.get(&sealed.key).ok_or(Fault::Unsealable)?;
        let mut text = Zeroizing::new(sealed.text.to_vec());
        let size = key
            .aead
            .open(sealed.nonce, place.aad().as_ref(), &mut text)
            .map_err(|_| Fault::Unsealable)?
            .len();
        text.truncate(size);
        Ok(text)
    }

    /// Opens 32 octets of key material.
    pub(super) fn open_secret(&self, place: Place, sealed: &Sealed) -> Result<Secret<32>, Fault> {
        Secret::copy_of(&self.open_sealed(place, sealed)?).ok_or(Fault::Unsealable)
    }

    /// Seals again under the newest key.
    pub(super) fn reseal(
        &self,
        place: Place,
        sealed: &Sealed,
        rng: &mut dyn CryptoRng,
    ) -> Result<Sealed, Fault> {
        Ok(self.seal(place, &self.open_sealed(place, sealed)?, rng))
    }

    /// The newest key's number, and when it was made.
    pub(super) fn newest(&self) -> (u32, Timestamp) {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let (&number, key) = ring.0.last_key_value().expect("a ring is never empty");
        (number, key.made)
    }

    /// The numbers of all keys that still exist.
    pub(super) fn numbers(&self) -> BTreeSet<u32> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).0.keys().copied().collect()
    }

    /// A new sealing key, durable before the first secret is sealed under it.
    pub(super) fn rotate(&self, now: Timestamp, mut rng: &mut dyn CryptoRng) -> Result<(), Fault> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Secret::random(&mut rng);
        let wrapped = wrap(&over.master, &key);
        let fresh = SealingKey { aead: Aead::aes_256_gcm(&key), made: now, wrapped };
        let (number, mut keys) = {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            (ring.0.last_key_value().map_or(1, |(number, _)| number + 1), ring.stored())
        };
        keys.push((number, now, Octets(fresh.wrapped)));
        self.write(&over, keys)?;
        self.ring.write().unwrap_or_else(PoisonError::into_inner).0.insert(number, fresh);
        self.owed.store(false, Ordering::Release);
        Ok(())
    }

    /// The same now or, where the disk has no room for it, as soon as it has: a revocation waits for neither.
    pub(super) fn rotate_soon(&self, now: Timestamp, rng: &mut dyn CryptoRng) -> Result<(), Fault> {
        match self.rotate(now, rng) {
            Err(Fault::Full) => {
                self.owed.store(true, Ordering::Release);
                Ok(())
            }
            done => done,
        }
    }

    /// Whether a rotation waits for room on the disk.
    pub(super) fn owes_rotation(&self) -> bool {
        self.owed.load(Ordering::Acquire)
    }

    /// Destroys every sealing key but the newest and those that are `needed`.
    pub(super) fn destroy_all_but(&self, needed: &BTreeSet<u32>) -> Result<(), Fault> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let (newest, _) = self.newest();
        let keep = |number: u32| number == newest || needed.contains(&number);
        let (before, keys) = {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            let keys: Vec<_> = ring.stored().into_iter().filter(|(number, ..)| keep(*number)).collect();
            (ring.0.len(), keys)
        };
        if keys.len() == before {
            return Ok(());
        }
        self.write(&over, keys)?;
        self.ring.write().unwrap_or_else(PoisonError::into_inner).0.retain(|&number, _| keep(number));
        Ok(())
    }

    fn write(&self, over: &Over, keys: Vec<Wrapped>) -> Result<(), Fault> {
        #[cfg(test)]
        if self.no_room.load(Ordering::SeqCst) {
            return Err(Fault::Full);
        }
        let (head, credential) = (wrap(&over.master, &self.head), wrap(&over.master, &self.credential));
        let (head, credential) = (Octets(head), Octets(credential));
        SealKeys { slots: over.slots.clone(), head, credential, keys }.write(&self.folder)
    }
}

impl Ring {
    fn stored(&self) -> Vec<Wrapped> {
        self.0.iter().map(|(&number, key)| (number, key.made, Octets(key.wrapped))).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    const PLACE: Place = Place { kind: labels::REST_PAIRING, id: [7; 16], field: "root", number: 0 };

    fn made() -> (tempfile::TempDir, AtRest, ChaCha20Rng) {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let at_rest = AtRest::create(folder.path(), &root(), Timestamp(1), &mut rng).unwrap();
        (folder, at_rest, rng)
    }

    fn root() -> Secret<32> {
        Secret::fill_with(|octets| octets.fill(9))
    }

    #[test]
    fn a_sealed_blob_opens_only_where_it_belongs() {
        let (_folder, at_rest, mut rng) = made();
        let sealed = at_rest.seal(PLACE, b"secret", &mut rng);
        assert_eq!(at_rest.open_sealed(PLACE, &sealed).unwrap().as_slice(), b"secret");
        for other in [
            Place { kind: labels::REST_ROOT, ..PLACE },
            Place { id: [8; 16], ..PLACE },
            Place { field: "other", ..PLACE },
            Place { number: 1, ..PLACE },
        ] {
            assert!(matches!(at_rest.open_sealed(other, &sealed), Err(Fault::Unsealable)), "{other:?}");
        }
    }

    #[test]
    fn every_flipped_octet_of_a_blob_is_found() {
        let (_folder, at_rest, mut rng) = made();
        let sealed = at_rest.seal(PLACE, b"secret", &mut rng);
        for at in 0..sealed.text.len() {
            let mut bent = sealed.clone();
            bent.text[at] ^= 1;
            assert!(matches!(at_rest.open_sealed(PLACE, &bent), Err(Fault::Unsealable)), "octet {at}");
        }
    }

    #[test]
    fn a_wrong_root_key_is_refused() {
        let (folder, at_rest, mut rng) = made();
        drop(at_rest);
        let wrong = Secret::fill_with(|octets| octets.fill(8));
        assert!(matches!(AtRest::open(folder.path(), &wrong, &mut rng), Err(Fault::RootKeyWrong)));
        AtRest::open(folder.path(), &root(), &mut rng).unwrap();
    }

    #[test]
    fn a_destroyed_key_takes_its_secrets_with_it() {
        let (folder, at_rest, mut rng) = made();
        let old = at_rest.seal(PLACE, b"secret", &mut rng);
        at_rest.rotate(Timestamp(2), &mut rng).unwrap();
        let new = at_rest.reseal(PLACE, &old, &mut rng).unwrap();
        at_rest.destroy_all_but(&BTreeSet::new()).unwrap();
        let reopened = AtRest::open(folder.path(), &root(), &mut rng).unwrap();
        for at_rest in [&at_rest, &reopened] {
            assert!(matches!(at_rest.open_sealed(PLACE, &old), Err(Fault::Unsealable)));
            assert_eq!(at_rest.open_sealed(PLACE, &new).unwrap().as_slice(), b"secret");
        }
        assert_eq!(reopened.numbers(), BTreeSet::from([2]));
    }
}
