//! A configuration and a certificate that are replaced while connections are open.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{NOW, Service};
use crate::certificate::BadTls;
use crate::config::Config;
use crate::files;
use crate::init::certificate as make;

/// Puts another authority's certificate there, for the same name.
fn replace(service: &Service) {
    let (ca_key, key) = (make::key().unwrap(), make::key().unwrap());
    let names = BTreeSet::from(["localhost".to_owned()]);
    let certificate = make::server(&ca_key, &key, &names, NOW).unwrap();
    files::write(&service.data.join("tls.pem"), certificate.as_bytes(), 0o644).unwrap();
    files::write(&service.data.join("tls.key"), key.as_bytes(), 0o600).unwrap();
}

#[tokio::test]
async fn open_connections_go_on_and_new_ones_get_the_new_certificate() {
    let service = Service::start().await;
    let mut open = service.connect().await;
    let mut ask = async |last: bool| {
        let close = if last { "connection: close\r\n" } else { "" };
        let request = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{close}\r\n");
        open.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 15];
        open.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        // The rest of it, so that the next one begins with its first line.
        let mut rest = vec![0; 4096];
        let _ = open.read(&mut rest).await.unwrap();
    };
    ask(false).await;
    replace(&service);
    let config = Config::read(&service.data.join("sidekey.toml")).unwrap();
    let reloaded = service.running().reloader().reload(config);
    assert!(reloaded.certificate.is_ok(), "{reloaded:?}");
    ask(true).await;
    let tls = std::sync::Arc::new(service.tls(&[b"http/1.1"]));
    let refused = service.connect_as(tls).await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_reload_with_a_bad_certificate_applies_the_rest() {
    let service = Service::start().await;
    let mut config = Config::read(&service.data.join("sidekey.toml")).unwrap();
    config.limits.headers_size_bytes = 200;
    config.limits.connections = 1;
    config.tls.key_file = "ca.key".into();
    let reloaded = service.running().reloader().reload(config);
    assert!(matches!(reloaded.certificate, Err(BadTls::Mismatch { .. })), "{reloaded:?}");
    assert_eq!(reloaded.applied, ["limits.headers_size_bytes"]);
    assert_eq!(reloaded.not_applied, ["limits.connections", "tls.key_file"]);
    let long = format!("x-long: {}\r\n", "x".repeat(200));
    assert_eq!(service.send("GET", "/livez", &long, b"").await.status, 431);
    assert_eq!(service.send("GET", "/livez", "", b"").await.status, 200);
}
