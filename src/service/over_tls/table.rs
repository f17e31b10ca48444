//! The route table is the interface: every row's limits hold, and nothing else answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Answer, NOW, Party, Service};
use crate::Given;
use crate::config::Config;
use crate::http::{Instead, ROUTES, Route, Time};

/// An id in each parameter's place.
fn concrete(path: &str) -> String {
    let part = |part: &str| match part {
        "{server}" => "mail.example.org".to_owned(),
        "{user}" => "ann".to_owned(),
        part if part.starts_with('{') => "0".repeat(32),
        part => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

async fn ask(service: &Service, route: &Route, headers: &str, body: &[u8]) -> Answer {
    service.send(route.method_name, &concrete(route.path), headers, body).await
}

#[tokio::test]
async fn every_route_refuses_a_body_beyond_its_limit() {
    let service = Service::start().await;
    for route in ROUTES {
        let body = vec![b' '; route.body_size_bytes + 1];
        let answer = ask(&service, route, "", &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "body_too_large"), "{route:?}");
    }
}

#[tokio::test]
async fn every_route_refuses_a_body_that_grows_beyond_its_limit() {
    let service = Service::start().await;
    for route in ROUTES.iter().filter(|route| route.who.is_anybody()) {
        let (method, path) = (route.method_name, concrete(route.path));
        let size = route.body_size_bytes + 1;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n"
        );
        let answer = service.raw(&[head.as_bytes(), &vec![b' '; size], b"\r\n0\r\n\r\n"].concat()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "body_too_large"), "{route:?}");
    }
}

#[tokio::test]
async fn every_route_refuses_headers_beyond_the_limit() {
    let service = Service::start().await;
    let long = format!("x-long: {}\r\n", "a".repeat(17_000));
    let many = "x-many: a\r\n".repeat(65);
    for route in ROUTES {
        for headers in [&long, &many] {
            let answer = ask(&service, route, headers, b"").await;
            assert_eq!((answer.status, answer.problem().as_str()), (431, "headers_too_large"), "{route:?}");
        }
    }
}

#[tokio::test]
async fn every_route_for_parties_asks_for_a_token() {
    let service = Service::start().await;
    for route in ROUTES.iter().filter(|route| !route.who.is_anybody()) {
        let answer = ask(&service, route, "", b"").await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "token_missing"), "{route:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

/// What tells nothing secret, and may be asked for under its ETag.
const MAY_BE_KEPT: [&str; 2] = ["/v1/keys", "/openapi.json"];

/// The answer's status and `Cache-Control`; of a stream, its head alone is waited for.
async fn kept(service: &Service, party: &Party, route: &Route, path: &str) -> (u16, Option<String>) {
    let answer = if route.time == Time::Stream {
        let mut stream = service.connect().await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{}\r\n", party.bearer(NOW));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut octets = vec![0; 4096];
        let n = stream.read(&mut octets).await.unwrap();
        let head = String::from_utf8_lossy(&octets[..n]).into_owned();
        Answer { status: head[9..12].parse().unwrap(), head, body: Vec::new() }
    } else {
        service.call(party, route.method_name, path, Value::Null).await
    };
    (answer.status, answer.header("cache-control").map(str::to_owned))
}

/// A gateway that nobody listens as: what is to be sent waits, and whoever knows the word reports.
fn carrier(config: &mut Config) {
    let write = |name: &str, text: &str| {
        crate::files::write(&config.data.join(name), text.as_bytes(), 0o600).unwrap();
    };
    write("kannel.toml", &include_str!("../../../config/kannel.toml").replace(":13013", ":1"));
    write("word", WORD);
    let said = "domain = 'x'\ninterface_file = 'kannel.toml'\nreport_token_file = 'word'\n\
                variables = { username = 'a', password = 'b', sender = 'c' }";
    let gateway = crate::config::Carrier::HttpSms(toml::from_str(said).unwrap());
    config.delivery.carriers.insert("sms".parse().unwrap(), gateway);
}

const WORD: &str = "0123456789abcdef0123456789";

#[tokio::test]
async fn no_answer_that_tells_of_keys_or_parties_may_be_kept() {
    let mut service = Service::start_with(carrier).await;
    let (server, phone) = service.enterprise().await;
    let session = service.open(&server).await;
    let sent = json!({"carrier": "sms", "to": "+491700000000"});
    let invited = json!({"role": "client", "server": "mail", "user": "bob", "deliver": sent});
    let invited = service.call(&service.admin, "POST", "/v1/invitations", invited).await;
    assert_eq!(invited.header("cache-control"), Some("no-store"), "it shows a code");
    let invitation = invited.json()["invitation"].as_str().unwrap().to_owned();
    let new = json!({"server": "mail", "user": "ann", "label": "push"});
    let issued = service.call(&service.admin, "POST", "/v1/credentials", new).await;
    assert_eq!(issued.header("cache-control"), Some("no-store"), "it shows a secret");
    let credential = issued.json()["credential"].as_str().unwrap().to_owned();
    let mut told = Vec::new();
    // What changes nothing comes first: whatever it tells of is still there.
    for route in ROUTES.iter().filter(|route| route.method_name == "GET") {
        let path = route
            .path
            .replace("{server}", "mail")
            .replace("{user}", "ann")
            .replace("{session}", &session)
            .replace("{invitation}", &invitation)
            .replace("{credential}", &credential)
            .replace("{record}", "1")
            .replace("{delivery}", "1")
            .replace("{carrier}", "sms")
            .replace("{token}", &format!("{WORD}?ref=1&d=1"))
            .replace("{pairing}", &phone.id.to_string());
        for party in [&service.admin, &server, &phone] {
            // A server says of whom it asks.
            let of = if route.path.ends_with("/current") && party.id == server.id { "?user=ann" } else { "" };
            let (status, control) = kept(&service, party, route, &format!("{path}{of}")).await;
            let may = status < 400 && MAY_BE_KEPT.contains(&route.path);
            let expected = if may { "no-cache" } else { "no-store" };
            assert_eq!(control.as_deref(), Some(expected), "{} {path}: {status}", route.method_name);
            told.extend((status < 400).then_some(route.path));
        }
    }
    for route in ROUTES.iter().filter(|route| route.method_name == "GET") {
        assert!(told.contains(&route.path), "{} was never told to anybody: {told:?}", route.path);
    }
    for (method, path) in [("POST", format!("/v1/sessions/{session}/rotate")), ("DELETE", session)] {
        let path = if method == "POST" { path } else { format!("/v1/sessions/{path}") };
        let answer = service.call(&server, method, &path, Value::Null).await;
        assert!(answer.status < 300, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_path_takes_the_methods_of_its_rows_and_no_other() {
    let service = Service::start().await;
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for route in ROUTES {
        methods.entry(route.path).or_default().push(route.method_name);
    }
    for (path, methods) in methods {
        let answer = service.send("OPTIONS", &concrete(path), "", b"").await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method_not_allowed"), "{path}");
        let allow = answer.header("allow").unwrap();
        let mut allowed: Vec<_> = allow.split(',').filter(|method| *method != "HEAD").collect();
        allowed.sort_unstable();
        let mut rows = methods.clone();
        rows.sort_unstable();
        assert_eq!(allowed, rows, "{path}");
    }
}

#[tokio::test]
async fn what_is_in_no_row_is_not_there() {
    let service = Service::start().await;
    let long = format!("/v1/pairings/{}/begin", "0".repeat(33));
    let upper = format!("/v1/pairings/{}/finish", "A".repeat(32));
    for path in
        ["/", "/v1", "/v1/", "/v1/servers/", "/v1/keys/..%2fself", "/v2/servers", "/p/x", &long, &upper]
    {
        let method = if path.ends_with("begin") || path.ends_with("finish") { "POST" } else { "GET" };
        let answer = service.send(method, path, "", b"").await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"), "{path}");
    }
    let answer = service.send("GET", &format!("/{}", "a".repeat(3000)), "", b"").await;
    assert_eq!((answer.status, answer.problem().as_str()), (414, "uri_too_long"));
}

/// A route made beside the table would have no limits.
#[test]
fn routes_are_made_from_the_table_alone() {
    fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    sources(root, &mut found);
    found.sort();
    let made: Vec<_> = found
        .iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            [".route", ".nest", ".route_service"].iter().any(|call| text.contains(&format!("{call}(")))
        })
        .collect();
    // The operations listener is another door, and only this machine comes to it.
    assert_eq!(made, [&root.join("http/mod.rs"), &root.join("operations.rs")]);
}

#[tokio::test]
async fn a_handler_in_another_s_place_answers_behind_the_same_guard() {
    let handler = axum::routing::get(async || "theirs");
    let instead = vec![Instead { method: "GET", path: "/v1/servers", handler }];
    let service = Service::start_given(|_| {}, |given| Given { instead, ..given }).await;
    let nobody = service.send("GET", "/v1/servers", "", b"").await;
    assert_eq!((nobody.status, nobody.problem().as_str()), (401, "token_missing"));
    let admin = service.call(&service.admin, "GET", "/v1/servers", Value::Null).await;
    assert_eq!((admin.status, admin.body.as_slice()), (200, b"theirs".as_slice()));
    let own = service.call(&service.admin, "GET", "/v1/invitations", Value::Null).await;
    assert!(own.body != b"theirs", "the others answer for themselves");
}
