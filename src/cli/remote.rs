//! The service from here: the administrator's way to it, how long to wait, and how its refusals end a command.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use sidekey_client::admin::{self, AdminCredential};
use sidekey_client::error::{Unavailable, Usage};
use sidekey_client::{Ambient, Error};
use sidekey_service::problem::Code;

use crate::exit::{Exit, Stop};
use crate::output::shell;
use crate::profile::{self, Chosen};
use crate::serve;
use crate::time::{duration_s, rfc3339};
use crate::urls;

/// The administrator's credential, and how long to wait.
#[derive(Clone, Debug, clap::Args)]
pub struct Admin {
    /// The credential that `sidekey init` made [env: SIDEKEY_ADMIN=] [default: admin.json in the data folder]
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    admin: Option<PathBuf>,
    /// Act as this administrator's profile [env: SIDEKEY_PROFILE=] [default: the one that `profile use` chose]
    #[arg(long, value_name = "NAME", value_parser = profile::name)]
    profile: Option<String>,
    #[command(flatten)]
    timeout: Timeout,
}

/// How long to wait for the service.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Timeout {
    /// Give up on the service after this long
    #[arg(long, value_name = "DURATION", value_parser = duration_s, default_value = "30s", env = "SIDEKEY_TIMEOUT")]
    timeout: u32,
}

impl Admin {
    /// As these options say.
    #[must_use]
    pub const fn new(admin: Option<PathBuf>, profile: Option<String>, timeout: Timeout) -> Self {
        Self { admin, profile, timeout }
    }

    /// One piece of work, signed as the administrator.
    ///
    /// # Errors
    /// No usable credential; what the service refuses; the time is up.
    pub async fn run<T>(&self, work: impl AsyncFnOnce(&admin::Admin) -> Result<T, Error>) -> Result<T, Stop> {
        let service = self.open()?;
        self.timeout.bound(async { work(&service).await.map_err(refusal) }).await
    }

    /// The option by which `sidekey join` trusts the authority that `init` made, where that lies beside the credential.
    #[must_use]
    pub fn ca_option(&self) -> String {
        let ca = self.path().ok().map(|path| path.with_file_name("ca.pem")).filter(|path| path.exists());
        ca.map(|ca| format!(" --ca {}", shell(&ca.display().to_string()))).unwrap_or_default()
    }

    /// The pairing whose profile the command line names in place of an administrator's, if it does.
    ///
    /// # Errors
    /// No folder for profiles is known.
    pub fn pairing(&self) -> Result<Option<profile::Profile>, Stop> {
        let Some(name) = &self.profile else { return Ok(None) };
        let pairing = profile::Profile::chosen(Some(name.clone()))?;
        Ok((!profile::admins::exists(name)? && pairing.exists()?).then_some(pairing))
    }

    /// How long to wait.
    #[must_use]
    pub const fn timeout(&self) -> Timeout {
        self.timeout
    }

    /// Whether the command line names one.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        self.admin.is_some() || self.profile.is_some()
    }

    /// Whether there is such a credential.
    ///
    /// # Errors
    /// A profile is named that is no administrator's.
    pub fn exists(&self) -> Result<bool, Stop> {
        Ok(self.path()?.exists())
    }

    /// Signs as the administrator. Sends nothing.
    ///
    /// # Errors
    /// No usable credential.
    pub fn open(&self) -> Result<admin::Admin, Stop> {
        let path = self.path()?;
        let stop = |code, what: String| Stop::new(Exit::Denied, code, what);
        if !path.exists() {
            let what = format!("there is no administrator's credential at {}", path.display());
            return Err(stop("credential_missing", what).next(
                "sidekey init, where the service runs; elsewhere --admin with a copy of its admin.json",
            ));
        }
        let mut credential = AdminCredential::read(&path).map_err(|error| {
            stop("credential_unusable", format!("{} cannot be used: {error}", path.display()))
                .next(format!("chmod 600 {}, if it is a credential", shell(&path.display().to_string())))
        })?;
        credential.other_urls.extend(urls::of_the_environment()?);
        let admin = admin::Admin::new(credential, self.timeout.ambient()).map_err(refusal)?;
        // Beside the credential: what was seen of revocations outlives a service that forgets them.
        Ok(admin.remembering(&path.with_extension("head")))
    }

    /// Where the credential is: as said, as the environment says, as chosen, or in the data folder.
    ///
    /// # Errors
    /// A profile is named that is no administrator's.
    pub fn path(&self) -> Result<PathBuf, Stop> {
        let set = || std::env::var_os("SIDEKEY_ADMIN").filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = &self.admin {
            return Ok(path.clone());
        }
        if let Some(name) = &self.profile {
            return named(name);
        }
        if let Some(path) = set() {
            return Ok(path);
        }
        // In the environment a profile may be a pairing's, for other commands.
        if let Some(name) = profile::in_environment()
            && profile::admins::exists(&name)?
        {
            return profile::admins::path(&name);
        }
        match Chosen::read().ok().as_ref().and_then(Chosen::admin) {
            Some(name) => named(name),
            None => Ok(serve::data_folder().join("admin.json")),
        }
    }
}

fn named(name: &str) -> Result<PathBuf, Stop> {
    if profile::admins::exists(name)? {
        return profile::admins::path(name);
    }
    let known = profile::admins::names()?;
    let stop =
        Stop::new(Exit::NotFound, "profile_not_found", format!("there is no administrator's profile {name}"));
    Err(if known.is_empty() {
        stop.next(format!("sidekey profile add {name} --admin FILE"))
    } else {
        stop.next(format!("the same command with --profile and one of: {}", known.join(", ")))
    })
}

/// Runs a command's work.
///
/// # Errors
/// As `work`.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Stop::new(Exit::Failed, "runtime", format!("cannot start: {error}")))?
        .block_on(work)
}

impl Timeout {
    /// The system's clock and randomness, and this much patience with each request.
    #[must_use]
    pub fn ambient(self) -> Ambient {
        Ambient::system().with_deadline(Duration::from_secs(self.timeout.into()))
    }

    /// Ends `work` when the time is up.
    ///
    /// # Errors
    /// As `work`; the time is up.
    pub async fn bound<T>(self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        let limit = Duration::from_secs(self.timeout.into());
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", self.timeout);
            Err(Stop::new(Exit::Unavailable, "timeout", what)
                .next("the same command with a longer --timeout"))
        })
    }
}

/// How a refusal ends a command.
#[must_use]
pub fn refusal(error: Error) -> Stop {
    let what = error.to_string();
    match error {
        Error::PairAgain { code, .. } => Stop::new(Exit::Denied, &code, what)
            .next("ask the administrator for an invitation, and sidekey join"),
        Error::Revoked { reason, at } => Stop::new(
            Exit::Denied,
            "revoked",
            format!("revoked at {}: {reason}", rfc3339(at)),
        )
        .next(
            "what was revoked does not come back: ask the administrator for an invitation, and sidekey join",
        )
        .with("reason", reason)
        .with("revoked_at", at.0),
        Error::Pending { .. } => Stop::new(Exit::Denied, "approval_pending", what)
            .next("sidekey profile show NAME shows its digits: read them to your administrator"),
        Error::Expired => {
            Stop::new(Exit::Conflict, "session_over", what).next("sidekey session list shows the live ones")
        }
        Error::Retry { why: Unavailable::RolledBack, .. } => {
            Stop::new(Exit::Unavailable, "rolled_back", what).next("sidekey restore status")
        }
        Error::Retry { after, .. } => Stop::new(Exit::Unavailable, "unavailable", what)
            .next("sidekey serve, where the service lives; if it runs, check the way to it")
            .with("retry_after", after.as_secs()),
        Error::Tampered(_) => Stop::new(Exit::Unverified, "tampered", what).next(REPORT),
        Error::Downgrade(_) => Stop::new(Exit::Unverified, "downgrade", what).next(REPORT),
        Error::Mismatch(_) => Stop::new(Exit::Unverified, "mismatch", what).next(REPORT),
        Error::WrongPlace(_) => Stop::new(Exit::Unverified, "wrong_place", what).next(REPORT),
        Error::Untrusted => Stop::new(Exit::Unverified, "untrusted", what),
        Error::Usage(Usage::Occupied) => Stop::new(Exit::Conflict, "profile_exists", what),
        Error::Usage(Usage::Unpaired) => Stop::new(Exit::NotFound, "profile_not_found", what),
        Error::Usage(Usage::WrongRole) => Stop::new(Exit::Denied, "wrong_role", what),
        Error::Usage(Usage::Authority) => Stop::new(Exit::Usage, "no_authority", what),
        Error::Refused { code, detail } => refused(&code, &detail),
        _ => Stop::new(Exit::Failed, "failed", what),
    }
}

/// The service's own closed list says what happened, what to do, and how serious it is.
fn refused(code: &str, detail: &str) -> Stop {
    match Code::ALL.iter().find(|known| known.as_str() == code) {
        Some(known) => {
            Stop::new(Exit::of_problem(known.status(), code), code, known.title()).next(known.detail())
        }
        None => Stop::new(Exit::Failed, code, detail),
    }
}

const REPORT: &str = "tell the administrator: somebody on the way may be altering what passes";

#[cfg(test)]
mod tests {
    use sidekey_client::error::Tampered;
    use sidekey_protocol::ids::Timestamp;
    use sidekey_protocol::pairing::Refusal;

    use super::*;

    #[test]
    fn what_does_not_verify_ends_with_7() {
        let foreign = Error::Tampered(Tampered::Pairing(Refusal::PinMismatch));
        for error in [foreign, Error::Untrusted] {
            assert_eq!(refusal(error).exit(), Exit::Unverified);
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_service_s_own_words() {
        let stop = refusal(Error::Refused { code: "server_exists".into(), detail: String::new() });
        assert_eq!((stop.exit(), stop.code()), (Exit::Conflict, "server_exists"));
        assert!(stop.text().contains(Code::ServerExists.title()), "{}", stop.text());
        let newer = refusal(Error::Refused { code: "not_known_here".into(), detail: "because".into() });
        assert_eq!((newer.exit(), newer.text().as_str()), (Exit::Failed, "sidekey: because"));
    }

    #[test]
    fn a_revoked_party_reads_why_and_since_when() {
        let stop = refusal(Error::Revoked { reason: "phone lost".into(), at: Timestamp(0) });
        assert_eq!(stop.exit(), Exit::Denied);
        assert_eq!(stop.json()["reason"], "phone lost");
        assert!(stop.text().contains("revoked at 1970-01-01T00:00:00Z: phone lost"), "{}", stop.text());
    }
}
