//! The proof: mail that goes from Dovecot through the gateway, a stock proxy and the agent reaches unmodified programs octet
//! for octet, and nothing of it is on the proxy's wire.
//!
//! ```text
//!   program ─▶ agent ─▶ Tap ─▶ proxy ─▶ Tap ─▶ gateway ─▶ Dovecot
//! ```

use sidekey_client::credential::CredentialIssued;
use sidekey_tests::imap::Account;
use sidekey_tests::imap::agent::Agent;
use sidekey_tests::imap::client::{CLIENTS, Client, Mirror, assert_same};
use sidekey_tests::imap::corpus::{Corpus, MARKERS, MESSAGES};
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::gateway::Gateway;
use sidekey_tests::imap::markers::Markers;
use sidekey_tests::imap::proxy::{Proxy, Store};
use sidekey_tests::imap::session::Session;
use sidekey_tests::imap::tap::Tap;
use sidekey_tests::others::authority::Authority;
use sidekey_tests::{ANN, MAIL, Office, server, user};

/// Ann's mail, all of what stands between it and her programs, and who listens.
pub(crate) struct Path {
    dovecot: Dovecot,
    pub(crate) office: Office,
    gateway: Gateway,
    pub(crate) credential: CredentialIssued,
    _proxy: Proxy,
    agent: Agent,
    /// On either side of the proxy.
    pub(crate) taps: [Tap; 2],
}

impl Path {
    pub(crate) async fn through(proxy: impl AsyncFn(u16) -> Proxy, messages: &[Vec<u8>]) -> Self {
        let dovecot = Dovecot::start(&Authority::new()).await;
        dovecot.deliver("ann", None, messages);
        let office = Office::open().await;
        let (at, whom, label) = (server(MAIL), user(ANN), "operator".parse().unwrap());
        let credential = office.system.admin.issue_credential(&at, &whom, &label, None).await.unwrap();
        let gateway = Gateway::sealing(&dovecot, &office);
        let behind = Tap::start(gateway.port("change")).await;
        let proxy = proxy(behind.port).await;
        let before = Tap::start(proxy.port).await;
        let agent = Agent::start(&office, before.port, &credential.secret.expose_printed()).await;
        Self { dovecot, office, gateway, credential, _proxy: proxy, agent, taps: [before, behind] }
    }

    /// Another agent on the same way, which asks for octets and not for base64.
    async fn for_octets(mut self) -> Self {
        let (proxy, credential) = (self.taps[0].port, self.credential.secret.expose_printed());
        self.agent = Agent::start_for_octets(&self.office, proxy, &credential).await;
        self
    }

    /// Ann, at her mail server itself.
    pub(crate) fn direct(&self) -> Account {
        Account { user: ANN.to_owned(), ..Account::at(self.dovecot.port) }
    }

    /// That this program has all mail, octet for octet.
    async fn assert_arrives(&self, client: Client) {
        let direct = client.sync(&self.direct(), MESSAGES).await;
        let through = client.sync(&self.agent.account, MESSAGES).await;
        assert_same(&direct, &through, &format!("{client:?}"));
    }

    /// What the proxy's wire carried shows none of them.
    pub(crate) fn assert_sealed(&self, markers: &Markers) {
        for tap in &self.taps {
            let carried = tap.carried();
            assert!(carried.len() > 1000, "the proxy is on the way");
            assert_eq!(markers.found_in(&carried), [].into(), "markers on the wire");
        }
    }
}

/// With each program: what it has through agent, proxy and gateway is what it has without them, and the proxy has none of
/// the 500 markers. With sealing off it has all.
async fn all_mail_arrives_and_none_is_seen(proxy: impl AsyncFn(u16) -> Proxy) {
    let corpus = Corpus::new(1);
    let path = Path::through(&proxy, &corpus.messages).await;
    for client in CLIENTS {
        path.assert_arrives(client).await;
    }
    path.assert_sealed(&corpus.markers);
    assert_eq!(path.agent.alerts(), [].into());

    let tap = Tap::start(path.gateway.port("unsealed")).await;
    let proxy = proxy(tap.port).await;
    let account = Account {
        port: proxy.port,
        user: ANN.to_owned(),
        password: path.credential.secret.expose_printed().to_string(),
    };
    Client::ImapFlow.sync(&account, MESSAGES).await;
    assert_eq!(corpus.markers.found_in(&tap.carried()).len(), MARKERS, "the same with sealing off");
}

#[tokio::test]
async fn nginx_sees_none_of_the_mail_that_arrives() {
    all_mail_arrives_and_none_is_seen(Proxy::nginx).await;
}

#[tokio::test]
async fn dovecots_login_proxy_sees_none_of_the_mail_that_arrives() {
    all_mail_arrives_and_none_is_seen(Proxy::login_proxy).await;
}

#[tokio::test]
async fn up_imapproxy_sees_none_of_the_mail_that_arrives() {
    all_mail_arrives_and_none_is_seen(Proxy::up_imapproxy).await;
}

#[tokio::test]
async fn as_octets_too_all_mail_arrives_through_every_proxy_that_tunnels() {
    let corpus = Corpus::new(1);
    for path in [
        Path::through(Proxy::nginx, &corpus.messages).await,
        Path::through(Proxy::login_proxy, &corpus.messages).await,
        Path::through(Proxy::up_imapproxy, &corpus.messages).await,
    ] {
        let path = path.for_octets().await;
        path.assert_arrives(Client::ImapFlow).await;
        let asked: Vec<u8> = path.taps[1].connections().into_iter().flat_map(|one| one.asked).collect();
        assert!(String::from_utf8_lossy(&asked).contains("(XENCRYPTED)"), "as octets");
        path.assert_sealed(&corpus.markers);
    }
}

/// mbsync keeps a copy both ways, and a search finds what it finds at the server.
async fn changes_and_searches_go_through(proxy: impl AsyncFn(u16) -> Proxy) {
    let corpus = Corpus::new(1);
    let path = Path::through(&proxy, &corpus.messages[2..10]).await;
    let mirror = Mirror::of(&path.agent.account);
    mirror.sync().await;
    let [.., subject, body] = corpus.markers.words() else { panic!("there are markers") };
    mirror.put(format!("From: ann@example.org\nSubject: {subject}\n\n{body}\n").as_bytes());
    mirror.mark("Subject: no body", "FS");
    mirror.mark("Subject: Read: minutes", "ST");
    mirror.sync().await;

    let mut direct = Session::of(&path.direct()).await;
    let selected = direct.ask("SELECT INBOX").await;
    assert!(selected.contains("* 8 EXISTS"), "one came, one went: {selected}");
    let pushed = direct.ask("FETCH 8 BODY.PEEK[]").await;
    assert!(
        pushed.contains(&format!("Subject: {subject}\r\n"))
            && pushed.contains(&format!("\r\n\r\n{body}\r\n")),
        "{pushed}"
    );
    let flags = direct.ask("FETCH 1 FLAGS").await;
    assert!(flags.contains("\\Flagged"), "{flags}");

    let mut through = Session::of(&path.agent.account).await;
    through.ask("SELECT INBOX").await;
    for search in [
        "SEARCH SUBJECT \"no\"".to_owned(),
        "UID SEARCH TEXT mailbox".to_owned(),
        format!("SEARCH CHARSET UTF-8 BODY {{{}+}}\r\n{body}", body.len()),
        "SEARCH FLAGGED".to_owned(),
    ] {
        let found = |answer: &str| answer.split_inclusive('\n').next().unwrap().to_owned();
        let (here, there) = (through.ask(&search).await, direct.ask(&search).await);
        assert_eq!(found(&here), found(&there), "{search}: {here}");
        assert!(found(&there).bytes().any(|octet| octet.is_ascii_digit()), "it finds something: {there}");
    }
    path.assert_sealed(&corpus.markers);
    assert_eq!(path.agent.alerts(), [].into());
}

#[tokio::test]
async fn what_is_changed_and_searched_through_nginx_is_not_seen_there() {
    changes_and_searches_go_through(Proxy::nginx).await;
}

#[tokio::test]
async fn what_is_changed_and_searched_through_dovecots_login_proxy_is_not_seen_there() {
    changes_and_searches_go_through(Proxy::login_proxy).await;
}

#[tokio::test]
async fn what_is_changed_and_searched_through_up_imapproxy_is_not_seen_there() {
    changes_and_searches_go_through(Proxy::up_imapproxy).await;
}

/// An operator who ends IMAP: the agent says so and shows nothing, and he himself reads nothing.
async fn is_refused(proxy: impl AsyncFn(u16) -> Proxy) {
    let corpus = Corpus::new(1);
    let path = Path::through(&proxy, &corpus.messages).await;
    assert_refused(&path.agent).await;
    let mut operator = Session::of(&Account {
        port: path.taps[0].port,
        user: ANN.to_owned(),
        password: path.credential.secret.expose_printed().to_string(),
    })
    .await;
    operator.ask("SELECT INBOX").await;
    operator.ask("FETCH 1:* (BODY.PEEK[])").await;
    assert!(path.taps[1].carried().len() > 100_000, "he has fetched");
    path.assert_sealed(&corpus.markers);
}

async fn assert_refused(agent: &Agent) {
    let mut program = Session::connect(agent.account.port).await;
    let Account { user, password, .. } = &agent.account;
    let answers = [program.ask(&format!("LOGIN {user} {password}")).await, program.ask("SELECT INBOX").await];
    assert!(answers.concat().contains("* BYE ") && !answers.concat().contains("EXISTS"), "{answers:?}");
    assert_eq!(agent.alerts(), [("reterminated".to_owned(), 1)].into());
}

#[tokio::test]
async fn imapc_is_told_from_a_proxy_and_reads_nothing() {
    is_refused(Proxy::imapc).await;
}

#[tokio::test]
async fn imapc_that_renames_is_told_from_a_proxy_and_reads_nothing() {
    is_refused(Proxy::imapc_renamed).await;
}

#[tokio::test]
async fn a_store_that_mbsync_fills_is_told_from_a_proxy_and_has_nothing() {
    let corpus = Corpus::new(1);
    let path = Path::through(Proxy::login_proxy, &corpus.messages).await;
    let folder = tempfile::tempdir().unwrap();
    let far = Account {
        port: path.taps[1].port,
        user: ANN.to_owned(),
        password: path.credential.secret.expose_printed().to_string(),
    };
    let store = Store::of(&far, &Authority::new(), folder.path()).await;
    let tap = Tap::start(store.server.port).await;
    let agent = Agent::start(&path.office, tap.port, sidekey_tests::imap::PASSWORD).await;
    assert_refused(&agent).await;
    let mut stored = Session::login(tap.port, ANN).await;
    stored.ask("SELECT INBOX").await;
    stored.ask("FETCH 1:* BODY.PEEK[]").await;
    for tap in [&path.taps[1], &tap] {
        assert_eq!(corpus.markers.found_in(&tap.carried()), [].into(), "markers on the wire");
    }
}

/// The other programs.
mod through_agent_proxy_and_gateway_every_octet_arrives_at {
    use super::*;

    async fn program(client: Client) {
        let corpus = Corpus::new(1);
        let path = Path::through(Proxy::login_proxy, &corpus.messages).await;
        path.assert_arrives(client).await;
        path.assert_sealed(&corpus.markers);
    }

    macro_rules! programs {
        ($($name:ident $client:ident)*) => {
            $(#[tokio::test]
            async fn $name() {
                program(Client::$client).await;
            })*
        };
    }

    programs! {
        fetchmail Fetchmail
        imapfilter ImapFilter
        mail_imapclient MailImapClient
        mailutil Mailutil
        neomutt Neomutt
        offlineimap OfflineImap
    }
}
