//! What has changed since it was last written behind.

use super::Dirty;
use super::policy::Reach;

macro_rules! mark {
    ($($name:ident in $set:ident;)*) => {
        $(pub(in crate::store) fn $name(&mut self, handle: u32) {
            if self.tracked {
                self.$set.insert(handle);
            }
        })*
    };
}

impl Dirty {
    mark! {
        changed in changed;
        delivery in deliveries;
        invitation in invitations;
        party in parties;
        root in roots;
        server in servers;
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
