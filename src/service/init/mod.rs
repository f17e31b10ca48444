//! Makes a data folder: keys, a local certificate, the store with its first administrator, the configuration.
//!
//! Everything appears whole or not at all, and in an order that a second run can go on from; what is there already is
//! left alone and reported.

pub(crate) mod certificate;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_core::CryptoRng;
use serde::Serialize;
use sidekey_protocol::crypto::{Secret, SigningKey};
use sidekey_protocol::encoding::base64url;
use sidekey_protocol::ids::{PartyId, ServerName, ServiceId};
use sidekey_protocol::pairing::{Pin, PublicUrl};
use zeroize::Zeroizing;

use crate::app::SharedRng;
use crate::clock::Clock;
use crate::config::{Config, Operations, SHIPPED};
use crate::fault::Fault;
use crate::files::{self, BadFile};
use crate::root;
use crate::store::{Genesis, Store};

/// What `init` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Under which URL the service will be reached.
    pub public_url: PublicUrl,
    /// Where it will listen.
    pub listen: SocketAddr,
    /// Host names and addresses for its certificate, besides `localhost`, `127.0.0.1`, `::1` and the URL's own.
    pub names: Vec<String>,
    /// The mail server that its users' devices will be paired with, if it is known already.
    pub server: Option<ServerName>,
}

impl Default for Options {
    fn default() -> Self {
        let Config { public_url, listen, .. } = Config::default();
        Self { public_url, listen, names: Vec::new(), server: None }
    }
}

/// What `init` found and did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The folder.
    pub data: PathBuf,
    /// Each thing in it.
    pub items: Vec<Item>,
}

impl Report {
    /// Whether the service itself is new.
    #[must_use]
    pub fn new_store(&self) -> bool {
        self.items.iter().any(|item| item.what == STORE && item.outcome == Outcome::Made)
    }
}

/// One thing of a data folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Where.
    pub path: PathBuf,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Whether it is new.
    pub outcome: Outcome,
}

/// Whether a thing is new.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is.
    Made,
    /// It was there, and was left alone.
    There,
    /// It was made before and has been taken elsewhere, which is a good place for it.
    Elsewhere,
}

/// Why a data folder was not made, or not completed.
#[derive(Debug, thiserror::Error)]
pub enum InitFault {
    /// A certificate is there, and the key that it belongs to, or was signed with, is not.
    #[error(
        "{missing} is gone, so {wanted} cannot be made: put it back, or remove both", missing = missing.display(),
        wanted = wanted.display()
    )]
    Broken {
        /// What is missing.
        missing: PathBuf,
        /// What it is needed for.
        wanted: PathBuf,
    },
    /// A name for the certificate is not one.
    #[error("the certificate cannot be made: is every name a host name or an address?")]
    Certificate(#[from] rcgen::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The store.
    #[error("the store cannot be made")]
    Store(#[from] Fault),
}

/// Makes the data folder `data`, or completes what a crash left of one.
///
/// # Errors
/// [`InitFault`]. What was made until then stays, and the next run goes on from there.
pub async fn init(
    data: &Path,
    options: &Options,
    clock: Arc<dyn Clock>,
    rng: impl CryptoRng + Send + 'static,
) -> Result<Report, InitFault> {
    let (data, options, rng) = (data.to_owned(), options.clone(), SharedRng::new(rng));
    let made = tokio::task::spawn_blocking(move || make(data, &options, clock, rng)).await;
    made.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn make(
    data: PathBuf,
    options: &Options,
    clock: Arc<dyn Clock>,
    rng: SharedRng,
) -> Result<Report, InitFault> {
    let mut maker = Maker { report: Report { data, items: Vec::new() }, clock, rng };
    maker.folder()?;
    maker.root_key()?;
    maker.certificates(options)?;
    maker.store(options)?;
    maker.configuration(options)?;
    Ok(maker.report)
}

/// The folder in the making.
struct Maker {
    report: Report,
    clock: Arc<dyn Clock>,
    rng: SharedRng,
}

impl Maker {
    fn path(&self, name: &str) -> PathBuf {
        self.report.data.join(name)
    }

    fn note(&mut self, path: PathBuf, what: &'static str, outcome: Outcome) {
        self.report.items.push(Item { path, what, outcome });
    }

    fn folder(&mut self) -> Result<(), BadFile> {
        let data = self.report.data.clone();
        let outcome = if data.is_dir() { Outcome::There } else { Outcome::Made };
        if outcome == Outcome::Made {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&data);
            made.map_err(|source| BadFile::Io { path: data.clone(), source })?;
        }
        self.note(data, "data folder", outcome);
        Ok(())
    }

    /// Writes a file unless it is there.
    fn file(&mut self, name: &str, what: &'static str, content: &[u8], mode: u32) -> Result<(), BadFile> {
        let path = self.path(name);
        let outcome = if path.exists() { Outcome::There } else { Outcome::Made };
        if outcome == Outcome::Made {
            files::write(&path, content, mode)?;
        }
        self.note(path, what, outcome);
        Ok(())
    }

    /// Only before there is a store; from then on it may be anywhere that the configuration names.
    fn root_key(&mut self) -> Result<(), BadFile> {
        let path = self.path(ROOT_KEY);
        if self.path(JOURNAL).exists() && !path.exists() {
            self.note(path, "root key", Outcome::Elsewhere);
            return Ok(());
        }
        let key = Secret::<32>::random(&mut self.rng);
        self.file(ROOT_KEY, "root key", root::line(&key).as_bytes(), PRIVATE)
    }

    /// A key is written before its certificate: where a crash came between, the certificate is made for the key there is.
    fn certificates(&mut self, options: &Options) -> Result<(), InitFault> {
        let now = self.clock.now();
        let (ca, ca_key) = (self.path(CA), self.path(CA_KEY));
        if !ca.exists() {
            self.file(CA_KEY, "key of the local authority", certificate::key()?.as_bytes(), PRIVATE)?;
            let authority = certificate::authority(&pem(&ca_key)?, now)?;
            self.file(CA, "local authority", authority.as_bytes(), PUBLIC)?;
        } else {
            let kept = if ca_key.exists() { Outcome::There } else { Outcome::Elsewhere };
            self.note(ca_key.clone(), "key of the local authority", kept);
            self.note(ca.clone(), "local authority", Outcome::There);
        }
        let (tls, tls_key) = (self.path(TLS), self.path(TLS_KEY));
        if tls.exists() && !tls_key.exists() {
            return Err(InitFault::Broken { missing: tls_key, wanted: tls });
        }
        self.file(TLS_KEY, "key of the certificate", certificate::key()?.as_bytes(), PRIVATE)?;
        let certificate = if tls.exists() {
            String::new()
        } else if ca_key.exists() {
            certificate::server(&pem(&ca_key)?, &pem(&tls_key)?, &names(options), now)?
        } else {
            return Err(InitFault::Broken { missing: ca_key, wanted: tls });
        };
        Ok(self.file(TLS, "certificate", certificate.as_bytes(), PUBLIC)?)
    }

    /// The credential waits under another name until the store that knows it is there: a crash in between leaves either
    /// no store, and both are made afresh, or one, and the credential takes its place.
    fn store(&mut self, options: &Options) -> Result<(), InitFault> {
        let (admin, pending) = (self.path(ADMIN), self.path(ADMIN_PENDING));
        let store = self.report.data.clone();
        let exists = self.path(JOURNAL).exists();
        if !exists {
            let root = files::read_root_key(&self.path(ROOT_KEY))?;
            let (genesis, credential) = self.genesis(options)?;
            files::write(&pending, credential.as_bytes(), PRIVATE)?;
            Store::create(&store, &root, genesis, &*self.clock, Box::new(self.rng.clone()))?;
        }
        self.note(store, STORE, if exists { Outcome::There } else { Outcome::Made });
        let outcome = if pending.exists() {
            files::rename(&pending, &admin)?;
            Outcome::Made
        } else if admin.exists() {
            Outcome::There
        } else {
            Outcome::Elsewhere
        };
        self.note(admin, "credential of the administrator", outcome);
        Ok(())
    }

    fn genesis(&mut self, options: &Options) -> Result<(Genesis, Zeroizing<String>), BadFile> {
        let (key, admin_key) = (SigningKey::generate(&mut self.rng), SigningKey::generate(&mut self.rng));
        let (service, admin) = (ServiceId::random(&mut self.rng), PartyId::random(&mut self.rng));
        let pkcs8 = Zeroizing::new(base64url(&admin_key.expose_pkcs8()));
        let credential = Credential {
            service,
            url: &options.public_url,
            party: admin,
            key: &pkcs8,
            ca: &pem(&self.path(CA))?,
            service_key: Pin::of(&key.verifying_key()).to_string(),
        };
        let text = serde_json::to_string_pretty(&credential).expect("ids and texts serialise");
        let genesis = Genesis {
            service,
            key,
            public_url: options.public_url.to_string(),
            admin,
            admin_key: admin_key.verifying_key(),
            admin_label: "admin".to_owned(),
            server: options.server.clone(),
        };
        Ok((genesis, Zeroizing::new(text)))
    }

    /// The shipped file, with what `init` was told in its place.
    fn configuration(&mut self, options: &Options) -> Result<(), BadFile> {
        let default = Config::default();
        let listen = |address: SocketAddr| format!("listen = \"{address}\"");
        let url = |url: &PublicUrl| format!("public_url = \"{url}\"");
        let beside = |at: SocketAddr| listen(Operations::beside(at));
        let text = SHIPPED
            .replace(&beside(default.listen), &beside(options.listen))
            .replace(&listen(default.listen), &listen(options.listen))
            .replace(&url(&default.public_url), &url(&options.public_url));
        self.file(CONFIG, "configuration", text.as_bytes(), PUBLIC)
    }
}

/// What an administrator signs with, and where.
#[derive(Serialize)]
struct Credential<'a> {
    service: ServiceId,
    url: &'a PublicUrl,
    party: PartyId,
    /// PKCS #8, base64url.
    key: &'a str,
    /// PEM: whom the service's certificate is signed by.
    ca: &'a str,
    /// The pin of the service's signing key.
    service_key: String,
}

/// What the certificate is for.
fn names(options: &Options) -> BTreeSet<String> {
    let always = ["localhost", "127.0.0.1", "::1", options.public_url.host()];
    always.into_iter().map(str::to_owned).chain(options.names.iter().cloned()).collect()
}

/// A PEM file, wiped: it may be a key.
fn pem(path: &Path) -> Result<Zeroizing<String>, BadFile> {
    let malformed = |_| BadFile::Malformed { path: path.to_owned(), what: "PEM" };
    String::from_utf8(files::read(path)?).map(Zeroizing::new).map_err(malformed)
}

const ADMIN: &str = "admin.json";
const ADMIN_PENDING: &str = "admin.pending";
const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const CONFIG: &str = "sidekey.toml";
/// Where the store is, this stands: it appears last when one is made.
const JOURNAL: &str = "journal";
const ROOT_KEY: &str = "root.key";
/// What the report calls it.
const STORE: &str = "store";
const TLS: &str = "tls.pem";
const TLS_KEY: &str = "tls.key";

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

#[cfg(test)]
mod tests;
