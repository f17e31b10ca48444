//! An attack and its honest twin, and what came of both.
//!
//! ```text
//!   Attack ──its bout──▶ Step, Step, …  each with what was expected and what came ──▶ Fought, with a Verdict
//! ```
//! Attacks stand in tables, a group each; an attack that takes several steps is one function. In it, [`Bout::attack`]
//! is what must be refused and change nothing, [`Bout::twin`] what must be accepted, and [`Bout::holds`] what must be
//! so afterwards.

use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use sidekey_client::Error;
use sidekey_service::problem::Code;

use super::ask::{Answer, Ask};
use super::ground::Ground;
use crate::output::word;

/// What is attacked.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The two steps of pairing, invitations and approvals.
    Pairing,
    /// Bearer tokens.
    Tokens,
    /// Sessions, and who may have their keys.
    Sessions,
    /// Wrapped keys, at the devices that they are for and are not for.
    Envelopes,
    /// Revocations, and the head of all of them.
    Revocation,
    /// Bodies, lines, lengths and paths of HTTP.
    Http,
    /// TLS, before anything is asked.
    Tls,
}

/// A table of attacks of one group that take several steps each: `name, what it does, promise => its bout;`.
macro_rules! bouts {
    ($group:ident: $($name:literal, $does:literal, $promise:expr => $bout:ident;)*) => {
        vec![$(Attack::new(Group::$group, $name, $does, $promise, |bout| Box::pin($bout(bout)))),*]
    };
}
pub(super) use bouts;

/// One attack.
pub struct Attack {
    /// What is attacked.
    pub group: Group,
    /// For scripts.
    pub name: &'static str,
    /// For eyes.
    pub does: &'static str,
    /// The promise of SECURITY.md that is broken where it is not refused.
    pub promise: &'static str,
    go: Box<dyn for<'a> Fn(&'a mut Bout) -> Going<'a>>,
}

/// A bout under way.
pub type Going<'a> = Pin<Box<dyn Future<Output = Went> + 'a>>;

/// How a bout, or a piece of it, went.
pub type Went<T = ()> = Result<T, Over>;

/// Why a bout does not go on to its end.
#[derive(Debug)]
pub enum Over {
    /// What came is among its steps already.
    Told,
    /// Something that is no attack did not work.
    Failed(String),
}

/// One attack's steps, while they are made.
#[derive(Debug)]
pub struct Bout {
    /// Whom it is fought with.
    pub ground: Arc<Ground>,
    steps: Vec<Step>,
}

/// One thing that was tried, or looked at afterwards.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Whose it is.
    pub side: Side,
    /// What was done.
    pub what: String,
    /// What must come of it.
    pub expected: String,
    /// What came.
    pub came: String,
    /// Whether that is the same.
    pub held: bool,
}

/// Who acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Whoever must be refused.
    Attack,
    /// Whoever does the same honestly.
    Twin,
}

/// What is said of an attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was refused as it must be, and its twin accepted.
    Refused,
    /// It was not.
    NotRefused,
    /// It was, and so was its twin.
    TwinRefused,
}

/// An attack that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Fought {
    /// What was attacked.
    pub group: Group,
    /// For scripts.
    pub attack: &'static str,
    /// For eyes.
    pub does: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// The promise of SECURITY.md that stands behind it.
    pub promise: &'static str,
    /// Each step.
    pub steps: Vec<Step>,
}

impl Attack {
    /// Of this group; `go` is its bout.
    pub fn new(
        group: Group,
        name: &'static str,
        does: &'static str,
        promise: &'static str,
        go: impl for<'a> Fn(&'a mut Bout) -> Going<'a> + 'static,
    ) -> Self {
        Self { group, name, does, promise, go: Box::new(go) }
    }

    /// Tries it.
    pub async fn fought(&self, ground: &Arc<Ground>) -> Fought {
        let mut bout = Bout { ground: Arc::clone(ground), steps: Vec::new() };
        if let Err(Over::Failed(came)) = (self.go)(&mut bout).await {
            bout.step(Side::Twin, "what an honest party does here", "it is done", came, false);
        }
        let Bout { steps, .. } = bout;
        let (group, attack, does, promise) = (self.group, self.name, self.does, self.promise);
        Fought { group, attack, does, verdict: verdict(&steps), promise, steps }
    }
}

fn verdict(steps: &[Step]) -> Verdict {
    let failed = |side| steps.iter().any(|step| step.side == side && !step.held);
    // An attack of which nothing was seen was not refused.
    let seen = |side| steps.iter().any(|step| step.side == side);
    match () {
        () if failed(Side::Attack) => Verdict::NotRefused,
        () if failed(Side::Twin) || !seen(Side::Twin) => Verdict::TwinRefused,
        () if !seen(Side::Attack) => Verdict::NotRefused,
        () => Verdict::Refused,
    }
}

impl Bout {
    /// Sends what must be refused so, and must change nothing that the audit log would tell of.
    ///
    /// # Errors
    /// The audit log cannot be read.
    pub async fn attack(&mut self, what: impl Display, ask: Ask, code: Code) -> Went<Option<Answer>> {
        self.ground.changes().await?;
        let answer = self.recorded(what, ask, code).await;
        self.unchanged().await?;
        Ok(answer)
    }

    /// Sends what must be refused so, and is to be recorded.
    pub async fn recorded(&mut self, what: impl Display, ask: Ask, code: Code) -> Option<Answer> {
        let expected = format!("{} {}", code.status(), code.as_str());
        let (came, answer) = match self.ground.wire.ask(&ask).await {
            Ok(answer) => (answer.shown(), Some(answer)),
            Err(error) => (format!("no answer: {error}"), None),
        };
        let held = came == expected;
        self.step(Side::Attack, what, expected, came, held);
        answer
    }

    /// That nothing of the drill's own was changed since the log was last looked at.
    ///
    /// # Errors
    /// The audit log cannot be read.
    pub async fn unchanged(&mut self) -> Went {
        let changes = self.ground.changes().await?;
        if !changes.is_empty() {
            let came = format!("the audit log tells of {}", changes.join(", "));
            self.step(Side::Attack, "what has changed", "nothing", came, false);
        }
        Ok(())
    }

    /// Sends what must be accepted with this status.
    ///
    /// # Errors
    /// [`Over::Told`]: it was not.
    pub async fn twin(&mut self, what: impl Display, ask: Ask, status: u16) -> Went<Answer> {
        match self.ground.wire.ask(&ask).await {
            Ok(answer) => {
                let held = answer.status == status;
                self.step(Side::Twin, what, status.to_string(), answer.shown(), held);
                if held { Ok(answer) } else { Err(Over::Told) }
            }
            Err(error) => {
                self.step(Side::Twin, what, status.to_string(), format!("no answer: {error}"), false);
                Err(Over::Told)
            }
        }
    }

    /// What must be so; `otherwise` is what it is if it is not.
    pub fn holds(&mut self, side: Side, what: impl Display, holds: bool, otherwise: impl Display) {
        let came = if holds { SO.to_owned() } else { otherwise.to_string() };
        self.step(side, what, SO, came, holds);
    }

    /// What the client crate must refuse, in these words or a part of them.
    pub fn refused_here<T, E: Display>(
        &mut self,
        what: impl Display,
        words: &'static str,
        came: Result<T, E>,
    ) {
        let came = came.map_or_else(|error| error.to_string(), |_| "it was taken".to_owned());
        let held = came.contains(words);
        self.step(Side::Attack, what, words, came, held);
    }

    /// What the client crate must take.
    ///
    /// # Errors
    /// [`Over::Told`]: it did not.
    pub fn taken_here<T, E: Display>(&mut self, what: impl Display, came: Result<T, E>) -> Went<T> {
        match came {
            Ok(taken) => {
                self.step(Side::Twin, what, "it is taken", "it was taken", true);
                Ok(taken)
            }
            Err(error) => {
                self.step(Side::Twin, what, "it is taken", error.to_string(), false);
                Err(Over::Told)
            }
        }
    }

    /// Adds a step.
    pub fn step(
        &mut self,
        side: Side,
        what: impl Display,
        expected: impl Into<String>,
        came: impl Into<String>,
        held: bool,
    ) {
        // What a service says does not steer the terminal.
        let came: String = came.into().chars().filter(|c| !c.is_control()).collect();
        self.steps.push(Step { side, what: what.to_string(), expected: expected.into(), came, held });
    }
}

impl Fought {
    /// The step that tells most: the first that did not hold, else the last answer on this side, else what is so.
    #[must_use]
    pub fn telling(&self, side: Side) -> Option<&Step> {
        let of_side = || self.steps.iter().filter(|step| step.side == side);
        let failed = of_side().find(|step| !step.held);
        failed.or_else(|| of_side().rfind(|step| step.expected != SO)).or_else(|| of_side().next_back())
    }

    /// Every step that did not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !step.held)
    }
}

impl From<Error> for Over {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Over {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<serde_json::Error> for Over {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(format!("an answer of another form: {error}"))
    }
}

impl fmt::Debug for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attack({}/{})", word(self.group), self.name)
    }
}

/// What is expected where something must be so.
const SO: &str = "so it is";
