//! Everything that can happen next, in whatever order.

use stateright::{Model, Property};

use crate::attacker::Attacker;
use crate::parties::{self, Device};
use crate::properties;
use crate::rules::Rules;
use crate::service::{Pairing, Request, Service, Stage};
use crate::terms::{Code, Ephemeral, Key, Message, Root, Share, Signer, Transcript};

/// One variant, to be checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sidekey {
    pub(crate) rules: Rules,
}

/// Everybody at one moment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) service: Service,
    pub(crate) devices: Vec<Device>,
    pub(crate) attacker: Attacker,
    pub(crate) crashes: u8,
}

/// One step of somebody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Step {
    /// A device begins to pair.
    Begin(u8),
    /// It takes this for the answer, and finishes.
    Check(u8, Transcript),
    /// It opens a service's box, which says whether nothing is missing.
    Pair(u8, bool),
    /// Its user reads its digits to the administrator, who approves a pairing.
    Approve(Transcript),
    /// The administrator says so, and its user says that they match.
    Match(u8),
    /// It asks for the session's key.
    Ask(u8),
    Renew(u8),
    /// It takes this for its next epoch.
    Renewed(u8, Root),
    /// It opens a key that came under this root.
    Open(u8, Root),
    /// It is told that the service does not have the epoch that it uses.
    GoBack(u8),
    /// A mail server opens a session, an administrator ends something.
    Order(Request),
    /// The attacker lets a request arrive, or makes one up.
    Deliver(Request),
    Decide(usize),
    Sync,
    Answer(usize),
    Crash {
        kept: bool,
    },
}

impl Model for Sidekey {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let Rules { devices, paired, reads_code, has_phone, has_backup, .. } = self.rules;
        let mut state = State {
            service: Service::default(),
            devices: vec![Device::default(); usize::from(devices)],
            attacker: Attacker { codes: [reads_code; 2], ..Attacker::default() },
            crashes: 0,
        };
        if paired {
            for device in 0..devices {
                let exchange = exchange(device);
                state.devices[usize::from(device)] = Device::paired(exchange);
                state.service.pairings.push(Pairing {
                    approved: true,
                    matched: true,
                    ..Pairing::of(exchange, true, &self.rules)
                });
                let invitation = &mut state.service.invitations[usize::from(device)];
                (invitation.used, invitation.drawn) = (true, 1);
            }
            if has_phone || has_backup {
                state.attacker.taken.insert(Root::of(exchange(0)));
            }
        }
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for device in 0..self.rules.devices {
            self.of_device(state, device, steps);
        }
        self.of_enterprise(state, steps);
        if state.service.jobs.len() < JOBS {
            let mut requests = self.requests(state);
            requests.sort_unstable();
            requests.dedup();
            steps.extend(requests.into_iter().map(Step::Deliver));
        }
        for (index, job) in state.service.jobs.iter().enumerate() {
            match job.stage {
                Stage::Looked => steps.push(Step::Decide(index)),
                Stage::Written => {}
                Stage::Durable => steps.push(Step::Answer(index)),
            }
        }
        let written = state.service.jobs.iter().any(|job| job.stage == Stage::Written);
        if written {
            steps.push(Step::Sync);
        }
        if state.crashes < self.rules.crashes {
            steps.push(Step::Crash { kept: false });
            steps.extend(written.then_some(Step::Crash { kept: true }));
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let rules = &self.rules;
        let mut state = last.clone();
        let State { service, devices, attacker, crashes } = &mut state;
        let happened = match step {
            Step::Deliver(request) => {
                count(request, service, attacker);
                service.arrive(request, attacker, rules)
            }
            Step::Order(request) => service.arrive(request, attacker, rules),
            Step::Approve(exchange) => service.arrive(Request::Approve { exchange }, attacker, rules),
            Step::Decide(index) => service.decide(index, attacker, rules),
            Step::Sync => service.sync(rules),
            Step::Answer(index) => service.answer(index, attacker, rules),
            Step::Crash { kept } => {
                *crashes += 1;
                service.crash(kept, rules);
                true
            }
            Step::Begin(device)
            | Step::Check(device, _)
            | Step::Pair(device, _)
            | Step::Match(device)
            | Step::Ask(device)
            | Step::Renew(device)
            | Step::Renewed(device, _)
            | Step::Open(device, _)
            | Step::GoBack(device) => {
                let own = &mut devices[usize::from(device)];
                by_device(own, device, step, service, attacker, rules);
                true
            }
        };
        happened.then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.rules)
    }
}

/// Counts what is bounded. A device's own `begin` arrives once for nothing.
fn count(request: Request, service: &Service, attacker: &mut Attacker) {
    match request {
        Request::Begin { share_p: Share { secret: Ephemeral::Attacker, .. }, .. } => attacker.guessed += 1,
        Request::Begin { invitation, key, .. } => {
            let first = service.invitations[usize::from(invitation)].drawn == 0 && key != Key::Attacker;
            attacker.replayed += u8::from(!first);
        }
        _ => {}
    }
}

fn by_device(
    own: &mut Device,
    device: u8,
    step: Step,
    service: &mut Service,
    attacker: &mut Attacker,
    rules: &Rules,
) {
    match step {
        Step::Begin(_) => {
            own.step = parties::Step::Begun;
            let (share_p, key) = (parties::share(device), Key::Device(device));
            attacker.heard.insert(Message::Begin { invitation: device, share_p, key });
        }
        Step::Check(_, exchange) => own.check(exchange, attacker, rules),
        Step::Pair(_, told_active) => own.pair(told_active),
        Step::Match(_) => {
            own.matched = true;
            if let Some(exchange) = own.exchange() {
                service.arrive(Request::Match { exchange }, attacker, rules);
            }
        }
        Step::Ask(_) => attacker.heard.extend(own.in_use().map(|kek| Message::Token { kek })),
        Step::Renew(_) => own.renew(device, attacker),
        Step::Renewed(_, root) => own.next = Some(root),
        Step::Open(_, root) => own.open(root),
        _ => own.go_back(),
    }
}

impl Sidekey {
    fn of_device(&self, state: &State, device: u8, steps: &mut Vec<Step>) {
        let rules = &self.rules;
        let State { service, attacker, .. } = state;
        let own = &state.devices[usize::from(device)];
        match own.step {
            parties::Step::Invited => steps.push(Step::Begin(device)),
            parties::Step::Begun => {
                let answers = Device::answers(device, attacker, rules).into_iter();
                steps.extend(answers.map(|exchange| Step::Check(device, exchange)));
            }
            parties::Step::Checked(_) => {
                steps
                    .extend(own.grants(attacker, rules).into_iter().map(|active| Step::Pair(device, active)));
            }
            parties::Step::Paired(exchange) => {
                let pairing = service.pairing(exchange);
                let untold = pairing.is_some_and(|pairing| pairing.approved && !pairing.matched);
                if untold && service.jobs.len() < JOBS {
                    steps.push(Step::Match(device));
                }
                if rules.sessions && own.uses(rules) {
                    self.of_paired(state, device, steps);
                }
            }
        }
    }

    fn of_paired(&self, state: &State, device: u8, steps: &mut Vec<Step>) {
        let own = &state.devices[usize::from(device)];
        let (Some(root), Some(used)) = (own.root, own.in_use()) else { return };
        if !state.attacker.heard.contains(&Message::Token { kek: used }) {
            steps.push(Step::Ask(device));
        }
        let renews = device == 0 && root.epoch() == 0 && self.rules.renewals > 0;
        if renews && own.renewing.is_none() {
            steps.push(Step::Renew(device));
        }
        if let (Some(point), None) = (own.renewing, own.next) {
            let answers = state.attacker.renewals(&root, point, &self.rules).into_iter();
            steps.extend(answers.map(|root| Step::Renewed(device, root)));
        }
        let opens = state.attacker.heard.iter().any(|message| match message {
            Message::Envelope { root, .. } => *root == used,
            _ => false,
        });
        if opens && own.read != Some(used) {
            steps.push(Step::Open(device, used));
        }
        let lacks = state
            .service
            .pairing(used.exchange)
            .is_some_and(|found| !found.revoked && found.root != used && found.next != Some(used));
        if lacks && own.next.is_some() {
            steps.push(Step::GoBack(device));
        }
    }

    /// The administrator, and the mail server. What the latter reads goes under a root that the attacker never has.
    fn of_enterprise(&self, state: &State, steps: &mut Vec<Step>) {
        let State { service, devices, .. } = state;
        if service.jobs.len() >= JOBS {
            return;
        }
        let rules = &self.rules;
        for device in 0..rules.devices {
            steps.extend(parties::approved(device, devices, service, rules).map(Step::Approve));
            let invitation = &service.invitations[usize::from(device)];
            if rules.cancels && device == 0 && !invitation.used && !invitation.cancelled {
                steps.push(Step::Order(Request::Cancel { invitation: device }));
            }
        }
        if rules.sessions {
            if service.session.is_none() && service.roots == 0 {
                steps.push(Step::Order(Request::Open));
            }
            let own = devices.first().and_then(Device::exchange);
            let revocable = own.and_then(|exchange| service.pairing(exchange)).filter(|found| !found.revoked);
            steps.extend(revocable.map(|found| Step::Order(Request::Revoke { exchange: found.exchange })));
        }
    }

    /// What the attacker can send to the service: all that she has heard, as often as she likes, and what she can make.
    fn requests(&self, state: &State) -> Vec<Request> {
        let State { service, attacker, .. } = state;
        let mut requests = Vec::new();
        for message in &attacker.heard {
            match *message {
                Message::Begin { invitation, share_p, key } => {
                    requests.push(Request::Begin { invitation, share_p, key });
                    // Somebody else's share, with a key of her own in it.
                    requests.push(Request::Begin { invitation, share_p, key: Key::Attacker });
                }
                Message::Finish { exchange, pinned } => requests.push(Request::Finish { exchange, pinned }),
                Message::Token { kek } => {
                    requests.push(Request::Fetch { kek });
                    if self.rules.renewals > 0 && !self.rules.listens_only {
                        requests.push(Request::Rekey { kek, point: Ephemeral::Attacker });
                    }
                }
                Message::Rekey { kek, point } => requests.push(Request::Rekey { kek, point }),
                _ => {}
            }
        }
        if self.rules.has_phone {
            // She signs tokens with the device's own key.
            let made = attacker.heard.iter().filter_map(|message| match message {
                Message::Rekeyed(root) if attacker.has(root, &self.rules) => Some(*root),
                _ => None,
            });
            for kek in attacker.taken.iter().copied().chain(made) {
                requests.extend([Request::Fetch { kek }, Request::Rekey { kek, point: Ephemeral::Attacker }]);
            }
        }
        for invitation in 0..self.rules.devices {
            self.own_pairing(service, attacker, invitation, &mut requests);
        }
        requests.retain(|request| !self.idle(service, attacker, request));
        requests
    }

    /// Her own exchange at an invitation whose id she knows: from an SMS, from its link, or because somebody has begun.
    fn own_pairing(
        &self,
        service: &Service,
        attacker: &Attacker,
        invitation: u8,
        requests: &mut Vec<Request>,
    ) {
        let heard =
            |message: &Message| matches!(message, Message::Begin { invitation: of, .. } if *of == invitation);
        let knows = self.rules.reads_sms || self.rules.reads_code || attacker.heard.iter().any(heard);
        if knows && attacker.guessed < self.rules.guesses {
            let hers = |request: &Request| {
                matches!(request, Request::Begin { invitation: at, share_p, .. }
                    if *at == invitation && share_p.secret == Ephemeral::Attacker)
            };
            let under_way = service.jobs.iter().filter(|job| hers(&job.request)).count();
            let code = attacker.next_code(invitation, u8::try_from(under_way).unwrap_or(u8::MAX));
            let share_p = Share { secret: Ephemeral::Attacker, code };
            let keys = attacker.keys(&self.rules).into_iter();
            requests.extend(keys.map(|key| Request::Begin { invitation, share_p, key }));
        }
        if let Some(exchange) = service.invitations[usize::from(invitation)].exchange {
            let own = matches!(exchange.key, Key::Attacker | Key::Ground(_));
            if own && attacker.has(&Root::of(exchange), &self.rules) {
                requests.push(Request::Finish { exchange, pinned: true });
            }
        }
    }

    /// Whether it would change nothing that the attacker does not know already, or is beyond what is looked at.
    fn idle(&self, service: &Service, attacker: &Attacker, request: &Request) -> bool {
        let known = |kek: &Root| service.pairing(kek.exchange).is_some_and(|found| found.is_active());
        service.jobs.iter().any(|job| job.request == *request)
            || match request {
                Request::Fetch { kek } => !known(kek) || service.session.is_none(),
                Request::Rekey { kek, .. } => !known(kek),
                Request::Begin { .. } => {
                    let mut after = attacker.clone();
                    count(*request, service, &mut after);
                    after.guessed > self.rules.guesses || after.replayed > self.rules.replays
                }
                _ => false,
            }
    }
}

/// The exchange of a device that nobody interfered with.
pub(crate) const fn exchange(device: u8) -> Transcript {
    Transcript {
        invitation: device,
        share_p: parties::share(device),
        share_v: Share {
            secret: Ephemeral::Service { invitation: device, number: 1 },
            code: Code::Of(device),
        },
        key: Key::Device(device),
        signer: Signer::Service,
    }
}

/// Requests that the service is at, at one time.
const JOBS: usize = 2;
