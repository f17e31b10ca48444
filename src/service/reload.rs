//! A configuration that takes the place of another while the service runs, and which of its options did.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::certificate::{BadTls, Certificate};
use crate::clock::Clock;
use crate::config::{Config, Limits};
use crate::live::Live;
use crate::telemetry::Logs;

/// What can be replaced.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// In force, apart from what needs a new start.
    config: Mutex<Config>,
    limits: Live<Limits>,
    certificate: Arc<Certificate>,
    logs: Option<Logs>,
    clock: Arc<dyn Clock>,
}

/// What a reload did.
#[derive(Debug)]
pub struct Reloaded {
    /// Options that are other than they were, and are in force now.
    pub applied: Vec<String>,
    /// Options that are other than they were, and need a new start.
    pub not_applied: Vec<String>,
    /// Why the certificate that was in force still is.
    pub certificate: Result<(), BadTls>,
}

impl Reloader {
    pub(crate) fn new(
        config: Config,
        limits: Live<Limits>,
        certificate: Arc<Certificate>,
        logs: Option<Logs>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Parts { config: Mutex::new(config), limits, certificate, logs, clock }))
    }

    /// Puts `config` into force, as far as that is possible without a new start, and says in the log how far.
    #[must_use]
    pub fn reload(&self, config: Config) -> Reloaded {
        let parts = &self.0;
        let mut current = parts.config.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = parts.certificate.reload(&config, parts.clock.now());
        let (mut applied, mut not_applied) = (Vec::new(), Vec::new());
        for option in differences(&current, &config) {
            let refused = option.starts_with("tls.") && certificate.is_err();
            let logged = !option.starts_with("log.") || parts.logs.is_some();
            if at_once(&option) && logged && !refused {
                applied.push(option);
            } else {
                not_applied.push(option);
            }
        }
        if let Some(logs) = &parts.logs {
            logs.apply(&config.log);
        }
        let limits = current.limits.with_live_of(&config.limits);
        parts.limits.set(limits.clone());
        (current.limits, current.log) = (limits, config.log);
        if certificate.is_ok() {
            current.tls = config.tls;
        }
        drop(current);
        let reloaded = Reloaded { applied, not_applied, certificate };
        reloaded.note();
        reloaded
    }

    /// Looks whether somebody has put another certificate there, and takes it.
    pub(crate) fn watch(&self) {
        let parts = &self.0;
        let current = parts.config.lock().unwrap_or_else(PoisonError::into_inner);
        if !parts.certificate.changed(&current) {
            return;
        }
        match parts.certificate.reload(&current, parts.clock.now()) {
            Ok(()) => {
                let days = parts.certificate.days_left(parts.clock.now());
                tracing::info!(days, "the certificate's files have changed: the new one is in force");
            }
            Err(bad) => refused(&bad),
        }
    }
}

impl Reloaded {
    fn note(&self) {
        let (applied, not_applied) = (self.applied.join(", "), self.not_applied.join(", "));
        tracing::info!(applied, not_applied, "configuration reloaded");
        if !self.not_applied.is_empty() {
            tracing::warn!(options = not_applied, "these options take effect at the next start");
        }
        if let Err(bad) = &self.certificate {
            refused(bad);
        }
    }
}

fn refused(bad: &BadTls) {
    tracing::error!(error = bad as &dyn std::error::Error, "the certificate in force stays");
}

/// Whether an option takes effect without a new start. What is not in this list does not.
#[must_use]
pub fn at_once(option: &str) -> bool {
    matches!(
        option,
        "limits.address_open_per_min"
            | "limits.address_pairing_per_min"
            | "limits.address_tokens_per_min"
            | "limits.admin_changes_per_min"
            | "limits.admin_reads_per_min"
            | "limits.answer_s"
            | "limits.body_s"
            | "limits.client_changes_per_min"
            | "limits.client_reads_per_min"
            | "limits.drain_s"
            | "limits.headers_size_bytes"
            | "limits.rate_entries"
            | "limits.server_changes_per_min"
            | "limits.server_reads_per_min"
            | "log.format"
            | "log.level"
            | "tls.certificate_file"
            | "tls.key_file"
    )
}

/// The options in which two configurations differ, as they stand in the file: `limits.body_s`.
#[must_use]
pub fn differences(before: &Config, after: &Config) -> Vec<String> {
    let value = |config| serde_json::to_value(config).expect("a configuration is texts and numbers");
    let mut names = Vec::new();
    compare("", &value(before), &value(after), &mut names);
    names
}

fn compare(name: &str, before: &Value, after: &Value, names: &mut Vec<String>) {
    match (before, after) {
        // An option whose value is a table is one option: only sections are looked into.
        (Value::Object(before), Value::Object(after)) if name.is_empty() || !OPTIONS.contains(&name) => {
            let both = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
            for key in both {
                let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                let of = |table: &serde_json::Map<String, Value>| table.get(key).cloned().unwrap_or_default();
                compare(&inner, &of(before), &of(after), names);
            }
        }
        _ if before != after => names.push(name.to_owned()),
        _ => {}
    }
}

/// Options that are tables themselves.
const OPTIONS: &[&str] = &["root_key"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Level, RootKey};

    #[test]
    fn differences_are_named_as_they_stand_in_the_file() {
        let before = Config::default();
        let mut after = before.clone();
        assert!(differences(&before, &after).is_empty());
        after.log.level = Level::Debug;
        after.limits.body_s = 1;
        after.root_key = RootKey::Env("X".into());
        after.listen = "127.0.0.1:1".parse().unwrap();
        assert_eq!(differences(&before, &after), ["limits.body_s", "listen", "log.level", "root_key"]);
    }

    #[test]
    fn what_takes_effect_at_once_is_what_a_reload_takes_over() {
        let (before, mut other) = (Limits::default(), serde_json::to_value(Limits::default()).unwrap());
        for value in other.as_object_mut().unwrap().values_mut() {
            *value = (value.as_u64().unwrap() + 1).into();
        }
        let taken = before.with_live_of(&serde_json::from_value(other).unwrap());
        let with = |limits| Config { limits, ..Config::default() };
        let taken = differences(&with(before.clone()), &with(taken));
        let all = serde_json::to_value(before).unwrap();
        let names = all.as_object().unwrap().keys().map(|name| format!("limits.{name}"));
        assert_eq!(taken, names.filter(|name| at_once(name)).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_said_to_take_effect_at_once_exists() {
        let value = serde_json::to_value(Config::default()).unwrap();
        let mut count = 0;
        for (section, options) in value.as_object().unwrap() {
            let Some(options) = options.as_object() else { continue };
            count += options.keys().filter(|option| at_once(&format!("{section}.{option}"))).count();
        }
        assert_eq!(count, 18);
    }
}
