use std::net::Ipv4Addr;
use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A proxy that follows a script: what it says, and the command that it waits for before.
struct Proxy {
    port: u16,
    heard: JoinHandle<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Step {
    Say(&'static str),
    Hear,
    Tls,
}

use Step::{Hear, Say, Tls};

struct Authority {
    acceptor: TlsAcceptor,
    pem: String,
}

impl Authority {
    fn of(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), pem: cert.pem() }
    }
}

impl Proxy {
    async fn start(authority: &Authority, script: Vec<Step>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = authority.acceptor.clone();
        let heard = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream: BufReader<Box<dyn Io>> = BufReader::new(Box::new(tcp));
            let mut heard = Vec::new();
            for step in script {
                match step {
                    Say(text) => {
                        // Whoever has heard enough is gone.
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.flush().await;
                    }
                    Hear => {
                        let mut line = String::new();
                        let _ = stream.read_line(&mut line).await;
                        heard.push(line);
                    }
                    Tls => match acceptor.accept(stream.into_inner()).await {
                        Ok(tls) => stream = BufReader::new(Box::new(tls)),
                        Err(_) => return heard,
                    },
                }
            }
            heard
        });
        Self { port, heard }
    }
}

fn way(folder: &Path, proxy: &Proxy, security: Security, authority: &Authority) -> Way {
    let (ca_file, password_file) = (folder.join("ca.pem"), folder.join("password"));
    std::fs::write(&ca_file, &authority.pem).unwrap();
    std::fs::write(&password_file, "s3cret word\n").unwrap();
    std::fs::set_permissions(&password_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let proxy = crate::config::Proxy {
        host: "localhost".into(),
        port: Some(proxy.port),
        tls: security,
        ca_file: Some(ca_file),
        user: "ann@example.org".into(),
        password_file,
        octets: false,
    };
    Way::new(&proxy, 10).unwrap()
}

/// What comes of it, and what the proxy heard.
async fn connect(security: Security, script: &[Step]) -> (Result<Upstream, NoWay>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::of("localhost");
    let proxy = Proxy::start(&authority, script.to_vec()).await;
    let outcome = way(folder.path(), &proxy, security, &authority).connect().await;
    (outcome, proxy.heard.await.unwrap())
}

const LOGIN: &str = "s1 LOGIN ann@example.org \"s3cret word\"\r\n";
const FINE: &str = "s1 OK [CAPABILITY IMAP4rev1 XENCRYPTED] in\r\n";

#[tokio::test]
async fn it_logs_in_over_tls_and_loses_nothing_of_what_follows() {
    let script = [
        Tls,
        Say("* OK [CAPABILITY IMAP4rev1] hello\r\n"),
        Hear,
        Say(
            "* OK still here\r\ns1 OK [CAPABILITY IMAP4rev1 XENCRYPTED] in\r\n* OK [XENCRYPTED session=x] y\r\n",
        ),
    ];
    let (upstream, heard) = connect(Security::Implicit, &script).await;
    let mut upstream = upstream.unwrap();
    assert!(upstream.capabilities.has("XENCRYPTED"));
    assert_eq!(heard, [LOGIN]);
    let mut rest = upstream.input.clone();
    // What was not with the answer comes later.
    let _ = upstream.stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"* OK [XENCRYPTED session=x] y\r\n");
}

#[tokio::test]
async fn what_the_other_end_can_is_asked_where_it_does_not_say() {
    let script = [
        Tls,
        Say("* OK hello\r\n"),
        Hear,
        Say("s1 OK in\r\n"),
        Hear,
        Say("* CAPABILITY IMAP4rev1 XENCRYPTED\r\ns2 OK done\r\n"),
    ];
    let (upstream, heard) = connect(Security::Implicit, &script).await;
    assert!(upstream.unwrap().capabilities.has("XENCRYPTED"));
    assert_eq!(heard, [LOGIN, "s2 CAPABILITY\r\n"]);
}

#[tokio::test]
async fn before_starttls_nothing_is_said_and_nothing_of_before_counts() {
    let fine = [
        Say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n"),
        Hear,
        Say("s1 OK begin\r\n"),
        Tls,
        Hear,
        Say(FINE),
    ];
    let (upstream, heard) = connect(Security::StartTls, &fine).await;
    assert!(upstream.unwrap().capabilities.has("XENCRYPTED"));
    assert_eq!(heard, ["s1 STARTTLS\r\n", LOGIN]);
    let injected = [Say("* OK hello\r\n"), Hear, Say("s1 OK begin\r\n* OK [CAPABILITY X] y\r\n"), Tls];
    let (refused, heard) = connect(Security::StartTls, &injected).await;
    assert!(matches!(refused, Err(NoWay::Injected)), "{refused:?}");
    assert_eq!(heard, ["s1 STARTTLS\r\n"]);
    let (refused, _) = connect(Security::StartTls, &[Say("* OK hi\r\n"), Hear, Say("s1 BAD what\r\n")]).await;
    assert!(matches!(refused, Err(NoWay::NoStartTls)), "{refused:?}");
}

#[tokio::test]
async fn each_way_to_fail_is_told_apart() {
    type Told = fn(&NoWay) -> bool;
    let cases: [(&[Step], Told); 8] = [
        (&[Tls, Say("* PREAUTH welcome\r\n")], |why| matches!(why, NoWay::PreAuth)),
        (&[Tls, Say("* BYE busy\r\n")], |why| matches!(why, NoWay::NoImap)),
        (&[Tls, Say("HTTP/1.1 400 Bad\r\n")], |why| matches!(why, NoWay::NoImap)),
        (&[Tls, Say("* OK hi\r\n"), Hear, Say("s1 NO no\r\n")], |why| matches!(why, NoWay::Refused)),
        (&[Tls, Say("* OK hi\r\n"), Hear, Say("s1 NO [UNAVAILABLE] later\r\n")], |why| {
            matches!(why, NoWay::Unavailable)
        }),
        (&[Tls, Say("* OK hi\r\n"), Hear, Say("* BYE no\r\n")], |why| matches!(why, NoWay::Closed)),
        (&[Tls, Say("* OK hi\r\n"), Hear, Say("x9 OK in\r\n")], |why| matches!(why, NoWay::NoImap)),
        (&[Tls, Say("* OK hi\r\n"), Hear], |why| matches!(why, NoWay::Closed)),
    ];
    for (at, (script, told)) in cases.into_iter().enumerate() {
        let (refused, _) = connect(Security::Implicit, script).await;
        let why = refused.unwrap_err();
        assert!(told(&why), "{at}: {why:?}");
        assert!(why.told().bytes().all(|octet| matches!(octet, b' '..=b'~')), "{at}");
    }
}

#[tokio::test]
async fn a_password_is_not_told_to_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::of("localhost"), Authority::of("localhost"));
    let proxy = Proxy::start(&stranger, vec![Tls, Say("* OK hi\r\n"), Hear]).await;
    let refused = way(folder.path(), &proxy, Security::Implicit, &authority).connect().await;
    assert!(matches!(refused, Err(NoWay::Tls(_))), "{refused:?}");
    assert!(proxy.heard.await.unwrap().is_empty());
    // Nor is one asked for that others may have read.
    let proxy = Proxy::start(&authority, vec![]).await;
    let way = way(folder.path(), &proxy, Security::Implicit, &authority);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("password"), open).unwrap();
    assert!(matches!(way.connect().await, Err(NoWay::Password(_))));
}

#[tokio::test]
async fn a_password_that_no_quotes_hold_goes_as_a_literal() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::of("localhost");
    let script = vec![Say("* OK hi\r\n"), Hear, Say("+ go on\r\n"), Hear, Say(FINE)];
    let proxy = Proxy::start(&authority, script).await;
    let way = way(folder.path(), &proxy, Security::None, &authority);
    std::fs::write(folder.path().join("password"), "s\u{e9}cret\n").unwrap();
    way.connect().await.unwrap();
    assert_eq!(proxy.heard.await.unwrap(), ["s1 LOGIN ann@example.org {7}\r\n", "s\u{e9}cret\r\n"]);
}
