//! `sidekey policy`: what clients must insist on and the service keeps to, for everybody, a server or a user.

use clap::Subcommand;
use serde_json::json;
use sidekey_protocol::ids::{ServerName, UserName};
use sidekey_protocol::pairing::Approval;
use sidekey_protocol::policy::setting::{Asked, Effective, Level, Member};
use sidekey_protocol::policy::wire::{Concerns, PoliciesQuery, PolicyChange, PolicyView, Whose};

use crate::approve::Word;
use crate::confirm::Confirm;
use crate::exit::Stop;
use crate::output::{List, Report, Screen, count, shell, word};
use crate::remote::Admin;
use crate::since::Since;
use crate::time::{duration_s, rfc3339};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Show what holds, and which level says so
    ///
    /// Levels: built in, the service's, the server's, the user's. The most specific that says something wins, member by
    /// member.
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        admin: Admin,
    },
    /// List the levels at which something is set
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Of this mail server and its users only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// Of this user only
        #[arg(long, value_name = "NAME")]
        user: Option<UserName>,
        #[command(flatten)]
        since: Since,
        #[command(flatten)]
        admin: Admin,
    },
    /// Set members at a level; what is not named stays as it is
    ///
    /// Sessions that are open go on under a new key, by the new policy, at once; those whose devices have no suite in
    /// common any more end. Asks before any session ends or any device no longer fits.
    #[command(after_help = SET_EXAMPLES)]
    Set {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        members: Members,
        #[command(flatten)]
        act: Act,
    },
    /// Leave members to the level above: all, unless some are named
    #[command(after_help = UNSET_EXAMPLES)]
    Unset {
        #[command(flatten)]
        at: At,
        /// These members only
        #[arg(value_enum, value_name = "MEMBER")]
        members: Vec<Name>,
        #[command(flatten)]
        act: Act,
    },
}

/// At which level.
#[derive(Clone, Debug, clap::Args)]
pub struct At {
    /// At this mail server; without, for the whole service
    #[arg(long, value_name = "NAME")]
    server: Option<ServerName>,
    /// For this user at that mail server
    #[arg(long, requires = "server")]
    user: Option<UserName>,
}

/// What every change takes.
#[derive(Debug, clap::Args)]
pub struct Act {
    /// Say whom it would concern, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    admin: Admin,
}

/// What can be set.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Members {
    /// Suites that may be used, best first: A256GCM, C20P
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    suites: Option<Vec<String>>,
    /// FETCH items whose values are sealed
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    items: Option<Vec<String>>,
    /// Whose word a new device needs before it may act, unless its invitation says
    #[arg(long, value_enum)]
    approval: Option<Word>,
    /// How long an invitation stays open unless said
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    invitation_ttl: Option<u32>,
    /// How long an invitation may stay open
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    invitation_ttl_max: Option<u32>,
    /// How long a session lasts unless said
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    session_ttl: Option<u32>,
    /// How long a session may last, up to 24h
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    session_ttl_max: Option<u32>,
    /// Devices that a user may have
    #[arg(long, value_name = "N")]
    devices_max: Option<u32>,
    /// Sessions that a user may have at one time
    #[arg(long, value_name = "N")]
    sessions_max: Option<u32>,
}

/// A member of a policy.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Name {
    /// What may be used
    Suites,
    /// What is sealed
    Items,
    /// Whose word a new device needs
    Approval,
    /// How long an invitation stays open unless said
    InvitationTtl,
    /// How long an invitation may stay open
    InvitationTtlMax,
    /// How long a session lasts unless said
    SessionTtl,
    /// How long a session may last
    SessionTtlMax,
    /// Devices that a user may have
    DevicesMax,
    /// Sessions that a user may have at one time
    SessionsMax,
}

impl Policy {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses; the user does not confirm.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::Show { at, admin } => {
                let whose = at.whose();
                let view = admin.run(async |service| service.policy(&whose).await).await?;
                let did = format!("What holds {}:", place(&whose));
                let json = json!(view);
                Ok(Report::new(did, json)
                    .list(rows(&view))
                    .next(format!("sidekey policy set{} --help", at.option())))
            }
            Self::List { server, user, since, admin } => {
                list(&PoliciesQuery { server, user, changed_after: since.after() }, &admin).await
            }
            Self::Set { at, members, act } => change(&at, &act, screen, |setting| members.put(setting)).await,
            Self::Unset { at, members, act } => {
                change(&at, &act, screen, |setting| unset(setting, &members)).await
            }
        }
    }
}

impl At {
    fn whose(&self) -> Whose {
        match (&self.server, &self.user) {
            (Some(server), Some(user)) => Whose::User(server.clone(), user.clone()),
            (Some(server), None) => Whose::Server(server.clone()),
            _ => Whose::Service,
        }
    }

    fn option(&self) -> String {
        let server = self.server.as_ref().map(|server| format!(" --server {}", shell(server.as_str())));
        let user = self.user.as_ref().map(|user| format!(" --user {}", shell(user.as_str())));
        server.unwrap_or_default() + &user.unwrap_or_default()
    }
}

impl Members {
    fn put(self, setting: &mut Asked) {
        let approval = self.approval.map(Approval::from);
        put(&mut setting.suites, self.suites);
        put(&mut setting.items, self.items);
        put(&mut setting.approval, approval);
        put(&mut setting.invitation_ttl, self.invitation_ttl);
        put(&mut setting.invitation_ttl_max, self.invitation_ttl_max);
        put(&mut setting.session_ttl, self.session_ttl);
        put(&mut setting.session_ttl_max, self.session_ttl_max);
        put(&mut setting.devices_max, self.devices_max);
        put(&mut setting.sessions_max, self.sessions_max);
    }
}

fn put<T>(member: &mut Option<T>, said: Option<T>) {
    if said.is_some() {
        *member = said;
    }
}

fn unset(setting: &mut Asked, members: &[Name]) {
    if members.is_empty() {
        *setting = Asked::default();
    }
    for member in members {
        match member {
            Name::Suites => setting.suites = None,
            Name::Items => setting.items = None,
            Name::Approval => setting.approval = None,
            Name::InvitationTtl => setting.invitation_ttl = None,
            Name::InvitationTtlMax => setting.invitation_ttl_max = None,
            Name::SessionTtl => setting.session_ttl = None,
            Name::SessionTtlMax => setting.session_ttl_max = None,
            Name::DevicesMax => setting.devices_max = None,
            Name::SessionsMax => setting.sessions_max = None,
        }
    }
}

/// Reads, changes, looks whom that concerns, asks where something is lost by it, and does it.
async fn change(at: &At, act: &Act, screen: Screen, edit: impl FnOnce(&mut Asked)) -> Result<Report, Stop> {
    let (whose, admin) = (at.whose(), &act.admin);
    let before = admin.run(async |service| service.policy(&whose).await).await?;
    let mut setting = before.setting.clone();
    edit(&mut setting);
    let tried = admin.run(async |service| service.try_policy(&whose, &setting).await).await?;
    if act.dry_run {
        let did = format!("This would change {}; nothing was changed.", place(&whose));
        return Ok(told(did, &tried)
            .next(format!("the same command without --dry-run; then sidekey policy show{}", at.option())));
    }
    if tried.concerns.sessions_ended > 0 || tried.concerns.devices_unfit > 0 {
        act.confirm.ask(screen, &facts(&tried.concerns))?;
    }
    let revision = before.revision;
    let done = admin.run(async |service| service.set_policy(&whose, &setting, revision).await).await?;
    let did = if done.policy.revision == revision {
        format!("It was so already {}: nothing was changed.", place(&whose))
    } else {
        format!("Set {}. It holds from the next request on.", place(&whose))
    };
    Ok(told(did, &done).next(format!("sidekey policy show{}", at.option())))
}

fn told(did: String, change: &PolicyChange) -> Report {
    Report::new(did, json!(change)).facts(facts(&change.concerns))
}

fn facts(concerns: &Concerns) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("users", concerns.users.to_string()),
        ("devices", concerns.devices.to_string()),
        ("sessions rotated", format!("{} (they go on under a new key)", concerns.sessions_rotated)),
        ("sessions ended", concerns.sessions_ended.to_string()),
        ("devices that no longer fit", concerns.devices_unfit.to_string()),
    ];
    for device in &concerns.unfit {
        let whose = format!("{} {} ({} at {})", device.pairing, device.label, device.user, device.server);
        facts.push(("no longer fits", whose));
    }
    facts
}

async fn list(wanted: &PoliciesQuery, admin: &Admin) -> Result<Report, Stop> {
    let found = admin.run(async |service| service.policies(wanted).await).await?;
    let mut list = List::new(&["server", "user", "changed", "sets"]);
    for row in &found {
        let sets = json!(row.setting);
        let sets: Vec<_> = sets.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        list.row(&[
            row.server.as_ref().map_or_else(|| "(service)".to_owned(), ToString::to_string),
            row.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            rfc3339(row.changed),
            sets.join(" "),
        ]);
    }
    let report = Report::new(count(found.len(), "level"), json!({ "items": found })).list(list);
    Ok(report.next("sidekey policy show, with --server and --user where they are named"))
}

fn place(whose: &Whose) -> String {
    match whose {
        Whose::Service => "for the whole service".into(),
        Whose::Server(server) => format!("at {server}"),
        Whose::User(server, user) => format!("for {user} at {server}"),
    }
}

fn rows(view: &PolicyView) -> List {
    let Effective { suites, mode, items, approval, .. } = &view.effective;
    let mut list = List::new(&["member", "value", "set"]);
    let names: Vec<_> = suites.value.names().collect();
    row(&mut list, "suites", names.join(","), suites.from);
    row(&mut list, "mode", word(mode.value), mode.from);
    row(&mut list, "items", items.value.join(","), items.from);
    row(&mut list, "approval", word(approval.value), approval.from);
    let times = [
        ("invitation-ttl", view.effective.invitation_ttl),
        ("invitation-ttl-max", view.effective.invitation_ttl_max),
        ("session-ttl", view.effective.session_ttl),
        ("session-ttl-max", view.effective.session_ttl_max),
    ];
    for (name, Member { value, from }) in times {
        row(&mut list, name, span(value), from);
    }
    for (name, Member { value, from }) in
        [("devices-max", view.effective.devices_max), ("sessions-max", view.effective.sessions_max)]
    {
        row(&mut list, name, value.to_string(), from);
    }
    list.row(&["version".into(), view.version.to_string(), String::new()]);
    list
}

fn row(list: &mut List, name: &str, value: String, from: Level) {
    let from = match from {
        Level::BuiltIn => "built in",
        Level::Service => "for the service",
        Level::Server => "at the server",
        Level::User => "for the user",
    };
    list.row(&[name.into(), value, from.into()]);
}

/// Seconds as `--ttl` takes them.
fn span(seconds: u32) -> String {
    match seconds {
        0 => "0s".into(),
        s if s.is_multiple_of(86_400) => format!("{}d", s / 86_400),
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey policy show --server mail.example.org --user ann@example.org
  sidekey policy set --session-ttl-max 8h --devices-max 5
  sidekey policy set --server mail.example.org --suites C20P --dry-run";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey policy show
  sidekey policy show --server mail.example.org --user ann@example.org -o json";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey policy list
  sidekey policy list --server mail.example.org -o json";
const SET_EXAMPLES: &str = "\
Examples:
  sidekey policy set --approval admin --invitation-ttl 5m
  sidekey policy set --server mail.example.org --suites C20P,A256GCM --dry-run
  sidekey policy set --server mail.example.org --user ann@example.org --devices-max 2 --yes";
const UNSET_EXAMPLES: &str = "\
Examples:
  sidekey policy unset --server mail.example.org --user ann@example.org
  sidekey policy unset suites session-ttl --dry-run";
