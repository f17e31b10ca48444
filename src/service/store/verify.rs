//! Whether a data folder's journal is what was written: its chain, what its records bind, and what was signed of it.
//! Needs no root key, and changes nothing.

use std::path::Path;

use sidekey_protocol::audit::{Checkpoint, Position};
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::ids::ServiceId;

use super::journal::{self, Journal};
use super::open::JOURNAL;
use super::record::{Entry, Record, Spki};
use super::{Store, checkpoints};
use crate::fault::{Damage, Fault};

/// A journal that holds together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Whose it is; absent when it has no record.
    pub service: Option<ServiceId>,
    /// How many records it has.
    pub records: u64,
    /// The hash of the last one.
    pub hash: [u8; 32],
    /// Checkpoints that it was held against.
    pub checkpoints: usize,
    /// The last record that one of them covers.
    pub signed: u64,
    /// The service's signing keys, oldest first, as the journal names them.
    pub keys: Vec<VerifyingKey>,
}

impl Store {
    /// Reads the whole journal of a data folder, and changes nothing: every record must continue the chain, and the chain
    /// must be the one of every checkpoint that is kept beside it, and of those that were kept elsewhere.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] names the first record that is not as it was written; [`Fault::Io`], [`Fault::Missing`].
    pub fn verify(folder: &Path, elsewhere: &[Checkpoint]) -> Result<Verified, Fault> {
        // Before the journal, which may grow meanwhile.
        let here = checkpoints::read(folder)?;
        let mut signed: Vec<&Checkpoint> = elsewhere.iter().collect();
        for (line, kept) in here.iter().enumerate() {
            let kept = kept.as_ref().map_err(|_| journal::corrupt(line as u64 + 1, Damage::Checkpoint))?;
            signed.push(&kept.checkpoint);
        }
        signed.sort_by_key(|checkpoint| checkpoint.position.seq);
        let mut against = Against { signed, next: 0, good: 0 };
        let mut found = (None, Vec::new());
        let end = Journal::verify(&folder.join(JOURNAL), |end, frame, body| {
            let entry = Entry::decode(body).map_err(|_| Damage::Undecodable)?;
            if entry.bound(frame.seq) != frame.entries {
                return Err(Damage::Entries);
            }
            match &entry.record {
                Record::Created { service, key_public, .. } => {
                    found = (Some(*service), vec![public(key_public)?]);
                }
                Record::KeyRotated(rotated) => found.1.push(public(&rotated.public)?),
                _ => {}
            }
            against.pass(end)
        })?;
        let (service, keys) = found;
        // A checkpoint of a key that the journal does not know was made by somebody else, or the journal was.
        let known =
            |checkpoint: &&&Checkpoint| Some(checkpoint.service) == service && keys.contains(&checkpoint.key);
        if let Some(foreign) = against.signed.iter().find(|checkpoint| !known(checkpoint)) {
            return Err(journal::corrupt(foreign.position.seq, Damage::Signer));
        }
        against.end(end, elsewhere)?;
        let (checkpoints, last) = (against.signed.len(), against.signed.last());
        let signed = last.map_or(0, |last| last.position.seq);
        Ok(Verified { service, records: end.seq, hash: end.hash, checkpoints, signed, keys })
    }
}

/// What was signed, in order, and how much of it has been passed.
struct Against<'a> {
    signed: Vec<&'a Checkpoint>,
    next: usize,
    /// The last record up to which all is as it was signed.
    good: u64,
}

impl Against<'_> {
    /// Holds a place of the chain against what was signed of it.
    fn pass(&mut self, end: Position) -> Result<(), Damage> {
        while let Some(checkpoint) = self.signed.get(self.next).filter(|next| next.position.seq <= end.seq) {
            if checkpoint.position.seq == end.seq && checkpoint.position != end {
                return Err(Damage::Rewritten { from: self.good + 1 });
            }
            self.good = checkpoint.position.seq;
            self.next += 1;
        }
        Ok(())
    }

    /// Nothing that was signed may be missing at the end.
    fn end(&self, end: Position, elsewhere: &[Checkpoint]) -> Result<(), Fault> {
        let Some(missing) = self.signed.get(self.next) else { return Ok(()) };
        // What is missing by the word of a checkpoint kept elsewhere alone, an older copy of the folder lacks as a whole.
        let only_elsewhere = self.signed[self.next..].iter().all(|checkpoint| elsewhere.contains(checkpoint));
        let damage = if only_elsewhere { Damage::RolledBack } else { Damage::Missing };
        debug_assert!(missing.position.seq > end.seq, "what was passed is not missing");
        Err(journal::corrupt(end.seq + 1, damage))
    }
}

fn public(spki: &Spki) -> Result<VerifyingKey, Damage> {
    VerifyingKey::from_spki(&spki.0).map_err(|_| Damage::Undecodable)
}
