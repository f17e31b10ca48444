//! `sidekey demo`: the main job, done by the real parts, on loopback.
//!
//! ```text
//!   story.rs    does a step with the real thing ──▶ evidence.rs  what was seen
//!                                                        │
//!   screen.rs   shows it  ◀── Checked ── claims.rs    every claim, with its check in checks.rs
//! ```
//! A claim reaches the screen only as a [`claims::Checked`], which only its check can make. The demo succeeds when all
//! claims were checked and hold.

pub mod attacks;
pub mod base64;
pub mod bearer;
mod checks;
pub mod claims;
pub mod deliver;
pub mod ends;
pub mod evidence;
pub mod glance;
pub mod imap;
mod letters;
pub mod lie;
pub mod mail;
pub mod path;
pub mod probe;
pub mod relay;
pub mod screen;
pub mod stay;
pub mod story;
pub mod watch;
pub mod world;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::revocation::Target;

use self::attacks::{ATTACKS, Attack};
use self::bearer::{By, Via};
use self::claims::{Checked, claims};
use self::evidence::{Evidence, Step};
use self::mail::Letter;
use self::screen::Page;
use self::story::Path;
use self::world::{Service, Trouble};
use crate::exit::{Exit, Stop};
use crate::output::{Format, Screen};

/// See the main job done, by the real parts, on this machine alone
///
/// Starts a key service in a temporary folder, pairs a mail server and two devices, sends mail through a proxy that
/// lies, and revokes a device. Ends with 0 only if everything that it says was checked, and holds.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// Send this mail too: an mbox file, or a Maildir
    #[arg(long, value_name = "PATH")]
    mail: Option<PathBuf>,
    /// Keep it running, and show commands that pair, fetch and revoke from another terminal
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    by: By,
}

/// One step, told and checked.
#[derive(Clone, Debug, Serialize)]
pub struct Chapter {
    /// Which.
    pub step: Step,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub took: Duration,
    /// What is said of it.
    pub claims: Vec<Checked>,
}

/// A story that was told to its end.
#[derive(Debug)]
pub struct Told {
    /// Step by step.
    pub chapters: Vec<Chapter>,
    /// What was seen.
    pub evidence: Evidence,
    /// The service, which still runs.
    pub service: Service,
    /// The session that is still open.
    pub session: SessionId,
}

impl Demo {
    /// Does it.
    ///
    /// # Errors
    /// A claim does not hold; the story could not be told to its end.
    pub fn run(self, screen: Screen) -> Result<(), Stop> {
        let mut letters = match &self.mail {
            Some(path) => mail::read(path).map_err(|error| {
                let what = format!("--mail {}: {error}", path.display());
                Stop::new(Exit::Usage, "mail_unreadable", what)
            })?,
            None => Vec::new(),
        };
        letters.extend(mail::own());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| stop(&error.into()))?;
        let failed = runtime.block_on(self.perform(letters, screen)).map_err(|trouble| stop(&trouble))?;
        verdict(failed)
    }

    async fn perform(&self, letters: Vec<Letter>, screen: Screen) -> Result<usize, Trouble> {
        let (page, began) = (Page::new(has_colours(screen)), Instant::now());
        let say = |text: &str| match screen.format() {
            Format::Text => screen.verbatim(text).map_err(Trouble::from),
            Format::Json => Ok(()),
        };
        say(&page.opening())?;
        let mut number = 0;
        let mut show = |chapter: &Chapter, evidence: &Evidence| {
            number += 1;
            say(&page.chapter(number, chapter, evidence))
        };
        let told = tokio::select! {
            told = tell(letters, &ATTACKS, &self.by, &mut show) => told?,
            // Dropping the story removes its folder and the keys in it.
            signal = stay::until_told() => return Err(signal.map_or_else(Trouble::from, |()| Trouble::Interrupted)),
        };
        let commands =
            if self.stay { stay::commands(&told.service, told.session).await? } else { Vec::new() };
        let (claims, failed, took) = (told.claims().count(), told.failed(), began.elapsed());
        say(&page.ending(claims, failed, took))?;
        say(&page.commands(&commands))?;
        if screen.format() == Format::Json {
            screen.verbatim(&format!("{:#}\n", told.report(took, &commands)))?;
        }
        if self.stay {
            stay::until_told().await?;
        }
        told.service.stop().await?;
        Ok(failed)
    }
}

/// Tells the story with these letters and lies, through others' programs and with a bearer where they are asked for; `show`
/// is called at the end of each step.
///
/// # Errors
/// [`Trouble`]: it came to no end. Claims that do not hold are no error here.
pub async fn tell(
    letters: Vec<Letter>,
    attacks: &[Attack],
    by: &By,
    show: &mut Show<'_>,
) -> Result<Told, Trouble> {
    let (evidence, chapters, since) = (Evidence::default(), Vec::new(), Instant::now());
    let mut teller = Teller { imap: by.imap, via: by.via, evidence, chapters, since, show };

    let (service, start) = story::start(by).await?;
    teller.evidence.start = start;
    teller.end(Step::Start)?;

    let (parties, pair) = story::pair(&service).await?;
    teller.evidence.pair = pair;
    teller.end(Step::Pair)?;

    let (keys, issue) = story::issue(&service, &parties).await?;
    teller.evidence.issue = issue;
    teller.end(Step::Issue)?;

    let path = Path::start(letters.clone())?;
    teller.evidence.clear = Some(path.clear()?);
    teller.end(Step::Clear)?;

    teller.evidence.sealed = path.sealed(&parties, &keys)?;
    teller.end(Step::Sealed)?;

    if by.imap {
        teller.evidence.imap = Some(imap::tell(&letters, &service, &parties, keys.session()).await?);
        teller.end(Step::Imap)?;
    }

    if let Some(bearer) = &service.bearer {
        teller.evidence.deliver = Some(path.deliver(&service, bearer, &parties, &keys).await?);
        teller.end(Step::Deliver)?;
    }

    let (keys, lies, after) = path.lies(attacks, &parties, keys).await?;
    (teller.evidence.lies, teller.evidence.after) = (lies, after);
    teller.end(Step::Lies)?;

    let target = Target::Pairing { pairing: parties.phone.pairing() };
    teller.evidence.revoke = path.revoke(&service, &parties, &keys, &target).await?;
    teller.end(Step::Revoke)?;

    Ok(Told { chapters: teller.chapters, evidence: teller.evidence, service, session: keys.session() })
}

/// Shows a step; when nobody can be shown anything any more, the story ends.
pub type Show<'a> = dyn FnMut(&Chapter, &Evidence) -> Result<(), Trouble> + 'a;

struct Teller<'a> {
    imap: bool,
    via: Option<Via>,
    evidence: Evidence,
    chapters: Vec<Chapter>,
    since: Instant,
    show: &'a mut Show<'a>,
}

impl Teller<'_> {
    /// A step is over: what may be said of it is checked, and shown.
    fn end(&mut self, step: Step) -> Result<(), Trouble> {
        let took = self.since.elapsed();
        let claims = claims(self.imap, self.via).into_iter().filter(|claim| claim.step == step);
        let claims = claims.map(|claim| claim.check(&self.evidence)).collect();
        let chapter = Chapter { step, took, claims };
        (self.show)(&chapter, &self.evidence)?;
        self.chapters.push(chapter);
        self.since = Instant::now();
        Ok(())
    }
}

impl Told {
    /// Everything that was claimed.
    pub fn claims(&self) -> impl Iterator<Item = &Checked> {
        self.chapters.iter().flat_map(|chapter| &chapter.claims)
    }

    /// How many claims do not hold.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.claims().filter(|claim| claim.why_not().is_some()).count()
    }

    /// The same for scripts.
    #[must_use]
    pub fn report(&self, took: Duration, commands: &[stay::Command]) -> Value {
        let mut report = json!({
            "ok": self.failed() == 0,
            "claims": self.claims().count(),
            "failed": self.failed(),
            "took_ms": took.as_millis() as u64,
            "steps": self.chapters,
            "evidence": self.evidence,
        });
        if !commands.is_empty() {
            report["commands"] = json!(commands);
        }
        report
    }
}

fn milliseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(took.as_millis() as u64)
}

/// How the demo ends when so many claims do not hold.
fn verdict(failed: usize) -> Result<(), Stop> {
    let what = format!("{failed} of the demo's claims do not hold");
    if failed == 0 { Ok(()) } else { Err(Stop::new(Exit::Unverified, "claims_failed", what)) }
}

/// Where somebody sees them and has not asked for none (no-color.org).
fn has_colours(screen: Screen) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    screen.has_eyes() && !set("NO_COLOR") && !dumb
}

fn stop(trouble: &Trouble) -> Stop {
    if matches!(trouble, Trouble::Interrupted) {
        return Stop::new(Exit::Interrupted, "interrupted", "interrupted: the demo's folder was removed");
    }
    Stop::new(Exit::Failed, "demo_failed", format!("the demo could not go on: {trouble}"))
}

const EXAMPLES: &str = "\
Examples:
  sidekey demo
  sidekey demo --mail ~/Maildir
  sidekey demo --mail archive.mbox -o json
  sidekey demo --imap
  sidekey demo --via sms
  sidekey demo --via sms --smsc kms:secret@smsc.example.net:2775 --to +491700000000
  sidekey demo --via xdms --xcap https://xcap.example.net/xcap-root/org.example.keys --xcap-login ann:secret
  sidekey demo --stay";
