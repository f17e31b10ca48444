//! One world: parties, network, service, disk and clock, moved by dice. The same seed, the same world.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::de::DeserializeOwned;
use sidekey_protocol::ids::{CredentialId, ServerName, Timestamp};
use sidekey_protocol::pairing::registry::Page;
use sidekey_protocol::policy::wire::PolicyView;
use sidekey_protocol::token;
use sidekey_service::clock::TestClock;
use tokio::runtime::Runtime;

use crate::disk::Dice;
use crate::machine::Machine;
use crate::model::{Known, Model, Pairing};
use crate::network::{Answer, Moved, Network, Packet, Request};
use crate::parties::{Heard, Kept, Party};
use crate::restored::Copied;
use crate::serving::{ADMIN, SERVICE, Serving};
use crate::trace::Trace;

/// What every world begins with.
pub(crate) struct Beginning {
    pub(crate) folder: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) parties: Vec<Party>,
    pub(crate) model: Model,
    pub(crate) now: Timestamp,
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) parties: Vec<Party>,
    pub(crate) network: Network,
    pub(crate) model: Model,
    pub(crate) trace: Trace,
    pub(crate) runtime: Runtime,
    pub(crate) machine: Machine,
    certificate: PathBuf,
    pub(crate) serving: Option<Serving>,
    starts: u64,
    calls: u64,
    /// Seconds by which the service's clock is behind.
    pub(crate) behind_s: u32,
    /// The disk has no room.
    pub(crate) full: bool,
    /// What proxies log in with.
    pub(crate) secrets: BTreeMap<CredentialId, String>,
    pub(crate) copied: Option<Copied>,
}

/// How a world ended.
pub(crate) struct Ended {
    pub(crate) trace: Trace,
    /// What did not hold, if anything did not.
    pub(crate) broken: Option<String>,
}

/// The world of a seed, from its beginning to its end.
pub(crate) fn live(beginning: &Beginning, seed: u64) -> Ended {
    let mut world = World::new(beginning, seed);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        world.network.faulty = true;
        for _ in 0..STEPS {
            world.step();
        }
        world.comes_right();
    }));
    let broken = lived.err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
    });
    Ended { trace: std::mem::take(&mut world.trace), broken }
}

impl World {
    pub(crate) fn new(beginning: &Beginning, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut world = Self {
            dice: Dice(seed),
            rng: ChaCha20Rng::seed_from_u64(seed),
            clock: Arc::new(TestClock::at(beginning.now)),
            parties: beginning.parties.iter().map(Party::copy).collect(),
            network: Network::default(),
            model: beginning.model.clone(),
            trace: Trace::default(),
            runtime,
            machine: Machine::with(&beginning.folder),
            certificate: beginning.certificate.clone(),
            serving: None,
            starts: seed << 16,
            calls: 0,
            behind_s: 0,
            full: false,
            secrets: BTreeMap::new(),
            copied: None,
        };
        world.start();
        world
    }

    /// What the service's clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        use sidekey_service::clock::Clock as _;
        self.clock.now()
    }

    pub(crate) fn chance(&mut self, one_in: u64) -> bool {
        self.dice.roll(one_in) == 0
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..48 => self.network_moves(),
            48..84 => self.somebody_acts(),
            84..90 => self.time_passes(),
            _ => self.something_breaks(),
        }
    }

    /// Starts the service, if it does not run.
    pub(crate) fn start(&mut self) {
        if self.serving.is_none() {
            self.starts();
            self.looks();
        }
    }

    pub(crate) fn starts(&mut self) {
        self.starts += 1;
        self.order(false, false);
        let started = Serving::start(self.machine.folder(), &self.certificate, &self.clock, self.starts);
        self.serving = Some(started.unwrap_or_else(|fault| panic!("the service does not start: {fault}")));
        self.trace.note("the service starts");
    }

    /// Everything that was acknowledged is there.
    pub(crate) fn looks(&mut self) {
        if self.behind_s > 0 || self.serving.is_none() || self.lost_n().is_some() {
            return;
        }
        let now = self.now();
        self.model.has_credentials(&self.list("/v1/credentials?page_size=1000"));
        self.model.has_policies(&self.list("/v1/policies?page_size=1000"));
        self.model.has_pairings(&self.list("/v1/pairings?page_size=1000"));
        self.model.has_sessions(&self.list("/v1/sessions?page_size=1000"), now);
        self.model.has_invitations(&self.list("/v1/invitations?page_size=1000"), now);
    }

    fn list<T: DeserializeOwned>(&self, path: &str) -> Vec<T> {
        let answer = self.read(path);
        assert!(answer.is_ok(), "{path}: {} {}", answer.status, answer.code());
        answer.json::<Page<T>>().items
    }

    pub(crate) fn administrator_token(&self) -> String {
        let Some(Kept { key, .. }) = &self.parties[0].kept else {
            unreachable!("an administrator is a party")
        };
        token::sign(key, ADMIN, SERVICE, None, self.now())
    }

    pub(crate) fn read(&self, path: &str) -> Answer {
        let serving = self.serving.as_ref().expect("it runs");
        self.runtime.block_on(serving.read(path, &self.administrator_token()))
    }

    /// How often the policy of a server was changed, if anybody answers.
    pub(crate) fn policy_revision(&self, server: &ServerName) -> Option<u32> {
        self.serving.as_ref()?;
        let answer = self.read(&format!("/v1/policies/servers/{}", server.as_str()));
        answer.is_ok().then(|| answer.json::<PolicyView>().revision)
    }

    /// Something arrives, or is lost.
    pub(crate) fn network_moves(&mut self) {
        match self.network.moves(&mut self.dice) {
            Moved::Arrived(Packet::There(request)) => self.served(request),
            Moved::Arrived(Packet::Back(request, answer)) => {
                let (now, whose) = (self.now(), request.from);
                let line =
                    format!("{} hears {} of {:?}", self.parties[whose].name, answer.status, request.ask);
                self.trace.note(&line);
                let heard = self.parties[whose].hears(&request, &answer, now, &mut self.rng);
                self.heard(whose, heard);
            }
            Moved::Lost(packet) => {
                let (Packet::There(request) | Packet::Back(request, _)) = packet;
                self.trace.note(&format!("lost on its way: {:?}", request.ask));
            }
            Moved::Nothing => {}
        }
    }

    /// A request arrives at the service. It may be cut off in the midst of it.
    fn served(&mut self, request: Request) {
        let Some(serving) = &self.serving else {
            return self.trace.note(&format!("nobody answers {:?}", request.ask));
        };
        let mark = self.machine.mark();
        let answer = self.runtime.block_on(serving.answer(&request));
        let name = self.parties[request.from].name.clone();
        let line = format!("{name} asks {:?}: {} {}", request.ask, answer.status, answer.code());
        let fenced = serving.is_fenced();
        self.trace.note(&line);
        if fenced {
            self.model.interrupted(&request);
            self.trace.note("a write failed, and the service ends");
            self.serving = None;
        } else if self.network.faulty && self.chance(40) {
            self.model.interrupted(&request);
            self.power_cut(Some(mark));
        } else {
            let now = self.now();
            let opened = self.parties[request.from].open(&answer);
            self.meets(request.from, &answer);
            self.model.answered(&request, &answer, opened, now);
            self.trace.weigh(&answer.body);
            self.network.send(Packet::Back(request, answer));
        }
    }

    /// Whoever is answered is known to the service, though the model may be of before it was paired.
    fn meets(&mut self, whose: usize, answer: &Answer) {
        let party = &self.parties[whose];
        let (Some(id), Some(place), true) = (party.id(), party.place(), answer.is_ok()) else { return };
        let (role, server, user) = (place.role, place.server.clone(), place.user.clone());
        let met = Pairing { role, server, user, over: Known::No, approved: Known::Perhaps };
        self.model.pairings.entry(id).or_insert(met);
    }

    fn heard(&mut self, whose: usize, heard: Heard) {
        match heard {
            Heard::Nothing | Heard::Again => {}
            Heard::Credential(id, secret) => drop(self.secrets.insert(id, secret)),
            Heard::Invited(link) => {
                let name = format!("guest {}", self.parties.len());
                self.parties.push(Party { name, link: Some(link), ..Party::default() });
            }
            Heard::Paired(paired, by) => {
                self.model.paired(paired.pairing, paired.role, by);
                self.parties[whose].digits = paired.approval.is_needed().then_some(paired.digits);
                self.parties[whose].kept = Some(Kept::of(*paired));
            }
        }
    }

    /// Sends the newest request of a party, or an earlier one again.
    pub(crate) fn sends(&mut self, whose: usize, which: usize) {
        let now = self.now();
        let mut request = self.parties[whose].again(which, now);
        if request.call == 0 {
            self.calls += 1;
            (request.call, request.from) = (self.calls, whose);
            self.parties[whose].calls[which].request = request.clone();
        }
        self.network.send(Packet::There(request));
    }
}

/// What breaks.
impl World {
    /// The power goes, and comes back.
    pub(crate) fn power_cut(&mut self, since: Option<usize>) {
        self.serving = None;
        let (kept, of) = self.machine.cut(since, &mut self.dice);
        self.full = false;
        self.trace.note(&format!("the power is cut, after {kept} of {of} changes"));
        self.start();
    }

    /// The process is killed; what it wrote is there.
    pub(crate) fn killed(&mut self) {
        self.serving = None;
        self.trace.note("the service is killed");
    }

    /// It stops as it should.
    pub(crate) fn stopped(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving.close());
            self.trace.note("the service stops");
        }
    }

    pub(crate) fn tends(&mut self) {
        let Some(serving) = &self.serving else { return };
        serving.tend();
        if serving.is_fenced() {
            self.serving = None;
        }
        self.trace.note("the service tends its state");
    }

    /// Syncs fail, or there is no room, from now on.
    pub(crate) fn order(&mut self, no_sync: bool, no_room: bool) {
        self.machine.order([no_sync.into(), no_room.into()]);
        self.full = no_room;
        if no_sync || no_room {
            self.trace.note(if no_sync { "syncs fail" } else { "the disk is full" });
        }
    }

    /// Whether the disk has no room.
    pub(crate) const fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn copy_of_data(&self, to: &Path) {
        self.machine.copy_to(to);
    }
}

/// Steps of the phase in which everything breaks.
const STEPS: u32 = 220;
