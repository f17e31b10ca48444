//! What bearers say later of what they took. It is shown, and decides nothing.
//!
//! A bearer may report before we know that it took the message: its word overtakes the commit that keeps its id. Such a
//! report is held until the sending is settled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sidekey_carrier::{Fate, Report, Reports};
use sidekey_protocol::delivery;
use tokio_util::sync::CancellationToken;

use super::bearer::Bearer;
use crate::store::{Error, Store, bare_receipt};

/// Reports about nothing that is known so far, oldest first, by their ids as they are compared.
#[derive(Debug, Default)]
pub(super) struct Early(Mutex<VecDeque<(String, Report)>>);

impl Early {
    fn hold(&self, report: Report) {
        let mut held = self.held();
        if held.len() == EARLY_MAX {
            held.pop_front();
        }
        held.push_back((bare_receipt(report.id.as_str()), report));
    }

    /// Lets go of what was held for one of these ids.
    fn take<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<Report> {
        let mut held = self.held();
        if held.is_empty() {
            return Vec::new();
        }
        let ids: Vec<_> = ids.map(bare_receipt).collect();
        let (taken, rest): (Vec<_>, Vec<_>) = held.drain(..).partition(|(id, _)| ids.contains(id));
        *held = rest.into();
        taken.into_iter().map(|(_, report)| report).collect()
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<(String, Report)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a report, now or once the sending that it is about is settled.
///
/// # Errors
/// None but a fault's.
pub(super) async fn keep(store: &Store, bearer: &Bearer, report: Report) -> Result<(), Error> {
    bearer.meter.reported();
    if write(store, bearer, &report).await? {
        return Ok(());
    }
    // Held, and looked for once more: whoever settled in between did not find it here yet.
    bearer.early.hold(report.clone());
    if write(store, bearer, &report).await? {
        bearer.early.take([report.id.as_str()].into_iter());
    }
    Ok(())
}

/// Keeps what was said too early about a sending that is settled now.
pub(super) async fn keep_early(store: &Store, bearer: &Bearer, receipts: &[String]) {
    for report in bearer.early.take(receipts.iter().map(String::as_str)) {
        if let Err(error) = write(store, bearer, &report).await {
            not_kept(bearer, &error);
        }
    }
}

async fn write(store: &Store, bearer: &Bearer, report: &Report) -> Result<bool, Error> {
    let id = report.id.as_str().to_owned();
    store.report_delivery(bearer.name.clone(), id, fate(report.fate)).await
}

/// Keeps what a bearer says afterwards, until the service stops.
pub(super) async fn listen(
    store: Arc<Store>,
    bearer: Arc<Bearer>,
    mut reports: Reports,
    stopping: CancellationToken,
) {
    loop {
        let report = tokio::select! {
            () = stopping.cancelled() => return,
            report = reports.recv() => report,
        };
        let Some(report) = report else { return };
        if let Err(error) = keep(&store, &bearer, report).await {
            not_kept(&bearer, &error);
        }
    }
}

fn not_kept(bearer: &Bearer, error: &Error) {
    tracing::warn!(error = error as &dyn std::error::Error, carrier = %bearer.name, "a report is not kept");
}

/// The protocol's word for it.
const fn fate(fate: Fate) -> delivery::Fate {
    match fate {
        Fate::Delivered => delivery::Fate::Delivered,
        Fate::Expired => delivery::Fate::Expired,
        Fate::Underway => delivery::Fate::Underway,
        Fate::Undeliverable => delivery::Fate::Undeliverable,
        Fate::Unknown => delivery::Fate::Unknown,
    }
}

/// Reports that are held: past that, the oldest was about nothing of ours.
const EARLY_MAX: usize = 1024;
