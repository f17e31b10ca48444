//! The same by real carriers, as a configuration describes them, to stand-ins of their servers.

use std::sync::Arc;

use http::Method;
use serde_json::json;
use sidekey_client::admin::DeliveryState;
use sidekey_service::config::{Carrier, Smpp, Xdms};
use sidekey_tests::others::server::{Say, Server};
use sidekey_tests::others::smsc::Smsc;
use sidekey_tests::others::xcap::Xcap;
use sidekey_tests::{ANN, MAIL, Office, System, configured, kannel};

use super::{ONCE, deliveries, number, open, session, settled};

fn smpp(port: u16, secret: &std::path::Path) -> Carrier {
    let text = format!(
        "domain = 'operator'\nhost = '127.0.0.1'\nport = {port}\ntls = false\nsystem_id = 'sidekey'\n\
         password_file = '{}'\nsender = 'Example'",
        secret.display()
    );
    Carrier::Smpp(toml::from_str::<Smpp>(&text).unwrap())
}

#[tokio::test]
async fn from_the_configuration_through_an_smsc_to_the_phone() {
    let smsc = Smsc::start().await;
    let (delivery, _folder) = configured("sms", "secret", |secret| smpp(smsc.port, secret));
    let mut office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    number(&office, &office.phone).await;
    let id = open(&office, ONCE, 3600, &["sms"]).await;
    let message = smsc.taken(1).await.remove(0);
    assert_eq!((message.to.as_str(), message.esm_class, message.data_coding), ("491700000000", 0x40, 4));
    assert_eq!(message.octets[..7], [0x06, 0x05, 0x04, 0x3e, 0xff, 0x3e, 0xff]);
    let carried = office.phone.client.accept(&message.octets[7..]).await.unwrap();
    assert_eq!(carried.session(), id);
    assert_eq!(settled(&office, DeliveryState::Sent).await.receipts, ["00000001"]);
    office.system.restart().await;
    open(&office, "after-a-restart-", 3600, &["sms"]).await;
    smsc.taken(2).await;
}

fn xdms(root: &str, folder: &std::path::Path) -> Carrier {
    let _ = folder;
    let text =
        format!("domain = 'operator'\nroot = '{root}'\nauid = 'org.example.keys'\nuser_xui = 'sip:{{user}}'");
    Carrier::Xdms(toml::from_str::<Xdms>(&text).unwrap())
}

#[tokio::test]
async fn a_document_holds_all_live_keys_and_goes_with_the_last_of_them() {
    let xcap = Arc::new(Xcap::default());
    let answering = xcap.clone();
    let stand_in = Server::start(move |seen| answering.answer(seen)).await;
    let (delivery, _folder) =
        configured("xdms", "secret", |secret| xdms(&stand_in.url("/xcap-root"), secret));
    let office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    let path = "/xcap-root/org.example.keys/users/sip:ann@example.org/index";
    let until = async |wanted: &dyn Fn(Option<&str>) -> bool| {
        for _ in 0..3000 {
            if wanted(xcap.document(path).as_deref()) {
                return xcap.document(path);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it stays {:?}", xcap.document(path));
    };
    let envelopes = |document: Option<&str>| document.map_or(0, |text| text.matches("<envelope ").count());
    let body = json!({"user": ANN, "capabilities": ["A256GCM"], "deliver": ["xdms"]});
    let first = session(office.open_session(ONCE, &body).send().await);
    until(&|document| envelopes(document) == 2).await;
    session(office.open_session("a-second-session", &body).send().await);
    let document = until(&|document| envelopes(document) == 4).await.unwrap();
    assert!(document.contains(&format!("session=\"{first}\" generation=\"0\"")), "{document}");
    // The phone is lost: its envelopes go, and the tablet's have newer keys.
    office.revoke_the_phone().await;
    let newer = format!("session=\"{first}\" generation=\"1\"");
    until(&|document| envelopes(document) == 2 && document.is_some_and(|text| text.contains(&newer))).await;
    let whole = json!({"kind": "user", "server": MAIL, "user": ANN});
    office.revoke(&whole).send().await.is(200);
    until(&|document| document.is_none()).await;
}

#[tokio::test]
async fn a_gateway_s_report_is_shown_and_whoever_does_not_know_its_url_reports_nothing() {
    let stand_in =
        Server::start(|_| Say::Answer(202, Vec::new(), b"0: Accepted for delivery".to_vec())).await;
    let (delivery, _folder) = kannel("sms", &stand_in.url("/cgi-bin/sendsms"));
    let office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    number(&office, &office.phone).await;
    let id = open(&office, ONCE, 3600, &["sms"]).await;
    let sent = settled(&office, DeliveryState::Sent).await;
    let request = stand_in.seen().remove(0);
    assert_eq!(office.phone.client.accept(&request.body).await.unwrap().session(), id);
    assert_eq!(request.headers["x-kannel-password"], "secret");
    let reports = request.headers["x-kannel-dlr-url"].replace("%d", "1");
    let path = reports.strip_prefix(office.system.url.as_str()).unwrap();
    assert!(path.contains(&sent.receipts[0]), "{path}");
    let before = office.system.records().len();
    for wrong in [path.replace("0123456789abcdef", "another-word----"), path.replace("/sms/", "/gateway/")] {
        office.system.ask(Method::GET, &wrong).send().await.refused(404, "not_found");
    }
    let (bare, _) = path.split_once('?').unwrap();
    office.system.ask(Method::GET, bare).send().await.refused(400, "query_invalid");
    office.system.ask(Method::GET, &format!("{bare}?ref=never-sent&d=1")).send().await.is(204);
    assert_eq!(office.system.records().len(), before);
    office.system.ask(Method::GET, path).send().await.is(204);
    assert_eq!(deliveries(&office).await[0].fate, Some(sidekey_protocol::delivery::Fate::Delivered));
    office.system.ask(Method::POST, &path.replace("d=1", "d=2")).send().await.is(204);
    assert_eq!(office.system.records().len(), before + 1, "the first final word stays");
}
