//! One carrier as the outbox knows it: what it takes, and whether its bearer is well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sidekey_carrier::{Address, Carrier, Phone, Trouble, Xui};
use sidekey_protocol::delivery::wire::CarrierKind;
use sidekey_protocol::delivery::{CarrierName, Leg, pause_s};
use sidekey_protocol::ids::{ServerName, Timestamp, UserName};

use super::meter::Meter;
use super::reports::Early;
use super::{Callback, Handed};
use crate::store::{Daily, Party, Resolve};

/// A carrier, and how it is with it.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) name: CarrierName,
    pub(super) kind: CarrierKind,
    pub(super) domain: String,
    phones: bool,
    user_xui: Option<String>,
    at_once: usize,
    /// What it may send in a day.
    pub(super) daily: Option<Arc<Daily>>,
    /// How it reports by requests to us, if it does.
    pub(super) callback: Option<Callback>,
    pub(super) meter: Meter,
    pub(super) early: Early,
    carrier: Mutex<Option<Arc<dyn Carrier>>>,
    health: Mutex<Health>,
}

/// How the bearer is.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    /// Failures in a row.
    failures: u32,
    /// It is left alone until then.
    until: Option<Timestamp>,
    /// The last of them.
    trouble: Option<Trouble>,
}

impl Bearer {
    pub(super) fn new(handed: Handed, meter: Meter) -> Self {
        let Handed { name, kind, domain, phones, user_xui, at_once, carrier, daily, callback, .. } = handed;
        let (carrier, health, daily) = (Mutex::new(Some(carrier)), Mutex::default(), daily.map(Arc::new));
        let early = Early::default();
        Self { name, kind, domain, phones, user_xui, at_once, daily, callback, meter, early, carrier, health }
    }

    /// The carrier, until the service stops.
    pub(super) fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        self.carrier.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing is sent any more.
    pub(super) fn let_go(&self) {
        self.carrier.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// As deliveries name it.
    pub(super) fn leg(&self) -> Leg {
        Leg { carrier: self.name.clone(), keeps: self.kind == CarrierKind::Xdms }
    }

    /// An address of a kind that it takes.
    pub(super) fn address(&self, text: &str) -> Option<Address> {
        match text.starts_with('+') {
            true if self.phones => text.parse::<Phone>().ok().map(Address::from),
            false if matches!(self.kind, CarrierKind::Xdms | CarrierKind::Webhook) => {
                text.parse::<Xui>().ok().map(Address::from)
            }
            _ => None,
        }
    }

    /// Where a user is reached whose pairing has no address.
    pub(super) fn user_address(&self, server: &ServerName, user: &UserName) -> Option<String> {
        let template = self.user_xui.as_ref()?;
        let xui = template.replace("{user}", user.as_str()).replace("{server}", server.as_str());
        xui.parse::<Xui>().is_ok().then_some(xui)
    }

    /// Where a pairing is reached.
    pub(super) fn reaches(&self, party: &Party) -> Option<String> {
        let own = party.addresses.iter().find(|known| known.carrier == self.name);
        let (_, server, user) = party.place()?;
        own.map(|own| own.to.clone()).or_else(|| self.user_address(server, user?))
    }

    /// The same, for the store to ask.
    pub(super) fn resolve(self: &Arc<Self>) -> Resolve {
        let bearer = Arc::clone(self);
        Arc::new(move |server, user| bearer.user_address(server, user))
    }

    /// How many more it may be given, when it has so many: none while it is left alone, and one after that, until that
    /// goes through.
    pub(super) fn room(&self, has: usize, now: Timestamp) -> usize {
        let health = self.health();
        match health.until {
            Some(until) if now < until => 0,
            _ if health.failures > 0 => 1_usize.saturating_sub(has),
            _ => self.at_once.saturating_sub(has),
        }
    }

    /// Its bearer answered.
    pub(super) fn well(&self) {
        let mut health = self.health();
        if health.failures > 0 {
            tracing::info!(carrier = %self.name, "the carrier's bearer answers again");
        }
        *health = Health::default();
    }

    /// Its bearer failed: it is left alone for a while. Failures of one moment count once.
    pub(super) fn ill(&self, trouble: Trouble, asked_s: u32, now: Timestamp, jitter: u32) {
        let mut health = self.health();
        if health.until.is_none_or(|until| now >= until) {
            health.failures = health.failures.saturating_add(1);
            let pause_s = pause_s(health.failures, asked_s.min(ASKED_MAX_S), jitter);
            health.until = Some(now.after_s(pause_s));
            tracing::warn!(carrier = %self.name, %trouble, pause_s, "the carrier is left alone");
        }
        health.trouble = Some(trouble);
    }

    /// Until when it is left alone, and why.
    pub(super) fn paused(&self, now: Timestamp) -> (Option<Timestamp>, Option<Trouble>) {
        let health = self.health();
        (health.until.filter(|until| now < *until), health.trouble)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing changes before an administrator acts.
pub(super) const fn needs_somebody(trouble: Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Credentials | Trouble::Redirected | Trouble::Unintelligible | Trouble::Untrusted
    )
}

/// Seconds that a bearer may ask for.
const ASKED_MAX_S: u32 = 900;
