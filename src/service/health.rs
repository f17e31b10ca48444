//! `GET /livez`, `GET /readyz`: whether the process runs, and whether it can do its work. Asked often, by machines: a
//! line of the log says when the answer changes, not each time it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::extract::State;
use http::request::Parts;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::certificate::{Certificate, WARN_DAYS};
use crate::fault::Fault;
use crate::http::described::{Asked, Operation};
use crate::http::extract::Json;
use crate::http::problem::{Code, FieldFault, Problem};
use crate::store::Store;

/// What is looked at.
#[derive(Debug)]
pub(crate) struct Health {
    store: Arc<Store>,
    certificate: Arc<Certificate>,
    /// What was said last.
    ready: AtomicBool,
}

/// All is well, or well enough.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Answer {
    status: Grade,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, JsonSchema, Serialize)]
pub struct Check {
    /// Which.
    pub name: &'static str,
    /// How it stands.
    pub status: Grade,
    /// In figures.
    pub detail: String,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Well.
    Ok,
    /// It will not for long.
    Warn,
    /// The service cannot do its work.
    Fail,
}

/// `GET /livez`: the process answers.
pub(crate) async fn alive() -> Json<Answer> {
    Json(Answer { status: Grade::Ok, checks: Vec::new() })
}

/// `GET /readyz` and `GET /healthz`: the journal can be written, and the clock has not gone back. With `?verbose`, all
/// that was looked at.
pub(crate) async fn ready(
    State(health): State<Arc<Health>>,
    Verbose(verbose): Verbose,
) -> Result<Json<Answer>, Problem> {
    let ready = health.store.ready();
    health.note(&ready);
    let checks = if verbose { health.checks(&ready) } else { Vec::new() };
    match ready {
        Ok(()) => {
            let worst = checks.iter().map(|check| check.status).max().unwrap_or(Grade::Ok);
            Ok(Json(Answer { status: worst, checks }))
        }
        Err(fault) => Err(Problem::from(fault).with_checks(checks)),
    }
}

/// `?verbose`, with or without a value that says yes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbose(bool);

impl<S: Send + Sync> FromRequestParts<S> for Verbose {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.uri.query() {
            None | Some("") => Ok(Self(false)),
            Some("verbose" | "verbose=" | "verbose=1" | "verbose=true") => Ok(Self(true)),
            Some(_) => Err(Problem::field(Code::QueryInvalid, "verbose", FieldFault::Unknown)),
        }
    }
}

impl Asked for Verbose {
    fn describe(operation: &mut Operation<'_>) {
        let schema = json!({ "type": "string", "enum": ["", "1", "true"] });
        operation.query("verbose", "Says all that was looked at.", schema);
    }
}

impl Health {
    pub(crate) fn new(store: Arc<Store>, certificate: Arc<Certificate>) -> Self {
        Self { store, certificate, ready: AtomicBool::new(true) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn note(&self, ready: &Result<(), Fault>) {
        let was = self.ready.swap(ready.is_ok(), Ordering::Relaxed);
        match ready {
            Ok(()) if !was => tracing::info!("ready again"),
            Err(fault) if was => tracing::warn!(error = fault as &dyn std::error::Error, "not ready"),
            _ => {}
        }
    }

    /// A new check is a line here.
    fn checks(&self, ready: &Result<(), Fault>) -> Vec<Check> {
        vec![store(ready), clock(ready), self.keys(), self.disk(), self.certificate_left()]
    }

    fn keys(&self) -> Check {
        let age_s = self.store.sealing_key_age_s();
        let status = if age_s > KEY_AGE_WARN_S { Grade::Warn } else { Grade::Ok };
        let signing = self.store.signing_key_age_s() / 86_400;
        let detail = format!("the newest sealing key is {age_s} s old, the signing key {signing} days");
        Check { name: "keys", status, detail }
    }

    fn disk(&self) -> Check {
        let (status, detail) = match self.store.free_bytes() {
            Some(free) if free < DISK_WARN_SIZE => {
                (Grade::Warn, format!("{} MiB free: when none are, nothing is issued", free >> 20))
            }
            Some(free) => (Grade::Ok, format!("{} MiB free", free >> 20)),
            None => (Grade::Warn, "unknown".to_owned()),
        };
        Check { name: "disk", status, detail }
    }

    fn certificate_left(&self) -> Check {
        let days = self.certificate.days_left(self.store.now());
        let status = if days < WARN_DAYS { Grade::Warn } else { Grade::Ok };
        Check { name: "certificate", status, detail: format!("{days} days left") }
    }
}

fn store(ready: &Result<(), Fault>) -> Check {
    let (status, detail) = match ready {
        Ok(()) | Err(Fault::ClockBehind { .. }) => (Grade::Ok, "can be written".to_owned()),
        Err(fault) => (Grade::Fail, fault.to_string()),
    };
    Check { name: "store", status, detail }
}

fn clock(ready: &Result<(), Fault>) -> Check {
    let (status, detail) = match ready {
        Err(fault @ Fault::ClockBehind { .. }) => (Grade::Fail, fault.to_string()),
        _ => (Grade::Ok, "not behind the last record".to_owned()),
    };
    Check { name: "clock", status, detail }
}

/// A sealing key is renewed every day.
const KEY_AGE_WARN_S: u32 = 2 * 86_400;
/// Sixteen segments of the journal: `sidekey doctor` finds fault with as little.
const DISK_WARN_SIZE: u64 = 256 << 20;
