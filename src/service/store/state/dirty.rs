//! What has changed since it was last written behind.

use super::Dirty;

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

    pub(super) fn opened(&mut self, handle: u32) {
        if self.tracked {
            self.opened.push(handle);
        }
    }
}
