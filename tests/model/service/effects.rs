//! What a record does once it is durable, and what is answered then.

use super::{Pairing, Request, Service, Session};
use crate::attacker::Attacker;
use crate::rules::{Rules, Weakness};
use crate::terms::{Ephemeral, Grant, Message, Renewal, Root, SessionKey, Transcript};

impl Service {
    pub(super) fn apply(&mut self, request: Request, rules: &Rules) {
        match request {
            Request::Begin { invitation, .. } => self.invitations[usize::from(invitation)].spent += 1,
            Request::Finish { exchange, pinned } => {
                let invitation = usize::from(exchange.invitation);
                self.too_late |= self.acknowledged.invitations[invitation];
                self.invitations[invitation].used = !rules.is(Weakness::InvitationOutlivesUse);
                self.pairings.push(Pairing::of(exchange, pinned, rules));
            }
            Request::Fetch { kek } => self.use_epoch(kek.exchange, rules),
            Request::Rekey { kek, point } => {
                let service = self.draw(kek.exchange.invitation);
                self.change(kek.exchange, |found| {
                    found.renewed += 1;
                    found.next = kek.renewed(Renewal { party: point, service });
                });
                if rules.is(Weakness::RekeyTakesEffectAtOnce) {
                    self.use_epoch(kek.exchange, rules);
                }
            }
            Request::Approve { exchange } => self.change(exchange, |found| found.approved = true),
            Request::Match { exchange } => self.change(exchange, |found| found.matched = true),
            Request::Open => {
                self.roots += 1;
                self.session = Some(Session { key: SessionKey { root: self.roots, generation: 0 } });
            }
            Request::Cancel { invitation } => {
                let cancelled = &mut self.invitations[usize::from(invitation)];
                (cancelled.cancelled, cancelled.exchange) = (true, None);
            }
            Request::Revoke { exchange } => self.revoke(exchange, rules),
        }
    }

    /// The next epoch becomes the current one, and the one before is erased (pairing/spec.md section 9).
    fn use_epoch(&mut self, exchange: Transcript, rules: &Rules) {
        self.change(exchange, |found| {
            let Some(next) = found.next.take() else { return };
            let before = std::mem::replace(&mut found.root, next);
            if rules.is(Weakness::RekeyKeepsPredecessor) {
                found.kept.push(before);
            }
        });
    }

    fn change(&mut self, exchange: Transcript, change: impl FnOnce(&mut Pairing)) {
        if let Some(found) = self.pairings.iter_mut().find(|pairing| pairing.exchange == exchange) {
            change(found);
        }
    }

    /// The user's session goes on for those who are left, in its next generation and under a fresh session root; where
    /// nobody is left it ends (revocation/spec.md section 2).
    fn revoke(&mut self, exchange: Transcript, rules: &Rules) {
        self.change(exchange, |found| found.revoked = true);
        if rules.is(Weakness::RevocationWithoutRotation) {
            return;
        }
        let anybody = self.pairings.iter().any(Pairing::is_active);
        self.session = self.session.take().filter(|_| anybody).map(|session| {
            self.roots += 1;
            Session { key: SessionKey { root: self.roots, generation: session.key.generation + 1 } }
        });
    }

    /// The session's key, wrapped for whoever asks, if that is live and uses the epoch that it is in: all of one moment.
    pub(super) fn give(&mut self, kek: Root, attacker: &mut Attacker, rules: &Rules) {
        let Some(found) = self.pairing(kek.exchange) else { return };
        let used = found.root == kek || (found.next == Some(kek) && rules.is(Weakness::UseBeforeDurable));
        let live = found.is_active() || rules.is(Weakness::LiveOutsideRead);
        let Some(Session { key }) = self.session.filter(|_| used && live) else { return };
        self.too_late |= self.acknowledged.pairing == Some(kek.exchange);
        attacker.heard.insert(match rules.is(Weakness::KeyUnwrapped) {
            true => Message::Bare(key),
            false => Message::Envelope { root: kek, key },
        });
    }

    /// The answer to a `finish`, whoever asks again: it was stored with the pairing that it made.
    pub(crate) fn grant(&self, exchange: Transcript, attacker: &mut Attacker) {
        attacker.heard.extend(self.pairing(exchange).map(|pairing| {
            let active = pairing.is_active();
            Message::Finished(Grant { exchange, active })
        }));
    }

    /// The answer to a rekey: the epoch that it made waits still, or is in use already.
    pub(super) fn confirm_renewal(&self, kek: Root, point: Ephemeral, attacker: &mut Attacker) {
        let Some(found) = self.pairing(kek.exchange) else { return };
        let made = |root: &Root| {
            root.before().is_some_and(|(before, renewal)| before == kek && renewal.party == point)
        };
        attacker.heard.extend(found.next.into_iter().chain([found.root]).filter(made).map(Message::Rekeyed));
    }

    /// An administrator is told that it is revoked.
    pub(super) const fn acknowledge(&mut self, request: Request) {
        match request {
            Request::Cancel { invitation } => self.acknowledged.invitations[invitation as usize] = true,
            Request::Revoke { exchange } => self.acknowledged.pairing = Some(exchange),
            _ => {}
        }
    }
}
