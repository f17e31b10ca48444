//! HTTP/2's frames, by hand.

use sidekey_tests::Wire;
use sidekey_tests::h2::{
    CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, REFUSED_STREAM, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, begun, frame, frames, get, post,
};

use super::Scene;

async fn connected(scene: &Scene) -> Wire {
    let mut wire = scene.office.system.wire("h2", "localhost").await.unwrap();
    assert!(wire.send(&begun(&[])).await);
    wire
}

/// That the service ends the connection, and says so.
async fn is_sent_away(scene: &Scene, mut wire: Wire, attack: &str) {
    scene.serves_others().await;
    let said = frames(&wire.rest().await);
    let goaway = said.iter().find(|(kind, ..)| *kind == GOAWAY);
    let kinds: Vec<_> = said.iter().map(|(kind, ..)| *kind).take(40).collect();
    let (.., payload) = goaway.unwrap_or_else(|| panic!("{attack}: no GOAWAY among {kinds:?}"));
    assert_ne!(payload[4..8], [0; 4], "{attack}: with a reason");
    scene.serves_others().await;
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened() {
    let scene = Scene::open().await;
    let mut wire = connected(&scene).await;
    for n in 0..5_000 {
        let stream = 2 * n + 1;
        let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get("/v1/keys"));
        if !wire.send(&[open, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()).await {
            break;
        }
    }
    is_sent_away(&scene, wire, "rapid reset").await;
}

#[tokio::test]
async fn headers_that_never_end() {
    let scene = Scene::open().await;
    let mut wire = connected(&scene).await;
    wire.send(&frame(HEADERS, END_STREAM, 1, &get("/v1/keys"))).await;
    let more = [&[0x00, 3][..], b"x-a", &[100], &[b'a'; 100]].concat().repeat(100);
    for _ in 0..10_000 {
        if !wire.send(&frame(CONTINUATION, 0, 1, &more)).await {
            break;
        }
    }
    is_sent_away(&scene, wire, "CONTINUATION flood").await;
}

#[tokio::test]
async fn headers_that_never_end_and_hold_nothing() {
    let scene = Scene::open().await;
    let mut wire = connected(&scene).await;
    wire.send(&frame(HEADERS, END_STREAM, 1, &get("/v1/keys"))).await;
    for _ in 0..100_000 {
        if !wire.send(&frame(CONTINUATION, 0, 1, &[])).await {
            break;
        }
    }
    is_sent_away(&scene, wire, "empty CONTINUATION flood").await;
}

/// A small block that stands for a large header, many times over.
#[tokio::test]
async fn headers_that_unpack_to_more_than_is_taken() {
    let scene = Scene::open().await;
    let mut wire = connected(&scene).await;
    let text = |text: &[u8]| [&[0x7f, u8::try_from(text.len() - 127).unwrap() & 0x7f][..], text].concat();
    // One entry of the dynamic table, and then its index.
    let entry = [&[0x40, 3][..], b"x-a", &text(&[b'a'; 200])].concat();
    let block = [get("/v1/keys"), entry, vec![0xbe; 12_000]].concat();
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await;
    let said = frames(&wire.some().await);
    let more = frames(&wire.some().await);
    let refused = said.iter().chain(&more).any(|(kind, ..)| [HEADERS, RST_STREAM, GOAWAY].contains(kind));
    assert!(refused, "{said:?} {more:?}");
    scene.serves_others().await;
}

#[tokio::test]
async fn settings_and_pings_whose_answers_nobody_reads() {
    let scene = Scene::open().await;
    let ping = frame(PING, 0, 0, &[7; 8]);
    for flood in [frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]), ping] {
        let mut wire = connected(&scene).await;
        let many = flood.repeat(1_000);
        for _ in 0..2_000 {
            let sent = wire.send(&many);
            // Where nobody reads, nobody listens either: the service stops taking more.
            let sent = tokio::time::timeout(std::time::Duration::from_millis(500), sent).await;
            if sent != Ok(true) {
                break;
            }
        }
        scene.serves_others().await;
        drop(wire);
    }
}

#[tokio::test]
async fn more_streams_than_a_connection_has() {
    let scene = Scene::open().await;
    let mut wire = connected(&scene).await;
    let path = "/v1/pairings/00000000000000000000000000000000/begin";
    let mut opened = Vec::new();
    for n in 0..150 {
        opened.extend(frame(HEADERS, END_HEADERS, 2 * n + 1, &post(path)));
    }
    assert!(wire.send(&opened).await);
    let mut refused = 0;
    while refused < 50 {
        let said = frames(&wire.some().await);
        assert!(!said.is_empty(), "{refused} streams were refused");
        refused += said
            .iter()
            .filter(|(kind, _, payload)| *kind == RST_STREAM && payload[..] == REFUSED_STREAM.to_be_bytes())
            .count();
    }
    scene.serves_others().await;
}

/// Windows of nought, and increments that overflow.
#[tokio::test]
async fn windows_that_cannot_be() {
    let scene = Scene::open().await;
    for (attack, trick) in [
        ("nought", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("overflow", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2)),
        ("too large", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])),
        ("a frame too long", frame(HEADERS, END_HEADERS, 1, &vec![0; 20_000])),
        ("a stream of ours", frame(HEADERS, END_HEADERS | END_STREAM, 2, &get("/livez"))),
        ("no such table", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0x03])),
    ] {
        let mut wire = connected(&scene).await;
        wire.send(&trick).await;
        is_sent_away(&scene, wire, attack).await;
    }
}
