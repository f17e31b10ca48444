//! An invitation issued again: the old code is dead, and whoever has burnt it knows nothing of the new one.

use sidekey_protocol::pairing::Approval;

use super::approval::invited_by;
use super::*;

#[tokio::test]
async fn the_old_code_is_dead_and_the_new_one_pairs() {
    let (system, old) = invited().await;
    let new = system.admin.reissue(old.invitation, None).await.unwrap();
    assert_ne!((new.invitation, new.code.expose()), (old.invitation, old.code.expose()));
    let refused = system.pair(system.accept(&old, Role::Client)).await;
    assert!(matches!(refused, Err(Error::PairAgain { code, .. }) if code == "invitation_over"));
    let (paired, _) = system.pair(system.accept(&new, Role::Client)).await.unwrap();
    assert_eq!(paired.user.unwrap().as_str(), ANN);
    let states: Vec<_> = system.admin.invitations(&InvitationFilter::default()).await.unwrap();
    let states: Vec<_> = states.iter().map(|invitation| invitation.state).collect();
    assert_eq!(states, [InvitationState::Cancelled, InvitationState::Paired]);
}

#[tokio::test]
async fn what_was_begun_with_the_old_code_does_not_finish() {
    let (system, invitation, mut begun) = begun().await;
    system.admin.reissue(invitation, None).await.unwrap();
    let before = system.records();
    system.finish(invitation, &begun.honest_finish()).send().await.refused(410, "invitation_over");
    assert_eq!(system.records(), before);
}

/// A stranger who knows the link's address alone can spend it, and no more.
#[tokio::test]
async fn the_way_out_for_an_invitation_that_a_stranger_has_spent() {
    let (system, invited) = invited().await;
    for n in 0..5 {
        system.begun(invited.invitation, &wrong_code(&invited, n)).await;
    }
    assert_eq!(standing(&system.admin).await, (0, InvitationState::Spent));
    let late = system.pair(system.accept(&invited, Role::Client)).await;
    assert!(matches!(late, Err(Error::PairAgain { code, .. }) if code == "invitation_over"));
    let new = system.admin.reissue(invited.invitation, None).await.unwrap();
    assert_eq!(standing(&system.admin).await, (5, InvitationState::Invited));
    system.pair(system.accept(&new, Role::Client)).await.unwrap();
}

#[tokio::test]
async fn one_that_is_over_can_be_issued_again_but_for_one_that_paired() {
    let (system, invited) = invited().await;
    system.clock.set(invited.expires);
    let second = system.admin.reissue(invited.invitation, Some(60)).await.unwrap();
    assert_eq!(second.expires, system.clock.now().after_s(60));
    let third = system.admin.reissue(invited.invitation, None).await.unwrap();
    system.pair(system.accept(&second, Role::Client)).await.unwrap();
    system.pair(system.accept(&third, Role::Client)).await.unwrap();
    let before = system.records();
    let again = system.admin.reissue(third.invitation, None).await.unwrap_err();
    assert!(matches!(again, Error::PairAgain { code, .. } if code == "invitation_over"));
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn it_needs_whose_word_the_old_one_needed() {
    let system = ready().await;
    let old = invited_by(&system, Some(ANN), Approval::Device).await;
    let new = system.admin.reissue(old.invitation, Some(604_800)).await.unwrap();
    assert_eq!(new.approval, Approval::Device);
    let server = invited_by(&system, None, Approval::None).await;
    let path = format!("/v1/invitations/{}/reissue", server.invitation);
    let token = system.admin_token();
    let before = system.records();
    let too_long = json!({"ttl": 901});
    system.post(&path, &token, &too_long).send().await.refused(422, "ttl_out_of_range");
    system.post(&path, &token, &json!({"approval": "admin"})).send().await.refused(400, "body_invalid");
    let nobody = format!("/v1/invitations/{}/reissue", InvitationId::random(&mut system.rng()));
    system.post(&nobody, &token, &json!({})).send().await.refused(404, "not_found");
    assert_eq!(system.records(), before, "the old one is as it was");
    let made = system.ask(Method::POST, &path).bearer(&token).send().await.is(201).json();
    assert_eq!((&made["role"], &made["server"]), (&json!("server"), &json!(MAIL)));
}

#[tokio::test]
async fn nobody_but_an_administrator_issues_again() {
    let (system, invited) = invited().await;
    let phone = system.pair_client(MAIL, ANN).await;
    phone.client.current().await.unwrap();
    let path = format!("/v1/invitations/{}/reissue", invited.invitation);
    let before = system.records();
    let asked = system.post(&path, &phone.keys.token(), &json!({})).send().await;
    asked.refused(403, "role_forbidden");
    system.ask(Method::POST, &path).json(&json!({})).send().await.refused(401, "token_missing");
    assert_eq!(system.records(), before);
}
