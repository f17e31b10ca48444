//! What a drill tells: a table for eyes, the same as JSON for scripts, and of what was not refused, what that means.

use std::time::Duration;

use serde_json::json;
use sidekey_protocol::pairing::PublicUrl;

use super::attack::{Fought, Side, Step, Verdict};
use super::made::{Cleared, Left};
use crate::exit::Exit;
use crate::output::{List, Report, word};

/// A drill that came to its end.
#[derive(Debug)]
pub struct Told {
    /// Where.
    pub url: PublicUrl,
    /// What everything was called after.
    pub name: String,
    /// Each attack, in the order in which they were tried.
    pub fought: Vec<Fought>,
    /// How long it took, without cleaning up.
    pub took: Duration,
    /// What became of what was made.
    pub cleared: Result<Cleared, Left>,
    /// Whether those were tried too that need a minute.
    pub slow: bool,
}

impl Told {
    /// How the drill ends: well only if each attack was refused, each twin accepted, and nothing is left.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match (self.failed().next(), &self.cleared) {
            (Some(_), _) => Some(Exit::Unrefused),
            (None, Err(_)) => Some(Exit::Failed),
            (None, Ok(_)) => None,
        }
    }

    /// All of it.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut list = List::new(&["group", "attack", "answered", "twin", "verdict"]);
        for fought in &self.fought {
            let came = |side| fought.telling(side).map(|step| short(&step.came)).unwrap_or_default();
            list.row(&[
                word(fought.group),
                fought.does.to_owned(),
                came(Side::Attack),
                came(Side::Twin),
                fought.verdict.shown().to_owned(),
            ]);
        }
        let lessons: Vec<_> = self.failed().map(lesson).chain(self.left()).collect();
        let picture = (!lessons.is_empty()).then(|| lessons.join("\n"));
        let report = Report::new(self.summary(), self.json()).list(list).picture(picture).ending(self.exit());
        match (&self.cleared, self.failed().next()) {
            (Err(left), _) => report.next(left.mend()),
            (Ok(_), Some(_)) => {
                report.next("have the service's maker look at it; SECURITY.md says how to report a flaw")
            }
            (Ok(_), None) if !self.slow => {
                report.next(format!("sidekey drill {} --slow, for what needs a minute", self.url))
            }
            (Ok(_), None) => report,
        }
    }

    fn failed(&self) -> impl Iterator<Item = &Fought> {
        self.fought.iter().filter(|fought| fought.verdict != Verdict::Refused)
    }

    fn refused(&self) -> usize {
        self.fought.iter().filter(|fought| fought.verdict != Verdict::NotRefused).count()
    }

    /// Twins of which every step was accepted.
    fn accepted(&self) -> usize {
        let accepted = |fought: &&Fought| !fought.failed().any(|step| step.side == Side::Twin);
        self.fought.iter().filter(accepted).count()
    }

    fn summary(&self) -> String {
        let of = |n: usize| if n == self.fought.len() { "all".to_owned() } else { n.to_string() };
        let cleared = match &self.cleared {
            Ok(cleared) => format!("Revoked {}.", cleared.shown()),
            Err(left) => format!("NOT CLEANED UP: {left}."),
        };
        format!(
            "{} attacks in {:.1} s: {} refused, and of their honest twins {} accepted. {cleared}",
            self.fought.len(),
            self.took.as_secs_f64(),
            of(self.refused()),
            of(self.accepted()),
        )
    }

    fn left(&self) -> Option<String> {
        let left = self.cleared.as_ref().err()?;
        Some(format!("NOT CLEANED UP  {left}\n  mend: {}", left.mend()))
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "ok": self.exit().is_none(),
            "url": self.url,
            "name": self.name,
            "attacks": self.fought.len(),
            "refused": self.refused(),
            "twins_accepted": self.accepted(),
            "took_ms": self.took.as_millis() as u64,
            "cleared": self.cleared.as_ref().ok(),
            "left": self.cleared.as_ref().err().map(|left| &left.servers),
            "items": self.fought,
        })
    }
}

impl Verdict {
    fn shown(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotRefused => "NOT REFUSED",
            Self::TwinRefused => "TWIN REFUSED",
        }
    }
}

/// What was expected, what came, and what that breaks.
pub(super) fn lesson(fought: &Fought) -> String {
    let name = format!("{}/{}", word(fought.group), fought.attack);
    let step = |step: &Step| format!("  {}: expected {}, came {}", step.what, step.expected, step.came);
    let mut lines = vec![format!("{}  {name}: {}", fought.verdict.shown(), fought.does)];
    lines.extend(fought.failed().map(step));
    lines.push(match fought.verdict {
        Verdict::TwinRefused => {
            "  the attack was refused, but so is whoever does nothing wrong: the refusal proves nothing"
                .to_owned()
        }
        _ => format!("  breaks this promise of SECURITY.md: {}", fought.promise),
    });
    lines.join("\n")
}

/// What fits a column.
fn short(came: &str) -> String {
    let mut letters = came.chars();
    let head: String = letters.by_ref().take(COLUMN).collect();
    if letters.next().is_some() { format!("{}…", head.trim_end()) } else { head }
}

const COLUMN: usize = 36;
