//! The writer a step at a time, with nobody in between.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{PartyId, Timestamp};

use super::super::{Verdict, order};
use super::*;
use crate::clock::TestClock;
use crate::store::Error;
use crate::store::at_rest::AtRest;
use crate::store::state::State;
use crate::telemetry::book::logged;

/// A writer that does what it is told, and the end that verbs hold.
struct Still {
    _folder: tempfile::TempDir,
    writer: Writer,
    queue: mpsc::Sender<Order>,
    closing: Option<oneshot::Sender<()>>,
}

impl Still {
    fn new() -> Self {
        let (folder, now) = (tempfile::tempdir().unwrap(), Timestamp(1_000_000));
        let (root, mut rng) = (Secret::fill_with(|octets| octets.fill(5)), ChaCha20Rng::seed_from_u64(1));
        let at_rest = AtRest::create(folder.path(), &root, now, &mut rng).unwrap();
        let clock = Arc::new(TestClock::at(now));
        let shared = Shared::new(State::default(), at_rest, clock, Box::new(rng), Box::new(|_| ()));
        let journal = Journal::create(folder.path(), 4096).unwrap();
        let (queue, orders) = mpsc::channel(QUEUE_MAX);
        let writer = Writer::new(journal, Arc::new(shared), orders);
        Self { _folder: folder, writer, queue, closing: None }
    }

    /// Asks for a server of this name, and returns where the answer comes.
    fn ask(&self, name: &str, about: About) -> oneshot::Receiver<Result<(), Error>> {
        self.ask_for(Record::ServerAdded { server: name.parse().unwrap() }, about)
    }

    fn ask_for(&self, record: Record, about: About) -> oneshot::Receiver<Result<(), Error>> {
        let decide = move |_: &State, _: &mut Desk<'_>| Ok(Verdict::Commit(record, Box::new(|_: &State| ())));
        let (order, answer) = order(about, None, decide);
        self.queue.try_send(order).unwrap();
        answer
    }

    fn fill(&mut self) -> bool {
        self.writer.fill(&mut self.closing)
    }

    /// The names of the servers of each batch, until nothing waits.
    fn batches(&mut self) -> Vec<Vec<String>> {
        let name = |entry: Entry| match entry.record {
            Record::ServerAdded { server } => server.to_string(),
            other => panic!("{other:?}"),
        };
        let mut batches = Vec::new();
        while !self.writer.waiting.is_empty() {
            batches.push(self.writer.decide().entries.into_iter().map(name).collect());
        }
        batches
    }
}

fn these(keys: &[u64]) -> About {
    About::These(keys.to_vec())
}

#[test]
fn what_goes_alone_is_not_overtaken_and_nothing_is_in_its_batch() {
    let mut still = Still::new();
    for (name, about) in [
        ("a", these(&[1])),
        ("b", About::Everything),
        ("c", these(&[2])),
        ("d", About::Clock),
        ("e", these(&[3])),
    ] {
        drop(still.ask(name, about));
    }
    assert!(still.fill());
    assert_eq!(still.batches(), [["a"], ["b"], ["c"], ["d"], ["e"]]);
}

#[test]
fn what_is_about_the_same_waits_in_its_order_and_everything_else_goes_on() {
    let mut still = Still::new();
    for (name, keys) in [("a", &[1][..]), ("b", &[1, 2]), ("c", &[2]), ("d", &[3])] {
        drop(still.ask(name, these(keys)));
    }
    assert!(still.fill());
    assert_eq!(still.batches(), [&["a", "d"][..], &["b"], &["c"]]);
}

#[test]
fn a_batch_has_so_many_records_and_no_more() {
    let mut still = Still::new();
    for n in 0..=BATCH_MAX as u64 {
        drop(still.ask(&format!("s{n}"), these(&[n])));
    }
    assert!(still.fill());
    let sizes: Vec<_> = still.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [BATCH_MAX, 1]);
}

#[test]
fn all_that_is_queued_is_taken_up_to_the_end() {
    let mut still = Still::new();
    let (closed, _) = oneshot::channel();
    let before = [still.ask("a", these(&[1])), still.ask("b", these(&[2]))];
    still.queue.try_send(Order::Close(closed)).unwrap();
    let mut after = still.ask("c", these(&[3]));
    assert!(still.fill());
    assert_eq!(still.batches(), [["a", "b"]]);
    assert!(!still.fill(), "nothing more is to come");
    drop((before, still));
    assert!(after.try_recv().is_err(), "who asks later has no answer");
}

#[test]
fn no_more_decisions_wait_than_may() {
    let mut still = Still::new();
    for n in 0..QUEUE_MAX as u64 {
        drop(still.ask("a", these(&[n])));
    }
    assert!(still.fill());
    drop(still.ask("a", these(&[0])));
    assert!(still.fill());
    assert_eq!((still.writer.waiting.len(), still.writer.queue.len()), (QUEUE_MAX, 1));
}

#[test]
fn a_record_that_is_too_large_is_called_so_and_the_disk_is_not_called_full() {
    let mut still = Still::new();
    let (pairing, carrier) = (PartyId::from_bytes([1; 16]), "sms".parse().unwrap());
    let large = Record::Addressed { pairing, carrier, to: Some("+".repeat(5 << 20)) };
    let answers = [still.ask("a", these(&[1])), still.ask_for(large, these(&[2]))];
    assert!(still.fill());
    let batch = still.writer.decide();
    still.writer.commit(batch).unwrap();
    for mut answer in answers {
        let answer = answer.try_recv().unwrap();
        assert!(matches!(answer, Err(Error::Fault(Fault::RecordTooLarge))), "{answer:?}");
    }
    assert!(!still.writer.shared.is_full());
}

#[test]
fn that_the_disk_has_room_again_is_logged_once() {
    let mut still = Still::new();
    still.writer.shared.full.store(true, Ordering::Release);
    let logged = logged(|| {
        for name in ["a", "b"] {
            // A segment that has no record is gone on with.
            drop(still.ask(name, these(&[1])));
            assert!(still.fill());
            let batch = still.writer.decide();
            still.writer.journal.append(&batch.texts, false).unwrap();
            still.writer.roll();
        }
    });
    assert_eq!(logged.matches("the disk has room again").count(), 1, "{logged}");
}
