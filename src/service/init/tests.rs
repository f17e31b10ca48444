//! A data folder is made once, and completed where a crash left it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_protocol::ids::Timestamp;

use super::*;
use crate::clock::TestClock;

async fn made(data: &Path, seed: u64) -> Report {
    let clock = Arc::new(TestClock::at(Timestamp(1_800_000_000)));
    init(data, &Options::default(), clock, ChaCha20Rng::seed_from_u64(seed)).await.unwrap()
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    report.items.iter().map(|item| (item.path.file_name().unwrap().to_str().unwrap(), item.outcome)).collect()
}

fn content(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    [ADMIN, CA, CA_KEY, CONFIG, ROOT_KEY, TLS, TLS_KEY]
        .map(|name| data.join(name))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .to_vec()
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = made(&data, 1).await;
    assert!(first.items.iter().all(|item| item.outcome == Outcome::Made), "{first:?}");
    let before = content(&data);
    let second = made(&data, 2).await;
    assert!(second.items.iter().all(|item| item.outcome == Outcome::There), "{second:?}");
    assert_eq!(content(&data), before);
    let config = Config::read(&data.join(CONFIG)).unwrap();
    assert_eq!(config, Config { data: data.join("."), ..Config::default() });
}

#[tokio::test]
async fn keys_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    made(&data, 1).await;
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data.clone()), 0o700);
    for name in [ADMIN, CA_KEY, ROOT_KEY, TLS_KEY] {
        assert_eq!(mode(data.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_a_crash_left_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    made(&data, 1).await;
    // The certificates were not written yet, nor was the configuration; the credential had not taken its place.
    for name in [CA, TLS, CONFIG] {
        std::fs::remove_file(data.join(name)).unwrap();
    }
    std::fs::rename(data.join(ADMIN), data.join(ADMIN_PENDING)).unwrap();
    let again = made(&data, 2).await;
    let new: Vec<_> = outcomes(&again).into_iter().filter(|(_, outcome)| *outcome == Outcome::Made).collect();
    assert_eq!(new.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [CA, TLS, ADMIN, CONFIG]);
    assert!(!data.join(ADMIN_PENDING).exists());
}

#[tokio::test]
async fn a_credential_of_a_store_that_never_was_is_made_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join(ADMIN_PENDING), "of no store").unwrap();
    made(&data, 1).await;
    assert!(serde_json::from_slice::<serde_json::Value>(&std::fs::read(data.join(ADMIN)).unwrap()).is_ok());
}

#[tokio::test]
async fn what_was_taken_elsewhere_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    made(&data, 1).await;
    for name in [ADMIN, CA_KEY] {
        std::fs::remove_file(data.join(name)).unwrap();
    }
    let again = made(&data, 2).await;
    let elsewhere: Vec<_> =
        outcomes(&again).into_iter().filter(|(_, outcome)| *outcome == Outcome::Elsewhere).collect();
    assert_eq!(elsewhere, [(CA_KEY, Outcome::Elsewhere), (ADMIN, Outcome::Elsewhere)]);
    assert!(!data.join(ADMIN).exists());
}

#[tokio::test]
async fn a_certificate_without_its_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    made(&data, 1).await;
    std::fs::remove_file(data.join(TLS_KEY)).unwrap();
    let clock = Arc::new(TestClock::at(Timestamp(1_800_000_000)));
    let broken = init(&data, &Options::default(), clock, ChaCha20Rng::seed_from_u64(2)).await.unwrap_err();
    assert!(matches!(&broken, InitFault::Broken { missing, .. } if *missing == data.join(TLS_KEY)));
    assert!(broken.to_string().contains("tls.key is gone"), "{broken}");
}
