//! What systemd is told, where it has started us (`Type=notify-reload`): sd_notify(3), one datagram a state.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The manager that started us, if one did.
#[derive(Clone, Debug)]
pub struct Manager(Option<Arc<Told>>);

#[derive(Debug)]
struct Told {
    socket: UnixDatagram,
    to: SocketAddr,
    /// How often it wants to hear that we live.
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says.
    #[must_use]
    pub fn of_environment() -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| for_us).map(Duration::from_micros);
        let told = std::env::var_os("NOTIFY_SOCKET").and_then(|name| told(&name, watchdog).ok());
        Self(told.map(Arc::new))
    }

    /// The service serves.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// It reads its configuration again; [`Manager::ready`] ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now_us = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"));
    }

    /// It takes no more requests.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what was asked");
    }

    /// Says that we live, for as long as tasks run.
    pub async fn watchdog(self) {
        let Some(every) = self.0.as_ref().and_then(|told| told.watchdog) else { return };
        // Twice in the time, as sd_watchdog_enabled(3) advises.
        let mut tick = tokio::time::interval((every / 2).max(Duration::from_millis(1)));
        loop {
            tick.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
        if let Some(told) = &self.0
            && let Err(error) = told.socket.send_to_addr(state.as_bytes(), &told.to)
        {
            tracing::warn!(%error, "systemd does not hear us");
        }
    }
}

fn told(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Told> {
    let to = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    Ok(Told { socket: UnixDatagram::unbound()?, to, watchdog })
}
