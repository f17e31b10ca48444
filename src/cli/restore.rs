//! `sidekey restore`: after the data folder was put back from an older copy.

use serde_json::json;
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::revocation::restore::{Accept as Asked, Accepted, RestoreStatus};

use crate::act::{Act, Foreseen};
use crate::exit::Stop;
use crate::output::{List, Report, Screen};
use crate::remote::Admin;
use crate::revoke::name;
use crate::time::rfc3339;

/// Commands about a restored copy.
#[derive(Debug, clap::Subcommand)]
pub enum Restore {
    Status(Status),
    Accept(Accept),
}

/// Say whether the service was shown revocations that it does not have, and what is reported of them
#[derive(Debug, clap::Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub struct Status {
    #[command(flatten)]
    admin: Admin,
}

/// Let the service go on from an older copy of its data
///
/// What devices and servers reported is revoked again. All sessions end, all open invitations are cancelled. Where
/// revocations are lost that nobody reported, say how many you accept as lost, or revoke every pairing.
#[derive(Debug, clap::Args)]
#[command(after_help = ACCEPT_EXAMPLES)]
pub struct Accept {
    /// Go on although this many revocations are lost
    #[arg(long, value_name = "N", default_value_t = 0)]
    missing: u64,
    /// Revoke every pairing
    #[arg(long)]
    revoke_all: bool,
    /// Every pairing but this one; may be said more than once
    #[arg(long, value_name = "PAIRING", requires = "revoke_all")]
    except: Vec<PartyId>,
    #[command(flatten)]
    act: Act,
}

impl Restore {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses; the user does not confirm.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::Status(status) => status.run().await,
            Self::Accept(accept) => accept.run(screen).await,
        }
    }
}

impl Status {
    async fn run(&self) -> Result<Report, Stop> {
        let status = self.admin.run(async |service| service.restore_status().await).await?;
        let json = json!(status);
        let RestoreStatus { rolled_back, revocations, shown, missing, reports } = status;
        if !rolled_back {
            let did = format!("The service has {revocations} revocations, and nobody has seen more.");
            return Ok(Report::new(did, json));
        }
        let more = shown.map_or_else(String::new, |shown| {
            let by = shown.by.map(|by| format!(", shown by {by}")).unwrap_or_default();
            format!(", and there were {}{by} at {}", shown.revocations, rfc3339(shown.at))
        });
        let did = format!(
            "The service was restored from an older copy: it has {revocations} revocations{more}. It answers nothing else."
        );
        let mut list = List::new(&["revoked", "at", "reason", "reported by"]);
        for report in &reports {
            list.row(&[
                name(&report.target),
                rfc3339(report.at),
                report.reason.to_string(),
                report.by.to_string(),
            ]);
        }
        let next = match missing {
            0 => "sidekey restore accept".to_owned(),
            missing => format!("sidekey restore accept --missing {missing}, or --revoke-all"),
        };
        let report = Report::new(did, json).next(next);
        Ok(if reports.is_empty() { report } else { report.list(list) })
    }
}

impl Accept {
    async fn run(self, screen: Screen) -> Result<Report, Stop> {
        self.act.may_begin()?;
        let admin = &self.act.admin;
        let asked = Asked { missing: self.missing, revoke_all: self.revoke_all, except: self.except.clone() };
        let status = admin.run(async |service| service.restore_status().await).await?;
        let foresee = async || {
            let would = admin.run(async |service| service.would_accept_restore(&asked).await).await?;
            let mut facts = facts(&would);
            facts.push(("revocations lost", format!("at least {}", status.missing)));
            Ok(Foreseen::Change { did: "Would go on from here.".to_owned(), json: json!(would), facts })
        };
        if let Some(report) = self.act.first(screen, foresee).await? {
            return Ok(report);
        }
        let accepted = admin.run(async |service| service.accept_restore(&asked, &status.tag()).await).await?;
        let report = Report::new("The service goes on from here.", json!(accepted)).facts(facts(&accepted));
        Ok(report.next("sidekey client list --state active: revoke what should not be there"))
    }
}

fn facts(accepted: &Accepted) -> Vec<(&'static str, String)> {
    vec![
        ("revoked again", accepted.reapplied.to_string()),
        ("pairings revoked", accepted.pairings.to_string()),
        ("credentials revoked", accepted.credentials.to_string()),
        ("sessions ended", accepted.sessions_ended.to_string()),
        ("invitations cancelled", accepted.invitations.to_string()),
        ("revocations from now on", accepted.revocations.to_string()),
    ]
}

/// Examples of the noun.
pub const EXAMPLES: &str = "\
Examples:
  sidekey restore status
  sidekey restore accept --dry-run
  sidekey restore accept --missing 2 --yes";
const STATUS_EXAMPLES: &str = "\
Examples:
  sidekey restore status
  sidekey restore status -o json";
const ACCEPT_EXAMPLES: &str = "\
Examples:
  sidekey restore accept --dry-run
  sidekey restore accept --missing 2
  sidekey restore accept --revoke-all --except 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --yes";
