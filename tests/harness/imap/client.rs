//! Mail programs that others wrote, and what each has after it has fetched everything.

mod mirror;
mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Account;

pub use self::mirror::Mirror;

/// A mail program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// curl: a message at a time, in one connection.
    Curl,
    /// fetchmail, which hands each message on to another program.
    Fetchmail,
    /// IMAPClient, in Python.
    ImapClient,
    /// imapfilter, in Lua.
    ImapFilter,
    /// imapflow, in JavaScript.
    ImapFlow,
    /// Mail::IMAPClient, in Perl.
    MailImapClient,
    /// mailutil, of c-client, into a file of mbox form.
    Mailutil,
    /// isync's mbsync, into a Maildir.
    Mbsync,
    /// neomutt, which copies what it shows.
    Neomutt,
    /// offlineimap, into a Maildir.
    OfflineImap,
}

/// Four that have little in common.
pub const CLIENTS: [Client; 4] = [Client::Curl, Client::ImapClient, Client::ImapFlow, Client::Mbsync];

/// What a program has of each message, by the message's number and what it is.
pub type Synced = BTreeMap<String, Vec<u8>>;

/// That both have the same of everything, octet for octet.
///
/// # Panics
/// When they have not: says what differs.
pub fn assert_same(direct: &Synced, other: &Synced, what: &str) {
    let names = direct.keys().chain(other.keys().filter(|name| !direct.contains_key(*name)));
    let differ: Vec<_> = names.filter(|name| direct.get(*name) != other.get(*name)).collect();
    let Some(first) = differ.first() else { return };
    let show = |synced: &Synced| match synced.get(*first) {
        None => "nothing".to_owned(),
        Some(octets) => octets[..octets.len().min(2000)].escape_ascii().to_string(),
    };
    panic!("{what}: {differ:?} differ; {first} is\n{}\nand was\n{}", show(other), show(direct));
}

/// An IMAP store of mbsync's.
pub(super) fn store(name: &str, account: &Account) -> String {
    let Account { port, user, password } = account;
    format!(
        "IMAPAccount {name}\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass {password}\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore {name}\nAccount {name}\n\n"
    )
}

pub(super) async fn mbsync(settings: &str, folder: &Path) {
    std::fs::create_dir_all(folder.join("state")).unwrap();
    std::fs::write(folder.join("mbsyncrc"), settings).unwrap();
    run("mbsync", &["--config", "mbsyncrc", "--all"], folder).await;
}

async fn run(program: &str, arguments: &[&str], folder: &Path) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("HOME", folder).env("FETCHMAILHOME", folder);
    let running = command.env("TERM", "xterm").stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = timeout(PATIENCE, running).await.unwrap_or_else(|_| panic!("{program} does not end"));
    let ended = ended.unwrap_or_else(|error| panic!("{program}: {error}; tests/counterparts/imap/install"));
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// For a full sync, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
