//! ECDH on P-256 with a scalar made for one exchange (SP 800-56A, section 5.7.1.2).

use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};
use rand_core::CryptoRng;

use super::spake2plus::{POINT_SIZE, Share};
use super::{BadKey, Secret};

/// The scalar of one exchange. Wiped on drop, silent in logs.
pub struct EcdhSecret(SecretKey);

impl EcdhSecret {
    /// A new one from `rng`.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            // One draw in 2³² is no scalar, and is drawn again.
            if let Ok(key) = SecretKey::from_slice(Secret::<32>::random(rng).expose()) {
                return Self(key);
            }
        }
    }

    /// What the other side is sent: the point, uncompressed.
    ///
    /// # Panics
    /// Never: a point of ours is never the identity.
    #[must_use]
    pub fn point(&self) -> [u8; POINT_SIZE] {
        let point = self.0.public_key().to_sec1_point(false);
        point.as_bytes().try_into().expect("an uncompressed point has 65 octets")
    }

    /// The x coordinate of what both sides arrive at.
    ///
    /// # Errors
    /// [`BadKey`] when `point` is not an uncompressed point of the curve other than the identity.
    pub fn agree(&self, point: &[u8]) -> Result<Secret<32>, BadKey> {
        // SEC 1 knows five tags and we one.
        let share = Share::parse(point).map_err(|_| BadKey)?;
        let theirs = PublicKey::from_sec1_bytes(share.as_bytes()).map_err(|_| BadKey)?;
        let shared = p256::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), theirs.as_affine());
        Ok(Secret::fill_with(|secret| secret.copy_from_slice(shared.raw_secret_bytes())))
    }
}

impl std::fmt::Debug for EcdhSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EcdhSecret")
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn both_sides_arrive_at_one_secret() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (ours, theirs) = (EcdhSecret::generate(&mut rng), EcdhSecret::generate(&mut rng));
        let secret = ours.agree(&theirs.point()).unwrap();
        assert_eq!(secret.expose(), theirs.agree(&ours.point()).unwrap().expose());
        assert_ne!(secret.expose(), ours.agree(&ours.point()).unwrap().expose());
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ours = EcdhSecret::generate(&mut rng);
        let good = ours.point();
        let compressed = [&[2 + (good[64] & 1)], &good[1..33]].concat();
        let mut off = good;
        off[64] ^= 1;
        for bad in [&[][..], &[0], &[0; 65], &compressed, &good[..64], &off] {
            assert_eq!(ours.agree(bad).unwrap_err(), BadKey, "{bad:?}");
        }
    }
}
