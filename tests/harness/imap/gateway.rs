//! The gateway, in this process, in front of Dovecot.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_client::Server;
use sidekey_gateway::{Config, Identity, Running};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::dovecot::{Dovecot, MASTER, MASTER_PASSWORD};
use crate::others::authority::Authority;
use crate::{Hands, Office, metrics};

/// A gateway, until it is dropped.
#[derive(Debug)]
pub struct Gateway {
    running: Running,
    stop: oneshot::Sender<()>,
    _folder: TempDir,
}

/// Who may reach a listener on this machine.
const IN_THE_CLEAR: &str = "tls = 'none'\n";
/// The domain of those whose accounts in Dovecot have none.
const DOMAIN: &str = "example.org";

impl Gateway {
    /// Listens, for those whom it trusts alone, as `office`.
    #[must_use]
    pub fn trusting(server: &Dovecot) -> Self {
        let office = format!("{IN_THE_CLEAR}trusted = true\nnetworks = ['127.0.0.0/8']\n");
        Self::start(server.port, None, &[("office", &office)])
    }

    /// Listens, for an operator's proxy, as `strict` and `change`, under those profiles, and as `unsealed`.
    #[must_use]
    pub fn sealing(server: &Dovecot, office: &Office) -> Self {
        Self::sealing_for(server.port, office)
    }

    /// The same, by way of this port.
    #[must_use]
    pub fn sealing_for(server: u16, office: &Office) -> Self {
        let change = format!("{IN_THE_CLEAR}profile = 'mailbox=allow'\n");
        let unsealed = format!("{change}sealing = 'off'\n");
        let listeners = [("strict", IN_THE_CLEAR), ("change", &change), ("unsealed", &unsealed)];
        let paired = (office.mail.server.clone(), office.system.clock.clone());
        Self::start(server, Some(paired), &listeners)
    }

    /// In front of a mail server at this port: listens over TLS as `strict` and `change`, with this authority's
    /// certificate, and in the clear as `typed`, which is strict too.
    #[must_use]
    pub fn sealing_tls(server: u16, office: &Office, authority: &Authority) -> Self {
        let (certificate, key) = (authority.certificate(), authority.key());
        let strict =
            format!("certificate_file = '{}'\nkey_file = '{}'\n", certificate.display(), key.display());
        let change = format!("{strict}profile = 'mailbox=allow'\n");
        let listeners = [("strict", strict.as_str()), ("change", &change), ("typed", IN_THE_CLEAR)];
        let paired = (office.mail.server.clone(), office.system.clock.clone());
        Self::start(server, Some(paired), &listeners)
    }

    /// With these listeners, each on a free port.
    fn start(server: u16, paired: Option<(Server, Hands)>, listeners: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        secret(&folder.path().join("master"), MASTER_PASSWORD);
        let listener =
            |(name, options): &(&str, &str)| format!("[listeners.{name}]\nlisten = '127.0.0.1:0'\n{options}");
        let listeners: String = listeners.iter().map(listener).collect();
        let text = format!(
            "[upstream]\naddress = '127.0.0.1:{server}'\ntls = 'none'\nstrip_domain = '{DOMAIN}'\n\
             [upstream.master]\nuser = '{MASTER}'\npassword_file = 'master'\n{listeners}\
             [operations]\nlisten = '127.0.0.1:0'\n[limits]\nlogin_s = 20\n",
        );
        let path = folder.path().join("gateway.toml");
        fs::write(&path, &text).unwrap();
        let config = Config::read(&path).unwrap_or_else(|bad| panic!("{bad:?}: {text}"));
        let identity = paired.map(|(server, clock)| Identity { server, clock: Arc::new(clock), rng: source });
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Dropped with the test: stopped all the same.
            let _ = stopped.await;
        };
        let running = sidekey_gateway::start(config, identity, shutdown).unwrap();
        Self { running, stop, _folder: folder }
    }

    /// Where a listener is.
    #[must_use]
    pub fn port(&self, listener: &str) -> u16 {
        self.running.address(listener).as_ref().map(SocketAddr::port).unwrap()
    }

    /// What `/metrics` tells, as it stands.
    pub async fn metrics(&self) -> String {
        metrics::told_at(self.running.operations().unwrap()).await
    }

    /// Stops it, and waits for that.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.finished().await;
    }
}

/// The same in every run, another one for each connection.
fn source() -> Box<dyn rand_core::CryptoRng + Send> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Box::new(ChaCha20Rng::seed_from_u64(NEXT.fetch_add(1, Ordering::SeqCst)))
}

fn secret(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
