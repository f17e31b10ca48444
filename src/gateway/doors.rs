//! Other doors to the same mail: each is knocked at with a proxy credential, which must open none of them.

mod words;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::Config;
use crate::config::{Door, DoorKind, Listener, Tls};
use crate::files::BadFile;
use crate::side::{Side, Stream};
use crate::tls;

use words::Words;

/// What became of knocking.
#[derive(Debug)]
pub struct Knocked {
    /// Which door, for eyes.
    pub door: String,
    /// What became of it.
    pub answer: Answer,
}

/// What a door does.
#[derive(Debug)]
pub enum Answer {
    /// It opens: whoever has the credential reads mail as it is.
    Opens,
    /// It stays shut.
    Shut,
    /// It could not be found out.
    Unknown(io::Error),
}

/// Knocks at each: the mail server's own, those of trusted listeners, and those that the configuration names besides.
/// `users`: by all these names.
///
/// # Errors
/// A file of the configuration cannot be used.
pub async fn knock(config: &Config, users: &[String], secret: &str) -> Result<Vec<Knocked>, BadFile> {
    let (client, _) = tls::of_upstream(&config.upstream)?;
    let connector = TlsConnector::from(client);
    let upstream = &config.upstream;
    let server = Door { kind: DoorKind::Imap, address: upstream.address.clone(), tls: upstream.tls };
    let mut doors =
        vec![("the mail server itself".to_owned(), server, connector.clone(), upstream.name.clone())];
    for (name, listener) in config.listeners.iter().filter(|(_, listener)| listener.trusted) {
        let connector = tls::pinned(listener)?.map_or_else(|| connector.clone(), TlsConnector::from);
        doors.push((format!("the trusted listener {name}"), own(listener), connector, None));
    }
    for (name, door) in &config.doors {
        doors.push((name.clone(), door.clone(), connector.clone(), None));
    }
    let mut knocked = Vec::new();
    for (name, door, connector, certified) in doors {
        let answer = match opens(&door, &connector, certified.as_deref(), users, secret).await {
            Ok(true) => Answer::Opens,
            Ok(false) => Answer::Shut,
            Err(error) => Answer::Unknown(error),
        };
        knocked.push(Knocked { door: format!("{name} ({})", door.address), answer });
    }
    Ok(knocked)
}

/// A listener of this gateway, as it is reached from this machine.
fn own(listener: &Listener) -> Door {
    let mut at = listener.listen;
    if at.ip().is_unspecified() {
        at.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Door { kind: DoorKind::Imap, address: at.to_string(), tls: listener.tls }
}

async fn opens(
    door: &Door,
    connector: &TlsConnector,
    certified: Option<&str>,
    users: &[String],
    secret: &str,
) -> io::Result<bool> {
    for user in users {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        if timeout(PATIENCE, one(door, connector, certified, user, secret)).await.map_err(late)?? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One login.
async fn one(
    door: &Door,
    connector: &TlsConnector,
    certified: Option<&str>,
    user: &str,
    secret: &str,
) -> io::Result<bool> {
    let (host, port) = door.host_and_port().ok_or(io::ErrorKind::InvalidInput)?;
    let name = ServerName::try_from(certified.unwrap_or(host).to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect((host, port)).await?;
    let stream: Stream = match door.tls {
        Tls::Implicit => Box::new(connector.connect(name, tcp).await?),
        Tls::None => Box::new(tcp),
        Tls::StartTls => {
            let mut words = Words::new(door.kind, Side::new(tcp));
            words.start_tls().await?;
            let tls = connector.connect(name, words.into_stream()).await?;
            return Words::new(door.kind, Side::boxed(tls)).login_after_starttls(user, secret).await;
        }
    };
    Words::new(door.kind, Side::new(stream)).login(user, secret).await
}

/// With one login.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
