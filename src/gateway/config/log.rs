//! `[log]`: what is said on standard error.

use serde::{Deserialize, Serialize};

/// What is said on standard error.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least serious level that is shown.
    pub level: Level,
    /// For people or for machines.
    pub format: Format,
}

/// How serious an event is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// We failed.
    Error,
    /// We are about to, or somebody attacks.
    Warn,
    /// What an administrator wants to read.
    Info,
    /// Every connection.
    Debug,
    /// Everything.
    Trace,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, format: Format::Text }
    }
}
