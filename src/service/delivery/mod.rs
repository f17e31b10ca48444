//! The outbox: what goes to devices by carriers, beside HTTPS.
//!
//! ```text
//!   a commit ──stirs──▶ a worker for each carrier: claim (durable) · seal · send · settle      (worker, seal)
//!   what its bearer says of it later                                                           (reports, callback)
//!   keeper: what a carrier has not brought in its time                                         (tend)
//! ```
//! Nothing that is kept of a delivery is sealed or secret: it is made of what is in force at the moment of sending. A
//! carrier whose bearer fails is left alone as a whole, and tried with one delivery at a time until that goes through.

mod admin;
mod bearer;
mod build;
mod callback;
mod meter;
mod reports;
mod seal;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sidekey_carrier::{Carrier, Reports};
use sidekey_protocol::delivery::wire::CarrierKind;
use sidekey_protocol::delivery::{CarrierName, LEGS_MAX, Leg};
use sidekey_protocol::pairing::PublicUrl;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::bearer::Bearer;
use self::meter::Meter;
use crate::app::SharedRng;
use crate::http::problem::{Code, Problem};
use crate::metrics::Registry;
use crate::store::{Daily, Posted, Store};

pub(crate) use self::admin::{cancel, carriers, clear_address, deliveries, delivery, retry, set_address};
pub(crate) use self::build::configured;
pub use self::build::{BadCarrier, Misfit, check_carriers};
pub(crate) use self::callback::{report, report_in_a_body};

/// A carrier that is handed to the service, beside those of its configuration.
pub struct Handed {
    /// What it is called.
    pub name: CarrierName,
    /// What it leads to: what it may be asked to take.
    pub kind: CarrierKind,
    /// Who runs its bearer.
    pub domain: String,
    /// Whether a phone is an address there.
    pub phones: bool,
    /// How a user is called there whose pairing has no address, `{user}` and `{server}` being their names.
    pub user_xui: Option<String>,
    /// How many it may have at one time.
    pub at_once: usize,
    /// What it may send in a day.
    pub daily: Option<Daily>,
    /// How its bearer reports by requests to the service, if it does.
    pub callback: Option<Callback>,
    /// The carrier itself.
    pub carrier: Arc<dyn Carrier>,
    /// What its bearer says afterwards.
    pub reports: Option<Reports>,
    /// What has to run beside it.
    pub driver: Option<BoxFuture<'static, ()>>,
}

/// How a gateway reports by requests to the service.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Reads them.
    pub reader: sidekey_carrier::sms::http::Callback,
    /// SHA-256 of the word that only the gateway knows.
    pub token: [u8; 32],
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handed")
            .field("name", &self.name)
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}

/// The outbox of a service that runs.
#[derive(Debug)]
pub(crate) struct Outbox {
    store: Arc<Store>,
    rng: SharedRng,
    public_url: PublicUrl,
    bearers: BTreeMap<CarrierName, Arc<Bearer>>,
    stopping: CancellationToken,
    working: Mutex<JoinSet<()>>,
    /// End once their carrier is gone.
    drivers: Mutex<JoinSet<()>>,
}

impl Outbox {
    /// With these carriers; [`Self::start`] sets it to work.
    pub(crate) fn new(
        store: Arc<Store>,
        rng: SharedRng,
        public_url: PublicUrl,
        handed: Vec<Handed>,
        stopping: CancellationToken,
        registry: &Registry,
    ) -> Self {
        let (mut drivers, mut working, mut bearers) = (JoinSet::new(), JoinSet::new(), BTreeMap::new());
        for mut handed in handed {
            let name = handed.name.clone();
            let (driver, reports) = (handed.driver.take(), handed.reports.take());
            let meter = Meter::new(registry, &name);
            let bearer = Arc::new(Bearer::new(handed, meter));
            if let Some(driver) = driver {
                drivers.spawn(driver);
            }
            if let Some(reports) = reports {
                working.spawn(reports::listen(store.clone(), bearer.clone(), reports, stopping.clone()));
            }
            bearers.insert(name, bearer);
        }
        let (working, drivers) = (Mutex::new(working), Mutex::new(drivers));
        Self { store, rng, public_url, bearers, stopping, working, drivers }
    }

    /// A worker for each carrier, and one that looks for what is over.
    pub(crate) fn start(self: &Arc<Self>) {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        for bearer in self.bearers.values() {
            working.spawn(worker::run(self.clone(), bearer.clone()));
        }
        working.spawn(worker::tend(self.clone()));
    }

    /// Waits until what is on its way is settled, and no longer than `most`: past its lease it is sent again.
    pub(crate) async fn finished(&self, most: Duration) {
        let take = |set: &Mutex<JoinSet<()>>| {
            std::mem::take(&mut *set.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let mut working = take(&self.working);
        let all = async { while working.join_next().await.is_some() {} };
        if tokio::time::timeout(most, all).await.is_err() {
            tracing::warn!("deliveries are on their way still: they are sent again after the next start");
        }
        working.shutdown().await;
        let mut drivers = take(&self.drivers);
        for bearer in self.bearers.values() {
            bearer.let_go();
        }
        let parted = async { while drivers.join_next().await.is_some() {} };
        // Whoever does not say goodbye in time is left.
        let _ = tokio::time::timeout(PARTING, parted).await;
    }

    /// The carriers of these names, in their order.
    ///
    /// # Errors
    /// [`Code::CarrierUnknown`], [`Code::CarrierUnfit`]: one is named twice, or too many are.
    pub(crate) fn legs(&self, names: &[String]) -> Result<Vec<Leg>, Problem> {
        let leg = |(index, name): (usize, &String)| {
            let at = |code: Code| Problem::from(code).at(format!("deliver[{index}]"));
            let bearer = self.named(name).ok_or_else(|| at(Code::CarrierUnknown))?;
            if index >= LEGS_MAX || names[..index].contains(name) {
                return Err(at(Code::CarrierUnfit));
            }
            Ok(bearer.leg())
        };
        names.iter().enumerate().map(leg).collect()
    }

    /// Where an invitation is sent.
    ///
    /// # Errors
    /// [`Code::AddressInvalid`], [`Code::CarrierUnfit`]: its bearer takes no invitations; [`Code::CarrierUnknown`].
    pub(crate) fn posted(&self, carrier: &CarrierName, to: &str) -> Result<Posted, Problem> {
        let bearer = self.bearers.get(carrier).ok_or(Code::CarrierUnknown)?;
        if bearer.kind == CarrierKind::Xdms {
            return Err(Code::CarrierUnfit.into());
        }
        bearer.address(to).ok_or(Code::AddressInvalid)?;
        Ok(Posted { leg: bearer.leg(), to: to.to_owned() })
    }

    fn named(&self, name: &str) -> Option<&Arc<Bearer>> {
        self.bearers.get(&name.parse::<CarrierName>().ok()?)
    }
}

/// For carriers to say goodbye to their bearers.
const PARTING: Duration = Duration::from_secs(3);
