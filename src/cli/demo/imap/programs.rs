//! The programs of others that the mail path is made of: found, started on loopback, stopped with the demo.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::Trouble;

/// Those that are needed, and how each says its version.
#[derive(Debug)]
pub(super) struct Programs {
    dovecot: PathBuf,
    nginx: PathBuf,
    pub(super) curl: PathBuf,
    /// For eyes.
    pub(super) versions: [String; 3],
}

/// One that runs; it is told to stop when this is dropped.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    pub(super) port: u16,
}

impl Programs {
    /// # Errors
    /// What is missing, and how to install it.
    pub(super) async fn find() -> Result<Self, Trouble> {
        let dovecot = find("dovecot", "dovecot-core dovecot-imapd")?;
        let nginx = find("nginx", "nginx-light libnginx-mod-mail")?;
        let curl = find("curl", "curl")?;
        if !Path::new(IMAP).exists() {
            return Err(Trouble::Missing { program: "Dovecot's IMAP", packages: "dovecot-imapd" });
        }
        if !Path::new(NGINX_MAIL).exists() {
            return Err(Trouble::Missing { program: "nginx's mail module", packages: "libnginx-mod-mail" });
        }
        let versions = [
            version(&dovecot, "--version", "Dovecot").await,
            version(&nginx, "-v", "nginx").await,
            version(&curl, "--version", "curl").await,
        ];
        Ok(Self { dovecot, nginx, curl, versions })
    }

    /// Dovecot with these messages in Ann's INBOX; its master user may log in for her.
    pub(super) async fn dovecot(&self, folder: &Path, messages: &[Vec<u8>]) -> Result<Program, Trouble> {
        for name in ["run", "state"] {
            fs::create_dir(folder.join(name))?;
        }
        let home = folder.join("mail/ann");
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(home.join("Maildir").join(name))?;
        }
        for (at, message) in messages.iter().enumerate() {
            fs::write(home.join(format!("Maildir/cur/{}.M{at}P1.demo:2,S", 1_767_225_600 + at)), message)?;
        }
        let (port, root) = (free_port()?, rustix::process::getuid().is_root());
        if root {
            give_away(&folder.join("mail"))?;
        }
        fs::write(folder.join("master"), format!("{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n"))?;
        fs::write(folder.join("dovecot.conf"), dovecot_settings(folder, port, root))?;
        self.start(&self.dovecot, &["-F", "-c", "dovecot.conf"], folder, port).await
    }

    /// nginx as an operator's proxy: it asks `login`, an HTTP address, who may come and where his mail is, and hands on
    /// what passes after that.
    pub(super) async fn nginx(&self, folder: &Path, login: u16) -> Result<Program, Trouble> {
        let port = free_port()?;
        let settings = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nload_module {NGINX_MAIL};\nevents {{}}\n\
             mail {{\n server_name operator.example;\n auth_http http://127.0.0.1:{login}/;\n \
             imap_capabilities IMAP4rev1 IDLE LITERAL+;\n \
             server {{\n listen 127.0.0.1:{port};\n protocol imap;\n imap_auth plain login;\n }}\n}}\n"
        );
        fs::write(folder.join("nginx.conf"), settings)?;
        let at = folder.to_string_lossy();
        self.start(&self.nginx, &["-p", &at, "-c", "nginx.conf", "-e", "nginx.log"], folder, port).await
    }

    /// Starts a server, and waits for its greeting.
    async fn start(
        &self,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
        port: u16,
    ) -> Result<Program, Trouble> {
        let quiet = Stdio::null;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(quiet()).stdout(quiet()).stderr(quiet());
        let mut program = Program { child: command.kill_on_drop(true).spawn()?, port };
        let greeted = timeout(PATIENCE, greeted(port));
        tokio::select! {
            ended = program.child.wait() => {
                let name = command.as_std().get_program().to_string_lossy();
                Err(io::Error::other(format!("{name} ended at once: {}", ended?)).into())
            }
            greeted = greeted => match greeted {
                Ok(()) => Ok(program),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            },
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Killed, it would leave its children; asked, it ends them.
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok()) {
            for _ in 0..200 {
                if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn dovecot_settings(folder: &Path, port: u16, root: bool) -> String {
    let at = folder.display();
    let own = rustix::process::getuid().as_raw();
    let users = match (root, users_name(own)) {
        (false, Some(own)) => {
            format!("default_internal_user = {own}\ndefault_login_user = {own}\nmail_uid = {own}\n")
        }
        _ => "mail_uid = nobody\nmail_gid = nogroup\n".to_owned(),
    };
    format!(
        "base_dir = {at}/run\nstate_dir = {at}/state\nlog_path = {at}/dovecot.log\nlisten = 127.0.0.1\n\
         protocols = imap\nssl = no\ndisable_plaintext_auth = no\nauth_mechanisms = plain login\n\
         first_valid_uid = 1\nauth_master_user_separator = *\nmail_location = maildir:~/Maildir\n{users}\
         service imap-login {{\n chroot =\n inet_listener imap {{\n port = {port}\n }}\n}}\n\
         service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n\
         passdb {{\n driver = passwd-file\n args = scheme=PLAIN username_format=%u {at}/master\n master = yes\n \
         result_success = continue\n}}\n\
         passdb {{\n driver = static\n args = password={OWN_PASSWORD}\n}}\n\
         userdb {{\n driver = static\n args = home={at}/mail/%u\n}}\n\
         namespace inbox {{\n inbox = yes\n separator = /\n}}\n"
    )
}

fn find(program: &'static str, packages: &'static str) -> Result<PathBuf, Trouble> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()));
    found.ok_or(Trouble::Missing { program, packages })
}

/// The first number in what it says of itself.
async fn version(program: &Path, argument: &str, name: &str) -> String {
    let said = Command::new(program).arg(argument).output().await;
    let said = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let number = said.split([' ', '/', '\n']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    format!("{name} {}", number.unwrap_or_default()).trim_end().to_owned()
}

async fn greeted(port: u16) {
    loop {
        if let Ok(mut connection) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
            && connection.read_u8().await.is_ok_and(|first| first == b'*')
        {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The path and all in it to whoever handles mail: root does not.
fn give_away(path: &Path) -> io::Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| give_away(&entry?.path()))?;
    }
    Ok(())
}

fn users_name(id: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    };
    users.lines().find_map(of)
}

/// A folder that Dovecot's parts may walk through.
pub(super) fn folder() -> io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("sidekey-imap-").tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    Ok(folder)
}

const IMAP: &str = "/usr/lib/dovecot/imap";
const NGINX_MAIL: &str = "/usr/lib/nginx/modules/ngx_mail_module.so";
/// Whom the gateway logs in as, for Ann.
pub(super) const MASTER: &str = "gateway";
pub(super) const MASTER_PASSWORD: &str = "known to the gateway alone";
/// What Ann herself logs in with, inside the enterprise.
pub(super) const OWN_PASSWORD: &str = "known-to-ann-alone";
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(20);
