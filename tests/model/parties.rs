//! The devices, their users, the mail server and the administrator: what each does of its own accord, and what it takes
//! for true.

use crate::attacker::Attacker;
use crate::rules::{Rules, Weakness};
use crate::service::Service;
use crate::terms::{Code, Digits, Ephemeral, Key, Message, Root, Share, Signer, Transcript};

/// A device. What it holds outlives its own restarts: it stores a root before it uses it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Device {
    pub(crate) step: Step,
    /// The service said that nothing is missing.
    pub(crate) told_active: bool,
    /// Its user said that the administrator took its digits.
    pub(crate) matched: bool,
    /// The epoch that it knows the service to have; the one that it has stored since.
    pub(crate) root: Option<Root>,
    pub(crate) next: Option<Root>,
    /// The point of a rekey that it has asked for.
    pub(crate) renewing: Option<Ephemeral>,
    /// It has read a key under this root.
    pub(crate) read: Option<Root>,
}

/// How far it has paired (pairing/spec.md section 3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Step {
    #[default]
    Invited,
    /// It has sent its share.
    Begun,
    /// It has checked the service, and shown itself.
    Checked(Transcript),
    /// It has opened the service's box.
    Paired(Transcript),
}

impl Device {
    /// A device that has paired.
    pub(crate) fn paired(exchange: Transcript) -> Self {
        let root = Some(Root::of(exchange));
        Self { step: Step::Paired(exchange), told_active: true, root, ..Self::default() }
    }

    pub(crate) const fn exchange(&self) -> Option<Transcript> {
        match self.step {
            Step::Checked(exchange) | Step::Paired(exchange) => Some(exchange),
            Step::Invited | Step::Begun => None,
        }
    }

    /// Whether it uses its pairing. Without a pin, and where the code travelled, not before its user has said that the
    /// digits were taken, whatever the service says (section 11).
    pub(crate) fn uses(&self, rules: &Rules) -> bool {
        let known = rules.pinned
            || !rules.approval
            || self.matched
            || (self.told_active && rules.is(Weakness::ActiveBelieved));
        known && matches!(self.step, Step::Paired(_))
    }

    /// The epoch that its requests name.
    pub(crate) fn in_use(&self) -> Option<Root> {
        self.next.or(self.root)
    }

    /// What it shows, and its user reads out.
    pub(crate) fn digits(&self, rules: &Rules) -> Option<Digits> {
        match self.step {
            Step::Paired(exchange) => Some(Service::digits(&exchange, rules)),
            _ => None,
        }
    }

    /// What it may take for the answer to its `begin`: it compares the pin, if it has one, and `confirm_v`.
    pub(crate) fn answers(device: u8, attacker: &Attacker, rules: &Rules) -> Vec<Transcript> {
        let mut answers = attacker.answers(device, share(device), Key::Device(device));
        let compares = rules.pinned && !rules.is(Weakness::PinIgnored);
        answers.retain(|exchange| !compares || exchange.signer == Signer::Service);
        answers
    }

    /// Shows itself to a service that knows the code.
    pub(crate) fn check(&mut self, exchange: Transcript, attacker: &mut Attacker, rules: &Rules) {
        self.step = Step::Checked(exchange);
        attacker.heard.insert(Message::Finish { exchange, pinned: rules.pinned });
    }

    /// What it may take for the service's box: whether nothing is missing, in each.
    pub(crate) fn grants(&self, attacker: &Attacker, rules: &Rules) -> Vec<bool> {
        let Step::Checked(exchange) = self.step else { return Vec::new() };
        let sent =
            |active| attacker.heard.contains(&Message::Finished(crate::terms::Grant { exchange, active }));
        [false, true]
            .into_iter()
            .filter(|&active| sent(active) || attacker.grants(&exchange, rules))
            .collect()
    }

    pub(crate) fn pair(&mut self, told_active: bool) {
        if let Step::Checked(exchange) = self.step {
            *self = Self { told_active, ..Self::paired(exchange) };
        }
    }

    /// Asks for the next epoch (section 9).
    pub(crate) fn renew(&mut self, device: u8, attacker: &mut Attacker) {
        let (Some(kek), point) = (self.root, Ephemeral::Renewal(device)) else { return };
        self.renewing = Some(point);
        attacker.heard.insert(Message::Token { kek });
        attacker.heard.insert(Message::Rekey { kek, point });
    }

    /// Opens a key. Under the next epoch it is the answer to that one's first use: the one before is erased.
    pub(crate) fn open(&mut self, root: Root) {
        if self.next == Some(root) {
            (self.root, self.next, self.renewing) = (Some(root), None, None);
        }
        self.read = Some(root);
    }

    /// The service does not have the epoch in use: back to the one before.
    pub(crate) const fn go_back(&mut self) {
        (self.next, self.renewing) = (None, None);
    }
}

/// A device's share: of the code that its user was given.
pub(crate) const fn share(device: u8) -> Share {
    Share { secret: Ephemeral::Device(device), code: Code::Of(device) }
}

/// The pairing that the administrator approves when a user reads out their device's digits: one of that invitation, if the
/// digits are its own.
pub(crate) fn approved(
    device: u8,
    devices: &[Device],
    service: &Service,
    rules: &Rules,
) -> impl Iterator<Item = Transcript> {
    let told = devices.get(usize::from(device)).and_then(|device| device.digits(rules));
    let waits = service.pairings.iter().filter(move |pairing| {
        pairing.exchange.invitation == device && !pairing.approved && !pairing.revoked
    });
    waits.map(|pairing| pairing.exchange).filter(move |exchange| {
        let own = told.is_some() && told == Some(Service::digits(exchange, rules));
        own || rules.is(Weakness::ApprovedUnseen)
    })
}
