//! Session roots: what the keys of a user's sessions derive from.

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::Timestamp;

use super::State;
use super::apply::Misfit;
use crate::store::at_rest::Sealed;
use crate::store::record::NewRoot;

/// A session root.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::store) struct Root {
    pub(in crate::store) id: [u8; 16],
    pub(in crate::store) user: u32,
    pub(in crate::store) made: Timestamp,
    pub(in crate::store) sealed: Sealed,
    /// Sessions whose keys derive from it.
    #[serde(skip)]
    pub(in crate::store) sessions: u32,
}

impl State {
    /// The root from which a session may derive that is opened at `now`.
    pub(in crate::store) fn root_of_epoch(&self, user: u32, now: Timestamp) -> Option<u32> {
        let number = self.users[user as usize].root?;
        let root = self.roots.get(&number)?;
        (now < root.made.after_s(EPOCH_S)).then_some(number)
    }

    pub(super) fn add_root(&mut self, user: u32, root: NewRoot, at: Timestamp) -> u32 {
        let number = self.global.next_root;
        self.global.next_root += 1;
        self.roots.insert(number, Root { id: root.id, user, made: at, sealed: root.sealed, sessions: 0 });
        let before = self.users[user as usize].root.replace(number);
        self.dirty.root(number);
        self.dirty.user(user);
        if let Some(before) = before
            && self.roots.get(&before).is_some_and(|root| root.sessions == 0)
        {
            self.drop_root(before);
        }
        number
    }

    /// Moves a session onto another root.
    pub(super) fn move_to_root(&mut self, handle: u32, number: u32) -> Result<(), Misfit> {
        self.roots.get_mut(&number).ok_or(Misfit)?.sessions += 1;
        let slot = self.slot_mut(handle)?;
        let before = std::mem::replace(&mut slot.root, number);
        self.leave_root(before);
        Ok(())
    }

    /// One session less on a root; the last one takes it along, unless more may come.
    pub(super) fn leave_root(&mut self, number: u32) {
        let Some(root) = self.roots.get_mut(&number) else { return };
        root.sessions -= 1;
        if root.sessions == 0 && self.users[root.user as usize].root != Some(number) {
            self.drop_root(number);
        }
    }

    pub(super) fn drop_root(&mut self, number: u32) {
        let Some(root) = self.roots.remove(&number) else { return };
        self.dirty.root(number);
        let user = &mut self.users[root.user as usize];
        if user.root == Some(number) {
            user.root = None;
            self.dirty.user(root.user);
        }
    }

    /// Forgets what no session derives from, nor ever will.
    pub(super) fn sweep_roots(&mut self, now: Timestamp) {
        let unused: Vec<u32> = self
            .roots
            .iter()
            .filter(|(_, root)| root.sessions == 0 && root.made.after_s(EPOCH_S) <= now)
            .map(|(&number, _)| number)
            .collect();
        for number in unused {
            self.drop_root(number);
        }
    }
}

/// Seconds that one session root serves.
const EPOCH_S: u32 = 86_400;
