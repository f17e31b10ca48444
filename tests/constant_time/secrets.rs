//! What our cryptography does with secrets.

use std::hint::black_box;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_protocol::crypto::spake2plus::{Ids, Keys, Prover, Registration, Verifier};
use sidekey_protocol::crypto::{
    Aead, EcdhSecret, KemSecret, Secret, SigningKey, TAG_SIZE, derive, encapsulate, equal, extract, labels,
    mac, unwrap, wrap,
};

use crate::gate::in_valgrind;
use crate::memcheck::{is_secret, known, leaks, secret};

fn key<const N: usize>(octet: u8) -> Secret<N> {
    Secret::fill_with(|octets| {
        octets.fill(octet);
        secret(octets);
    })
}

/// Randomness that is secret.
fn draws() -> ChaCha20Rng {
    ChaCha20Rng::from_seed(*key(1).expose())
}

/// Runs `act`, which must not leak.
fn keeps<T>(act: impl FnOnce() -> T) -> T {
    let (times, outcome) = leaks(act);
    assert_eq!(times, 0, "leaks, where valgrind says");
    outcome
}

/// Runs a check, which may branch on its outcome, once, and on nothing else. The outcome is public.
fn tells_its_outcome<T, E>(check: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let (times, outcome) = leaks(check);
    assert!(times <= 1, "leaks {times} times, where valgrind says");
    known(&outcome);
    outcome
}

/// What goes out for everybody to read. It was computed from secrets, and valgrind has followed them as far as here.
fn travels<T: ?Sized>(octets: &T) {
    assert!(is_secret(octets), "computed from no secret");
    known(octets);
}

/// Both sides have the same, and it is still a secret.
fn agree(ours: &Secret<32>, theirs: &Secret<32>) {
    assert!(is_secret(ours.expose()) && is_secret(theirs.expose()), "computed from no secret");
    assert!(tells_its_outcome(|| equal(ours.expose(), theirs.expose())).is_ok());
}

#[test]
fn a_comparison_tells_its_outcome_and_nothing_else() {
    in_valgrind(&[], || {
        let ours = key::<32>(7);
        let mut theirs = [7; 32];
        let compare = |theirs: &[u8]| {
            // Of lengths that the compiler does not know: it compares 32 octets in one step, whoever wrote what.
            tells_its_outcome(|| equal(black_box(&ours.expose()[..]), black_box(theirs)))
        };
        assert!(compare(&theirs).is_ok());
        for at in 0..32 {
            theirs[at] ^= 1;
            assert!(compare(&theirs).is_err());
            theirs[at] ^= 1;
        }
    });
}

#[test]
fn keys_and_tags_are_derived_without_a_look_at_them() {
    in_valgrind(&[], || {
        let ikm = key::<32>(7);
        let prk = keeps(|| extract(b"salt", &[ikm.expose(), ikm.expose()]));
        let okm = keeps(|| derive(&prk, labels::SESSION, &[b"field"]));
        travels(&keeps(|| mac(&okm, &[b"message", ikm.expose()])));
    });
}

#[test]
fn a_key_is_wrapped_and_unwrapped_without_a_look_at_it() {
    in_valgrind(&[], || {
        let kek = key::<32>(7);
        let wrapped = keeps(|| wrap(&kek, &key(8)));
        travels(&wrapped);
        let opened = tells_its_outcome(|| unwrap(&kek, &wrapped)).unwrap();
        travels(opened.expose());
        assert_eq!(opened.expose(), &[8; 32]);
        for at in 0..40 {
            let mut altered = wrapped;
            altered[at] ^= 1;
            assert!(tells_its_outcome(|| unwrap(&kek, &altered)).is_err());
        }
    });
}

#[test]
fn what_is_sealed_is_opened_without_a_look_at_it() {
    in_valgrind(&[], || {
        for algorithm in [Aead::aes_256_gcm, Aead::chacha20_poly1305] {
            let (aead, nonce) = (keeps(|| algorithm(&key(7))), [9; 12]);
            let (mut text, mut sealed) = ([8; 1000], [0; 1000 + TAG_SIZE]);
            secret(&mut text);
            keeps(|| aead.seal_into(nonce, &mut sealed, 0, &text));
            let tag = keeps(|| aead.seal(nonce, &[], &mut text));
            travels(&text);
            travels(&tag);
            travels(&sealed);
            assert_eq!(sealed[..], [&text[..], &tag].concat());
            let mut altered = sealed;
            altered[500] ^= 1;
            assert!(tells_its_outcome(|| aead.open_into(nonce, &sealed, &mut text)).is_ok());
            assert!(tells_its_outcome(|| aead.open_into(nonce, &altered, &mut text)).is_err());
            assert!(tells_its_outcome(|| aead.open(nonce, &[], &mut sealed)).is_ok());
            assert!(tells_its_outcome(|| aead.open(nonce, &[], &mut altered)).is_err());
        }
    });
}

#[test]
fn both_sides_of_an_ecdh_agree_without_a_look_at_their_secrets() {
    in_valgrind(
        &[
            (2, "a draw beyond the order is drawn again"),
            (2, "a draw of 0 is drawn again"),
            (2, "a point that travels has a tag"),
        ],
        || {
            let mut rng = draws();
            let (ours, theirs) = keeps(|| (EcdhSecret::generate(&mut rng), EcdhSecret::generate(&mut rng)));
            let points = keeps(|| [ours.point(), theirs.point()]);
            travels(&points);
            let (a, b) = keeps(|| (ours.agree(&points[1]).unwrap(), theirs.agree(&points[0]).unwrap()));
            agree(&a, &b);
        },
    );
}

#[test]
fn both_sides_of_spake2plus_agree_without_a_look_at_their_secrets() {
    in_valgrind(
        &[
            (2, "a draw of SPAKE2+ beyond the order is drawn again"),
            (2, "a draw of 0 for SPAKE2+ is drawn again"),
            (7, "a point is not the identity"),
            (2, "a record's w0 is below the order and its L is on the curve"),
            (1, "a record's L is still on the curve"),
        ],
        || {
            let mut rng = draws();
            let ids = Ids { context: b"context", prover: b"prover", verifier: b"verifier" };
            let registration = keeps(|| Registration::from_wide(&key(7)));
            let record = keeps(|| Secret::copy_of(registration.verifier().secret().expose()).unwrap());
            let verifier = keeps(|| Verifier::from_secret(record).unwrap());
            let prover = keeps(|| Prover::start(registration, &mut rng));
            travels(prover.share());
            let (share_v, of_verifier) = keeps(|| verifier.answer(&ids, prover.share(), &mut rng).unwrap());
            travels(&share_v);
            let of_prover = keeps(|| prover.keys(&ids, &share_v).unwrap());
            agree(of_prover.shared(), of_verifier.shared());
            confirm(&of_prover, &of_verifier);
        },
    );
}

fn confirm(of_prover: &Keys, of_verifier: &Keys) {
    let (confirm_p, confirm_v) = (*of_prover.confirm_p().expose(), *of_verifier.confirm_v().expose());
    travels(&confirm_p);
    travels(&confirm_v);
    assert!(tells_its_outcome(|| of_prover.verify_v(&confirm_v)).is_ok());
    assert!(tells_its_outcome(|| of_verifier.verify_p(&confirm_p)).is_ok());
    assert!(tells_its_outcome(|| of_verifier.verify_p(&confirm_v)).is_err());
}

#[test]
fn a_signature_is_made_without_a_look_at_its_key() {
    in_valgrind(
        &[
            (1, "a draw beyond the order is drawn again"),
            (1, "a draw of 0 is drawn again"),
            (1, "a nonce beyond the order is drawn again"),
            (1, "a nonce is below the order"),
            (1, "a nonce has an inverse"),
            (2, "half a signature is below the order"),
            (2, "half a signature is not 0"),
        ],
        || {
            let key = keeps(|| SigningKey::generate(&mut draws()));
            let signature = keeps(|| key.sign(b"statement"));
            // So does the key's public half.
            travels(&signature);
            let verifying = key.verifying_key();
            travels(&verifying);
            assert!(verifying.verify(b"statement", &signature).is_ok());
        },
    );
}

#[test]
fn ml_kem_makes_keys_and_opens_ciphertexts_without_a_look_at_them() {
    in_valgrind(&[(8_505, "the matrix of an encapsulation key is sampled")], || {
        let mut rng = draws();
        let ours = keeps(|| KemSecret::generate(&mut rng));
        let ek = keeps(|| ours.encapsulation_key());
        travels(&ek[..]);
        let (mut ciphertext, theirs) = keeps(|| encapsulate(&ek, &mut rng).unwrap());
        travels(&ciphertext[..]);
        let opened = keeps(|| ours.decapsulate(&ciphertext).unwrap());
        agree(&opened, &theirs);
        ciphertext[500] ^= 1;
        let rejected = keeps(|| ours.decapsulate(&ciphertext).unwrap());
        assert!(tells_its_outcome(|| equal(rejected.expose(), theirs.expose())).is_err());
    });
}
