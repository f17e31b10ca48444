//! What operators put in front of an IMAP server. Those that tunnel read the login and then hand on what comes; those that
//! end IMAP speak it to both sides with words of their own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::dovecot::{self, Dovecot, folder, give_away, is_root};
use super::{Account, client, greets};
use crate::others::authority::Authority;
use crate::others::process::{Process, free_port};
use crate::others::server::{Say, Server};

/// One that listens on loopback until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// IMAP without TLS.
    pub port: u16,
    _process: Process,
    _folder: TempDir,
    _login: Option<Server>,
}

impl Proxy {
    /// Nginx's mail proxy: asks a web server whose mail is where, and tunnels.
    pub async fn nginx(upstream: u16) -> Self {
        let login = Server::start(move |_| {
            let headers = [("auth-status", "OK"), ("auth-server", "127.0.0.1")]
                .map(|(name, value)| (name, value.to_owned()));
            Say::Answer(
                200,
                [headers.to_vec(), vec![("auth-port", upstream.to_string())]].concat(),
                Vec::new(),
            )
        })
        .await;
        let (folder, port) = (folder(), free_port());
        let settings = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nload_module {NGINX_MAIL};\n\
             events {{}}\n\
             mail {{\n server_name operator.example;\n auth_http {url};\n imap_client_buffer 8k;\n \
             imap_capabilities IMAP4rev1 UIDPLUS IDLE LITERAL+ BINARY;\n \
             server {{\n listen 127.0.0.1:{port};\n protocol imap;\n imap_auth plain login;\n }}\n}}\n",
            url = login.url("/"),
        );
        fs::write(folder.path().join("nginx.conf"), settings).unwrap();
        let at = folder.path().to_str().unwrap();
        let process = Process::start("nginx", &["-p", at, "-c", "nginx.conf", "-e", "log"], folder.path());
        greets(port).await;
        Self { port, _process: process, _folder: folder, _login: Some(login) }
    }

    /// Dovecot's login proxy: tunnels.
    pub async fn login_proxy(upstream: u16) -> Self {
        let settings = format!(
            "ssl = no\nmail_location = maildir:~/none\n\
             passdb {{\n driver = static\n args = proxy=y nopassword=y host=127.0.0.1 port={upstream}\n}}\n\
             userdb {{\n driver = static\n args = home=/nonexistent\n}}\n",
        );
        Self::dovecot(&settings).await
    }

    /// up-imapproxy: keeps a user's connection for the next of his, and tunnels.
    pub async fn up_imapproxy(upstream: u16) -> Self {
        let (folder, port) = (folder(), free_port());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let at = folder.path().display();
        let who = if is_root() { "proc_username nobody\nproc_groupname nogroup\n" } else { "" };
        let settings = format!(
            "server_hostname 127.0.0.1\nserver_port {upstream}\nlisten_address 127.0.0.1\nlisten_port {port}\n\
             connect_retries 3\nconnect_delay 1\ncache_size 256\ncache_expiration_time 300\n{who}\
             stat_filename {at}/statistics\nprotocol_log_filename {at}/protocol\nsyslog_facility LOG_MAIL\n\
             send_tcp_keepalives no\nenable_select_cache no\nforeground_mode yes\nforce_tls no\n\
             enable_admin_commands no\n",
        );
        fs::write(folder.path().join("imapproxy.conf"), settings).unwrap();
        let arguments = ["-f", "imapproxy.conf", "-p", &format!("{at}/pid")];
        let process = Process::start("imapproxyd", &arguments, folder.path());
        greets(port).await;
        Self { port, _process: process, _folder: folder, _login: None }
    }

    /// Dovecot's imapc: ends IMAP, and speaks its own to the server.
    pub async fn imapc(upstream: u16) -> Self {
        Self::reterminating(upstream, "").await
    }

    /// The same, and all mailboxes but INBOX have another name.
    pub async fn imapc_renamed(upstream: u16) -> Self {
        Self::reterminating(upstream, "prefix = Operator/").await
    }

    async fn reterminating(upstream: u16, prefix: &str) -> Self {
        let settings = format!(
            "ssl = no\nmail_location = imapc:~/imapc\nmail_home = mail/%u\n\
             imapc_host = 127.0.0.1\nimapc_port = {upstream}\nimapc_features = rfc822.size fetch-headers\n\
             mail_prefetch_count = 20\n\
             passdb {{\n driver = imap\n args = host=127.0.0.1 port={upstream}\n \
             default_fields = userdb_imapc_user=%u userdb_imapc_password=%w\n}}\n\
             userdb {{\n driver = prefetch\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n {prefix}\n}}\n",
        );
        Self::dovecot(&settings).await
    }

    async fn dovecot(settings: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        give_away(&folder.path().join("mail"));
        let home = format!("mail_home = {}/mail/%u", folder.path().display());
        let process =
            dovecot::start(folder.path(), port, &settings.replace("mail_home = mail/%u", &home)).await;
        Self { port, _process: process, _folder: folder, _login: None }
    }
}

/// What pulls all mail of a user into a server of its own, where he reads it: other UIDs, other UIDVALIDITY.
#[derive(Debug)]
pub struct Store {
    /// The second server.
    pub server: Dovecot,
}

impl Store {
    /// Pulls once, with this folder for its notes.
    pub async fn of(account: &Account, authority: &Authority, folder: &Path) -> Self {
        let server = Dovecot::start(authority).await;
        let near = Account { user: account.user.clone(), ..Account::at(server.port) };
        let settings = format!(
            "{}{}Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nSyncState {}/state/\n",
            client::store("far", account),
            client::store("near", &near),
            folder.display(),
        );
        client::mbsync(&settings, folder).await;
        Self { server }
    }
}

const NGINX_MAIL: &str = "/usr/lib/nginx/modules/ngx_mail_module.so";
