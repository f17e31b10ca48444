//! The base: a whole state in a file of its own, for a journal that does not begin at its first record any more.
//!
//! ```text
//!   base  "SKBASE01" · tag 32 · text        tag = HMAC-SHA-256(state key, "=base" ‖ text)
//! ```
//! What the journal says from the base's position on makes the state. So the state is on disk twice, in the pages behind
//! the journal and here: either may be lost. The tag also says that it was the service that let go of what was before:
//! whoever deletes a segment by hand cannot make one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::{Secret, equal, mac};
use sidekey_protocol::ids::Timestamp;

use super::at_rest::AtRest;
use super::journal::read::Reader;
use super::journal::{Position, corrupt};
use super::open::{JOURNAL, redo};
use super::pages::{Altered, Loader, decode, decode_head, encode};
use super::state::State;
use crate::fault::{Damage, Fault};
use crate::files;

/// Its first two are read alone, too.
#[derive(Deserialize, Serialize)]
struct Text {
    seq: u64,
    hash: [u8; 32],
    last_at: Timestamp,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why a base is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Altered(#[from] Altered),
    #[error("read the base")]
    Io(#[from] io::Error),
}

/// A base that the service wrote: its tag was verified. The state in it is not looked at before it is needed.
pub(super) struct Base {
    position: Position,
    text: Vec<u8>,
}

/// The base of a data folder; `None` when there is none.
pub(super) fn open(folder: &Path, key: &Secret<32>) -> Result<Option<Base>, Unusable> {
    let bytes = match fs::read(folder.join(NAME)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (tag, text) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_at_checked(32)).ok_or(Altered)?;
    equal(tag, &mac(key, &[WHAT, text])).map_err(|_| Altered)?;
    let (seq, hash) = decode_head(text).ok_or(Altered)?;
    Ok(Some(Base { position: Position { seq, hash }, text: text.to_vec() }))
}

impl Base {
    /// After which record it stands.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// The state then.
    pub(super) fn state(&self) -> Result<State, Unusable> {
        let Text { last_at, values, .. } = decode(&self.text).ok_or(Altered)?;
        let mut loader = Loader::default();
        for (key, value) in &values {
            loader.take(key, value)?;
        }
        Ok(loader.finish(self.position, last_at)?.0)
    }
}

fn read(folder: &Path, key: &Secret<32>) -> Result<Option<State>, Unusable> {
    open(folder, key)?.map(|base| base.state()).transpose()
}

/// Writes a state as the base of a data folder, durable, in place of the one before, and reads it again: it must come to
/// the same.
pub(super) fn write(folder: &Path, key: &Secret<32>, state: &State) -> Result<(), Fault> {
    let Position { seq, hash } = state.position;
    let values = state.values();
    let text = encode(&Text { seq, hash, last_at: state.last_at, values: values.clone() });
    let bytes = [MAGIC, mac(key, &[WHAT, &text]).as_slice(), &text].concat();
    files::write(&folder.join(NAME), &bytes, 0o600).map_err(|bad| Fault::io("write the base")(bad.into()))?;
    match read(folder, key) {
        Ok(Some(written)) if written.position == state.position && written.values() == values => Ok(()),
        _ => Err(corrupt(seq + 1, Damage::Base)),
    }
}

/// Writes the state after the record `last` as the base of a data folder, made of the present base and of the journal
/// alone, and returns it: nobody waits for it meanwhile.
pub(super) fn advance(at_rest: &AtRest, last: u64) -> Result<State, Fault> {
    let (folder, key) = (at_rest.folder(), at_rest.state_key());
    let mut state = match read(folder, &key) {
        Ok(state) => state.unwrap_or_default(),
        Err(_) => return Err(corrupt(last + 1, Damage::Base)),
    };
    if state.position.seq >= last {
        return Ok(state);
    }
    let mut reader = Reader::new(&folder.join(JOURNAL), state.position.seq, last)?;
    while let Some(found) = reader.next()? {
        let seq = found.end.seq;
        if found.before != state.position {
            return Err(corrupt(seq, Damage::Chain));
        }
        redo(&mut state, found.end, &found.body).map_err(|damage| corrupt(seq, damage))?;
    }
    state.carry(usize::MAX);
    write(folder, &key, &state)?;
    Ok(state)
}

const NAME: &str = "base";
const MAGIC: &[u8] = b"SKBASE01";
/// What the tag is over, besides the text.
const WHAT: &[u8] = b"=base";
