//! What has changed since it was last written behind.

use std::collections::BTreeSet;

use super::State;
use super::policy::Reach;

/// What has changed since it was last written behind.
#[derive(Debug, Default)]
pub(in crate::store) struct Dirty {
    /// Off where nothing is written behind.
    pub(in crate::store) tracked: bool,
    /// What there is one of, where nothing else tells.
    pub(in crate::store) global: bool,
    pub(in crate::store) servers: BTreeSet<u32>,
    pub(in crate::store) users: BTreeSet<u32>,
    pub(in crate::store) parties: BTreeSet<u32>,
    pub(in crate::store) invitations: BTreeSet<u32>,
    pub(in crate::store) roots: BTreeSet<u32>,
    /// Sessions that are on no page yet, in order of issue.
    pub(in crate::store) opened: Vec<u32>,
    pub(in crate::store) changed: BTreeSet<u32>,
    pub(in crate::store) policies: BTreeSet<Reach>,
    pub(in crate::store) deliveries: BTreeSet<u32>,
    pub(in crate::store) tallies: BTreeSet<u32>,
    pub(in crate::store) credentials: BTreeSet<u32>,
}

macro_rules! mark {
    ($($name:ident in $set:ident;)*) => {
        $(pub(in crate::store) fn $name(&mut self, handle: u32) {
            if self.tracked {
                self.$set.insert(handle);
            }
        })*
    };
}

impl State {
    /// Marks all of it as changed: for a place on disk that holds nothing of it.
    pub(in crate::store) fn touch_all(&mut self) {
        let all = |count: usize| (0..count as u32).collect();
        self.dirty = Dirty {
            tracked: true,
            global: true,
            servers: all(self.servers.len()),
            users: all(self.users.len()),
            parties: all(self.parties.len()),
            deliveries: self.outbox.numbers().collect(),
            tallies: self.tallies.numbers().collect(),
            credentials: self.credentials.numbers().collect(),
            invitations: self.invitations.keys().copied().collect(),
            roots: self.roots.keys().copied().collect(),
            opened: self.in_order_of_issue(),
            changed: std::collections::BTreeSet::new(),
            policies: self.policies.keys().copied().collect(),
        };
    }

    /// The handles of all sessions, oldest first.
    pub(in crate::store) fn in_order_of_issue(&self) -> Vec<u32> {
        let mut handles: Vec<u32> =
            self.users.iter().flat_map(|user| self.sessions.list(user.sessions)).collect();
        handles.reverse();
        // A user's own are in order already, and stay so.
        handles.sort_by_key(|&handle| self.sessions.get(handle).map(|slot| slot.not_before));
        handles
    }
}

impl Dirty {
    mark! {
        changed in changed;
        credential in credentials;
        delivery in deliveries;
        invitation in invitations;
        party in parties;
        root in roots;
        server in servers;
        tally in tallies;
        user in users;
    }

    /// A session that is gone needs no writing.
    pub(super) fn forget(&mut self, handle: u32) {
        self.changed.remove(&handle);
        self.opened.retain(|&opened| opened != handle);
    }

    pub(super) fn policy(&mut self, reach: Reach) {
        if self.tracked {
            self.policies.insert(reach);
        }
    }

    pub(super) fn opened(&mut self, handle: u32) {
        if self.tracked {
            self.opened.push(handle);
        }
    }
}
