//! `sidekey server`: mail servers that clients are paired with.

use clap::Subcommand;
use serde_json::json;
use sidekey_client::admin::{self, Pairing, PairingFilter, ServerFilter};
use sidekey_protocol::ids::{Role, ServerName};
use sidekey_protocol::revocation::Target;

use crate::approve::{Approving, Machine, Refusing};
use crate::client::pairing_rows;
use crate::exit::{Exit, Stop};
use crate::invitation::{Options, Posting};
use crate::output::{List, Report, Screen, count, shell, word};
use crate::remote::Admin;
use crate::revoke::Reasoned;
use crate::since::Since;
use crate::time::rfc3339;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Server {
    /// Add a mail server, and invite its machine to pair
    ///
    /// Prints a pairing code and a link, once. Give the link to whoever runs the mail server or the gateway before
    /// it: `sidekey join` pairs that machine. A link is good for one pairing.
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Invite one more machine to pair as a mail server
    ///
    /// Each gateway of a mail server has a pairing of its own, so that one can be revoked without the others. Also
    /// for a server whose first invitation has expired.
    #[command(after_help = INVITE_EXAMPLES)]
    Invite(Add),
    /// List the mail servers, or the pairings of one
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// A server whose pairings to list, one a machine
        name: Option<ServerName>,
        #[command(flatten)]
        since: Since,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show one mail server, and the machines that are paired as it
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// As `server list` shows it
        name: ServerName,
        #[command(flatten)]
        admin: Admin,
    },
    /// Approve a machine that waits, with the digits that whoever runs it reads to you
    #[command(after_help = APPROVE_EXAMPLES)]
    Approve {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        approving: Approving,
    },
    /// Refuse a machine that waits to be approved, for good
    #[command(after_help = REFUSE_EXAMPLES)]
    Refuse {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        refusing: Refusing,
    },
    /// Revoke a mail server: its own pairings, and those of all its users
    ///
    /// It never comes back, and neither does its name. To revoke one machine of several, name its pairing to `revoke
    /// pairing`.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke {
        /// As `server list` shows it
        name: ServerName,
        #[command(flatten)]
        act: Reasoned,
    },
}

/// What `add` and `invite` take.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// What the enterprise calls it, usually by its host name
    name: ServerName,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    admin: Admin,
}

impl Server {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::Add(add) => {
                let added = add.admin.run(async |service| service.add_server(&add.name).await).await;
                added.map_err(|stop| match stop.code() {
                    "server_exists" => {
                        stop.next(format!("sidekey server invite {}", shell(add.name.as_str())))
                    }
                    _ => stop,
                })?;
                add.invite("Added the mail server, and invited its machine to pair.", screen).await
            }
            Self::Invite(add) => {
                add.invite("Invited one more machine to pair as the mail server.", screen).await
            }
            Self::Approve { machine, approving } => approving.run(machine.into(), screen).await,
            Self::Refuse { machine, refusing } => refusing.run(machine.into()).await,
            Self::Show { name, admin } => show(&name, &admin).await,
            Self::Revoke { name, act } => act.run(&Target::Server { server: name }, screen).await,
            Self::List { name: None, since, admin } => servers(since, &admin).await,
            Self::List { name: Some(name), since, admin } => pairings(&name, since, &admin).await,
        }
    }
}

/// The server that is meant where none is named: the only one there is.
///
/// # Errors
/// There is none, or more than one; what the service refuses.
pub(crate) async fn meant(named: Option<ServerName>, admin: &Admin) -> Result<ServerName, Stop> {
    if let Some(name) = named {
        return Ok(name);
    }
    let mut servers = admin.run(async |service| service.servers().await).await?;
    servers.retain(|server| server.revoked.is_none());
    match servers.as_slice() {
        [only] => Ok(only.name.clone()),
        [] => Err(Stop::new(Exit::NotFound, "server_missing", "there is no mail server yet")
            .next("sidekey server add NAME")),
        several => {
            let names: Vec<_> = several.iter().map(|server| server.name.as_str()).collect();
            let what = format!("there are {} mail servers: {}", several.len(), names.join(", "));
            Err(Stop::new(Exit::Usage, "server_ambiguous", what)
                .next("the same command with --server and one of them"))
        }
    }
}

impl Add {
    async fn invite(&self, did: &str, screen: Screen) -> Result<Report, Stop> {
        self.options.invite(did.to_owned(), &self.name, None, Posting::default(), &self.admin, screen).await
    }
}

async fn servers(since: Since, admin: &Admin) -> Result<Report, Stop> {
    let wanted = ServerFilter { created_after: since.after(), ..ServerFilter::default() };
    let servers = admin.run(async |service| service.servers_among(&wanted).await).await?;
    let mut list = List::new(&["server", "state", "pairings", "users", "created"]);
    for server in &servers {
        list.row(&[
            server.name.to_string(),
            word(server.state),
            server.pairings.to_string(),
            server.users.to_string(),
            rfc3339(server.created),
        ]);
    }
    let report = Report::new(count(servers.len(), "mail server"), json!({ "items": servers })).list(list);
    Ok(match servers.as_slice() {
        [] => report.next("sidekey server add NAME"),
        [first, ..] => {
            report.next(format!("sidekey client invite USER --server {}", shell(first.name.as_str())))
        }
    })
}

async fn show(name: &ServerName, admin: &Admin) -> Result<Report, Stop> {
    let gateways =
        PairingFilter { role: Some(Role::Server), server: Some(name.clone()), ..PairingFilter::default() };
    let work =
        async |service: &admin::Admin| Ok((service.server(name).await?, service.pairings(&gateways).await?));
    let (found, machines) = admin.run(work).await?;
    let mut json = serde_json::to_value(&found).expect("a server is representable as JSON");
    json["machines"] = json!(machines);
    let mut facts = vec![
        ("server", found.name.to_string()),
        ("state", word(found.state)),
        ("created", rfc3339(found.created)),
        ("users", format!("{} with a live device", found.users)),
    ];
    if let Some(revoked) = &found.revoked {
        facts.extend([("revoked", rfc3339(revoked.at)), ("reason", revoked.reason.to_string())]);
    }
    let machine = |pairing: &Pairing| {
        let Pairing { pairing, label, state, .. } = pairing;
        ("machine", format!("{pairing} {label}, {}", word(state)))
    };
    facts.extend(machines.iter().map(machine));
    Ok(Report::new("A mail server:", json)
        .facts(facts)
        .next(format!("sidekey client list --server {}", shell(name.as_str()))))
}

async fn pairings(name: &ServerName, since: Since, admin: &Admin) -> Result<Report, Stop> {
    let wanted = PairingFilter {
        role: Some(Role::Server),
        server: Some(name.clone()),
        created_after: since.after(),
        ..PairingFilter::default()
    };
    let found = admin.run(async |service| service.pairings(&wanted).await).await?;
    Ok(Report::new(count(found.len(), "pairing"), json!({ "items": found })).list(pairing_rows(&found)))
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey server add mail.example.org
  sidekey server list";
const ADD_EXAMPLES: &str = "\
Examples:
  sidekey server add mail.example.org
  sidekey server add mail.example.org --ttl 5m -o json";
const INVITE_EXAMPLES: &str = "\
Examples:
  sidekey server invite mail.example.org";
const APPROVE_EXAMPLES: &str = "\
Examples:
  sidekey server approve --server mail.example.org
  sidekey server approve 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --digits \"1234 5678 9012 3456\"";
const REFUSE_EXAMPLES: &str = "\
Examples:
  sidekey server refuse 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"not our gateway\"";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey server show mail.example.org";
const REVOKE_EXAMPLES: &str = "\
Examples:
  sidekey server revoke mail.example.org --reason \"moved to another service\" --dry-run
  sidekey server revoke mail.example.org --reason \"moved to another service\" --yes";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey server list
  sidekey server list mail.example.org --since 7d
  sidekey server list -o json";
