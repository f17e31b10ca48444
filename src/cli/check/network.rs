//! The way to the service: its ports, its name, its TLS.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore};
use sidekey_protocol::pairing::PublicUrl;
use sidekey_service::Config;
use tokio::net::TcpSocket;

use super::Check;
use super::instance::Holder;

/// Whether the service could listen where it is told to. Nothing listens for it.
#[must_use]
pub fn ports(config: &Config, holder: Holder) -> Check {
    if holder != Holder::Nobody {
        return Check::fine(PORTS, "the service runs, and has them");
    }
    let mut free = Vec::new();
    for (option, listen) in [("listen", config.listen), ("operations.listen", config.operations.listen)] {
        match bound(listen) {
            Ok(()) => free.push(listen.to_string()),
            Err(error) => return taken(option, listen, &error),
        }
    }
    Check::fine(PORTS, format!("free: {}", free.join(", ")))
}

/// Bound, and let go before anybody could connect.
fn bound(listen: SocketAddr) -> io::Result<()> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections that ended a minute ago do not count, as they do not for the service.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)
}

fn taken(option: &str, listen: SocketAddr, error: &io::Error) -> Check {
    let port = listen.port();
    let (what, mend) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("another program has {listen}"),
            format!("stop it (ss -ltnp 'sport = {port}' names it), or set another `{option}`"),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user may not listen on {listen}"),
            format!("set a port from 1024 on under `{option}`, or give the service CAP_NET_BIND_SERVICE"),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("this machine has no address {}", listen.ip()),
            format!("set an address that `ip addr` shows under `{option}`"),
        ),
        _ => (format!("{listen}: {error}"), format!("set another `{option}`")),
    };
    Check::finding(PORTS, what, mend)
}

/// The addresses behind the public URL's host, and what that says.
pub async fn resolved(url: &PublicUrl, patience: Duration) -> (Vec<SocketAddr>, Check) {
    let (host, port) = (url.host(), url.port());
    let found = tokio::time::timeout(patience, tokio::net::lookup_host((host, port))).await;
    let found = found.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
    let mend = format!("add {host} to the DNS, or its address and name to /etc/hosts");
    match found.map(Iterator::collect::<Vec<_>>) {
        Ok(addresses) if !addresses.is_empty() => {
            let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            let check = Check::fine(NAMES, format!("{host} is {}", shown.join(", ")));
            (addresses, check)
        }
        Ok(_) => (Vec::new(), Check::finding(NAMES, format!("{host} has no address"), mend)),
        Err(error) => (Vec::new(), Check::finding(NAMES, format!("{host} is not found: {error}"), mend)),
    }
}

/// Whether clients elsewhere can get to where the service listens.
#[must_use]
pub fn listening(config: &Config, addresses: &[SocketAddr], reached: bool) -> Check {
    let (listen, url) = (config.listen, &config.public_url);
    let loopback = |ip: IpAddr| ip.is_loopback();
    let public = !addresses.is_empty() && !addresses.iter().all(|address| loopback(address.ip()));
    if loopback(listen.ip()) && public && !reached {
        return Check::finding(
            LISTENING,
            format!("the service listens on {listen}, which this machine alone reaches; clients go to {url}"),
            format!("set listen = \"0.0.0.0:{}\", or forward TCP to {listen}", url.port()),
        );
    }
    if !loopback(listen.ip()) && !public && !addresses.is_empty() {
        return Check::finding(
            LISTENING,
            format!(
                "the service listens for others on {listen}, and links send them to {url}: to themselves"
            ),
            "sidekey init --data NEW --url https://NAME, with a name that others know: links are bound to it",
        );
    }
    if config.operations.exposed() {
        return Check::finding(
            LISTENING,
            format!("health and metrics are told in the clear on {}", config.operations.listen),
            "set tls = true under [operations], or its listen to 127.0.0.1",
        );
    }
    Check::fine(LISTENING, format!("{listen} for {url}"))
}

/// What a handshake with the service agrees on: TLS 1.3, and a key exchange that a quantum computer does not undo.
pub async fn tls(
    url: &PublicUrl,
    addresses: &[SocketAddr],
    roots: RootCertStore,
    patience: Duration,
) -> Check {
    let (host, addresses) = (url.host().to_owned(), addresses.to_vec());
    let shaken = tokio::task::spawn_blocking(move || shake(&host, &addresses, roots, patience)).await;
    let mend = "let TLS pass through to the service: whatever ends it sees every key";
    match shaken.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok((Some(ProtocolVersion::TLSv1_3), Some(NamedGroup::X25519MLKEM768))) => {
            Check::fine(TLS, "TLS 1.3, X25519MLKEM768")
        }
        Ok((version, group)) => {
            let what = format!(
                "{version:?} with {group:?}: somebody in between ends TLS, since the service does better"
            );
            Check::finding(TLS, what.replace("Some(", "").replace(')', ""), mend)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let said = error.to_string();
            let certificate = said.contains("certificate");
            if certificate {
                return Check::unknown(TLS, format!("no handshake: {said}"));
            }
            Check::finding(TLS, format!("no handshake: {said}"), mend)
        }
        Err(error) => Check::unknown(TLS, format!("no handshake: {error}")),
    }
}

fn shake(
    host: &str,
    addresses: &[SocketAddr],
    roots: RootCertStore,
    patience: Duration,
) -> io::Result<(Option<ProtocolVersion>, Option<NamedGroup>)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, patience) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
                while tls.is_handshaking() {
                    tls.complete_io(&mut stream)?;
                }
                let group = tls.negotiated_key_exchange_group().map(|group| group.name());
                return Ok((tls.protocol_version(), group));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

const PORTS: &str = "ports";
const NAMES: &str = "name resolution";
const LISTENING: &str = "listening addresses";
const TLS: &str = "TLS";

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PublicUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_service_that_clients_cannot_reach_is_a_finding() {
        let outside: SocketAddr = "192.0.2.7:443".parse().unwrap();
        let here: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let config = |listen: &str| Config {
            listen: listen.parse().unwrap(),
            public_url: url("https://keys.example.org"),
            ..Config::default()
        };
        assert!(listening(&config("127.0.0.1:8443"), &[outside], false).is_finding());
        assert!(listening(&config("127.0.0.1:8443"), &[outside], true).is_fine(), "it is forwarded");
        assert!(listening(&config("0.0.0.0:443"), &[outside], false).is_fine());
        assert!(listening(&config("0.0.0.0:443"), &[here], true).is_finding());
        let mut told = config("127.0.0.1:8443");
        told.operations.listen = "0.0.0.0:9000".parse().unwrap();
        assert!(listening(&told, &[here], true).is_finding());
    }

    /// One handshake by a server with these key exchanges, whose certificate is a fresh data folder's.
    async fn handshake(groups: &[&'static dyn rustls::crypto::SupportedKxGroup]) -> Check {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use sidekey_service::init::{Options, init};

        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (clock, rng) =
            (Arc::new(sidekey_service::clock::SystemClock), rand_core::UnwrapErr(getrandom::SysRng));
        init(&data, &Options::default(), clock, rng).await.unwrap();
        let certificate = |name: &str| CertificateDer::from_pem_file(data.join(name)).unwrap();
        let provider = rustls::crypto::CryptoProvider {
            kx_groups: groups.to_vec(),
            ..rustls::crypto::aws_lc_rs::default_provider()
        };
        let server = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate("tls.pem")],
                PrivateKeyDer::from_pem_file(data.join("tls.key")).unwrap(),
            )
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut tls = rustls::ServerConnection::new(Arc::new(server)).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.pem")).unwrap();
        let check = tls(&url("https://localhost"), &[address], roots, Duration::from_secs(5)).await;
        serving.join().unwrap();
        check
    }

    #[tokio::test]
    async fn a_handshake_that_a_quantum_computer_undoes_is_a_finding() {
        use rustls::crypto::aws_lc_rs::kx_group::{X25519, X25519MLKEM768};

        assert!(handshake(&[X25519MLKEM768]).await.is_fine());
        assert!(handshake(&[X25519]).await.is_finding());
    }
}
