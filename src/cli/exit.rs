//! How a command ends: exit codes, and what the user is told.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Why a command ended otherwise than well. The numbers are a promise to scripts: [`HELP`] documents them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Exit {
    /// Something failed, here or at the service.
    Failed = 1,
    /// The command line asks for something that is no command.
    Usage = 2,
    /// What the command names does not exist, or is not ours to see.
    NotFound = 3,
    /// No credential, a wrong one, or a revoked one.
    Denied = 4,
    /// It exists already, is over, or is busy.
    Conflict = 5,
    /// Not now: unreachable, overloaded, or out of time. Worth another try.
    Unavailable = 6,
    /// What arrived is not what its maker sealed or signed.
    Unverified = 7,
    /// An attack of a drill was not refused, or its honest twin was.
    Unrefused = 8,
    /// Ctrl-C came, and what was begun has been cleaned up. (Other commands are ended by the signal itself.)
    Interrupted = 130,
}

/// What `sidekey --help` says about exit codes.
pub const HELP: &str = "\
Exit codes:
    0  done
    1  failed, here or at the service
    2  not a valid command line
    3  not found
    4  not allowed: no credential, a wrong one, or a revoked one
    5  conflict: exists already, is over, or is in use
    6  unavailable: unreachable, busy or out of time; try again
    7  verification failed: what arrived is not what was sealed or signed
    8  a drill's attack was not refused, or its honest twin was
  130  interrupted by Ctrl-C (as shells report that signal; serve drains and ends with 0, told twice with this)";

impl Exit {
    /// The code for a problem document of the service.
    #[must_use]
    pub fn of_problem(status: u16, code: &str) -> Self {
        match (status, code) {
            // Gone for everybody is a conflict with time; gone for this party alone is a door that was shut.
            (410, "revoked") | (401 | 403, _) => Self::Denied,
            (404, _) => Self::NotFound,
            (409 | 410 | 412 | 428, _) => Self::Conflict,
            (408 | 429 | 502..=504, _) => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what it was asked, told so that the next step is clear.
#[derive(Debug)]
pub struct Stop {
    exit: Exit,
    code: String,
    what: String,
    next: Option<String>,
    members: Vec<(&'static str, Value)>,
}

impl Stop {
    /// Ends with `exit`; `code` is for scripts and stable, `what` for eyes.
    pub fn new(exit: Exit, code: &str, what: impl fmt::Display) -> Self {
        Self { exit, code: code.into(), what: what.to_string(), next: None, members: Vec::new() }
    }

    /// The command line is none; `what` is clap's own explanation, which names itself an error.
    #[must_use]
    pub fn usage(what: &str) -> Self {
        Self::new(Exit::Usage, "usage", what.strip_prefix("error: ").unwrap_or(what))
    }

    /// The one thing to do now: a command, or a sentence.
    #[must_use]
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// Adds a member to the JSON form.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// What it is, for a caller that knows more.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What happened, for eyes.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The one thing to do now.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// For eyes.
    #[must_use]
    pub fn text(&self) -> String {
        let next = self.next.as_ref().map(|next| format!("\nNext: {next}")).unwrap_or_default();
        format!("sidekey: {}{next}", self.what)
    }

    /// For scripts: shaped like a problem document (RFC 9457).
    #[must_use]
    pub fn json(&self) -> Value {
        let mut document = json!({ "code": self.code, "detail": self.what, "exit": self.exit as u8 });
        if let Some(next) = &self.next {
            document["next"] = json!(next);
        }
        for (name, value) in &self.members {
            document[*name] = value.clone();
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_documented() {
        use Exit::{Conflict, Denied, Failed, NotFound, Unavailable, Unrefused, Unverified, Usage};
        for exit in [Failed, Usage, NotFound, Denied, Conflict, Unavailable, Unverified, Unrefused] {
            assert!(HELP.lines().any(|line| line.starts_with(&format!("{:5}  ", exit as u8))), "{exit:?}");
        }
    }

    #[test]
    fn a_revoked_party_is_refused_and_an_ended_session_is_over() {
        assert_eq!(Exit::of_problem(410, "revoked"), Exit::Denied);
        assert_eq!(Exit::of_problem(410, "session_ended"), Exit::Conflict);
        assert_eq!(Exit::of_problem(404, "not_found"), Exit::NotFound);
        assert_eq!(Exit::of_problem(503, "not_ready"), Exit::Unavailable);
        assert_eq!(Exit::of_problem(500, "internal"), Exit::Failed);
    }
}
