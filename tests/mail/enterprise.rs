//! The enterprise's end: a gateway in front of Dovecot, TLS between them.

use sidekey_gateway::{Config, Running};
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::others::authority::Authority;
use tempfile::TempDir;

/// A gateway, until it is dropped.
pub(crate) struct Gateway {
    running: Running,
    _folder: TempDir,
}

impl Gateway {
    /// One listener, for the enterprise's own.
    pub(crate) fn trusted(server: &Dovecot, authority: &Authority) -> Self {
        Self::start(server, authority, "trusted = true\nnetworks = ['127.0.0.0/8']\n")
    }

    fn start(server: &Dovecot, authority: &Authority, listener: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let path = folder.path().join("gateway.toml");
        let config = format!(
            "[upstream]\naddress = '127.0.0.1:{}'\nname = 'localhost'\nca_file = 'ca.pem'\n\
             [listeners.door]\nlisten = '127.0.0.1:0'\ntls = 'none'\n{listener}",
            server.tls_port,
        );
        std::fs::write(&path, config).unwrap();
        let running = sidekey_gateway::start(Config::read(&path).unwrap(), std::future::pending()).unwrap();
        Self { running, _folder: folder }
    }

    /// Where its listener is.
    pub(crate) fn port(&self) -> u16 {
        self.running.address("door").unwrap().port()
    }
}
