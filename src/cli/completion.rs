//! `sidekey completion` and `sidekey man`: what shells and manuals are told of the command line, made from itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use crate::Args;
use crate::exit::{Exit, Stop};
use crate::output::{Report, Screen, shell};

/// Print a shell's completion of this command line
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETION_EXAMPLES)]
pub struct Completion {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct Manual {
    /// The command whose page to print; sidekey itself unless said
    #[arg(conflicts_with = "dir")]
    command: Vec<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Completion {
    /// Does it.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub fn run(self, screen: Screen) -> Result<(), Stop> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), NAME, &mut script);
        print(screen, &script)
    }
}

impl Manual {
    /// Does it; `None` when the page itself is the result.
    ///
    /// # Errors
    /// There is no such command; the pages cannot be written.
    pub fn run(self, screen: Screen) -> Result<Option<Report>, Stop> {
        let pages = pages();
        let Some(dir) = self.dir else {
            let wanted = [&[NAME.to_owned()], &self.command[..]].concat().join("-");
            let page = pages.iter().find(|(name, _)| *name == wanted).ok_or_else(|| {
                let what = format!("there is no command {}", self.command.join(" "));
                Stop::new(Exit::Usage, "usage", what).next("sidekey --help")
            })?;
            return print(screen, &page.1).map(|()| None);
        };
        let files = write(&dir, &pages).map_err(|error| {
            let what = format!("cannot write manual pages into {}: {error}", dir.display());
            Stop::new(Exit::Failed, "manual", what)
        })?;
        let did = format!("Wrote {} manual pages into {}.", files.len(), dir.display());
        let report = Report::new(did, json!({ "dir": dir, "pages": files }));
        Ok(Some(report.next(format!("man -l {}", shell(&dir.join("sidekey.1").display().to_string())))))
    }
}

fn print(screen: Screen, text: &[u8]) -> Result<(), Stop> {
    let written = screen.verbatim(&String::from_utf8_lossy(text));
    written.map_err(|error| Stop::new(Exit::Failed, "output", format!("cannot write the result: {error}")))
}

fn write(dir: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<Vec<String>> {
    fs::create_dir_all(dir)?;
    pages
        .iter()
        .map(|(name, page)| {
            let file = format!("{name}.1");
            fs::write(dir.join(&file), page).map(|()| file)
        })
        .collect()
}

/// A page for each command, by its name: `sidekey`, `sidekey-client`, `sidekey-client-invite`.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut pages = Vec::new();
    let mut command = Args::command();
    command.build();
    collect(&command, NAME.to_owned(), &mut pages);
    pages
}

fn collect(command: &Command, name: String, pages: &mut Vec<(String, Vec<u8>)>) {
    let mut page = Vec::new();
    // What is left out of the name is left out of the synopsis: clap has both from the display name.
    let shown = command.clone().display_name(name.clone());
    Man::new(shown).title(name.to_uppercase()).render(&mut page).expect("memory takes whatever is written");
    for sub in command.get_subcommands() {
        collect(sub, format!("{name}-{}", sub.get_name()), pages);
    }
    pages.push((name, page));
}

const NAME: &str = "sidekey";
const COMPLETION_EXAMPLES: &str = "\
Examples:
  sidekey completion bash > ~/.local/share/bash-completion/completions/sidekey
  sidekey completion zsh > ~/.zfunc/_sidekey
  sidekey completion fish > ~/.config/fish/completions/sidekey.fish";
const MAN_EXAMPLES: &str = "\
Examples:
  sidekey man | man -l -
  sidekey man client invite | man -l -
  sidekey man --dir /usr/local/share/man/man1";
