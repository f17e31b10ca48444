//! A trusted connection: octets, as they come, in both directions.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::side::Side;

/// Why nothing is relayed any more.
#[derive(Debug)]
pub(crate) enum Over {
    /// Both have said their last.
    Done,
    /// One of them is gone in the middle.
    Broken(io::Error),
    /// Nothing has moved for too long.
    Idle,
    /// The gateway stops, and nothing moved.
    Stopped,
}

/// Relays until it is over. Whoever says his last is passed on as having said it; the other may go on, for a while.
/// Told to stop, it goes on until nothing moves: where the octets stand, a relay does not know, and so it says nothing of
/// its own.
pub(crate) async fn relay(
    client: &mut Side,
    server: &mut Side,
    idle: Duration,
    stop: &CancellationToken,
) -> Over {
    let mut patience = idle;
    loop {
        let before = client.moved() + server.moved();
        tokio::select! {
            turn = poll_fn(|cx| poll_turn(cx, client, server, patience)) => match turn {
                Ok(Turn::Over) => return Over::Done,
                Ok(Turn::Half) => patience = LINGER,
                Err(error) => return Over::Broken(error),
            },
            () = stop.cancelled(), if patience != QUIET => patience = QUIET,
            () = sleep(patience) => match client.moved() + server.moved() == before {
                true if patience == QUIET => return Over::Stopped,
                true => return Over::Idle,
                false => {}
            },
        }
    }
}

/// What a relay comes to.
enum Turn {
    /// Both have said their last.
    Over,
    /// One has.
    Half,
}

fn poll_turn(
    cx: &mut Context<'_>,
    client: &mut Side,
    server: &mut Side,
    patience: Duration,
) -> Poll<io::Result<Turn>> {
    match poll_relay(cx, client, server)? {
        Poll::Ready(()) => Poll::Ready(Ok(Turn::Over)),
        Poll::Pending if patience > LINGER && (client.has_ended() || server.has_ended()) => {
            Poll::Ready(Ok(Turn::Half))
        }
        Poll::Pending => Poll::Pending,
    }
}

fn poll_relay(cx: &mut Context<'_>, client: &mut Side, server: &mut Side) -> Poll<io::Result<()>> {
    loop {
        let up = poll_pass(cx, client, server)?;
        let down = poll_pass(cx, server, client)?;
        if client.is_over() && server.is_over() {
            return Poll::Ready(Ok(()));
        }
        if !up && !down {
            return Poll::Pending;
        }
    }
}

/// Sends what waits, and takes more while there is room; whether anything was taken.
fn poll_pass(cx: &mut Context<'_>, from: &mut Side, to: &mut Side) -> io::Result<bool> {
    let all_sent = match to.poll_send(cx) {
        Poll::Ready(sent) => {
            sent?;
            true
        }
        Poll::Pending => false,
    };
    if from.has_ended() {
        if all_sent {
            let _ = to.poll_close(cx)?;
        }
        return Ok(false);
    }
    if to.is_full() {
        return Ok(false);
    }
    match from.poll_read(cx, &mut |octets| to.push(octets)) {
        // The end, too, is something to pass on.
        Poll::Ready(read) => read.map(|_| true),
        Poll::Pending => Ok(false),
    }
}

/// How long one side may go on after the other has said its last.
const LINGER: Duration = Duration::from_secs(60);
/// When the gateway stops, what has not moved for so long is over.
const QUIET: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// A relay between two lines of so many octets, and their other ends.
    fn between(
        octets: usize,
        stop: &CancellationToken,
    ) -> (impl Future<Output = (Over, u64)>, DuplexStream, DuplexStream) {
        let (client, left) = duplex(octets);
        let (right, server) = duplex(octets);
        let stop = stop.clone();
        let relayed = async move {
            let (mut left, mut right) = (Side::boxed(left), Side::boxed(right));
            let over = relay(&mut left, &mut right, IDLE, &stop).await;
            (over, left.moved())
        };
        (relayed, client, server)
    }

    const IDLE: Duration = Duration::from_secs(1800);

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_for_half_an_hour_is_closed_and_who_speaks_is_not() {
        let stop = CancellationToken::new();
        let (relayed, mut client, mut server) = between(64, &stop);
        let begun = tokio::time::Instant::now();
        let speak = async {
            for _ in 0..3 {
                sleep(IDLE - Duration::from_secs(1)).await;
                client.write_all(b"x").await.unwrap();
                server.read_exact(&mut [0]).await.unwrap();
            }
            begun.elapsed()
        };
        let ((over, moved), spoken) = tokio::join!(relayed, speak);
        assert!(matches!(over, Over::Idle), "{over:?}");
        assert_eq!(moved, 3);
        assert!(begun.elapsed() >= spoken + IDLE / 2 && begun.elapsed() <= spoken + IDLE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_his_last_is_not_waited_for_as_long() {
        let stop = CancellationToken::new();
        let (relayed, mut client, _server) = between(64, &stop);
        client.shutdown().await.unwrap();
        let begun = tokio::time::Instant::now();
        let (over, _) = relayed.await;
        assert!(matches!(over, Over::Idle), "{over:?}");
        assert!(begun.elapsed() <= LINGER * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_does_not_read_holds_up_the_writer() {
        let stop = CancellationToken::new();
        let (relayed, _client, mut server) = between(1024, &stop);
        let write = async {
            let written = std::sync::atomic::AtomicUsize::new(0);
            let all = async {
                while server.write_all(&[0; 1024]).await.is_ok() {
                    written.fetch_add(1024, std::sync::atomic::Ordering::Relaxed);
                }
            };
            tokio::select! { () = all => {}, () = sleep(Duration::from_secs(60)) => {} }
            written.into_inner()
        };
        tokio::select! {
            _ = relayed => panic!("it is not over"),
            written = write => assert!((64 * 1024..128 * 1024).contains(&written), "{written}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn told_to_stop_it_waits_until_nothing_moves() {
        let stop = CancellationToken::new();
        let (relayed, mut client, mut server) = between(64, &stop);
        stop.cancel();
        let speak = async {
            for _ in 0..5 {
                sleep(QUIET / 2).await;
                server.write_all(b"x").await.unwrap();
                client.read_exact(&mut [0]).await.unwrap();
            }
        };
        let ((over, _), ()) = tokio::join!(relayed, speak);
        assert!(matches!(over, Over::Stopped), "{over:?}");
    }
}
