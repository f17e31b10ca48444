//! One connection of a mail program and the one to the proxy, around the session between them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sidekey_client::protocol::ids::Timestamp;
use tokio::time::{Instant, timeout};

use crate::link::{Link, Moved, granted};
use crate::session::{Ended, Session};
use crate::side::Side;
use crate::upstream::Io;
use crate::work::{Answer, Connection};

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

/// A session with both its connections, and what it has only from outside.
pub(crate) struct Relay<'c> {
    link: Link,
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
        Self { link: Link::new(session, program, server), connection, wish: None }
    }

    /// Until its end; what waits for the program is sent before.
    pub(crate) async fn run(mut self, idle: Duration) -> End {
        let end = self.talk(idle).await;
        // Nobody is waited for who does not read: the rest is for a program that does.
        let _ = timeout(FLUSH, self.link.finish_program()).await;
        let _ = timeout(FLUSH, self.link.finish_server()).await;
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
            if draining && self.link.session.is_idle() {
                return self.closed("the agent stops".into());
            }
            tokio::select! {
                biased;
                why = &mut over => return self.closed(why),
                answer = granted(&mut self.wish) => self.answer(answer),
                moved = self.link.moved() => match moved {
                    Moved::Octets => deadline = Instant::now() + idle,
                    Moved::ProgramGone => return End::ProgramGone,
                    Moved::ServerGone => {}
                },
                Ok(()) = events.changed() => self.link.session.forget_keys(),
                () = &mut stopping, if !draining => draining = true,
                () = tokio::time::sleep_until(deadline) => {
                    self.link.session.close("nothing was said for too long");
                    return End::Silence;
                }
            }
        }
    }

    /// All that the session can do now, and what it then wishes for.
    fn work(&mut self, now: Timestamp) -> Result<(), Ended> {
        let connection = self.connection;
        self.link.work(now, |alert| connection.raise(&alert))?;
        if self.wish.is_none()
            && let Some(wish) = self.link.session.wish()
        {
            self.wish = Some(Box::pin(connection.grant(wish)));
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Key(key) => self.link.session.key(key),
            Answer::Numbers(first) => self.link.session.numbers(first),
            Answer::Deletion(confirmed) => self.link.session.deletion(confirmed),
            Answer::Again(upstream) => self.link.again(upstream),
        }
    }

    fn closed(&mut self, why: Arc<str>) -> End {
        self.link.session.close(&why);
        End::Closed(why)
    }
}

/// For how long somebody is waited for who does not read what is the last.
const FLUSH: Duration = Duration::from_secs(5);
