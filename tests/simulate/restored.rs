//! A service that is put back from an older copy, and goes on once somebody has accepted that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sidekey_protocol::ids::PartyId;
use sidekey_protocol::revocation::restore::{Accepted, RestoreStatus};

use crate::model::{Known, Model};
use crate::world::World;

/// An older copy of the data folder, and what was true then.
pub(crate) struct Copied {
    folder: PathBuf,
    model: Model,
    epochs: BTreeMap<PartyId, u32>,
}

impl World {
    /// How many revocations the service knows to be lost, if it was put back from a copy and knows of any.
    pub(crate) fn lost_n(&self) -> Option<u64> {
        let status: RestoreStatus = self.read("/v1/restore").json();
        status.rolled_back.then_some(status.missing)
    }

    /// A copy is made, of a service that has stopped.
    pub(crate) fn copies(&mut self) {
        self.stopped();
        self.start();
        if self.behind_s > 0 || self.lost_n().is_some() {
            return;
        }
        self.stopped();
        let folder = self.machine.aside();
        let epochs = self.parties.iter().filter_map(|party| Some((party.id()?, party.place()?.epoch.number)));
        self.copied = Some(Copied { folder, model: self.model.clone(), epochs: epochs.collect() });
        self.trace.note("a copy is made");
    }

    /// The copy takes the place of what there is.
    pub(crate) fn put_back(&mut self) {
        if self.behind_s > 0 {
            return;
        }
        let Some(Copied { folder, model, epochs }) = self.copied.take() else { return };
        self.serving = None;
        self.machine.put_back(&folder);
        self.full = false;
        let last_s = self.model.last_s;
        self.model = model;
        for (whose, party) in self.parties.iter().enumerate() {
            let (Some(id), Some(place)) = (party.id(), party.place()) else { continue };
            // Whoever has moved on since, or is told by an answer of before that it is over, must pair again.
            let told = party.over || self.network.will_refuse(whose);
            let stays = !told && epochs.get(&id) == Some(&place.epoch.number) && !party.has_next();
            if let Some(pairing) = self.model.pairings.get_mut(&id).filter(|_| !stays) {
                pairing.over = pairing.over.max(Known::Perhaps);
            }
        }
        self.trace.note(&format!("the copy is put back, {} s older", last_s - self.model.last_s));
        self.starts();
        let status: RestoreStatus = self.read("/v1/restore").json();
        self.model.put_back(status.revocations);
        self.looks();
    }

    /// An administrator accepts that revocations are lost.
    pub(crate) fn accepts(&mut self) {
        if self.behind_s > 0 || self.serving.is_none() {
            return;
        }
        let Some(missing) = self.lost_n() else { return };
        let status: RestoreStatus = self.read("/v1/restore").json();
        let body = serde_json::json!({"missing": missing}).to_string().into();
        let serving = self.serving.as_ref().expect("it runs");
        let (seen, token) = (status.tag(), self.administrator_token());
        let answer = self.runtime.block_on(serving.accept(&seen, &token, body));
        self.trace.note(&format!("the administrator accepts {missing}: {} {}", answer.status, answer.code()));
        if answer.is_ok() {
            let (Accepted { revocations, .. }, now) = (answer.json(), self.now());
            self.model.accepted(revocations, now);
        }
    }
}
