//! TLS, before anything is asked.

use std::time::Duration;

use sidekey_tests::System;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn serves(system: &System) {
    system.get("/v1/servers", &system.admin_token()).send().await.is(200);
}

#[tokio::test]
async fn a_client_that_names_no_server() {
    let system = System::start().await;
    // An address is never sent as a name.
    let mut wire = system.wire("http/1.1", "127.0.0.1").await.unwrap();
    wire.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(wire.rest().await.starts_with(b"HTTP/1.1 200"));
}

/// Hybrid key exchange makes the first flight longer than one segment: it comes in two, or an octet at a time.
#[tokio::test]
async fn a_hello_that_comes_in_pieces() {
    let system = System::start().await;
    for piece in [700, 100, 1] {
        let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, service) = (relay.local_addr().unwrap(), system.address());
        let relayed = tokio::spawn(async move {
            let (mut client, _) = relay.accept().await.unwrap();
            let mut server = TcpStream::connect(service).await.unwrap();
            server.set_nodelay(true).unwrap();
            let mut hello = vec![0; 4096];
            let n = client.read(&mut hello).await.unwrap();
            assert!(n > 1200, "{n} octets: the hello is a hybrid one");
            for piece in hello[..n].chunks(piece) {
                server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
        let mut wire = system.wire_at(address).await.unwrap();
        wire.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        assert!(wire.rest().await.starts_with(b"HTTP/1.1 200"), "in pieces of {piece}");
        drop(wire);
        relayed.await.unwrap();
    }
}

#[tokio::test]
async fn clients_that_never_finish_their_handshake() {
    let system = System::start_with(|limits| limits.handshake_s = 1).await;
    let mut silent = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(system.address()).await.unwrap();
        // A record that announces more than ever comes; every other one says nothing at all.
        if n % 2 == 0 {
            stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
        }
        silent.push(stream);
    }
    serves(&system).await;
    for mut stream in silent {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "it is not waited for");
    }
    serves(&system).await;
}

#[tokio::test]
async fn octets_that_are_no_handshake() {
    let system = System::start().await;
    let http = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
    let huge = [&[22, 3, 1, 0xff, 0xff][..], &[1; 65_535]].concat();
    let alert = vec![21, 3, 3, 0, 2, 2, 40];
    let early = vec![23, 3, 3, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let heartbeat = vec![24, 3, 3, 0, 3, 1, 0x40, 0];
    for octets in [http, huge, alert, early, heartbeat, vec![0; 100_000]] {
        let mut stream = TcpStream::connect(system.address()).await.unwrap();
        let _ = stream.write_all(&octets).await;
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{:?} is waited for", &octets[..7]);
        // Nothing but an alert is said to whoever does not speak TLS.
        assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
    }
    serves(&system).await;
}
