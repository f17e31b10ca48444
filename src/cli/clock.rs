//! `sidekey clock`: what to do when the machine's clock had been ahead.

use std::sync::Arc;

use clap::Subcommand;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_service::clock::{Clock as _, SystemClock};

use crate::confirm::Confirm;
use crate::exit::Stop;
use crate::output::{Report, Screen};
use crate::remote;
use crate::root;
use crate::serve::{self, Configured};
use crate::time::rfc3339;

/// Commands about the clock.
#[derive(Debug, Subcommand)]
pub enum Noun {
    Accept(Accept),
}

/// Say that the clock is right now, though it is behind what was recorded
///
/// A service whose clock goes back by more than a minute issues nothing: what had ended might hold again. Where the clock
/// had been ahead and is right now, this lets the service go on. All sessions end and open invitations are over; devices
/// and servers stay paired. It is recorded. The service must be stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Accept {
    #[command(flatten)]
    place: Configured,
    #[command(flatten)]
    confirm: Confirm,
}

impl Noun {
    /// Does it.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::Accept(accept) => accept.run(screen),
        }
    }
}

impl Accept {
    fn run(self, screen: Screen) -> Result<Report, Stop> {
        let (config, _) = self.place.read()?;
        let now = SystemClock.now();
        self.confirm.ask(
            screen,
            &[
                ("data folder", config.data.display().to_string()),
                ("the clock says", rfc3339(now)),
                ("what ends", "all sessions, and all open invitations".to_owned()),
            ],
        )?;
        let typed = root::passphrase(&config)?;
        let accepted = remote::block_on(async {
            let accepted =
                sidekey_service::accept_clock(&config, typed, Arc::new(SystemClock), UnwrapErr(SysRng));
            accepted.await.map_err(|stop| serve::explained(&stop, &config))
        })?;
        Ok(match accepted {
            None => {
                let json = json!({ "accepted": false, "now": now });
                Report::new("The clock is not behind what was recorded: there is nothing to change.", json)
            }
            Some(done) => {
                let json = json!({
                    "accepted": true,
                    "now": now,
                    "behind_s": done.behind_s,
                    "sessions_ended": done.sessions,
                    "invitations": done.invitations,
                });
                Report::new("The clock is believed again.", json)
                    .facts([
                        (
                            "it had been ahead",
                            format!("{} s, when something was recorded last", done.behind_s),
                        ),
                        ("sessions ended", done.sessions.to_string()),
                        ("invitations over", done.invitations.to_string()),
                    ])
                    .next("sidekey serve, or systemctl start sidekey")
            }
        })
    }
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey clock accept
  sidekey clock accept --data /var/lib/sidekey --yes";
