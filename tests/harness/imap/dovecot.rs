//! Dovecot, as a server of its own and as what operators make of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use tempfile::TempDir;

use super::{PASSWORD, greets};
use crate::others::authority::Authority;
use crate::others::process::{Process, free_port, listening};

/// Everybody's mailboxes. Every name is a user, with [`PASSWORD`]; a domain behind it makes no difference.
#[derive(Debug)]
pub struct Dovecot {
    /// IMAP without TLS.
    pub port: u16,
    /// IMAP within TLS.
    pub tls_port: u16,
    folder: TempDir,
    _process: Process,
}

/// May log in as everybody: `ann*gateway`.
pub const MASTER: &str = "gateway";
/// The master user's.
pub const MASTER_PASSWORD: &str = "the gateway's own";

impl Dovecot {
    /// With a certificate for `localhost`.
    pub async fn start(authority: &Authority) -> Self {
        let (port, tls_port) = (free_port(), free_port());
        let folder = folder();
        let at = folder.path().display();
        give_away(&folder.path().join("mail"));
        fs::write(folder.path().join("master"), format!("{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n")).unwrap();
        let settings = format!(
            "ssl = yes\n\
             ssl_cert = <{certificate}\n\
             ssl_key = <{key}\n\
             auth_master_user_separator = *\n\
             auth_username_format = %n\n\
             mail_location = maildir:~/Maildir\n\
             service imap-login {{\n inet_listener imaps {{\n port = {tls_port}\n ssl = yes\n }}\n}}\n\
             passdb {{\n driver = passwd-file\n args = scheme=PLAIN username_format=%u {at}/master\n master = yes\n \
             result_success = continue\n}}\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = home={at}/mail/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n",
            certificate = authority.certificate().display(),
            key = authority.key().display(),
        );
        let process = start(folder.path(), port, &settings).await;
        listening(tls_port).await;
        Self { port, tls_port, folder, _process: process }
    }

    /// Puts messages where a user, who has not come yet, will find them, in this order. Lines end in LF.
    pub fn deliver(&self, user: &str, mailbox: Option<&str>, messages: &[Vec<u8>]) {
        let home = self.folder.path().join("mail").join(user);
        let maildir = match mailbox {
            None => home.join("Maildir"),
            Some(name) => home.join(format!("Maildir/.{name}")),
        };
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(name)).unwrap();
        }
        for (at, message) in messages.iter().enumerate() {
            let path = maildir.join(format!(
                "cur/{}.M{at}P1.sidekey:2,{}",
                FIRST_MINUTE + at,
                FLAGS[at % FLAGS.len()]
            ));
            fs::write(&path, message).unwrap();
            let arrived =
                std::time::UNIX_EPOCH + std::time::Duration::from_secs((FIRST_MINUTE + at) as u64 * 60);
            fs::File::options().write(true).open(&path).unwrap().set_modified(arrived).unwrap();
        }
        give_away(&home);
    }
}

/// Starts one from this folder: what is true of all, and `settings`.
pub(super) async fn start(folder: &Path, port: u16, settings: &str) -> Process {
    let at = folder.display();
    let who = own_name();
    // Root gives each of its parts a user; anybody else is the only one there is.
    let users = match is_root() {
        true => "mail_uid = nobody\nmail_gid = nogroup\n".to_owned(),
        false => format!("default_internal_user = {who}\ndefault_login_user = {who}\nmail_uid = {who}\n"),
    };
    let settings = format!(
        "base_dir = {at}/run\n\
         state_dir = {at}/state\n\
         log_path = {at}/log\n\
         listen = 127.0.0.1\n\
         protocols = imap\n\
         disable_plaintext_auth = no\n\
         auth_mechanisms = plain login\n\
         first_valid_uid = 1\n\
         {users}\
         service imap-login {{\n chroot =\n inet_listener imap {{\n port = {port}\n }}\n}}\n\
         service anvil {{\n chroot =\n}}\n\
         service stats {{\n chroot =\n}}\n\
         {settings}",
    );
    fs::write(folder.join("dovecot.conf"), settings).unwrap();
    let process = Process::start("dovecot", &["-F", "-c", "dovecot.conf"], folder);
    greets(port).await;
    process
}

/// An empty one that Dovecot's parts may walk through, with one inside that is theirs.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["run", "state", "mail"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    folder
}

/// The path and all in it to whoever handles mail.
pub(super) fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
        }
    }
}

/// Whether these tests are run by root.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Who runs these tests.
fn own_name() -> String {
    let id = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;
/// Minutes since 1970 at which the first message came: 1 January 2026.
const FIRST_MINUTE: usize = 29_453_760;
/// Seen all of them: what reads a message whole then changes nothing.
const FLAGS: [&str; 5] = ["S", "RS", "FS", "S", "DRS"];
