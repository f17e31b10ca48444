//! A carrier that is handed to the service: it keeps what it takes, and fails when it is told to.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sidekey_carrier::{
    Address, Carrier, Entry, Fate, Payload, Receipt, ReceiptId, Refusal, Report, Trouble, Undelivered,
};
use sidekey_protocol::delivery::wire::CarrierKind;
use sidekey_service::Handed;
use sidekey_service::config::{self, Delivery};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// The carrier; clones are the same one.
#[derive(Clone, Debug)]
pub struct Post(Arc<watch::Sender<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    sent: Vec<Sent>,
    tried: usize,
    failing: Option<Undelivered>,
    telling: Option<mpsc::Sender<Report>>,
}

/// What it took, and for whom.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The address.
    pub to: String,
    /// An envelope's octets.
    pub envelope: Option<Vec<u8>>,
    /// An invitation's words.
    pub words: Option<String>,
    /// A document's envelopes; none where it was taken back.
    pub document: Vec<Entry>,
}

impl Default for Post {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Kept::default())))
    }
}

impl Post {
    /// For a service, under this name, as what it leads to.
    ///
    /// # Panics
    /// When that is no name of a carrier.
    #[must_use]
    pub fn handed(&self, name: &str, kind: CarrierKind) -> Handed {
        Handed {
            name: name.parse().expect("a carrier's name"),
            kind,
            domain: "operator".to_owned(),
            phones: true,
            user_xui: (kind == CarrierKind::Xdms).then(|| "sip:{user}".to_owned()),
            at_once: 4,
            daily: None,
            callback: None,
            carrier: Arc::new(self.clone()),
            reports: None,
            driver: None,
        }
    }

    /// The same; its bearer reports each message as delivered before it says that it took it.
    ///
    /// # Panics
    /// When that is no name of a carrier.
    #[must_use]
    pub fn hasty(&self, name: &str, kind: CarrierKind) -> Handed {
        let (telling, reports) = mpsc::channel(1);
        self.0.send_modify(|kept| kept.telling = Some(telling));
        Handed { reports: Some(reports), ..self.handed(name, kind) }
    }

    /// From now on its bearer cannot be reached.
    pub fn fail(&self) {
        let after = Duration::from_secs(30);
        self.answer(Some(Undelivered::Retry { after, why: Trouble::Connection }));
    }

    /// From now on it refuses everything for good.
    pub fn refuse(&self) {
        self.answer(Some(Refusal::Address.into()));
    }

    /// From now on all is well.
    pub fn mend(&self) {
        self.answer(None);
    }

    fn answer(&self, failing: Option<Undelivered>) {
        self.0.send_modify(|kept| kept.failing = failing);
    }

    /// Everything that it took.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.0.borrow().sent.clone()
    }

    /// How often it was asked.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.0.borrow().tried
    }

    /// What it took, once that is so much.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn taken(&self, count: usize) -> Vec<Sent> {
        self.wait(|kept| kept.sent.len() >= count).await;
        self.sent()
    }

    /// Waits until it was asked so often.
    ///
    /// # Panics
    /// When that does not come.
    pub async fn asked(&self, count: usize) {
        self.wait(|kept| kept.tried >= count).await;
    }

    async fn wait(&self, enough: impl FnMut(&Kept) -> bool) {
        let mut kept = self.0.subscribe();
        let waited = tokio::time::timeout(PATIENCE, kept.wait_for(enough)).await;
        drop(waited.expect("it comes").expect("we hold the other end"));
    }

    fn take(&self, sent: Sent) -> Result<Receipt, Undelivered> {
        let mut outcome = Ok(());
        let mut number = 0;
        self.0.send_modify(|kept| {
            kept.tried += 1;
            match &kept.failing {
                Some(why) => outcome = Err(why.clone()),
                None => kept.sent.push(sent),
            }
            number = kept.sent.len();
        });
        outcome.map(|()| Receipt::of(ReceiptId::new(&format!("post-{number}"))))
    }
}

impl Carrier for Post {
    fn send<'a>(
        &'a self,
        to: &'a Address,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        let mut sent = empty(to);
        match payload {
            Payload::Sealed(sealed) => sent.envelope = Some(sealed.octets().to_vec()),
            Payload::Invitation(invitation) => sent.words = Some(invitation.text().to_owned()),
            Payload::Document(document) => sent.document = document.entries().to_vec(),
        }
        Box::pin(async move {
            let receipt = self.take(sent)?;
            let telling = self.0.borrow().telling.clone();
            if let Some(telling) = telling {
                for id in receipt.ids() {
                    let report = Report { id: id.clone(), fate: Fate::Delivered };
                    telling.send(report).await.expect("the service listens");
                }
                // Our answer waits until it was heard.
                drop(telling.reserve().await.expect("the service listens"));
            }
            Ok(receipt)
        })
    }

    fn withdraw<'a>(&'a self, to: &'a Address) -> BoxFuture<'a, Result<(), Undelivered>> {
        let sent = empty(to);
        Box::pin(async move { self.take(sent).map(drop) })
    }
}

fn empty(to: &Address) -> Sent {
    let to = match to {
        Address::Phone(phone) => phone.as_str(),
        Address::Xui(xui) => xui.as_str(),
    };
    Sent { to: to.to_owned(), envelope: None, words: None, document: Vec::new() }
}

/// A configuration with one carrier, and the folder with the file that holds its secret.
///
/// # Panics
/// When there is no room for the folder.
#[must_use]
pub fn configured(
    name: &str,
    secret: &str,
    settings: impl FnOnce(&Path) -> config::Carrier,
) -> (Delivery, TempDir) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = kept(&folder, "secret", secret);
    let carriers = [(name.parse().expect("a carrier's name"), settings(&file))].into();
    (Delivery { carriers, ..Delivery::default() }, folder)
}

/// A file that its owner alone reads.
fn kept(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("it is our folder");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is our file");
    path
}

/// A configuration with a carrier of this name to Kannel at `url`, as the shipped file describes that, and the folder with
/// what belongs to it. Reports know the word [`REPORTS`].
///
/// # Panics
/// When there is no room for the folder.
#[must_use]
pub fn kannel(name: &str, url: &str) -> (Delivery, TempDir) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let shipped = include_str!("../../config/kannel.toml");
    kept(&folder, "kannel.toml", &shipped.replace("http://127.0.0.1:13013/cgi-bin/sendsms", url));
    kept(&folder, "password", "secret");
    kept(&folder, "token", REPORTS);
    let at = folder.path().display();
    let text = format!(
        "domain = 'enterprise'\ninterface_file = '{at}/kannel.toml'\nreport_token_file = '{at}/token'\n\
         variables = {{ username = 'sidekey', sender = 'Example' }}\n\
         variable_files = {{ password = '{at}/password' }}"
    );
    let carrier = config::Carrier::HttpSms(toml::from_str(&text).expect("it is a gateway"));
    let carriers = [(name.parse().expect("a carrier's name"), carrier)].into();
    (Delivery { carriers, ..Delivery::default() }, folder)
}

/// What the URL of a gateway's reports ends with.
pub const REPORTS: &str = "0123456789abcdef012345";

/// For what comes within the same second on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
