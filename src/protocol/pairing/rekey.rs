//! Rekey: the next epoch's root, from the last one's and a fresh exchange (proto/pairing/spec.md section 9).
//!
//! ```text
//!   party     Epoch e ──begin──▶ Renewing ──done──▶ Epoch e+1: stored, then used; e erased once a use is answered
//!   service   Epoch e ──renew──▶ Epoch e+1, pending ──first use──▶ current; e erased
//! ```
//! Whoever has recorded what was wrapped under e+1 needs more than `root_e` to read it, and whoever takes `root_{e+1}` learns
//! nothing of what came before.

use rand_core::CryptoRng;

use super::wire::{Rekey, RekeyAnswer};
use super::{EPOCH_S, Kek};
use crate::crypto::{self, Context, EcdhSecret, KemSecret, Secret, labels};
use crate::encoding::{Bytes, Octets};
use crate::ids::Timestamp;

/// Seconds after which a party renews its root.
pub const RENEW_S: u32 = 24 * 3600;
/// Seconds without a request after which a pairing lapses.
pub const IDLE_S: u32 = 90 * 24 * 3600;

/// Why the service refuses a rekey, or an epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// `kem_ek` is not 1184 octets, or has a coefficient beyond the modulus.
    #[error("kem_ek is not an ML-KEM-768 encapsulation key (FIPS 203, 1184 octets)")]
    BadKemKey,
    /// `point` is not one that may be used.
    #[error("point is not an uncompressed P-256 point other than the identity (65 octets, 04 first)")]
    BadPoint,
    /// Nothing is wrapped under this epoch any more: it serves a rekey alone.
    #[error("this key epoch is over; rekey from it")]
    EpochOver,
    /// The epoch was replaced, and is erased.
    #[error("this key epoch was replaced and is erased")]
    EpochPassed,
    /// The pairing has no such epoch.
    #[error("the pairing has no such key epoch")]
    EpochUnknown,
    /// Nobody has used the pairing for 90 days.
    #[error("the pairing was not used for 90 days")]
    Lapsed,
}

/// Why a party refuses the service's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// `kem_ct` is not 1088 octets.
    #[error("kem_ct is not an ML-KEM-768 ciphertext (1088 octets)")]
    BadKemCiphertext,
    /// `point` is not one that may be used.
    #[error("point is not an uncompressed P-256 point other than the identity (65 octets, 04 first)")]
    BadPoint,
    /// `to` is not the epoch after the one asked from.
    #[error("the answer is for another key epoch")]
    EpochForeign,
    /// `confirm` is wrong.
    #[error("the service has another root, or somebody between has altered the exchange")]
    NotConfirmed,
}

/// One epoch of a pairing: its root, and until when anything is wrapped under it.
#[derive(Debug)]
pub struct Epoch {
    /// From 0.
    pub number: u32,
    /// `root_e`.
    pub root: Secret<32>,
    /// From here on it serves a rekey alone.
    pub not_after: Timestamp,
}

impl Epoch {
    /// What keys are wrapped under.
    ///
    /// # Errors
    /// [`Reject::EpochOver`].
    pub fn kek(&self, now: Timestamp) -> Result<Kek, Reject> {
        if now >= self.not_after { Err(Reject::EpochOver) } else { Ok(Kek::of(&self.root)) }
    }

    /// The service's side: the epoch after this one, which waits for its first use, and the answer.
    ///
    /// # Errors
    /// [`Reject::EpochPassed`], [`Reject::EpochUnknown`], [`Reject::BadPoint`], [`Reject::BadKemKey`].
    pub fn renew(
        &self,
        request: &Rekey,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, RekeyAnswer), Reject> {
        from(self.number, request.from)?;
        let to = self.number.checked_add(1).ok_or(Reject::EpochUnknown)?;
        let ours = EcdhSecret::generate(rng);
        let shared = ours.agree(&request.point.0).map_err(|_| Reject::BadPoint)?;
        let (kem_ct, kem_ss) = crypto::encapsulate(&request.kem_ek.0, rng).map_err(|_| Reject::BadKemKey)?;
        let (point, not_after) = (Bytes(ours.point().to_vec()), now.after_s(EPOCH_S));
        let mut answer =
            RekeyAnswer { to, point, kem_ct: Bytes(kem_ct), not_after, confirm: Octets([0; 32]) };
        let root = next_root(request, &answer, &self.root, [&shared, &kem_ss]);
        answer.confirm = Octets(confirmation(&root, request));
        Ok((Self { number: to, root, not_after }, answer))
    }
}

/// Whether a rekey may start from epoch `from` while `current` is the pairing's.
///
/// # Errors
/// [`Reject::EpochPassed`], [`Reject::EpochUnknown`].
pub fn from(current: u32, from: u32) -> Result<(), Reject> {
    match from.cmp(&current) {
        std::cmp::Ordering::Less => Err(Reject::EpochPassed),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Reject::EpochUnknown),
    }
}

/// Whether a party should renew an epoch that ends at `not_after`.
#[must_use]
pub const fn is_due(not_after: Timestamp, now: Timestamp) -> bool {
    now.0 >= not_after.0.saturating_sub(EPOCH_S - RENEW_S)
}

/// Whether a pairing of which nothing was heard since `heard` has lapsed.
#[must_use]
pub const fn is_lapsed(heard: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_sub(heard.0) >= IDLE_S
}

/// Names a request: the same one gets the same answer.
#[must_use]
pub fn fingerprint(request: &Rekey) -> [u8; 32] {
    crypto::sha256(request_context(request).as_ref())
}

/// A party that has asked for its next epoch. The same [`Rekey`] may be sent again when its answer is lost.
#[derive(Debug)]
pub struct Renewing {
    ecdh: EcdhSecret,
    kem: KemSecret,
    request: Rekey,
}

impl Renewing {
    /// Makes what a rekey from epoch `from` carries.
    pub fn begin(from: u32, rng: &mut impl CryptoRng) -> Self {
        let (ecdh, kem) = (EcdhSecret::generate(rng), KemSecret::generate(rng));
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let (point, kem_ek) = (Bytes(ecdh.point().to_vec()), Bytes(kem.encapsulation_key()));
        Self { ecdh, kem, request: Rekey { from, point, kem_ek, nonce: Octets(nonce) } }
    }

    /// What to send.
    #[must_use]
    pub const fn request(&self) -> &Rekey {
        &self.request
    }

    /// The next epoch, once the service has shown that it has the same root. `root` is that of the epoch asked from.
    ///
    /// # Errors
    /// [`Refusal::EpochForeign`], [`Refusal::BadPoint`], [`Refusal::BadKemCiphertext`], [`Refusal::NotConfirmed`].
    pub fn done(self, root: &Secret<32>, answer: &RekeyAnswer) -> Result<Epoch, Refusal> {
        self.next(root, answer)
    }

    pub(super) fn next(&self, root: &Secret<32>, answer: &RekeyAnswer) -> Result<Epoch, Refusal> {
        if self.request.from.checked_add(1) != Some(answer.to) {
            return Err(Refusal::EpochForeign);
        }
        let shared = self.ecdh.agree(&answer.point.0).map_err(|_| Refusal::BadPoint)?;
        let kem_ss = self.kem.decapsulate(&answer.kem_ct.0).map_err(|_| Refusal::BadKemCiphertext)?;
        let root = next_root(&self.request, answer, root, [&shared, &kem_ss]);
        crypto::equal(&confirmation(&root, &self.request), &answer.confirm.0)
            .map_err(|_| Refusal::NotConfirmed)?;
        Ok(Epoch { number: answer.to, root, not_after: answer.not_after })
    }
}

/// `root_{e+1} = Extract(SHA-256(request ‖ answer), root_e ‖ ecdh x ‖ kem_ss)`: holds while any of the three does.
fn next_root(
    request: &Rekey,
    answer: &RekeyAnswer,
    root: &Secret<32>,
    [shared, kem_ss]: [&Secret<32>; 2],
) -> Secret<32> {
    let (request, answer) = (request_context(request), answer_context(answer));
    let salt = crypto::sha256(&[request.as_ref(), answer.as_ref()].concat());
    crypto::extract(&salt, &[root.expose(), shared.expose(), kem_ss.expose()])
}

/// `HMAC(Derive(root_{e+1}, "rekey confirm"), request)`.
fn confirmation(root: &Secret<32>, request: &Rekey) -> [u8; 32] {
    let key = crypto::derive(root, labels::REKEY_CONFIRM, &[]);
    crypto::mac(&key, &[request_context(request).as_ref()])
}

fn request_context(request: &Rekey) -> Context {
    let Rekey { from, point, kem_ek, nonce } = request;
    Context::of(labels::REKEY_REQUEST, &[&from.to_be_bytes(), &point.0, &kem_ek.0, &nonce.0])
}

/// `confirm` is not in it: it follows from it.
fn answer_context(answer: &RekeyAnswer) -> Context {
    let RekeyAnswer { to, point, kem_ct, not_after, confirm: _ } = answer;
    let fields: [&[u8]; 4] = [&to.to_be_bytes(), &point.0, &kem_ct.0, &not_after.0.to_be_bytes()];
    Context::of(labels::REKEY_ANSWER, &fields)
}

#[cfg(test)]
mod tests;
