//! `sidekey gateway`: the enterprise's end of the mail path, until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_client::SystemClock;
use sidekey_gateway::config::BadConfig;
use sidekey_gateway::{Config, Identity, Reloader};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Stop};
use crate::manager::Manager;
use crate::output::{Screen, shell};
use crate::profile::Profile;
use crate::remote::Timeout;
use crate::serve::{chain, unbound};
use crate::{logs, signals};

/// Stand in front of an IMAP server, until SIGTERM or Ctrl-C
///
/// Listeners, the mail server behind them and every limit stand in the configuration. Says on standard error when it is
/// ready. Told to stop, it lets nobody else in, lets those finish who are in, and ends with 0 within 30 seconds; told
/// twice, it ends at once. SIGHUP reads certificates, keys, authorities and passwords again.
///
/// A listener for operators' proxies needs a pairing: `sidekey server invite` makes an invitation, `sidekey join` takes it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Gateway {
    /// The configuration [default: gateway.toml here, or /etc/sidekey/gateway.toml where that alone is]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    profile: Profile,
    #[command(flatten)]
    timeout: Timeout,
    /// Say whether the configuration can be meant, and end
    #[arg(long)]
    check: bool,
}

impl Gateway {
    /// Serves, until a signal.
    ///
    /// # Errors
    /// What stands in the way, and what to do about it.
    pub fn run(self, screen: Screen) -> Result<(), Stop> {
        let path = self.config.unwrap_or_else(|| default_file().into());
        if !path.exists() {
            let what = format!("there is no gateway's configuration at {}", path.display());
            return Err(Stop::new(Exit::NotFound, "not_configured", what).next(
                "copy gateway.toml, which explains every option, and name your mail server and listeners",
            ));
        }
        let config = Config::read(&path).map_err(|bad| unmeant(&bad, &path.display().to_string()))?;
        if self.check {
            screen.announce(
                &format!("sidekey: {} says what a gateway's configuration says", path.display()),
                &json!({ "valid": true, "listeners": config.listeners.len() }),
            );
            return Ok(());
        }
        logs::init(&config.log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Stop::new(Exit::Failed, "runtime", format!("cannot start: {error}")))?;
        runtime.block_on(serve(config, &self.profile, self.timeout, screen))
    }
}

async fn serve(config: Config, profile: &Profile, timeout: Timeout, screen: Screen) -> Result<(), Stop> {
    let failed = |error| Stop::new(Exit::Failed, "signals", error);
    let manager = Manager::of_environment();
    let shutdown = signals::stopped(manager.clone()).map_err(failed)?;
    let hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let upstream = config.upstream.address.clone();
    let identity = if config.seals() { Some(identity(profile, timeout).await?) } else { None };
    let running = sidekey_gateway::start(config, identity, shutdown).map_err(|stop| unstarted(&stop))?;
    let listening: Vec<_> = running.addresses().iter().map(|(name, at)| format!("{name} on {at}")).collect();
    let listening = listening.join(", ");
    screen.announce(
        &format!("sidekey: ready in front of {upstream}, listening: {listening}; Ctrl-C stops it"),
        &json!({
            "ready": true,
            "upstream": upstream,
            "listeners": running.addresses(),
            "operations": running.operations(),
        }),
    );
    manager.ready(&format!("in front of {upstream}, listening: {listening}"));
    tokio::spawn(reload(hang_up, running.reloader(), manager.clone()));
    tokio::spawn(manager.watchdog());
    running.finished().await;
    Ok(())
}

/// Who the gateway is to the key service: a mail server's pairing.
async fn identity(profile: &Profile, timeout: Timeout) -> Result<Identity, Stop> {
    let server = profile.server(timeout).await?;
    Ok(Identity { server, clock: Arc::new(SystemClock), rng: || Box::new(UnwrapErr(SysRng)) })
}

/// Reads certificates again at each SIGHUP. One that cannot be used changes nothing.
async fn reload(mut hang_up: Signal, reloader: Reloader, manager: Manager) {
    while hang_up.recv().await.is_some() {
        manager.reloading();
        manager.ready(match reloader.reload() {
            Ok(()) => "reloaded",
            Err(bad) => {
                tracing::error!(error = chain(&bad), "what is in force stays");
                "not reloaded: the log says why"
            }
        });
    }
}

fn unmeant(bad: &BadConfig, path: &str) -> Stop {
    Stop::new(Exit::Failed, "configuration", chain(bad)).next(format!("edit {}", shell(path)))
}

fn unstarted(stop: &sidekey_gateway::Stop) -> Stop {
    use sidekey_gateway::{BadFile, Stop as S};

    match stop {
        S::Bind { listener, at, source } => unbound(*at, &format!("set listeners.{listener}.listen"), source),
        S::Operations { at, source } => unbound(*at, "set operations.listen", source),
        S::Unpaired { .. } => Stop::new(Exit::NotFound, "not_paired", chain(stop)).next("sidekey join"),
        S::File(bad @ BadFile::Exposed { .. }) => Stop::new(Exit::Denied, "file_exposed", chain(bad)),
        S::File(bad) => Stop::new(Exit::Failed, "file_unusable", chain(bad)),
    }
}

/// The one in this folder, unless only the package's is there.
fn default_file() -> &'static str {
    let exists = |path: &str| std::path::Path::new(path).exists();
    if !exists(HERE) && exists(PACKAGED) { PACKAGED } else { HERE }
}

const HERE: &str = "gateway.toml";
const PACKAGED: &str = "/etc/sidekey/gateway.toml";

const EXAMPLES: &str = "\
Examples:
  sidekey gateway
  sidekey gateway --check --config gateway.toml
  sidekey gateway --config /etc/sidekey/gateway.toml";
