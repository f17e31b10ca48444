//! `sidekey serve`: the key service, until it is told to stop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_service::clock::SystemClock;
use sidekey_service::config::{BadConfig, Effective, Flag};
use sidekey_service::fault::Fault;
use sidekey_service::{Config, Given, telemetry};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::environment;
use crate::exit::{Exit, Stop};
use crate::manager::Manager;
use crate::output::{Screen, shell};
use crate::owner::act_as_owner_of;
use crate::{root, signals};

/// Run the key service until SIGTERM or Ctrl-C
///
/// Says on standard error when it is ready, and under which URL. Told to stop, it takes no more connections, answers
/// what it has been asked, and ends with 0 within 30 seconds; told twice, it ends at once. SIGHUP reads the
/// configuration and the certificate again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    place: Configured,
    /// Listen here instead of where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Tell metrics and health here instead of where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    operations: Option<SocketAddr>,
}

/// Where the service keeps everything.
#[derive(Clone, Debug, clap::Args)]
pub struct Data {
    /// The service's data folder [env: SIDEKEY_DATA=] [default: ./sidekey-data, or /var/lib/sidekey where that alone is]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Data {
    /// The folder: as said, as the environment says, or the default.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(data_folder)
    }

    /// The folder, for a command that works in it; from here on its owner is who we are.
    ///
    /// # Errors
    /// As [`act_as_owner_of`].
    pub fn enter(&self) -> Result<PathBuf, Stop> {
        let folder = self.folder();
        act_as_owner_of(&folder)?;
        Ok(folder)
    }

    /// The option that names it in a command, empty where the command finds it without.
    #[must_use]
    pub fn option(&self) -> String {
        let option = |data: &PathBuf| format!(" --data {}", shell(&data.display().to_string()));
        self.data.as_ref().map(option).unwrap_or_default()
    }
}

/// The data folder, unless a command line names one.
#[must_use]
pub fn data_folder() -> PathBuf {
    let set = std::env::var_os("SIDEKEY_DATA").filter(|value| !value.is_empty());
    set.map_or_else(|| default_folder(Path::new(HERE), Path::new(PACKAGED)).to_owned(), PathBuf::from)
}

/// The one in this folder, unless only the package's is there.
fn default_folder<'a>(here: &'a Path, packaged: &'a Path) -> &'a Path {
    if !here.exists() && packaged.exists() { packaged } else { here }
}

/// Where the service's configuration is.
#[derive(Clone, Debug, clap::Args)]
pub struct Configured {
    /// The configuration [default: sidekey.toml in the data folder]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    #[command(flatten)]
    data: Data,
}

impl Configured {
    /// In this file, else in this data folder.
    #[must_use]
    pub const fn new(config: Option<PathBuf>, data: Data) -> Self {
        Self { config, data }
    }

    /// The file that it stands in.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.data.folder().join(CONFIG))
    }

    /// The configuration, and the file that it stands in.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn read(&self) -> Result<(Config, PathBuf), Stop> {
        let (effective, path) = self.effective([])?;
        Ok((effective.config, path))
    }

    /// What holds: what is said here, in the environment and in the file, and who said it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn effective(&self, said: impl IntoIterator<Item = Flag>) -> Result<(Effective, PathBuf), Stop> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None => self.data.enter()?.join(CONFIG),
        };
        if !path.exists() {
            let what = format!("there is no configuration at {}", path.display());
            let init = format!("sidekey init{}", self.data.option());
            return Err(Stop::new(Exit::NotFound, "not_initialised", what).next(init));
        }
        let effective = Config::effective(&path, environment(), said).map_err(|error| {
            Stop::new(Exit::Failed, "configuration", chain(&error)).next(match &error {
                BadConfig::Said { from, .. } => format!("correct {from}"),
                _ => format!("edit {}", shell(&path.display().to_string())),
            })
        })?;
        Ok((effective, path))
    }
}

impl Serve {
    /// Serves, until a signal.
    ///
    /// # Errors
    /// What stands in the way, and what to do about it.
    pub fn run(self, screen: Screen) -> Result<(), Stop> {
        let said =
            [("--listen", "listen", self.listen), ("--operations", "operations.listen", self.operations)];
        let said = said.into_iter().filter_map(|(flag, option, address)| {
            address.map(|address| Flag { flag, option, value: address.to_string() })
        });
        let (Effective { config, .. }, path) = self.place.effective(said)?;
        config.check().map_err(|bad| {
            Stop::new(Exit::Failed, "configuration", bad).next(format!("edit {}", path.display()))
        })?;
        let logs = telemetry::init(&config.log).map_err(|error| Stop::new(Exit::Failed, "log", error))?;
        let passphrase = root::passphrase(&config)?;
        let bind =
            |at: SocketAddr, option| TcpListener::bind(at).map_err(|error| unbound(at, option, &error));
        let listener = bind(config.listen, "--listen")?;
        let operations = bind(config.operations.listen, "--operations")?;
        let given = Given { operations: Some(operations), logs: Some(logs), passphrase, ..listener.into() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Stop::new(Exit::Failed, "runtime", format!("cannot start: {error}")))?;
        runtime.block_on(serve(config, path, given, screen))
    }
}

async fn serve(config: Config, path: PathBuf, given: Given, screen: Screen) -> Result<(), Stop> {
    let (url, about) = (config.public_url.clone(), config.clone());
    let explained = |fault| explained(&fault, &about);
    // Before the store is opened: told to stop while it is read, it stops once it has been.
    let failed = |error| Stop::new(Exit::Failed, "signals", error);
    let manager = Manager::of_environment();
    let shutdown = signals::stopped(manager.clone()).map_err(failed)?;
    let hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let (clock, rng) = (Arc::new(SystemClock), UnwrapErr(SysRng));
    let running = sidekey_service::start(config, given, clock, rng, shutdown).await.map_err(explained)?;
    let listen = running.local_addr();
    screen.announce(
        &format!("sidekey: ready at {url}, listening on {listen}; Ctrl-C stops it"),
        &json!({ "ready": true, "url": url, "listen": listen, "operations": running.operations_addr() }),
    );
    let status = format!("serving {url}, listening on {listen}");
    manager.ready(&status);
    tokio::spawn(signals::reload(hang_up, running.reloader(), path, manager.clone()));
    tokio::spawn(manager.watchdog());
    running.finished().await.map_err(explained)
}

/// Why nothing listens there; `option` says what to do elsewhere with.
pub(crate) fn unbound(listen: SocketAddr, option: &str, error: &io::Error) -> Stop {
    let stop = |exit, code, what: &str| Stop::new(exit, code, format!("cannot listen on {listen}: {what}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => stop(Exit::Conflict, "address_in_use", "another process does").next(
            format!("stop that one (ss -ltnp 'sport = {}' names it), or {option} elsewhere", listen.port()),
        ),
        io::ErrorKind::PermissionDenied => {
            stop(Exit::Denied, "address_forbidden", "the system does not let us")
                .next("a port from 1024 on, or CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrNotAvailable => {
            stop(Exit::Failed, "address_foreign", "this machine has no such address")
                .next(format!("{option} with an address that `ip addr` shows"))
        }
        _ => stop(Exit::Failed, "address", &error.to_string()),
    }
}

/// Why the service does not run, and what to do about it.
pub(crate) fn explained(fault: &sidekey_service::Stop, config: &Config) -> Stop {
    use sidekey_service::Stop as S;

    let what = chain(fault);
    match fault {
        S::Store(fault) => store_fault(fault, what, &config.data),
        S::RootKey(bad) => root::explained(bad, config),
        S::PublicUrl { made_for, .. } => Stop::new(Exit::Conflict, "public_url_changed", what)
            .next(format!("set public_url back to {made_for} in the configuration")),
        _ => Stop::new(Exit::Failed, "not_started", what),
    }
}

/// What is wrong with a data folder, and what to do about it.
#[must_use]
pub fn store_fault(fault: &Fault, what: String, data: &Path) -> Stop {
    let data = data.display();
    match fault {
        Fault::Locked { pid } => {
            let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            Stop::new(Exit::Conflict, "folder_locked", format!("{who} uses the data folder {data}"))
                .next("stop that one, or take another folder with --data")
        }
        Fault::Missing => {
            Stop::new(Exit::NotFound, "not_initialised", what).next(format!("sidekey init --data {data}"))
        }
        Fault::FormatNewer { .. } => Stop::new(Exit::Conflict, "format_newer", what)
            .next("start the version of sidekey that used the folder last"),
        Fault::FormatOlder { .. } => Stop::new(Exit::Conflict, "format_older", what).next(format!(
            "serve it with the version of sidekey that made it, or move {data} away, then sidekey init and pair again"
        )),
        Fault::RootKeyWrong => Stop::new(Exit::Denied, "root_key_wrong", what)
            .next("put back the root key that the folder was made with; without it nothing in it opens"),
        Fault::Corrupt { .. } | Fault::FormatUnknown | Fault::SealKeysDamaged | Fault::Unsealable => {
            Stop::new(Exit::Unverified, "store_damaged", what).next("restore the data folder from a backup")
        }
        Fault::Full => Stop::new(Exit::Unavailable, "disk_full", what).next(format!("make room for {data}")),
        Fault::Io { error, .. } => match error.kind() {
            io::ErrorKind::PermissionDenied => Stop::new(Exit::Denied, "folder_forbidden", what)
                .next(format!("give {data} to the user that runs the service (chown -R)")),
            io::ErrorKind::ReadOnlyFilesystem => Stop::new(Exit::Failed, "folder_read_only", what)
                .next(format!("mount {data} for writing, or move the folder")),
            _ => Stop::new(Exit::Failed, "store_unusable", what),
        },
        _ => Stop::new(Exit::Failed, "store_unusable", what),
    }
}

/// An error and its causes, in one line; what a library calls by its Rust name is called as people do.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    ["u32", "usize"].into_iter().fold(text, |text, number| {
        text.replace(&format!("expected {number}"), "expected a whole number, 0 or more")
    })
}

const CONFIG: &str = "sidekey.toml";
/// The data folder of who tries it out, and of who installed the package.
const HERE: &str = "sidekey-data";
const PACKAGED: &str = "/var/lib/sidekey";

const EXAMPLES: &str = "\
Examples:
  sidekey serve
  sidekey serve --data /var/lib/sidekey
  sidekey serve --config /etc/sidekey.toml --listen 0.0.0.0:443";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_s_data_folder_is_the_default_where_there_is_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (here, packaged) = (folder.path().join("here"), folder.path().join("packaged"));
        assert_eq!(default_folder(&here, &packaged), here);
        std::fs::create_dir(&packaged).unwrap();
        assert_eq!(default_folder(&here, &packaged), packaged);
        std::fs::create_dir(&here).unwrap();
        assert_eq!(default_folder(&here, &packaged), here);
    }
}
