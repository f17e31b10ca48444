//! TLS, connections, time limits, the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Service, read_answer};

#[tokio::test]
async fn http_2_and_1_are_spoken_over_hybrid_tls() {
    let service = Service::start().await;
    let stream = service.connect_as(Arc::new(service.tls(&[b"h2", b"http/1.1"]))).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    // The client of these tests has no other group.
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    assert_eq!(service.send("GET", "/healthz", "", b"").await.status, 200);
}

#[tokio::test]
async fn a_protocol_that_we_do_not_speak_ends_the_handshake() {
    let service = Service::start().await;
    let refused = service.connect_as(Arc::new(service.tls(&[b"imap"]))).await;
    assert!(refused.is_err());
}

/// RFC 5246's ClientHello, by hand, since our own TLS cannot say it any more.
#[tokio::test]
async fn tls_1_2_is_refused_by_name() {
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..], // supported_groups: secp256r1
        &[0, 11, 0, 2, 1, 0],            // ec_point_formats: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],      // signature_algorithms: ecdsa_secp256r1_sha256
    ]
    .concat();
    // Version 1.2, random, no session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression.
    let hello = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, extensions.len() as u8], &extensions]
        .concat();
    let handshake = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    let record = [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat();

    let service = Service::start().await;
    let mut stream = tokio::net::TcpStream::connect(service.addr).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    // A fatal alert: protocol_version.
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]));
}

#[tokio::test]
async fn one_connection_more_than_there_are_seats_is_closed() {
    let service = Service::start_with(|config| config.limits.connections = 1).await;
    let held = service.connect().await;
    assert!(service.connect_as(Arc::new(service.tls(&[b"http/1.1"]))).await.is_err());
    drop(held);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if service.connect_as(Arc::new(service.tls(&[b"http/1.1"]))).await.is_ok() {
            return;
        }
    }
    panic!("the seat was not given back");
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let service = Service::start_with(|config| config.limits.body_s = 1).await;
    let mut stream = service.connect().await;
    let head = "POST /v1/pairings/00000000000000000000000000000000/begin HTTP/1.1\r\nhost: localhost\r\n\
                connection: close\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!((answer.status, answer.problem().as_str()), (408, "request_timeout"));
}

#[tokio::test]
async fn slow_headers_are_not_waited_for() {
    let service = Service::start_with(|config| config.limits.first_request_s = 1).await;
    let (mut stream, started) = (service.connect().await, Instant::now());
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(octets.is_empty());
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_closed() {
    let stalled = |config: &mut crate::Config| {
        (config.limits.stalled_s, config.limits.keep_alive_s) = (1, 60);
    };
    let service = Service::start_with(stalled).await;
    let (mut stream, started) = (service.connect().await, Instant::now());
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets).await;
    assert!(octets.starts_with(b"HTTP/1.1 200"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn conflicting_lengths_are_refused_and_the_connection_closed() {
    let service = Service::start().await;
    let both =
        "POST /v1/servers HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}";
    assert_eq!(service.raw(both.as_bytes()).await.status, 400);
    let space = "GET /livez HTTP/1.1\r\nhost : localhost\r\n\r\n";
    assert_eq!(service.raw(space.as_bytes()).await.status, 400);
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_ends_idle_connections_and_goes() {
    let service = Service::start().await;
    let mut idle = service.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let started = Instant::now();
    service.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}
