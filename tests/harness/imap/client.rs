//! Mail programs that others wrote, and what each has after it has fetched everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{PASSWORD, USER, counterparts};

/// A mail program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// curl: a message at a time, in one connection.
    Curl,
    /// IMAPClient, in Python.
    ImapClient,
    /// imapflow, in JavaScript.
    ImapFlow,
    /// isync's mbsync, into a Maildir.
    Mbsync,
}

/// All of them.
pub const CLIENTS: [Client; 4] = [Client::Curl, Client::ImapClient, Client::ImapFlow, Client::Mbsync];

/// What a program has of each message, by the message's number and what it is.
pub type Synced = BTreeMap<String, Vec<u8>>;

impl Client {
    /// Fetches all of INBOX for the first time.
    pub async fn sync(self, port: u16, messages: usize) -> Synced {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        match self {
            Self::Curl => curl(port, messages, at).await,
            Self::ImapClient => {
                let python = counterparts().join("../.venv/bin/python");
                script(python.to_str().unwrap(), "sync.py", port, at).await
            }
            Self::ImapFlow => script("node", "sync.js", port, at).await,
            Self::Mbsync => return pulled(port, at).await,
        }
        let files = fs::read_dir(at.join("synced")).unwrap().map(|file| file.unwrap());
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
    }
}

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

async fn curl(port: u16, messages: usize, folder: &Path) {
    fs::create_dir(folder.join("synced")).unwrap();
    let one = |number: usize| {
        format!("url = \"imap://127.0.0.1:{port}/INBOX;MAILINDEX={number}\"\noutput = \"synced/{number}\"\n")
    };
    let settings = format!("silent\nshow-error\nfail-early\nuser = \"{USER}:{PASSWORD}\"\n");
    fs::write(folder.join("curlrc"), settings + &(1..=messages).map(one).collect::<String>()).unwrap();
    run("curl", &["--config", "curlrc"], folder).await;
}

async fn script(interpreter: &str, name: &str, port: u16, folder: &Path) {
    fs::create_dir(folder.join("synced")).unwrap();
    let script = counterparts().join(name);
    run(interpreter, &[script.to_str().unwrap(), &port.to_string(), USER, PASSWORD, "synced"], folder).await;
}

async fn pulled(port: u16, folder: &Path) -> Synced {
    let at = folder.display();
    let settings = format!(
        "{}MaildirStore near\nPath {at}/\nInbox {at}/synced\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\n\
         Create Near\nSync Pull\nSyncState *\n",
        account("far", port, USER, PASSWORD),
    );
    mbsync(&settings, folder).await;
    let files = ["cur", "new"].map(|name| fs::read_dir(folder.join("synced").join(name)).unwrap());
    let file = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        let (_, number_and_flags) = name.split_once(",U=").unwrap();
        (number_and_flags.to_owned(), unmarked(&fs::read(file.path()).unwrap()))
    };
    files.into_iter().flatten().map(|found| file(found.unwrap())).collect()
}

/// Without the line in which mbsync keeps what it needs to find its own message again.
fn unmarked(message: &[u8]) -> Vec<u8> {
    message
        .split_inclusive(|octet| *octet == b'\n')
        .filter(|line| !line.starts_with(b"X-TUID: "))
        .collect::<Vec<_>>()
        .concat()
}

/// An IMAP store of mbsync's.
pub(super) fn account(name: &str, port: u16, user: &str, password: &str) -> String {
    format!(
        "IMAPAccount {name}\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass {password}\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore {name}\nAccount {name}\n\n"
    )
}

pub(super) async fn mbsync(settings: &str, folder: &Path) {
    fs::create_dir_all(folder.join("state")).unwrap();
    fs::write(folder.join("mbsyncrc"), settings).unwrap();
    run("mbsync", &["--config", "mbsyncrc", "--all"], folder).await;
}

async fn run(program: &str, arguments: &[&str], folder: &Path) {
    let running = Command::new(program).args(arguments).current_dir(folder).kill_on_drop(true).output();
    let ended = timeout(PATIENCE, running).await.unwrap_or_else(|_| panic!("{program} does not end"));
    let ended = ended.unwrap_or_else(|error| panic!("{program}: {error}; tests/counterparts/imap/install"));
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// For a full sync, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
