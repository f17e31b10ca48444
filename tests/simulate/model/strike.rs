//! What a revocation takes along.

use sidekey_protocol::ids::{Role, ServerName, UserName};
use sidekey_protocol::revocation::Target;

use super::{Credential, Known, Model, Pairing};

impl Model {
    /// Something was revoked, and what belongs to it.
    pub(super) fn strike(&mut self, target: &Target, over: Known) {
        // What is not the target itself may end with it.
        let follows = over.min(Known::Perhaps);
        match target {
            Target::Invitation { invitation } => {
                let Some(invitation) = self.invitations.get_mut(invitation) else { return };
                // What is used is as good as cancelled, and its pairing lives.
                let used = invitation.perhaps_used;
                invitation.over = invitation.over.max(if used { follows } else { over });
            }
            Target::Pairing { pairing } => {
                let Some(struck) = self.pairings.get_mut(pairing) else { return };
                struck.over = struck.over.max(over);
                let Pairing { role, server, user, .. } = struck.clone();
                let is_live = |other: &Pairing| other.user == user && other.over == Known::No;
                let others = self.pairings.values().any(|other| other.server == server && is_live(other));
                for session in self.sessions.values_mut().filter(|session| session.server == server) {
                    // The others go on, where there are any.
                    let its =
                        session.only == Some(*pairing) || user.as_ref() == Some(&session.user) && !others;
                    if role == Role::Server || its {
                        session.over = session.over.max(follows);
                    }
                }
            }
            Target::Session { session } => self.end(*session, over),
            Target::Server { server } => self.strike_where(|at, _| at == server, over),
            Target::User { server, user } => {
                self.strike_where(|at, whose| at == server && whose == Some(user), over);
            }
            Target::Credential { credential } => {
                let struck = |kept: &mut Credential| kept.over = kept.over.max(over);
                self.credentials.entry(*credential).and_modify(struck);
            }
        }
    }

    fn strike_where(&mut self, is_in: impl Fn(&ServerName, Option<&UserName>) -> bool, over: Known) {
        for pairing in self.pairings.values_mut().filter(|p| is_in(&p.server, p.user.as_ref())) {
            pairing.over = pairing.over.max(over);
        }
        for session in self.sessions.values_mut().filter(|s| is_in(&s.server, Some(&s.user))) {
            session.over = session.over.max(over);
        }
        for credential in self.credentials.values_mut().filter(|c| is_in(&c.server, Some(&c.user))) {
            credential.over = credential.over.max(over);
        }
        for invitation in self.invitations.values_mut().filter(|i| is_in(&i.server, i.user.as_ref())) {
            invitation.over = invitation.over.max(over.min(Known::Perhaps));
            if invitation.used.is_some() {
                invitation.struck = invitation.struck.max(over);
            }
        }
    }
}
