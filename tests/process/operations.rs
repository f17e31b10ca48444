//! What an administrator and a service manager see of a service that runs: reload, stop, metrics, and what is in the way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::binary::{Serving, Sidekey};
use crate::kept;
use crate::load::Load;

fn edit(sidekey: &Sidekey, from: &str, to: &str) {
    let path = sidekey.data().join("sidekey.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains(from), "{from} is not in {config}");
    fs::write(path, config.replace(from, to)).unwrap();
}

#[test]
fn a_reload_says_what_took_effect_and_what_did_not() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let mut serving = sidekey.serve(port);
    edit(&sidekey, "level = \"info\"", "level = \"debug\"");
    edit(&sidekey, "connections = 10000", "connections = 500");
    edit(&sidekey, "body_s = 10", "body_s = 7");
    serving.signal("HUP");
    let said = serving.line_with("configuration reloaded");
    assert!(said.contains("applied=\"limits.body_s, log.level\""), "{said}");
    assert!(said.contains("not_applied=\"limits.connections"), "{said}");
    sidekey.run("server list").succeeded();
    serving.line_with("answered");

    edit(&sidekey, "level = \"debug\"", "level = \"loud\"");
    serving.signal("HUP");
    let said = serving.line_with("the configuration is not reloaded");
    assert!(said.contains("loud"), "{said}");
    sidekey.run("server list").succeeded();
}

#[test]
fn a_certificate_that_is_replaced_is_taken_and_a_bad_one_is_not() {
    let (sidekey, other) = (Sidekey::new(), Sidekey::new());
    let port = sidekey.init();
    other.run(&format!("init --url https://localhost:{port}")).succeeded();
    let mut serving = sidekey.serve(port);
    let replace = |name: &str| {
        let fresh = fs::read(other.data().join(name)).unwrap();
        let half = sidekey.data().join("half");
        fs::write(&half, fresh).unwrap();
        fs::set_permissions(&half, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        fs::rename(half, sidekey.data().join(name)).unwrap();
    };
    replace("tls.key");
    let said = serving.line_with("the certificate in force stays");
    assert!(said.contains("does not belong to the certificate"), "{said}");
    sidekey.run("server list").succeeded();
    replace("tls.pem");
    serving.line_with("the new one is in force");
    // It is another authority's, and whoever trusts the old one says so.
    sidekey.run("server list").failed(7);
}

#[test]
fn told_to_stop_under_load_it_loses_nothing_and_ends_in_time() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let serving = sidekey.serve(port);
    let load = Arc::new(Load::prepare(&sidekey.data()));
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        let since = Instant::now();
        (serving.stop("TERM"), since.elapsed())
    });
    let acknowledged = load.run(Duration::from_secs(3), || 0);
    let (code, took) = stopper.join().unwrap();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(acknowledged.len() > 20, "{} acknowledged", acknowledged.len());
    let store = kept::open(&sidekey.data()).unwrap();
    let missing = kept::missing(&store, acknowledged.iter().map(|(_, what)| what));
    assert!(missing.is_empty(), "{missing:?}");
}

/// A request that the service waits for: its body is asked for and does not come.
fn unfinished(sidekey: &Sidekey, port: u16) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = fs::read(sidekey.data().join("ca.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap());
    let path = format!("/v1/pairings/{}/begin", "0".repeat(32));
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[test]
fn told_twice_to_stop_it_ends_at_once() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let mut serving = sidekey.serve(port);
    let _waiting = unfinished(&sidekey, port);
    serving.signal("TERM");
    serving.line_with("stopping");
    let since = Instant::now();
    assert_eq!(serving.stop("TERM"), 130);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn systemd_is_told_what_the_service_does() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let path = sidekey.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut alive = 0;
    let mut heard = || loop {
        let mut state = [0; 512];
        let size = socket.recv(&mut state).unwrap();
        let state = String::from_utf8(state[..size].to_vec()).unwrap();
        if state != "WATCHDOG=1" {
            return (state, alive);
        }
        alive += 1;
    };
    let mut command = sidekey.command("serve --listen 127.0.0.1:0");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let serving = Serving::start(&mut command);
    assert!(heard().0.starts_with("READY=1\nSTATUS=serving https://localhost"));
    serving.signal("HUP");
    assert!(heard().0.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(heard().0.starts_with("READY=1\nSTATUS=reloaded"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(serving.stop("TERM"), 0);
    let (state, alive) = heard();
    assert!(state.starts_with("STOPPING=1"), "{state}");
    assert!(alive > 0, "the watchdog was fed");
}

#[test]
fn a_start_says_version_addresses_folder_and_key_and_leaves_no_core() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let serving = sidekey.serve(port);
    let said = serving.seen.iter().find(|line| line.contains(" serving ")).expect("it says so");
    for word in
        ["version=", "local_addr=127.0.0.1:", "operations=127.0.0.1:", "data=", "root_key=file root.key"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    let at = said.split("operations=").nth(1).unwrap().split_whitespace().next().unwrap();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("sidekey_seal_state 1\n"), "{answer}");
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let figures: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(figures, ["0", "0"], "{core}");
}

#[test]
fn what_stands_in_the_way_is_told_in_one_line_with_its_mend() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("serve --operations {} -o json", taken.local_addr().unwrap());
    let busy = sidekey.run(&line).failed(5).problem();
    assert_eq!(busy["code"], "address_in_use");
    assert!(busy["next"].as_str().unwrap().contains("--operations elsewhere"), "{busy}");
    let exposed = sidekey.run("serve --operations 0.0.0.0:0").failed(1);
    assert!(exposed.err.contains("operations.tls"), "{}", exposed.err);

    let serving = Serving::start(&mut sidekey.command("serve --listen 127.0.0.1:0"));
    let locked = sidekey.run("serve --listen 127.0.0.1:0 -o json").failed(5).problem();
    assert!(locked["detail"].as_str().unwrap().contains(&format!("process {}", serving.pid())), "{locked}");
    drop(serving);

    let format = sidekey.data().join("format");
    let marker = fs::read(&format).unwrap();
    fs::write(&format, "sidekey data folder, format 99\n").unwrap();
    let newer = sidekey.run("serve -o json").failed(5).problem();
    assert_eq!(newer["code"], "format_newer", "{newer}");
    fs::write(&format, marker).unwrap();

    fs::write(sidekey.data().join("seal.keys"), "damaged").unwrap();
    let damaged = sidekey.run("serve -o json").failed(7).problem();
    assert_eq!(damaged["code"], "store_damaged", "{damaged}");
}
