//! Session keys, sealed by the service's own code, through real servers, to a client's.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_carrier::{Carrier as _, Document, Entry, Payload};
use sidekey_client::error::XdmsTrouble;
use sidekey_client::xdms::Xdms;
use sidekey_client::{Error, Roots};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{PartyId, ServiceId, SessionId};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::revocation::Head;
use sidekey_protocol::session::envelope::cose::{self, Scope};
use sidekey_protocol::session::envelope::{Bindings, Expected, Reject, open, seal};
use sidekey_protocol::session::{Capabilities, SuiteList, choose_of_one};

use sidekey_tests::Office;
use sidekey_tests::mail::agree;

use crate::xdms::{Kamailio, alice};
use crate::{NOW, phone, pinned, smpp};

/// A phone that was paired, and what its session key is bound to.
struct Paired {
    kek: Kek,
    key: Secret<32>,
    bindings: Bindings,
}

impl Paired {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let capabilities = Capabilities::parse(&["XENCRYPTED", "A256GCM", "C20P"]).unwrap();
        let choice = choose_of_one(&SuiteList::ours(), &SuiteList::ours(), &capabilities).unwrap();
        let bindings = Bindings {
            service: ServiceId::random(rng),
            server: "mail.example.com".parse().unwrap(),
            user: "ann@example.com".parse().unwrap(),
            pairing: PartyId::random(rng),
            session: SessionId::random(rng),
            generation: 3,
            suite: choice.suite,
            not_before: NOW,
            not_after: NOW.after_s(3600),
            policy: [7; 32],
            capabilities,
            offer: choice.offer,
            head: Head::START.sealed(&Secret::random(rng)),
        };
        Self { kek: Kek::of(&Secret::random(rng)), key: Secret::random(rng), bindings }
    }

    fn opens_sms(&self, octets: &[u8]) -> Result<bool, Reject> {
        let Bindings { service, server, user, pairing, .. } = &self.bindings;
        let scope = Scope { service: *service, server, user, pairing: *pairing };
        cose::open(&self.kek, octets, &scope, NOW).map(|opened| opened.key.expose() == self.key.expose())
    }

    fn opens_document(&self, envelope: &str) -> Result<bool, Reject> {
        let expected = Expected {
            service: self.bindings.service,
            server: &self.bindings.server,
            user: Some(&self.bindings.user),
            pairing: self.bindings.pairing,
            session: Some(self.bindings.session),
            generation: None,
            generation_seen: 3,
        };
        open(&self.kek, envelope, &expected, NOW).map(|opened| opened.key.expose() == self.key.expose())
    }

    fn entry(&self, rng: &mut ChaCha20Rng) -> Entry {
        let Bindings { session, generation, .. } = self.bindings;
        Entry { session, generation, envelope: seal(&self.kek, &self.bindings, &self.key, rng) }
    }
}

#[tokio::test]
async fn a_key_that_went_by_sms_is_opened_by_its_phone_alone() {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let (ann, bob) = (Paired::new(rng), Paired::new(rng));
    let mut sms = smpp::start().await;
    let envelope = cose::seal(&ann.kek, &ann.bindings, &ann.key, rng);
    sms.carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope.into())).await.unwrap();
    let arrived = sms.smsc.event("submit").await;
    let arrived = octets(arrived["message"].as_str().unwrap());
    assert_eq!(ann.opens_sms(&arrived), Ok(true));
    assert_eq!(
        bob.opens_sms(&arrived),
        Err(Reject::KekForeign),
        "an SMSC that swaps two phones gives nothing away"
    );
    assert_eq!(ann.opens_sms(&arrived[..126]), Err(Reject::SizeForeign));
}

#[tokio::test]
async fn a_key_that_lay_on_an_xdms_is_opened_by_its_phone_alone() {
    let rng = &mut ChaCha20Rng::seed_from_u64(4);
    let (phone, tablet) = (Paired::new(rng), Paired::new(rng));
    let kamailio = Kamailio::start(&["STRICT"]).await;
    let xdms = kamailio.over_tls(pinned(&kamailio.authority), |_| {});
    let document = Document::new(vec![phone.entry(rng), tablet.entry(rng)]).unwrap();
    xdms.send(&alice(), &Payload::Document(document)).await.unwrap();
    let kept = &kamailio.kept()[0];
    let envelopes: Vec<&str> =
        kept.split("</envelope>").filter_map(|piece| piece.rsplit_once('>')).map(|(_, jwe)| jwe).collect();
    assert_eq!(envelopes.len(), 3, "two, and the end");
    assert_eq!(phone.opens_document(envelopes[0]), Ok(true));
    assert_eq!(tablet.opens_document(envelopes[1]), Ok(true));
    assert_eq!(phone.opens_document(envelopes[1]), Err(Reject::KekForeign));
}

pub(crate) fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn a_phone_fetches_its_key_from_an_xdms_over_tls_with_digest() {
    let office = Office::open().await;
    let key = office.session().await;
    let sealed = office.fetch(key.session(), "", &office.phone.keys.token()).send().await.is(200).json();
    let envelope = sealed["key"].as_str().unwrap().to_owned();
    let document = Document::new(vec![Entry { session: key.session(), generation: 0, envelope }]).unwrap();
    for modes in [&["STRICT"][..], &["STRICT", "SHA256"]] {
        let kamailio = Kamailio::start(modes).await;
        let carrier = kamailio.over_tls(pinned(&kamailio.authority), |_| {});
        let url = kamailio.document_of_alice();
        let xdms = Xdms::new(&url, &Roots::Pem(kamailio.authority.pem().to_owned())).unwrap();
        let wrong = office.phone.client.fetch_xdms(&xdms).await;
        assert!(matches!(wrong, Err(Error::Xdms(XdmsTrouble::Credentials))), "{wrong:?}");
        let xdms = xdms.signed_in("alice".to_owned(), "wonder".to_owned());
        let none = office.phone.client.fetch_xdms(&xdms).await.unwrap();
        assert!(none.keys.is_empty() && none.refused.is_empty(), "nothing is there yet");
        carrier.send(&alice(), &Payload::Document(document.clone())).await.unwrap();
        let delivered = office.phone.client.fetch_xdms(&xdms).await.unwrap();
        let [brought] = &delivered.keys[..] else { panic!("{delivered:?}") };
        agree(&office.mail, &key, &office.phone, brought).await;
    }
}
