//! The service: what is durable, what is in memory, and the requests that it is at.
//!
//! ```text
//!   arrive ──▶ Looked ──decide──▶ Written ──sync──▶ Durable ──answer──▶ (gone)
//! ```
//! A request is looked at when it arrives, decided about on what is durable, written to a batch, made durable and effective
//! with all of that batch by one sync, and then answered. Between any two steps others may come, and the service may die:
//! what was written and not synced is then there or not, and what was in memory is gone.

mod effects;

use crate::attacker::Attacker;
use crate::rules::{Rules, Weakness};
use crate::terms::{Code, Digits, Ephemeral, Key, Message, Root, SessionKey, Share, Signer, Transcript};

/// Everything that the service has.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Service {
    pub(crate) invitations: [Invitation; 2],
    pub(crate) pairings: Vec<Pairing>,
    pub(crate) session: Option<Session>,
    /// Requests under way, in the order that they came.
    pub(crate) jobs: Vec<Job>,
    /// Session roots that were drawn: no number comes twice.
    pub(crate) roots: u8,
    /// What an administrator was told is revoked.
    pub(crate) acknowledged: Acknowledged,
    /// Something came of what was revoked, after that.
    pub(crate) too_late: bool,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Acknowledged {
    pub(crate) invitations: [bool; 2],
    pub(crate) pairing: Option<Transcript>,
}

/// Durable, but for the exchange, which a restart forgets (pairing/spec.md section 7).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Invitation {
    pub(crate) spent: u8,
    pub(crate) used: bool,
    pub(crate) cancelled: bool,
    pub(crate) exchange: Option<Transcript>,
    /// Private halves that were drawn for it and its pairing: no number comes twice.
    pub(crate) drawn: u8,
}

/// Durable.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Pairing {
    pub(crate) exchange: Transcript,
    /// What is missing until it is active (section 11).
    pub(crate) approved: bool,
    pub(crate) matched: bool,
    pub(crate) revoked: bool,
    pub(crate) root: Root,
    /// The epoch that waits for its first use (section 9).
    pub(crate) next: Option<Root>,
    /// Roots that should have been erased.
    pub(crate) kept: Vec<Root>,
    /// How often it has made a next epoch.
    pub(crate) renewed: u8,
}

impl Pairing {
    /// What a `finish` makes of an exchange.
    pub(crate) fn of(exchange: Transcript, pinned: bool, rules: &Rules) -> Self {
        let waits = rules.approval && !rules.is(Weakness::CodeWithoutApproval);
        Self {
            exchange,
            approved: !waits,
            matched: !waits || pinned,
            revoked: false,
            root: Root::of(exchange),
            next: None,
            kept: Vec::new(),
            renewed: 0,
        }
    }

    pub(crate) const fn is_active(&self) -> bool {
        self.approved && self.matched && !self.revoked
    }

    /// What a thief of the disk and of the root key finds.
    pub(crate) fn on_disk(&self) -> impl Iterator<Item = Root> {
        let live = [Some(self.root), self.next].into_iter().flatten().filter(|_| !self.revoked);
        live.chain(self.kept.iter().copied())
    }
}

/// Durable. Its key is derived, and stored nowhere.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
}

/// A request under way.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Stage {
    Looked,
    Written,
    Durable,
}

/// What is asked for. The first four come over the network; the others from an administrator, or the mail server.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Request {
    Begin {
        invitation: u8,
        share_p: Share,
        key: Key,
    },
    Finish {
        exchange: Transcript,
        pinned: bool,
    },
    Fetch {
        kek: Root,
    },
    Rekey {
        kek: Root,
        point: Ephemeral,
    },
    /// Its digits were compared already: they are the pairing's, or nobody looked.
    Approve {
        exchange: Transcript,
    },
    Match {
        exchange: Transcript,
    },
    Open,
    Cancel {
        invitation: u8,
    },
    Revoke {
        exchange: Transcript,
    },
}

/// What two requests may not both be about within one batch.
#[derive(Clone, Copy, Eq, PartialEq)]
enum About {
    Everything,
    Invitation(u8),
    Pairing(Transcript),
    Session,
}

impl Request {
    const fn about(self) -> About {
        match self {
            Self::Begin { invitation, .. } => About::Invitation(invitation),
            Self::Finish { exchange, .. } => About::Invitation(exchange.invitation),
            Self::Fetch { kek } | Self::Rekey { kek, .. } => About::Pairing(kek.exchange),
            Self::Approve { exchange } | Self::Match { exchange } => About::Pairing(exchange),
            Self::Open => About::Session,
            Self::Cancel { .. } | Self::Revoke { .. } => About::Everything,
        }
    }

    /// The invitation whose exchange this request holds locked, from its arrival to its answer.
    const fn locks(self) -> Option<u8> {
        match self.about() {
            About::Invitation(invitation) => Some(invitation),
            _ => None,
        }
    }
}

impl Service {
    /// A request arrives; false where it is refused, or waits for one that holds its exchange.
    pub(crate) fn arrive(&mut self, request: Request, attacker: &mut Attacker, rules: &Rules) -> bool {
        let locked = |job: &Job| request.locks().is_some() && job.request.locks() == request.locks();
        if self.jobs.iter().any(locked) && !rules.is(Weakness::AttemptOutsideCommit) {
            return false;
        }
        if let Request::Finish { exchange, .. } = request
            && self.pairing(exchange).is_some()
        {
            // The same `finish` again: the stored answer.
            self.grant(exchange, attacker);
            return true;
        }
        let looked = match request {
            Request::Begin { invitation, share_p, key } => self.admits(invitation, share_p, key),
            Request::Finish { exchange, .. } => self.verifies(exchange),
            Request::Fetch { kek } | Request::Rekey { kek, .. } => {
                let live = self.pairing(kek.exchange).filter(|found| found.is_active());
                live.is_some_and(|found| found.root == kek || found.next == Some(kek))
            }
            _ => true,
        };
        if !looked {
            return false;
        }
        self.jobs.push(Job { request, stage: Stage::Looked });
        // What is looked at and decided on the same state may as well have come just before it is decided.
        let together = !matches!(request, Request::Finish { .. } | Request::Fetch { .. });
        if together && !self.decide(self.jobs.len() - 1, attacker, rules) {
            return false;
        }
        if let (Request::Begin { .. }, true) = (request, rules.is(Weakness::AttemptAfterAnswer)) {
            self.answer_begin(request, attacker);
        }
        true
    }

    /// Section 3: what costs no attempt. An identical request gets the stored answer, which the attacker has.
    fn admits(&self, invitation: u8, share_p: Share, key: Key) -> bool {
        let Invitation { spent, used, cancelled, exchange, .. } = &self.invitations[usize::from(invitation)];
        let repeated = exchange.is_some_and(|open| open.share_p == share_p && open.key == key);
        *spent < ATTEMPTS && !used && !cancelled && !repeated
    }

    /// Whether this finishes the open exchange. From here on that is over, whatever becomes of the request.
    fn verifies(&mut self, exchange: Transcript) -> bool {
        let open = &mut self.invitations[usize::from(exchange.invitation)].exchange;
        exchange.share_p.code == exchange.share_v.code && open.take_if(|open| *open == exchange).is_some()
    }

    /// Decides about the request at `index`, on what is durable. A read is answered at once: what is read then may reach
    /// its reader whenever the attacker lets it.
    pub(crate) fn decide(&mut self, index: usize, attacker: &mut Attacker, rules: &Rules) -> bool {
        let Job { request, stage } = self.jobs[index];
        if stage != Stage::Looked {
            return false;
        }
        let written = match request {
            Request::Begin { invitation, .. } => {
                let Invitation { spent, used, cancelled, .. } = &self.invitations[usize::from(invitation)];
                rules.is(Weakness::AttemptOutsideCommit) || (*spent < ATTEMPTS && !used && !cancelled)
            }
            Request::Finish { exchange, .. } => {
                let Invitation { used, cancelled, .. } = &self.invitations[usize::from(exchange.invitation)];
                rules.is(Weakness::FinishOutsideCommit) || (!used && !cancelled)
            }
            Request::Fetch { kek } => {
                let live = self.pairing(kek.exchange).filter(|found| found.is_active());
                let first_use = live.is_some_and(|found| found.next == Some(kek));
                if !first_use || rules.is(Weakness::UseBeforeDurable) {
                    self.give(kek, attacker, rules);
                }
                first_use
            }
            Request::Rekey { kek, .. } => self.renews(kek, rules),
            Request::Approve { exchange } | Request::Match { exchange } | Request::Revoke { exchange } => {
                self.pairing(exchange).is_some_and(|found| !found.revoked)
            }
            Request::Open => self.session.is_none() && self.pairings.iter().any(Pairing::is_active),
            Request::Cancel { invitation } => {
                let Invitation { used, cancelled, .. } = &self.invitations[usize::from(invitation)];
                !used && !cancelled
            }
        };
        if written && !self.batch_admits(request, rules) {
            return false;
        }
        if written {
            self.jobs[index].stage = Stage::Written;
            if rules.is(Weakness::RevocationBeforeDurable) {
                self.acknowledge(request);
            }
        } else {
            self.jobs.remove(index);
        }
        true
    }

    /// Two about the same thing are never in one batch, and what ends things goes alone.
    fn batch_admits(&self, request: Request, rules: &Rules) -> bool {
        let about = request.about();
        let mut written = self.jobs.iter().filter(|job| job.stage == Stage::Written);
        let apart = written.all(|job| {
            let other = job.request.about();
            about != About::Everything && other != About::Everything && about != other
        });
        apart || rules.is(Weakness::AttemptOutsideCommit)
    }

    /// A rekey comes from the epoch that the pairing is in; how often is bounded.
    fn renews(&self, kek: Root, rules: &Rules) -> bool {
        let live = self.pairing(kek.exchange).filter(|found| found.is_active());
        live.is_some_and(|found| found.root == kek && found.renewed < rules.renewals)
    }

    /// One sync: what is written is durable, takes effect in order, and may be answered.
    pub(crate) fn sync(&mut self, rules: &Rules) -> bool {
        let written: Vec<_> =
            (0..self.jobs.len()).filter(|&i| self.jobs[i].stage == Stage::Written).collect();
        for &index in &written {
            self.jobs[index].stage = Stage::Durable;
            self.apply(self.jobs[index].request, rules);
        }
        // Nothing hangs on when these are answered.
        self.jobs.retain(|job| {
            let quiet =
                matches!(job.request, Request::Approve { .. } | Request::Match { .. } | Request::Open);
            !(quiet && job.stage == Stage::Durable)
        });
        !written.is_empty()
    }

    /// The service dies and comes back. Of a batch that was not synced, everything is `kept`, or nothing.
    pub(crate) fn crash(&mut self, kept: bool, rules: &Rules) {
        if kept {
            self.sync(rules);
        }
        self.jobs.clear();
        for invitation in &mut self.invitations {
            invitation.exchange = None;
            if rules.is(Weakness::AttemptInMemory) {
                invitation.spent = 0;
            }
        }
    }

    /// Answers what is durable.
    pub(crate) fn answer(&mut self, index: usize, attacker: &mut Attacker, rules: &Rules) -> bool {
        let Job { request, stage } = self.jobs[index];
        if stage != Stage::Durable {
            return false;
        }
        match request {
            Request::Begin { .. } if !rules.is(Weakness::AttemptAfterAnswer) => {
                self.answer_begin(request, attacker);
            }
            Request::Finish { exchange, .. } => self.grant(exchange, attacker),
            Request::Rekey { kek, point } => self.confirm_renewal(kek, point, attacker),
            // The epoch is the current one now: go on.
            Request::Fetch { kek } if !rules.is(Weakness::UseBeforeDurable) => {
                self.give(kek, attacker, rules);
            }
            _ => self.acknowledge(request),
        }
        self.jobs.remove(index);
        true
    }

    /// The pairing that an exchange made.
    pub(crate) fn pairing(&self, exchange: Transcript) -> Option<&Pairing> {
        self.pairings.iter().find(|pairing| pairing.exchange == exchange)
    }

    /// The digits that approving a pairing takes.
    pub(crate) fn digits(exchange: &Transcript, rules: &Rules) -> Digits {
        match exchange.key {
            Key::Device(device) | Key::Ground(device) if rules.is(Weakness::DigitsOfKeyAlone) => {
                Digits::Key(device)
            }
            _ => Digits::Exchange(*exchange),
        }
    }

    /// Draws `y`, and answers. The new exchange replaces the one before.
    fn answer_begin(&mut self, request: Request, attacker: &mut Attacker) {
        let Request::Begin { invitation, share_p, key } = request else { return };
        let right = share_p.code == Code::Of(invitation);
        let open = &mut self.invitations[usize::from(invitation)].exchange;
        if !right {
            // Nobody can finish it: it does not matter which one it is.
            *open = None;
            return attacker.hears_of_guess(invitation, right);
        }
        let share_v = Share { secret: self.draw(invitation), code: Code::Of(invitation) };
        let exchange = Transcript { invitation, share_p, share_v, key, signer: Signer::Service };
        self.invitations[usize::from(invitation)].exchange = Some(exchange);
        if share_p.secret == Ephemeral::Attacker {
            attacker.hears_of_guess(invitation, right);
        } else {
            attacker.heard.insert(Message::Begun(exchange));
        }
    }

    /// A private half that was never drawn before.
    fn draw(&mut self, invitation: u8) -> Ephemeral {
        let number = &mut self.invitations[usize::from(invitation)].drawn;
        *number += 1;
        Ephemeral::Service { invitation, number: *number }
    }
}

/// Attempts of an invitation.
const ATTEMPTS: u8 = 5;
