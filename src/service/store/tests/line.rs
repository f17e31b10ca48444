//! Whom an entry of the log concerns, where its record does not say so itself.

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::wire::{AuditQuery, Entry};
use sidekey_protocol::ids::Role;
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::revocation::{Head, Target};

use super::{Data, EVERYTHING, server, user};

/// The only entry of this action.
#[track_caller]
fn said(data: &Data, action: Action) -> Entry {
    let wanted = AuditQuery { action: Some(action), user: Some(user(0)), ..AuditQuery::default() };
    let mut entries = data.store.audit(EVERYTHING, &wanted).unwrap().entries;
    assert_eq!(entries.len(), 1, "{action:?}: {entries:?}");
    entries.remove(0)
}

#[tokio::test]
async fn an_entry_says_whose_invitation_pairing_or_session_it_is_about() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    data.store.mark_used(phone).await.unwrap();
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    data.store.spend_attempt(invitation).await.unwrap();
    let session = data.open(user(0), 1).await.unwrap().id;
    data.store.rotate(data.gateway(), session).await.unwrap();
    for (action, role, pairing) in [
        (Action::PairingUsed, Some(Role::Client), Some(phone)),
        (Action::InvitationAttemptSpent, Some(Role::Client), None),
        (Action::SessionRotated, None, None),
    ] {
        let entry = said(&data, action);
        assert_eq!((entry.server, entry.role, entry.pairing), (Some(server()), role, pairing), "{action:?}");
    }
}

#[tokio::test]
async fn each_revocation_that_was_reported_has_an_entry() {
    let data = Data::with_users(1).await;
    let phone = data.phone(0);
    let later = Head { n: 2, r: [7; 32] }.sealed(data.store.shared.at_rest.head_key());
    data.store.roll_back(later, Some(phone)).await.unwrap();
    let target = Target::Pairing { pairing: phone };
    let told = Revoked { target, reason: "left us".parse().unwrap(), at: data.store.now() };
    data.store.report(phone, vec![told]).await.unwrap();
    let entry = said(&data, Action::RevocationReported);
    assert_eq!((entry.pairing, entry.reason), (Some(phone), Some("left us".parse().unwrap())));
}
