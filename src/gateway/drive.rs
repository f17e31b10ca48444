//! An untrusted connection after its login: octets between the sockets and the session, and what cuts them off.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use sidekey_client::Clock;
use sidekey_protocol::ids::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::guests::Guest;
use crate::keys::Held;
use crate::session::{Ended, Keys, Session, Unavailable, Wish};
use crate::side::Side;
use crate::untrusted::Desk;

/// Both sides, and the session between them.
pub(crate) struct Driven {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) session: Session,
    /// What came and was not taken yet.
    pub(crate) from_client: Vec<u8>,
    pub(crate) from_server: Vec<u8>,
}

/// A user's keys as they come.
pub(crate) type Following = watch::Receiver<Option<Arc<Held>>>;

/// What a session is driven with.
pub(crate) struct Driver<'a> {
    pub(crate) desk: &'a Arc<Desk>,
    pub(crate) guest: &'a Guest,
    pub(crate) idle: Duration,
    pub(crate) stop: &'a CancellationToken,
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum Over {
    /// The session says so.
    Ended(Ended),
    /// A side is gone.
    Broken(io::Error),
    /// The client has said his last.
    Left,
    /// What let him in counts no more.
    Cut,
    /// The client said nothing, and got nothing, for too long.
    Idle,
    /// The gateway stops.
    Stopped,
}

/// What the sockets come to.
enum Turn {
    Over(Over),
    /// The session wishes for something.
    Wish(Wish),
}

impl Driver<'_> {
    /// Drives it to its end. What still waits for the client is sent then, unless he is cut off.
    pub(crate) async fn drive(&self, driven: &mut Driven, mut keys: Option<Following>) -> Over {
        let over = self.until_over(driven, &mut keys).await;
        if matches!(over, Over::Left | Over::Broken(_)) {
            let heard = driven.hear_out(&*self.desk.clock);
            let _ = tokio::time::timeout(HEARING, self.guest.cut.run_until_cancelled(heard)).await;
        }
        self.desk.metrics.note(&driven.session.noted());
        if !matches!(over, Over::Cut | Over::Broken(_) | Over::Left | Over::Ended(Ended::Spool)) {
            let part = async {
                let last = std::mem::take(driven.session.to_client());
                driven.client.send(&last).await?;
                driven.client.close().await
            };
            // Who does not read in time has been told.
            let _ = tokio::time::timeout(PARTING, part).await;
        }
        over
    }

    async fn until_over(&self, driven: &mut Driven, keys: &mut Option<Following>) -> Over {
        let (clock, cut) = (&*self.desk.clock, &self.guest.cut);
        let mut quiet = None;
        loop {
            let (before, upkeep) = (driven.moved(), self.upkeep(keys));
            tokio::select! {
                biased;
                () = cut.cancelled() => return Over::Cut,
                newest = next(keys) => match newest {
                    Some(key) => self.hand_over(driven, Ok(key)),
                    // Taken back: nothing more is sealed under it.
                    None => return Over::Cut,
                },
                turn = poll_fn(|cx| driven.poll_turn(cx, self.desk)) => match turn {
                    Turn::Over(over) => return over,
                    Turn::Wish(wish) => tokio::select! {
                        () = cut.cancelled() => return Over::Cut,
                        () = self.fulfil(driven, wish) => {}
                    },
                },
                () = self.stop.cancelled(), if quiet.is_none() => quiet = Some(QUIET),
                () = sleep(quiet.unwrap_or(self.idle)) => {
                    if driven.moved() == before {
                        return driven.bye(quiet.is_some());
                    }
                }
                () = sleep(upkeep) => {
                    if self.guest.is_over(clock.now()) {
                        self.desk.metrics.cut("expired", 1);
                        return Over::Cut;
                    }
                    self.renew(keys);
                }
            }
        }
    }

    async fn fulfil(&self, driven: &mut Driven, wish: Wish) {
        let (keyring, user) = (&self.desk.keyring, &self.guest.user);
        match wish {
            Wish::Key => {
                let key = keyring.current(user).await;
                self.hand_over(driven, key);
            }
            Wish::KeyOf(session, generation) => {
                let key = keyring.of(user, session, generation).await;
                driven.session.key(key.map(|key| key as Arc<dyn Keys>));
            }
        }
    }

    fn hand_over(&self, driven: &mut Driven, key: Result<Arc<Held>, Unavailable>) {
        if let Ok(key) = &key {
            self.guest.is_sealed_for(key.session());
        }
        driven.session.key(key.map(|key| key as Arc<dyn Keys>));
    }

    /// How long until something is to be looked at: the key's end, or the credential's.
    fn upkeep(&self, keys: &Option<Following>) -> Duration {
        let now = self.desk.clock.now();
        let late_s = late_in_s(keys, now).unwrap_or(u32::MAX);
        let over_s = self.guest.expires.map_or(u32::MAX, |at| at.0.saturating_sub(now.0));
        let wait = Duration::from_secs(late_s.min(over_s).into());
        if over_s < late_s { wait } else { wait.max(AGAIN) }
    }

    /// Asks for another key, while octets go on; whoever gets it tells all who follow.
    fn renew(&self, keys: &Option<Following>) {
        if late_in_s(keys, self.desk.clock.now()) == Some(0) {
            let (desk, user) = (Arc::clone(self.desk), self.guest.user.clone());
            tokio::spawn(async move { desk.keyring.current(&user).await.map(drop) });
        }
    }
}

impl Driven {
    fn moved(&self) -> u64 {
        self.client.moved() + self.server.moved()
    }

    /// The last words: nothing has moved.
    fn bye(&mut self, stops: bool) -> Over {
        let (text, over) =
            if stops { ("the gateway stops", Over::Stopped) } else { ("idle for too long", Over::Idle) };
        self.session.bye(text);
        over
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, desk: &Desk) -> Poll<Turn> {
        loop {
            let turn = self.poll_once(cx, desk.clock.now());
            desk.metrics.note(&self.session.noted());
            match turn {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(over) => return Poll::Ready(Turn::Over(over)),
            }
            if let Some(wish) = self.session.wish() {
                return Poll::Ready(Turn::Wish(wish));
            }
        }
    }

    /// The client is gone, and messages of his are on their way to the mail server: what it answers is heard, and kept for
    /// when he asks again (proto/object/spec.md, section 6.4).
    async fn hear_out(&mut self, clock: &dyn Clock) {
        poll_fn(|cx| {
            while self.session.appends() {
                self.session.to_client().clear();
                match self.poll_behind(cx, clock.now()) {
                    Ok(true) => {}
                    Ok(false) => return Poll::Pending,
                    Err(_) => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The mail server's side alone; whether there may be more to do.
    fn poll_behind(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Over> {
        poll_forward(cx, &mut self.server, self.session.to_server())?;
        let mut more = give(&mut self.from_server, |input| self.session.server(input, now))?;
        more |= self.poll_server(cx, now)?;
        Ok(more || self.server.is_drained() && !self.session.to_server().is_empty())
    }

    /// Sends what waits, gives the session what it takes; whether there may be more to do.
    fn poll_once(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Over> {
        poll_forward(cx, &mut self.client, self.session.to_client())?;
        poll_forward(cx, &mut self.server, self.session.to_server())?;
        let mut more = false;
        if self.session.reads_server() {
            more |= give(&mut self.from_server, |input| self.session.server(input, now))?;
        }
        if self.session.reads_client() {
            more |= give(&mut self.from_client, |input| self.session.client(input, now))?;
        }
        more |= self.poll_server(cx, now)?;
        more |= self.poll_client(cx, now)?;
        let sendable = |side: &Side, waiting: &Vec<u8>| side.is_drained() && !waiting.is_empty();
        more |= sendable(&self.client, self.session.to_client());
        more |= sendable(&self.server, self.session.to_server());
        Ok(more)
    }

    /// What the mail server has sent, unless there is still something of it to be done.
    fn poll_server(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Over> {
        if !(self.from_server.is_empty() && self.session.reads_server() && self.session.rests()) {
            return Ok(false);
        }
        let (session, rest) = (&mut self.session, &mut self.from_server);
        let mut ended = Ok(());
        let read = self.server.poll_read(cx, &mut |octets| {
            let mut input = octets;
            ended = session.server(&mut input, now);
            rest.extend_from_slice(input);
        });
        ended.map_err(Over::Ended)?;
        match read {
            Poll::Ready(Ok(true)) => Ok(true),
            Poll::Ready(Ok(false)) | Poll::Ready(Err(_)) => Err(Over::Ended(self.session.server_gone())),
            Poll::Pending => Ok(false),
        }
    }

    /// What the client has sent.
    fn poll_client(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, Over> {
        if !(self.from_client.is_empty() && self.session.reads_client()) {
            return Ok(false);
        }
        let (session, rest) = (&mut self.session, &mut self.from_client);
        let mut ended = Ok(());
        let read = self.client.poll_read(cx, &mut |octets| {
            let mut input = octets;
            ended = session.client(&mut input, now);
            rest.extend_from_slice(input);
        });
        ended.map_err(Over::Ended)?;
        match read {
            Poll::Ready(Ok(true)) => Ok(true),
            Poll::Ready(Ok(false)) => Err(Over::Left),
            Poll::Ready(Err(error)) => Err(Over::Broken(error)),
            Poll::Pending => Ok(false),
        }
    }
}

/// The key that comes next; `None` when it was taken back. Where nothing is sealed none comes.
async fn next(keys: &mut Option<Following>) -> Option<Arc<Held>> {
    let Some(keys) = keys else { return std::future::pending().await };
    keys.changed().await.ok()?;
    keys.borrow_and_update().clone()
}

fn late_in_s(keys: &Option<Following>, now: Timestamp) -> Option<u32> {
    keys.as_ref()?.borrow().as_ref().map(|held| held.late_in_s(now))
}

/// Sends what waits there, then what is to follow it, as far as it goes.
fn poll_forward(cx: &mut Context<'_>, side: &mut Side, follows: &mut Vec<u8>) -> Result<(), Over> {
    while side.poll_send(cx).map_err(Over::Broken)?.is_ready() && !follows.is_empty() {
        side.hand(std::mem::take(follows));
    }
    Ok(())
}

/// Gives it what is left from before, and keeps what it leaves; whether it took any.
fn give(left: &mut Vec<u8>, take: impl FnOnce(&mut &[u8]) -> Result<(), Ended>) -> Result<bool, Over> {
    let mut input = left.as_slice();
    take(&mut input).map_err(Over::Ended)?;
    let taken = left.len() - input.len();
    if taken == left.len() {
        *left = Vec::new();
    } else {
        left.drain(..taken);
    }
    Ok(taken > 0)
}

/// For the mail server's answer to messages whose client is gone.
const HEARING: Duration = Duration::from_secs(30);
/// For the last words to be read.
const PARTING: Duration = Duration::from_secs(5);
/// When the gateway stops, a connection on which nothing has moved for so long is over.
const QUIET: Duration = Duration::from_millis(500);
/// After which a key that could not be had is asked for again.
const AGAIN: Duration = Duration::from_secs(30);
