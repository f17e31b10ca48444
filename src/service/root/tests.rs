//! Every source, and every step of a rotation.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_protocol::ids::Timestamp;

use super::*;
use crate::clock::TestClock;
use crate::init::{Options, init};
use crate::store::Store;

struct Folder {
    config: Config,
    rng: ChaCha20Rng,
    folder: tempfile::TempDir,
}

impl Folder {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let rng = ChaCha20Rng::seed_from_u64(7);
        init(&data, &Options::default(), clock(), ChaCha20Rng::seed_from_u64(6)).await.unwrap();
        Self { config: Config::read(&data.join("sidekey.toml")).unwrap(), rng, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        files::write(&path, content.as_bytes(), 0o600).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn rotate(&mut self, fresh: &Fresh) -> Result<Rotated, BadRootKey> {
        rotate(&self.config, None, fresh, &mut self.rng)
    }

    /// As the service starts.
    fn opens(&self) -> Result<(), BadRootKey> {
        let root = read(&self.config, None)?;
        let rng = Box::new(ChaCha20Rng::seed_from_u64(8));
        Ok(Store::open(&self.config.data, root, clock(), rng).map(drop)?)
    }
}

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp(1_800_000_000)))
}

#[tokio::test]
async fn a_wrong_key_says_where_it_came_from_and_which_was_expected() {
    let mut folder = Folder::new().await;
    let key = line(&Secret::random(&mut folder.rng));
    let other = folder.write("other.key", &key, 0o600);
    let expected = status(&folder.config, None).unwrap().offered.unwrap().to_string();
    folder.config.root_key = RootKey::File(other.clone());
    let said = folder.opens().unwrap_err().to_string();
    assert!(said.contains(&expected) && said.contains(other.to_str().unwrap()), "{said}");
    assert!(!said.contains('\n'), "{said}");
}

#[tokio::test]
async fn a_source_that_gives_nothing_says_which_it_is() {
    let mut folder = Folder::new().await;
    let short = folder.write("short", "too short\n", 0o600);
    let garbage = folder.write("garbage", "not base64url\n", 0o600);
    let exposed = folder.write("exposed", "correct horse battery\n", 0o604);
    for (source, word) in [
        (RootKey::File("nowhere".into()), "nowhere"),
        (RootKey::File(garbage.clone()), "base64url"),
        (RootKey::Env("SIDEKEY_TEST_UNSET".into()), "SIDEKEY_TEST_UNSET"),
        (RootKey::Credential("root.key".into()), "LoadCredential=root.key"),
        (RootKey::PassphraseFile(short), "12 to 1024"),
        (RootKey::PassphraseFile(exposed), "chmod 600"),
        (RootKey::PassphraseFd(987), "/proc/self/fd/987"),
        (RootKey::PassphrasePrompt, "typed"),
    ] {
        folder.config.root_key = source.clone();
        let said = folder.opens().unwrap_err().to_string();
        assert!(said.contains(word), "{source}: {said}");
    }
}

#[tokio::test]
async fn a_rotation_in_place_makes_the_old_key_useless() {
    let mut folder = Folder::new().await;
    let old = std::fs::read_to_string(folder.config.data.join("root.key")).unwrap();
    let rotated = folder.rotate(&Fresh::InPlace).unwrap();
    assert_eq!((rotated.stage, rotated.resumed), (Stage::Forgotten, false));
    folder.opens().unwrap();
    assert_eq!(status(&folder.config, None).unwrap().expected, [(rotated.id, false)]);
    folder.config.root_key = RootKey::File(folder.write("old.key", &old, 0o600));
    assert!(matches!(folder.opens(), Err(BadRootKey::Wrong { .. })));
}

/// What a crash leaves after each step opens, and a second run finishes.
#[tokio::test]
async fn a_rotation_that_was_cut_short_goes_on() {
    for steps in 0..3 {
        let mut folder = Folder::new().await;
        let data = folder.config.data.clone();
        let (path, beside) = (data.join("root.key"), data.join("root.key.next"));
        let root = read(&folder.config, None).unwrap();
        let (next, _) = made_or_read(&beside, &mut folder.rng).unwrap();
        if steps > 0 {
            admit(&mut SealKeys::read(&data).unwrap(), &data, &root, &next, None).unwrap();
        }
        if steps > 1 {
            files::rename(&beside, &path).unwrap();
        }
        let rotated = folder.rotate(&Fresh::InPlace).unwrap();
        assert_eq!(
            rotated,
            Rotated { id: KeyId::of(&next), stage: Stage::Forgotten, resumed: true },
            "{steps}"
        );
        folder.opens().unwrap();
        assert!(!beside.exists());
    }
}

#[tokio::test]
async fn while_a_rotation_waits_either_key_starts_the_service_and_the_new_one_ends_the_old() {
    let mut folder = Folder::new().await;
    let passphrase = folder.write("passphrase", "correct horse battery staple\n", 0o600);
    let fresh = Fresh::PassphraseFile(passphrase.clone());
    let first = folder.rotate(&fresh).unwrap();
    assert_eq!((first.stage, first.resumed), (Stage::Admitted, false));
    let again = folder.rotate(&fresh).unwrap();
    assert_eq!(again, Rotated { resumed: true, ..first });
    folder.opens().unwrap();
    let old = folder.config.root_key.clone();
    folder.config.root_key = RootKey::PassphraseFile(passphrase);
    folder.opens().unwrap();
    assert_eq!(status(&folder.config, None).unwrap().expected, [(first.id, true)]);
    folder.config.root_key = old;
    assert!(matches!(folder.opens(), Err(BadRootKey::Wrong { .. })));
}

#[tokio::test]
async fn another_place_for_the_key_is_asked_for_where_it_cannot_be_replaced() {
    let mut folder = Folder::new().await;
    let path = folder.path("elsewhere.key");
    folder.rotate(&Fresh::File(path.clone())).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    folder.config.root_key = RootKey::File(path.clone());
    folder.opens().unwrap();
    assert!(matches!(folder.rotate(&Fresh::File(path)), Err(BadRootKey::Same)));
    folder.config.root_key = RootKey::PassphraseFile("x".into());
    let exposed = folder.write("data/x", "a passphrase of some length", 0o644);
    assert!(matches!(folder.rotate(&Fresh::InPlace), Err(BadRootKey::File(BadFile::Exposed { .. }))));
    drop(exposed);
}

#[tokio::test]
async fn nobody_rotates_under_a_running_service() {
    let mut folder = Folder::new().await;
    let root = read(&folder.config, None).unwrap();
    let rng = Box::new(ChaCha20Rng::seed_from_u64(8));
    let _store = Store::open(&folder.config.data, root, clock(), rng).unwrap();
    let refused = folder.rotate(&Fresh::InPlace);
    assert!(matches!(refused, Err(BadRootKey::Store(Fault::Locked { pid: Some(_) }))), "{refused:?}");
}
