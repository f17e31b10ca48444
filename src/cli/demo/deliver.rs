//! The phone's key by another bearer, and what the bearer's operator may try with it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use sidekey_carrier::{Document, Entry, xdms};
use sidekey_client::admin::DeliveryFilter;
use sidekey_client::xdms::Delivered;
use sidekey_client::{Ambient, Client, Error, SessionKey};
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::Audience;
use sidekey_protocol::session::wire;
use tokio::time::{Instant, sleep};

use super::attacks::{MAILBOX, Victims};
use super::bearer::smsc::Smsc;
use super::bearer::{self, Bearer, End, Via};
use super::evidence::{Deliver, Misled, Who};
use super::lie::Lie;
use super::path::Request;
use super::story::{Keys, Path, capabilities, holder, on_the_wire};
use super::world::{Parties, Service, Trouble, user};

/// What the app says to a key that it has.
pub const HELD: &str = "that is the key that it holds";
/// What the app says to a document that has nothing for it.
pub const NOTHING: &str = "nothing in it is for this device";

impl Path {
    /// The mail server opens a session whose key goes to the phone by the bearer; the phone takes it from there, reads a
    /// letter, and is lied to.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn deliver(
        &self,
        service: &Service,
        bearer: &Bearer,
        parties: &Parties,
        keys: &Keys,
    ) -> Result<Deliver, Trouble> {
        let name = bearer::name();
        service.admin.set_address(parties.phone.pairing(), &name, Some(&bearer.to)).await?;
        let audience = Audience::User(user());
        let key = parties.server.issue_by(&audience, None, &capabilities(), &[name]).await?;
        let session = key.session();
        // An app that was just started: it has fetched nothing.
        let phone = Client::open(parties.phone_store.clone(), Ambient::system()).await?;
        let mut seen =
            Deliver { whose: bearer.whose.clone(), session: session.to_string(), ..Deliver::default() };
        seen.to.clone_from(&bearer.to);
        let brought = match &bearer.end {
            End::Sms(smsc) => {
                seen.via = Some(Via::Sms);
                seen.octets = Some(smsc.message(1).await?.len() as u64);
                phone.accept(&smsc.data(1).await?).await?
            }
            End::Xdms(xdms) => {
                seen.via = Some(Via::Xdms);
                fetched(&phone, xdms, session, 0).await?
            }
        };
        (seen.listed, seen.state) = listed(service, parties, session).await?;
        seen.holders = vec![holder(Who::Phone, &brought)];
        self.seal_with(&parties.server, &key);
        let request = Request::whole(MAILBOX, Victims::among(self.letters()).one);
        seen.letter = Some(self.pass(&request, Some((&phone, &*brought)), Lie::None)?);
        seen.lies = match &bearer.end {
            End::Sms(smsc) => sms_lies(smsc, parties, &phone, &brought).await?,
            End::Xdms(xdms) => xdms_lies(xdms, parties, &phone, &brought).await?,
        };
        parties.server.end(session).await?;
        keys.seal_again(self, parties);
        Ok(seen)
    }
}

/// Where the service says that it went, and how that stands, once it is settled.
async fn listed(
    service: &Service,
    parties: &Parties,
    session: SessionId,
) -> Result<(String, String), Trouble> {
    let filter = DeliveryFilter { pairing: Some(parties.phone.pairing()), ..DeliveryFilter::default() };
    let until = Instant::now() + PATIENCE;
    loop {
        let all = service.admin.deliveries(&filter).await?;
        let Some(delivery) = all.into_iter().find(|delivery| delivery.session == Some(session)) else {
            return Ok(Default::default());
        };
        if delivery.settled.is_some() || Instant::now() > until {
            return Ok((delivery.to.unwrap_or_default(), on_the_wire(&delivery.state)));
        }
        sleep(A_MOMENT).await;
    }
}

/// What an SMSC may do with a message.
async fn sms_lies(
    smsc: &Smsc,
    parties: &Parties,
    phone: &Client,
    brought: &Arc<SessionKey>,
) -> Result<Vec<Misled>, Trouble> {
    let sms = smsc.data(1).await?;
    let mut altered = sms.clone();
    if let Some(octet) = altered.get_mut(ALTERED_AT) {
        *octet ^= 1;
    }
    let short = sms.get(..sms.len() - 1).unwrap_or_default();
    let mut lies = vec![
        misled("sent twice", taken(phone.accept(&sms).await, brought)),
        misled("sent to another", taken(parties.laptop.accept(&sms).await, brought)),
        misled("sent altered", taken(phone.accept(&altered).await, brought)),
        misled("sent short", taken(phone.accept(short).await, brought)),
    ];
    parties.server.rotate(brought.session()).await?;
    phone.accept(&smsc.data(2).await?).await?;
    lies.push(misled("sent late", taken(phone.accept(&sms).await, brought)));
    Ok(lies)
}

/// What an XDMS may do with a document.
async fn xdms_lies(
    xdms: &sidekey_client::xdms::Xdms,
    parties: &Parties,
    phone: &Client,
    brought: &Arc<SessionKey>,
) -> Result<Vec<Misled>, Trouble> {
    let session = brought.session();
    let path = format!("/v1/sessions/{session}/key");
    let sealed = phone.transport().call(Method::GET, path).send::<wire::SessionKey>().await?.key;
    let old = document(session, &sealed);
    let altered = document(session, &flipped(&sealed));
    let bomb = r#"<!DOCTYPE keys [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
        <keys xmlns="urn:sidekey:params:xml:ns:keys"><envelope>&b;</envelope></keys>"#;
    let mut lies = vec![
        misled("sent twice", given(phone.fetch_xdms(xdms).await, brought)),
        misled("sent to another", given(parties.laptop.accept_document(old.as_bytes()).await, brought)),
        misled("sent altered", given(phone.accept_document(altered.as_bytes()).await, brought)),
        misled("sent a bomb", given(phone.accept_document(bomb.as_bytes()).await, brought)),
    ];
    parties.server.rotate(session).await?;
    fetched(phone, xdms, session, 1).await?;
    lies.push(misled("sent late", given(phone.accept_document(old.as_bytes()).await, brought)));
    Ok(lies)
}

/// The key of that generation, as soon as the document has it.
async fn fetched(
    phone: &Client,
    xdms: &sidekey_client::xdms::Xdms,
    session: SessionId,
    generation: u32,
) -> Result<Arc<SessionKey>, Trouble> {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = phone.fetch_xdms(xdms).await.map(|delivered| delivered.keys);
        let is_it = |key: &Arc<SessionKey>| (key.session(), key.generation()) == (session, generation);
        match found.map(|keys| keys.into_iter().find(is_it)) {
            Ok(Some(key)) => return Ok(key),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Ok(None) if Instant::now() > until => {
                let late = "the document does not have the key in time";
                return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late).into());
            }
            _ => sleep(A_MOMENT).await,
        }
    }
}

fn document(session: SessionId, sealed: &str) -> String {
    let entry = Entry { session, generation: 0, envelope: sealed.to_owned() };
    Document::new(vec![entry]).map(|document| xdms::written(&document)).unwrap_or_default()
}

/// With another symbol in the place of the last but one.
fn flipped(sealed: &str) -> String {
    let at = sealed.len().saturating_sub(2);
    let other = if sealed[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &sealed[..at], &sealed[at + 1..])
}

fn misled(lie: &str, outcome: String) -> Misled {
    Misled { lie: lie.to_owned(), outcome }
}

fn taken(outcome: Result<Arc<SessionKey>, Error>, held: &Arc<SessionKey>) -> String {
    match outcome {
        Ok(key) if Arc::ptr_eq(&key, held) => HELD.to_owned(),
        Ok(key) => format!("took {key:?}"),
        Err(error) => error.to_string(),
    }
}

fn given(outcome: Result<Delivered, Error>, held: &Arc<SessionKey>) -> String {
    match outcome {
        Ok(Delivered { keys, mut refused }) => match (keys.into_iter().next(), refused.pop()) {
            (_, Some(refused)) => refused.to_string(),
            (Some(key), None) => taken(Ok(key), held),
            (None, None) => NOTHING.to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

/// Within what is encrypted.
const ALTERED_AT: usize = 100;
const PATIENCE: Duration = Duration::from_secs(15);
const A_MOMENT: Duration = Duration::from_millis(20);
