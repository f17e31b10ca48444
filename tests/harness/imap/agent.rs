//! The agent, in this process, between a mail program and an operator's proxy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_agent::config::{Config, Listen};
use sidekey_agent::control::Control;
use sidekey_agent::listener::Listener;
use sidekey_agent::numbers::Numbers;
use sidekey_agent::password::{self, Hash};
use sidekey_agent::serve::serve;
use sidekey_agent::state::Folder;
use sidekey_agent::work::{Agent as Work, PASSWORD};
use tempfile::TempDir;

use super::Account;
use crate::others::authority::Authority;
use crate::{ANN, Office};

/// How a proxy on this machine is reached.
const IN_THE_CLEAR: &str = "host = '127.0.0.1'\ntls = 'none'\n";

/// Ann's, for her phone's pairing, until it is dropped.
#[derive(Debug)]
pub struct Agent {
    /// How her mail programs reach it.
    pub account: Account,
    work: Arc<Work>,
    _folder: TempDir,
}

impl Agent {
    /// Goes by the proxy at this port, with the proxy's credential.
    pub async fn start(office: &Office, proxy: u16, credential: &str) -> Self {
        Self::start_by(office, proxy, credential, IN_THE_CLEAR).await
    }

    /// The same, with mail asked for as octets.
    pub async fn start_for_octets(office: &Office, proxy: u16, credential: &str) -> Self {
        Self::start_by(office, proxy, credential, &format!("{IN_THE_CLEAR}octets = true\n")).await
    }

    /// The same over TLS, with a proxy whose certificate is this authority's.
    pub async fn start_tls(office: &Office, proxy: u16, credential: &str, authority: &Authority) -> Self {
        let way = format!("host = 'localhost'\nca_file = '{}'\n", authority.file().display());
        Self::start_by(office, proxy, credential, &way).await
    }

    /// The same, with mail asked for as octets.
    pub async fn start_tls_for_octets(
        office: &Office,
        proxy: u16,
        credential: &str,
        authority: &Authority,
    ) -> Self {
        let way = format!("host = 'localhost'\nca_file = '{}'\noctets = true\n", authority.file().display());
        Self::start_by(office, proxy, credential, &way).await
    }

    async fn start_by(office: &Office, proxy: u16, credential: &str, way: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path().join("agent")).unwrap();
        let mut rng = office.system.rng();
        let password = password::make(&mut rng).to_string();
        folder.replace(PASSWORD, &Hash::of(&password, &mut rng).expose()).unwrap();
        folder.replace("proxy.password", credential.as_bytes()).unwrap();
        let file = temporary.path().join("agent.toml");
        let text = format!(
            "listen = '127.0.0.1:0'\n[proxy]\nport = {proxy}\nuser = '{ANN}'\npassword_file = 'agent/proxy.password'\n{way}"
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).unwrap();
        let listener = Listener::bind(&config.listen, None).await.unwrap();
        let Ok(Listen::Address(at)) = listener.at() else { panic!("it listens at an address") };
        let control = Control::bind(&folder).unwrap();
        let numbers = Numbers::open(&folder).unwrap();
        let client = office.phone.keys.client(office.system.ambient()).await;
        let work = Arc::new(Work::new(config, folder, numbers, client, Arc::new(source)).unwrap());
        tokio::spawn(serve(Arc::clone(&work), listener, control, std::future::pending()));
        let account = Account { port: at.port(), user: ANN.to_owned(), password };
        Self { account, work, _folder: temporary }
    }

    /// What waits for her word, once something does.
    pub async fn held(&self) -> u64 {
        loop {
            if let Some(held) = self.work.tally().held().first() {
                return held.id;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Her word on it.
    pub fn say(&self, held: u64, confirmed: bool) {
        self.work.tally().say(held, confirmed).expect("it is held");
    }

    /// What it noticed so far, and how often.
    #[must_use]
    pub fn alerts(&self) -> BTreeMap<String, u64> {
        self.work.tally().alerts().into_iter().map(|(name, times)| (name.to_string(), times)).collect()
    }
}

/// The same in every run, another one for each connection.
fn source() -> Box<dyn rand_core::CryptoRng + Send> {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    Box::new(ChaCha20Rng::seed_from_u64(NEXT.fetch_add(1, Ordering::SeqCst)))
}
