//! `sidekey gateway`: what it reads again when it is told to, while it serves.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::binary::{Serving, Sidekey};

/// A mail server on this machine, which greets and says no more.
fn mail_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let _ = stream.get_mut().write_all(b"* OK hello\r\n");
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                    let _ = stream.get_mut().write_all(line.as_bytes());
                    line.clear();
                }
            });
        }
    });
    port
}

/// Puts the certificate of that folder's service, or its key, in this one's place.
fn replace(sidekey: &Sidekey, by: &Sidekey, name: &str) {
    fs::write(sidekey.path(name), fs::read(by.data().join(name)).unwrap()).unwrap();
    fs::set_permissions(sidekey.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

type Line = StreamOwned<ClientConnection, TcpStream>;

/// A connection of somebody who trusts the authority of that folder alone.
fn dial(at: &str, trusts: &Sidekey) -> std::io::Result<Line> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusts.data().join("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let session = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut line = StreamOwned::new(session, TcpStream::connect(at)?);
    hears(&mut line, "* OK hello\r\n")?;
    Ok(line)
}

fn hears(line: &mut Line, text: &str) -> std::io::Result<()> {
    let mut heard = vec![0; text.len()];
    line.read_exact(&mut heard)?;
    assert_eq!(String::from_utf8_lossy(&heard), text);
    Ok(())
}

#[test]
fn a_hang_up_has_it_take_new_certificates_and_stay_with_the_old_where_they_do_not_fit() {
    let (sidekey, other) = (Sidekey::new(), Sidekey::new());
    for folder in [&sidekey, &other] {
        folder.run("init --url https://localhost:8443").succeeded();
    }
    for name in ["tls.pem", "tls.key"] {
        replace(&sidekey, &sidekey, name);
    }
    let config = format!(
        "[upstream]\naddress = '127.0.0.1:{}'\ntls = 'none'\n\
         [listeners.office]\nlisten = '127.0.0.1:0'\ncertificate_file = 'tls.pem'\nkey_file = 'tls.key'\n\
         trusted = true\nnetworks = ['127.0.0.0/8']\n[operations]\nlisten = '127.0.0.1:0'\n",
        mail_server()
    );
    fs::write(sidekey.path("gateway.toml"), config).unwrap();
    let mut gateway = Serving::start(&mut sidekey.command("gateway"));
    let at = gateway.ready.split("office on ").nth(1).unwrap().split([',', ';']).next().unwrap().to_owned();
    let mut before = dial(&at, &sidekey).unwrap();
    dial(&at, &other).unwrap_err();

    replace(&sidekey, &other, "tls.key");
    gateway.signal("HUP");
    let said = gateway.line_with("what is in force stays");
    assert!(said.contains("tls.pem"), "{said}");
    dial(&at, &sidekey).unwrap();

    replace(&sidekey, &other, "tls.pem");
    gateway.signal("HUP");
    gateway.line_with("are read again");
    dial(&at, &other).unwrap();
    dial(&at, &sidekey).unwrap_err();
    // Who was in stays in.
    before.write_all(b"a NOOP\r\n").unwrap();
    hears(&mut before, "a NOOP\r\n").unwrap();
    drop(before);
    assert_eq!(gateway.stop("TERM"), 0);
}
