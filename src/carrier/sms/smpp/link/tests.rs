//! The link against a far end in memory, on a clock that moves when nothing else does.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rusmpp::pdus::SubmitSmResp;
use rusmpp::types::COctetString;
use sidekey_protocol::ids::Timestamp;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::*;

type Outcome = oneshot::Receiver<Result<ReceiptId, Undelivered>>;

struct Far {
    stream: DuplexStream,
    buffer: BytesMut,
    queue: mpsc::Sender<Submission>,
    reports: mpsc::Receiver<Report>,
    serving: JoinHandle<Result<(), Trouble>>,
}

impl Far {
    fn start(window: usize) -> Self {
        let (stream, near) = tokio::io::duplex(4096);
        let (queue, submissions) = mpsc::channel(8);
        let (said, reports) = mpsc::channel(2);
        let mut driver = driver(window, submissions, said);
        let mut link = Link::new(Box::new(near), &driver);
        let serving = tokio::spawn(async move { link.serve(&mut driver.queue).await.map(|Done| ()) });
        Self { stream, buffer: BytesMut::new(), queue, reports, serving }
    }

    async fn submit(&self) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        assert!(self.queue.send(Submission { message: SubmitSm::default(), answer }).await.is_ok());
        outcome
    }

    async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = wire::take(&mut self.buffer).unwrap() {
                return frame;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "the link ended");
        }
    }

    /// Whether nothing comes within this time.
    async fn is_silent_for(&mut self, seconds: u64) -> bool {
        timeout(Duration::from_secs(seconds), self.next()).await.is_err()
    }

    async fn say(&mut self, status: u32, sequence: u32, pdu: impl Into<Pdu>) {
        let octets = wire::encoded(CommandStatus::from(status), sequence, pdu);
        self.stream.write_all(&octets).await.unwrap();
    }

    async fn answer(&mut self, status: u32, sequence: u32) {
        let id = COctetString::from_slice(b"7\0").unwrap();
        self.say(status, sequence, SubmitSmResp::builder().message_id(id).build()).await;
    }

    async fn end(self) -> Result<(), Trouble> {
        self.serving.await.unwrap()
    }
}

fn driver(window: usize, queue: mpsc::Receiver<Submission>, reports: mpsc::Sender<Report>) -> Driver {
    Driver {
        target: Target { host: "localhost".into(), port: 0, tls: None },
        bind: BindTransceiver::default(),
        queue,
        reports,
        window,
        answer: Duration::from_secs(10),
        enquire_link: Duration::from_secs(30),
        ambient: Ambient::new(|| Timestamp(0), ChaCha20Rng::seed_from_u64(1)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_answered_with_the_smscs_id() {
    let mut far = Far::start(4);
    let outcome = far.submit().await;
    let sent = far.next().await;
    assert!(matches!(sent.pdu, Some(Pdu::SubmitSm(_))));
    far.answer(0, sent.sequence).await;
    assert_eq!(outcome.await.unwrap(), Ok(ReceiptId::new("7")));
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_for_their_answer_than_the_window_has_room_for() {
    let mut far = Far::start(2);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(far.submit().await);
    }
    let (first, _second) = (far.next().await, far.next().await);
    assert!(far.is_silent_for(5).await, "the third waits");
    far.answer(0, first.sequence).await;
    assert!(matches!(far.next().await.pdu, Some(Pdu::SubmitSm(_))), "until there is room");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_link_sends_nothing_until_its_pause_is_over_and_pauses_longer_each_time() {
    let mut far = Far::start(4);
    let mut last = Duration::ZERO;
    for _ in 0..4 {
        let outcome = far.submit().await;
        let sent = far.next().await;
        far.answer(RTHROTTLED, sent.sequence).await;
        let Err(Undelivered::Retry { after, why: Trouble::Throttled }) = outcome.await.unwrap() else {
            panic!("not throttled")
        };
        assert!(after > last, "{after:?} after {last:?}");
        last = after;
        let meanwhile = far.submit().await.await.unwrap();
        assert!(
            matches!(meanwhile, Err(Undelivered::Retry { why: Trouble::Throttled, .. })),
            "{meanwhile:?}"
        );
        tokio::time::sleep(after).await;
    }
    let outcome = far.submit().await;
    let sent = far.next().await;
    far.answer(0, sent.sequence).await;
    assert!(outcome.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_whole_window_that_is_throttled_is_throttled_once() {
    let mut far = Far::start(4);
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(far.submit().await);
    }
    for _ in 0..4 {
        let sent = far.next().await;
        far.answer(RTHROTTLED, sent.sequence).await;
    }
    for outcome in outcomes {
        let Err(Undelivered::Retry { after, .. }) = outcome.await.unwrap() else { panic!("not throttled") };
        assert!(after <= Duration::from_secs(1), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for_and_one_that_comes_late_harms_nobody() {
    let mut far = Far::start(1);
    let outcome = far.submit().await;
    let sent = far.next().await;
    assert_eq!(outcome.await.unwrap(), Err(Trouble::Deadline.into()));
    far.answer(0, sent.sequence).await;
    let next = far.submit().await;
    let sent = far.next().await;
    far.answer(0, sent.sequence).await;
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_smsc_is_asked_and_left_when_it_does_not_answer() {
    let mut far = Far::start(1);
    let asked = far.next().await;
    assert!(matches!(asked.pdu, Some(Pdu::EnquireLink)));
    far.say(0, asked.sequence, Pdu::EnquireLinkResp).await;
    assert!(matches!(far.next().await.pdu, Some(Pdu::EnquireLink)), "and again after the next silence");
    let began = Instant::now();
    assert_eq!(far.end().await, Err(Trouble::Deadline));
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_asks_is_answered_and_one_that_babbles_is_told() {
    let mut far = Far::start(1);
    far.say(0, 77, Pdu::EnquireLink).await;
    let answer = far.next().await;
    assert!(matches!((answer.sequence, answer.pdu), (77, Some(Pdu::EnquireLinkResp))));
    far.stream.write_all(&[0, 0, 0, 16, 0, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0, 78]).await.unwrap();
    let answer = far.next().await;
    assert_eq!((answer.id, answer.status, answer.sequence), (wire::GENERIC_NACK, 3, 78));
    far.stream.write_all(&[0, 0, 0, 16, 0x80, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0, 79]).await.unwrap();
    assert!(far.is_silent_for(5).await, "an answer is not answered");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_framing_is_lost_ends() {
    for length in [0_u32, 4, u32::MAX] {
        let mut far = Far::start(1);
        far.stream.write_all(&length.to_be_bytes()).await.unwrap();
        assert_eq!(far.end().await, Err(Trouble::Unintelligible), "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_within_a_pdu_leaves_nobody_waiting() {
    let mut far = Far::start(1);
    let outcome = far.submit().await;
    let sent = far.next().await;
    let answer = wire::encoded(CommandStatus::EsmeRok, sent.sequence, SubmitSmResp::default());
    far.stream.write_all(&answer[..answer.len() - 1]).await.unwrap();
    let Far { stream, serving, queue: _queue, .. } = far;
    drop(stream);
    assert_eq!(serving.await.unwrap(), Err(Trouble::Interrupted));
    assert!(outcome.await.is_err(), "half an answer is none");
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_does_not_take_us_for_bound_is_bound_to_again() {
    let mut far = Far::start(1);
    let outcome = far.submit().await;
    let sent = far.next().await;
    far.answer(RINVBNDSTS, sent.sequence).await;
    assert_eq!(outcome.await.unwrap(), Err(Trouble::Bearer.into()));
    assert_eq!(far.end().await, Err(Trouble::Bearer));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_nobody_changes_nothing() {
    let mut far = Far::start(1);
    far.answer(0, 4711).await;
    far.say(3, 4712, Pdu::GenericNack).await;
    let outcome = far.submit().await;
    let sent = far.next().await;
    far.answer(RINVDSTADR, sent.sequence).await;
    assert_eq!(outcome.await.unwrap(), Err(Refusal::Address.into()));
}

#[tokio::test(start_paused = true)]
async fn reports_that_nobody_reads_are_dropped_and_hold_nothing_up() {
    let mut far = Far::start(1);
    for sequence in 1..=10 {
        let message = DeliverSm::builder()
            .esm_class(rusmpp::values::EsmClass::from(4))
            .short_message(rusmpp::types::OctetString::from_slice(b"id:7 stat:DELIVRD").unwrap())
            .build();
        far.say(0, sequence, message).await;
        assert!(matches!(far.next().await.pdu, Some(Pdu::DeliverSmResp(_))));
    }
    assert!(far.reports.recv().await.is_some() && far.reports.recv().await.is_some());
    assert!(far.reports.try_recv().is_err(), "two have room");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_nobody_uses_any_more_unbinds() {
    let Far { mut stream, queue, serving, .. } = Far::start(1);
    drop(queue);
    let mut buffer = BytesMut::new();
    stream.read_buf(&mut buffer).await.unwrap();
    let asked = wire::take(&mut buffer).unwrap().unwrap();
    assert!(matches!(asked.pdu, Some(Pdu::Unbind)));
    stream.write_all(&wire::encoded(CommandStatus::EsmeRok, asked.sequence, Pdu::UnbindResp)).await.unwrap();
    assert_eq!(serving.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_bind_that_is_refused_says_whose_turn_it_is() {
    for (status, trouble) in [
        (RINVPASWD, Trouble::Credentials),
        (RINVSYSID, Trouble::Credentials),
        (RBINDFAIL, Trouble::Credentials),
        (RSYSERR, Trouble::Bearer),
    ] {
        let (mut far, near) = tokio::io::duplex(4096);
        let (_queue, submissions) = mpsc::channel(1);
        let driver = driver(1, submissions, mpsc::channel(1).0);
        let binding =
            tokio::spawn(
                async move { Link::new(Box::new(near), &driver).bind(BindTransceiver::default()).await },
            );
        let mut buffer = BytesMut::new();
        far.read_buf(&mut buffer).await.unwrap();
        let sequence = wire::take(&mut buffer).unwrap().unwrap().sequence.to_be_bytes();
        let head = [
            &[0, 0, 0, 16],
            &wire::BIND_TRANSCEIVER_RESP.to_be_bytes()[..],
            &status.to_be_bytes(),
            &sequence,
        ];
        far.write_all(&head.concat()).await.unwrap();
        assert_eq!(binding.await.unwrap(), Err(trouble), "{status:#x}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_does_not_answer_a_bind_is_left() {
    let (_far, near) = tokio::io::duplex(4096);
    let (_queue, submissions) = mpsc::channel(1);
    let driver = driver(1, submissions, mpsc::channel(1).0);
    let bound = Link::new(Box::new(near), &driver).bind(BindTransceiver::default()).await;
    assert_eq!(bound, Err(Trouble::Deadline));
}

#[tokio::test(start_paused = true)]
async fn between_connections_who_sends_learns_when_to_come_back() {
    let (queue, submissions) = mpsc::channel(1);
    let mut driver = driver(1, submissions, mpsc::channel(1).0);
    let asking = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (answer, outcome) = oneshot::channel();
        assert!(queue.send(Submission { message: SubmitSm::default(), answer }).await.is_ok());
        (outcome.await.unwrap(), queue)
    });
    let done = driver.refuse_for(Duration::from_secs(8), Trouble::Connection).await;
    assert!(done.is_none());
    let (outcome, queue) = asking.await.unwrap();
    assert_eq!(outcome, Err(Trouble::Connection.retry_s(6)));
    drop(queue);
    assert!(driver.refuse_for(Duration::from_secs(8), Trouble::Connection).await.is_some());
}

#[test]
fn a_pause_doubles_to_a_minute() {
    let pauses: Vec<_> = (0..8).map(|failures| back_off(failures).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
}
