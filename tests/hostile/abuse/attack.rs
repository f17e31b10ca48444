//! Attacks on a connection, each until the service ends it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use sidekey_tests::Wire;
use sidekey_tests::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, begun, frame, get, post,
};
use sidekey_tests::wire::{connected, offering};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Which promise ends a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// None of time: what was said is refused.
    AtOnce,
    /// `handshake_s`.
    Handshake,
    /// `first_request_s`.
    FirstRequest,
    /// `body_s`.
    Body,
    /// `keep_alive_s`, and five seconds to say good-bye.
    Idle,
    /// `stalled_s`.
    Stalled,
}

/// What an attack is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Frames that come faster than they may.
    Floods,
    /// Frames that ask for nothing.
    Empty,
    /// Answers that are not taken.
    Untaken,
    /// An octet a second.
    Slow,
    /// Bodies without end.
    Endless,
    /// Handshakes that never finish, and connections on which nothing is said.
    Handshakes,
}

/// What is done on a connection.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) ended: Ended,
    /// On so many at a time.
    pub(crate) at_once: usize,
    pub(crate) run: fn(Attacker) -> BoxFuture<'static, ()>,
}

macro_rules! attacks {
    ($($kind:ident $ended:ident $at_once:literal $attack:ident;)*) => {
        /// All of them.
        pub(crate) const ATTACKS: &[Attack] = &[$(Attack {
            name: stringify!($attack),
            kind: Kind::$kind,
            ended: Ended::$ended,
            at_once: $at_once,
            run: |attacker| $attack(attacker).boxed(),
        }),*];
    };
}

attacks! {
    Floods AtOnce 20 rapid_reset;
    Floods AtOnce 20 reset_when_taken;
    Floods AtOnce 20 continuations;
    Floods AtOnce 20 header_bomb;
    Floods AtOnce 20 streams_beyond_the_limit;
    Empty Idle 20 pings;
    Empty Idle 20 settings;
    Untaken Stalled 20 closed_window;
    Untaken Stalled 20 window_by_octets;
    Slow FirstRequest 50 slow_headers;
    Slow Idle 50 slow_later_headers;
    Slow Idle 50 slow_continuation;
    Slow Body 50 slow_body;
    Slow Idle 50 slow_data;
    Endless AtOnce 20 endless_body;
    Endless Idle 20 endless_data;
    Handshakes Handshake 1000 half_open;
    Handshakes Handshake 100 slow_hello;
    Handshakes Handshake 500 silent;
    Handshakes FirstRequest 100 silent_after_handshake;
    Handshakes AtOnce 100 tls_1_2;
}

/// Somebody at an address of his own.
#[derive(Clone)]
pub(crate) struct Attacker {
    pub(crate) from: Ipv4Addr,
    pub(crate) at: SocketAddr,
    /// Whose certificates he trusts, in PEM.
    pub(crate) ca: Arc<str>,
}

impl Attacker {
    pub(crate) async fn tcp(&self) -> TcpStream {
        connected(self.from, self.at).await.expect("somebody listens")
    }

    /// That the handshake is one; else the service has ended it.
    pub(crate) async fn tls(&self, protocol: &str) -> std::io::Result<Wire> {
        Wire::over(self.tcp().await, Arc::new(offering(&self.ca, protocol)), "localhost").await
    }

    /// The first flight of a handshake, as it is for this service.
    fn hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.handshake().write_tls(&mut hello).expect("a Vec takes every octet");
        hello
    }

    pub(crate) fn handshake(&self) -> ClientConnection {
        let name = ServerName::try_from("localhost").expect("it is a name");
        ClientConnection::new(Arc::new(offering(&self.ca, "h2")), name).expect("the settings go together")
    }

    /// Says what `first` is, then what `next` gives, one after another with a pause, and hears everything, until the
    /// service ends the connection.
    async fn talks(&self, protocol: &str, first: Vec<u8>, pause: Duration, next: impl FnMut(u32) -> Vec<u8>) {
        let wire = self.tls(protocol).await.expect("the handshake is one");
        let (reads, writes) = wire.into_halves();
        tokio::select! {
            () = hears(reads) => {}
            () = says(writes, first, pause, next) => {}
        }
    }

    /// The same in HTTP/2, after a request that is answered.
    async fn floods(&self, pause: Duration, next: impl FnMut(u32) -> Vec<u8>) {
        let first = [begun(&[]), asks(1, "/livez")].concat();
        self.talks("h2", first, pause, next).await;
    }
}

async fn hears(mut stream: impl AsyncRead + Unpin) {
    let mut octets = vec![0; 16 * 1024];
    while matches!(stream.read(&mut octets).await, Ok(read) if read > 0) {}
}

/// Ends when nobody takes it any more.
async fn says(
    mut stream: impl AsyncWrite + Unpin,
    first: Vec<u8>,
    pause: Duration,
    mut next: impl FnMut(u32) -> Vec<u8>,
) {
    let mut octets = first;
    for n in 0.. {
        if stream.write_all(&octets).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        octets = next(n);
    }
}

/// A whole request on a stream.
fn asks(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(path))
}

/// The `n`th stream of a client, after the first.
const fn stream(n: u32) -> u32 {
    2 * n + 3
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// CVE-2023-44487: streams that are reset as soon as they are opened.
async fn rapid_reset(by: Attacker) {
    let burst =
        |n| (0..100).flat_map(move |m| [asks(stream(100 * n + m), "/v1/keys"), reset(stream(100 * n + m))]);
    by.floods(Duration::ZERO, |n| burst(n).flatten().collect()).await;
}

/// The same by one who waits until each has been begun, so that none is refused for coming too fast.
async fn reset_when_taken(by: Attacker) {
    let next = |n: u32| match n {
        // Streams are numbered up to 2^31: whoever does this for long has to connect again.
        0..2000 => [asks(stream(n), "/v1/keys"), reset(stream(n))].concat(),
        _ => frame(HEADERS, END_HEADERS | END_STREAM, 2, &get("/v1/keys")),
    };
    by.floods(Duration::from_millis(1), next).await;
}

/// Headers that never end.
async fn continuations(by: Attacker) {
    let more = [&[0x00, 3][..], b"x-a", &[100], &[b'a'; 100]].concat().repeat(100);
    by.floods(Duration::ZERO, |n| match n {
        0 => frame(HEADERS, END_STREAM, 3, &get("/v1/keys")),
        _ => frame(CONTINUATION, 0, 3, &more),
    })
    .await;
}

/// An entry of the dynamic table, and then its index, thousands of times.
async fn header_bomb(by: Attacker) {
    let entry = [&[0x40, 3][..], b"x-a", &[0x7f, 0x49], &[b'a'; 200]].concat();
    let block = [get("/v1/keys"), entry, vec![0xbe; 12_000]].concat();
    by.floods(Duration::ZERO, |n| frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &block)).await;
}

/// Requests whose bodies do not come, more of them than there may be.
async fn streams_beyond_the_limit(by: Attacker) {
    let path = "/v1/pairings/00000000000000000000000000000000/begin";
    let opens = |n| frame(HEADERS, END_HEADERS, stream(n), &post(path));
    by.floods(Duration::ZERO, |n| (50 * n..50 * n + 50).flat_map(opens).collect()).await;
}

/// Questions whose answers are heard, and which ask for nothing.
async fn pings(by: Attacker) {
    by.floods(Duration::ZERO, |_| frame(PING, 0, 0, &[7; 8]).repeat(100)).await;
}

async fn settings(by: Attacker) {
    let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &[0, 0, 0xff, 0xff]].concat();
    by.floods(Duration::ZERO, |_| frame(SETTINGS, 0, 0, &window).repeat(100)).await;
}

/// Long answers for which there is no room, of one who goes on living.
async fn closed_window(by: Attacker) {
    let asked = (0..50).flat_map(|n| asks(stream(n), "/openapi.json"));
    let first = [begun(&[(INITIAL_WINDOW_SIZE, 0)]), asked.collect()].concat();
    by.talks("h2", first, Duration::from_millis(100), |_| frame(PING, 0, 0, &[7; 8])).await;
}

/// The same where there is room for another octet again and again.
async fn window_by_octets(by: Attacker) {
    let asked = (0..50).flat_map(|n| asks(stream(n), "/openapi.json"));
    let first = [begun(&[(INITIAL_WINDOW_SIZE, 1)]), asked.collect()].concat();
    let room = |n| frame(WINDOW_UPDATE, 0, stream(n), &1_u32.to_be_bytes());
    by.talks("h2", first, Duration::from_millis(100), |_| (0..50).flat_map(room).collect()).await;
}

const SECOND: Duration = Duration::from_secs(1);

async fn slow_headers(by: Attacker) {
    let head = "GET /livez HTTP/1.1\r\nhost: localhost\r\nx-a: ";
    by.talks("http/1.1", head.into(), SECOND, |_| b"a".to_vec()).await;
}

async fn slow_later_headers(by: Attacker) {
    let first = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nx-a: ";
    by.talks("http/1.1", first.into(), SECOND, |_| b"a".to_vec()).await;
}

async fn slow_continuation(by: Attacker) {
    let more = [&[0x00, 3][..], b"x-a", &[100], &[b'a'; 100]].concat();
    by.floods(SECOND, |n| match n {
        0 => frame(HEADERS, END_STREAM, 3, &get("/v1/keys")),
        n => frame(CONTINUATION, 0, 3, &more[n as usize - 1..n as usize]),
    })
    .await;
}

/// Of HTTP/1.1, up to the body.
fn posts(lines: &str) -> Vec<u8> {
    let path = "/v1/pairings/00000000000000000000000000000000/begin";
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lines}\r\n\r\n")
        .into()
}

async fn slow_body(by: Attacker) {
    by.talks("http/1.1", posts("content-length: 5000"), SECOND, |_| b" ".to_vec()).await;
}

async fn slow_data(by: Attacker) {
    let path = "/v1/pairings/00000000000000000000000000000000/begin";
    by.floods(SECOND, |n| match n {
        0 => frame(HEADERS, END_HEADERS, 3, &post(path)),
        _ => frame(DATA, 0, 3, b" "),
    })
    .await;
}

async fn endless_body(by: Attacker) {
    let chunk = [&b"400\r\n"[..], &[b' '; 1024], b"\r\n"].concat();
    by.talks("http/1.1", posts("transfer-encoding: chunked"), Duration::ZERO, |_| chunk.clone()).await;
}

/// Of one who keeps to the window for as long as somebody might read it.
async fn endless_data(by: Attacker) {
    let path = "/v1/pairings/00000000000000000000000000000000/begin";
    by.floods(Duration::from_millis(5), |n| match n {
        0 => frame(HEADERS, END_HEADERS, 3, &post(path)),
        _ => frame(DATA, 0, 3, &[b' '; 1024]),
    })
    .await;
}

/// A hello that costs the service a key exchange and a signature, and then nothing.
async fn half_open(by: Attacker) {
    let mut stream = by.tcp().await;
    let _ = stream.write_all(&by.hello()).await;
    hears(stream).await;
}

/// A hello that comes, by an octet a second.
async fn slow_hello(by: Attacker) {
    let hello = by.hello();
    let (reads, writes) = by.tcp().await.into_split();
    tokio::select! {
        () = hears(reads) => {}
        () = says(writes, Vec::new(), SECOND, |n| vec![hello[n as usize]]) => {}
    }
}

async fn silent(by: Attacker) {
    hears(by.tcp().await).await;
}

async fn silent_after_handshake(by: Attacker) {
    let wire = by.tls("h2").await.expect("the handshake is one");
    let (reads, _writes) = wire.into_halves();
    hears(reads).await;
}

async fn tls_1_2(by: Attacker) {
    let mut hello = by.hello();
    // supported_versions: 1.3 and nothing else.
    let versions = hello.windows(7).position(|seven| seven == [0, 43, 0, 3, 2, 3, 4]).expect("it says so");
    hello[versions + 6] = 3;
    let mut stream = by.tcp().await;
    let _ = stream.write_all(&hello).await;
    hears(stream).await;
}
