//! SMPP against OsmoMSC, and what a phone then gets.
//!
//! ```text
//!   Smpp ──SMPP──▶ osmo-msc ──SGsAP──▶ handset.py
//!                     │ GSUP: who has this number?
//!                  osmo-hlr
//! ```

use serde_json::{Value, json};
use sidekey_carrier::sms::Ports;
use sidekey_carrier::sms::smpp::{Settings, Smpp};
use sidekey_carrier::{Carrier as _, Fate, Payload, ReceiptId, Reports, Sealed, Trouble, Undelivered};
use sidekey_tests::others::process::{Process, counterparts};

use crate::keys::octets;
use crate::phone;
use crate::sealed::Key;
use crate::smpp::{carrier, hex, report, settings};

/// The network, our carrier to it, and what it reports. Dropped in the order of the fields.
struct Network {
    carrier: Smpp,
    reports: Reports,
    _osmocom: Process,
}

impl Network {
    async fn start(password: &str) -> Self {
        let known = [ANN, ANNS_IMSI, BOB, BOBS_IMSI].map(|word| word.trim_start_matches('+'));
        let arguments = [&["-m", "osmocom.start"][..], &known].concat();
        let mut osmocom = Process::start("python3", &arguments, &counterparts());
        let port = u16::try_from(osmocom.event("listening").await["smpp"].as_u64().unwrap()).unwrap();
        let sender = "+15551000".to_owned();
        let settings = Settings { sender, ports: Ports::default(), ..settings(port, password, None) };
        let (carrier, reports, _) = carrier(&settings);
        Self { carrier, reports, _osmocom: osmocom }
    }

    async fn send(&self, to: &str, octets: &[u8]) {
        let payload = Payload::Sealed(Sealed::other(octets).unwrap());
        let receipt = self.carrier.send(&phone(to), &payload).await.unwrap();
        assert!(receipt.ids().iter().all(|id| id.as_str() == UNNAMED), "{receipt:?}");
    }
}

async fn handset(imsi: &str, answer: &str) -> Process {
    let mut handset = Process::start("python3", &["-m", "osmocom.handset", imsi, answer], &counterparts());
    handset.event("attached").await;
    handset
}

/// The user data of a message that came to our port, with its header and without.
fn data(message: &Value, header: &str) -> Vec<u8> {
    let data = octets(message["data"].as_str().unwrap());
    assert_eq!(message["length"], data.len(), "no octet of it is filling");
    assert_eq!(
        (&message["udhi"], &message["coding"], &message["protocol"]),
        (&json!(true), &json!(4), &json!(0))
    );
    assert_eq!(message["sender"], "15551000");
    data.strip_prefix(&octets(header)[..]).expect(header).to_vec()
}

#[tokio::test]
async fn an_envelope_is_in_the_handset_byte_for_byte_and_opens_there() {
    let key = Key::issued().await;
    let mut network = Network::start("secret").await;
    let mut handset = handset(ANNS_IMSI, "takes").await;
    network.send(ANN, &key.envelope).await;
    let arrived = data(&handset.event("message").await, "0605043eff3eff");
    assert_eq!(hex(&arrived), hex(&key.envelope));
    key.opens_from(&arrived).await;
    assert_eq!(report(&mut network.reports).await.fate, Fate::Delivered);
}

#[tokio::test]
async fn parts_are_in_the_handset_in_order_and_whole() {
    let network = Network::start("secret").await;
    let mut handset = handset(ANNS_IMSI, "takes").await;
    let octets: Vec<u8> = (0..=255).cycle().take(400).collect();
    network.send(ANN, &octets).await;
    let mut whole = Vec::new();
    for part in 1..=4 {
        let message = handset.event("message").await;
        let reference = &message["data"].as_str().unwrap()[18..20].to_owned();
        whole.extend(data(&message, &format!("0b05043eff3eff0003{reference}04{part:02}")));
    }
    assert_eq!(hex(&whole), hex(&octets));
}

/// Of three messages the last arrives, and its receipt is the only one. It names it by a number that the SMSC told nobody.
#[tokio::test]
async fn what_is_refused_or_for_nobody_brings_no_receipt_and_holds_nobody_up() {
    let mut network = Network::start("secret").await;
    let (mut ann, mut bob) = (handset(ANNS_IMSI, "takes").await, handset(BOBS_IMSI, "refuses").await);
    network.send(NOBODY, &[9; 127]).await;
    network.send(BOB, &[2; 127]).await;
    bob.event("message").await;
    network.send(ANN, &[1; 127]).await;
    assert_eq!(data(&ann.event("message").await, "0605043eff3eff"), [1; 127]);
    let report = report(&mut network.reports).await;
    assert_eq!((report.id.as_str(), report.fate), ("00000003", Fate::Delivered));
    assert!(!report.id.names_the_same(&ReceiptId::new(UNNAMED)), "it is taken for no message's");
    assert_eq!(network.reports.try_recv().ok(), None);
}

#[tokio::test]
async fn a_wrong_password_is_said_to_who_sends() {
    let network = Network::start("wrong").await;
    let outcome = network.carrier.send(&phone(ANN), &Payload::Sealed([1; 127].into())).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Credentials, .. })), "{outcome:?}");
}

const ANN: &str = "+491700000000";
const ANNS_IMSI: &str = "001010000000001";
const BOB: &str = "+491700000001";
const BOBS_IMSI: &str = "001010000000002";
const NOBODY: &str = "+491700000009";
/// What this SMSC calls every message.
const UNNAMED: &str = "msg_id_not_implemented";
