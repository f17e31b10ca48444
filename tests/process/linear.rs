//! What is asked of one user's session and answered, and the rule that it must follow: whatever came at once went as if one
//! after another, and what was acknowledged before a kill is there after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use sidekey_client::protocol::ids::SessionId;
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    /// By the server, always with the same `Idempotency-Key`.
    Open,
    /// The newest key.
    Read(Who),
    Rotate,
    End,
    /// Of the device that is lost.
    Revoke,
}

/// Who reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Lost,
    Kept,
    Server,
}

/// What is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Opened(SessionId),
    /// A key of this generation: the newest; of a rotation, the one that it made or a newer one.
    Key(u32),
    Done,
    /// The session has ended; of a revocation, it was revoked already.
    Over,
    /// Whoever asks is revoked.
    Revoked,
}

/// Who has asked what and was answered, in the order of real time. Whoever gets no answer asks nothing more.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Vec<(u32, Event)>>>);

#[derive(Clone, Copy, Debug)]
enum Event {
    Asked(Op),
    Answered(Answer),
}

impl History {
    pub(crate) fn asks(&self, by: u32, op: Op) {
        let mut events = self.0.lock().unwrap();
        events.push((by, Event::Asked(op)));
        if op == Op::Rotate {
            // Its answer tells of the rotation, and of a read that came some time after it.
            events.push((by + ALSO, Event::Asked(Op::Read(Who::Server))));
        }
    }

    pub(crate) fn is_answered(&self, by: u32, op: Op, answer: Answer) {
        let mut events = self.0.lock().unwrap();
        events.push((by, Event::Answered(answer)));
        if op == Op::Rotate {
            events.push((by + ALSO, Event::Answered(answer)));
        }
    }

    /// How much was asked, and how much of it answered.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let events = self.0.lock().unwrap();
        let answered = events.iter().filter(|(_, event)| matches!(event, Event::Answered(_))).count();
        (events.len() - answered, answered)
    }

    /// Whether there is an order, but for what was at once that of real time, in which one after another would have been
    /// answered so. What got no answer may have been done or not.
    pub(crate) fn is_linearizable(&self) -> bool {
        let events = self.0.lock().unwrap();
        let unread = unread(&events);
        let mut tester = LinearizabilityTester::new(Session::default());
        for (index, &(by, event)) in events.iter().enumerate() {
            match event {
                // A read of which nobody heard changed nothing.
                Event::Asked(_) if unread.contains(&index) => {}
                Event::Asked(op) => drop(tester.on_invoke(by, op).expect("one thing at a time")),
                Event::Answered(answer) => drop(tester.on_return(by, answer).expect("it was asked")),
            }
        }
        tester.is_consistent()
    }
}

/// The reads that were not answered.
fn unread(events: &[(u32, Event)]) -> BTreeSet<usize> {
    let mut open = BTreeMap::new();
    for (index, (by, event)) in events.iter().enumerate() {
        match event {
            Event::Asked(Op::Read(_)) => drop(open.insert(by, index)),
            Event::Asked(_) => {}
            Event::Answered(_) => drop(open.remove(by)),
        }
    }
    open.into_values().collect()
}

/// A session as it would be if everything came one after another (proto/session/spec.md section 4, proto/revocation/spec.md).
#[derive(Clone, Debug, Default)]
struct Session {
    open: Opened,
    generation: u32,
    ended: bool,
    /// The lost device is.
    revoked: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Opened {
    #[default]
    Not,
    /// By a request that got no answer.
    Somehow,
    As(SessionId),
}

impl Session {
    fn is_open(&self) -> bool {
        self.open != Opened::Not && !self.ended
    }

    fn turn(&mut self) {
        self.generation += u32::from(self.is_open());
    }
}

impl SequentialSpec for Session {
    type Op = Op;
    type Ret = Answer;

    /// What was asked is done, and nobody was told.
    fn invoke(&mut self, op: &Op) -> Answer {
        match op {
            Op::Open if self.open == Opened::Not => self.open = Opened::Somehow,
            Op::Open | Op::Read(_) => {}
            Op::Rotate => self.turn(),
            Op::End => self.ended = self.open != Opened::Not,
            Op::Revoke if self.revoked => {}
            Op::Revoke => {
                self.turn();
                self.revoked = true;
            }
        }
        Answer::Done
    }

    fn is_valid_step(&mut self, op: &Op, answer: &Answer) -> bool {
        let open = self.is_open();
        match (op, answer) {
            (Op::Open, Answer::Opened(id)) => {
                let same = matches!(self.open, Opened::Not | Opened::Somehow) || self.open == Opened::As(*id);
                self.open = Opened::As(*id);
                same && !self.ended
            }
            (Op::Read(who), Answer::Key(generation)) => {
                open && self.generation == *generation && !(self.revoked && *who == Who::Lost)
            }
            (Op::Read(Who::Lost), Answer::Revoked) => self.revoked,
            (Op::Rotate, Answer::Key(generation)) => {
                self.turn();
                open && *generation >= self.generation
            }
            // It may have turned before it ended.
            (Op::Rotate, Answer::Over) => {
                self.turn();
                true
            }
            // Asked again on its way, it finds its own end.
            (Op::End, Answer::Done | Answer::Over) => {
                self.invoke(op);
                self.ended
            }
            (Op::Open | Op::Read(_), Answer::Over) => self.ended,
            (Op::Revoke, Answer::Done) if self.revoked => false,
            // Asked again on its way, it finds what it has done itself.
            (Op::Revoke, Answer::Done | Answer::Over) => {
                self.invoke(op);
                true
            }
            _ => false,
        }
    }
}

/// Whoever also reads while they rotate.
const ALSO: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::{Answer, History, Op, Who};
    use sidekey_client::protocol::ids::SessionId;

    fn opened() -> History {
        let id: SessionId = "00112233445566778899aabbccddeeff".parse().unwrap();
        told(&History::default(), &[(Op::Open, Answer::Opened(id))])
    }

    /// One after another, by somebody else each time.
    fn told(history: &History, all: &[(Op, Answer)]) -> History {
        for &(op, answer) in all {
            let by = u32::try_from(history.counts().0).unwrap();
            history.asks(by, op);
            history.is_answered(by, op, answer);
        }
        history.clone()
    }

    const READ: Op = Op::Read(Who::Kept);
    const LOST: Op = Op::Read(Who::Lost);

    #[test]
    fn a_history_as_it_should_be_is_one_after_another() {
        let all = [(READ, Answer::Key(0)), (Op::Rotate, Answer::Key(1)), (READ, Answer::Key(1))];
        let end = [(Op::Revoke, Answer::Done), (LOST, Answer::Revoked), (READ, Answer::Key(2))];
        let history = told(&told(&opened(), &all), &end);
        assert!(told(&history, &[(Op::End, Answer::Done), (READ, Answer::Over)]).is_linearizable());
    }

    #[test]
    fn a_rotation_that_a_kill_has_lost_is_found() {
        let all = [(Op::Rotate, Answer::Key(1)), (READ, Answer::Key(0))];
        assert!(!told(&opened(), &all).is_linearizable());
    }

    #[test]
    fn a_key_after_a_revocation_is_found() {
        let all = [(Op::Revoke, Answer::Done), (LOST, Answer::Key(1))];
        assert!(!told(&opened(), &all).is_linearizable());
    }

    #[test]
    fn a_revocation_that_rotates_nothing_is_found_in_a_history() {
        let all = [(Op::Revoke, Answer::Done), (READ, Answer::Key(0))];
        assert!(!told(&opened(), &all).is_linearizable());
    }

    #[test]
    fn a_session_that_is_opened_twice_is_found() {
        let other: SessionId = "ffeeddccbbaa99887766554433221100".parse().unwrap();
        assert!(!told(&opened(), &[(Op::Open, Answer::Opened(other))]).is_linearizable());
    }

    #[test]
    fn a_session_that_comes_back_is_found() {
        let all = [(Op::End, Answer::Done), (READ, Answer::Key(0))];
        assert!(!told(&opened(), &all).is_linearizable());
    }

    #[test]
    fn what_got_no_answer_was_done_or_not() {
        for generation in [0, 1] {
            let history = opened();
            history.asks(500, Op::Rotate);
            assert!(told(&history, &[(READ, Answer::Key(generation))]).is_linearizable());
        }
        let history = opened();
        history.asks(500, Op::Rotate);
        assert!(!told(&history, &[(READ, Answer::Key(1)), (READ, Answer::Key(0))]).is_linearizable());
    }
}
