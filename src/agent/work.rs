//! One agent at work: what its connections share, and what a session can only have from outside.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_core::CryptoRng;
use sidekey_client::protocol::ids::{SessionId, Timestamp};
use sidekey_client::{Client, SessionKey};
use sidekey_imap::command::Password;
use tokio::sync::watch;

use crate::alert::Alert;
use crate::config::{self, Config};
use crate::keys::{self, NoKey};
use crate::numbers::Numbers;
use crate::password::{Attempts, Hash};
use crate::session::{Failing, Keys, Settings, Unavailable, Wish};
use crate::state::Folder;
use crate::tally::Tally;
use crate::tls::BadTls;
use crate::upstream::{Upstream, Way};

/// Gives each session randomness of its own.
pub type Randomness = Arc<dyn Fn() -> Box<dyn CryptoRng + Send> + Send + Sync>;

/// What the connections of an agent share.
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) way: Way,
    pub(crate) folder: Folder,
    pub(crate) attempts: Attempts,
    pub(crate) tally: Tally,
    pub(crate) randomness: Randomness,
    settings: Settings,
    keys: keys::Keys,
    numbers: Numbers,
    stopping: watch::Sender<bool>,
    connections: AtomicU64,
    live: AtomicU64,
}

/// One connection of a mail program.
pub(crate) struct Connection {
    pub(crate) agent: Arc<Agent>,
    /// Counts from 1, for the log.
    pub(crate) number: u64,
}

/// What a session wished for.
pub(crate) enum Answer {
    Key(Result<Arc<dyn Keys>, Unavailable>),
    Numbers(Result<NonZeroU64, Unavailable>),
    Deletion(bool),
    Again(Option<Upstream>),
}

impl Agent {
    /// Of this pairing, as configured; `folder` is where what it keeps of `numbers` lies, and the password's hash.
    ///
    /// # Errors
    /// The certificate authorities that the configuration names are none.
    pub fn new(
        config: Config,
        folder: Folder,
        numbers: Numbers,
        client: Client,
        randomness: Randomness,
    ) -> Result<Self, BadTls> {
        let mut settings = Settings::new(client.pairing());
        settings.failing = match config.failing {
            config::Failing::Omit => Failing::Omit,
            config::Failing::Stub => Failing::Stub,
        };
        settings.deletions_max = config.deletions_max;
        settings.octets = config.proxy.octets;
        Ok(Self {
            way: Way::new(&config.proxy, config.limits.proxy_s)?,
            config,
            folder,
            attempts: Attempts::default(),
            tally: Tally::default(),
            randomness,
            settings,
            keys: keys::Keys::of(client),
            numbers,
            stopping: watch::Sender::new(false),
            connections: AtomicU64::new(0),
            live: AtomicU64::new(0),
        })
    }

    /// What was noticed so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether this is the password that mail programs have here. Looked up each time: there may be a new one.
    pub(crate) async fn admits(&self, password: &Password) -> bool {
        let folder = self.folder.clone();
        let kept = tokio::task::spawn_blocking(move || folder.read(PASSWORD)).await;
        let hash = match kept {
            Ok(Ok(Some(kept))) => Hash::read(&kept),
            _ => None,
        };
        if hash.is_none() {
            tracing::error!(file = PASSWORD, "the hash of the password cannot be read");
        }
        hash.is_some_and(|hash| hash.holds(password.expose()))
    }

    /// Connections that are open.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Resolves, with the reason, when the pairing is over.
    pub(crate) async fn over(&self) -> Arc<str> {
        self.keys.over().await
    }

    /// Tells every connection that the agent stops.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }
}

impl Connection {
    pub(crate) fn begin(agent: Arc<Agent>) -> Self {
        let number = agent.connections.fetch_add(1, Ordering::Relaxed) + 1;
        agent.live.fetch_add(1, Ordering::Relaxed);
        Self { agent, number }
    }

    /// What a session can only have from outside.
    pub(crate) async fn grant(&self, wish: Wish) -> Answer {
        let agent = &self.agent;
        match wish {
            Wish::Key { session, generation } => {
                Answer::Key(shared(agent.keys.named(session, generation).await))
            }
            Wish::Current { near } => Answer::Key(shared(agent.keys.newest(near).await)),
            Wish::Numbers { session, generation, count } => {
                Answer::Numbers(self.numbers(session, generation, count).await)
            }
            Wish::Deletion { messages } => {
                let patience = Duration::from_secs(agent.config.limits.confirm_s.into());
                Answer::Deletion(agent.tally.hold(self.number, messages, patience).await)
            }
            Wish::Again => Answer::Again(self.connect_again().await),
        }
    }

    /// Another connection in place of one that broke, perhaps because the network did.
    async fn connect_again(&self) -> Option<Upstream> {
        tracing::info!(connection = self.number, "connects again: a message was sent, and not answered");
        for pause_s in PAUSES_S {
            tokio::time::sleep(Duration::from_secs(pause_s)).await;
            match self.agent.way.connect().await {
                Ok(upstream) => return Some(upstream),
                Err(why) => {
                    let error = &why as &(dyn std::error::Error + 'static);
                    tracing::warn!(connection = self.number, error, "no way to the mail server");
                }
            }
        }
        None
    }

    async fn numbers(
        &self,
        session: SessionId,
        generation: u32,
        count: NonZeroU64,
    ) -> Result<NonZeroU64, Unavailable> {
        let taken = self.agent.numbers.take(session, generation, count, self.now()).await;
        taken.map_err(|error| {
            tracing::error!(connection = self.number, %error, "numbers cannot be kept: nothing is sent");
            Unavailable::Unreachable
        })
    }

    pub(crate) fn raise(&self, alert: &Alert) {
        self.agent.tally.raise(self.number, alert);
    }

    /// As the key service has it.
    pub(crate) fn now(&self) -> Timestamp {
        self.agent.keys.client().transport().now()
    }

    /// Resolves, with the reason, when the pairing is over.
    pub(crate) fn over(&self) -> impl Future<Output = Arc<str>> + Send + '_ {
        self.agent.over()
    }

    /// Counts what is heard of the key service.
    pub(crate) fn events(&self) -> watch::Receiver<u64> {
        self.agent.keys.events()
    }

    /// Resolves when the agent stops.
    pub(crate) async fn stopping(&self) {
        // Whoever tells lives as long as we do.
        let _ = self.agent.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.agent.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Before each time that another connection is tried for.
const PAUSES_S: [u64; 3] = [0, 1, 4];
/// The file of the hash of the password for mail programs.
pub const PASSWORD: &str = "password.hash";

fn shared(key: Result<Arc<SessionKey>, NoKey>) -> Result<Arc<dyn Keys>, Unavailable> {
    match key {
        Ok(key) => Ok(key),
        Err(NoKey::Unknown) => Err(Unavailable::Unknown),
        Err(NoKey::Unreachable) => Err(Unavailable::Unreachable),
        Err(NoKey::Refused(distrust)) => Err(Unavailable::Refused(distrust)),
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.keys).finish()
    }
}
