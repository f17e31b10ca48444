//! The store on a real journal and a real sled, in a temporary folder.

mod approval;
mod audit;
mod base;
mod batch;
mod credential;
mod delivery;
mod engine;
mod fit;
mod indexes;
mod invitation;
mod journal;
mod keeper;
mod keys;
mod line;
mod listing;
mod measured;
mod meter;
mod misfit;
mod open;
mod over;
mod pages;
mod pairing;
mod policy;
mod rekey;
mod restart;
mod restore;
mod retention;
mod room;
mod session;
mod struck;
mod verbs;
mod verify;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_protocol::crypto::{Secret, SigningKey};
use sidekey_protocol::ids::{
    InvitationId, PartyId, Role, ServerName, ServiceId, SessionId, Timestamp, UserName,
};
use sidekey_protocol::pairing::Approval;
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::session::{Audience, Capabilities, SuiteList};
use zeroize::Zeroizing;

use super::engine::Rng;
use super::journal::Journal;
use super::{
    Error, Genesis, Idempotency, NewInvitation, NewPairing, NewSession, Refused, Store, Tended, Terms,
};
use crate::clock::TestClock;
use crate::fault::Fault;

const ADMIN: PartyId = PartyId::from_bytes([0xad; 16]);
const START: Timestamp = Timestamp(1_000_000);
const DAY_S: u32 = 86_400;
/// Small, so that tests meet the ends of segments.
const SEGMENT_SIZE: u64 = 64 << 10;

/// A data folder, and its store while it is open.
struct Data {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    store: Arc<Store>,
    fenced: Arc<AtomicBool>,
    rng: ChaCha20Rng,
    /// What the next invitation asks for.
    approval: Approval,
}

impl Data {
    fn new() -> Self {
        Self::on(scratch())
    }

    fn on(folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(TestClock::at(START));
        if !folder.path().join("journal").exists() {
            create(folder.path(), &clock, SEGMENT_SIZE);
        }
        let fenced = Arc::new(AtomicBool::new(false));
        let store = open(folder.path(), &clock, &fenced, |_| {}).unwrap();
        Self {
            folder,
            clock,
            store: Arc::new(store),
            fenced,
            rng: ChaCha20Rng::seed_from_u64(7),
            approval: Approval::None,
        }
    }

    /// With a server and, at it, `users` of one pairing each.
    async fn with_users(users: u8) -> Self {
        Self::with_users_on(scratch(), users).await
    }

    async fn with_users_on(folder: tempfile::TempDir, users: u8) -> Self {
        let mut data = Self::on(folder);
        data.store.add_server(ADMIN, server()).await.unwrap();
        data.pair(Role::Server, None).await;
        for n in 0..users {
            data.pair(Role::Client, Some(user(n))).await;
        }
        data
    }

    /// Closes and opens again.
    async fn reopen(&mut self) {
        self.store.close().await;
        self.swap(|_| {});
    }

    /// Opens again what a process left that did not close; `between` may do things to its files.
    fn swap(&mut self, between: impl FnOnce(&Path)) {
        self.try_swap(between).unwrap();
    }

    fn try_swap(&mut self, between: impl FnOnce(&Path)) -> Result<(), Fault> {
        // The lock goes with the last holder; a placeholder takes the store's place meanwhile.
        let other = scratch();
        create(other.path(), &self.clock, SEGMENT_SIZE);
        let placeholder = open(other.path(), &self.clock, &self.fenced, |_| {}).unwrap();
        drop(std::mem::replace(&mut self.store, Arc::new(placeholder)));
        between(self.folder.path());
        self.store = Arc::new(open(self.folder.path(), &self.clock, &self.fenced, |_| {})?);
        Ok(())
    }

    async fn invite(&mut self, role: Role, user: Option<UserName>) -> InvitationId {
        let new = self.invitation(role, user);
        self.store.invite(ADMIN, new).await.unwrap().id
    }

    fn invitation(&mut self, role: Role, user: Option<UserName>) -> NewInvitation {
        NewInvitation {
            id: InvitationId::random(&mut self.rng),
            role,
            server: server(),
            user,
            expires: self.store.now().after_s(900),
            verifier: Zeroizing::new(b"a verifier".to_vec()),
            approval: self.approval,
            deliver: None,
        }
    }

    fn pairing(&mut self) -> NewPairing {
        NewPairing {
            id: PartyId::random(&mut self.rng),
            key: SigningKey::generate(&mut self.rng).verifying_key(),
            label: "phone".into(),
            offer: Some(SuiteList::ours()),
            pinned: true,
            root: Secret::random(&mut self.rng),
            epoch_not_after: Timestamp(u32::MAX),
            finish: [1; 32],
            answer: b"an answer".as_slice().into(),
            th: [7; 32],
        }
    }

    async fn pair(&mut self, role: Role, user: Option<UserName>) -> PartyId {
        let invitation = self.invite(role, user).await;
        let new = self.pairing();
        self.store.confirm(invitation, new).await.unwrap().id
    }

    /// One more device of a user, which has one suite alone.
    async fn pair_with(&mut self, n: u8, suite: &str) -> Result<PartyId, Error> {
        let invitation = self.invite(Role::Client, Some(user(n))).await;
        let mut new = self.pairing();
        new.offer = Some(SuiteList::parse(&[suite]).unwrap());
        self.store.confirm(invitation, new).await.map(|party| party.id)
    }

    fn gateway(&self) -> PartyId {
        let filter =
            super::Filter { role: Some(Role::Server), state: Some(Standing::Active), ..Default::default() };
        self.store.pairings(EVERYTHING, &filter).items[0].id
    }

    /// A user's first device.
    fn phone(&self, n: u8) -> PartyId {
        self.store.live_pairings(&server(), &user(n))[0].id
    }

    async fn open(&self, user: UserName, key: u64) -> Result<super::Session, Error> {
        self.store.open_session(asked(self.gateway(), Audience::User(user), key)).await
    }

    /// The key of a session's generation, to a party that lives.
    fn key(&self, session: SessionId, generation: u32) -> Result<Secret<32>, Error> {
        Ok(self.store.session_key(ADMIN, session, Some(generation), |_, _| true)?.key)
    }

    /// What the state comes to, with everything swept that is over.
    fn dump(&self) -> std::collections::BTreeMap<Vec<u8>, Vec<u8>> {
        let now = self.store.now();
        let mut state = self.store.shared.write();
        state.carry(usize::MAX);
        state.sweep(usize::MAX, now);
        state.dump()
    }
}

/// A temporary folder, in memory where there is such a place: what a sync is worth is tested by cutting the power.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

const EVERYTHING: super::Page = super::Page { size: 1000, after: 0 };

fn asked(by: PartyId, audience: Audience, key: u64) -> NewSession {
    let mut idempotency = Idempotency { key: [0; 16], body: [9; 16] };
    idempotency.key[..8].copy_from_slice(&key.to_be_bytes());
    let capabilities = Capabilities::parse(&["A256GCM", "C20P"]).unwrap();
    NewSession { by, audience, ttl_s: Some(3600), capabilities, deliver: Vec::new(), idempotency }
}

fn server() -> ServerName {
    "mail.example.org".parse().unwrap()
}

/// Another, which a test may add.
fn elsewhere() -> ServerName {
    "other.example.org".parse().unwrap()
}

fn user(n: u8) -> UserName {
    format!("user{n}@example.org").parse().unwrap()
}

fn root_key() -> Secret<32> {
    Secret::fill_with(|octets| octets.fill(5))
}

fn rng() -> Rng {
    static SEED: Mutex<u64> = Mutex::new(0);
    let mut seed = SEED.lock().unwrap();
    *seed += 1;
    Box::new(ChaCha20Rng::seed_from_u64(*seed))
}

fn create(folder: &Path, clock: &Arc<TestClock>, segment_size: u64) {
    let mut keys = ChaCha20Rng::seed_from_u64(1);
    let genesis = Genesis {
        service: ServiceId::from_bytes([1; 16]),
        key: SigningKey::generate(&mut keys),
        public_url: "https://keys.example.org".into(),
        admin: ADMIN,
        admin_key: SigningKey::generate(&mut keys).verifying_key(),
        admin_label: "admin".into(),
        server: None,
    };
    Store::create_with(folder, &root_key(), genesis, &**clock, rng(), segment_size).unwrap();
}

fn open(
    folder: &Path,
    clock: &Arc<TestClock>,
    fenced: &Arc<AtomicBool>,
    adjust: impl FnOnce(&mut Journal),
) -> Result<Store, Fault> {
    let fenced = fenced.clone();
    let on_fence = Box::new(move |_: &Fault| fenced.store(true, Ordering::SeqCst));
    let terms = Terms { segment_size_bytes: SEGMENT_SIZE, on_fence, tended: Tended::ByItself };
    Store::open_with(folder, root_key(), clock.clone(), rng(), terms, adjust)
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Error>, expected: &Refused) {
    match result {
        Err(Error::Refused(refused)) => assert_eq!(refused, *expected),
        other => panic!("{other:?} instead of {expected:?}"),
    }
}
