//! SPAKE2+, RFC 9383, ciphersuite P256-SHA256-HKDF-SHA256-HMAC-SHA256: who holds only a code of 40 bits proves it to who
//! holds only a verifier of it, and a listener learns nothing to test guesses against.
//!
//! Every check of a share is made here, by hand, because a missing one is silent: exactly 65 octets, tag 04, both
//! coordinates below the field's prime, on the curve, not the identity (which has no such encoding); and `Z` or `V` that is
//! the identity is refused. The curve's cofactor is 1, so every other point has the full order.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use p256::elliptic_curve::group::Group as _;
use p256::elliptic_curve::ops::Reduce as _;
use p256::elliptic_curve::sec1::{FromSec1Point as _, ToSec1Point as _};
use p256::elliptic_curve::{Field as _, PrimeField as _};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, Sec1Point};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Secret, Unverified, equal, expand, extract, mac, sha256};

/// Octets of a point, uncompressed.
pub const POINT_SIZE: usize = 65;

/// RFC 9383 section 4: nobody knows the discrete logarithm of either.
const M: [u8; 33] = compressed(0x02, *b"\x88\x6e\x2f\x97\xac\xe4\x6e\x55\xba\x9d\xd7\x24\x25\x79\xf2\x99\x3b\x64\xe1\x6e\xf3\xdc\xab\x95\xaf\xd4\x97\x33\x3d\x8f\xa1\x2f");
const N: [u8; 33] = compressed(0x03, *b"\xd8\xbb\xd6\xc6\x39\xc6\x29\x37\xb0\x4d\x99\x7f\x38\xc3\x77\x07\x19\xc6\x29\xd7\x01\x4d\x49\xa2\x4b\x4f\x98\xba\xa1\x29\x2b\x49");

/// The share is not a point that this exchange may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a valid share")]
pub struct BadShare;

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

/// The other side's share, checked: a point of the curve, not the identity, in its one encoding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share([u8; POINT_SIZE]);

impl Share {
    /// Checks what the other side sent.
    ///
    /// # Errors
    /// [`BadShare`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadShare> {
        decode(bytes)?;
        Ok(Self(bytes.try_into().map_err(|_| BadShare)?))
    }

    /// The point, uncompressed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; POINT_SIZE] {
        &self.0
    }

    fn point(&self) -> ProjectivePoint {
        decode(&self.0).expect("it was checked when it was parsed")
    }
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
        let params = Params::new(19_456, 2, 1, Some(80)).expect("within Argon2's limits");
        let mut memory = vec![Block::new(); params.block_count()];
        let wide = Secret::fill(|out| {
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
                &input,
                salt,
                out,
                &mut memory,
            )
        })
        .expect("the lengths are within Argon2's limits");
        memory.iter_mut().for_each(zeroize::Zeroize::zeroize);
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
        let l = Zeroizing::new(ProjectivePoint::GENERATOR * *scalar(&self.w1));
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
        let (w0, l) = record.expose().split_at(32);
        let w0: [u8; 32] = w0.try_into().expect("32 octets");
        let known = Option::<Scalar>::from(Scalar::from_repr(w0.into())).map(Zeroizing::new);
        known.ok_or(BadShare)?;
        decode(l)?;
        Ok(Self(record))
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
        let (w0, l) = self.0.expose().split_at(32);
        let w0 = Zeroizing::new(Secret::copy_of(w0).map(|w0| *scalar(&w0)).expect("32 octets"));
        let y = random(rng);
        let share_v = blind(&y, &w0, &N)?;
        let blinded = Zeroizing::new(share_p.point() - *Zeroizing::new(constant(&M) * *w0));
        let z = encode(&Zeroizing::new(*blinded * *y))?;
        let v = encode(&Zeroizing::new(decode(l)? * *y))?;
        let keys = Keys::schedule(ids, share_p, &share_v, &z, &v, &w0);
        Ok((share_v, keys))
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
            if let Ok(share) = blind(&x, &scalar(&registration.w0), &M) {
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
        let (w0, w1) = (scalar(&self.registration.w0), scalar(&self.registration.w1));
        let blinded = Zeroizing::new(share_v.point() - *Zeroizing::new(constant(&N) * *w0));
        let z = encode(&Zeroizing::new(*blinded * *scalar(&self.x)))?;
        let v = encode(&Zeroizing::new(*blinded * *w1))?;
        Ok(Keys::schedule(ids, &self.share, share_v, &z, &v, &w0))
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
        z: &[u8; POINT_SIZE],
        v: &[u8; POINT_SIZE],
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
    z: &[u8; POINT_SIZE],
    v: &[u8; POINT_SIZE],
    w0: &Scalar,
) -> Zeroizing<Vec<u8>> {
    let (m, n) = (uncompressed(&M), uncompressed(&N));
    let w0 = secret(w0);
    let fields: [&[u8]; 10] = [
        ids.context,
        ids.prover,
        ids.verifier,
        &m,
        &n,
        share_p.as_bytes(),
        share_v.as_bytes(),
        z,
        v,
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

/// `k·P + w0·base`, encoded.
fn blind(k: &Scalar, w0: &Scalar, base: &[u8; 33]) -> Result<Share, BadShare> {
    let mask = Zeroizing::new(constant(base) * w0);
    let point = Zeroizing::new(ProjectivePoint::GENERATOR * k + *mask);
    encode(&point).map(|bytes| Share(*bytes))
}

/// 40 octets, big-endian, modulo the order, in constant time: `high · 2²⁵⁶ + low`.
fn reduce(wide: &[u8]) -> Zeroizing<Scalar> {
    let (high, low) = wide.split_at(8);
    let high = Zeroizing::new(u64::from_be_bytes(high.try_into().expect("8 of 40")));
    let low = Zeroizing::new(FieldBytes::try_from(low).expect("32 of 40"));
    // 2²⁵⁶ − 1 fits in 32 octets; its remainder and 1 more are the remainder of 2²⁵⁶.
    let two_256 = Scalar::reduce(&FieldBytes::from([0xff; 32])) + Scalar::ONE;
    Zeroizing::new(Scalar::from(*high) * two_256 + *Zeroizing::new(Scalar::reduce(&*low)))
}

/// Uniform in 1 ..= n − 1: one draw in 2³² is refused and drawn again.
fn random(rng: &mut impl CryptoRng) -> Zeroizing<Scalar> {
    loop {
        let bytes = Secret::<32>::random(rng);
        let candidate =
            Option::<Scalar>::from(Scalar::from_repr((*bytes.expose()).into())).map(Zeroizing::new);
        if let Some(scalar) = candidate.filter(|scalar| !bool::from(scalar.is_zero())) {
            return scalar;
        }
    }
}

fn scalar(bytes: &Secret<32>) -> Zeroizing<Scalar> {
    Zeroizing::new(Scalar::reduce(&FieldBytes::from(*bytes.expose())))
}

fn secret(scalar: &Scalar) -> Secret<32> {
    Secret::fill_with(|bytes| {
        let mut repr = scalar.to_repr();
        bytes.copy_from_slice(&repr);
        repr.as_mut_slice().zeroize();
    })
}

fn decode(bytes: &[u8]) -> Result<ProjectivePoint, BadShare> {
    // A length and a tag of our own, because SEC 1 knows five tags and we one.
    if bytes.len() != POINT_SIZE || bytes.first() != Some(&0x04) {
        return Err(BadShare);
    }
    let point = Sec1Point::from_bytes(bytes).map_err(|_| BadShare)?;
    let point = Option::<AffinePoint>::from(AffinePoint::from_sec1_point(&point)).ok_or(BadShare)?;
    let point = ProjectivePoint::from(point);
    if bool::from(point.is_identity()) { Err(BadShare) } else { Ok(point) }
}

fn encode(point: &ProjectivePoint) -> Result<Zeroizing<[u8; POINT_SIZE]>, BadShare> {
    if bool::from(point.is_identity()) {
        return Err(BadShare);
    }
    let affine = Zeroizing::new(point.to_affine());
    let mut encoded = affine.to_sec1_point(false);
    let bytes = encoded.as_bytes().try_into().map(Zeroizing::new).map_err(|_| BadShare);
    encoded.zeroize();
    bytes
}

const fn compressed(tag: u8, x: [u8; 32]) -> [u8; 33] {
    let mut point = [tag; 33];
    let (_, tail) = point.split_at_mut(1);
    tail.copy_from_slice(&x);
    point
}

fn constant(point: &[u8; 33]) -> ProjectivePoint {
    let point = Sec1Point::from_bytes(point).expect("RFC 9383's constants are points");
    ProjectivePoint::from(
        Option::<AffinePoint>::from(AffinePoint::from_sec1_point(&point))
            .expect("RFC 9383's constants are points"),
    )
}

fn uncompressed(point: &[u8; 33]) -> [u8; POINT_SIZE] {
    *encode(&constant(point)).expect("neither constant is the identity")
}
