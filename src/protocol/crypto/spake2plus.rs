//! SPAKE2+, RFC 9383, ciphersuite P256-SHA256-HKDF-SHA256-HMAC-SHA256: who holds only a code of 40 bits proves it to who
//! holds only a verifier of it, and a listener learns nothing to test guesses against.
//!
//! Every check of a share is made here, by hand, because a missing one is silent: exactly 65 octets, tag 04, both
//! coordinates below the field's prime, on the curve, not the identity (which has no such encoding); and `Z` or `V` that is
//! the identity is refused. The curve's cofactor is 1, so every other point has the full order.

mod group;

use std::ops::{Add as _, Mul as _, Sub as _};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use p256::{ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use group::{BadShare, POINT_SIZE, Share};
use group::{Encoded, M, N, canonical, constant, decode, encode, random, reduce, scalar, secret};

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
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::crypto::testing::{Script, hex};

    /// RFC 9383 appendix C, first vector, with the names of our own vector file.
    const RFC_9383: &str = r#"{
        "w0": "bb8e1bbcf3c48f62c08db243652ae55d3e5586053fca77102994f23ad95491b3",
        "w1": "7e945f34d78785b8a3ef44d0df5a1a97d6b3b460409a345ca7830387a74b1dba",
        "L": "04eb7c9db3d9a9eb1f8adab81b5794c1f13ae3e225efbe91ea487425854c7fc00f00bfedcbd09b2400142d40a14f2064ef31dfaa903b91d1faea7093d835966efd",
        "x": "d1232c8e8693d02368976c174e2088851b8365d0d79a9eee709c6a05a2fad539",
        "share_p": "04ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1de127727f418b5966afadfdd95a6e4591d171056b333dab97a79c7193e341727",
        "y": "717a72348a182085109c8d3917d6c43d59b224dc6a7fc4f0483232fa6516d8b3",
        "share_v": "04c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb5cc1ca7494db39e82ff2f50665255d76173e09986ab46742c798a9a68437b048",
        "Z": "04bbfce7dd7f277819c8da21544afb7964705569bdf12fb92aa388059408d50091a0c5f1d3127f56813b5337f9e4e67e2ca633117a4fbd559946ab474356c41839",
        "V": "0458bf27c6bca011c9ce1930e8984a797a3419797b936629a5a937cf2f11c8b9514b82b993da8a46e664f23db7c01edc87faa530db01c2ee405230b18997f16b68",
        "TT": "38000000000000005350414b45322b2d503235362d5348413235362d484b44462d5348413235362d484d41432d534841323536205465737420566563746f72730600000000000000636c69656e740600000000000000736572766572410000000000000004886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20410000000000000004d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b4907d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7410000000000000004ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1de127727f418b5966afadfdd95a6e4591d171056b333dab97a79c7193e341727410000000000000004c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb5cc1ca7494db39e82ff2f50665255d76173e09986ab46742c798a9a68437b048410000000000000004bbfce7dd7f277819c8da21544afb7964705569bdf12fb92aa388059408d50091a0c5f1d3127f56813b5337f9e4e67e2ca633117a4fbd559946ab474356c4183941000000000000000458bf27c6bca011c9ce1930e8984a797a3419797b936629a5a937cf2f11c8b9514b82b993da8a46e664f23db7c01edc87faa530db01c2ee405230b18997f16b682000000000000000bb8e1bbcf3c48f62c08db243652ae55d3e5586053fca77102994f23ad95491b3",
        "K_main": "4c59e1ccf2cfb961aa31bd9434478a1089b56cd11542f53d3576fb6c2a438a29",
        "K_confirmP": "871ae3f7b78445e34438fb284504240239031c39d80ac23eb5ab9be5ad6db58a",
        "K_confirmV": "ccd53c7c1fa37b64a462b40db8be101cedcf838950162902054e644b400f1680",
        "confirm_p": "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527",
        "confirm_v": "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68",
        "K_shared": "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7"
    }"#;

    const OURS: &str = include_str!("../../../proto/pairing/vectors.json");

    /// Every value of `vector` that one side or the other computes on the way.
    fn reproduce(vector: &Value, ids: &Ids<'_>) {
        let value = |name: &str| hex(&vector[name]);
        let secret = |name: &str| Secret::<32>::copy_of(&value(name)).unwrap();
        let registration = Registration { w0: secret("w0"), w1: secret("w1") };
        let verifier = registration.verifier();
        assert_eq!(verifier.secret().expose()[32..], value("L"));

        let prover = Prover::start(registration, &mut Script::of([value("x")]));
        assert_eq!(prover.share().as_bytes().as_slice(), value("share_p"));
        let (share_v, keys_v) = verifier.answer(ids, prover.share(), &mut Script::of([value("y")])).unwrap();
        assert_eq!(share_v.as_bytes().as_slice(), value("share_v"));

        let (z, v) = prover.points(&share_v).unwrap();
        let (z_of_verifier, v_of_verifier) = verifier.points(&scalar(&secret("y")), prover.share()).unwrap();
        assert_eq!((z.as_slice(), v.as_slice()), (z_of_verifier.as_slice(), v_of_verifier.as_slice()));
        assert_eq!((z.to_vec(), v.to_vec()), (value("Z"), value("V")));

        let tt = transcript(ids, prover.share(), &share_v, &z, &v, &scalar(&secret("w0")));
        assert_eq!(*tt, value("TT"));
        assert_eq!(tt.capacity(), tt.len(), "a reallocation would have left a copy behind");
        let k_main = k_main(&tt);
        assert_eq!(k_main.expose().as_slice(), value("K_main"));
        let (k_confirm_p, k_confirm_v) = confirmation_keys(&k_main);
        assert_eq!(k_confirm_p.expose().as_slice(), value("K_confirmP"));
        assert_eq!(k_confirm_v.expose().as_slice(), value("K_confirmV"));
        for keys in [prover.keys(ids, &share_v).unwrap(), keys_v] {
            assert_eq!(keys.confirm_p().expose().as_slice(), value("confirm_p"));
            assert_eq!(keys.confirm_v().expose().as_slice(), value("confirm_v"));
            assert_eq!(keys.shared().expose().as_slice(), value("K_shared"));
            assert_eq!(
                (keys.verify_p(&value("confirm_p")), keys.verify_v(&value("confirm_v"))),
                (Ok(()), Ok(()))
            );
            assert_eq!(keys.verify_p(&value("confirm_v")), Err(Unverified));
            assert_eq!(keys.verify_v(&value("confirm_v")[1..]), Err(Unverified));
        }
    }

    #[test]
    fn rfc_9383_appendix_c() {
        let context = b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors";
        let vector = serde_json::from_str(RFC_9383).unwrap();
        reproduce(&vector, &Ids { context, prover: b"client", verifier: b"server" });
    }

    #[test]
    fn every_value_of_the_published_cases() {
        let vectors: Value = serde_json::from_str(OURS).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let mut flat = case["spake2plus"].clone();
            for (group, name) in
                [("stretch", "w0"), ("stretch", "w1"), ("stretch", "L"), ("random", "x"), ("random", "y")]
            {
                flat[name] = case[group][name].clone();
            }
            for (message, name) in [("begin", "share_p"), ("begin_answer", "share_v")] {
                let point = crate::encoding::from_base64url(case[message][name].as_str().unwrap()).unwrap();
                flat[name] = base16ct::lower::encode_string(&point).into();
            }
            let [prover, verifier] =
                ["invitation", "public_url"].map(|name| case["given"][name].as_str().unwrap());
            let context = hex(&flat["Context"]);
            let ids = Ids { context: &context, prover: prover.as_bytes(), verifier: verifier.as_bytes() };
            reproduce(&flat, &ids);

            let code = case["given"]["code"].as_str().unwrap().replace('-', "");
            let salt = hex(&case["stretch"]["salt"]).try_into().unwrap();
            let stretched = Registration::stretch(code.as_bytes(), ids.prover, ids.verifier, &salt);
            let wide = Secret::copy_of(&hex(&case["stretch"]["w0s_w1s"])).unwrap();
            for registration in [stretched, Registration::from_wide(&wide)] {
                assert_eq!(registration.w0.expose().as_slice(), hex(&flat["w0"]));
                assert_eq!(registration.w1.expose().as_slice(), hex(&flat["w1"]));
            }
        }
    }

    #[test]
    fn forty_octets_are_reduced_exactly() {
        let vectors: Value = serde_json::from_str(OURS).unwrap();
        for row in vectors["reduce"].as_array().unwrap() {
            assert_eq!(
                secret(&reduce(&hex(&row["wide"]))).expose().as_slice(),
                hex(&row["reduced"]),
                "{row}"
            );
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        let vectors: Value = serde_json::from_str(OURS).unwrap();
        let rows = vectors["bad_shares"].as_array().unwrap();
        assert_eq!(rows.len(), 15);
        for row in rows {
            assert_eq!(Share::parse(&hex(&row["share"])), Err(BadShare), "{}", row["why"]);
        }
    }

    #[test]
    fn a_share_that_cancels_the_mask_is_refused() {
        let w = Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(7));
        let registration = Registration::from_wide(&w);
        let ids = Ids { context: b"", prover: b"", verifier: b"" };
        let mask = |base| Share::of(&constant(base).point().mul(&*scalar(&registration.w0))).unwrap();
        let verifier = registration.verifier();
        let mut rng = Script::of([vec![1; 32], vec![2; 32]]);
        assert_eq!(verifier.answer(&ids, &mask(M), &mut rng).unwrap_err(), BadShare);
        let mask_n = mask(N);
        let prover = Prover::start(registration, &mut rng);
        assert_eq!(prover.keys(&ids, &mask_n).unwrap_err(), BadShare);
    }

    #[test]
    fn a_draw_of_zero_or_beyond_the_order_is_drawn_again() {
        let order = [0xffu8; 32];
        let drawn = random(&mut Script::of([vec![0; 32], order.to_vec(), vec![3; 32]]));
        assert_eq!(secret(&drawn).expose(), &[3; 32]);
    }

    #[test]
    fn a_verifier_reads_back_or_is_refused() {
        let w = Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(7));
        let verifier = Registration::from_wide(&w).verifier();
        let record = verifier.secret().expose();
        let copy = Verifier::from_secret(Secret::copy_of(record).unwrap()).unwrap();
        assert_eq!(copy.secret().expose(), record);
        for (at, value) in [(0..32, 0xff), (32..33, 0x02), (33..97, 0x00)] {
            let mut altered = *record;
            altered[at].fill(value);
            assert_eq!(Verifier::from_secret(Secret::copy_of(&altered).unwrap()).unwrap_err(), BadShare);
        }
    }

    #[test]
    fn the_states_are_mute() {
        let w = Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(7));
        let registration = Registration::from_wide(&w);
        let verifier = registration.verifier();
        let prover = Prover::start(registration, &mut Script::of([vec![0x5a; 32]]));
        let text = format!("{verifier:?} {prover:?}");
        assert!(text.contains("Secret<32>") && text.contains("Secret<97>"));
        assert!(!text.contains("5a5a") && !text.contains("90, 90") && !text.contains("Scalar"));
    }
}
