//! `sidekey join`: pairs this machine as the client or the mail server that an invitation names.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_client::error::Downgrade;
use sidekey_client::{Confirmed, Error, FileKeyStore, Invitation, Paired, Progress, Roots, pair};
use sidekey_protocol::pairing::{Approval, Link, Need, PairingCode, PartyLabel, PublicUrl};

use crate::exit::{Exit, Stop};
use crate::output::{Report, Screen};
use crate::profile::{Profile, admins};
use crate::remote::{self, Timeout};
use crate::time::duration_s;

/// Pair this machine as the client or the mail server that an invitation names
///
/// Without LINK, or with -, the link is read from standard input: paste it, or pipe what `client invite` prints. (A link on the command line works too,
/// and can be seen by this machine's other users, and in the shell's history, until it is used.)
///
/// What is paired is kept in a profile, which later commands name with --profile.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Join {
    /// The invitation's link
    #[arg(default_value = "-", hide_default_value = true)]
    link: String,
    /// Read the pairing code from this file, for a link that came without
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// That code was handed over in person or read from the administrator's screen, not sent: then nobody need approve this machine
    #[arg(long, requires = "code_file")]
    handed_over: bool,
    /// What administrators see this machine as [default: its host name]
    #[arg(long, value_name = "TEXT")]
    label: Option<PartyLabel>,
    /// Trust this certificate authority alone (PEM) [env: SIDEKEY_CA=] [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Other addresses of the same service, kept in the profile and asked when the link's does not answer
    #[arg(long = "url", env = "SIDEKEY_URL", value_name = "URL", value_delimiter = ',')]
    urls: Vec<PublicUrl>,
    /// Where the pairing is to be approved, wait for that, up to this long
    #[arg(long, value_name = "DURATION", value_parser = duration_s)]
    wait: Option<u32>,
    #[command(flatten)]
    profile: Profile,
    #[command(flatten)]
    timeout: Timeout,
}

impl Join {
    /// Does it.
    ///
    /// # Errors
    /// A link that is none, a profile that is taken, what the service refuses, and what does not verify.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        let file = self.profile.new_file()?;
        if file.exists() || admins::exists(&self.profile.name())? {
            let what = format!("there is a profile {} already", self.profile.name());
            let another = "sidekey join --profile another-name";
            let next = format!("{another}; or sidekey profile remove {}, if it is over", self.profile.name());
            return Err(Stop::new(Exit::Conflict, "profile_exists", what).next(next));
        }
        let roots = self.roots()?;
        let link = self.link(screen)?;
        let code = self.code()?;
        let invitation = self.invitation(&link, code.as_deref(), roots)?;
        let store = Arc::new(FileKeyStore::new(file));
        let pairing = pair(invitation, store.clone(), self.timeout.ambient());
        let paired = self.timeout.bound(async { pairing.await.map_err(refusal) }).await?;
        if !paired.approval.is_needed() {
            return Ok(self.report(&paired));
        }
        match (self.wait, Confirmed::open(store, self.timeout.ambient()).await.map_err(remote::refusal)?) {
            (Some(wait), Some(confirmed)) => self.wait(&paired, &confirmed, wait, screen).await,
            _ => Ok(self.confirmed(&paired, &[Need::Approval])),
        }
    }

    /// Says the digits, and waits until they are taken or the time is up.
    async fn wait(
        &self,
        paired: &Paired,
        confirmed: &Confirmed,
        wait_s: u32,
        screen: Screen,
    ) -> Result<Report, Stop> {
        let line = format!("Read these digits to whoever approves this device: {}", paired.digits);
        screen.announce(&line, &json!({ "digits": paired.digits, "approval": paired.approval }));
        let wait = Duration::from_secs(wait_s.into());
        match tokio::time::timeout(wait, confirmed.approved()).await {
            Ok(Ok(Progress::Active)) => Ok(self.report(paired)),
            Ok(Ok(Progress::Waits { needs, .. })) => Ok(self.confirmed(paired, &needs)),
            Ok(Err(error)) => Err(remote::refusal(error)),
            Err(_) => Ok(self.confirmed(paired, &[Need::Approval])),
        }
    }

    /// What whoever waits has to do.
    fn confirmed(&self, paired: &Paired, needs: &[Need]) -> Report {
        let mut json = self.json(paired);
        json["state"] = json!("confirmed");
        json["digits"] = json!(paired.digits);
        json["approval"] = json!(paired.approval);
        let who = match paired.approval {
            Approval::Device => "your administrator, or type them into another of your devices",
            _ => "your administrator",
        };
        let matches = format!("sidekey profile match {}", self.profile.name());
        let next = match (needs.contains(&Need::Approval), paired.pinned) {
            (true, true) => format!("read the digits to {who}; then this machine may act"),
            (true, false) => {
                format!("read the digits to {who}; once you are told that they were taken: {matches}")
            }
            (false, _) => format!("if you were told that the digits were taken: {matches}"),
        };
        Report::new(format!("Paired this machine as {}. It waits to be approved.", what(paired)), json)
            .facts([
                ("digits", paired.digits.to_string()),
                ("pairing", paired.pairing.to_string()),
                ("profile", self.profile.name()),
                ("the service's key", key(paired).to_owned()),
            ])
            .next(next)
    }

    fn json(&self, paired: &Paired) -> Value {
        json!({
            "pairing": paired.pairing,
            "role": paired.role,
            "server": paired.server,
            "user": paired.user,
            "pinned": paired.pinned,
            "profile": self.profile.name(),
            "state": "active",
        })
    }

    fn report(&self, paired: &Paired) -> Report {
        let next = if paired.user.is_some() { "session list" } else { "session open USER" };
        Report::new(format!("Paired this machine as {}.", what(paired)), self.json(paired))
            .facts([
                ("pairing", paired.pairing.to_string()),
                ("profile", self.profile.name()),
                ("the service's key", key(paired).to_owned()),
            ])
            .next(format!("sidekey {next}{}", self.profile.option()))
    }

    fn invitation(&self, link: &str, code: Option<&str>, roots: Roots) -> Result<Invitation, Stop> {
        let link: Link = link.parse().map_err(|_| {
            let form = "https://host/p/<32 hex digits>#<code>.<pin>";
            Stop::new(
                Exit::Usage,
                "link_malformed",
                format!("that is not an invitation's link, which reads {form}"),
            )
            .next("copy the whole link again, as one line")
        })?;
        let (code, pin) = match (link.proof, code) {
            (Some((code, pin)), None) => (code, Some(pin)),
            (None, Some(code)) => {
                let malformed =
                    |_| Stop::new(Exit::Usage, "code_malformed", "a pairing code reads XXXX-XXXX");
                (code.parse::<PairingCode>().map_err(malformed)?, None)
            }
            (Some(_), Some(_)) => {
                return Err(Stop::usage("the link holds its code already: leave --code-file out"));
            }
            (None, None) => {
                return Err(Stop::new(
                    Exit::Usage,
                    "code_missing",
                    "this link came without its pairing code",
                )
                .next("the same command with --code-file, and the code in that file"));
            }
        };
        // No role: this machine becomes what the invitation names.
        let (url, id, role, label) = (link.public_url, link.invitation, None, self.label());
        let (other_urls, handed_over) = (self.urls.clone(), self.handed_over);
        Ok(Invitation { url, other_urls, id, code, pin, handed_over, roots, role, label })
    }

    fn link(&self, screen: Screen) -> Result<String, Stop> {
        if self.link != "-" {
            return Ok(self.link.clone());
        }
        let typed = io::stdin().is_terminal();
        if typed {
            screen.note("Paste the invitation's link, then press Enter:");
        }
        let mut said = String::new();
        let mut input = io::stdin().lock().take(INPUT_MAX_OCTETS);
        let read = if typed { input.read_line(&mut said) } else { input.read_to_string(&mut said) };
        read.map_err(|error| Stop::new(Exit::Failed, "input", format!("cannot read the link: {error}")))?;
        Ok(find_link(&said).to_owned())
    }

    fn code(&self) -> Result<Option<String>, Stop> {
        let Some(file) = &self.code_file else { return Ok(None) };
        Ok(Some(read(file, "the pairing code")?.trim().to_owned()))
    }

    fn roots(&self) -> Result<Roots, Stop> {
        let set = || std::env::var_os("SIDEKEY_CA").filter(|value| !value.is_empty()).map(PathBuf::from);
        match self.ca.clone().or_else(set) {
            Some(file) => Ok(Roots::Pem(read(&file, "the certificate authority")?)),
            None => Ok(Roots::Native),
        }
    }

    fn label(&self) -> PartyLabel {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let env = |name| std::env::var(name).ok();
        let known =
            || host().or_else(|| env("HOSTNAME")).or_else(|| env("COMPUTERNAME"))?.trim().parse().ok();
        let unnamed = || "unnamed machine".parse().expect("a label");
        self.label.clone().or_else(known).unwrap_or_else(unnamed)
    }
}

/// What this machine is from now on.
fn what(paired: &Paired) -> String {
    match &paired.user {
        Some(user) => format!("a client of {user} at {}", paired.server),
        None => format!("the mail server {}", paired.server),
    }
}

const fn key(paired: &Paired) -> &'static str {
    if paired.pinned { "the one that the link names" } else { "not named by the link" }
}

fn refusal(error: Error) -> Stop {
    match error {
        Error::Untrusted => remote::refusal(error)
            .next("get the service's ca.pem from its administrator, and say where it is with --ca"),
        // The client says what the service would have said: that code and invitation do not match.
        Error::Refused { code, detail } if code == "code_mismatch" => {
            Stop::new(Exit::Denied, &code, detail).next("check the code, or ask for a new invitation")
        }
        Error::Downgrade(Downgrade::Unvouched) => remote::refusal(error).next(
            "ask for a link that carries its code, or for an invitation with --approval; \
             where the code was handed over in person, --handed-over",
        ),
        Error::PairAgain { code, detail } => {
            Stop::new(Exit::Conflict, &code, format!("the invitation is over, or there is none: {detail}"))
                .next("ask the administrator for a new invitation")
        }
        other => remote::refusal(other),
    }
}

fn read(file: &Path, what: &str) -> Result<String, Stop> {
    std::fs::read_to_string(file).map_err(|error| {
        Stop::new(
            Exit::Failed,
            "file_unreadable",
            format!("cannot read {what} from {}: {error}", file.display()),
        )
    })
}

/// The first word that is a link: what `client invite` prints may come whole, as text or as JSON.
fn find_link(said: &str) -> &str {
    let mut words = said.split(|c: char| c.is_whitespace() || c == '"');
    words.find(|word| word.parse::<Link>().is_ok()).unwrap_or_else(|| said.trim())
}

/// Much longer than an invitation, QR code and all.
const INPUT_MAX_OCTETS: u64 = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  sidekey join --profile phone
  sidekey join --profile mail --ca ca.pem < link.txt
  sidekey join --profile phone --wait 10m < link.txt
  sidekey join --profile phone --url https://keys-2.example.org < link.txt
  sidekey join - --profile phone --label \"Ann's phone\" --code-file code.txt --handed-over < link.txt";

#[cfg(test)]
mod tests {
    use super::find_link;

    const LINK: &str =
        "https://keys.example.org/p/000102030405060708090a0b0c0d0e0f#ABCD-EFGH.AAECAwQFBgcICQoLDA0ODw";

    #[test]
    fn a_link_is_found_in_whatever_it_was_copied_with() {
        for said in [
            format!("{LINK}\n"),
            format!("Invited.\n  code  ABCD-EFGH\n  link  {LINK}\nNext: sidekey join\n"),
            format!(r#"{{"code":"ABCD-EFGH","link":"{LINK}","expires":1}}"#),
        ] {
            assert_eq!(find_link(&said), LINK, "{said}");
        }
    }

    #[test]
    fn without_a_link_all_of_it_is_what_was_meant() {
        assert_eq!(find_link(" not a link \n"), "not a link");
    }
}
