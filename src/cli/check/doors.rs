//! A gateway's configuration, and the other doors to the same mail: a proxy credential opens none of them.

use std::path::PathBuf;

use sidekey_client::credential::CredentialSecret;
use sidekey_gateway::doors::{Answer, knock};
use sidekey_protocol::ids::UserName;

use super::Check;
use crate::exit::{Exit, Stop};
use crate::output::shell;
use crate::serve::chain;

/// Which gateway to look at, and what to knock with.
#[derive(Clone, Debug, clap::Args)]
pub struct Doors {
    /// Look at the gateway that has this configuration
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Whose credential it is
    #[arg(long, value_name = "USER", requires = "gateway", requires = "credential_file")]
    user: Option<UserName>,
    /// A file with a proxy credential, as `sidekey credential issue` showed it
    #[arg(long, value_name = "FILE", requires = "user")]
    credential_file: Option<PathBuf>,
}

impl Doors {
    /// What is found; `None` where no gateway is named.
    ///
    /// # Errors
    /// The credential's file cannot be used.
    pub async fn checks(&self) -> Result<Option<Vec<Check>>, Stop> {
        let Some(gateway) = &self.gateway else { return Ok(None) };
        let config = match sidekey_gateway::Config::read(gateway) {
            Ok(config) => config,
            Err(bad) => {
                let edit = format!("edit {}", shell(&gateway.display().to_string()));
                return Ok(Some(vec![Check::finding(CONFIGURATION, chain(&bad), edit)]));
            }
        };
        let said = format!("{} says what a gateway's configuration says", gateway.display());
        let mut checks = vec![Check::fine(CONFIGURATION, said)];
        let (Some(user), Some(file)) = (&self.user, &self.credential_file) else {
            checks.push(Check::unknown(DOOR, "no credential to try: --user and --credential-file"));
            return Ok(Some(checks));
        };
        let secret = credential(file)?;
        let users = config.upstream.names_of(user.as_str());
        match knock(&config, &users, &secret.expose_printed()).await {
            Ok(knocked) => {
                checks.extend(knocked.into_iter().map(|one| match one.answer {
                    Answer::Shut => Check::fine(DOOR, format!("{} stays shut", one.door)),
                    Answer::Unknown(error) => Check::unknown(DOOR, format!("{}: {error}", one.door)),
                    Answer::Opens => Check::finding(
                        DOOR,
                        format!("{} opens: the operator reads mail there as it is", one.door),
                        "give the user another password there, one that no operator was given",
                    ),
                }));
            }
            Err(bad) => checks.push(Check::finding(DOOR, chain(&bad), "mend that file, or name another")),
        }
        Ok(Some(checks))
    }
}

fn credential(file: &std::path::Path) -> Result<CredentialSecret, Stop> {
    let unusable = |what: String| Stop::new(Exit::Failed, "credential_unusable", what);
    let text = std::fs::read_to_string(file)
        .map_err(|error| unusable(format!("cannot read {}: {error}", file.display())))?;
    let text = zeroize::Zeroizing::new(text);
    text.trim().parse().map_err(|_| {
        unusable(format!("{} does not hold a proxy credential: five groups of four symbols", file.display()))
    })
}

const CONFIGURATION: &str = "configuration";
const DOOR: &str = "door";
