//! `finish`: what is refused, what is repeated, who wins.

use super::*;

/// A `finish` that is refused, ends the exchange or not, and leaves no pairing.
async fn bad_finish(
    system: &System,
    spoil: impl FnOnce(&mut Begun) -> Value,
    status: u16,
    code: &str,
    cause: &str,
) {
    let invited = system.invite(MAIL, Some(ANN)).await;
    let invitation = invited.invitation;
    let mut begun = system.begun(invitation, &invited.code).await;
    let body = spoil(&mut begun);
    let before = system.records();
    let problem = system.finish(invitation, &body).send().await.refused(status, code);
    assert!(problem["cause"].as_str().unwrap().contains(cause), "{problem}");
    assert_eq!(system.records(), before);
    let over = status != 409;
    let honest = system.finish(invitation, &begun.honest_finish()).send().await;
    if over {
        honest.refused(409, "exchange_over");
        assert_eq!(pairings(&system.admin).await, 0);
        assert_eq!(standing(&system.admin).await, (4, InvitationState::Begun));
    } else {
        honest.is(200);
    }
}

async fn bad_box(
    system: &System,
    spoil: impl FnOnce(&Begun, &mut Value),
    status: u16,
    code: &str,
    cause: &str,
) {
    let spoiled = |begun: &mut Begun| {
        let mut content = serde_json::to_value(begun.content()).unwrap();
        spoil(begun, &mut content);
        serde_json::to_value(begun.finish(&content)).unwrap()
    };
    bad_finish(system, spoiled, status, code, cause).await;
}

#[tokio::test]
async fn an_unknown_state_is_refused_and_does_not_disturb_the_exchange() {
    let system = ready().await;
    let spoil = |begun: &mut Begun| {
        let mut finish = begun.honest_finish();
        finish.state = base64url(&[0; 16]);
        serde_json::to_value(finish).unwrap()
    };
    bad_finish(&system, spoil, 409, "exchange_over", "names no open exchange").await;
}

#[tokio::test]
async fn a_finish_without_begin_is_refused() {
    let (system, invitation, mut begun) = begun().await;
    let other = system.invite(MAIL, Some(ANN)).await;
    let before = system.records();
    system.finish(other.invitation, &begun.honest_finish()).send().await.refused(409, "exchange_over");
    let unknown = InvitationId::random(&mut system.rng());
    system.finish(unknown, &begun.honest_finish()).send().await.refused(404, "not_found");
    assert_eq!(system.records(), before);
    system.finish(invitation, &begun.honest_finish()).send().await.is(200);
}

#[tokio::test]
async fn a_finish_after_59_seconds_comes_in_time_and_one_after_60_does_not() {
    for (seconds, in_time) in [(59, true), (60, false), (61, false)] {
        let (system, invitation, mut begun) = begun().await;
        system.clock.advance_s(seconds);
        let before = system.records();
        let answer = system.finish(invitation, &begun.honest_finish()).send().await;
        if in_time {
            answer.is(200);
        } else {
            answer.refused(409, "exchange_over");
            assert_eq!(system.records(), before);
        }
    }
}

#[tokio::test]
async fn an_invitation_that_expires_in_between_does_not_pair() {
    let (system, invited) = invited().await;
    system.clock.set(sidekey_protocol::ids::Timestamp(invited.expires.0 - 10));
    let mut begun = system.begun(invited.invitation, &invited.code).await;
    system.clock.set(invited.expires);
    let before = system.records();
    system.finish(invited.invitation, &begun.honest_finish()).send().await.refused(410, "invitation_over");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn an_invitation_that_is_cancelled_in_between_does_not_pair() {
    let (system, invitation, mut begun) = begun().await;
    let target = json!({"kind": "invitation", "invitation": invitation});
    let revoke = json!({"target": target, "reason": "wrong person"});
    system.post("/v1/revocations", &system.admin_token(), &revoke).send().await.is(200);
    let before = system.records();
    system.finish(invitation, &begun.honest_finish()).send().await.refused(410, "invitation_over");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn an_exchange_does_not_outlive_a_restart_but_the_client_begins_again() {
    let (mut system, invited) = invited().await;
    let mut begun = system.begun(invited.invitation, &invited.code).await;
    system.restart().await;
    system.finish(invited.invitation, &begun.honest_finish()).send().await.refused(409, "exchange_over");
    system.pair(system.accept(&invited, Role::Client)).await.unwrap();
    assert_eq!(standing(&system.admin).await, (3, InvitationState::Paired));
}

#[tokio::test]
async fn a_wrong_confirmation_ends_the_exchange() {
    let system = ready().await;
    let spoil = |begun: &mut Begun| {
        let mut finish = begun.honest_finish();
        finish.confirm_p.0[31] ^= 1;
        serde_json::to_value(finish).unwrap()
    };
    bad_finish(&system, spoil, 403, "code_mismatch", "does not match").await;
}

#[tokio::test]
async fn somebody_with_a_wrong_code_cannot_finish() {
    let (system, invited) = invited().await;
    let mut begun = system.begun(invited.invitation, &wrong_code(&invited, 0)).await;
    let before = system.records();
    system.finish(invited.invitation, &begun.honest_finish()).send().await.refused(403, "code_mismatch");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn an_altered_box_is_refused() {
    let system = ready().await;
    for at in [0, 12, 400] {
        let spoil = |begun: &mut Begun| {
            let mut finish = begun.honest_finish();
            let at = at.min(finish.sealed.0.len() - 1);
            finish.sealed.0[at] ^= 1;
            serde_json::to_value(finish).unwrap()
        };
        bad_finish(&system, spoil, 403, "box_invalid", "does not open").await;
    }
}

#[tokio::test]
async fn a_box_too_short_to_be_one_is_refused() {
    let system = ready().await;
    let spoil = |begun: &mut Begun| {
        let mut finish = begun.honest_finish();
        finish.sealed = Bytes(vec![0; 27]);
        serde_json::to_value(finish).unwrap()
    };
    bad_finish(&system, spoil, 403, "box_invalid", "does not open").await;
}

#[tokio::test]
async fn a_box_of_another_content_is_refused() {
    let system = ready().await;
    let cause = "something else than the members";
    bad_box(&system, |_, content| content["admin"] = true.into(), 403, "box_invalid", cause).await;
    bad_box(&system, |_, content| *content = json!([]), 403, "box_invalid", cause).await;
}

#[tokio::test]
async fn another_key_than_the_one_committed_to_is_refused() {
    let system = ready().await;
    let spoil = |begun: &Begun, content: &mut Value| {
        let mut rng = rng();
        let other = SigningKey::generate(&mut rng);
        content["key"] = base64url(other.verifying_key().spki()).into();
        content["signature"] = base64url(&begun.sign(&other).0).into();
    };
    bad_box(&system, spoil, 403, "box_invalid", "not the one that key_hash committed to").await;
}

#[tokio::test]
async fn a_key_that_is_shown_without_being_held_is_refused() {
    let system = ready().await;
    let spoil = |begun: &Begun, content: &mut Value| {
        content["signature"] = base64url(&begun.sign(&SigningKey::generate(&mut rng())).0).into();
    };
    bad_box(&system, spoil, 403, "box_invalid", "was not made by the key in the box").await;
}

#[tokio::test]
async fn a_label_that_misleads_is_refused() {
    let system = ready().await;
    for label in ["", " phone", "phone\n", "\u{202e}enohp", &"x".repeat(65)] {
        bad_box(&system, |_, content| content["label"] = label.into(), 403, "box_invalid", "a label has")
            .await;
    }
}

#[tokio::test]
async fn an_offer_that_is_no_list_of_names_is_refused() {
    let system = ready().await;
    for offer in [json!([]), json!([""]), json!(["A256GCM", "a b"]), json!(vec!["X"; 65])] {
        bad_box(&system, |_, content| content["offer"] = offer.clone(), 403, "box_invalid", "an offer has")
            .await;
    }
}

#[tokio::test]
async fn an_offer_that_names_a_legacy_suite_is_refused_whole() {
    let system = ready().await;
    for name in ["3DES", "RC4", "AES", "3des"] {
        let offer = json!(["A256GCM", name]);
        let spoil = |_: &Begun, content: &mut Value| content["offer"] = offer.clone();
        bad_box(&system, spoil, 403, "suite_forbidden", "refused whole").await;
    }
}

/// 409 like a conflict, but the exchange is over all the same.
#[tokio::test]
async fn a_device_that_lacks_what_the_policy_requires_cannot_pair() {
    let (system, invitation, mut begun) = begun().await;
    let mut content = begun.content();
    content.offer = vec!["FUTURE-1".to_owned()];
    let finish = begun.finish(&content);
    let before = system.records();
    system.finish(invitation, &finish).send().await.refused(409, "no_common_suite");
    system.finish(invitation, &begun.honest_finish()).send().await.refused(409, "exchange_over");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn an_unknown_suite_in_an_offer_is_skipped() {
    let (system, invitation, mut begun) = begun().await;
    let mut content = begun.content();
    content.offer.insert(0, "FUTURE-1".to_owned());
    let finish = begun.finish(&content);
    system.finish(invitation, &finish).send().await.is(200);
}

#[tokio::test]
async fn a_body_that_is_not_a_finish_is_refused_and_does_not_disturb_the_exchange() {
    let (system, invitation, mut begun) = begun().await;
    let honest = begun.honest_finish();
    let before = system.records();
    let mut more = serde_json::to_value(&honest).unwrap();
    more["more"] = 1.into();
    let problem = system.finish(invitation, &more).send().await.refused(400, "body_invalid");
    assert_eq!(problem["errors"], json!([{"field": "more", "fault": "unknown"}]));
    let mut big = honest.clone();
    big.sealed = Bytes(vec![0; 7000]);
    system.finish(invitation, &big).send().await.refused(413, "body_too_large");
    assert_eq!(system.records(), before);
    system.finish(invitation, &honest).send().await.is(200);
}

/// A lost answer is asked for again: the same pairing, the same answer, until it is first used.
#[tokio::test]
async fn a_finish_repeated_gets_the_same_answer_until_the_pairing_is_used() {
    let (mut system, invitation, mut begun) = begun().await;
    let finish = begun.honest_finish();
    let first = system.finish(invitation, &finish).send().await;
    let before = system.records();
    let second = system.finish(invitation, &finish).send().await;
    assert_eq!((first.status, &first.body), (200, &second.body));
    system.clock.advance_s(3600);
    system.restart().await;
    let third = system.finish(invitation, &finish).send().await;
    assert_eq!(first.body, third.body);
    assert_eq!(system.records(), before);
    assert_eq!(pairings(&system.admin).await, 1);
}

#[tokio::test]
async fn after_its_first_use_a_pairings_finish_is_not_answered_again() {
    let (system, invited) = invited().await;
    let mut begun = system.begun(invited.invitation, &invited.code).await;
    let finish = begun.honest_finish();
    system.finish(invited.invitation, &finish).send().await.is(200);
    let listed = system.admin.pairings(&PairingFilter::default()).await.unwrap();
    let token = begun.token(&system, listed[0].pairing);
    system.get("/v1/pairings/self", &token).send().await.is(200);
    let before = system.records();
    let again = system.finish(invited.invitation, &finish).send().await;
    assert!(matches!(again.status, 409 | 410), "{again:?}");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn a_finish_repeated_with_another_body_is_refused_and_recorded_once() {
    let (mut system, invitation, mut begun) = begun().await;
    system.finish(invitation, &begun.honest_finish()).send().await.is(200);
    let before = system.records();
    // Another nonce is another body.
    let other = begun.honest_finish();
    system.finish(invitation, &other).send().await.refused(409, "finish_conflict");
    assert_eq!(system.records().len(), before.len() + 1, "recorded");
    system.restart().await;
    // Whoever goes on does not fill the log.
    let third = begun.honest_finish();
    system.finish(invitation, &third).send().await.refused(409, "finish_conflict");
    assert_eq!(system.records().len(), before.len() + 1);
    let told = system.get("/v1/audit?action=pairing_finish_conflict", &system.admin_token()).send().await;
    let told = told.is(200).json()["items"][0].clone();
    assert_eq!((&told["user"], told["pairing"].is_string()), (&json!(ANN), true));
    assert_eq!(pairings(&system.admin).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_finishes_at_once_exactly_one_pairs() {
    for _ in 0..5 {
        let (system, invitation, mut begun) = begun().await;
        let (one, two) = (begun.honest_finish(), begun.honest_finish());
        let one = tokio::spawn(system.finish(invitation, &one).send());
        let two = tokio::spawn(system.finish(invitation, &two).send());
        let (one, two) = (one.await.unwrap(), two.await.unwrap());
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        won.is(200);
        lost.refused(409, "finish_conflict");
        assert_eq!(pairings(&system.admin).await, 1);
    }
}

fn rng() -> impl CryptoRng {
    use rand_core::SeedableRng as _;
    rand_chacha::ChaCha20Rng::seed_from_u64(99)
}
