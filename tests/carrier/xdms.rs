//! XCAP against Kamailio's xcap_server, a strict stand-in, and hostile ones.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sidekey_carrier::xdms::{Credentials, MEDIA_TYPE, Settings, Xdms};
use sidekey_carrier::{Address, Carrier as _, Refusal, Roots, Trouble, Undelivered, Url, Xui};
use tempfile::TempDir;

use crate::{ambient, document, phone, pinned};
use sidekey_tests::others::authority::Authority;
use sidekey_tests::others::process::{Process, counterparts, free_port, listening};
use sidekey_tests::others::server::{Say, Server};
use sidekey_tests::others::xcap::Xcap;

const JWE: &str = "eyJhbGciOiJBMjU2S1cifQ.d3JhcHBlZA.aXY.Y2lwaGVydGV4dA.dGFn";

fn settings(root: Url, roots: Roots) -> Settings {
    Settings {
        root,
        auid: "org.example.keys".into(),
        document: "index".into(),
        media_type: MEDIA_TYPE.into(),
        xui: Some("tel:{number}".into()),
        credentials: Some(Credentials::new("alice".into(), "wonder".into())),
        asserted_identity: None,
        roots,
        deadline: Duration::from_secs(5),
    }
}

pub(crate) fn alice() -> Address {
    "sip:alice@xcap.test".parse::<Xui>().unwrap().into()
}

fn why(outcome: Result<impl std::fmt::Debug, Undelivered>) -> Trouble {
    match outcome {
        Err(Undelivered::Retry { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

pub(crate) struct Kamailio {
    port: u16,
    tls: u16,
    pub(crate) authority: Authority,
    folder: TempDir,
    _process: Process,
}

impl Kamailio {
    pub(crate) async fn start(modes: &[&str]) -> Self {
        let (port, tls, authority) = (free_port(), free_port(), Authority::new());
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap().to_owned();
        let keys = format!(
            "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n\
             private_key = {}\ncertificate = {}\n",
            authority.key().display(),
            authority.certificate().display()
        );
        std::fs::write(folder.path().join("tls.cfg"), keys).unwrap();
        database(folder.path());
        let config = std::fs::read_to_string(counterparts().join("kamailio.cfg")).unwrap();
        let config = config.replace("DATA_DIR", &data).replace("PLAIN_PORT", &port.to_string());
        std::fs::write(folder.path().join("kamailio.cfg"), config.replace("TLS_PORT", &tls.to_string()))
            .unwrap();
        let mut arguments = vec!["-DD", "-E", "-f", "kamailio.cfg", "-Y", &data, "-m", "64", "-M", "16"];
        arguments.extend(modes.iter().flat_map(|mode| ["-A", mode]));
        let process = Process::start("kamailio", &arguments, folder.path());
        listening(tls).await;
        Self { port, tls, authority, folder, _process: process }
    }

    fn plain(&self) -> Xdms {
        let root = format!("http://127.0.0.1:{}/xcap-root", self.port).parse().unwrap();
        Xdms::new(settings(root, Roots::Native), ambient()).unwrap()
    }

    pub(crate) fn over_tls(&self, roots: Roots, change: impl FnOnce(&mut Settings)) -> Xdms {
        let root = format!("https://localhost:{}/xcap-root", self.tls).parse().unwrap();
        let mut settings = settings(root, roots);
        change(&mut settings);
        Xdms::new(settings, ambient()).unwrap()
    }

    /// The XCAP root, over TLS.
    pub(crate) fn root(&self) -> String {
        format!("https://localhost:{}/xcap-root", self.tls)
    }

    /// Where a phone of hers finds it.
    pub(crate) fn document_of_alice(&self) -> String {
        format!("{}/org.example.keys/users/sip:alice@xcap.test/index", self.root())
    }

    /// The documents that it keeps, from its database.
    pub(crate) fn kept(&self) -> Vec<String> {
        let rows = sqlite(self.folder.path(), "select hex(doc) from xcap;");
        let bytes = |row: &str| {
            (0..row.len()).step_by(2).map(|at| u8::from_str_radix(&row[at..at + 2], 16).unwrap()).collect()
        };
        rows.lines().map(|row| String::from_utf8(bytes(row)).unwrap()).collect()
    }
}

fn database(folder: &Path) {
    for tables in ["standard", "auth_db", "presence"] {
        sqlite(
            folder,
            &std::fs::read_to_string(format!("/usr/share/kamailio/db_sqlite/{tables}-create.sql")).unwrap(),
        );
    }
    sqlite(
        folder,
        "PRAGMA journal_mode=WAL; INSERT INTO subscriber(username,domain,password,ha1,ha1b) \
         VALUES('alice','xcap.test','wonder','','');",
    );
}

fn sqlite(folder: &Path, statements: &str) -> String {
    let done = Command::new("sqlite3").arg(folder.join("xcap.db")).arg(statements).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn kamailio_keeps_replaces_and_deletes_a_document_of_a_user() {
    for modes in [&[][..], &["STRICT"], &["STRICT", "SHA256"]] {
        let kamailio = Kamailio::start(modes).await;
        let xdms = kamailio.over_tls(pinned(&kamailio.authority), |_| {});
        let first = xdms.send(&alice(), &document(&[JWE])).await.unwrap();
        assert_eq!(kamailio.kept().len(), 1, "{modes:?}");
        assert!(kamailio.kept()[0].contains(JWE));
        let second = xdms.send(&alice(), &document(&[JWE, JWE])).await.unwrap();
        assert_ne!(first.ids(), second.ids(), "another tag");
        assert_eq!(kamailio.kept()[0].matches("<envelope").count(), 2, "{modes:?}");
        xdms.withdraw(&alice()).await.unwrap();
        assert!(kamailio.kept().is_empty());
        xdms.withdraw(&alice()).await.expect("what is not there is withdrawn");
    }
}

#[tokio::test]
async fn kamailio_takes_a_large_document_and_twenty_in_a_row() {
    let kamailio = Kamailio::start(&["STRICT"]).await;
    let xdms = kamailio.plain();
    let long = format!("{JWE}.x").replacen(".x", &"x".repeat(3000), 1);
    xdms.send(&alice(), &document(&[long.as_str(); 64])).await.unwrap();
    assert_eq!(kamailio.kept()[0].matches(&long).count(), 64);
    for _ in 0..20 {
        xdms.send(&alice(), &document(&[JWE])).await.unwrap();
    }
}

#[tokio::test]
async fn an_xdms_that_hangs_up_after_each_answer_is_written_to_all_the_same() {
    let kamailio = Kamailio::start(&["STRICT", "RUDE"]).await;
    let xdms = kamailio.plain();
    for _ in 0..20 {
        xdms.send(&alice(), &document(&[JWE])).await.unwrap();
    }
    assert_eq!(kamailio.kept().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_another_authority_and_anothers_tree_are_told_apart() {
    let kamailio = Kamailio::start(&["STRICT"]).await;
    let wrong = kamailio.over_tls(pinned(&kamailio.authority), |settings| {
        settings.credentials = Some(Credentials::new("alice".into(), "wrong".into()));
    });
    assert_eq!(why(wrong.send(&alice(), &document(&[JWE])).await), Trouble::Credentials);
    let none = kamailio.over_tls(pinned(&kamailio.authority), |settings| settings.credentials = None);
    assert_eq!(why(none.send(&alice(), &document(&[JWE])).await), Trouble::Credentials);
    let other = kamailio.over_tls(pinned(&Authority::new()), |_| {});
    assert_eq!(why(other.send(&alice(), &document(&[JWE])).await), Trouble::Untrusted);
    let lost = kamailio
        .over_tls(pinned(&kamailio.authority), |settings| settings.auid = "org.example.others".into());
    assert_eq!(lost.send(&alice(), &document(&[JWE])).await, Err(Refusal::Status(404).into()));
    assert!(kamailio.kept().is_empty());
}

#[tokio::test]
async fn the_document_is_what_its_schema_says() {
    let (xdms, server, store) = strict(Xcap::default()).await;
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/delivery/keys.xsd");
    let folder = tempfile::tempdir().unwrap();
    let valid = |xml: &str| {
        let file = folder.path().join("keys.xml");
        std::fs::write(&file, xml).unwrap();
        Command::new("xmllint")
            .args(["--noout", "--schema"])
            .arg(&schema)
            .arg(&file)
            .output()
            .unwrap()
            .status
            .success()
    };
    for envelopes in [&[][..], &[JWE], &[JWE, JWE, JWE]] {
        xdms.send(&alice(), &document(envelopes)).await.unwrap();
        let kept = store.document(&server.seen().last().unwrap().path).unwrap();
        assert!(valid(&kept), "{kept}");
        assert!(
            !valid(&kept.replace("keys>", "locks>")) && !valid(&kept.replace("session=\"0", "session=\"G"))
                || envelopes.is_empty()
        );
    }
}

async fn strict(store: Xcap) -> (Xdms, Server, Arc<Xcap>) {
    let store = Arc::new(store);
    let kept = Arc::clone(&store);
    let server = Server::start(move |seen| kept.answer(seen)).await;
    let mut settings = settings(server.url("/root/").parse().unwrap(), Roots::Native);
    settings.asserted_identity = Some("X-3GPP-Asserted-Identity".into());
    (Xdms::new(settings, ambient()).unwrap(), server, store)
}

#[tokio::test]
async fn a_strict_xdms_is_told_to_create_then_to_replace_what_was_seen() {
    let (xdms, server, store) = strict(Xcap::default()).await;
    xdms.send(&phone("+491700000000"), &document(&[JWE])).await.unwrap();
    let receipt = xdms.send(&phone("+491700000000"), &document(&[])).await.unwrap();
    assert_eq!(receipt.ids()[0].as_str(), "\"2\"");
    let puts: Vec<_> = server.seen().into_iter().filter(|seen| seen.method == "PUT").collect();
    let path = "/root/org.example.keys/users/tel:+491700000000/index";
    assert_eq!(puts[0].path, path);
    assert_eq!(puts[0].headers["if-none-match"], "*");
    assert_eq!(puts[1].headers["if-match"], "\"1\"");
    assert_eq!(puts[0].headers["x-3gpp-asserted-identity"], "\"tel:+491700000000\"");
    xdms.withdraw(&phone("+491700000000")).await.unwrap();
    assert_eq!(store.document(path), None);
}

#[tokio::test]
async fn a_conflict_is_refused_with_its_reason() {
    let (xdms, _server, _store) = strict(Xcap::of_one()).await;
    let outcome = xdms.send(&alice(), &document(&[JWE, JWE])).await;
    let Err(Undelivered::Refused(Refusal::Conflict(conflict))) = outcome else { panic!("{outcome:?}") };
    assert_eq!(conflict.to_string(), "schema-validation-error (one envelope at most)");
}

#[tokio::test]
async fn a_document_that_changes_under_us_once_is_written_and_one_that_keeps_changing_is_left_for_later() {
    for (changes, written) in [(1, true), (100, false)] {
        let store = Arc::new(Xcap::default());
        let (kept, left) = (Arc::clone(&store), std::sync::atomic::AtomicI32::new(changes));
        let server = Server::start(move |seen| {
            let changes =
                left.fetch_sub(i32::from(seen.method == "PUT"), std::sync::atomic::Ordering::Relaxed);
            if seen.method == "PUT" && changes > 0 {
                kept.overwrite(&seen.path);
            }
            kept.answer(seen)
        })
        .await;
        let xdms =
            Xdms::new(settings(server.url("/root").parse().unwrap(), Roots::Native), ambient()).unwrap();
        let outcome = xdms.send(&alice(), &document(&[JWE])).await;
        assert_eq!(outcome.is_ok(), written);
        if !written {
            assert_eq!(why(outcome), Trouble::Changing);
            assert_eq!(server.seen().len(), 6, "it does not go on for ever");
        }
    }
}

async fn says(answer: impl Fn() -> Say + Send + Sync + 'static) -> (Xdms, Server) {
    let server = Server::start(move |_| answer()).await;
    let mut settings = settings(server.url("/root").parse().unwrap(), Roots::Native);
    settings.deadline = Duration::from_secs(2);
    (Xdms::new(settings, ambient()).unwrap(), server)
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| Say::status(200)).await;
    for status in [301, 302, 303, 307, 308] {
        let there = elsewhere.url("/root/x");
        let (xdms, _server) =
            says(move || Say::Answer(status, vec![("location", there.clone())], Vec::new())).await;
        assert_eq!(why(xdms.send(&alice(), &document(&[JWE])).await), Trouble::Redirected);
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_hostile_xdms_costs_a_bounded_time_and_no_memory() {
    let began = std::time::Instant::now();
    let (stalls, _server) = says(|| Say::Stall).await;
    assert_eq!(why(stalls.send(&alice(), &document(&[JWE])).await), Trouble::Deadline);
    let (hangs_up, _server) = says(|| Say::HangUp).await;
    assert_eq!(why(hangs_up.send(&alice(), &document(&[JWE])).await), Trouble::Interrupted);
    let (babbles, _server) = says(|| Say::Octets(b"\x00\x01\x02\r\n\r\n")).await;
    assert_eq!(why(babbles.send(&alice(), &document(&[JWE])).await), Trouble::Interrupted);
    let (floods, _server) = says(|| Say::Flood).await;
    assert_eq!(why(floods.send(&alice(), &document(&[JWE])).await), Trouble::Unintelligible, "it has no tag");
    assert!(began.elapsed() < Duration::from_secs(10), "100 MB are not read");
    let (down, _server) = says(|| Say::Answer(503, vec![("retry-after", "3600".into())], Vec::new())).await;
    let outcome = down.send(&alice(), &document(&[JWE])).await;
    assert_eq!(outcome, Err(Undelivered::Retry { after: Duration::from_secs(3600), why: Trouble::Bearer }));
    let (basic, server) =
        says(|| Say::Answer(401, vec![("www-authenticate", "Basic realm=\"x\"".into())], vec![])).await;
    assert_eq!(why(basic.send(&alice(), &document(&[JWE])).await), Trouble::Credentials);
    assert!(
        server.seen().iter().all(|seen| !seen.headers.contains_key("authorization")),
        "nor is a password told"
    );
}

#[tokio::test]
async fn an_answer_to_a_put_that_floods_is_cut_off() {
    let server = Server::start(|seen| if seen.method == "GET" { Say::status(404) } else { Say::Flood }).await;
    let xdms = Xdms::new(settings(server.url("/root").parse().unwrap(), Roots::Native), ambient()).unwrap();
    assert_eq!(why(xdms.send(&alice(), &document(&[JWE])).await), Trouble::Oversized);
}
