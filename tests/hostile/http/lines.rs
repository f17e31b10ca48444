//! HTTP/1.1 itself: lines and lengths over which two readers could disagree.

use std::time::Duration;

use tokio::time::timeout;

use super::Scene;

const NAME: &str = "smuggled.example.org";

/// What the service says to these octets, and whether it ends the connection then.
async fn said(scene: &Scene, octets: &str) -> (String, bool) {
    let mut wire = scene.office.system.wire("http/1.1", "localhost").await.unwrap();
    wire.send(octets.as_bytes()).await;
    let mut text = String::new();
    loop {
        // An answer is there at once; a connection that stays open says no more.
        match timeout(Duration::from_secs(1), wire.some()).await {
            Ok(more) if more.is_empty() => return (text, true),
            Ok(more) => text.push_str(&String::from_utf8_lossy(&more)),
            Err(_) => return (text, false),
        }
    }
}

/// `POST /v1/servers` up to its last headers.
fn post(scene: &Scene) -> String {
    let token = scene.office.system.admin_token();
    format!(
        "POST /v1/servers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\n"
    )
}

fn body() -> String {
    format!("{{\"name\":\"{NAME}\"}}")
}

#[tokio::test]
async fn lines_that_another_reader_may_read_otherwise() {
    let scene = Scene::open().await;
    let get = "GET /v1/keys HTTP/1.1\r\nhost: localhost\r\n";
    let post = post(&scene);
    let (body, before) = (body(), scene.office.system.records().len());
    for (attack, octets) in [
        ("a folded header", format!("{get}x-a: b\r\n c\r\n\r\n")),
        ("a space before the colon", format!("{get}x-a : b\r\n\r\n")),
        ("a lone CR", format!("{get}x-a: b\rx-b: c\r\n\r\n")),
        ("NUL", format!("{get}x-a: b\0c\r\n\r\n")),
        ("no name", format!("{get}: b\r\n\r\n")),
        ("two spaces", "GET  /v1/keys HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("HTTP/0.9", "GET /v1/keys\r\n\r\n".to_owned()),
        ("HTTP/3.0", "GET /v1/keys HTTP/3.0\r\nhost: localhost\r\n\r\n".to_owned()),
        ("two lengths", format!("{post}content-length: {}\r\ncontent-length: 1\r\n\r\n{body}", body.len())),
        ("a list of lengths", format!("{post}content-length: {0}, {0}\r\n\r\n{body}", body.len())),
        ("a length with a sign", format!("{post}content-length: +{}\r\n\r\n{body}", body.len())),
        ("a negative length", format!("{post}content-length: -1\r\n\r\n{body}")),
        ("a length in hex", format!("{post}content-length: 0x{:x}\r\n\r\n{body}", body.len())),
        ("a length beyond numbers", format!("{post}content-length: 99999999999999999999999\r\n\r\n{body}")),
        ("an unknown coding", format!("{post}transfer-encoding: gzip\r\n\r\n{body}")),
        ("no coding", format!("{post}transfer-encoding: identity\r\n\r\n{body}")),
        ("chunks that are not last", chunked(&format!("{post}transfer-encoding: chunked, gzip\r\n"), &body)),
        ("almost chunked", chunked(&format!("{post}transfer-encoding: xchunked\r\n"), &body)),
        (
            "chunked and then not",
            chunked(&format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n"), &body),
        ),
        ("TLS within TLS", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned()),
    ] {
        let (text, ended) = said(&scene, &octets).await;
        assert!(text.starts_with("HTTP/1.1 400 ") && ended, "{attack}: {ended} {text}");
        assert_eq!(scene.office.system.records().len(), before, "{attack}");
    }
    scene.serves_others().await;
}

fn chunked(head: &str, body: &str) -> String {
    format!("{head}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Chunks hold, as RFC 9112 says; nothing after them is a request, since nobody knows what another reader made of it.
#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let scene = Scene::open().await;
    let smuggled = "GET /v1/keys HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let post = post(&scene);
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let octets = chunked(&format!("{post}{lengths}"), &body()) + smuggled;
        let (text, ended) = said(&scene, &octets).await;
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        assert!(ended && text.contains("connection: close"), "{text}");
    }
    scene.serves_others().await;
}

#[tokio::test]
async fn chunks_that_lie_about_themselves() {
    let scene = Scene::open().await;
    let post = post(&scene) + "transfer-encoding: chunked\r\n\r\n";
    let (body, before) = (body(), scene.office.system.records().len());
    let n = body.len();
    for (attack, chunks) in [
        ("a size beyond numbers", format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n")),
        ("a negative size", format!("-1\r\n{body}\r\n0\r\n\r\n")),
        ("no size", format!("\r\n{body}\r\n0\r\n\r\n")),
        ("a long extension", format!("{n:x};{}\r\n{body}\r\n0\r\n\r\n", "a".repeat(20_000))),
        ("more than was said", format!("{n:x}\r\n{body}X\r\n0\r\n\r\n")),
    ] {
        let (text, ended) = said(&scene, &format!("{post}{chunks}")).await;
        assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("body_malformed"), "{attack}: {text}");
        assert!(ended, "{attack}: what comes next is no request");
        assert_eq!(scene.office.system.records().len(), before, "{attack}");
    }
}

#[tokio::test]
async fn hosts_that_are_missing_or_two() {
    let scene = Scene::open().await;
    for hosts in ["", "host: localhost\r\nhost: evil.example\r\n", "host: localhost\r\nHOST: localhost\r\n"] {
        let octets = format!("GET /v1/keys HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
        let text = String::from_utf8(scene.office.system.octets(octets.as_bytes()).await).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("host_invalid"), "{text}");
    }
}

/// What is said after the body is not taken for what is said before it.
#[tokio::test]
async fn a_token_in_a_trailer_is_none() {
    let scene = Scene::open().await;
    let (head, authorization) =
        post(&scene).split_once("authorization").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let body = body();
    let octets = format!(
        "{head}transfer-encoding: chunked\r\ntrailer: authorization\r\n\r\n{:x}\r\n{body}\r\n0\r\nauthorization{authorization}\r\n",
        body.len()
    );
    let (text, _) = said(&scene, &octets).await;
    assert!(text.contains("token_missing"), "{text}");
}

#[tokio::test]
async fn methods_and_addresses_that_are_for_others() {
    let scene = Scene::open().await;
    for (request, status) in [
        ("TRACE /v1/keys", 405),
        ("CONNECT localhost:443", 404),
        ("OPTIONS *", 404),
        ("BREW /v1/keys", 405),
        ("PRI /v1/keys", 405),
        ("GET /v1/../v1/keys", 404),
        ("GET //v1/keys", 404),
        ("GET /v1/keys/", 404),
        ("GET /V1/KEYS", 404),
        ("GET /v1%2fkeys", 404),
        ("GET /v1/keys;a=b", 404),
    ] {
        let octets = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let text = String::from_utf8(scene.office.system.octets(octets.as_bytes()).await).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {text}");
        assert!(text.contains("application/problem+json"), "{request}: {text}");
    }
}

/// A token is one; two are none, and neither is one that is spelled otherwise.
#[tokio::test]
async fn tokens_that_are_two_or_none() {
    let scene = Scene::open().await;
    let token = scene.office.system.admin_token();
    let (head, rest) = token.split_once('.').unwrap();
    for (attack, lines, code) in [
        (
            "two",
            format!("authorization: Bearer {token}\r\nauthorization: Bearer {token}\r\n"),
            "header_repeated",
        ),
        ("a list", format!("authorization: Bearer {token}, Bearer {token}\r\n"), "token_invalid"),
        ("padded", format!("authorization: Bearer {token}=\r\n"), "token_invalid"),
        ("of one part", format!("authorization: Bearer {head}\r\n"), "token_invalid"),
        ("of four", format!("authorization: Bearer {token}.{rest}\r\n"), "token_invalid"),
        ("of nothing", "authorization: Bearer \r\n".to_owned(), "token_missing"),
        ("of another scheme", format!("authorization: DPoP {token}\r\n"), "token_missing"),
        ("huge", format!("authorization: Bearer {}\r\n", "a".repeat(12_000)), "token_invalid"),
        ("of high octets", "authorization: Bearer \u{ff}\u{fe}\r\n".to_owned(), "token_invalid"),
    ] {
        let octets =
            format!("GET /v1/servers HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n");
        let text = String::from_utf8_lossy(&scene.office.system.octets(octets.as_bytes()).await).into_owned();
        assert!(text.contains(&format!("\"code\":\"{code}\"")), "{attack}: {text}");
    }
}
