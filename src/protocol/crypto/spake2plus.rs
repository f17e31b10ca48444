//! SPAKE2+, RFC 9383, ciphersuite P256-SHA256-HKDF-SHA256-HMAC-SHA256: who holds only a code of 40 bits proves it to who
//! holds only a verifier of it, and a listener learns nothing to test guesses against.
//!
//! Every check of a share is made here, by hand, because a missing one is silent: exactly 65 octets, tag 04, both
//! coordinates below the field's prime, on the curve, not the identity (which has no such encoding); and `Z` or `V` that is
//! the identity is refused. The curve's cofactor is 1, so every other point has the full order.

mod group;

use std::ops::{Add as _, Mul as _, Sub as _};

use p256::{ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use group::{BadShare, POINT_SIZE, Share};
use group::{Encoded, M, N, canonical, constant, decode, encode, random, reduce, scalar, secret};

use super::stretch::argon2id;
use super::{Secret, Unverified, equal, expand, extract, mac, sha256};

/// What both sides must agree on beforehand: RFC 9383's Context, idProver, idVerifier.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// Whatever else the exchange is about.
    pub context: &'a [u8],
    /// Who proves.
    pub prover: &'a [u8],
    /// Who verifies.
    pub verifier: &'a [u8],
}

/// The prover's registration record: `w0` and `w1`, as good as the password itself.
#[derive(Debug)]
pub struct Registration {
    w0: Secret<32>,
    w1: Secret<32>,
}

impl Registration {
    /// `w0s ‖ w1s = Argon2id(len‖password‖len‖idProver‖len‖idVerifier, salt, 19456 KiB, t=2, p=1, 80 octets)`.
    ///
    /// Takes 20 ms of one core and 19 MiB: once for each invitation on the service, once for each pairing on the client.
    #[must_use]
    pub fn stretch(password: &[u8], prover: &[u8], verifier: &[u8], salt: &[u8; 32]) -> Self {
        let mut input =
            Zeroizing::new(Vec::with_capacity(24 + password.len() + prover.len() + verifier.len()));
        for field in [password, prover, verifier] {
            push(&mut input, field);
        }
        let wide = argon2id(&input, salt, 19_456, 2).expect("within Argon2's limits");
        Self::from_wide(&wide)
    }

    /// `w0 = w0s mod n`, `w1 = w1s mod n` (RFC 9383 section 3.2), 40 octets each: 64 bits more than the order has, so that the
    /// remainders are as good as uniform.
    #[must_use]
    pub fn from_wide(wide: &Secret<80>) -> Self {
        let (w0s, w1s) = wide.expose().split_at(40);
        Self { w0: secret(&reduce(w0s)), w1: secret(&reduce(w1s)) }
    }

    /// What the other side keeps: `w0` and `L = w1·P`. Proves nothing to anyone, but tests guesses: a secret.
    ///
    /// # Panics
    /// When `w1` is 0, which happens to one password in 2²⁵⁶.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let l = Zeroizing::new(ProjectivePoint::GENERATOR.mul(&*scalar(&self.w1)));
        let l = encode(&l).expect("Argon2id gives no multiple of the order");
        Verifier(Secret::fill_with(|record| {
            record[..32].copy_from_slice(self.w0.expose());
            record[32..].copy_from_slice(l.as_slice());
        }))
    }
}

/// The verifier's registration record: `w0 ‖ L`, 97 octets.
#[derive(Debug)]
pub struct Verifier(Secret<97>);

impl Verifier {
    /// Reads what [`Verifier::secret`] gave.
    ///
    /// # Errors
    /// [`BadShare`] when `w0` is not below the order or `L` is not a point.
    pub fn from_secret(record: Secret<97>) -> Result<Self, BadShare> {
        let verifier = Self(record);
        let (w0, l) = verifier.parts();
        canonical(&w0)?;
        decode(l)?;
        Ok(verifier)
    }

    /// The record, to be sealed at rest.
    #[must_use]
    pub const fn secret(&self) -> &Secret<97> {
        &self.0
    }

    /// The verifier's whole part: its share, and the keys once the share is in `ids.context`'s company.
    ///
    /// # Errors
    /// [`BadShare`] when `Z` is the identity: the prover's share was `w0·M`, which only a guess of `w0` makes. The caller
    /// must have spent an attempt before, since this tells whether the guess was right.
    pub fn answer(
        &self,
        ids: &Ids<'_>,
        share_p: &Share,
        rng: &mut impl CryptoRng,
    ) -> Result<(Share, Keys), BadShare> {
        let w0 = scalar(&self.parts().0);
        let y = random(rng);
        let share_v = blind(&y, &w0, N)?;
        let (z, v) = self.points(&y, share_p)?;
        let keys = Keys::schedule(ids, share_p, &share_v, &z, &v, &w0);
        Ok((share_v, keys))
    }

    /// `Z = y·(X − w0·M)`, `V = y·L`.
    fn points(&self, y: &Scalar, share_p: &Share) -> Result<(Encoded, Encoded), BadShare> {
        let (w0, l) = self.parts();
        let blinded = unblind(share_p, &scalar(&w0), M);
        let v = Zeroizing::new(Zeroizing::new(decode(l)?).mul(y));
        Ok((encode(&Zeroizing::new(blinded.mul(y)))?, encode(&v)?))
    }

    fn parts(&self) -> (Secret<32>, &[u8]) {
        let (w0, l) = self.0.expose().split_at(32);
        (Secret::copy_of(w0).expect("32 of 97"), l)
    }
}

/// The prover, between its share and the verifier's.
#[derive(Debug)]
pub struct Prover {
    registration: Registration,
    x: Secret<32>,
    share: Share,
}

impl Prover {
    /// Draws `x` and makes the share `x·P + w0·M`.
    pub fn start(registration: Registration, rng: &mut impl CryptoRng) -> Self {
        loop {
            let x = random(rng);
            // The identity, one draw in 2²⁵⁶, has no encoding.
            if let Ok(share) = blind(&x, &scalar(&registration.w0), M) {
                return Self { x: secret(&x), registration, share };
            }
        }
    }

    /// What goes to the verifier.
    #[must_use]
    pub const fn share(&self) -> &Share {
        &self.share
    }

    /// The keys, once the verifier's share is here.
    ///
    /// # Errors
    /// [`BadShare`] when `Z` or `V` is the identity: the verifier's share was `w0·N`.
    pub fn keys(&self, ids: &Ids<'_>, share_v: &Share) -> Result<Keys, BadShare> {
        let (z, v) = self.points(share_v)?;
        let w0 = scalar(&self.registration.w0);
        Ok(Keys::schedule(ids, &self.share, share_v, &z, &v, &w0))
    }

    /// `Z = x·(Y − w0·N)`, `V = w1·(Y − w0·N)`.
    fn points(&self, share_v: &Share) -> Result<(Encoded, Encoded), BadShare> {
        let blinded = unblind(share_v, &scalar(&self.registration.w0), N);
        let z = Zeroizing::new(blinded.mul(&*scalar(&self.x)));
        let v = Zeroizing::new(blinded.mul(&*scalar(&self.registration.w1)));
        Ok((encode(&z)?, encode(&v)?))
    }
}

/// What both sides derive.
#[derive(Debug)]
pub struct Keys {
    confirm_p: Secret<32>,
    confirm_v: Secret<32>,
    shared: Secret<32>,
}

impl Keys {
    /// RFC 9383 sections 3.3 and 3.4.
    fn schedule(
        ids: &Ids<'_>,
        share_p: &Share,
        share_v: &Share,
        z: &Encoded,
        v: &Encoded,
        w0: &Scalar,
    ) -> Self {
        let k_main = k_main(&transcript(ids, share_p, share_v, z, v, w0));
        let (k_confirm_p, k_confirm_v) = confirmation_keys(&k_main);
        Self {
            confirm_p: Secret::fill_with(|tag| *tag = mac(&k_confirm_p, &[share_v.as_bytes()])),
            confirm_v: Secret::fill_with(|tag| *tag = mac(&k_confirm_v, &[share_p.as_bytes()])),
            shared: expand(&extract(&[], &[k_main.expose()]), b"SharedKey"),
        }
    }

    /// `confirmP`: what the prover sends, once it has seen the verifier's.
    #[must_use]
    pub const fn confirm_p(&self) -> &Secret<32> {
        &self.confirm_p
    }

    /// `confirmV`: what the verifier sends. It tells a guesser whether one guess was right.
    #[must_use]
    pub const fn confirm_v(&self) -> &Secret<32> {
        &self.confirm_v
    }

    /// Checks the prover's confirmation, in constant time.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify_p(&self, confirm_p: &[u8]) -> Result<(), Unverified> {
        equal(self.confirm_p.expose(), confirm_p)
    }

    /// Checks the verifier's confirmation, in constant time.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify_v(&self, confirm_v: &[u8]) -> Result<(), Unverified> {
        equal(self.confirm_v.expose(), confirm_v)
    }

    /// `K_shared`, to be used only after the other side's confirmation has verified.
    #[must_use]
    pub const fn shared(&self) -> &Secret<32> {
        &self.shared
    }
}

/// RFC 9383 section 3.3, `TT`. Secret: it holds `Z`, `V` and `w0`.
fn transcript(
    ids: &Ids<'_>,
    share_p: &Share,
    share_v: &Share,
    z: &Encoded,
    v: &Encoded,
    w0: &Scalar,
) -> Zeroizing<Vec<u8>> {
    let (m, n) = (constant(M), constant(N));
    let w0 = secret(w0);
    let fields: [&[u8]; 10] = [
        ids.context,
        ids.prover,
        ids.verifier,
        m.as_bytes(),
        n.as_bytes(),
        share_p.as_bytes(),
        share_v.as_bytes(),
        z.as_slice(),
        v.as_slice(),
        w0.expose(),
    ];
    // Its capacity is exact, so that no reallocation leaves a copy behind.
    let size = fields.iter().map(|field| 8 + field.len()).sum();
    let mut tt = Zeroizing::new(Vec::with_capacity(size));
    for field in fields {
        push(&mut tt, field);
    }
    tt
}

fn k_main(transcript: &[u8]) -> Secret<32> {
    Secret::fill_with(|key| *key = sha256(transcript))
}

/// `K_confirmP ‖ K_confirmV = HKDF(salt "", K_main, "ConfirmationKeys", 64)`.
fn confirmation_keys(k_main: &Secret<32>) -> (Secret<32>, Secret<32>) {
    let both: Secret<64> = expand(&extract(&[], &[k_main.expose()]), b"ConfirmationKeys");
    let (p, v) = both.expose().split_at(32);
    (Secret::copy_of(p).expect("half of 64"), Secret::copy_of(v).expect("half of 64"))
}

/// A field with its length before it, u64 little-endian.
fn push(buffer: &mut Vec<u8>, field: &[u8]) {
    buffer.extend_from_slice(&(field.len() as u64).to_le_bytes());
    buffer.extend_from_slice(field);
}

/// `k·P + w0·base`: the share of whoever drew `k`.
fn blind(k: &Scalar, w0: &Scalar, base: &str) -> Result<Share, BadShare> {
    let mask = Zeroizing::new(constant(base).point().mul(w0));
    let point = Zeroizing::new(ProjectivePoint::GENERATOR.mul(k).add(*mask));
    Share::of(&point)
}

/// `share − w0·base`.
fn unblind(share: &Share, w0: &Scalar, base: &str) -> Zeroizing<ProjectivePoint> {
    let mask = Zeroizing::new(constant(base).point().mul(w0));
    Zeroizing::new(share.point().sub(*mask))
}

#[cfg(test)]
mod tests;
