//! `sidekey key`: the keys that the service signs with.

use serde_json::json;
use sidekey_protocol::keys::wire::{Rotated, ServiceKey, ServiceKeyState};

use crate::act::{Act, Foreseen};
use crate::exit::{Exit, Stop};
use crate::output::{List, Report, Screen};
use crate::remote::Admin;
use crate::time::{duration_s, rfc3339};

/// Commands about signing keys.
#[derive(Debug, clap::Subcommand)]
pub enum Key {
    List(Show),
    Rotate(Rotate),
}

/// List the service's signing keys, the active one first
///
/// Checks that statements lead from the key that your credential names to the active one, and fails if they do not.
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct Show {
    #[command(flatten)]
    admin: Admin,
}

/// Make a fresh signing key, which signs from now on
///
/// The old key vouches for it, so devices and servers follow by themselves. What the old key signed counts until the
/// overlap ends, and so do invitations whose links name it. Pairing links made from now on name the new key.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub struct Rotate {
    /// For how long what the old key signed still counts, up to 30d; 0s ends it at once [default: as configured]
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    overlap: Option<u32>,
    #[command(flatten)]
    act: Act,
}

impl Key {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses; the keys do not follow one another; the user does not confirm.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::List(list) => list.run().await,
            Self::Rotate(rotate) => rotate.run(screen).await,
        }
    }
}

impl Show {
    async fn run(&self) -> Result<Report, Stop> {
        let (answer, known) = self.admin.run(async |service| service.keys().await).await?;
        let mut list = List::new(&["key", "number", "state", "since", "until"]);
        for key in &answer.keys {
            list.row(&[
                key.kid.clone(),
                key.number.to_string(),
                key.state.as_str().to_owned(),
                rfc3339(key.since),
                key.until.map(rfc3339).unwrap_or_default(),
            ]);
        }
        let did = match known.previous().len() {
            0 => "The key that your credential names signs.".to_owned(),
            1 => "The key that your credential names vouches for the active one.".to_owned(),
            steps => format!("The key that your credential names leads to the active one in {steps} steps."),
        };
        Ok(Report::new(did, json!({ "keys": answer.keys, "verified": true })).list(list))
    }
}

impl Rotate {
    async fn run(&self, screen: Screen) -> Result<Report, Stop> {
        self.act.may_begin()?;
        let admin = &self.act.admin;
        let (answer, _) = admin.run(async |service| service.keys().await).await?;
        let active = answer.keys.iter().find(|key| key.state == ServiceKeyState::Active);
        let from = active
            .map(|key| key.kid.clone())
            .ok_or_else(|| Stop::new(Exit::Unverified, "keys", "the service shows no active key"))?;
        let foresee = async || {
            let would =
                admin.run(async |service| service.would_rotate_key(&from, self.overlap).await).await?;
            let did = format!("Would replace key {from}.");
            Ok(Foreseen::Change { did, json: json!(would), facts: facts(&would) })
        };
        if let Some(report) = self.act.first(screen, foresee).await? {
            return Ok(report);
        }
        let rotated = admin.run(async |service| service.rotate_key(&from, self.overlap).await).await?;
        let active = rotated.active.as_ref().map_or("", |key| &key.kid);
        let did = format!("Key {active} signs from now on.");
        Ok(Report::new(did, json!(rotated)).facts(facts(&rotated)).next("sidekey key list"))
    }
}

fn facts(rotated: &Rotated) -> Vec<(&'static str, String)> {
    let ServiceKey { kid, since, until, .. } = &rotated.previous;
    vec![
        ("replaces", kid.clone()),
        ("in use since", rfc3339(*since)),
        ("what it signed counts until", until.map(rfc3339).unwrap_or_default()),
        ("invitations cut short", rotated.invitations_cut.to_string()),
    ]
}

/// Examples of the noun.
pub const EXAMPLES: &str = "\
Examples:
  sidekey key list
  sidekey key rotate --dry-run
  sidekey key rotate --yes";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey key list
  sidekey key list -o json";
const ROTATE_EXAMPLES: &str = "\
Examples:
  sidekey key rotate --dry-run
  sidekey key rotate --overlap 14d
  sidekey key rotate --overlap 0s --yes";
