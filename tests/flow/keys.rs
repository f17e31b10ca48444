//! The service's signing keys: another takes over, and everybody follows; and what is refused on the way.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sidekey_client::{Error, Notice};
use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::Pin;
use sidekey_protocol::policy::{Scope, key_id, verify};
use sidekey_protocol::revocation::wire::Event;
use sidekey_tests::{ANN, Answer, Keys, MAIL, Office, System};

const DAY_S: u32 = 86_400;

async fn shown(system: &System) -> Value {
    system.ask(Method::GET, "/v1/keys").send().await.is(200).json()
}

async fn active(system: &System) -> String {
    shown(system).await["keys"][0]["kid"].as_str().unwrap().to_owned()
}

async fn rotate(system: &System, overlap_s: Option<u32>) {
    system.admin.rotate_key(&active(system).await, overlap_s).await.unwrap();
}

async fn ask_to_rotate(system: &System, token: &str, body: &Value) -> Answer {
    system.post("/v1/keys/rotate", token, body).send().await
}

/// Names the newest key that this device has kept.
fn kept(keys: &Keys) -> String {
    key_id(keys.profile().service_keys.key())
}

/// Waits until the device has kept that key, and a policy by it.
async fn followed(keys: &Keys, kid: &str) {
    let signed = || {
        let profile = keys.profile();
        let (Some(policy), Some(user)) = (profile.policy, &profile.user) else { return true };
        let scope = Scope { service: profile.service, server: &profile.server, user };
        verify(&policy.jws, profile.service_keys.key(), &scope, None).is_ok()
    };
    for _ in 0..500 {
        if kept(keys) == kid && signed() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} is kept, and not {kid}", kept(keys));
}

#[tokio::test]
async fn a_rotation_is_followed_by_devices_that_watch_and_by_those_that_were_away() {
    let mut office = Office::open().await;
    let first = active(&office.system).await;
    assert_eq!(kept(&office.phone.keys), first);
    let mut watches = [office.mail.server.watch(), office.phone.client.watch()];
    for watch in &mut watches {
        assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
    }
    rotate(&office.system, None).await;
    for watch in &mut watches {
        let told = watch.next().await.unwrap().unwrap();
        assert!(matches!(told, Notice::Event(Event::Keys(changed)) if changed.number == 1), "{told:?}");
    }
    let second = active(&office.system).await;
    assert_ne!(second, first);
    followed(&office.mail.keys, &second).await;
    followed(&office.phone.keys, &second).await;
    assert_eq!(kept(&office.tablet.keys), first, "it was away");
    // It still is, while the next one takes over, and until nothing that the first one signed counts.
    rotate(&office.system, Some(0)).await;
    office.system.clock.advance_s(8 * DAY_S);
    office.system.restart().await;
    let third = active(&office.system).await;
    let tablet = office.tablet.keys.client(office.system.ambient()).await;
    assert_eq!(tablet.policy().await.unwrap().kid, third);
    assert_eq!(kept(&office.tablet.keys), third);
    let states: Vec<_> = shown(&office.system).await["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["active", "retired", "retired"]);
}

#[tokio::test]
async fn sessions_go_on_across_a_rotation() {
    let office = Office::open().await;
    let before = office.session().await;
    rotate(&office.system, None).await;
    let here = office.phone.client.session_key(before.session()).await.unwrap();
    assert_eq!(here.generation(), 0);
    let later = office.session().await;
    office.tablet.client.session_key(later.session()).await.unwrap();
}

#[tokio::test]
async fn an_invitation_works_under_the_key_that_its_link_names_until_that_key_s_time_is_over() {
    let system = System::start().await;
    system.add_server(MAIL).await;
    let [during, after, stranger] =
        [system.invite(MAIL, None).await, system.invite(MAIL, None).await, system.invite(MAIL, None).await];
    let first = active(&system).await;
    rotate(&system, Some(60)).await;
    // The link names the old key, and so does whoever answers.
    let (paired, keys) = system.pair(system.accept(&during, Role::Server)).await.unwrap();
    assert!(paired.pinned);
    assert_eq!(kept(&keys), first);
    keys.server(system.ambient()).await;
    // One that is made now names the new one.
    let (_, keys) = system.pair(system.accept(&system.invite(MAIL, None).await, Role::Server)).await.unwrap();
    assert_eq!(kept(&keys), active(&system).await);

    let begun = system.begun(stranger.invitation, &stranger.code).await;
    system.clock.advance_s(60);
    let refused = system.pair(system.accept(&after, Role::Server)).await.unwrap_err();
    assert!(matches!(&refused, Error::PairAgain { code, .. } if code == "key_retired"), "{refused:?}");
    let left = system.admin.invitation(after.invitation).await.unwrap().attempts;
    assert_eq!(left, 5, "it cost no attempt");
    let mut begun = begun;
    let finish = begun.honest_finish();
    system.finish(stranger.invitation, &finish).send().await.refused(409, "exchange_over");
}

#[tokio::test]
async fn a_client_paired_under_the_old_key_follows_and_a_typed_code_works_too() {
    let system = System::start().await;
    system.add_server(MAIL).await;
    let invited = system.invite(MAIL, Some(ANN)).await;
    rotate(&system, None).await;
    let mut typed = system.accept(&invited, Role::Client);
    (typed.pin, typed.handed_over) = (None, true);
    let (_, keys) = system.pair(typed).await.unwrap();
    let client = keys.client(system.ambient()).await;
    let second = active(&system).await;
    assert_ne!(kept(&keys), second);
    assert_eq!(client.policy().await.unwrap().kid, second);
    assert_eq!(kept(&keys), second);
}

#[tokio::test]
async fn an_exchange_that_was_begun_finishes_under_its_key() {
    let system = System::start().await;
    system.add_server(MAIL).await;
    let invited = system.invite(MAIL, None).await;
    let mut begun = system.begun(invited.invitation, &invited.code).await;
    rotate(&system, Some(60)).await;
    let finish = begun.honest_finish();
    system.finish(invited.invitation, &finish).send().await.is(200);
    let other = system.invite(MAIL, None).await;
    let mut begun = system.begun(other.invitation, &other.code).await;
    rotate(&system, Some(0)).await;
    let finish = begun.honest_finish();
    system.finish(other.invitation, &finish).send().await.refused(410, "key_retired");
}

#[tokio::test]
async fn the_keys_are_told_apart_by_their_tag_and_the_credential_s_pin_leads_to_the_active_one() {
    let system = System::start().await;
    let first = system.ask(Method::GET, "/v1/keys").send().await;
    let tag = first.is(200).headers["etag"].to_str().unwrap().to_owned();
    let ask = || system.ask(Method::GET, "/v1/keys").header(http::header::IF_NONE_MATCH, &tag);
    ask().send().await.is(304);
    rotate(&system, None).await;
    rotate(&system, None).await;
    ask().send().await.is(200);
    let (answer, known) = system.admin.keys().await.unwrap();
    assert_eq!((answer.keys.len(), known.number()), (3, Some(2)));
    let pin = system.admin_credential().service_key;
    assert_eq!(known.previous().last().map(|key| Pin::of(&key.key)), Some(pin));
}

mod refused {
    use super::*;

    #[tokio::test]
    async fn to_whoever_is_no_administrator() {
        let office = Office::open().await;
        let body = json!({"from": active(&office.system).await});
        let before = office.system.records();
        for keys in [&office.mail.keys, &office.phone.keys] {
            ask_to_rotate(&office.system, &keys.token(), &body).await.refused(403, "role_forbidden");
        }
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_key_that_was_replaced_or_never_was() {
        let system = System::start().await;
        let (first, token) = (active(&system).await, system.admin_token());
        rotate(&system, None).await;
        let before = system.records();
        for from in [first.as_str(), "", "AAAAAAAAAAAAAAAAAAAAAA"] {
            let body = json!({ "from": from });
            ask_to_rotate(&system, &token, &body).await.refused(409, "key_replaced");
        }
        assert_eq!(system.records(), before);
    }

    #[tokio::test]
    async fn an_overlap_of_more_than_thirty_days_and_what_is_no_body() {
        let system = System::start().await;
        let (from, token, before) = (active(&system).await, system.admin_token(), system.records());
        let body = json!({"from": from, "overlap": 30 * DAY_S + 1});
        ask_to_rotate(&system, &token, &body).await.refused(422, "ttl_out_of_range");
        for body in [json!({}), json!({"from": from, "more": 1}), json!({"from": from, "overlap": -1})] {
            ask_to_rotate(&system, &token, &body).await.refused(400, "body_invalid");
        }
        assert_eq!(system.records(), before);
        let body = json!({"from": from, "overlap": 30 * DAY_S});
        ask_to_rotate(&system, &token, &body).await.is(200);
    }

    #[tokio::test]
    async fn nothing_when_it_is_only_asked_what_would_be() {
        let system = System::start().await;
        system.add_server(MAIL).await;
        system.invite(MAIL, None).await;
        let (before, from) = (system.records(), active(&system).await);
        let would = system.admin.would_rotate_key(&from, Some(60)).await.unwrap();
        assert_eq!((would.dry_run, would.invitations_cut, would.active), (true, 1, None));
        assert_eq!((system.records(), active(&system).await), (before, from));
    }
}
