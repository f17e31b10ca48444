//! A party's own entries, and what proves them (proto/audit/spec.md, section 5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Action, Checkpoint, Entry, Frame, Position, entries, entry_hash};
use crate::crypto::VerifyingKey;
use crate::encoding::{Bytes, Octets};
use crate::ids::{PartyId, Role, ServerName, ServiceId, UserName};

/// Answer to `GET /v1/audit/proof`: records without a gap, so far as the caller may see them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The record before the first.
    pub after: u64,
    /// Its hash: 32 zero octets before the first of all.
    pub previous: Octets<32>,
    /// The records, in their order.
    pub records: Vec<ProofPart>,
    /// The service's word for where its chain stands after the last of them; absent when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// One or more records.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum ProofPart {
    /// Records of which nothing concerns the caller: their leaves, 32 octets each.
    Leaves(Bytes),
    /// A record of which something does.
    Record(ProofRecord),
}

/// A record, with what of it concerns the caller.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProofRecord {
    /// Its place among those that became durable together.
    pub nth: u16,
    /// Octets of its body.
    pub size: u32,
    /// `SHA-256(body)`.
    pub body: Octets<32>,
    /// All of its entries, in their order.
    pub entries: Vec<ProofEntry>,
}

/// An entry, or what stands for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum ProofEntry {
    /// Another's: its hash.
    Hash(Octets<32>),
    /// The caller's own.
    Entry {
        /// Its salt.
        salt: Octets<16>,
        /// The text that was hashed.
        text: String,
    },
}

/// Query of `GET /v1/audit/proof`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProofQuery {
    /// From the record after this one on; from the first that is kept unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// It does not go on where the last one ended: the chain was rewritten, or rolled back.
    #[error("the chain does not continue what was seen of it")]
    ChainForeign,
    /// It begins later than at its first record, and none of its entries says that what was before was pruned.
    #[error("the chain begins later than at its first record, and does not say why")]
    ChainUnpruned,
    /// The checkpoint is of another service, or not signed by its key.
    #[error("the checkpoint is not this service's")]
    CheckpointForeign,
    /// The checkpoint is of another chain than the one that was shown.
    #[error("the chain that was shown is not the one that was signed")]
    CheckpointOther,
    /// A text is no entry of its record.
    #[error("malformed entry")]
    EntryMalformed,
    /// Not a whole number of leaves.
    #[error("malformed leaves")]
    LeavesMalformed,
    /// It ends before what was signed: the service was put back to an older copy.
    #[error("records that were signed are missing at the end of the chain")]
    RolledBack,
}

/// A walk along the chain: pages in, entries out, and at its end what the service signed.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// After the last record that was walked over.
    end: Option<Position>,
    /// Where it must come by.
    marks: BTreeMap<u64, [u8; 32]>,
    /// Whatever was told on the way.
    entries: Vec<Entry>,
    /// Where the chain begins, when it was walked over from its beginning and that is not at its first record.
    pruned: Option<Position>,
}

impl Walk {
    /// Begins after a record whose hash is known, or at the beginning.
    #[must_use]
    pub fn after(known: Option<Position>) -> Self {
        Self { end: known, ..Self::default() }
    }

    /// That it must come by a place that was signed before.
    #[must_use]
    pub fn by(mut self, place: Position) -> Self {
        self.marks.insert(place.seq, place.hash);
        self
    }

    /// The last record that was walked over; `None` before the first.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.end.map(|end| end.seq)
    }

    /// The places that it must come by and cannot, since the chain begins after them.
    #[must_use]
    pub fn passed_over(&self) -> usize {
        let begin = self.pruned.map_or(0, |begin| begin.seq);
        self.marks.range(..begin).count()
    }

    /// Walks over a page, and says whether it was the last.
    ///
    /// # Errors
    /// [`Reject`].
    pub fn take(&mut self, page: &Proof, service: ServiceId, keys: &[VerifyingKey]) -> Result<bool, Reject> {
        let begin = Position { seq: page.after, hash: page.previous.0 };
        if self.end.is_some_and(|end| end != begin) || begin.seq == 0 && begin != Position::START {
            return Err(Reject::ChainForeign);
        }
        // Where nothing is known, the chain may begin later than at its first record. Then an entry of it names that place.
        let pruned = if self.end.is_none() && begin.seq > 0 { Some(begin) } else { self.pruned };
        let (mut end, mut told) = (begin, Vec::new());
        self.pass(end)?;
        for part in &page.records {
            match part {
                ProofPart::Leaves(leaves) => {
                    let (leaves, rest) = leaves.0.as_chunks::<32>();
                    if !rest.is_empty() {
                        return Err(Reject::LeavesMalformed);
                    }
                    for leaf in leaves {
                        end = end.next(leaf);
                        self.pass(end)?;
                    }
                }
                ProofPart::Record(record) => {
                    end = record.open(end, &mut told)?;
                    self.pass(end)?;
                }
            }
        }
        if let Some(checkpoint) = &page.checkpoint {
            let checkpoint = Checkpoint::read(checkpoint).map_err(|_| Reject::CheckpointForeign)?;
            if checkpoint.service != service || !keys.contains(&checkpoint.key) {
                return Err(Reject::CheckpointForeign);
            }
            if checkpoint.position != end {
                return Err(Reject::CheckpointOther);
            }
            if self.marks.last_key_value().is_some_and(|(&seq, _)| seq > end.seq) {
                return Err(Reject::RolledBack);
            }
            if pruned
                .is_some_and(|begin| !self.entries.iter().chain(&told).any(|entry| entry.begins_at(begin)))
            {
                return Err(Reject::ChainUnpruned);
            }
        }
        (self.end, self.pruned) = (Some(end), pruned);
        self.entries.append(&mut told);
        Ok(page.checkpoint.is_some())
    }

    fn pass(&self, end: Position) -> Result<(), Reject> {
        match self.marks.get(&end.seq) {
            Some(hash) if *hash != end.hash => Err(Reject::ChainForeign),
            _ => Ok(()),
        }
    }

    /// What was told on the way, and where the chain stands. Proven once the last page was walked over.
    #[must_use]
    pub fn finish(self) -> (Vec<Entry>, Position) {
        (self.entries, self.end.unwrap_or(Position::START))
    }
}

impl Entry {
    /// Whether it says that the log begins after `place`.
    fn begins_at(&self, place: Position) -> bool {
        self.action == Action::LogPruned
            && self.first == Some(place.seq + 1)
            && self.previous == Some(Octets(place.hash))
    }
}

impl ProofRecord {
    /// After this record, which follows `before`.
    fn open(&self, before: Position, told: &mut Vec<Entry>) -> Result<Position, Reject> {
        let seq = before.seq + 1;
        let mut hashes = Vec::with_capacity(self.entries.len());
        for (item, entry) in self.entries.iter().enumerate() {
            hashes.push(match entry {
                ProofEntry::Hash(hash) => hash.0,
                ProofEntry::Entry { salt, text } => {
                    let said: Entry = serde_json::from_str(text).map_err(|_| Reject::EntryMalformed)?;
                    if said.seq != seq || usize::from(said.item) != item || said.hash.is_some() {
                        return Err(Reject::EntryMalformed);
                    }
                    let hash = entry_hash(&salt.0, text);
                    told.push(said);
                    hash
                }
            });
        }
        let frame = Frame { size_bytes: self.size, seq, nth: self.nth, entries: entries(&hashes) };
        Ok(before.next(&frame.leaf(&self.body.0)))
    }
}

/// Who asks: an administrator has no place.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its id.
    pub party: PartyId,
    /// Its role, server and user.
    pub place: Option<(Role, &'a ServerName, Option<&'a UserName>)>,
}

impl Asker<'_> {
    /// Whether an entry is its own: what it did, what was done to it, and what holds for all at its place.
    #[must_use]
    pub fn may_see(&self, entry: &Entry) -> bool {
        let Some((role, server, user)) = self.place else { return true };
        if entry.pairing == Some(self.party) || entry.by == Some(self.party) {
            return true;
        }
        if entry.server.is_none() {
            return matches!(entry.action, Action::PolicySet | Action::LogPruned);
        }
        // Whoever knows an invitation can spend its attempts.
        if entry.invitation.is_some() || entry.server.as_ref() != Some(server) {
            return false;
        }
        match role {
            Role::Server => true,
            Role::Client => entry.pairing.is_none() && (entry.user.is_none() || entry.user.as_ref() == user),
        }
    }
}

#[cfg(test)]
mod tests;
