//! An enterprise of the built binary: a key service, and gateways in front of a mail server.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use sidekey_tests::imap::dovecot::{MASTER, MASTER_PASSWORD};
use sidekey_tests::others::authority::Authority;

use crate::binary::{Serving, Sidekey};

/// Whose mail it is.
pub(crate) const ANN: &str = "ann@example.org";

/// A key service with a mail server and Ann's phone, both paired.
pub(crate) struct Office {
    sidekey: Sidekey,
    /// What her operator's proxy logs in with.
    pub(crate) credential: String,
    _serving: Serving,
}

/// One that runs.
pub(crate) struct Gateway {
    serving: Serving,
}

impl Office {
    pub(crate) fn open() -> Self {
        let sidekey = Sidekey::new();
        let port = sidekey.init();
        let serving = sidekey.serve(port);
        sidekey.pair("server add mail.example.org", "mail");
        sidekey.pair(&format!("client invite {ANN} --server mail.example.org"), "phone");
        let issued = sidekey.json(&format!("credential issue {ANN} --for operator"));
        let credential = issued["secret"].as_str().unwrap().to_owned();
        Self { sidekey, credential, _serving: serving }
    }

    /// In front of whoever is at this port, with that authority's certificate on both sides, or with no TLS on either.
    /// Listens as `sealed` and `unsealed`.
    pub(crate) fn gateway(&self, upstream: u16, authority: Option<&Authority>) -> Gateway {
        let secret = |name: &str, content: &[u8]| {
            let path = self.sidekey.path(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        };
        secret("master", MASTER_PASSWORD.as_bytes());
        let (there, here) = match authority {
            None => ("tls = 'none'", "tls = 'none'"),
            Some(authority) => {
                secret("tls.key", &fs::read(authority.key()).unwrap());
                fs::copy(authority.certificate(), self.sidekey.path("tls.pem")).unwrap();
                fs::write(self.sidekey.path("ca.pem"), authority.pem()).unwrap();
                (
                    "name = 'localhost'\nca_file = 'ca.pem'",
                    "certificate_file = 'tls.pem'\nkey_file = 'tls.key'",
                )
            }
        };
        let name = format!("{upstream}.toml");
        let config = format!(
            "[upstream]\naddress = '127.0.0.1:{upstream}'\nstrip_domain = 'example.org'\n{there}\n\
             [upstream.master]\nuser = '{MASTER}'\npassword_file = 'master'\n\
             [listeners.sealed]\nlisten = '127.0.0.1:0'\n{here}\n\
             [listeners.unsealed]\nlisten = '127.0.0.1:0'\nsealing = 'off'\n{here}\n\
             [limits]\nconnections_per_address = 10000\n",
        );
        fs::write(self.sidekey.path(&name), config).unwrap();
        let line = format!("gateway --config {name} --profile mail");
        Gateway { serving: Serving::start(&mut self.sidekey.command(&line)) }
    }
}

impl Gateway {
    /// Where a listener is.
    pub(crate) fn at(&self, listener: &str) -> SocketAddr {
        let (_, rest) = self.serving.ready.split_once(&format!(" {listener} on ")).unwrap();
        rest.split([',', ';']).next().unwrap().parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.serving.pid()
    }

    /// What the system says of its memory, in KiB.
    pub(crate) fn memory(&self, what: &str) -> u64 {
        self.serving.memory(what)
    }
}
