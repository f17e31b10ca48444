//! Signals of a service that runs: stop, stop at once, read the configuration again.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sidekey_service::Config;
use sidekey_service::reload::Reloader;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::environment;
use crate::exit::Exit;
use crate::manager::Manager;
use crate::serve::chain;

/// Resolves at SIGTERM or Ctrl-C. From then on a second one ends the process at once, and so does the deadline.
///
/// # Errors
/// The system does not let us listen for them.
pub fn stopped(manager: Manager) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        manager.stopping();
        tokio::spawn(async move {
            tokio::select! {
                () = either(&mut terminate, &mut interrupt) => {
                    tracing::warn!("told twice: ends at once");
                    std::process::exit(Exit::Interrupted as i32)
                }
                () = tokio::time::sleep(DEADLINE) => {
                    // What was acknowledged is in the journal; the next start replays what was not written behind.
                    tracing::error!("not done by the deadline: ends all the same");
                    std::process::exit(Exit::Failed as i32)
                }
            }
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Reads the configuration again at each SIGHUP. One that cannot be read changes nothing.
pub async fn reload(mut hang_up: Signal, reloader: Reloader, path: PathBuf, manager: Manager) {
    while hang_up.recv().await.is_some() {
        manager.reloading();
        manager.ready(&again(&reloader, &path));
    }
}

/// Does it, and says in a few words what came of it.
fn again(reloader: &Reloader, path: &Path) -> String {
    match Config::effective(path, environment(), []).map(|effective| effective.config) {
        Ok(config) => {
            let reloaded = reloader.reload(config);
            format!("reloaded; {} options wait for the next start", reloaded.not_applied.len())
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "the configuration is not reloaded");
            "the configuration could not be read again".to_owned()
        }
    }
}

/// Of a stop: less than the 30 seconds that whoever asked for it waits.
const DEADLINE: Duration = Duration::from_secs(29);
