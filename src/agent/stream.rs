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
use std::pin::Pin;
use std::sync::Arc;

use rand_core::CryptoRng;
use sidekey_imap::command::Reader;
use sidekey_imap::login::{Login, Outcome, Step, Tls, Verified};
use sidekey_imap::response::Capabilities;
use sidekey_protocol::ids::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex};

use crate::alert::Alert;
use crate::link::{Link, Moved, granted};
use crate::session::{Keys, Session, Settings, Unavailable, Wish};
use crate::side::Side;
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
    let (program, mut near) = duplex(BUFFER);
    let capabilities = capabilities.clone();
    tokio::spawn(async move {
        // Whoever reads the stream sees its end; why, the alerts have told.
        let Ok(Some((reader, came))) = greet(&mut near, &capabilities).await else { return };
        let Ok(session) = Session::begin(reader, settings, &capabilities, rng) else { return };
        let (near, far) =
            (Side::new(Box::new(near), came), Side::new(Box::new(Box::pin(upstream)), Vec::new()));
        serve(Link::new(session, near, far), &outside).await;
    });
    Ok(program)
}

/// Until the library has logged in: what has read its login, and what it said behind that. `None` when it did not.
async fn greet(
    near: &mut DuplexStream,
    capabilities: &Capabilities,
) -> io::Result<Option<(Reader, Vec<u8>)>> {
    let (mut login, greeting) = Login::begin(Tls::Established);
    near.write_all(&greeting).await?;
    let mut came = Vec::new();
    loop {
        let mut left = came.as_slice();
        let step = login.next(&mut left);
        came = left.to_vec();
        match step {
            None if near.read_buf(&mut came).await? == 0 => return Ok(None),
            None => {}
            Some(Step::Reply(octets)) => near.write_all(&octets).await?,
            Some(Step::StartTls(octets) | Step::End(octets)) => {
                near.write_all(&octets).await?;
                return Ok(None);
            }
            Some(Step::Verify(_)) => {
                match login.verified(&Outcome::Accepted(Session::capabilities(capabilities))) {
                    Verified::LoggedIn(octets, reader) => {
                        near.write_all(&octets).await?;
                        return Ok(Some((reader, came)));
                    }
                    Verified::Again(octets, again) => {
                        near.write_all(&octets).await?;
                        login = again;
                    }
                    Verified::Over(octets) => {
                        near.write_all(&octets).await?;
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Until either end ends it; what waits for either is sent before.
async fn serve(mut link: Link, outside: &impl Outside) {
    let mut wish: Option<Pin<Box<dyn Future<Output = Granted> + Send + '_>>> = None;
    while link.work(outside.now(), |alert| outside.alert(alert)).is_ok() {
        match link.session.wish() {
            None => {}
            // There is this connection alone.
            Some(Wish::Again) => {
                link.again(None);
                continue;
            }
            Some(wished) => wish = Some(Box::pin(outside.grant(wished))),
        }
        tokio::select! {
            biased;
            granted = granted(&mut wish) => match granted {
                Granted::Key(answer) => link.session.key(answer),
                Granted::Numbers(answer) => link.session.numbers(answer),
                Granted::Deletion(confirmed) => link.session.deletion(confirmed),
            },
            moved = link.moved() => if matches!(moved, Moved::ProgramGone) {
                break;
            },
        }
    }
    link.finish_program().await;
    link.finish_server().await;
}

/// Octets between the library and the session.
const BUFFER: usize = 64 * 1024;

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

    /// Both ends say more than lies between them, and neither reads before it has said all.
    #[tokio::test]
    async fn neither_side_waits_for_the_other_to_read() {
        let (program, mut far, _) = opened("IMAP4rev1 XENCRYPTED");
        let mut program = program.unwrap();
        after(&mut program, "ready\r\n", "a LOGIN anybody anything\r\n").await;
        after(&mut program, "a OK ", "").await;
        after(&mut far, "s1 LIST", "s1 OK\r\n").await;
        // It takes nothing of what it is told, and hands in commands until they wait.
        let commands = tokio::spawn(async move {
            for tag in 0..200 {
                program.write_all(format!("b{tag} NOOP\r\n").as_bytes()).await.unwrap();
            }
            let mut said = Vec::new();
            while !said.ends_with(b"b199 OK done\r\n") {
                assert!(program.read_buf(&mut said).await.unwrap() > 0);
            }
        });
        let news = "* 1 FETCH (FLAGS (\\Seen))\r\n".repeat(100);
        let (mut reads, mut writes) = tokio::io::split(far);
        let mut asked = Vec::new();
        for tag in 2..202 {
            writes.write_all(news.as_bytes()).await.unwrap();
            let wanted = format!("s{tag} NOOP\r\n");
            while !asked.ends_with(wanted.as_bytes()) {
                assert!(reads.read_buf(&mut asked).await.unwrap() > 0);
            }
            writes.write_all(format!("s{tag} OK done\r\n").as_bytes()).await.unwrap();
            asked.clear();
        }
        commands.await.unwrap();
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
