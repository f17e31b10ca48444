//! Who a command acts as that both administrators and parties may give.

use std::path::PathBuf;

use sidekey_client::admin;

use crate::exit::Stop;
use crate::profile::{self, Party, Profile};
use crate::remote::{Admin, Timeout};

/// Whom to act as, and how long to wait.
///
/// What is said comes before what is in the environment, and that before what is chosen or found: the pairing that
/// this machine has by default, else the administrator's credential.
#[derive(Clone, Debug, clap::Args)]
pub struct Actor {
    /// Act as the administrator whose credential this is [env: SIDEKEY_ADMIN=]
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    admin: Option<PathBuf>,
    /// Act as this profile, a pairing's or an administrator's [env: SIDEKEY_PROFILE=] [default: see sidekey profile --help]
    #[arg(long, value_name = "NAME", value_parser = profile::name)]
    profile: Option<String>,
    #[command(flatten)]
    timeout: Timeout,
}

/// Whom a command acts as.
#[derive(Debug)]
pub enum Acting {
    /// An administrator.
    Admin(admin::Admin),
    /// What this machine is paired as.
    Party(Party),
}

impl Actor {
    /// How long to wait.
    #[must_use]
    pub const fn timeout(&self) -> Timeout {
        self.timeout
    }

    /// The options that name the same actor again.
    #[must_use]
    pub fn option(&self) -> String {
        match &self.profile {
            Some(name) => format!(" --profile {name}"),
            None => String::new(),
        }
    }

    /// Whoever it is, ready to work.
    ///
    /// # Errors
    /// There is neither a pairing nor a credential, or it cannot be used.
    pub async fn acting(&self) -> Result<Acting, Stop> {
        let named = self.profile.clone().or_else(profile::in_environment);
        let admin = Admin::new(self.admin.clone(), named.clone(), self.timeout);
        let is_admin = match &named {
            _ if self.admin.is_some() => true,
            Some(name) => profile::admins::exists(name)?,
            None => {
                let set = std::env::var_os("SIDEKEY_ADMIN").is_some_and(|value| !value.is_empty());
                set || !Profile::chosen(None)?.exists()? && admin.exists()?
            }
        };
        if is_admin {
            return admin.open().map(Acting::Admin);
        }
        Profile::chosen(named)?.party(self.timeout).await.map(Acting::Party)
    }
}
