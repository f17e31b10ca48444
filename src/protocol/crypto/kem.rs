//! ML-KEM-768, FIPS 203: the half of a pairing that a recording cannot break later.

use ml_kem::kem::{Decapsulate as _, Encapsulate as _, KeyExport as _};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use rand_core::CryptoRng;

use super::{BadKey, Secret};

/// Octets of an encapsulation key.
pub const KEM_EK_SIZE: usize = 1184;
/// Octets of a ciphertext.
pub const KEM_CT_SIZE: usize = 1088;

/// The decapsulation key of one exchange.
pub struct KemSecret(Box<DecapsulationKey768>);

impl KemSecret {
    /// `ML-KEM.KeyGen` (FIPS 203 algorithm 19) with `d ‖ z` from `rng`.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&Secret::random(rng))
    }

    /// `ML-KEM.KeyGen_internal(d, z)` (FIPS 203 algorithm 16), `seed = d ‖ z`.
    #[must_use]
    pub fn from_seed(seed: &Secret<64>) -> Self {
        Self(Box::new(DecapsulationKey768::from_seed((*seed.expose()).into())))
    }

    /// What the other side encapsulates to.
    #[must_use]
    pub fn encapsulation_key(&self) -> Vec<u8> {
        self.0.encapsulation_key().to_bytes().to_vec()
    }

    /// `ML-KEM.Decaps`: always a secret; a wrong ciphertext gives one that nobody else has (implicit rejection).
    ///
    /// # Errors
    /// [`BadKey`] when `ciphertext` is not 1088 octets.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, BadKey> {
        let shared = self.0.decapsulate_slice(ciphertext).map_err(|_| BadKey)?;
        Ok(Secret::fill_with(|secret| secret.copy_from_slice(&shared)))
    }
}

impl std::fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KemSecret")
    }
}

/// `ML-KEM.Encaps(ek)` (FIPS 203 algorithm 20): the ciphertext and the shared secret.
///
/// # Errors
/// [`BadKey`] when `ek` is not 1184 octets or fails FIPS 203's modulus check.
pub fn encapsulate(ek: &[u8], rng: &mut impl CryptoRng) -> Result<(Vec<u8>, Secret<32>), BadKey> {
    let key = EncapsulationKey768::new(ek.try_into().map_err(|_| BadKey)?).map_err(|_| BadKey)?;
    let (ciphertext, shared) = key.encapsulate_with_rng(rng);
    Ok((ciphertext.to_vec(), Secret::fill_with(|secret| secret.copy_from_slice(&shared))))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn both_sides_hold_the_same_secret() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = KemSecret::generate(&mut rng);
        let (ciphertext, theirs) = encapsulate(&key.encapsulation_key(), &mut rng).unwrap();
        assert_eq!(ciphertext.len(), KEM_CT_SIZE);
        assert_eq!(key.decapsulate(&ciphertext).unwrap().expose(), theirs.expose());
    }

    #[test]
    fn a_coefficient_beyond_the_modulus_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ek = KemSecret::generate(&mut rng).encapsulation_key();
        ek[..2].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(encapsulate(&ek, &mut rng).unwrap_err(), BadKey);
        assert_eq!(encapsulate(&ek[1..], &mut rng).unwrap_err(), BadKey);
    }
}
