//! One connection to an SMSC after another.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rusmpp::pdus::{BindTransceiver, DeliverSm, DeliverSmResp, SubmitSm};
use rusmpp::{CommandStatus, Pdu};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::report;
use super::wire::{self, Frame};
use crate::ambient::Ambient;
use crate::outcome::{ReceiptId, Refusal, Report, Trouble, Undelivered};
use crate::web::{CONNECT, is_untrusted};

/// Where the SMSC is.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<ClientConfig>,
}

/// A message that somebody waits for.
pub(super) struct Submission {
    pub(super) message: SubmitSm,
    pub(super) answer: oneshot::Sender<Result<ReceiptId, Undelivered>>,
}

/// Keeps a connection, as long as somebody may send.
pub(super) struct Driver {
    pub(super) target: Target,
    pub(super) bind: BindTransceiver,
    pub(super) queue: mpsc::Receiver<Submission>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) window: usize,
    pub(super) answer: Duration,
    pub(super) enquire_link: Duration,
    pub(super) ambient: Ambient,
}

/// Nobody sends any more.
struct Done;

impl Driver {
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let trouble = match self.session(&mut failures).await {
                Ok(Done) => return,
                Err(trouble) => trouble,
            };
            let pause = self.ambient.jittered(back_off(failures));
            failures += 1;
            tracing::warn!(%trouble, pause_ms = pause.as_millis(), "no SMSC");
            if let Some(Done) = self.refuse_for(pause, trouble).await {
                return;
            }
        }
    }

    async fn session(&mut self, failures: &mut u32) -> Result<Done, Trouble> {
        let stream = self.connect().await?;
        let mut link = Link::new(stream, self);
        link.bind(self.bind.clone()).await?;
        tracing::info!("bound to the SMSC");
        let ended = link.serve(&mut self.queue).await;
        if link.was_of_use {
            *failures = 0;
        }
        ended
    }

    async fn connect(&self) -> Result<Box<dyn Duplex>, Trouble> {
        let Target { host, port, tls } = &self.target;
        let connecting = async {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            tcp.set_nodelay(true)?;
            let Some(tls) = tls else { return Ok(Box::new(tcp) as Box<dyn Duplex>) };
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let tls = TlsConnector::from(Arc::new(tls.clone())).connect(name, tcp).await?;
            Ok(Box::new(tls) as Box<dyn Duplex>)
        };
        let failed =
            |error: io::Error| if is_untrusted(&error) { Trouble::Untrusted } else { Trouble::Connection };
        timeout(CONNECT, connecting).await.map_err(|_| Trouble::Connection)?.map_err(failed)
    }

    /// Between two connections: who sends learns when to come back.
    async fn refuse_for(&mut self, pause: Duration, why: Trouble) -> Option<Done> {
        let until = Instant::now() + pause;
        while let Ok(submission) = timeout_at(until, self.queue.recv()).await {
            let Some(submission) = submission else { return Some(Done) };
            let after = until.saturating_duration_since(Instant::now()).max(SHORTEST);
            let _ = submission.answer.send(Err(Undelivered::Retry { after, why }));
        }
        None
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// One connection.
struct Link {
    stream: Box<dyn Duplex>,
    buffer: BytesMut,
    sequence: u32,
    waiting: BTreeMap<u32, Waiting>,
    throttle: Throttle,
    /// When silence has lasted long enough.
    quiet_until: Instant,
    /// We have asked whether somebody is there, and wait until then.
    asked_until: Option<Instant>,
    was_of_use: bool,
    window: usize,
    answer: Duration,
    enquire_link: Duration,
    reports: mpsc::Sender<Report>,
    ambient: Ambient,
}

/// Dropped with the connection, it says so: what waited for an answer may have left.
struct Waiting {
    answer: oneshot::Sender<Result<ReceiptId, Undelivered>>,
    until: Instant,
}

/// The SMSC's wish that we send less.
#[derive(Default)]
struct Throttle {
    until: Option<Instant>,
    times: u32,
}

impl Link {
    fn new(stream: Box<dyn Duplex>, driver: &Driver) -> Self {
        Self {
            stream,
            buffer: BytesMut::with_capacity(1024),
            sequence: 0,
            waiting: BTreeMap::new(),
            throttle: Throttle::default(),
            quiet_until: Instant::now() + driver.enquire_link,
            asked_until: None,
            was_of_use: false,
            window: driver.window,
            answer: driver.answer,
            enquire_link: driver.enquire_link,
            reports: driver.reports.clone(),
            ambient: driver.ambient.clone(),
        }
    }

    async fn bind(&mut self, bind: BindTransceiver) -> Result<(), Trouble> {
        let sequence = self.ask(bind).await?;
        let until = Instant::now() + self.answer;
        loop {
            let frame = timeout_at(until, self.next()).await.map_err(|_| Trouble::Deadline)??;
            match (frame.id, frame.sequence == sequence, frame.status) {
                (wire::BIND_TRANSCEIVER_RESP, true, 0) => return Ok(()),
                (wire::BIND_TRANSCEIVER_RESP | wire::GENERIC_NACK, true, status) => {
                    return Err(match status {
                        RBINDFAIL | RINVPASWD | RINVSYSID => Trouble::Credentials,
                        _ => Trouble::Bearer,
                    });
                }
                // Before we are bound, nobody has anything else to say.
                _ => {}
            }
        }
    }

    /// Until nobody sends any more, or the connection ends.
    async fn serve(&mut self, queue: &mut mpsc::Receiver<Submission>) -> Result<Done, Trouble> {
        loop {
            let (due, has_room) = (self.due(), self.waiting.len() < self.window);
            tokio::select! {
                frame = self.next() => self.take(frame?).await?,
                submission = queue.recv(), if has_room => match submission {
                    Some(submission) => self.submit(submission).await?,
                    None => return self.unbind().await,
                },
                () = sleep_until(due) => self.on_time().await?,
            }
        }
    }

    async fn submit(&mut self, submission: Submission) -> Result<(), Trouble> {
        let Submission { message, answer } = submission;
        if let Some(after) = self.throttle.remaining() {
            let _ = answer.send(Err(Undelivered::Retry { after, why: Trouble::Throttled }));
            return Ok(());
        }
        // Who has given up meanwhile counts on nothing being sent.
        if answer.is_closed() {
            return Ok(());
        }
        self.sequence = next(self.sequence);
        let until = Instant::now() + self.answer;
        self.waiting.insert(self.sequence, Waiting { answer, until });
        self.write(&wire::encoded(CommandStatus::EsmeRok, self.sequence, message)).await
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Trouble> {
        self.quiet_until = Instant::now() + self.enquire_link;
        self.asked_until = None;
        let sequence = frame.sequence;
        match frame {
            Frame { id: wire::SUBMIT_SM_RESP | wire::GENERIC_NACK, status, .. } => {
                self.answered(&frame);
                // It does not take us for bound: another bind mends that.
                if status == RINVBNDSTS { Err(Trouble::Bearer) } else { Ok(()) }
            }
            Frame { id: wire::ENQUIRE_LINK_RESP, .. } => {
                self.was_of_use = true;
                Ok(())
            }
            Frame { pdu: Some(Pdu::EnquireLink), .. } => self.reply(sequence, Pdu::EnquireLinkResp).await,
            Frame { pdu: Some(Pdu::DeliverSm(message)), .. } => {
                self.report(&message);
                self.reply(sequence, DeliverSmResp::default()).await
            }
            Frame { pdu: Some(Pdu::Unbind), .. } => {
                self.reply(sequence, Pdu::UnbindResp).await?;
                Err(Trouble::Interrupted)
            }
            // It wants no answer, and we have no use for it.
            Frame { pdu: Some(Pdu::AlertNotification(_)), .. } => Ok(()),
            frame if frame.is_request() => {
                self.write(&wire::encoded(CommandStatus::EsmeRinvcmdid, sequence, Pdu::GenericNack)).await
            }
            _ => Ok(()),
        }
    }

    /// An answer to one of our messages. One that nobody waits for came too late, or twice.
    fn answered(&mut self, frame: &Frame) {
        let Some(waiting) = self.waiting.remove(&frame.sequence) else { return };
        let outcome = match (frame.id, frame.status, &frame.pdu) {
            (wire::SUBMIT_SM_RESP, 0, Some(Pdu::SubmitSmResp(answer))) => {
                self.throttle = Throttle::default();
                self.was_of_use = true;
                Ok(ReceiptId::new(&String::from_utf8_lossy(answer.message_id().as_ref())))
            }
            // It took the message, and does not say as what.
            (wire::SUBMIT_SM_RESP, 0, _) => Ok(ReceiptId::new("")),
            (_, RTHROTTLED, _) => {
                let after = self.throttle.pause(&self.ambient);
                Err(Undelivered::Retry { after, why: Trouble::Throttled })
            }
            (_, status, _) => Err(undelivered(status)),
        };
        let _ = waiting.answer.send(outcome);
    }

    fn report(&self, message: &DeliverSm) {
        let Some(report) = report::read(message) else { return };
        if self.reports.try_send(report).is_err() {
            tracing::warn!("a delivery report is dropped: nobody reads them");
        }
    }

    /// What is due first: the end of a silence, of a question, of somebody's patience.
    fn due(&self) -> Instant {
        let waiting = self.waiting.values().map(|waiting| waiting.until);
        let link = self.asked_until.unwrap_or(self.quiet_until);
        waiting.chain([link]).min().unwrap_or(link)
    }

    async fn on_time(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        for (_, late) in self.waiting.extract_if(.., |_, waiting| waiting.until <= now) {
            let _ = late.answer.send(Err(Trouble::Deadline.into()));
        }
        match self.asked_until {
            Some(until) if until <= now => Err(Trouble::Deadline),
            None if self.quiet_until <= now => {
                self.asked_until = Some(now + self.answer);
                self.ask(Pdu::EnquireLink).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    async fn unbind(&mut self) -> Result<Done, Trouble> {
        self.ask(Pdu::Unbind).await?;
        let until = Instant::now() + PARTING;
        while let Ok(Ok(frame)) = timeout_at(until, self.next()).await {
            if frame.id == wire::UNBIND_RESP {
                break;
            }
        }
        Ok(Done)
    }

    /// The next PDU. Dropped halfway, it has lost nothing: what was read is in the buffer.
    async fn next(&mut self) -> Result<Frame, Trouble> {
        loop {
            if let Some(frame) = wire::take(&mut self.buffer)? {
                return Ok(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(Trouble::Interrupted),
                Ok(_) => {}
            }
        }
    }

    async fn ask(&mut self, pdu: impl Into<Pdu>) -> Result<u32, Trouble> {
        self.sequence = next(self.sequence);
        self.write(&wire::encoded(CommandStatus::EsmeRok, self.sequence, pdu)).await?;
        Ok(self.sequence)
    }

    async fn reply(&mut self, sequence: u32, pdu: impl Into<Pdu>) -> Result<(), Trouble> {
        self.write(&wire::encoded(CommandStatus::EsmeRok, sequence, pdu)).await
    }

    /// A peer that does not read within the time for an answer is as good as gone.
    async fn write(&mut self, octets: &[u8]) -> Result<(), Trouble> {
        let writing = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        timeout(self.answer, writing).await.map_err(|_| Trouble::Deadline)?.map_err(|_| Trouble::Interrupted)
    }
}

impl Throttle {
    fn remaining(&self) -> Option<Duration> {
        let remaining = self.until?.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then(|| remaining.max(SHORTEST))
    }

    /// Pauses, twice as long as the last time. Refusals of one moment are one: a whole window may have been on its way.
    fn pause(&mut self, ambient: &Ambient) -> Duration {
        if let Some(remaining) = self.remaining() {
            return remaining;
        }
        let pause = ambient.jittered(back_off(self.times));
        self.times += 1;
        self.until = Some(Instant::now() + pause);
        pause
    }
}

/// What a status other than 0 means (SMPP 3.4, section 5.1.3). Unknown ones are the SMSC's word against this message.
fn undelivered(status: u32) -> Undelivered {
    match status {
        RINVDSTADR => Refusal::Address.into(),
        RMSGQFUL => Trouble::QueueFull.retry(),
        RINVBNDSTS | RSYSERR | RSUBMITFAIL | RX_T_APPN | RDELIVERYFAILURE | RUNKNOWNERR => {
            Trouble::Bearer.retry()
        }
        status => Refusal::Status(status).into(),
    }
}

/// 1 to 2³¹ − 1, then again from 1.
const fn next(sequence: u32) -> u32 {
    if sequence >= 0x7fff_ffff { 1 } else { sequence + 1 }
}

/// A second, doubled with every failure, to a minute.
fn back_off(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(Duration::from_secs(60))
}

const RINVBNDSTS: u32 = 0x04;
const RSYSERR: u32 = 0x08;
const RINVDSTADR: u32 = 0x0b;
const RBINDFAIL: u32 = 0x0d;
const RINVPASWD: u32 = 0x0e;
const RINVSYSID: u32 = 0x0f;
const RMSGQFUL: u32 = 0x14;
const RSUBMITFAIL: u32 = 0x45;
const RTHROTTLED: u32 = 0x58;
const RX_T_APPN: u32 = 0x64;
const RDELIVERYFAILURE: u32 = 0xfe;
const RUNKNOWNERR: u32 = 0xff;
/// So that nobody comes back in the same instant.
const SHORTEST: Duration = Duration::from_millis(100);
/// For the answer to an unbind.
const PARTING: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
