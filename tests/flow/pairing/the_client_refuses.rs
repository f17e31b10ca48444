//! What the client crate refuses before it shows anything of itself.

use sidekey_client::admin::Standing;
use sidekey_client::error::Downgrade;

use super::*;

#[tokio::test]
async fn a_service_with_another_key_than_the_link_names() {
    let (system, invited) = invited().await;
    let mut invitation = system.accept(&invited, Role::Client);
    let mut rng = system.rng();
    invitation.pin = Some(Pin::of(&SigningKey::generate(&mut rng).verifying_key()));
    let refused = system.pair(invitation).await;
    let Err(Error::Tampered(Tampered::Pairing(why))) = refused else { panic!("{refused:?}") };
    assert_eq!(why, Refusal::PinMismatch);
    assert_eq!(pairings(&system.admin).await, 0);
}

/// Whoever read the code on its way could be the service that says so.
#[tokio::test]
async fn a_code_that_was_sent_where_nobody_is_to_approve() {
    let (system, invited) = invited().await;
    let mut invitation = system.accept(&invited, Role::Client);
    invitation.pin = None;
    let refused = system.pair(invitation).await;
    assert!(matches!(refused, Err(Error::Downgrade(Downgrade::Unvouched))), "{refused:?}");
    let left = system.admin.pairings(&PairingFilter::default()).await.unwrap();
    assert_eq!(left.iter().map(|pairing| pairing.state).collect::<Vec<_>>(), [Standing::Revoked]);
}

#[tokio::test]
async fn a_certificate_that_it_was_not_told_to_trust() {
    let (system, invited) = invited().await;
    let other = System::start().await;
    let mut invitation = system.accept(&invited, Role::Client);
    invitation.roots = other.roots();
    assert!(matches!(system.pair(invitation).await, Err(Error::Untrusted)));
    assert_eq!(standing(&system.admin).await.0, 5);
}

#[tokio::test]
async fn an_invitation_for_the_other_role() {
    let (system, invited) = invited().await;
    let refused = system.pair(system.accept(&invited, Role::Server)).await;
    assert!(matches!(refused, Err(Error::Refused { code, .. }) if code == "role_mismatch"));
    assert_eq!(pairings(&system.admin).await, 0);
}

/// SPAKE2+ names the URL that the client was told: what arrives elsewhere agrees on nothing.
#[tokio::test]
async fn a_service_that_it_reaches_at_another_address() {
    let (system, invited) = invited().await;
    let mut invitation = system.accept(&invited, Role::Client);
    invitation.url = system.url.as_str().replace("localhost", "127.0.0.1").parse().unwrap();
    let refused = system.pair(invitation).await;
    assert!(matches!(refused, Err(Error::Refused { code, .. }) if code == "code_mismatch"));
    assert_eq!(pairings(&system.admin).await, 0);
}

#[tokio::test]
async fn to_overwrite_a_pairing() {
    let (system, invited) = invited().await;
    let store = std::sync::Arc::new(MemoryKeyStore::default());
    pair(system.accept(&invited, Role::Client), store.clone(), system.ambient()).await.unwrap();
    let again = system.invite(MAIL, Some(ANN)).await;
    let refused = pair(system.accept(&again, Role::Client), store, system.ambient()).await;
    assert!(matches!(refused, Err(Error::Usage(Usage::Occupied))));
    assert_eq!(standing(&system.admin).await.0, 5);
}
