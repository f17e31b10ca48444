//! `sidekey agent`: mail that travels sealed, for an unmodified mail program on this machine.

mod ask;
mod run;

use std::path::PathBuf;

use clap::Subcommand;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_agent::config::{BadConfig, Config, Listen, SHIPPED};
use sidekey_agent::password::{self, Hash};
use sidekey_agent::state::Folder;
use sidekey_agent::work::PASSWORD;

use crate::confirm::Confirm;
use crate::exit::{Exit, Stop};
use crate::output::{Report, Screen, shell};
use crate::profile::Profile;
use crate::serve::chain;

/// Let a mail program on this machine read mail that travels sealed through an operator's proxy
///
/// Runs until SIGTERM or Ctrl-C. The mail program connects here instead of to the proxy, logs in with the password that
/// `sidekey agent password` makes, and notices nothing of keys. What the proxy has changed, withheld or invented is not
/// shown as mail: the log says what, and so does the exit code (7) once the agent is stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Agent {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    place: Place,
    /// Listen here instead of where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH")]
    listen: Option<Listen>,
}

/// Which agent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The configuration [default: agent.toml beside the profiles]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    profile: Profile,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the password that mail programs log in with here
    ///
    /// Shown once, and kept as a hash. It is worth nothing at the proxy and at the mail server. A new one takes the place of the
    /// one before at once.
    #[command(after_help = PASSWORD_EXAMPLES)]
    Password {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show how the agent is: its connections, what it noticed, what it holds
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        #[command(flatten)]
        profile: Profile,
    },
    /// Say that messages which vanish at once may be gone, or that they may not
    ///
    /// Whoever stands on the path can say that a mailbox has been emptied, and a mail program would delete its copies. Say yes
    /// when you have deleted them yourself, elsewhere.
    #[command(name = "confirm", after_help = CONFIRM_EXAMPLES)]
    Say {
        /// What is held, as `agent status` shows it [default: the only one there is]
        id: Option<u64>,
        /// They may not: the connection ends, and the program keeps what it has
        #[arg(long)]
        refuse: bool,
        #[command(flatten)]
        profile: Profile,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Print a configuration to begin with
    #[command(after_help = EXAMPLE_EXAMPLES)]
    Example,
}

impl Agent {
    /// Does it; `None` when all was said on the way.
    ///
    /// # Errors
    /// What stands in the way, and what to do about it; what was noticed.
    pub fn run(self, screen: Screen) -> Result<Option<Report>, Stop> {
        match self.verb {
            None => run::run(&self.place, self.listen, screen).map(|()| None),
            Some(Verb::Password { place, confirm }) => place.make_password(confirm, screen).map(Some),
            Some(Verb::Status { profile }) => ask::status(&profile).map(Some),
            Some(Verb::Say { id, refuse, profile, confirm }) => {
                ask::confirm(id, !refuse, &profile, confirm, screen).map(Some)
            }
            Some(Verb::Example) => {
                let written = screen.verbatim(SHIPPED);
                written.map(|()| None).map_err(|error| Stop::new(Exit::Failed, "output", error))
            }
        }
    }
}

impl Place {
    /// What the configuration says, and its file.
    fn config(&self) -> Result<(Config, PathBuf), Stop> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None => Profile::home_file(CONFIG)?,
        };
        let shown = shell(&path.display().to_string());
        let config = Config::read(&path).map_err(|bad| match &bad {
            BadConfig::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                let what = format!("the agent has no configuration at {}", path.display());
                Stop::new(Exit::NotFound, "agent_not_configured", what)
                    .next(format!("sidekey agent example > {shown}, and name your proxy and yourself in it"))
            }
            _ => Stop::new(Exit::Failed, "configuration", chain(&bad)).next(format!("edit {shown}")),
        })?;
        Ok((config, path))
    }

    fn make_password(&self, confirm: Confirm, screen: Screen) -> Result<Report, Stop> {
        self.profile.file()?;
        let folder = folder(&self.profile)?;
        let name = self.profile.name();
        if folder.file(PASSWORD).exists() {
            let programs =
                "mail programs that know the one before are refused until they are told the new one";
            confirm.ask(screen, &[("profile", name.clone()), ("from now on", programs.to_owned())])?;
        }
        let mut rng = UnwrapErr(SysRng);
        let made = password::make(&mut rng);
        let kept = folder.replace(PASSWORD, &Hash::of(&made, &mut rng).expose());
        kept.map_err(|error| unusable(&folder, &error))?;
        let mut json = json!({ "profile": name, "password": *made });
        let mut facts = vec![("password", made.to_string())];
        // Before there is a configuration, the password is all there is to tell.
        let next = match self.config() {
            Ok((config, _)) => {
                json["user"] = json!(config.proxy.user);
                json["listen"] = json!(config.listen.to_string());
                let security = if config.tls.is_some() { "TLS" } else { "none: it is this machine itself" };
                facts.extend([
                    ("user", config.proxy.user),
                    ("IMAP server", config.listen.to_string()),
                    ("security", security.to_owned()),
                ]);
                format!("sidekey agent{}", self.profile.option())
            }
            Err(stop) => stop.advice().unwrap_or("sidekey agent").to_owned(),
        };
        let did = "Made a password. It is shown this once: give it to your mail program.";
        Ok(Report::new(did, json).facts(facts).next(next))
    }
}

/// The folder of a profile's agent.
fn folder(profile: &Profile) -> Result<Folder, Stop> {
    let path = profile.agent_folder()?;
    Folder::make(&path).map_err(|error| {
        Stop::new(Exit::Failed, "agent_folder", format!("cannot make the folder {}: {error}", path.display()))
    })
}

fn unusable(folder: &Folder, error: &std::io::Error) -> Stop {
    let what = format!("cannot use the agent's folder {}: {error}", folder.file("").display());
    Stop::new(Exit::Failed, "agent_folder", what)
}

/// The configuration's file, beside the profiles.
const CONFIG: &str = "agent.toml";

const EXAMPLES: &str = "\
From a paired device to a mail program that reads:
  sidekey join --profile phone
  sidekey agent example > ~/.config/sidekey/agent.toml
  sidekey agent password --profile phone
  sidekey agent --profile phone

Examples:
  sidekey agent --listen 127.0.0.1:1143
  sidekey agent --config work.toml --profile work
  sidekey agent status";
const PASSWORD_EXAMPLES: &str = "\
Examples:
  sidekey agent password
  sidekey agent password --profile phone --yes -o json";
const STATUS_EXAMPLES: &str = "\
Examples:
  sidekey agent status
  sidekey agent status -o json";
const CONFIRM_EXAMPLES: &str = "\
Examples:
  sidekey agent confirm
  sidekey agent confirm 3 --yes
  sidekey agent confirm 3 --refuse";
const EXAMPLE_EXAMPLES: &str = "\
Examples:
  sidekey agent example > ~/.config/sidekey/agent.toml";
