//! Many sessions in one commit: all of them, or none.

use std::collections::HashSet;

use sidekey_protocol::crypto::sha256;
use sidekey_protocol::delivery::Leg;
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::session::{Audience, Capabilities};

use super::engine::{About, Desk, Verdict};
use super::record::Record;
use super::session::{Idempotency, NewSession, opened, opener, repeat};
use super::state::State;
use super::view::Session;
use super::{Error, Refused, Store};

/// Sessions to be opened together.
#[derive(Debug)]
pub struct NewBatch {
    /// The server pairing that asks.
    pub by: PartyId,
    /// Whom each is for; nobody twice.
    pub audiences: Vec<Audience>,
    /// How long all of them, if it was asked for.
    pub ttl_s: Option<u32>,
    /// What the server said it can do.
    pub capabilities: Capabilities,
    /// The carriers that take the keys, in order.
    pub deliver: Vec<Leg>,
    /// What makes a repeat the same.
    pub idempotency: Idempotency,
}

/// The sessions in the order asked, or which of them is refused, and why.
pub type OpenedBatch = Result<Vec<Session>, (usize, Refused)>;

impl Idempotency {
    /// That of one session of a batch: no single session's, nor another's of the same batch.
    fn item(&self, index: usize) -> Self {
        let mut octets = [0; 24];
        octets[..16].copy_from_slice(&self.key);
        octets[16..].copy_from_slice(&(index as u64).to_be_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&sha256(&octets)[..16]);
        Self { key, body: self.body }
    }
}

impl Store {
    /// Opens sessions together, or finds those that the same request opened before.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::Revoked`]: the server pairing. Of a session: within [`OpenedBatch`].
    pub async fn open_batch(&self, new: NewBatch) -> Result<OpenedBatch, Error> {
        let by = new.by;
        let about = About::one((by, new.idempotency.item(0).key));
        self.engine.commit(about, Some(by), move |state, desk| open(state, desk, new)).await
    }

    /// The `count` sessions that the same request opened before, if it did.
    ///
    /// # Errors
    /// [`Refused::Conflict`]: the key came with another body.
    pub fn batch_before(
        &self,
        by: PartyId,
        idempotency: &Idempotency,
        count: usize,
    ) -> Result<Option<OpenedBatch>, Error> {
        let now = self.now();
        let state = self.shared.read();
        match state.party(by) {
            Some((by, _)) => before(&state, by, idempotency, count, now),
            None => Ok(None),
        }
    }
}

fn before(
    state: &State,
    by: u32,
    idempotency: &Idempotency,
    count: usize,
    now: sidekey_protocol::ids::Timestamp,
) -> Result<Option<OpenedBatch>, Error> {
    let slot = |index: usize| state.sessions.find_key(by, &idempotency.item(index).key);
    match slot(0) {
        None => return Ok(None),
        Some(first) if first.idempotency[1] != idempotency.body => return Err(Refused::Conflict.into()),
        Some(_) => {}
    }
    let mut sessions = Vec::with_capacity(count);
    for index in 0..count {
        // All were opened together, with one end: what is gone is gone because its time is over.
        let slot = slot(index).ok_or(Refused::Expired)?;
        match repeat(state, slot, idempotency, now) {
            Ok(session) => sessions.push(session),
            Err(Error::Refused(refused)) => return Ok(Some(Err((index, refused)))),
            Err(fault) => return Err(fault),
        }
    }
    Ok(Some(Ok(sessions)))
}

fn open(state: &State, desk: &mut Desk<'_>, new: NewBatch) -> Result<Verdict<OpenedBatch>, Error> {
    let now = desk.now;
    let NewBatch { by, audiences, ttl_s, capabilities, deliver, idempotency } = new;
    let (handle, server) = opener(state, by)?;
    if let Some(before) = before(state, handle, &idempotency, audiences.len(), now)? {
        return Ok(Verdict::Already(before));
    }
    let mut records = Vec::with_capacity(audiences.len());
    let mut rooted = HashSet::new();
    for (index, audience) in audiences.into_iter().enumerate() {
        let (capabilities, deliver) = (capabilities.clone(), deliver.clone());
        let idempotency = idempotency.item(index);
        let new = NewSession { by, audience, ttl_s, capabilities, deliver, idempotency };
        match opened(state, desk, server, new, &mut rooted) {
            Ok(record) => records.push(record),
            Err(Error::Refused(refused)) => return Ok(Verdict::Already(Err((index, refused)))),
            Err(fault) => return Err(fault),
        }
    }
    let ids: Vec<_> = records.iter().map(|record| record.session).collect();
    let answer = move |state: &State| {
        let view = |id| state.find_session(id).map(|slot| state.view_session(slot, now));
        Ok(ids.into_iter().map(|id| view(id).expect("it was just opened")).collect())
    };
    Ok(Verdict::Commit(Record::BatchOpened(records), Box::new(answer)))
}
