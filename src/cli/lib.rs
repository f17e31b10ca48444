//! The command line of Sidekey: a file per noun, one binary.
//!
//! A command returns a [`output::Report`] or an [`exit::Stop`]; [`main`] writes it, as tables or as JSON.

pub mod act;
pub mod actor;
pub mod agent;
pub mod approve;
pub mod audit;
pub mod check;
pub mod client;
pub mod clock;
pub mod completion;
pub mod config;
pub mod confirm;
pub mod credential;
pub mod delivery;
pub mod demo;
pub mod doctor;
pub mod drill;
pub mod exit;
pub mod gateway;
pub mod hardening;
pub mod init;
pub mod invitation;
pub mod join;
pub mod key;
mod logs;
pub mod manager;
pub mod output;
pub mod owner;
pub mod policy;
pub mod profile;
pub mod qr;
pub mod remote;
pub mod restore;
pub mod revoke;
pub mod root;
pub mod serve;
pub mod server;
pub mod session;
pub mod signals;
pub mod since;
pub mod terminal;
pub mod time;
pub mod token;
pub mod urls;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Stop};
use crate::output::{Format, Report, Screen};

/// Session keys that travel beside the mail path, never through it
#[derive(Debug, Parser)]
#[command(name = "sidekey", version, after_help = EXAMPLES, after_long_help = after_long_help())]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Global {
    /// Tables for eyes, or JSON for scripts
    #[arg(short, long, global = true, value_enum, default_value_t, env = "SIDEKEY_OUTPUT")]
    #[arg(help_heading = "Output")]
    output: Format,
    /// Results alone: no remarks, no advice
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    Gateway(gateway::Gateway),
    Demo(demo::Demo),
    /// Mail servers that clients are paired with
    #[command(subcommand, arg_required_else_help = true, after_help = server::EXAMPLES)]
    Server(server::Server),
    /// Users' devices
    #[command(subcommand, arg_required_else_help = true, after_help = client::EXAMPLES)]
    Client(client::Client),
    Join(join::Join),
    /// What operators' proxies log in with at the gateway, as one user
    #[command(subcommand, arg_required_else_help = true, after_help = credential::EXAMPLES)]
    Credential(credential::Credential),
    /// Session keys, as the mail server or the client that this machine is paired as; as an administrator, no keys
    #[command(subcommand, arg_required_else_help = true, after_help = session::EXAMPLES)]
    Session(session::Session),
    /// What clients must insist on and the service keeps to: for everybody, a server or a user
    #[command(subcommand, arg_required_else_help = true, after_help = policy::EXAMPLES)]
    Policy(policy::Policy),
    Token(token::Token),
    Agent(agent::Agent),
    /// Keys and invitations on their way by carriers, beside HTTPS
    #[command(subcommand, arg_required_else_help = true, after_help = delivery::EXAMPLES)]
    Delivery(delivery::Delivery),
    /// The log of everything that ever changed anything
    #[command(subcommand, arg_required_else_help = true, after_help = audit::EXAMPLES)]
    Audit(audit::Audit),
    /// The pairings and the administrators that this machine can act as
    #[command(subcommand, arg_required_else_help = true, after_help = profile::noun::EXAMPLES)]
    Profile(profile::noun::Noun),
    /// Revoke a pairing, a user, a server, a session, an invitation or a credential, for ever
    #[command(subcommand, arg_required_else_help = true, after_help = revoke::EXAMPLES)]
    Revoke(revoke::Revoke),
    /// The keys that the service signs with
    #[command(subcommand, arg_required_else_help = true, after_help = key::EXAMPLES)]
    Key(key::Key),
    /// After the data folder was put back from an older copy
    #[command(subcommand, arg_required_else_help = true, after_help = restore::EXAMPLES)]
    Restore(restore::Restore),
    /// The key under which every other key is sealed
    #[command(subcommand, arg_required_else_help = true, after_help = root::EXAMPLES)]
    Root(root::Root),
    /// The machine's clock, after it went back
    #[command(subcommand, arg_required_else_help = true, after_help = clock::EXAMPLES)]
    Clock(clock::Noun),
    /// What the service would do, and whether it can
    #[command(subcommand, arg_required_else_help = true, after_help = config::EXAMPLES)]
    Config(config::Noun),
    Doctor(doctor::Doctor),
    Drill(drill::Drill),
    Completion(completion::Completion),
    Man(completion::Manual),
}

const EXAMPLES: &str = "\
From nothing to a session key, on one machine:
  sidekey init
  sidekey serve
  sidekey server add mail.example.org
  sidekey join --profile mail
  sidekey client invite ann@example.org --server mail.example.org
  sidekey join --profile phone
  sidekey session open ann@example.org --profile mail
  sidekey session list --profile phone";

/// Runs the command line that the process was given.
#[must_use]
pub fn main() -> ExitCode {
    hardening::leave_no_dump();
    let line: Vec<OsString> = std::env::args_os().collect();
    let args = match Args::try_parse_from(&line) {
        Ok(args) => args,
        Err(error) => return unparsed(&error, &line),
    };
    let screen = Screen::new(args.global.output, args.global.quiet);
    let done = args.command.run(screen).and_then(|report| match report {
        Some(report) => write(screen, &report).map(|()| report.exit()),
        None => Ok(None),
    });
    match done {
        Ok(ended) => ended.map_or(ExitCode::SUCCESS, ExitCode::from),
        Err(stop) => {
            screen.stop(&stop);
            stop.exit().into()
        }
    }
}

impl Command {
    /// Does it; `None` when all was said on the way.
    fn run(self, screen: Screen) -> Result<Option<Report>, Stop> {
        match self {
            Self::Init(init) => init.run().map(Some),
            Self::Serve(serve) => serve.run(screen).map(|()| None),
            Self::Gateway(gateway) => gateway.run(screen).map(|()| None),
            Self::Demo(demo) => demo.run(screen).map(|()| None),
            Self::Server(server) => remote::block_on(server.run(screen)).map(Some),
            Self::Client(client) => remote::block_on(client.run(screen)).map(Some),
            Self::Credential(credential) => remote::block_on(credential.run(screen)).map(Some),
            Self::Join(join) => remote::block_on(join.run(screen)).map(Some),
            Self::Session(session) => remote::block_on(session.run()).map(Some),
            Self::Agent(agent) => agent.run(screen),
            Self::Token(token) => remote::block_on(token.run(screen)).map(|()| None),
            Self::Policy(policy) => remote::block_on(policy.run(screen)).map(Some),
            Self::Delivery(delivery) => remote::block_on(delivery.run()).map(Some),
            Self::Audit(audit) => remote::block_on(audit.run(screen)),
            Self::Profile(profile) => profile.run(screen).map(Some),
            Self::Config(config) => config.run().map(Some),
            Self::Doctor(doctor) => remote::block_on(doctor.run()).map(Some),
            Self::Drill(drill) => remote::block_on(drill.run(screen)).map(Some),
            Self::Completion(completion) => completion.run(screen).map(|()| None),
            Self::Man(manual) => manual.run(screen),
            Self::Revoke(revoke) => remote::block_on(revoke.run(screen)).map(Some),
            Self::Restore(restore) => remote::block_on(restore.run(screen)).map(Some),
            Self::Key(key) => remote::block_on(key.run(screen)).map(Some),
            Self::Root(root) => root.run().map(Some),
            Self::Clock(clock) => clock.run(screen).map(Some),
        }
    }
}

fn write(screen: Screen, report: &Report) -> Result<(), Stop> {
    screen
        .report(report)
        .map_err(|error| Stop::new(Exit::Failed, "output", format!("cannot write the result: {error}")))
}

/// Help, the version, or a command line that is none.
fn unparsed(error: &clap::Error, line: &[OsString]) -> ExitCode {
    let screen = Screen::new(format_asked(line), false);
    if !error.use_stderr() {
        // Whether help reached its reader changes nothing.
        let _ = screen.verbatim(&error.render().to_string());
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    screen.stop(&Stop::usage(text.trim_end()));
    Exit::Usage.into()
}

/// The format that a command line asks for which does not parse as a whole.
fn format_asked(line: &[OsString]) -> Format {
    let words: Vec<_> = line.iter().filter_map(|word| word.to_str()).collect();
    let joined = words.iter().any(|word| matches!(*word, "-ojson" | "-o=json" | "--output=json"));
    let apart = words.windows(2).any(|pair| matches!(pair, ["-o" | "--output", "json"]));
    let asked = joined || apart || std::env::var("SIDEKEY_OUTPUT").is_ok_and(|format| format == "json");
    if asked { Format::Json } else { Format::Text }
}

fn after_long_help() -> String {
    format!("{EXAMPLES}\n\n{}\n\n{}", exit::HELP, ENVIRONMENT)
}

const ENVIRONMENT: &str = "\
Environment:
  SIDEKEY_DATA     the service's data folder [default: ./sidekey-data, or /var/lib/sidekey where that alone is]
  SIDEKEY_URL      the service's URLs, with commas between: init takes the first [default: https://localhost:8443];
                   elsewhere they are asked when the one that a profile or credential holds does not answer
  SIDEKEY_ADMIN    the administrator's credential [default: admin.json in the data folder]
  SIDEKEY_HOME     where profiles are kept [default: sidekey in the user's configuration folder]
  SIDEKEY_PROFILE  the profile to act as [default: see sidekey profile --help]
  SIDEKEY_CA       the certificate authority that join trusts [default: those of the system]
  SIDEKEY_OUTPUT   text or json [default: text]
  SIDEKEY_TIMEOUT  how long to wait for the service, as 30s or 2m [default: 30s]";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    /// Every command shows how it is used, and what it shows is a command line that it takes.
    #[test]
    fn every_help_has_examples_that_parse() {
        let mut commands = vec![Args::command()];
        let mut seen = 0;
        while let Some(mut command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let help = command.render_long_help().to_string();
            let examples: Vec<_> = help.lines().filter(|line| line.starts_with("  sidekey ")).collect();
            assert!(!examples.is_empty(), "{} has no example", command.get_name());
            for example in examples {
                let words = split(example.split(['<', '|', '>']).next().unwrap());
                assert!(
                    Args::try_parse_from(&words).is_ok(),
                    "{example}: {:?}",
                    Args::try_parse_from(&words).err()
                );
                seen += 1;
            }
        }
        assert!(seen > 25, "{seen} examples");
    }

    /// What stands on a command line is seen by others: secrets come in files, on standard input or in the environment.
    #[test]
    fn no_option_takes_a_secret() {
        let mut commands = vec![Args::command()];
        let mut seen = 0;
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            for arg in command.get_arguments() {
                let id = arg.get_id().as_str();
                let words: Vec<_> = id.split('_').collect();
                let secret = ["code", "key", "passphrase", "password", "secret", "token"];
                let named = words.iter().any(|word| secret.contains(word));
                assert!(!named || words.last() == Some(&"file"), "{} takes {id}", command.get_name());
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen} options");
    }

    /// Words as a shell reads them, double quotes alone.
    fn split(line: &str) -> Vec<String> {
        let mut words = vec![];
        for (n, part) in line.trim().split('"').enumerate() {
            if n % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn a_broken_line_is_told_in_the_format_that_it_asks_for() {
        let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(format_asked(&line(&["sidekey", "-o", "json", "serv"])), Format::Json);
        assert_eq!(format_asked(&line(&["sidekey", "serv", "--output=json"])), Format::Json);
        assert_eq!(format_asked(&line(&["sidekey", "serv", "json"])), Format::Text);
    }
}
