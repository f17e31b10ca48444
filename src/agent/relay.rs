//! One connection of a mail program and the one to the proxy, around the session between them.

mod side;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sidekey_client::protocol::ids::Timestamp;
use tokio::time::{Instant, timeout};

use crate::session::{Ended, Session};
use crate::upstream::{Io, Upstream};
use crate::work::{Answer, Connection};
use side::Side;

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum End {
    /// As the session says.
    Ended(Ended),
    /// The program closed it.
    ProgramGone,
    /// Neither side has said anything for too long.
    Silence,
    /// The agent closes it: the pairing is over, or the agent stops.
    Closed(Arc<str>),
}

impl End {
    /// For the log.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ended(Ended::LoggedOut) => "logged_out",
            Self::Ended(Ended::Program(_)) => "program_no_imap",
            Self::Ended(Ended::Server(_)) => "server_no_imap",
            Self::Ended(Ended::ServerGone) => "server_gone",
            Self::Ended(Ended::Alert(alert)) => alert.name(),
            Self::Ended(Ended::AppendBroken) => "append_broken",
            Self::Ended(Ended::Spool(_)) => "spool_failed",
            Self::ProgramGone => "program_gone",
            Self::Silence => "silence",
            Self::Closed(_) => "closed",
        }
    }
}

/// A session with both its connections.
pub(crate) struct Relay<'c> {
    session: Session,
    program: Side,
    server: Side,
    /// Whether that side has closed.
    server_gone: bool,
    connection: &'c Connection,
    /// What the session has wished for.
    wish: Option<Pin<Box<dyn Future<Output = Answer> + Send + 'c>>>,
}

impl<'c> Relay<'c> {
    /// What came from either side already is the session's first input.
    pub(crate) fn new(
        session: Session,
        program: (Box<dyn Io>, Vec<u8>),
        server: (Box<dyn Io>, Vec<u8>),
        connection: &'c Connection,
    ) -> Self {
        let (program, server) = (Side::new(program.0, program.1), Side::new(server.0, server.1));
        Self { session, program, server, server_gone: false, connection, wish: None }
    }

    /// Until its end; what waits for the program is sent before.
    pub(crate) async fn run(mut self, idle: Duration) -> End {
        let end = self.talk(idle).await;
        // Nobody is waited for who does not read: the rest is for a program that does.
        let _ = timeout(FLUSH, self.program.finish(self.session.to_program())).await;
        let _ = timeout(FLUSH, self.server.finish(self.session.to_server())).await;
        end
    }

    async fn talk(&mut self, idle: Duration) -> End {
        let connection = self.connection;
        let mut over = std::pin::pin!(connection.over());
        let mut stopping = std::pin::pin!(connection.stopping());
        let mut events = connection.events();
        let (mut deadline, mut draining) = (Instant::now() + idle, false);
        loop {
            if let Err(ended) = self.work(connection.now()) {
                return End::Ended(ended);
            }
            if draining && self.session.is_idle() {
                return self.closed("the agent stops".into());
            }
            let reads = Reads {
                program: self.session.reads_program(),
                server: (!self.server_gone).then(|| self.session.reads_server()),
            };
            tokio::select! {
                biased;
                why = &mut over => return self.closed(why),
                answer = granted(&mut self.wish) => self.answer(answer),
                moved = moved(reads, &mut self.program, &mut self.server) => match moved {
                    Moved::Octets => deadline = Instant::now() + idle,
                    Moved::ProgramGone => return End::ProgramGone,
                    Moved::ServerGone => {
                        self.server_gone = true;
                        self.session.server_gone();
                    }
                },
                Ok(()) = events.changed() => self.session.forget_keys(),
                () = &mut stopping, if !draining => draining = true,
                () = tokio::time::sleep_until(deadline) => {
                    self.session.close("nothing was said for too long");
                    return End::Silence;
                }
            }
        }
    }

    /// All that the session can do now.
    fn work(&mut self, now: Timestamp) -> Result<(), Ended> {
        loop {
            let before = (self.program.waiting(), self.server.waiting());
            let done = self
                .program
                .feed(|input| self.session.program(input, now))
                .and_then(|()| self.server.feed(|input| self.session.server(input, now)));
            let sent = self.take();
            for alert in self.session.alerts() {
                self.connection.raise(&alert);
            }
            done?;
            if self.wish.is_none()
                && let Some(wish) = self.session.wish()
            {
                self.wish = Some(Box::pin(self.connection.grant(wish)));
            }
            if !sent && before == (self.program.waiting(), self.server.waiting()) {
                return Ok(());
            }
        }
    }

    /// Takes what is to be sent where nothing waits to be; whether there was some.
    fn take(&mut self) -> bool {
        let program = self.program.send(self.session.to_program());
        self.server.send(self.session.to_server()) || program
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Key(key) => self.session.key(key),
            Answer::Numbers(first) => self.session.numbers(first),
            Answer::Deletion(confirmed) => self.session.deletion(confirmed),
            Answer::Again(None) => self.session.again(None),
            Answer::Again(Some(Upstream { stream, capabilities, input })) => {
                (self.server, self.server_gone) = (Side::new(stream, input), false);
                self.session.again(Some(&capabilities));
            }
        }
    }

    fn closed(&mut self, why: Arc<str>) -> End {
        self.session.close(&why);
        End::Closed(why)
    }
}

/// The answer to what was wished for, if anything was.
async fn granted(wish: &mut Option<Pin<Box<dyn Future<Output = Answer> + Send + '_>>>) -> Answer {
    match wish {
        None => std::future::pending().await,
        Some(granting) => {
            let answer = granting.await;
            *wish = None;
            answer
        }
    }
}

enum Moved {
    Octets,
    ProgramGone,
    ServerGone,
}

/// From whom more is taken; of whom `None` is known to be gone.
struct Reads {
    program: bool,
    server: Option<bool>,
}

/// Reads and writes whatever can be, on both sides at once.
async fn moved(reads: Reads, program: &mut Side, server: &mut Side) -> Moved {
    poll_fn(|context| {
        match program.poll(context, reads.program) {
            Poll::Ready(Err(_)) => return Poll::Ready(Moved::ProgramGone),
            Poll::Ready(Ok(())) => return Poll::Ready(Moved::Octets),
            Poll::Pending => {}
        }
        let Some(reads_server) = reads.server else { return Poll::Pending };
        match server.poll(context, reads_server) {
            Poll::Ready(Err(_)) => Poll::Ready(Moved::ServerGone),
            Poll::Ready(Ok(())) => Poll::Ready(Moved::Octets),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// For how long somebody is waited for who does not read what is the last.
const FLUSH: Duration = Duration::from_secs(5);
