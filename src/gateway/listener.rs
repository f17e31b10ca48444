//! The doors: who comes in, until the gateway stops.

use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::Shared;
use crate::config::Listener;
use crate::visit::visit;

/// A door, and who may come through it.
pub(crate) struct Door {
    pub(crate) name: String,
    pub(crate) listener: Listener,
}

/// Binds, so that whoever starts the gateway hears at once when it cannot be.
pub(crate) fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let bound = Bound::bind(at)?;
    bound.set_nonblocking(true)?;
    TcpListener::from_std(bound)
}

/// Lets in whoever comes.
pub(crate) async fn accept(shared: Arc<Shared>, door: Arc<Door>, socket: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, peer)) => admit(&shared, &door, tcp, peer),
            // No file descriptors, say: who has come waits, and so do we.
            Err(error) => {
                tracing::warn!(listener = door.name, %error, "cannot accept connections; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, door: &Arc<Door>, tcp: TcpStream, peer: SocketAddr) {
    if !door.listener.welcomes(peer.ip()) {
        shared.metrics.turned_away(&door.name, "network");
        tracing::info!(listener = door.name, %peer, "turned away: from none of the listener's networks");
        return;
    }
    let Some(seat) = shared.seats.take(peer.ip()) else {
        shared.metrics.turned_away(&door.name, "limit");
        tracing::warn!(listener = door.name, %peer, "turned away: as many connections as there may be");
        return;
    };
    let (shared, door) = (Arc::clone(shared), Arc::clone(door));
    let tracker = shared.visits.clone();
    tracker.spawn(async move {
        let _seat = seat;
        let metrics = Arc::clone(&shared.metrics);
        let _open = metrics.connected(&door.name);
        let kill = shared.kill.clone();
        tokio::select! {
            () = visit(shared, door, tcp, peer) => {}
            () = kill.cancelled() => {}
        }
    });
}

const AGAIN: Duration = Duration::from_millis(200);
