//! A session with both its connections: octets go wherever they can, on both sides at once. Whoever does not read holds up what
//! is for him alone, until the session itself takes no more.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use sidekey_protocol::ids::Timestamp;

use crate::alert::Alert;
use crate::session::{Ended, Session};
use crate::side::Side;
use crate::upstream::Upstream;

/// The session, its program and the other end.
pub(crate) struct Link {
    pub(crate) session: Session,
    program: Side,
    server: Side,
    /// Whether the other end has closed.
    server_gone: bool,
}

/// What the connections come to.
pub(crate) enum Moved {
    Octets,
    ProgramGone,
    /// The session has been told.
    ServerGone,
}

impl Link {
    /// What came from either side already is the session's first input.
    pub(crate) const fn new(session: Session, program: Side, server: Side) -> Self {
        Self { session, program, server, server_gone: false }
    }

    /// All that the session can do now; and what it has noticed.
    pub(crate) fn work(&mut self, now: Timestamp, mut alert: impl FnMut(Alert)) -> Result<(), Ended> {
        loop {
            let before = (self.program.waiting(), self.server.waiting());
            let done = self
                .program
                .feed(|input| self.session.program(input, now))
                .and_then(|()| self.server.feed(|input| self.session.server(input, now)));
            let sent = self.take();
            self.session.alerts().into_iter().for_each(&mut alert);
            done?;
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

    /// Another connection to the other end, or none.
    pub(crate) fn again(&mut self, upstream: Option<Upstream>) {
        let Some(Upstream { stream, capabilities, input }) = upstream else {
            return self.session.again(None);
        };
        (self.server, self.server_gone) = (Side::new(stream, input), false);
        self.session.again(Some(&capabilities));
    }

    /// Reads and writes whatever can be, on both sides at once.
    pub(crate) async fn moved(&mut self) -> Moved {
        let reads_program = self.session.reads_program();
        let reads_server = (!self.server_gone).then(|| self.session.reads_server());
        let (program, server) = (&mut self.program, &mut self.server);
        let moved = poll_fn(|context| poll(context, program, reads_program, server, reads_server)).await;
        if matches!(moved, Moved::ServerGone) {
            self.server_gone = true;
            self.session.server_gone();
        }
        moved
    }

    /// Sends what is the last, and says that no more follows; how long somebody is waited for is the caller's to say.
    pub(crate) async fn finish_program(&mut self) {
        // Who does not hear it is gone.
        let _ = self.program.finish(self.session.to_program()).await;
    }

    /// The same, to the other end.
    pub(crate) async fn finish_server(&mut self) {
        let _ = self.server.finish(self.session.to_server()).await;
    }
}

/// `reads_server` is `None` where the other end is known to be gone.
fn poll(
    context: &mut Context<'_>,
    program: &mut Side,
    reads_program: bool,
    server: &mut Side,
    reads_server: Option<bool>,
) -> Poll<Moved> {
    let mut moved = match program.poll(context, reads_program) {
        Poll::Ready(Err(_)) => return Poll::Ready(Moved::ProgramGone),
        Poll::Ready(Ok(())) => Poll::Ready(Moved::Octets),
        Poll::Pending => Poll::Pending,
    };
    if let Some(reads) = reads_server {
        match server.poll(context, reads) {
            Poll::Ready(Err(_)) => return Poll::Ready(Moved::ServerGone),
            Poll::Ready(Ok(())) => moved = Poll::Ready(Moved::Octets),
            Poll::Pending => {}
        }
    }
    moved
}

/// The answer to what was wished for, if anything was.
pub(crate) async fn granted<A>(wish: &mut Option<Pin<Box<dyn Future<Output = A> + Send + '_>>>) -> A {
    match wish {
        None => std::future::pending().await,
        Some(granting) => {
            let answer = granting.await;
            *wish = None;
            answer
        }
    }
}
