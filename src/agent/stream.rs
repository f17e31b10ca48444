//! A session as a stream: for a program that has its IMAP library in the same process. The library reads and writes it as
//! if it were a connection to the mail server.
//!
//! ```text
//!   IMAP library ⇄ what open() gives ⇄ Session ⇄ upstream, which is logged in already
//!                                         └ Outside: keys, numbers, the clock
//! ```
//! It is greeted, and whatever it logs in with is taken: nobody but this process can reach it.

use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;

use rand_core::CryptoRng;
use sidekey_imap::login::{Login, Outcome, Step, Tls, Verified};
use sidekey_imap::response::Capabilities;
use sidekey_protocol::ids::Timestamp;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex,
    split,
};

use crate::alert::Alert;
use crate::session::{Keys, Session, Settings, Unavailable, Wish};
use crate::told;

/// What stands around a session.
pub trait Outside: Send + Sync + 'static {
    /// Unix seconds, now.
    fn now(&self) -> Timestamp;

    /// Fulfils a wish; [`Wish::Again`] is none of those that are told here, where there is one connection alone.
    fn grant(&self, wish: Wish) -> impl Future<Output = Granted> + Send;

    /// Tells the user.
    fn alert(&self, alert: Alert);
}

/// A wish, fulfilled or not.
#[derive(Debug)]
pub enum Granted {
    /// Of [`Wish::Key`] and [`Wish::Current`].
    Key(Result<Arc<dyn Keys>, Unavailable>),
    /// Of [`Wish::Numbers`].
    Numbers(Result<NonZeroU64, Unavailable>),
    /// Of [`Wish::Deletion`].
    Deletion(bool),
}

/// The library's end. `upstream` is logged in, and `capabilities` are what it says since. Ends when either end does.
///
/// # Errors
/// The other end is no gateway: nothing was asked of it.
pub fn open<S, O>(
    upstream: S,
    capabilities: &Capabilities,
    settings: Settings,
    rng: Box<dyn CryptoRng + Send>,
    outside: O,
) -> Result<DuplexStream, Alert>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    O: Outside,
{
    told::is_gateway(capabilities)?;
    let (program, near) = duplex(BUFFER);
    let capabilities = capabilities.clone();
    tokio::spawn(async move {
        let mut near = Side::new(near);
        // Whoever reads the stream sees its end; why, the alerts have told.
        let Ok(Some((reader, said))) = greet(&mut near, &capabilities).await else { return };
        let Ok(session) = Session::begin(reader, settings, &capabilities, rng) else { return };
        near.write(&said).await.unwrap_or_default();
        let _ = serve(session, near, Side::new(upstream), &outside).await;
    });
    Ok(program)
}

/// One connection, and what came of it that was not taken yet.
struct Side<S> {
    reads: ReadHalf<S>,
    writes: WriteHalf<S>,
    input: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite> Side<S> {
    fn new(stream: S) -> Self {
        let (reads, writes) = split(stream);
        Self { reads, writes, input: Vec::new() }
    }

    /// Whether there was more.
    async fn read(&mut self) -> io::Result<bool> {
        self.input.reserve(PIECE);
        Ok(self.reads.read_buf(&mut self.input).await? > 0)
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.writes.write_all(octets).await?;
        self.writes.flush().await
    }

    /// Hands in what came, and keeps what is not taken.
    fn feed<T>(&mut self, take: impl FnOnce(&mut &[u8]) -> T) -> T {
        let mut left = self.input.as_slice();
        let taken = take(&mut left);
        let taken_len = self.input.len() - left.len();
        self.input.drain(..taken_len);
        taken
    }
}

/// Until the library has logged in; `None` when it did not.
async fn greet<S: AsyncRead + AsyncWrite>(
    near: &mut Side<S>,
    capabilities: &Capabilities,
) -> io::Result<Option<(sidekey_imap::command::Reader, Vec<u8>)>> {
    let (mut login, greeting) = Login::begin(Tls::Established);
    near.write(&greeting).await?;
    loop {
        match near.feed(|input| login.next(input)) {
            None if !near.read().await? => return Ok(None),
            None => {}
            Some(Step::Reply(octets)) => near.write(&octets).await?,
            Some(Step::StartTls(octets) | Step::End(octets)) => {
                near.write(&octets).await?;
                return Ok(None);
            }
            Some(Step::Verify(_)) => {
                match login.verified(&Outcome::Accepted(Session::capabilities(capabilities))) {
                    Verified::LoggedIn(octets, reader) => return Ok(Some((reader, octets))),
                    Verified::Again(octets, again) => {
                        near.write(&octets).await?;
                        login = again;
                    }
                    Verified::Over(octets) => {
                        near.write(&octets).await?;
                        return Ok(None);
                    }
                }
            }
        }
    }
}

async fn serve<N, F>(
    mut session: Session,
    mut near: Side<N>,
    mut far: Side<F>,
    outside: &impl Outside,
) -> io::Result<()>
where
    N: AsyncRead + AsyncWrite,
    F: AsyncRead + AsyncWrite,
{
    loop {
        while step(&mut session, &mut near, &mut far, outside).await? {}
        tokio::select! {
            more = near.read(), if session.reads_program() => {
                if !more? {
                    return Ok(());
                }
            }
            more = far.read(), if session.reads_server() => {
                if !more? {
                    session.server_gone();
                }
            }
            else => return Ok(()),
        }
    }
}

/// All that can be done with what is there; whether there may be more.
async fn step<N, F>(
    session: &mut Session,
    near: &mut Side<N>,
    far: &mut Side<F>,
    outside: &impl Outside,
) -> io::Result<bool>
where
    N: AsyncRead + AsyncWrite,
    F: AsyncRead + AsyncWrite,
{
    let (before, now) = ((near.input.len(), far.input.len()), outside.now());
    let done = near
        .feed(|input| session.program(input, now))
        .and_then(|()| far.feed(|input| session.server(input, now)));
    session.alerts().into_iter().for_each(|alert| outside.alert(alert));
    let mut moved = before != (near.input.len(), far.input.len());
    match session.wish().filter(|_| done.is_ok()) {
        None => {}
        // There is this connection alone.
        Some(Wish::Again) => session.again(None),
        Some(wish) => {
            moved = true;
            match outside.grant(wish).await {
                Granted::Key(answer) => session.key(answer),
                Granted::Numbers(answer) => session.numbers(answer),
                Granted::Deletion(confirmed) => session.deletion(confirmed),
            }
        }
    }
    let (said, sent) = (std::mem::take(session.to_program()), std::mem::take(session.to_server()));
    moved |= !said.is_empty() || !sent.is_empty();
    near.write(&said).await?;
    far.write(&sent).await?;
    done.map(|()| moved).map_err(io::Error::other)
}

/// Octets between the library and the session.
const BUFFER: usize = 64 * 1024;
/// Octets that are read at once.
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sidekey_protocol::ids::PartyId;

    use super::*;
    use crate::alert::{Alert, Changed, Plain};

    /// Without a key service.
    struct Nobody(Arc<Mutex<Vec<Alert>>>);

    impl Outside for Nobody {
        fn now(&self) -> Timestamp {
            Timestamp(1_000)
        }

        async fn grant(&self, wish: Wish) -> Granted {
            match wish {
                Wish::Key { .. } | Wish::Current { .. } => Granted::Key(Err(Unavailable::Unreachable)),
                Wish::Numbers { .. } => Granted::Numbers(Err(Unavailable::Unreachable)),
                Wish::Deletion { .. } | Wish::Again => Granted::Deletion(false),
            }
        }

        fn alert(&self, alert: Alert) {
            self.0.lock().unwrap().push(alert);
        }
    }

    fn opened(capabilities: &str) -> (Result<DuplexStream, Alert>, DuplexStream, Arc<Mutex<Vec<Alert>>>) {
        let (far, upstream) = duplex(1000);
        let capabilities = Capabilities::read(capabilities).unwrap();
        let settings = Settings::new(PartyId::from_bytes([5; 16]));
        let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
        let alerts = Arc::default();
        (open(upstream, &capabilities, settings, rng, Nobody(Arc::clone(&alerts))), far, alerts)
    }

    /// Says something once this has come, which is returned.
    async fn after(stream: &mut DuplexStream, wanted: &str, said: &str) -> String {
        let mut come = Vec::new();
        while !String::from_utf8_lossy(&come).contains(wanted) {
            assert!(stream.read_buf(&mut come).await.unwrap() > 0, "{}", come.escape_ascii());
        }
        stream.write_all(said.as_bytes()).await.unwrap();
        String::from_utf8(come).unwrap()
    }

    #[tokio::test]
    async fn a_library_logs_in_and_reads_through_it() {
        let (program, mut far, alerts) = opened("IMAP4rev1 LITERAL+ XENCRYPTED XENCRYPTED=A256GCM");
        let mut program = program.unwrap();
        let gateway = tokio::spawn(async move {
            after(&mut far, "s1 LIST", "* LIST () \"/\" INBOX\r\ns1 OK\r\n").await;
            after(&mut far, "s2 SELECT INBOX", "* OK [UIDVALIDITY 4] x\r\n* 1 EXISTS\r\ns2 OK x\r\n").await;
            after(&mut far, "s3 FETCH", "* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\ns3 OK x\r\n").await;
            after(&mut far, "s4 LOGOUT", "* BYE x\r\ns4 OK x\r\n").await;
        });
        let greeting = after(&mut program, "ready\r\n", "a LOGIN anybody anything\r\n").await;
        assert!(greeting.starts_with("* OK "));
        let login = after(&mut program, "a OK ", "b SELECT INBOX\r\n").await;
        assert!(login.contains("IMAP4rev1") && !login.contains("XENCRYPTED"));
        after(&mut program, "b OK ", "c FETCH 1 BODY.PEEK[]\r\n").await;
        let fetched = after(&mut program, "c NO ", "d LOGOUT\r\n").await;
        assert!(!fetched.contains("hello"));
        let mut rest = String::new();
        program.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("d OK logged out\r\n"), "{rest}");
        assert_eq!(*alerts.lock().unwrap(), [Alert::Downgrade(Plain::Value)]);
        gateway.await.unwrap();
    }

    #[tokio::test]
    async fn what_the_other_end_leaves_undone_ends_it() {
        let (program, far, _) = opened("IMAP4rev1 XENCRYPTED");
        let mut program = program.unwrap();
        drop(far);
        program.write_all(b"a LOGIN anybody anything\r\n").await.unwrap();
        let mut said = String::new();
        program.read_to_string(&mut said).await.unwrap_or_default();
        assert!(!said.contains("b OK"), "{said}");
        let no_gateway = opened("IMAP4rev1 SORT").0.map(|_| ());
        assert_eq!(no_gateway, Err(Alert::Reterminated(Changed::Capabilities)));
    }
}
