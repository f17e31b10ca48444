//! `sidekey agent` itself: everything that it needs is looked at before it says that it is ready.

use std::io;
use std::path::Path;
use std::sync::Arc;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_agent::config::{Config, Listen};
use sidekey_agent::control::Control;
use sidekey_agent::listener::Listener;
use sidekey_agent::numbers::{self, Numbers};
use sidekey_agent::serve::{Stopped, serve};
use sidekey_agent::state::{Folder, Held, secret};
use sidekey_agent::tls::{self, BadTls};
use sidekey_agent::work::{Agent, PASSWORD, Randomness};
use sidekey_client::error::Usage;
use sidekey_client::{Ambient, Client, Error, FileKeyStore};

use super::{Place, folder, unusable};
use crate::exit::{Exit, Stop};
use crate::manager::Manager;
use crate::output::{Screen, shell};
use crate::remote::refusal;
use crate::serve::chain;
use crate::{logs, signals, urls};

/// Runs it, until a signal or until its pairing is over.
pub(super) fn run(place: &Place, listen: Option<Listen>, screen: Screen) -> Result<(), Stop> {
    let profile = place.profile.file()?;
    let (mut config, path) = place.config()?;
    config.listen = listen.unwrap_or(config.listen);
    let edit = || format!("edit {}", shell(&path.display().to_string()));
    config.check().map_err(|bad| Stop::new(Exit::Failed, "configuration", bad).next(edit()))?;
    let folder = folder(&place.profile)?;
    if !folder.file(PASSWORD).exists() {
        return Err(Stop::new(Exit::NotFound, "no_password", "mail programs have no password here yet")
            .next(format!("sidekey agent password{}", place.profile.option())));
    }
    proxy_password(&config)?;
    logs::init(&config.log)?;
    let held = hold(&folder)?;
    let failed = |error: io::Error| Stop::new(Exit::Failed, "runtime", format!("cannot start: {error}"));
    // One thread: a mail program asks for one thing after the other, and threads cost memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let stopped = runtime.block_on(start(config, &profile, folder, screen));
    drop(held);
    stopped
}

async fn start(config: Config, profile: &Path, folder: Folder, screen: Screen) -> Result<(), Stop> {
    let store = Arc::new(FileKeyStore::new(profile));
    let client = Client::open_at(store, Ambient::system(), &urls::of_the_environment()?).await;
    let client = client.map_err(|error| match error {
        Error::Usage(Usage::WrongRole) => Stop::new(
            Exit::Denied,
            "wrong_role",
            "this profile is a mail server's: an agent is a user's device",
        )
        .next("the same command with --profile and a device's"),
        error => refusal(error),
    })?;
    let listener = listener(&config).await?;
    let control = Control::bind(&folder).map_err(|error| unusable(&folder, &error))?;
    let listen = listener.at().map_err(|error| Stop::new(Exit::Failed, "address", error))?;
    let manager = Manager::of_environment();
    let stop =
        signals::stopped(manager.clone()).map_err(|error| Stop::new(Exit::Failed, "signals", error))?;
    let randomness: Randomness = Arc::new(|| Box::new(UnwrapErr(SysRng)));
    let (proxy, user) = (config.proxy.host.clone(), config.proxy.user.clone());
    let ca_file = config.proxy.ca_file.clone();
    let numbers = numbers(&folder)?;
    let agent = Agent::new(config, folder, numbers, client, randomness).map_err(|bad| {
        let file = ca_file.as_deref().unwrap_or(Path::new("the system's certificate store"));
        bad_tls(file, "proxy.ca_file", &bad)
    })?;
    let agent = Arc::new(agent);
    screen.announce(
        &format!("sidekey: ready for {user}'s mail program on {listen}; Ctrl-C stops it"),
        &json!({ "ready": true, "listen": listen.to_string(), "user": user, "proxy": proxy }),
    );
    manager.ready(&format!("listening on {listen}"));
    tokio::spawn(manager.watchdog());
    let stopped = serve(Arc::clone(&agent), listener, control, stop).await;
    ended(stopped, &agent)
}

fn numbers(folder: &Folder) -> Result<Numbers, Stop> {
    Numbers::open(folder).map_err(|error| {
        let path = folder.file(numbers::FILE);
        let what = format!("cannot use {}: {error}", path.display());
        // Without it numbers start anew, which the gateway refuses until its next start or the next session.
        let next =
            format!("remove {}; mail can be stored again within a day", shell(&path.display().to_string()));
        Stop::new(Exit::Failed, "numbers", what).next(next)
    })
}

/// What an agent has to say at its end.
fn ended(stopped: Stopped, agent: &Agent) -> Result<(), Stop> {
    let alerts = agent.tally().alerts();
    if let Stopped::Over(why) = stopped {
        let what = format!("this device's pairing is over: {why}");
        return Err(Stop::new(Exit::Denied, "revoked", what)
            .next("ask your administrator for a new invitation; then sidekey join")
            .with("alerts", json!(alerts)));
    }
    if alerts.is_empty() {
        return Ok(());
    }
    let told: Vec<_> =
        alerts.iter().map(|(name, count)| format!("{} {count}", name.replace('_', " "))).collect();
    let what = format!("somebody on the path meddled while the agent ran: {}", told.join(", "));
    Err(Stop::new(Exit::Unverified, "alerts", what)
        .next("read the agent's log, and tell your administrator")
        .with("alerts", json!(alerts)))
}

async fn listener(config: &Config) -> Result<Listener, Stop> {
    let tls = match &config.tls {
        None => None,
        Some(files) => Some(
            tls::server(&files.certificate_file, &files.key_file)
                .map_err(|(file, bad)| bad_tls(file, "[tls]", &bad))?,
        ),
    };
    let unbound = |error: io::Error| {
        let stop = |exit, code, what: &dyn std::fmt::Display| {
            Stop::new(exit, code, format!("cannot listen on {}: {what}", config.listen))
        };
        match error.kind() {
            io::ErrorKind::AddrInUse => stop(Exit::Conflict, "address_in_use", &"another process does")
                .next("stop that one, or --listen elsewhere"),
            io::ErrorKind::PermissionDenied => {
                stop(Exit::Denied, "address_forbidden", &"the system does not let us")
                    .next("a port from 1024 on, or a Unix socket in a folder of your own")
            }
            _ => stop(Exit::Failed, "address", &error),
        }
    };
    Listener::bind(&config.listen, tls).await.map_err(unbound)
}

/// Whether it can be read, before anybody waits for mail.
fn proxy_password(config: &Config) -> Result<(), Stop> {
    let path = &config.proxy.password_file;
    let shown = shell(&path.display().to_string());
    secret(path).map(drop).map_err(|error| {
        let what = format!("cannot use the proxy's password in {}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound => Stop::new(Exit::NotFound, "proxy_password", what)
                .next(format!("write your password at the proxy into {shown}, then chmod 600 {shown}")),
            io::ErrorKind::PermissionDenied => {
                Stop::new(Exit::Denied, "proxy_password", what).next(format!("chmod 600 {shown}"))
            }
            _ => Stop::new(Exit::Failed, "proxy_password", what)
                .next(format!("write the password alone into {shown}, in one line")),
        }
    })
}

fn hold(folder: &Folder) -> Result<Held, Stop> {
    folder.hold().map_err(|error| unusable(folder, &error))?.ok_or_else(|| {
        Stop::new(Exit::Conflict, "agent_runs", "an agent of this profile runs already")
            .next("sidekey agent status")
    })
}

fn bad_tls(file: &Path, option: &str, bad: &BadTls) -> Stop {
    let what = format!("{}: {}", file.display(), chain(bad));
    Stop::new(Exit::Failed, "certificate", what)
        .next(format!("correct {option} in the agent's configuration"))
}
