//! `sidekey audit prune`: the oldest part of the log is deleted.

use serde_json::json;
use sidekey_client::admin::{Prune as Asked, Pruned};
use sidekey_protocol::ids::Timestamp;

use super::when;
use crate::act::{Act, Foreseen};
use crate::exit::Stop;
use crate::output::{Report, Screen};
use crate::time::rfc3339;

/// Delete the oldest records of the log, so far as they fill whole segments of the journal
///
/// The log itself says what was deleted, and is still proven from there on. Everything that is paired, set or revoked stays
/// as it is. What is younger than 30 days nobody can delete. Export before what you may have to show (`audit export`).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Prune {
    /// What was made before this: a time as 2026-11-29 or 2026-11-29T15:00:00Z, or so long ago as 400d
    #[arg(long, value_name = "WHEN", value_parser = when)]
    before: Timestamp,
    #[command(flatten)]
    act: Act,
}

impl Prune {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses; the user does not confirm.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        let foresee = async || {
            let would = self.ask(true).await?;
            Ok(match would.records {
                0 => Foreseen::Nothing(report(NOTHING, &would).into()),
                _ => Foreseen::Change {
                    did: "Would delete the oldest records.".to_owned(),
                    json: told(&would),
                    facts: facts(&would),
                },
            })
        };
        if let Some(report) = self.act.first(screen, foresee).await? {
            return Ok(report);
        }
        let mut did = self.ask(false).await?;
        while did.more {
            let next = self.ask(false).await?;
            let (records, segments) = (did.records + next.records, did.segments + next.segments);
            did = Pruned { records, segments, ..next };
        }
        Ok(match did.records {
            0 => report(NOTHING, &did),
            _ => report("The oldest records are deleted.", &did)
                .next("sidekey audit checkpoint > FILE, and keep that on another machine"),
        })
    }

    async fn ask(&self, dry_run: bool) -> Result<Pruned, Stop> {
        let asked = Asked { before: self.before, dry_run };
        self.act.admin.run(async |service| service.prune_audit(&asked).await).await
    }
}

fn report(did: &str, pruned: &Pruned) -> Report {
    Report::new(did, told(pruned)).facts(facts(pruned))
}

fn told(pruned: &Pruned) -> serde_json::Value {
    let Pruned { records, segments, first, since, .. } = pruned;
    json!({ "records": records, "segments": segments, "first": first, "since": since })
}

fn facts(pruned: &Pruned) -> Vec<(&'static str, String)> {
    vec![
        ("records", pruned.records.to_string()),
        ("segments", pruned.segments.to_string()),
        ("the log begins at", format!("record {}", pruned.first)),
        ("of", rfc3339(pruned.since)),
    ]
}

const NOTHING: &str = "Nothing is old enough, in whole segments, to be deleted.";

const EXAMPLES: &str = "\
Examples:
  sidekey audit prune --before 400d --dry-run
  sidekey audit prune --before 2025-01-01
  sidekey audit prune --before 400d --yes -o json";
