//! One connection, from its first octet to its last.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::listener::Door;
use crate::login::{self, Login, Step};
use crate::relay::{Over, relay};
use crate::side::Side;
use crate::untrusted::Visit;
use crate::upstream::{Reached, Unreached};
use crate::{Live, Shared};

/// Somebody who has come in, TLS and all.
struct Guest {
    side: Side,
    /// Whether he has been greeted already.
    greeted: bool,
}

/// Serves one connection until it is over.
pub(crate) async fn visit(shared: Arc<Shared>, door: Arc<Door>, tcp: TcpStream, peer: SocketAddr) {
    let live = shared.live();
    let listener = door.name.as_str();
    let entered = timeout(shared.limits.login(), enter(&live, &door, tcp)).await;
    let guest = match entered {
        Ok(Ok(Some(guest))) => guest,
        Ok(Ok(None)) => return,
        // A failed handshake is the peer's affair.
        Ok(Err(error)) => return tracing::debug!(listener, %peer, %error, "no TLS"),
        Err(_) => return tracing::debug!(listener, %peer, "no TLS in time"),
    };
    tracing::debug!(listener, %peer, "connected");
    match (door.listener.trusted, &shared.desk) {
        (true, _) => trusted(&shared, &live, guest, listener, peer).await,
        (false, Some(desk)) => {
            let visit = Visit { shared: &shared, desk, live: &live, door: &door, peer };
            visit.serve(guest.side, guest.greeted).await;
        }
        // No gateway starts so.
        (false, None) => {}
    }
}

/// Comes in; `None` when he has left again.
async fn enter(live: &Live, door: &Door, tcp: TcpStream) -> io::Result<Option<Guest>> {
    tcp.set_nodelay(true)?;
    let tls = live.doors.get(&door.name).cloned().flatten();
    let acceptor = match (door.listener.tls, tls) {
        (Tls::None, _) | (_, None) => return Ok(Some(Guest { side: Side::boxed(tcp), greeted: false })),
        (_, Some(tls)) => TlsAcceptor::from(tls),
    };
    if door.listener.tls == Tls::Implicit {
        let side = Side::boxed(acceptor.accept(tcp).await?);
        return Ok(Some(Guest { side, greeted: false }));
    }
    let Some(tcp) = in_the_clear(tcp).await? else { return Ok(None) };
    Ok(Some(Guest { side: Side::boxed(acceptor.accept(tcp).await?), greeted: true }))
}

/// What may be said before STARTTLS, which is next to nothing; `None` when no STARTTLS comes.
async fn in_the_clear(tcp: TcpStream) -> io::Result<Option<TcpStream>> {
    let mut side = Side::new(tcp);
    let (mut login, greeting) = Login::begin(login::Tls::Offered);
    side.send(&greeting).await?;
    let mut came = Vec::new();
    while side.read(&mut came).await? {
        let mut input = came.as_slice();
        while let Some(step) = login.next(&mut input) {
            match step {
                Step::Reply(octets) => side.send(&octets).await?,
                Step::StartTls(octets) => {
                    side.send(&octets).await?;
                    // The rest of the input goes with the side: whoever stands between could have put it there.
                    return Ok(Some(side.into_stream()));
                }
                Step::End(octets) => {
                    side.send(&octets).await?;
                    side.close().await?;
                    return Ok(None);
                }
                // It is not offered before TLS.
                Step::Verify(_) => return Ok(None),
            }
        }
        let taken = came.len() - input.len();
        came.drain(..taken);
    }
    Ok(None)
}

/// The enterprise's own: every octet as it is.
async fn trusted(shared: &Shared, live: &Live, guest: Guest, listener: &str, peer: SocketAddr) {
    let Guest { side: mut client, greeted } = guest;
    let mut server = match timeout(shared.limits.connect(), reach(live, &mut client, greeted)).await {
        Ok(Ok(server)) => server,
        failed => {
            let error = failed.map_or(Unreached::Late, |reached| reached.err().unwrap_or(Unreached::NoImap));
            shared.metrics.upstream_failed(error.name());
            tracing::warn!(listener, %peer, error = &error as &dyn std::error::Error, "turned away");
            let _ = client.send(UNREACHED).await;
            let _ = client.close().await;
            return;
        }
    };
    let over = relay(&mut client, &mut server, shared.limits.idle(), &shared.stop).await;
    let octets = client.moved() + server.moved();
    match over {
        Over::Done => tracing::debug!(listener, %peer, octets, "done"),
        Over::Broken(error) => tracing::debug!(listener, %peer, octets, %error, "broken off"),
        Over::Idle => tracing::info!(listener, %peer, octets, "closed: nothing moved for too long"),
        Over::Stopped => tracing::debug!(listener, %peer, octets, "closed: the gateway stops"),
    }
}

/// The mail server, whose greeting is the client's unless he has been greeted.
async fn reach(live: &Live, client: &mut Side, greeted: bool) -> Result<Side, Unreached> {
    let reached = live.upstream.reach().await?;
    if greeted {
        let (server, rest) = reached.greeted().await?;
        client.push(&rest);
        return Ok(server);
    }
    let Reached { side, greeting, .. } = reached;
    client.push(&greeting.unwrap_or_default());
    Ok(side)
}

const UNREACHED: &[u8] = b"* BYE [UNAVAILABLE] the mail server is not reached; try again later\r\n";
