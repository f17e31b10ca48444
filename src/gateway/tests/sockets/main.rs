//! The gateway's doors over real sockets: who comes in, what passes, how it ends.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod doors;
mod office;

use std::time::Duration;

use sidekey_gateway::{BadFile, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use office::{Authority, Gateway, Line, MailServer, dial, hears, in_time, rest, secure};

const CERTIFIED: &str = "certificate_file = 'tls.pem'\nkey_file = 'tls.key'\n";
const DEVICES: &str = "trusted = true\nclient_ca_file = 'ca.pem'\n";
const HERE: &str = "trusted = true\nnetworks = ['127.0.0.0/8']\n";
/// What is said before STARTTLS.
const IN_THE_CLEAR: &str =
    "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ SASL-IR STARTTLS LOGINDISABLED] Sidekey is ready\r\n";

/// In front of that server, with these options of its listener and everything else.
fn config(server: &MailServer, upstream_tls: &str, listener: &str, more: &str) -> String {
    let port = server.port();
    let host = if upstream_tls == "none" { "127.0.0.1" } else { "localhost" };
    format!(
        "[upstream]\naddress = '{host}:{port}'\ntls = '{upstream_tls}'\nca_file = 'ca.pem'\n\
         [listeners.office]\nlisten = '127.0.0.1:0'\n{CERTIFIED}{listener}{more}"
    )
}

fn start(authority: &Authority, config: &str) -> Gateway {
    Gateway::start(authority.folder.path(), config).unwrap()
}

/// Both ends of a connection of somebody who may come.
async fn connected(authority: &Authority, server: &MailServer, gateway: &Gateway) -> (Line, Line) {
    let connector = authority.connector(Some(authority));
    let (client, server) = tokio::join!(in_time(dial(gateway.at(), &connector)), server.next());
    (client.unwrap(), server)
}

#[tokio::test]
async fn a_device_of_the_enterprise_gets_every_octet_as_it_is() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let gateway = start(&authority, &config(&server, "implicit", DEVICES, ""));
    let (mut client, mut mail) = connected(&authority, &server, &gateway).await;
    let octets: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    passes(&octets, &mut mail, &mut client).await;
    passes(&octets, &mut client, &mut mail).await;
    // Whoever has said his last still hears the other out.
    client.shutdown().await.unwrap();
    assert_eq!(rest_of_one(&mut mail).await, b"");
    mail.write_all(b"a OK done\r\n").await.unwrap();
    hears(&mut client, "a OK done\r\n").await;
    mail.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, b"");
}

async fn passes(octets: &[u8], from: &mut Line, to: &mut Line) {
    let mut came = vec![0; octets.len()];
    let (sent, read) =
        in_time(async { tokio::join!(from.write_all(octets), to.read_exact(&mut came)) }).await;
    sent.unwrap();
    read.unwrap();
    assert!(came == octets);
}

async fn rest_of_one(line: &mut Line) -> Vec<u8> {
    let mut octets = vec![0; 64];
    let n = in_time(line.read(&mut octets)).await.unwrap();
    octets.truncate(n);
    octets
}

#[tokio::test]
async fn who_shows_no_certificate_of_the_enterprise_does_not_come_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = MailServer::listen(Some(&authority)).await;
    let gateway = start(&authority, &config(&server, "implicit", DEVICES, ""));
    for shown in [None, Some(&other)] {
        // In TLS 1.3 the client believes itself connected before it has been judged.
        if let Ok(mut client) = dial(gateway.at(), &authority.connector(shown)).await {
            let _ = client.write_all(b"a LOGIN ann secret\r\n").await;
            assert_eq!(rest(&mut client).await, b"");
        }
    }
    // The first who reaches the mail server is one who may.
    let (mut client, mut mail) = connected(&authority, &server, &gateway).await;
    client.write_all(b"b NOOP\r\n").await.unwrap();
    hears(&mut mail, "b NOOP\r\n").await;
}

#[tokio::test]
async fn who_comes_from_elsewhere_is_turned_away_before_tls() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let elsewhere = "trusted = true\nnetworks = ['192.0.2.0/24', '::1']\n";
    let gateway = start(&authority, &config(&server, "implicit", elsewhere, ""));
    assert!(in_time(dial(gateway.at(), &authority.connector(Some(&authority)))).await.is_err());
}

#[tokio::test]
async fn starttls_on_both_sides_greets_once_and_takes_over_nothing_from_before() {
    let authority = Authority::new();
    let server = MailServer::listen(None).await;
    let starttls = format!("tls = 'starttls'\n{HERE}");
    let gateway = start(&authority, &config(&server, "starttls", &starttls, ""));
    let client = async {
        let mut tcp = TcpStream::connect(gateway.at()).await.unwrap();
        hears(&mut tcp, IN_THE_CLEAR).await;
        tcp.write_all(b"a LOGIN ann secret\r\n").await.unwrap();
        hears(&mut tcp, "a NO [PRIVACYREQUIRED] begin TLS first\r\n").await;
        tcp.write_all(b"b STARTTLS\r\n").await.unwrap();
        hears(&mut tcp, "b OK begin TLS\r\n").await;
        secure(tcp, &authority.connector(None)).await.unwrap()
    };
    let injected = "* OK [ALERT] call this number\r\n";
    let both = async { tokio::join!(client, server.next_after_starttls(&authority, injected)) };
    let (mut client, mut mail) = in_time(both).await;
    client.write_all(b"c NOOP\r\n").await.unwrap();
    hears(&mut mail, "c NOOP\r\n").await;
    mail.write_all(b"c OK done\r\n").await.unwrap();
    hears(&mut client, "c OK done\r\n").await;
}

#[tokio::test]
async fn a_command_that_is_put_behind_starttls_reaches_nobody() {
    let authority = Authority::new();
    let server = MailServer::listen(None).await;
    let starttls = format!("tls = 'starttls'\n{HERE}");
    let gateway = start(&authority, &config(&server, "none", &starttls, ""));
    let mut tcp = TcpStream::connect(gateway.at()).await.unwrap();
    hears(&mut tcp, IN_THE_CLEAR).await;
    tcp.write_all(b"b STARTTLS\r\nc DELETE INBOX\r\n").await.unwrap();
    hears(&mut tcp, "b OK begin TLS\r\n").await;
    let client = async { secure(tcp, &authority.connector(None)).await.unwrap() };
    let mail = async {
        let mut mail = server.next().await;
        mail.write_all(b"* OK plain\r\n* OK [ALERT] too early\r\n").await.unwrap();
        mail
    };
    let (mut client, mut mail) = in_time(async { tokio::join!(client, mail) }).await;
    client.write_all(b"d NOOP\r\n").await.unwrap();
    hears(&mut mail, "d NOOP\r\n").await;
    hears(&mut client, "* OK [ALERT] too early\r\n").await;
}

#[tokio::test]
async fn behind_starttls_the_client_is_greeted_with_what_holds_within_tls() {
    let authority = Authority::new();
    let server = MailServer::listen(None).await;
    let gateway = start(&authority, &config(&server, "starttls", HERE, ""));
    let client = async { dial(gateway.at(), &authority.connector(None)).await.unwrap() };
    let (mut client, _mail) =
        in_time(async { tokio::join!(client, server.next_after_starttls(&authority, "")) }).await;
    hears(&mut client, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] clear\r\n").await;
}

#[tokio::test]
async fn a_mail_server_that_is_not_reached_or_not_itself_is_said_to_be_away() {
    let (authority, impostor) = (Authority::new(), Authority::new());
    let down = MailServer::listen(None).await;
    let nobody = config(&down, "none", HERE, "");
    drop(down);
    let gateway = start(&authority, &nobody);
    let mut client = dial(gateway.at(), &authority.connector(None)).await.unwrap();
    let bye = b"* BYE [UNAVAILABLE] the mail server is not reached; try again later\r\n";
    assert_eq!(rest(&mut client).await, bye);

    let server = MailServer::listen(Some(&impostor)).await;
    let gateway = start(&authority, &config(&server, "implicit", HERE, ""));
    let mut client = dial(gateway.at(), &authority.connector(None)).await.unwrap();
    let (heard, _) = tokio::join!(rest(&mut client), server.refused());
    assert_eq!(heard, bye);
}

#[tokio::test]
async fn one_address_takes_as_many_seats_as_it_may() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let limits = "[limits]\nconnections_per_address = 1\n";
    let gateway = start(&authority, &config(&server, "implicit", DEVICES, limits));
    let held = connected(&authority, &server, &gateway).await;
    let connector = authority.connector(Some(&authority));
    assert!(in_time(dial(gateway.at(), &connector)).await.is_err());
    drop(held);
    let mut tries = 0;
    while in_time(dial(gateway.at(), &connector)).await.is_err() {
        tries += 1;
        assert!(tries < 100, "the seat was not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_not_waited_for() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let gateway = start(&authority, &config(&server, "implicit", DEVICES, "[limits]\nlogin_s = 1\n"));
    let mut tcp = TcpStream::connect(gateway.at()).await.unwrap();
    tcp.write_all(&[22, 3, 1]).await.unwrap();
    assert_eq!(rest(&mut tcp).await, b"");
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_go_on() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let gateway = start(&authority, &config(&server, "implicit", DEVICES, ""));
    let (mut client, mut mail) = connected(&authority, &server, &gateway).await;
    let reloader = gateway.running.reloader();

    // A key that is not the certificate's changes nothing.
    let key = std::fs::read(authority.path("tls.key")).unwrap();
    std::fs::copy(authority.path("device.key"), authority.path("tls.key")).unwrap();
    assert!(matches!(reloader.reload(), Err(BadFile::Tls { .. })));
    std::fs::write(authority.path("tls.key"), key).unwrap();
    connected(&authority, &server, &gateway).await;

    let renewed = Authority::new();
    for name in ["tls.pem", "tls.key"] {
        std::fs::copy(renewed.path(name), authority.path(name)).unwrap();
    }
    reloader.reload().unwrap();
    assert!(dial(gateway.at(), &authority.connector(Some(&authority))).await.is_err(), "the old one is gone");
    let connector = renewed.connector(Some(&authority));
    let (came, _) = tokio::join!(in_time(dial(gateway.at(), &connector)), server.next());
    came.unwrap();
    client.write_all(b"a NOOP\r\n").await.unwrap();
    hears(&mut mail, "a NOOP\r\n").await;
}

#[tokio::test]
async fn what_is_being_done_is_finished_before_the_gateway_stops() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let gateway = start(&authority, &config(&server, "implicit", DEVICES, ""));
    let (at, (mut client, mut mail)) = (gateway.at(), connected(&authority, &server, &gateway).await);
    let body = vec![b'x'; 1 << 20];
    let ((), heard, ()) = tokio::join!(
        async {
            // Slower than the gateway stops, and never quiet for as long as it waits.
            for piece in body.chunks(1 << 18) {
                mail.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        },
        rest(&mut client),
        gateway.stop()
    );
    assert_eq!(heard.len(), body.len());
    assert!(TcpStream::connect(at).await.is_err(), "nobody else comes in");
}

#[tokio::test]
async fn it_does_not_start_with_what_it_could_not_serve_with() {
    let authority = Authority::new();
    let server = MailServer::listen(Some(&authority)).await;
    let text = config(&server, "implicit", DEVICES, "");
    let folder = authority.folder.path();
    let expose = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(authority.path("tls.key"), permissions).unwrap();
    };
    expose(0o640);
    let Err(Stop::File(exposed)) = Gateway::start(folder, &text) else { panic!("others can read its key") };
    assert!(exposed.to_string().contains("chmod 600"), "{exposed}");
    expose(0o600);
    let taken = text.replace("127.0.0.1:0", &format!("127.0.0.1:{}", server.port()));
    assert!(matches!(Gateway::start(folder, &taken), Err(Stop::Bind { .. })));
    std::fs::write(authority.path("ca.pem"), "no certificate").unwrap();
    let Err(Stop::File(malformed)) = Gateway::start(folder, &text) else { panic!("it trusts nobody") };
    assert!(malformed.to_string().contains("ca.pem"), "{malformed}");
}
