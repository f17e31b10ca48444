//! What an administrator can say to the service: one file, every option with a default, unknown ones refused.
//! A file for each section of it.

mod audit;
mod delivery;
mod layers;
mod limits;
mod log;
mod operations;
mod root_key;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sidekey_protocol::audit::KEPT_DAYS_MIN;
use sidekey_protocol::keys::{OVERLAP_DEFAULT_S, OVERLAP_MAX_S};
use sidekey_protocol::pairing::PublicUrl;

pub use self::audit::Audit;
pub use self::delivery::{Carrier, Daily, Delivery, HttpSms, Smpp, Unmeant, Webhook, Xdms};
pub use self::layers::{Effective, Flag, Origin, PREFIX, Setting};
pub use self::limits::Limits;
pub use self::log::{Format, Level, Log};
pub use self::operations::Operations;
pub use self::root_key::RootKey;
pub use self::tls::Tls;

/// The shipped file: every option, explained, at its default.
pub const SHIPPED: &str = include_str!("../../config/sidekey.toml");

/// Everything an administrator can say to the service. `config/sidekey.toml` explains each option to him.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// The URL under which clients and servers reach it: SPAKE2+'s idVerifier.
    pub public_url: PublicUrl,
    /// The folder that holds everything the service keeps.
    pub data: PathBuf,
    /// Where the root key comes from.
    pub root_key: RootKey,
    /// For how long what a replaced signing key signed still counts.
    pub key_overlap_s: u32,
    /// For how long the audit log is kept.
    pub audit: Audit,
    /// For those who keep the service running.
    pub operations: Operations,
    /// The certificate.
    pub tls: Tls,
    /// Carriers beside HTTPS.
    pub delivery: Delivery,
    /// A limit on everything that grows or waits.
    pub limits: Limits,
    /// What is said on standard error.
    pub log: Log,
}

/// Why the configuration cannot be used. Each names the file or the option.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not say what a configuration says.
    #[error("{path} is not a valid configuration")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where in it, and why.
        source: Box<toml::de::Error>,
    },
    /// The environment or the command line says what the configuration does not take.
    #[error("{from} does not say what a configuration says")]
    Said {
        /// The variable, or the option of the command line.
        from: String,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// An option's value cannot be meant.
    #[error("{path} is not a valid configuration")]
    Option {
        /// Which file.
        path: PathBuf,
        /// Which option, and why.
        source: BadOption,
    },
}

/// An option whose value cannot be meant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadOption {
    /// A carrier.
    #[error(transparent)]
    Carrier(#[from] Unmeant),
    /// What happened last month must be there to be looked at.
    #[error("audit.keep_days is 0, which keeps the log for ever, or at least {KEPT_DAYS_MIN}")]
    KeptTooShort,
    /// The service must end within 30 seconds.
    #[error("limits.drain_s is at most {}: the service ends within 30 seconds", limits::DRAIN_MAX_S)]
    DrainTooLong,
    /// Nobody could ask for anything.
    #[error("limits.{0} is 0: nobody could be served")]
    NobodyServed(&'static str),
    /// Nobody would know any more what the old key is good for.
    #[error("key_overlap_s is at most {OVERLAP_MAX_S}: 30 days")]
    OverlapTooLong,
    /// Metrics would be told in the clear to other machines.
    #[error("operations.listen is reached by other machines, and operations.tls is false")]
    OperationsExposed,
}

impl Config {
    /// Whether every value can be meant.
    ///
    /// # Errors
    /// [`BadOption`] names the option.
    pub fn check(&self) -> Result<(), BadOption> {
        if self.audit.keeps_too_little() {
            return Err(BadOption::KeptTooShort);
        }
        if self.limits.drain_s > limits::DRAIN_MAX_S {
            return Err(BadOption::DrainTooLong);
        }
        if let Some(option) = self.limits.denies_all() {
            return Err(BadOption::NobodyServed(option));
        }
        if self.key_overlap_s > OVERLAP_MAX_S {
            return Err(BadOption::OverlapTooLong);
        }
        self.delivery.check()?;
        if self.operations.exposed() { Err(BadOption::OperationsExposed) } else { Ok(()) }
    }

    /// Reads the file at `path`; what it leaves out is at its default, and its relative `data` starts beside it.
    ///
    /// # Errors
    /// [`BadConfig`] names the file, the line and the option.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| BadConfig::Invalid { path: path.to_owned(), source: Box::new(source) })?;
        config.check().map_err(|source| BadConfig::Option { path: path.to_owned(), source })?;
        config.data = path.parent().unwrap_or(Path::new("")).join(&config.data);
        Ok(config)
    }

    /// The defaults, for a data folder that `init` made.
    #[must_use]
    pub fn for_data(data: &Path, public_url: PublicUrl) -> Self {
        Self { data: data.to_owned(), public_url, ..Self::default() }
    }

    /// Where the certificate chain is.
    #[must_use]
    pub fn certificate_path(&self) -> PathBuf {
        self.data.join(&self.tls.certificate_file)
    }

    /// Where the certificate's private key is.
    #[must_use]
    pub fn tls_key_path(&self) -> PathBuf {
        self.data.join(&self.tls.key_file)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            public_url: "https://localhost:8443".parse().expect("a public URL in its one spelling"),
            data: PathBuf::from("."),
            root_key: RootKey::default(),
            key_overlap_s: OVERLAP_DEFAULT_S,
            audit: Audit::default(),
            operations: Operations::default(),
            tls: Tls::default(),
            delivery: Delivery::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_states_the_defaults() {
        assert_eq!(toml::from_str::<Config>(SHIPPED).unwrap(), Config::default());
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn the_shipped_file_names_every_option() {
        let shipped: toml::Table = SHIPPED.parse().unwrap();
        let names = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&shipped),
            [
                "audit",
                "data",
                "delivery",
                "key_overlap_s",
                "limits",
                "listen",
                "log",
                "operations",
                "public_url",
                "root_key",
                "tls"
            ]
        );
        assert_eq!(shipped["limits"].as_table().unwrap().len(), 23);
    }

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        for text in ["listn = 1", "[limits]\nconections = 1", "[tls]\nkey = 'x'", "[log]\nlevel = 'loud'"] {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains("unknown"), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |text: &str| toml::from_str::<Config>(text).unwrap().check();
        assert_eq!(check("[limits]\ndrain_s = 26"), Err(BadOption::DrainTooLong));
        for option in ["client_reads_per_min", "rate_entries"] {
            assert_eq!(check(&format!("[limits]\n{option} = 0")), Err(BadOption::NobodyServed(option)));
        }
        for exposed in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            let text = format!("[operations]\nlisten = '{exposed}'");
            assert_eq!(check(&text), Err(BadOption::OperationsExposed), "{exposed}");
            assert_eq!(check(&format!("{text}\ntls = true")), Ok(()), "{exposed}");
        }
        assert_eq!(check("[operations]\nlisten = '[::1]:1'"), Ok(()));
        assert_eq!(check("key_overlap_s = 2592001"), Err(BadOption::OverlapTooLong));
        assert_eq!(check("key_overlap_s = 0"), Ok(()));
        for (days, checked) in
            [(0, Ok(())), (1, Err(BadOption::KeptTooShort)), (29, Err(BadOption::KeptTooShort)), (30, Ok(()))]
        {
            assert_eq!(check(&format!("[audit]\nkeep_days = {days}")), checked, "{days}");
        }
    }

    #[test]
    fn data_starts_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidekey.toml");
        std::fs::write(&path, "data = 'kept'").unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.data, folder.path().join("kept"));
        assert_eq!(config.tls_key_path(), folder.path().join("kept/tls.key"));
        assert!(matches!(Config::read(folder.path()), Err(BadConfig::Unreadable { .. })));
    }
}
