//! The story, step by step. Each step does its part with the real thing and says what it saw; none of them judges.

mod lies;
mod revoke;

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use sidekey_client::admin::PairingFilter;
use sidekey_client::{Client, KeyStore, MemoryKeyStore, Server, SessionKey};
use sidekey_protocol::ids::{Role, SessionId};
use sidekey_protocol::object::{HEADER_SIZE, PREFIX_SIZE};
use sidekey_protocol::session::{Audience, Capabilities};
use tokio::task::block_in_place;

use super::attacks::{MAILBOX, OTHER_MAILBOX};
use super::base64::encoded_len;
use super::bearer::By;
use super::ends::{self, MailServer};
use super::evidence::{Holder, Issue, Pair, Party, Passage, Proxy, Start, Who};
use super::glance::Reader;
use super::lie::Lie;
use super::mail::Letter;
use super::path::Request;
use super::probe;
use super::relay::{Exchange, Relay};
use super::watch::Needles;
use super::world::{Parties, Service, Trouble, USER, server, user};

/// Starts the service, with a carrier to a bearer that is asked for, and looks at it from outside.
///
/// # Errors
/// [`Trouble`].
pub async fn start(by: &By) -> Result<(Service, Start), Trouble> {
    let service = Service::start(by).await?;
    let answer = block_in_place(|| probe::get(&service.url, &service.ca, "/livez", None))?;
    let stranger = block_in_place(|| probe::get(&service.url, "", "/livez", None));
    let seen = Start {
        url: service.url.to_string(),
        folder: service.folder().display().to_string(),
        tls: answer.tls,
        key_exchange: answer.key_exchange,
        stranger: stranger.err().map(|error| error.to_string()),
    };
    Ok((service, seen))
}

/// Adds the mail server, invites it and two devices, and pairs all three; somebody else tries the phone's invitation
/// before and after.
///
/// # Errors
/// [`Trouble`].
pub async fn pair(service: &Service) -> Result<(Parties, Pair), Trouble> {
    service.admin.add_server(&server()).await?;
    let stores: [Arc<dyn KeyStore>; 3] = std::array::from_fn(|_| Arc::new(MemoryKeyStore::default()) as _);
    let (mut seen, mut paired) = (Pair::default(), Vec::new());
    let all = [(Who::Server, Role::Server), (Who::Phone, Role::Client), (Who::Laptop, Role::Client)];
    for ((who, role), store) in all.into_iter().zip(&stores) {
        let invited = service.invite(role).await?;
        let code = invited.code.expose_printed().to_string();
        let other: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
        if who == Who::Phone {
            let wrong = if code.starts_with("0") { "1111-1111" } else { "0000-0000" };
            seen.wrong_code =
                service.pair(who, &invited, wrong, &other).await.err().map(|error| error.to_string());
        }
        paired.push((who, code.clone(), service.pair(who, &invited, &code, store).await?));
        if who == Who::Phone {
            seen.second_use =
                service.pair(who, &invited, &code, &other).await.err().map(|error| error.to_string());
        }
    }
    let listed =
        service.admin.pairings(&PairingFilter { server: Some(server()), ..PairingFilter::default() }).await?;
    seen.listed = listed.len() as u64;
    for (who, code, pairing) in paired {
        let listing = listed.iter().find(|listing| listing.label.as_str() == who.to_string());
        seen.parties.push(Party {
            who,
            code,
            pairing: pairing.to_string(),
            listed: listing.map(|listing| listing.pairing.to_string()).unwrap_or_default(),
            state: listing.map(|listing| on_the_wire(&listing.state)).unwrap_or_default(),
        });
    }
    Ok((Parties::open(stores).await?, seen))
}

/// A word of a closed list, as REST spells it.
pub(super) fn on_the_wire(word: &impl serde::Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The key of one session, as everybody holds it.
#[derive(Debug)]
pub struct Keys {
    server: Arc<SessionKey>,
    phone: Arc<SessionKey>,
    laptop: Arc<SessionKey>,
}

/// Who reads, and with which key.
pub(super) type ReadsWith<'a> = Option<(&'a Client, &'a SessionKey)>;

impl Keys {
    /// Of which session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.server.session()
    }

    /// The mail server goes on with this key.
    pub(super) fn seal_again(&self, path: &Path, parties: &Parties) {
        path.seal_with(&parties.server, &self.server);
    }
}

/// The mail server opens a session; phone and laptop fetch its key; the administrator tries to.
///
/// # Errors
/// [`Trouble`].
pub async fn issue(service: &Service, parties: &Parties) -> Result<(Keys, Issue), Trouble> {
    let keys = open_session(parties).await?;
    let session = keys.server.session();
    let path = format!("/v1/sessions/{session}/key");
    let outsider = service.admin.transport().call(http::Method::GET, path).send::<serde_json::Value>().await;
    let seen = Issue {
        user: USER.into(),
        session: session.to_string(),
        holders: vec![
            holder(Who::Server, &keys.server),
            holder(Who::Phone, &keys.phone),
            holder(Who::Laptop, &keys.laptop),
        ],
        outsider: outsider.err().map(|error| error.to_string()),
    };
    Ok((keys, seen))
}

async fn open_session(parties: &Parties) -> Result<Keys, Trouble> {
    let server = parties.server.issue(&Audience::User(user()), None, &capabilities()).await?;
    // A device that was told nothing finds the session by itself.
    let current = parties.phone.current().await?.first().map_or(server.session(), |session| session.session);
    let phone = parties.phone.session_key(current).await?;
    let laptop = parties.laptop.session_key(server.session()).await?;
    Ok(Keys { server, phone, laptop })
}

/// What the mail server says it can do.
pub(super) fn capabilities() -> Capabilities {
    Capabilities::parse(&["XENCRYPTED", "A256GCM", "C20P"]).expect("well-formed capabilities")
}

pub(super) fn holder(who: Who, key: &SessionKey) -> Holder {
    let (session, suite) = (key.session().to_string(), key.suite().name().to_owned());
    Holder { who, session, generation: key.generation(), suite }
}

/// Mail server, proxy and the way between.
#[derive(Debug)]
pub struct Path {
    mail: MailServer,
    relay: Relay,
    letters: u32,
}

impl Path {
    /// A mail server with `letters`, and the same in another mailbox under other numbers; a proxy before it.
    ///
    /// # Errors
    /// When loopback has no port to offer.
    pub fn start(letters: Vec<Letter>) -> Result<Self, Trouble> {
        let count = u32::try_from(letters.len()).unwrap_or(u32::MAX);
        let other = letters.iter().skip(1).chain(letters.first()).cloned().collect();
        let mailboxes = HashMap::from([(MAILBOX, letters), (OTHER_MAILBOX, other)]);
        let mail = MailServer::start(mailboxes)?;
        let relay = Relay::start(mail.address())?;
        Ok(Self { mail, relay, letters: count })
    }

    /// The first letter, while there is no Sidekey.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn clear(&self) -> Result<Passage, Trouble> {
        self.pass(&Request::whole(MAILBOX, 1), None, Lie::None)
    }

    /// All letters, sealed for the phone.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn sealed(&self, parties: &Parties, keys: &Keys) -> Result<Vec<Passage>, Trouble> {
        self.mail.seal_with(&parties.server, &keys.server);
        let phone = Some((&parties.phone, &*keys.phone));
        (1..=self.letters).map(|uid| self.pass(&Request::whole(MAILBOX, uid), phone, Lie::None)).collect()
    }

    /// Seals all that is sent from now on.
    pub(super) fn seal_with(&self, server: &Server, key: &Arc<SessionKey>) {
        self.mail.seal_with(server, key);
    }

    /// How many letters there are.
    pub(super) fn letters(&self) -> u32 {
        self.letters
    }

    pub(super) fn pass(&self, request: &Request, key: ReadsWith<'_>, lie: Lie) -> Result<Passage, Trouble> {
        let (passage, _) = block_in_place(|| self.exchange(request, key, lie))?;
        Ok(passage)
    }

    /// One request, from the app through the proxy to the mail server and back, as all three saw it.
    fn exchange(
        &self,
        request: &Request,
        key: ReadsWith<'_>,
        lie: Lie,
    ) -> Result<(Passage, Exchange), Trouble> {
        let needles = self.needles(request)?;
        let pieces = needles.count();
        self.relay.look_for(needles);
        self.relay.lie(lie);
        let read = ends::fetch(self.relay.address(), request, key);
        let (exchange, sent) = (self.relay.exchange()?, self.mail.sent()?);
        let proxy = proxy(&exchange, key.is_some());
        let (read, refused) = match read {
            Ok(read) => (Some(read), None),
            Err(unread) => (None, Some(unread.to_string())),
        };
        Ok((Passage { asked: request.to_string(), sent, pieces, proxy, read, refused }, exchange))
    }

    /// What shows the letter that is asked for, wherever it turns up.
    fn needles(&self, request: &Request) -> Result<Needles, Trouble> {
        let letters = self.mail.letters(&request.mailbox);
        let Some(letter) = request.uid.checked_sub(1).and_then(|at| letters.get(at as usize)) else {
            return Ok(Needles::default());
        };
        let mut begins = Vec::new();
        letter.open()?.take(NEEDLES_WITHIN).read_to_end(&mut begins)?;
        Ok(Needles::of(&begins))
    }
}

const NEEDLES_WITHIN: u64 = 64 * 1024;

/// What the proxy can make of what it saw.
fn proxy(exchange: &Exchange, sealed: bool) -> Proxy {
    let text = String::from_utf8_lossy(&exchange.begins);
    let piece =
        |from: u64, columns: usize| text.chars().skip(from as usize).take(columns).collect::<String>();
    let (header, glimpse) = if sealed {
        let after = encoded_len(PREFIX_SIZE as u64);
        let glimpse = [0, 1].map(|line| piece(after + line * GLIMPSE_COLUMNS as u64, GLIMPSE_COLUMNS));
        (piece(0, encoded_len(HEADER_SIZE as u64) as usize), glimpse)
    } else {
        let glance = Reader::of(&exchange.begins).glance();
        (String::new(), [glance.head(), glance.text])
    };
    let Exchange { octets, sought, found, .. } = *exchange;
    Proxy { octets, header, glimpse, sought, found }
}

const GLIMPSE_COLUMNS: usize = 44;
