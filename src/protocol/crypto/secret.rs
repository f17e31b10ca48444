//! Key material as a type.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Key material of `N` octets. Wiped on drop, silent in logs, never copied, never compared with `==`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Builds the secret in place, so no stack copy outlives the call.
    ///
    /// # Errors
    /// Whatever `write` returns; what it had written is wiped.
    pub fn fill<E>(write: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        write(&mut secret.0)?;
        Ok(secret)
    }

    /// Builds the secret in place by a write that cannot fail.
    pub fn fill_with(write: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        write(&mut secret.0);
        secret
    }

    /// Fresh randomness.
    pub fn random(rng: &mut impl rand_core::CryptoRng) -> Self {
        Self::fill_with(|bytes| rng.fill_bytes(bytes))
    }

    /// Takes a copy of key material that somebody else owns and wipes; `None` when the length is wrong.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::fill_with(|secret| secret.copy_from_slice(bytes)))
    }

    /// The octets. Every call site is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_its_size_alone() {
        let secret = Secret::<4>::fill_with(|bytes| bytes.copy_from_slice(&[222, 173, 190, 239]));
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret<4> Secret<4>");
    }

    #[test]
    fn a_copy_of_the_wrong_length_is_none() {
        assert!(Secret::<4>::copy_of(&[1, 2, 3]).is_none());
        assert_eq!(Secret::<4>::copy_of(&[1, 2, 3, 4]).unwrap().expose(), &[1, 2, 3, 4]);
    }
}
