//! What a record says in words: the entries of the audit log (proto/audit/spec.md, section 2). No secret is among them,
//! sealed or not. What is said here is bound by the chain: an entry of a record that was ever written never changes.

use sidekey_protocol::audit::{self, Action, entries, entry_hash, entry_salt};
use sidekey_protocol::crypto::sha256;
use sidekey_protocol::delivery::Outcome;
use sidekey_protocol::encoding::base64url;
use sidekey_protocol::ids::{CredentialId, InvitationId, PartyId, ServerName, SessionId, UserName};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::revocation::wire::Revoked;

use super::record::{Change, CredentialIssued, Entry, Opened, Record, Turn, Whom, Word};
use super::state::State;
use super::state::sessions::NONE;

impl Entry {
    /// What the record says, as that of this number.
    pub(super) fn lines(&self, seq: u64) -> Vec<audit::Entry> {
        let lines = self.said(seq);
        let number = |(item, line): (usize, audit::Entry)| audit::Entry { item: item as u16, ..line };
        lines.into_iter().enumerate().map(number).collect()
    }

    /// What binds that.
    pub(super) fn bound(&self, seq: u64) -> [u8; 32] {
        let hash = |line: audit::Entry| entry_hash(&entry_salt(&self.salt, line.item), &line.text());
        entries(&self.lines(seq).into_iter().map(hash).collect::<Vec<_>>())
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm for each kind of record")]
    fn said(&self, seq: u64) -> Vec<audit::Entry> {
        let line = |action| audit::Entry::new(seq, self.at, self.by, action);
        let of = |whom: Option<&Whom>, action| placed(line(action), whom);
        let here = |action| of(self.whom.first(), action);
        let one = match &self.record {
            Record::Created { service, admin, label, .. } => audit::Entry {
                service: Some(*service),
                pairing: Some(*admin),
                label: Some(label.clone()),
                ..line(Action::ServiceCreated)
            },
            Record::ServerAdded { server } => {
                audit::Entry { server: Some(server.clone()), ..line(Action::ServerAdded) }
            }
            Record::Invited { invitation, role, server, user, expires, .. } => audit::Entry {
                server: Some(server.clone()),
                user: user.clone(),
                role: Some(*role),
                invitation: Some(*invitation),
                not_after: Some(*expires),
                ..line(Action::InvitationCreated)
            },
            Record::AttemptSpent { invitation } => {
                audit::Entry { invitation: Some(*invitation), ..here(Action::InvitationAttemptSpent) }
            }
            Record::InvitationSpent { invitation } => {
                let both = [Action::InvitationAttemptSpent, Action::InvitationSpent];
                let line = |action| audit::Entry { invitation: Some(*invitation), ..here(action) };
                return both.map(line).into();
            }
            Record::Confirmed(confirmed) => audit::Entry {
                invitation: Some(confirmed.invitation),
                pairing: Some(confirmed.pairing),
                label: Some(confirmed.label.clone()),
                pinned: Some(confirmed.pinned),
                epoch: Some(0),
                not_after: Some(confirmed.epoch_not_after),
                ..here(Action::PairingConfirmed)
            },
            Record::Used { .. } => here(Action::PairingUsed),
            Record::FinishConflict { .. } => here(Action::PairingFinishConflict),
            Record::Opened(opened) => session(line(Action::SessionOpened), opened),
            Record::BatchOpened(opened) => {
                let line = |opened| session(line(Action::SessionOpened), opened);
                return opened.iter().map(line).collect();
            }
            Record::Rotated { session } => {
                audit::Entry { session: Some(*session), ..here(Action::SessionRotated) }
            }
            Record::Ended { session } => {
                audit::Entry { session: Some(*session), ..here(Action::SessionEnded) }
            }
            Record::Revoked { target, reason, .. } => {
                audit::Entry { reason: Some(reason.clone()), ..struck(target, here) }
            }
            Record::Resealed { secrets } => {
                audit::Entry { count: Some(secrets.len() as u64), ..line(Action::SecretsResealed) }
            }
            Record::Rekeyed(rekeyed) => audit::Entry {
                epoch: Some(rekeyed.epoch),
                not_after: Some(rekeyed.answer.not_after),
                ..here(Action::PairingRekeyed)
            },
            Record::EpochUsed { epoch, .. } => {
                audit::Entry { epoch: Some(*epoch), ..here(Action::PairingEpochUsed) }
            }
            Record::Lapsed { .. } => {
                return self.whom.iter().map(|whom| of(Some(whom), Action::PairingLapsed)).collect();
            }
            Record::Approval { word, .. } => match word {
                Word::Approved => here(Action::PairingApproved),
                Word::Mistaken => here(Action::PairingDigitsMistaken),
                Word::Matched => here(Action::PairingMatched),
                Word::Refused { reason } => {
                    audit::Entry { reason: reason.clone(), ..here(Action::PairingRefused) }
                }
            },
            Record::ClockAccepted { behind_s } => {
                audit::Entry { count: Some((*behind_s).into()), ..line(Action::ClockAccepted) }
            }
            Record::HeadShown { head, .. } => {
                audit::Entry { count: Some(head.n()), ..line(Action::RollbackFound) }
            }
            Record::RevocationsReported(told) => {
                let told = self.lost(told, of);
                return told
                    .map(|line| audit::Entry { action: Action::RevocationReported, ..line })
                    .collect();
            }
            Record::RestoreAccepted(accepted) => {
                let count = Some(accepted.revocations);
                let first = audit::Entry { count, ..line(Action::RestoreAccepted) };
                let all = accepted.revoke_all_but.as_ref().map(|except| audit::Entry {
                    count: Some(except.len() as u64),
                    ..line(Action::AllRevoked)
                });
                return [first].into_iter().chain(self.lost(&accepted.reapplied, of)).chain(all).collect();
            }
            Record::KeyRotated(rotated) => audit::Entry {
                epoch: Some(rotated.number),
                kid: Some(base64url(&sha256(&rotated.public.0)[..16])),
                not_after: Some(rotated.until),
                ..line(Action::SigningKeyRotated)
            },
            Record::Addressed { carrier, to, .. } => {
                let action = if to.is_some() { Action::AddressSet } else { Action::AddressCleared };
                audit::Entry { carrier: Some(carrier.clone()), ..here(action) }
            }
            Record::Deliveries { turns } => {
                let line = |(turn, whom): (&Turn, &Whom)| delivery(turn, |action| of(Some(whom), action));
                return turns.iter().zip(&self.whom).map(line).collect();
            }
            Record::Pruned(pruned) => audit::Entry {
                service: Some(pruned.service),
                count: Some(pruned.records),
                first: Some(pruned.first),
                previous: Some(pruned.previous),
                ..line(Action::LogPruned)
            },
            Record::CredentialIssued(issued) => credential(line(Action::CredentialIssued), issued),
            Record::PolicySet { server, user, .. } => {
                audit::Entry { server: server.clone(), user: user.clone(), ..line(Action::PolicySet) }
            }
        };
        vec![one]
    }
}

impl Entry {
    /// Of each revocation that an older copy has lost.
    fn lost<'a>(
        &'a self,
        revocations: &'a [Revoked],
        of: impl Fn(Option<&Whom>, Action) -> audit::Entry + Copy + 'a,
    ) -> impl Iterator<Item = audit::Entry> + 'a {
        revocations.iter().zip(&self.whom).map(move |(Revoked { target, reason, .. }, whom)| audit::Entry {
            reason: Some(reason.clone()),
            ..struck(target, |action| of(Some(whom), action))
        })
    }
}

fn placed(line: audit::Entry, whom: Option<&Whom>) -> audit::Entry {
    let Some(Whom { role, server, user, pairing }) = whom.cloned() else { return line };
    audit::Entry { role, server: Some(server), user, pairing, ..line }
}

fn session(line: audit::Entry, opened: &Opened) -> audit::Entry {
    audit::Entry {
        server: Some(opened.server.clone()),
        user: Some(opened.user.clone()),
        pairing: opened.audience,
        session: Some(opened.session),
        suite: Some(opened.suite),
        not_after: Some(opened.not_after),
        ..line
    }
}

fn credential(line: audit::Entry, issued: &CredentialIssued) -> audit::Entry {
    audit::Entry {
        server: Some(issued.server.clone()),
        user: Some(issued.user.clone()),
        credential: Some(issued.credential),
        label: Some(issued.label.as_str().to_owned()),
        not_after: issued.expires,
        ..line
    }
}

fn delivery(turn: &Turn, here: impl Fn(Action) -> audit::Entry) -> audit::Entry {
    let action = match &turn.change {
        Change::Claimed { .. } => Action::DeliveryTried,
        Change::Settled { outcome: Outcome::Sent { .. }, .. } => Action::DeliverySent,
        Change::Settled { outcome: Outcome::PutOff { .. }, .. } => Action::DeliveryPutOff,
        Change::Settled { outcome: Outcome::GivenUp { .. }, .. } | Change::GivenUp { .. } => {
            Action::DeliveryGivenUp
        }
        Change::Reported { .. } => Action::DeliveryReported,
        Change::Retried => Action::DeliveryRetried,
        Change::Cancelled => Action::DeliveryCancelled,
    };
    let (carrier, delivery) = (Some(turn.carrier.clone()), Some(turn.delivery));
    audit::Entry { carrier, delivery, ..here(action) }
}

fn struck(target: &Target, here: impl Fn(Action) -> audit::Entry) -> audit::Entry {
    match target {
        Target::Credential { credential } => {
            audit::Entry { credential: Some(*credential), ..here(Action::CredentialRevoked) }
        }
        Target::Invitation { invitation } => {
            audit::Entry { invitation: Some(*invitation), ..here(Action::InvitationRevoked) }
        }
        Target::Pairing { pairing } => {
            audit::Entry { pairing: Some(*pairing), ..here(Action::PairingRevoked) }
        }
        Target::Server { server } => {
            audit::Entry { server: Some(server.clone()), ..here(Action::ServerRevoked) }
        }
        Target::Session { session } => {
            audit::Entry { session: Some(*session), ..here(Action::SessionRevoked) }
        }
        Target::User { server, user } => audit::Entry {
            server: Some(server.clone()),
            user: Some(user.clone()),
            ..here(Action::UserRevoked)
        },
    }
}

/// Whom a record concerns that does not say so itself.
impl State {
    pub(super) fn whom(&self, record: &Record) -> Vec<Whom> {
        let one = match record {
            Record::AttemptSpent { invitation } | Record::InvitationSpent { invitation } => {
                self.invited_whom(*invitation)
            }
            Record::Confirmed(confirmed) => self.invited_whom(confirmed.invitation),
            Record::Used { pairing }
            | Record::EpochUsed { pairing, .. }
            | Record::FinishConflict { pairing }
            | Record::Addressed { pairing, .. }
            | Record::Approval { pairing, .. } => self.paired_whom(*pairing),
            Record::Deliveries { turns } => {
                return turns.iter().filter_map(|turn| self.delivery_whom(turn.delivery)).collect();
            }
            Record::Rekeyed(rekeyed) => self.paired_whom(rekeyed.pairing),
            Record::Rotated { session } | Record::Ended { session } => self.session_whom(*session),
            Record::Revoked { target, .. } => match target {
                Target::Credential { .. }
                | Target::Invitation { .. }
                | Target::Pairing { .. }
                | Target::Session { .. } => self.target_whom(target),
                Target::Server { .. } | Target::User { .. } => None,
            },
            Record::RevocationsReported(told) => return self.whom_of_each(told),
            Record::RestoreAccepted(accepted) => return self.whom_of_each(&accepted.reapplied),
            Record::Lapsed { pairings } => {
                return pairings.iter().filter_map(|&pairing| self.paired_whom(pairing)).collect();
            }
            Record::Created { .. }
            | Record::ServerAdded { .. }
            | Record::Invited { .. }
            | Record::Opened(_)
            | Record::Resealed { .. }
            | Record::PolicySet { .. }
            | Record::BatchOpened(_)
            | Record::ClockAccepted { .. }
            | Record::HeadShown { .. }
            | Record::KeyRotated(_)
            | Record::Pruned(_)
            | Record::CredentialIssued(_) => None,
        };
        one.into_iter().collect()
    }

    /// Each of them is here: else it would not have been taken.
    fn whom_of_each(&self, revocations: &[Revoked]) -> Vec<Whom> {
        revocations.iter().filter_map(|revoked| self.target_whom(&revoked.target)).collect()
    }

    fn target_whom(&self, target: &Target) -> Option<Whom> {
        let named = |server: &ServerName, user: Option<&UserName>| {
            let (server, user) = (server.clone(), user.cloned());
            Some(Whom { role: None, server, user, pairing: None })
        };
        match target {
            Target::Credential { credential } => self.credential_whom(*credential),
            Target::Invitation { invitation } => self.invited_whom(*invitation),
            Target::Pairing { pairing } => self.paired_whom(*pairing),
            Target::Session { session } => self.session_whom(*session),
            Target::Server { server } => named(server, None),
            Target::User { server, user } => named(server, Some(user)),
        }
    }

    fn invited_whom(&self, id: InvitationId) -> Option<Whom> {
        let (_, invited) = self.invitation(id)?;
        let (role, server, user) = (Some(invited.role), invited.server.clone(), invited.user.clone());
        Some(Whom { role, server, user, pairing: None })
    }

    fn paired_whom(&self, id: PartyId) -> Option<Whom> {
        let (_, found) = self.party(id)?;
        let (role, server, user) = found.party.place()?;
        Some(Whom { role: Some(role), server: server.clone(), user: user.cloned(), pairing: Some(id) })
    }

    fn credential_whom(&self, id: CredentialId) -> Option<Whom> {
        let (_, kept) = self.credentials.find(id)?;
        let (server, user) = self.whose(kept.user);
        Some(Whom { role: None, server: server.clone(), user: Some(user.clone()), pairing: None })
    }

    fn session_whom(&self, id: SessionId) -> Option<Whom> {
        let slot = self.find_session(id)?;
        let user = &self.users[slot.user as usize];
        let server = self.servers[user.server as usize].name.clone();
        let pairing = (slot.audience != NONE).then(|| self.parties[slot.audience as usize].party.id);
        Some(Whom { role: None, server, user: Some(user.name.clone()), pairing })
    }
}

#[cfg(test)]
mod tests;
