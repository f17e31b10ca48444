//! How each is told to fetch all of INBOX, for the first time, and where it puts it.

use std::fs;
use std::path::Path;

use super::{Client, Synced, mbsync, run, store};
use crate::imap::{Account, counterparts};

impl Client {
    /// Fetches all of INBOX, which has so many messages.
    pub async fn sync(self, account: &Account, messages: usize) -> Synced {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::create_dir(at.join("synced")).unwrap();
        match self {
            Self::Curl => curl(account, messages, at).await,
            Self::Fetchmail => fetchmail(account, at).await,
            Self::ImapClient => {
                let python = counterparts().join("../.venv/bin/python");
                script(python.to_str().unwrap(), "sync.py", account, at).await;
            }
            Self::ImapFilter => imapfilter(account, at).await,
            Self::ImapFlow => script("node", "sync.js", account, at).await,
            Self::MailImapClient => script("perl", "sync.pl", account, at).await,
            Self::Mailutil => return mailutil(account, at).await,
            Self::Mbsync => return pulled(account, at).await,
            Self::Neomutt => return copied(account, at).await,
            Self::OfflineImap => return downloaded(account, at).await,
        }
        files(&at.join("synced")).collect()
    }
}

/// Their names, and what is in them.
fn files(folder: &Path) -> impl Iterator<Item = (String, Vec<u8>)> + use<> {
    let found = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    found.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
}

/// The messages of a Maildir.
fn maildir(folder: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    ["cur", "new"].map(|name| folder.join(name)).into_iter().flat_map(|folder| files(&folder))
}

/// A Maildir whose files' names have, behind what is different each time, the message's UID and its flags.
fn numbered(folder: &Path) -> Synced {
    let named = |(name, octets): (String, _)| {
        let (_, number_and_flags) = name.split_once(",U=").unwrap();
        (number_and_flags.to_owned(), octets)
    };
    maildir(folder).map(named).collect()
}

async fn script(interpreter: &str, name: &str, account: &Account, folder: &Path) {
    let Account { port, user, password } = account;
    let script = counterparts().join(name);
    run(interpreter, &[script.to_str().unwrap(), &port.to_string(), user, password, "synced"], folder).await;
}

async fn curl(account: &Account, messages: usize, folder: &Path) {
    let Account { port, user, password } = account;
    let one = |number: usize| {
        format!("url = \"imap://127.0.0.1:{port}/INBOX;MAILINDEX={number}\"\noutput = \"synced/{number}\"\n")
    };
    let settings = format!("silent\nshow-error\nfail-early\nuser = \"{user}:{password}\"\n");
    fs::write(folder.join("curlrc"), settings + &(1..=messages).map(one).collect::<String>()).unwrap();
    run("curl", &["--config", "curlrc"], folder).await;
}

async fn fetchmail(account: &Account, folder: &Path) {
    let Account { port, user, password } = account;
    let settings = format!(
        "set invisible\nset no syslog\npoll 127.0.0.1 service {port} proto IMAP bad-header accept user \"{user}\" pass \
         {password} is root here mda \"cat >>{}/synced/all\" keep fetchall sslproto \"\"\n",
        folder.display(),
    );
    let path = folder.join("fetchmailrc");
    fs::write(&path, settings).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    run("fetchmail", &["--silent", "--fetchmailrc", "fetchmailrc", "--pidfile", "pid"], folder).await;
}

async fn imapfilter(account: &Account, folder: &Path) {
    let Account { port, user, password } = account;
    let script = counterparts().join("sync.lua");
    let settings = format!("port, user, password, folder = {port}, '{user}', '{password}', 'synced'\n");
    fs::write(folder.join("imapfilter.lua"), settings + &fs::read_to_string(script).unwrap()).unwrap();
    run("imapfilter", &["-c", "imapfilter.lua"], folder).await;
}

/// Without the message at the beginning with which c-client keeps its own counts.
async fn mailutil(account: &Account, folder: &Path) -> Synced {
    let Account { port, user, password } = account;
    let from = format!("{{127.0.0.1:{port}/imap/notls/readonly/user=\"{user}\"}}INBOX");
    let to = format!("#driver.unix{}/synced/all", folder.display());
    // It asks for the password where one types it.
    let command = format!("echo {password} | mailutil copy '{from}' '{to}'");
    run("sh", &["-c", &command], folder).await;
    let all = fs::read(folder.join("synced/all")).unwrap();
    let begin = all.windows(7).position(|window| window == b"\n\nFrom ").unwrap();
    Synced::from([("all".to_owned(), all[begin..].to_vec())])
}

async fn pulled(account: &Account, folder: &Path) -> Synced {
    let at = folder.display();
    let settings = format!(
        "{}MaildirStore near\nPath {at}/\nInbox {at}/synced\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\n\
         Create Near\nSync Pull\nSyncState *\n",
        store("far", account),
    );
    fs::remove_dir(folder.join("synced")).unwrap();
    mbsync(&settings, folder).await;
    let all = numbered(&folder.join("synced"));
    all.into_iter().map(|(name, message)| (name, unmarked(&message))).collect()
}

/// Without the line in which mbsync keeps what it needs to find its own message again.
fn unmarked(message: &[u8]) -> Vec<u8> {
    let lines = message.split_inclusive(|octet| *octet == b'\n');
    lines.filter(|line| !line.starts_with(b"X-TUID: ")).collect::<Vec<_>>().concat()
}

/// Its files have names by chance: in the order of what is in them.
async fn copied(account: &Account, folder: &Path) -> Synced {
    let Account { port, user, password } = account;
    let settings = format!(
        "set folder = \"imap://127.0.0.1:{port}/\"\nset spoolfile = \"+INBOX\"\nset imap_user = \"{user}\"\n\
         set imap_pass = {password}\nset ssl_starttls = no\nset ssl_force_tls = no\nset imap_check_subscribed = no\n\
         set quit = yes\nset confirmappend = no\nset confirmcreate = no\nset mbox_type = Maildir\n\
         push '<tag-pattern>.<enter><tag-prefix><copy-message>{}/synced/all<enter><quit>'\n",
        folder.display(),
    );
    fs::write(folder.join("neomuttrc"), settings).unwrap();
    // It wants a terminal.
    run("script", &["-qefc", "neomutt -n -F neomuttrc -R", "/dev/null"], folder).await;
    let mut all: Vec<_> = maildir(&folder.join("synced/all")).map(|(_, message)| message).collect();
    all.sort();
    all.into_iter().enumerate().map(|(at, message)| (format!("{at:03}"), message)).collect()
}

async fn downloaded(account: &Account, folder: &Path) -> Synced {
    let Account { port, user, password } = account;
    let settings = format!(
        "[general]\naccounts = all\nmetadata = state\nui = quiet\n[Account all]\nlocalrepository = near\n\
         remoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = synced\n[Repository far]\n\
         type = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nremoteuser = {user}\nremotepass = {password}\n\
         ssl = no\nstarttls = no\nreadonly = True\nfolderfilter = lambda name: name == 'INBOX'\n",
    );
    fs::write(folder.join("offlineimaprc"), settings).unwrap();
    // It fails at the end: for some of the malformed messages it has no name of a charset.
    run("sh", &["-c", "offlineimap -c offlineimaprc -o || true"], folder).await;
    let all = numbered(&folder.join("synced/INBOX"));
    all.into_iter().map(|(name, message)| (name, bounded(&message))).collect()
}

/// With one and the same boundary between parts, where offlineimap has made one up.
fn bounded(message: &[u8]) -> Vec<u8> {
    const BEGIN: &[u8] = b"===============";

    let mut rest = message;
    let mut bounded = Vec::new();
    while let Some(at) = rest.windows(BEGIN.len()).position(|window| window == BEGIN) {
        let (before, after) = rest.split_at(at + BEGIN.len());
        bounded.extend_from_slice(before);
        rest = &after[after.iter().take_while(|octet| octet.is_ascii_digit()).count()..];
    }
    bounded.extend_from_slice(rest);
    bounded
}
