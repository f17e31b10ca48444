//! `sidekey delivery`: keys and invitations on their way by carriers.

use clap::Subcommand;
use serde_json::json;
use sidekey_client::admin::{CarrierSeen, DeliveryFilter, DeliverySeen, DeliveryState};
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::{PartyId, ServerName, UserName};

use crate::exit::Stop;
use crate::output::{List, Report, count, word};
use crate::remote::Admin;
use crate::since::Since;
use crate::time::rfc3339;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Delivery {
    /// List deliveries
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// In this state only
        #[arg(long, value_enum)]
        state: Option<State>,
        /// That this carrier has
        #[arg(long, value_name = "NAME")]
        carrier: Option<CarrierName>,
        /// Of this user only
        #[arg(long)]
        user: Option<UserName>,
        /// At this mail server only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// For this pairing only
        #[arg(long)]
        pairing: Option<PartyId>,
        #[command(flatten)]
        since: Since,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show one delivery
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Its number, as `delivery list` shows it
        delivery: u32,
        #[command(flatten)]
        admin: Admin,
    },
    /// Try a delivery again, now
    ///
    /// One that waits is tried at once; one that was sent or given up begins again with its first carrier, as long as what
    /// it carries is good.
    #[command(after_help = RETRY_EXAMPLES)]
    Retry {
        /// Its number, as `delivery list` shows it
        delivery: u32,
        #[command(flatten)]
        admin: Admin,
    },
    /// Try a delivery no more
    ///
    /// Its device can fetch the key over HTTPS all the same.
    #[command(after_help = CANCEL_EXAMPLES)]
    Cancel {
        /// Its number, as `delivery list` shows it
        delivery: u32,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show the carriers, and how they are
    #[command(after_help = CARRIERS_EXAMPLES)]
    Carriers {
        #[command(flatten)]
        admin: Admin,
    },
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum State {
    /// It waits
    Queued,
    /// A carrier has it
    Sending,
    /// A bearer took it over
    Sent,
    /// Nobody tries it any more
    Dead,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Sending => Self::Sending,
            State::Sent => Self::Sent,
            State::Dead => Self::Dead,
        }
    }
}

impl Delivery {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn run(self) -> Result<Report, Stop> {
        match self {
            Self::List { state, carrier, user, server, pairing, since, admin } => {
                let (state, created_after) = (state.map(DeliveryState::from), since.after());
                list(&DeliveryFilter { state, carrier, server, user, pairing, created_after }, &admin).await
            }
            Self::Show { delivery, admin } => {
                let seen = admin.run(async |service| service.delivery(delivery).await).await?;
                Ok(report("A delivery:", &seen))
            }
            Self::Retry { delivery, admin } => {
                let seen = admin.run(async |service| service.retry_delivery(delivery).await).await?;
                Ok(report("It is tried again now.", &seen))
            }
            Self::Cancel { delivery, admin } => {
                let seen = admin.run(async |service| service.cancel_delivery(delivery).await).await?;
                Ok(report("It is tried no more.", &seen))
            }
            Self::Carriers { admin } => carriers(&admin).await,
        }
    }
}

async fn list(wanted: &DeliveryFilter, admin: &Admin) -> Result<Report, Stop> {
    let found = admin.run(async |service| service.deliveries(wanted).await).await?;
    let mut list = List::new(&["delivery", "carries", "user", "carrier", "to", "state", "tries", "created"]);
    for seen in &found {
        list.row(&[
            seen.delivery.to_string(),
            word(seen.kind),
            seen.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            seen.carrier.to_string(),
            seen.to.clone().unwrap_or_default(),
            state(seen),
            seen.attempts.to_string(),
            rfc3339(seen.created),
        ]);
    }
    let what = match found.len() {
        1 => "1 delivery".to_owned(),
        several => format!("{several} deliveries"),
    };
    let report = Report::new(what, json!({ "items": found })).list(list);
    let stuck = found.iter().find(|seen| seen.state == DeliveryState::Queued && seen.detail.is_some());
    Ok(match (stuck, found.iter().find(|seen| seen.state == DeliveryState::Dead)) {
        (Some(_), _) => report.next("sidekey delivery carriers, which says how their carriers are"),
        (None, Some(dead)) => report.next(format!("sidekey delivery show {}, which says why", dead.delivery)),
        (None, None) => report,
    })
}

/// Where it stands, and what is said of it since.
fn state(seen: &DeliverySeen) -> String {
    match (seen.reason, seen.fate) {
        (Some(reason), _) => format!("dead: {}", word(reason)),
        (None, Some(fate)) => format!("sent, reported {}", word(fate)),
        (None, None) => word(seen.state),
    }
}

fn report(did: &str, seen: &DeliverySeen) -> Report {
    let json = serde_json::to_value(seen).expect("a delivery is representable as JSON");
    let mut facts = vec![("delivery", seen.delivery.to_string()), ("carries", word(seen.kind))];
    facts.extend(seen.server.iter().map(|server| ("server", server.to_string())));
    facts.extend(seen.user.iter().map(|user| ("user", user.to_string())));
    facts.extend(seen.pairing.iter().map(|pairing| ("pairing", pairing.to_string())));
    facts.extend(seen.session.iter().map(|session| ("session", session.to_string())));
    facts.extend(seen.invitation.iter().map(|invitation| ("invitation", invitation.to_string())));
    let carriers: Vec<&str> = seen.carriers.iter().map(CarrierName::as_str).collect();
    facts.extend([("carriers", carriers.join(", then ")), ("carrier now", seen.carrier.to_string())]);
    facts.extend(seen.to.iter().map(|to| ("to", to.clone())));
    facts.extend([("state", state(seen)), ("tries", seen.attempts.to_string())]);
    facts.extend(seen.detail.iter().map(|detail| ("because", detail.clone())));
    facts.extend(seen.next.map(|next| ("next try", rfc3339(next))));
    facts.extend(seen.settled.map(|settled| ("settled", rfc3339(settled))));
    if !seen.receipts.is_empty() {
        facts.push(("the bearer's ids", seen.receipts.join(", ")));
    }
    facts.extend([("created", rfc3339(seen.created)), ("good until", rfc3339(seen.not_after))]);
    let report = Report::new(did, json).facts(facts);
    match seen.state {
        DeliveryState::Dead => {
            report.next(format!("sidekey delivery retry {}, once that is mended", seen.delivery))
        }
        DeliveryState::Queued if seen.detail.is_some() => report.next("sidekey delivery carriers"),
        _ => report,
    }
}

async fn carriers(admin: &Admin) -> Result<Report, Stop> {
    let found = admin.run(async |service| service.carriers().await).await?;
    let mut list = List::new(&["carrier", "kind", "domain", "pending", "oldest", "state"]);
    for seen in &found {
        list.row(&[
            seen.carrier.to_string(),
            seen.kind.as_str().to_owned(),
            seen.domain.clone(),
            seen.pending.to_string(),
            seen.oldest.map(rfc3339).unwrap_or_default(),
            how(seen),
        ]);
    }
    let report = Report::new(count(found.len(), "carrier"), json!({ "items": found })).list(list);
    Ok(match found.iter().find(|seen| seen.needs_you) {
        Some(seen) => report.next(format!(
            "mend [delivery.carriers.{}] of sidekey.toml, and start the service again",
            seen.carrier
        )),
        None if found.is_empty() => report.next("[delivery] of sidekey.toml says how to add one"),
        None => report,
    })
}

fn how(seen: &CarrierSeen) -> String {
    match (&seen.trouble, seen.paused_until) {
        (Some(trouble), Some(until)) => format!("paused until {}: {trouble}", rfc3339(until)),
        (Some(trouble), None) => format!("being tried again: {trouble}"),
        (None, _) => "open".to_owned(),
    }
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey delivery list --state queued
  sidekey delivery show 17
  sidekey delivery carriers";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey delivery list
  sidekey delivery list --state dead --since 1d
  sidekey delivery list --carrier sms --user ann@example.org -o json";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey delivery show 17";
const RETRY_EXAMPLES: &str = "\
Examples:
  sidekey delivery retry 17";
const CANCEL_EXAMPLES: &str = "\
Examples:
  sidekey delivery cancel 17";
const CARRIERS_EXAMPLES: &str = "\
Examples:
  sidekey delivery carriers";
