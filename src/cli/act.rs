//! A change that is shown before it is made: instead of it with `--dry-run`, before a question without `--yes`.

use serde_json::Value;

use crate::confirm::Confirm;
use crate::exit::Stop;
use crate::output::{Report, Screen};
use crate::remote::Admin;

/// What such a change takes.
#[derive(Debug, clap::Args)]
pub struct Act {
    /// Show what it would do, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

/// What a change would do.
pub(crate) enum Foreseen {
    /// Nothing: that is told, and the end of it.
    Nothing(Box<Report>),
    /// This, as it is told and asked about.
    Change { did: String, json: Value, facts: Vec<(&'static str, String)> },
}

impl Act {
    /// Whether the change is only to be shown.
    pub(crate) const fn is_dry(&self) -> bool {
        self.dry_run
    }

    /// To be asked before anything is sent.
    ///
    /// # Errors
    /// Somebody would have to be asked, and nobody can be.
    pub(crate) fn may_begin(&self) -> Result<(), Stop> {
        if self.dry_run { Ok(()) } else { self.confirm.asks().map(drop) }
    }

    /// Shows what `foresee` says and asks; with `--yes` neither. Gives what there is to tell where nothing is to be done.
    ///
    /// # Errors
    /// As [`Act::may_begin`]; what `foresee` meets; the user does not confirm.
    pub(crate) async fn first(
        &self,
        screen: Screen,
        foresee: impl AsyncFnOnce() -> Result<Foreseen, Stop>,
    ) -> Result<Option<Report>, Stop> {
        if !self.dry_run && !self.confirm.asks()? {
            return Ok(None);
        }
        match foresee().await? {
            Foreseen::Nothing(report) => Ok(Some(*report)),
            Foreseen::Change { did, json, facts } if self.dry_run => {
                let report = Report::new(format!("{did} Nothing was changed."), json).facts(facts);
                Ok(Some(report.next("the same command without --dry-run")))
            }
            Foreseen::Change { facts, .. } => self.confirm.ask(screen, &facts).map(|()| None),
        }
    }
}
