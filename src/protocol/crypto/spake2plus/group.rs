//! P-256's group as SPAKE2+ uses it: points with every check, scalars in constant time and wiped.

use p256::elliptic_curve::group::Group as _;
use p256::elliptic_curve::ops::Reduce as _;
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::{Field as _, PrimeField as _};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use super::Secret;

/// Octets of a point, uncompressed.
pub const POINT_SIZE: usize = 65;

/// A point that is a secret, encoded.
pub(super) type Encoded = Zeroizing<[u8; POINT_SIZE]>;

/// RFC 9383 section 4, M, uncompressed: nobody knows its discrete logarithm.
pub(super) const M: &str = concat!(
    "04",
    "886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f",
    "5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20",
);
/// RFC 9383 section 4, N, uncompressed: nobody knows its discrete logarithm.
pub(super) const N: &str = concat!(
    "04",
    "d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49",
    "07d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7",
);

/// The share is not a point that this exchange may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a valid share")]
pub struct BadShare;

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

    /// The encoding of a point that was computed here.
    pub(super) fn of(point: &ProjectivePoint) -> Result<Self, BadShare> {
        encode(point).map(|bytes| Self(*bytes))
    }

    /// The point, uncompressed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; POINT_SIZE] {
        &self.0
    }

    pub(super) fn point(&self) -> ProjectivePoint {
        decode(&self.0).expect("it was checked when it was parsed")
    }
}

/// 40 octets, big-endian, modulo the order, in constant time: `high · 2²⁵⁶ + low`.
pub(super) fn reduce(wide: &[u8]) -> Zeroizing<Scalar> {
    let (high, low) = wide.split_at(8);
    let high = Zeroizing::new(u64::from_be_bytes(high.try_into().expect("8 of 40")));
    let low = Zeroizing::new(FieldBytes::try_from(low).expect("32 of 40"));
    // 2²⁵⁶ − 1 fits in 32 octets; its remainder and 1 more are the remainder of 2²⁵⁶.
    let two_256 = Scalar::reduce(&FieldBytes::from([0xff; 32])) + Scalar::ONE;
    Zeroizing::new(Scalar::from(*high) * two_256 + *Zeroizing::new(Scalar::reduce(&*low)))
}

/// Uniform in 1 ..= n − 1: one draw in 2³² is refused and drawn again.
pub(super) fn random(rng: &mut impl CryptoRng) -> Zeroizing<Scalar> {
    loop {
        let drawn = canonical(&Secret::random(rng));
        if let Some(scalar) = drawn.ok().filter(|scalar| !bool::from(scalar.is_zero())) {
            return scalar;
        }
    }
}

/// The scalar, when it is below the order.
pub(super) fn canonical(bytes: &Secret<32>) -> Result<Zeroizing<Scalar>, BadShare> {
    let scalar = Option::<Scalar>::from(Scalar::from_repr((*bytes.expose()).into()));
    scalar.map(Zeroizing::new).ok_or(BadShare)
}

/// A scalar of ours, read back.
pub(super) fn scalar(bytes: &Secret<32>) -> Zeroizing<Scalar> {
    Zeroizing::new(Scalar::reduce(&FieldBytes::from(*bytes.expose())))
}

pub(super) fn secret(scalar: &Scalar) -> Secret<32> {
    Secret::fill_with(|bytes| {
        let mut repr = scalar.to_repr();
        bytes.copy_from_slice(&repr);
        repr.as_mut_slice().zeroize();
    })
}

pub(super) fn decode(bytes: &[u8]) -> Result<ProjectivePoint, BadShare> {
    // SEC 1 knows five tags and we one.
    let [0x04, coordinates @ ..]: &[u8; POINT_SIZE] = bytes.try_into().map_err(|_| BadShare)? else {
        return Err(BadShare);
    };
    let (x, y) = coordinates.split_at(32);
    let (x, y) = (x.try_into().expect("32 of 64"), y.try_into().expect("32 of 64"));
    // The identity has no coordinates, and (0, 0) is not on the curve.
    Option::from(AffinePoint::from_coordinates(x, y)).map(|point: AffinePoint| point.into()).ok_or(BadShare)
}

pub(super) fn encode(point: &ProjectivePoint) -> Result<Encoded, BadShare> {
    if bool::from(point.is_identity()) {
        return Err(BadShare);
    }
    let affine = Zeroizing::new(point.to_affine());
    // Without SEC 1, whose encoder branches on a tag that it computes from the point.
    let mut encoded = Zeroizing::new([0x04; POINT_SIZE]);
    encoded[1..33].copy_from_slice(&Zeroizing::new(affine.x()));
    encoded[33..].copy_from_slice(&Zeroizing::new(affine.y()));
    Ok(encoded)
}

/// One of the constants, checked like every other point.
pub(super) fn constant(hex: &str) -> Share {
    let mut bytes = [0; POINT_SIZE];
    let point = base16ct::lower::decode(hex, &mut bytes).ok().and_then(|bytes| Share::parse(bytes).ok());
    point.expect("RFC 9383's constants are points")
}
