//! proto/pairing/credential.json, which another implementation made, and what no vector can show.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::vectors::{array, cases, load, octets, text};

#[test]
fn a_digest_is_of_its_key_server_user_and_symbols() {
    let vectors = load(include_str!("../../../../proto/pairing/credential.json"));
    for case in cases(&vectors, "digests") {
        let key = Secret::copy_of(&octets(&case["key"])).unwrap();
        let secret: CredentialSecret = text(&case["secret"]).parse().unwrap();
        assert_eq!(secret.expose(), text(&case["symbols"]).as_bytes(), "{case}");
        let (server, user) = (text(&case["server"]).parse().unwrap(), text(&case["user"]).parse().unwrap());
        assert_eq!(*secret.digest(&key, &server, &user).as_bytes(), array(&case["digest"]), "{case}");
    }
}

#[test]
fn a_secret_is_read_as_people_type_it_and_as_nothing_else() {
    let vectors = load(include_str!("../../../../proto/pairing/credential.json"));
    for case in cases(&vectors, "typed") {
        let read = CredentialSecret::from_typed(&octets(&case["octets"]));
        let symbols = read.as_ref().ok().map(|secret| std::str::from_utf8(secret.expose()).unwrap());
        assert_eq!(symbols, case["symbols"].as_str(), "{case}");
    }
}

#[test]
fn a_printed_secret_reads_back_and_uses_every_symbol() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let secret = CredentialSecret::random(&mut rng);
        let printed = secret.expose_printed();
        assert_eq!((printed.len(), printed.matches('-').count()), (24, 4));
        assert_eq!(printed.parse::<CredentialSecret>().unwrap().expose(), secret.expose());
        seen.extend(*secret.expose());
    }
    assert_eq!(seen.len(), 32);
}

#[test]
fn a_secret_and_what_is_kept_of_it_are_mute() {
    let secret: CredentialSecret = "4QZ7-K2MD-9XWA-R5TB-0H3N".parse().unwrap();
    let digest = secret.digest(&Secret::fill_with(|key| key.fill(7)), &name("mail"), &name("ann"));
    assert_eq!(format!("{secret:?} {digest:?}"), "CredentialSecret(Secret<20>) CredentialDigest");
}

#[test]
fn what_is_shown_is_found_wherever_it_stands_and_nothing_else_is() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let key = Secret::random(&mut rng);
    let mut digest = || CredentialSecret::random(&mut rng).digest(&key, &name("mail"), &name("ann"));
    let kept: Vec<_> = std::iter::repeat_with(&mut digest).take(5).collect();
    for (n, shown) in kept.iter().enumerate() {
        assert_eq!(find(shown, kept.iter().enumerate()), Some(n));
    }
    assert_eq!(find(&digest(), kept.iter().enumerate()), None);
    assert_eq!(find(&kept[0], std::iter::empty::<(usize, _)>()), None);
}

#[test]
fn a_user_has_no_two_of_one_label_and_not_more_than_are_allowed() {
    let labels: Vec<String> = (0..LIVE_MAX).map(|n| format!("proxy {n}")).collect();
    let labels = || labels.iter().map(String::as_str);
    assert_eq!(admits(labels().take(LIVE_MAX - 1), "another"), Ok(()));
    assert_eq!(admits(labels(), "another"), Err(Reject::Limit));
    assert_eq!(admits(labels().take(3), "proxy 2"), Err(Reject::LabelTaken));
}

#[test]
fn a_credential_lasts_as_long_as_was_said_or_until_it_is_revoked() {
    let now = Timestamp(1_800_000_000);
    assert_eq!(expires(None, now), Ok(None));
    assert_eq!(expires(Some(60), now), Ok(Some(Timestamp(1_800_000_060))));
    for ttl_s in [0, 59, 315_360_001, u32::MAX] {
        assert_eq!(expires(Some(ttl_s), now), Err(Reject::TtlOutOfRange), "{ttl_s}");
    }
}

#[test]
fn a_day_is_all_that_is_told() {
    assert_eq!(day(Timestamp(86_400 * 20_000 + 86_399)), Timestamp(86_400 * 20_000));
    assert_eq!(day(Timestamp(86_400 * 20_000)), Timestamp(86_400 * 20_000));
}

fn name<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}
