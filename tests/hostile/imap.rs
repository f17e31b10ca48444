//! The operator's proxy against the real pair, with Dovecot behind: between agent and gateway it alters whatever it likes, and
//! at the gateway it types what it likes, with the credential that it has. Each test says what its user is shown then, what
//! is raised, and that the mail server has what it had.
//!
//! ```text
//!   program ─▶ agent ──TLS──▶ Liar ──TLS──▶ gateway ─▶ Tap ─▶ Dovecot
//!                            proxy ────────▶ the same     ▲
//!                                                  direct ┘
//! ```

mod appends;
mod downgrade;
mod excess;
mod frames;
mod lies;
mod mail;
mod sizes;
mod typed;

use std::cell::Cell;

use sidekey_client::credential::CredentialIssued;
use sidekey_tests::imap::Account;
use sidekey_tests::imap::agent::Agent;
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::gateway::Gateway;
use sidekey_tests::imap::liar::Liar;
use sidekey_tests::imap::session::Session;
use sidekey_tests::imap::tap::Tap;
use sidekey_tests::others::authority::Authority;
use sidekey_tests::{ANN, Captured, MAIL, Office, server, user};

/// Ann's mail, her program, and who stands between.
pub(crate) struct Scene {
    pub(crate) liar: Liar,
    pub(crate) agent: Agent,
    pub(crate) office: Office,
    pub(crate) gateway: Gateway,
    credential: CredentialIssued,
    dovecot: Dovecot,
    /// What the mail server hears.
    behind: Tap,
    authority: Authority,
    log: Captured,
    /// Octets of the log that were looked at.
    read: Cell<usize>,
}

/// A word that is in every message, and in no answer that shows none.
pub(crate) const SECRET: &str = "merger";

impl Scene {
    /// Under the profile `strict`, with three messages in INBOX and two in Archive.
    pub(crate) async fn open() -> Self {
        Self::under("strict", &messages(), &messages()[..2]).await
    }

    /// Under this profile, with these messages.
    pub(crate) async fn under(profile: &str, inbox: &[Vec<u8>], archive: &[Vec<u8>]) -> Self {
        let log = Captured::from(tracing::Level::WARN);
        let authority = Authority::new();
        let dovecot = Dovecot::start(&authority).await;
        dovecot.deliver("ann", None, inbox);
        dovecot.deliver("ann", Some("Archive"), archive);
        let behind = Tap::start(dovecot.port).await;
        let office = Office::open().await;
        let (at, whom, label) = (server(MAIL), user(ANN), "operator".parse().unwrap());
        let credential = office.system.admin.issue_credential(&at, &whom, &label, None).await.unwrap();
        let gateway = Gateway::sealing_tls(behind.port, &office, &authority);
        let liar = Liar::start(gateway.port(profile), &authority).await;
        let secret = credential.secret.expose_printed();
        let agent = Agent::start_tls(&office, liar.port, &secret, &authority).await;
        let read = Cell::new(0);
        Self { liar, agent, office, gateway, credential, dovecot, behind, authority, log, read }
    }

    /// Her agent asks for mail as octets.
    pub(crate) async fn for_octets(mut self) -> Self {
        let secret = self.credential.secret.expose_printed();
        self.agent =
            Agent::start_tls_for_octets(&self.office, self.liar.port, &secret, &self.authority).await;
        self
    }

    /// The gateway's process began anew, and knows nothing of before.
    pub(crate) async fn with_another_gateway(mut self) -> Self {
        let another = Gateway::sealing_tls(self.behind.port, &self.office, &self.authority);
        std::mem::replace(&mut self.gateway, another).stop().await;
        self
    }

    /// A mail program of hers that has selected INBOX.
    pub(crate) async fn program(&self) -> Session {
        let mut program = Session::of(&self.agent.account).await;
        let selected = program.ask("SELECT INBOX").await;
        assert!(selected.contains(" OK [READ-WRITE]"), "{selected}");
        program
    }

    /// The same once a message was read, so that the agent has seen that names and numbers are the gateway's.
    pub(crate) async fn reader(&self) -> Session {
        let mut program = self.program().await;
        let letter = program.ask("UID FETCH 1 BODY.PEEK[]").await;
        assert!(letter.contains(SECRET), "{letter}");
        program
    }

    /// The proxy, typing at the gateway, in the user's INBOX.
    pub(crate) async fn proxy(&self) -> Session {
        let password = self.credential.secret.expose_printed().to_string();
        let account = Account { port: self.gateway.port("typed"), user: ANN.to_owned(), password };
        let mut proxy = Session::of(&account).await;
        let selected = proxy.ask("SELECT INBOX").await;
        assert!(selected.contains(" OK [READ-WRITE]"), "{selected}");
        proxy
    }

    /// Ann herself, at the mail server.
    pub(crate) async fn direct(&self) -> Session {
        Session::of(&Account { user: ANN.to_owned(), ..Account::at(self.dovecot.port) }).await
    }

    /// Which mailboxes there are, which messages in them, and which flags these have.
    pub(crate) async fn kept(&self) -> String {
        let mut direct = self.direct().await;
        let listed = direct.ask("LIST \"\" * RETURN (SUBSCRIBED)").await;
        let names: Vec<_> = listed
            .lines()
            .filter_map(|line| Some(line.strip_prefix("* ")?.rsplit(' ').next()?.to_owned()))
            .collect();
        let mut kept = vec![listed];
        for name in names {
            kept.push(direct.ask(&format!("EXAMINE {name}")).await);
            kept.push(direct.ask("UID FETCH 1:* (FLAGS RFC822.SIZE)").await);
        }
        let lines = kept.iter().flat_map(|answer| answer.lines());
        let lasting = |line: &&str| {
            line.starts_with("* ") && !line.contains(" RECENT") && !line.contains("HIGHESTMODSEQ")
        };
        lines
            .filter(lasting)
            .map(|line| line.replace(" \\Recent", "").replace("\\Recent", "") + "\n")
            .collect()
    }

    /// What the mail server was asked so far.
    pub(crate) fn asked(&self) -> String {
        let connections = self.behind.connections();
        let asked: Vec<u8> = connections.into_iter().flat_map(|one| one.asked).collect();
        String::from_utf8_lossy(&asked).into_owned()
    }

    /// What was raised since this was asked last, each as `alert/reason`.
    pub(crate) fn raised(&self) -> Vec<String> {
        let text = self.log.text();
        let new = String::from_utf8_lossy(&text[self.read.replace(text.len())..]).into_owned();
        let value = |line: &str, name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            Some(rest.split('"').next()?.to_owned())
        };
        let alert = |line: &str| Some(format!("{}/{}", value(line, " alert")?, value(line, " reason")?));
        new.lines().filter_map(alert).collect()
    }

    /// That this gives no mail and says so, and that exactly this is raised.
    pub(crate) async fn left_out(&self, program: &mut Session, command: &str, alert: &str, what: &str) {
        let told = program.ask(command).await;
        assert!(!told.contains(SECRET), "{what}: {told}");
        assert!(told.ends_with(" NO some of it does not hold, and is left out\r\n"), "{what}: {told}");
        assert_eq!(self.raised(), [alert], "{what}");
    }

    /// That this gives no mail, and that the connection ends with this alert.
    pub(crate) async fn ends(&self, mut program: Session, command: &str, alert: &str, what: &str) {
        let told = program.ask(command).await + &String::from_utf8_lossy(&program.rest().await);
        assert!(!told.contains(SECRET), "{what}: {told}");
        assert!(told.contains(" NO ") && told.contains("* BYE "), "{what}: {told}");
        assert_eq!(self.raised(), [alert], "{what}");
    }

    /// That the same connection reads as if nothing had been, now that nobody lies.
    pub(crate) async fn goes_on(&self, program: &mut Session) {
        self.liar.repent();
        let letter = program.ask("UID FETCH 1 BODY.PEEK[]").await;
        assert!(letter.contains(SECRET) && letter.contains(" OK "), "{letter}");
        assert_eq!(self.raised(), [""; 0]);
    }
}

/// A short one, a long one, and one with parts. Lines end in LF.
fn messages() -> Vec<Vec<u8>> {
    let head = "From: cfo@example.org\nTo: ann@example.org\nDate: Thu, 1 Jan 2026 08:00:00 +0100\n";
    let long = format!("The {SECRET} is at one, as agreed.\n").repeat(6_000);
    let parts = format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nThe {SECRET}.\n--b\nContent-Type: \
         text/html\n\n<p>The {SECRET}.</p>\n--b--\n"
    );
    [
        format!("{head}Subject: {SECRET}\n\nThe {SECRET} is at one, as agreed.\n"),
        format!("{head}Subject: long {SECRET}\n\n{long}"),
        format!("{head}Subject: {SECRET} in parts\n{parts}"),
    ]
    .map(String::into_bytes)
    .to_vec()
}
