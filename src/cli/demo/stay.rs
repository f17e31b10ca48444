//! What to type in another terminal while the demo stays.

use std::io;

use serde::Serialize;
use sidekey_protocol::ids::{Role, SessionId};
use tokio::signal::unix::{SignalKind, signal};

use super::world::{SERVER, Service, Trouble, USER};

/// One command, and what it is for.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    /// In a few words.
    pub does: &'static str,
    /// As it is typed.
    pub line: String,
}

/// Commands that pair one more device, fetch a key with it, revoke it, and find it refused. They keep what they make in
/// the demo's own folder.
///
/// # Errors
/// The service does not make an invitation.
pub async fn commands(service: &Service, session: SessionId) -> Result<Vec<Command>, Trouble> {
    let link = service.invite(Role::Client).await?.link.expose().to_string();
    let program = std::env::current_exe()?;
    let program = quoted(&program.display().to_string());
    let (data, home) = (service.data(), service.folder().join("home"));
    let home = format!("SIDEKEY_HOME={}", quoted(&home.display().to_string()));
    let (ca, admin) = (data.join("ca.pem"), data.join("admin.json"));
    let (ca, admin) = (quoted(&ca.display().to_string()), quoted(&admin.display().to_string()));
    let fetch = format!("{home} {program} session key {session} --profile tablet");
    Ok(vec![
        Command {
            does: "pair a tablet of Ann's (the link is good for one device and 15 minutes)",
            line: format!(
                "{home} {program} join {} --ca {ca} --profile tablet --label \"{LABEL}\"",
                quoted(&link)
            ),
        },
        Command { does: "fetch the session's key with it", line: fetch.clone() },
        Command {
            does: "revoke it",
            line: format!(
                "{program} client revoke --user {USER} --server {SERVER} --label \"{LABEL}\" \
                 --reason \"left in a taxi\" --yes --admin {admin}"
            ),
        },
        Command { does: "fetch again: refused, with the reason", line: fetch },
    ])
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// When signals cannot be listened to.
pub async fn until_told() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = terminate.recv() => Ok(()),
    }
}

/// What the tablet calls itself.
const LABEL: &str = "Ann's tablet";

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_it_for_one_word() {
        assert_eq!(quoted("/tmp/sidekey-demo-1/ca.pem"), "/tmp/sidekey-demo-1/ca.pem");
        assert_eq!(quoted("https://x/p/1#AB"), "'https://x/p/1#AB'");
        assert_eq!(quoted("Ann's"), r"'Ann'\''s'");
    }
}
