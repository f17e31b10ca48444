//! `sidekey audit`: what ever changed anything, and who did it.

mod cef;
mod prune;
mod verify;

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use sidekey_client::admin::{self, AuditFilter, AuditPage, Paging};
use sidekey_protocol::audit::{Action, Entry};
use sidekey_protocol::ids::{PartyId, ServerName, SessionId, Timestamp, UserName};

use crate::check::now;
use crate::exit::{Exit, Stop};
use crate::output::{List, Report, Screen, hex, word};
use crate::remote::{self, Admin};
use crate::time::{moment, rfc3339};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Show the newest entries, and with --follow what comes next
    ///
    /// Looks among the newest thousand records.
    #[command(after_help = TAIL_EXAMPLES)]
    Tail {
        /// How many entries
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        lines: usize,
        /// Go on until Ctrl-C, an entry a line
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        among: Among,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show one record: what it did, and how the chain binds it
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The record's number, as `audit tail` shows it
        seq: u64,
        #[command(flatten)]
        admin: Admin,
    },
    Verify(verify::Verify),
    Prune(prune::Prune),
    /// Print the service's signature over where its log stands now, to be kept on another machine
    #[command(after_help = CHECKPOINT_EXAMPLES)]
    Checkpoint {
        #[command(flatten)]
        admin: Admin,
    },
    /// Write all entries to standard output, for other programs
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        /// One JSON object a line, or ArcSight's Common Event Format
        #[arg(long, value_enum, default_value_t)]
        format: Form,
        /// Not before this record
        #[arg(long, value_name = "SEQ")]
        from: Option<u64>,
        #[command(flatten)]
        among: Among,
        #[command(flatten)]
        admin: Admin,
    },
}

/// Which entries are wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct Among {
    /// Not before this: a time as 2026-11-29 or 2026-11-29T15:00:00Z, or so long ago as 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Timestamp>,
    /// Before this
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<Timestamp>,
    /// This action only, as proto/audit/spec.md lists them
    #[arg(long, value_parser = action)]
    action: Option<Action>,
    /// What this party did, or what was done to it
    #[arg(long, value_name = "ID")]
    pairing: Option<PartyId>,
    /// At this mail server only
    #[arg(long, value_name = "NAME")]
    server: Option<ServerName>,
    /// This user's only
    #[arg(long, value_name = "NAME")]
    user: Option<UserName>,
    /// About this session only
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
}

/// For which program.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum Form {
    /// One JSON object a line
    #[default]
    Jsonl,
    /// ArcSight's Common Event Format, as many log collectors read it
    Cef,
}

fn when(text: &str) -> Result<Timestamp, String> {
    moment(text, now())
}

fn action(text: &str) -> Result<Action, String> {
    let all = || Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("one of {}", all()))
}

impl Among {
    fn filter(self, from: Option<u64>) -> AuditFilter {
        let Self { since, until, action, pairing, server, user, session } = self;
        AuditFilter { from, since, until, action, pairing, server, user, session }
    }
}

impl Audit {
    /// Does it; `None` when all was said on the way.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn run(self, screen: Screen) -> Result<Option<Report>, Stop> {
        match self {
            Self::Tail { lines, follow, among, admin } => tail(lines, follow, among, &admin, screen).await,
            Self::Show { seq, admin } => show(seq, &admin).await.map(Some),
            Self::Verify(verify) => verify.run().await.map(Some),
            Self::Prune(prune) => prune.run(screen).await.map(Some),
            Self::Checkpoint { admin } => {
                let checkpoint = admin.run(async |service| service.audit_checkpoint().await).await?;
                screen.lines([checkpoint]).map_err(unwritten)?;
                Ok(None)
            }
            Self::Export { format, from, among, admin } => {
                let service = admin.open()?;
                let mut pages = Pages::of(among.filter(from));
                while let Some(page) = pages.next(&admin, &service).await? {
                    write(screen, &page.items, |entry| match format {
                        Form::Jsonl => entry.text(),
                        Form::Cef => cef::line(entry),
                    })?;
                }
                Ok(None)
            }
        }
    }
}

/// What is left to read.
struct Pages {
    filter: AuditFilter,
    /// `None` after the last page.
    next: Option<Paging>,
}

impl Pages {
    fn of(filter: AuditFilter) -> Self {
        Self { filter, next: Some(Paging { page_size: Some(PAGE_SIZE), page_token: None }) }
    }

    async fn next(&mut self, admin: &Admin, service: &admin::Admin) -> Result<Option<AuditPage>, Stop> {
        let Some(which) = self.next.take() else { return Ok(None) };
        let asked = async { service.audit(&self.filter, &which).await.map_err(remote::refusal) };
        let page = admin.timeout().bound(asked).await?;
        let on = |token| Paging { page_token: Some(token), ..which };
        self.next = page.next_page_token.clone().map(on);
        Ok(Some(page))
    }
}

async fn tail(
    lines: usize,
    follow: bool,
    among: Among,
    admin: &Admin,
    screen: Screen,
) -> Result<Option<Report>, Stop> {
    let service = admin.open()?;
    let end = AuditFilter { from: Some(u64::MAX), ..AuditFilter::default() };
    let last = Pages::of(end).next(admin, &service).await?.map_or(0, |page| page.last);
    let from = last.saturating_sub(AMONG);
    let (mut newest, seen) = since(admin, &service, &among, from).await?;
    newest.drain(..newest.len().saturating_sub(lines));
    if !follow {
        return Ok(Some(listed(&newest)));
    }
    let mut seen = seen.max(last);
    loop {
        write(screen, &newest, |entry| if screen.is_json() { entry.text() } else { in_words(entry) })?;
        tokio::time::sleep(FOLLOW_EVERY).await;
        let (more, now) = since(admin, &service, &among, seen + 1).await?;
        (newest, seen) = (more, now.max(seen));
    }
}

/// The entries from a record on, and the newest record of which all were read.
async fn since(
    admin: &Admin,
    service: &admin::Admin,
    among: &Among,
    from: u64,
) -> Result<(Vec<Entry>, u64), Stop> {
    let mut pages = Pages::of(among.clone().filter(Some(from)));
    let (mut entries, mut last) = (Vec::new(), 0);
    while let Some(page) = pages.next(admin, service).await? {
        entries.extend(page.items);
        last = page.last;
    }
    Ok((entries, last))
}

async fn show(seq: u64, admin: &Admin) -> Result<Report, Stop> {
    let record = admin.run(async |service| service.audit_record(seq).await).await.map_err(|stop| {
        let (code, said) = match stop.code() {
            "not_found" => ("not_found", format!("there is no record {seq}")),
            "log_pruned" => {
                ("log_pruned", format!("record {seq} is not kept any more: the log begins later"))
            }
            _ => return stop,
        };
        Stop::new(Exit::NotFound, code, said).next("sidekey audit tail")
    })?;
    let mut facts = vec![("record", record.seq.to_string())];
    for entry in &record.entries {
        facts.extend([("at", rfc3339(entry.at)), ("action", entry.action.as_str().to_owned())]);
        facts.extend(entry.by.map(|by| ("by", by.to_string())));
        facts.extend(members(entry));
    }
    facts.extend([
        ("leaf", hex(&record.leaf.0)),
        ("previous hash", hex(&record.previous.0)),
        ("hash", hex(&record.hash.0)),
    ]);
    let json = serde_json::to_value(&record).expect("a record is representable as JSON");
    Ok(Report::new("A record of the journal:", json).facts(facts))
}

fn listed(entries: &[Entry]) -> Report {
    let mut list = List::new(&["seq", "at", "action", "by", "about"]);
    for entry in entries {
        let by = entry.by.map_or_else(|| "service".to_owned(), |by| by.to_string());
        let about = members(entry).into_iter().map(|(name, value)| format!("{name} {value}"));
        list.row(&[
            entry.seq.to_string(),
            rfc3339(entry.at),
            entry.action.as_str().into(),
            by,
            about.collect::<Vec<_>>().join(", "),
        ]);
    }
    let said = match entries.len() {
        1 => "1 entry:".to_owned(),
        0 => "No entries.".to_owned(),
        n => format!("{n} entries:"),
    };
    let report = Report::new(said, json!({ "items": entries })).list(list);
    match entries.last() {
        Some(last) => report.next(format!("sidekey audit show {}", last.seq)),
        None => report,
    }
}

/// One line, for eyes that follow.
fn in_words(entry: &Entry) -> String {
    let by = entry.by.map(|by| format!(" by {by}")).unwrap_or_default();
    let about: String = members(entry).into_iter().map(|(name, value)| format!(", {name} {value}")).collect();
    format!("{} {} {}{by}{about}", entry.seq, rfc3339(entry.at), entry.action.as_str())
}

/// What an entry says beside when, what and by whom.
pub(crate) fn members(entry: &Entry) -> Vec<(&'static str, String)> {
    let members = [
        ("user", entry.user.as_ref().map(ToString::to_string)),
        ("server", entry.server.as_ref().map(ToString::to_string)),
        ("role", entry.role.map(word)),
        ("label", entry.label.clone()),
        ("session", entry.session.map(|id| id.to_string())),
        ("pairing", entry.pairing.map(|id| id.to_string())),
        ("invitation", entry.invitation.map(|id| id.to_string())),
        ("service", entry.service.map(|id| id.to_string())),
        ("pinned", entry.pinned.map(|pinned| pinned.to_string())),
        ("epoch", entry.epoch.map(|epoch| epoch.to_string())),
        ("key", entry.kid.clone()),
        ("suite", entry.suite.map(|suite| suite.name().to_owned())),
        ("until", entry.not_after.map(rfc3339)),
        ("count", entry.count.map(|count| count.to_string())),
        ("first kept", entry.first.map(|first| first.to_string())),
        ("reason", entry.reason.as_ref().map(ToString::to_string)),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn write(screen: Screen, entries: &[Entry], line: impl Fn(&Entry) -> String) -> Result<(), Stop> {
    screen.lines(entries.iter().map(line)).map_err(unwritten)
}

fn unwritten(error: std::io::Error) -> Stop {
    Stop::new(Exit::Failed, "output", format!("cannot write the result: {error}"))
}

/// Entries asked for at once.
const PAGE_SIZE: u32 = 500;
/// The newest records, among which `tail` looks.
const AMONG: u64 = 1000;
/// Between two looks for what is new.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey audit tail
  sidekey audit show 17
  sidekey audit verify
  sidekey audit prune --before 400d --dry-run
  sidekey audit export --format cef --since 1d > sidekey.cef";
const TAIL_EXAMPLES: &str = "\
Examples:
  sidekey audit tail
  sidekey audit tail --follow --user ann@example.org
  sidekey audit tail -n 100 --action pairing_revoked --since 7d -o json";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey audit show 17
  sidekey audit show 17 -o json";
const CHECKPOINT_EXAMPLES: &str = "\
Examples:
  sidekey audit checkpoint > kept.jws
  sidekey audit checkpoint --profile work > kept.jws";
const EXPORT_EXAMPLES: &str = "\
Examples:
  sidekey audit export > audit.jsonl
  sidekey audit export --format cef --since 2026-11-01 --until 2026-12-01 > november.cef
  sidekey audit export --from 4711 --server mail.example.org";
