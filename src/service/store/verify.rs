//! Whether a data folder's journal is what was written: its chain, what its records bind, and what was signed of it.
//! Needs no root key, and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use sidekey_protocol::audit::{Checkpoint, Position};
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::ids::ServiceId;

use super::journal::read::Reader;
use super::journal::{self, Journal};
use super::open::JOURNAL;
use super::record::{Entry, Pruned, Record, Spki};
use super::{Store, checkpoints};
use crate::fault::{Damage, Fault};

/// A journal that holds together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Whose it is; absent when it has no record.
    pub service: Option<ServiceId>,
    /// The first record that it keeps.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The hash of that.
    pub hash: [u8; 32],
    /// Checkpoints that it was held against.
    pub checkpoints: usize,
    /// Checkpoints of places that it does not keep any more.
    pub unseen: usize,
    /// The last record that one of them covers.
    pub signed: u64,
    /// The service's signing keys, oldest first, as the journal names them.
    pub keys: Vec<VerifyingKey>,
}

impl Store {
    /// Reads the whole journal of a data folder, and changes nothing: every record must continue the chain, and the chain
    /// must be the one of every checkpoint that is kept beside it, and of those that were kept elsewhere. One that begins
    /// later than at its first record must say so itself, in a record that was signed.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] names the first record that is not as it was written; [`Fault::Io`], [`Fault::Missing`].
    pub fn verify(folder: &Path, elsewhere: &[Checkpoint]) -> Result<Verified, Fault> {
        let journal = folder.join(JOURNAL);
        loop {
            let begin = Reader::begin(&journal)?;
            let verified = verify(folder, begin, elsewhere);
            // A service that runs may have deleted meanwhile what was being read.
            if verified.is_ok() || Reader::begin(&journal)? == begin {
                return verified;
            }
        }
    }
}

fn verify(folder: &Path, begin: Position, elsewhere: &[Checkpoint]) -> Result<Verified, Fault> {
    // Before the journal, which may grow meanwhile.
    let here = checkpoints::read(folder)?;
    let mut signed: Vec<&Checkpoint> = elsewhere.iter().collect();
    for (line, kept) in here.iter().enumerate() {
        let kept = kept.as_ref().map_err(|_| journal::corrupt(line as u64 + 1, Damage::Checkpoint))?;
        signed.push(&kept.checkpoint);
    }
    // Of what is not kept any more, nothing can be said.
    let all = signed.len();
    signed.retain(|checkpoint| checkpoint.position.seq >= begin.seq);
    let unseen = all - signed.len();
    signed.sort_by_key(|checkpoint| checkpoint.position.seq);
    let mut against = Against { signed, next: 0, good: begin.seq };
    against.pass(begin).map_err(|damage| journal::corrupt(begin.seq + 1, damage))?;
    let journal = folder.join(JOURNAL);
    let mut told = Told::after(begin, Reader::starts(&journal)?);
    let end = Journal::verify(&journal, begin, |end, frame, body| {
        let entry = Entry::decode(body).map_err(|_| Damage::Undecodable)?;
        if entry.bound(frame.seq) != frame.entries {
            return Err(Damage::Entries);
        }
        told.hear(&entry.record, end)?;
        against.pass(end)
    })?;
    let said_in = told.begins_there(begin)?;
    // A checkpoint of a key that the journal does not know was made by somebody else, or the journal was.
    let known = |checkpoint: &&&Checkpoint| {
        Some(checkpoint.service) == told.service && told.keys.contains(&checkpoint.key)
    };
    if let Some(foreign) = against.signed.iter().find(|checkpoint| !known(checkpoint)) {
        return Err(journal::corrupt(foreign.position.seq, Damage::Signer));
    }
    against.end(end, elsewhere)?;
    let (checkpoints, last) = (against.signed.len(), against.signed.last());
    let signed = last.map_or(0, |last| last.position.seq);
    if said_in > signed {
        return Err(journal::corrupt(begin.seq + 1, Damage::Unsigned));
    }
    let Told { service, keys, .. } = told;
    let (first, last) = (begin.seq + 1, end.seq);
    Ok(Verified { service, first, last, hash: end.hash, checkpoints, unseen, signed, keys })
}

/// What the records say of the service, and of where the log begins.
struct Told {
    service: Option<ServiceId>,
    keys: Vec<VerifyingKey>,
    /// The hash before each segment's first record.
    places: BTreeMap<u64, Option<[u8; 32]>>,
    /// The first record that is kept, by the newest word of it.
    kept: u64,
    /// The first record that says so of the place where the log begins, or of one that is still to be reached.
    said_in: Option<u64>,
}

impl Told {
    fn after(begin: Position, starts: Vec<u64>) -> Self {
        let mut places: BTreeMap<_, _> = starts.into_iter().map(|first| (first, None)).collect();
        places.insert(begin.seq + 1, Some(begin.hash));
        Self { service: None, keys: Vec::new(), places, kept: 1, said_in: None }
    }

    fn hear(&mut self, record: &Record, end: Position) -> Result<(), Damage> {
        match record {
            Record::Created { service, key_public, .. } => {
                self.service = Some(*service);
                self.keys.push(public(key_public)?);
            }
            Record::KeyRotated(rotated) => self.keys.push(public(&rotated.public)?),
            Record::Pruned(pruned) => self.begin(pruned, end)?,
            _ => {}
        }
        if let Some(place) = self.places.get_mut(&(end.seq + 1)) {
            *place = Some(end.hash);
        }
        Ok(())
    }

    /// Where the log begins, by a record's word, it must have stood as that says; unless that went in its turn.
    fn begin(&mut self, pruned: &Pruned, end: Position) -> Result<(), Damage> {
        if self.places.first_key_value().is_some_and(|(&first, _)| first <= pruned.first) {
            if self.places.get(&pruned.first) != Some(&Some(pruned.previous.0)) {
                return Err(Damage::Pruned);
            }
            self.said_in = self.said_in.or(Some(end.seq));
        }
        let before = pruned.keys.iter().map(public).collect::<Result<Vec<_>, _>>()?;
        let since = std::mem::take(&mut self.keys).into_iter().filter(|key| !before.contains(key));
        self.keys = before.iter().cloned().chain(since).collect();
        (self.service, self.kept) = (Some(pruned.service), pruned.first);
        Ok(())
    }

    /// That the log may begin at this place, and the record that says so. Until all is deleted of which it says so, the log
    /// begins before.
    fn begins_there(&self, begin: Position) -> Result<u64, Fault> {
        match self.said_in {
            _ if begin == Position::START => Ok(0),
            Some(said_in) => Ok(said_in),
            None => Err(journal::corrupt(self.kept, Damage::Missing)),
        }
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
