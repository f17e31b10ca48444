//! Before something is destroyed: what it acts on, and a question; on no terminal, `--yes` or nothing.

use std::io::{self, IsTerminal as _};

use crate::exit::{Exit, Stop};
use crate::output::Screen;

/// Whether the user has agreed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Confirm {
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
}

impl Confirm {
    /// Whether there is anything to show before asking: with `--yes` there is not.
    ///
    /// # Errors
    /// Nobody can be asked, and `--yes` is not given. Checked before anything else is done.
    pub fn asks(self) -> Result<bool, Stop> {
        if self.yes {
            return Ok(false);
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(true);
        }
        Err(Stop::new(
            Exit::Usage,
            "confirmation_needed",
            "this cannot be undone, and there is no terminal to ask on",
        )
        .next("the same command with --yes"))
    }

    /// Asks, unless `--yes`.
    ///
    /// # Errors
    /// As [`Self::asks`]; the answer is not yes.
    pub fn ask(self, screen: Screen, facts: &[(&str, String)]) -> Result<(), Stop> {
        if !self.asks()? {
            return Ok(());
        }
        screen.ask(facts, "This cannot be undone. Type yes to go on:");
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        if read.is_ok() && answer.trim().eq_ignore_ascii_case("yes") {
            return Ok(());
        }
        Err(Stop::new(Exit::Failed, "not_confirmed", "not confirmed: nothing was changed"))
    }
}
