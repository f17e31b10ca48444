//! Rekeying, each step by hand: what is wrapped under which epoch, whatever answer is lost on the way, and each refusal.

use std::collections::HashSet;

use serde_json::Value;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::Bytes;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::pairing::rekey::{Epoch, Renewing};
use sidekey_protocol::pairing::wire::{Rekey, RekeyAnswer};
use sidekey_protocol::token;
use sidekey_tests::{Answer, Asking, Keys, Office, System};

/// The epoch of a profile.
pub(super) fn epoch_of(keys: &Keys) -> Epoch {
    let profile = keys.profile();
    Epoch { number: profile.epoch, root: copy(&profile.root), not_after: profile.not_after }
}

pub(super) fn copy(secret: &Secret<32>) -> Secret<32> {
    Secret::copy_of(secret.expose()).unwrap()
}

/// A token of whoever uses this epoch.
pub(super) fn token_of(system: &System, keys: &Keys, epoch: &Epoch) -> String {
    let profile = keys.profile();
    let kek = Kek::of(&epoch.root).id;
    token::sign(&profile.signing_key, profile.pairing, profile.service, Some(kek), system.clock.now())
}

pub(super) fn ask(system: &System, keys: &Keys, epoch: &Epoch, request: &Rekey) -> Asking {
    system.post("/v1/pairings/self/rekey", &token_of(system, keys, epoch), request)
}

/// A rekey whose answer arrives: the next epoch, not used yet.
pub(super) async fn rekeyed(system: &System, keys: &Keys, epoch: &Epoch) -> Epoch {
    let renewing = Renewing::begin(epoch.number, &mut system.rng());
    let answer = ask(system, keys, epoch, renewing.request()).send().await;
    renewing.done(&epoch.root, &read(&answer)).unwrap()
}

#[track_caller]
fn read(answer: &Answer) -> RekeyAnswer {
    serde_json::from_slice(&answer.is(200).body).expect("it is the answer to a rekey")
}

/// A request under this epoch that any pairing may make.
async fn seen(office: &Office, epoch: &Epoch) -> Answer {
    let token = token_of(&office.system, &office.phone.keys, epoch);
    office.system.get("/v1/pairings/self", &token).send().await
}

async fn fetched(office: &Office, epoch: &Epoch, session: SessionId) -> Answer {
    office.fetch(session, "", &token_of(&office.system, &office.phone.keys, epoch)).send().await
}

/// Whether an envelope is wrapped under this epoch.
#[track_caller]
fn opens_under(office: &Office, answer: &Answer, epoch: &Epoch) -> bool {
    office.phone.keys.opened_under(&epoch.root, answer.is(200)).is_ok()
}

/// What a refusal must leave: nothing.
async fn nothing_changes(office: &Office, asking: Asking, status: u16, code: &str) -> Value {
    let before = office.system.records();
    let problem = asking.send().await.refused(status, code);
    assert_eq!(office.system.records(), before, "{code} has changed something");
    problem
}

#[tokio::test]
async fn keys_come_under_the_next_epoch_from_its_first_use_on() {
    let office = Office::open().await;
    let session = office.session().await.session();
    let first = epoch_of(&office.phone.keys);
    let cached = token_of(&office.system, &office.phone.keys, &first);
    let next = rekeyed(&office.system, &office.phone.keys, &first).await;
    assert_eq!(next.not_after, office.system.clock.now().after_s(7 * 86_400));
    let waiting = fetched(&office, &first, session).await;
    assert!(opens_under(&office, &waiting, &first), "until its first use all is wrapped under the old one");
    assert_eq!(seen(&office, &first).await.is(200).json()["epoch"], 0);

    let used = fetched(&office, &next, session).await;
    assert!(opens_under(&office, &used, &next) && !opens_under(&office, &used, &first));
    assert_eq!(seen(&office, &next).await.is(200).json()["epoch"], 1);
    // The service has verified this very token before, and remembers it: its epoch is looked at all the same.
    for path in
        ["/v1/pairings/self".to_owned(), format!("/v1/sessions/{session}/key"), "/v1/events".to_owned()]
    {
        nothing_changes(&office, office.system.get(&path, &cached), 409, "kek_unknown").await;
    }
}

#[tokio::test]
async fn a_mail_server_rekeys_too() {
    let office = Office::open().await;
    let first = epoch_of(&office.mail.keys);
    let next = rekeyed(&office.system, &office.mail.keys, &first).await;
    let token = token_of(&office.system, &office.mail.keys, &next);
    assert_eq!(office.system.get("/v1/pairings/self", &token).send().await.is(200).json()["epoch"], 1);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_also_after_a_restart_and_costs_one_record() {
    let mut office = Office::open().await;
    let first = epoch_of(&office.phone.keys);
    let renewing = Renewing::begin(0, &mut office.system.rng());
    let before = office.system.records().len();
    let lost = ask(&office.system, &office.phone.keys, &first, renewing.request()).send().await;
    let again = ask(&office.system, &office.phone.keys, &first, renewing.request()).send().await;
    assert_eq!(lost.is(200).body, again.is(200).body);
    assert_eq!(office.system.records().len(), before + 1);
    office.system.restart().await;
    let again = ask(&office.system, &office.phone.keys, &first, renewing.request()).send().await;
    assert_eq!(lost.body, again.body);
    let next = renewing.done(&first.root, &read(&again)).unwrap();
    seen(&office, &next).await.is(200);
}

#[tokio::test]
async fn a_lost_first_use_is_used_again() {
    let office = Office::open().await;
    let first = epoch_of(&office.phone.keys);
    let next = rekeyed(&office.system, &office.phone.keys, &first).await;
    // The device never hears of it, and keeps both.
    seen(&office, &next).await.is(200);
    let before = office.system.records();
    seen(&office, &next).await.is(200);
    assert_eq!(office.system.records(), before, "one use erases once");
    seen(&office, &first).await.refused(409, "kek_unknown");
}

#[tokio::test]
async fn the_service_may_be_restarted_at_every_step() {
    let mut office = Office::open().await;
    let session = office.session().await.session();
    let first = epoch_of(&office.phone.keys);
    office.system.restart().await;
    let next = rekeyed(&office.system, &office.phone.keys, &first).await;
    office.system.restart().await;
    assert!(opens_under(&office, &fetched(&office, &first, session).await, &first));
    office.system.restart().await;
    assert!(opens_under(&office, &fetched(&office, &next, session).await, &next));
    office.system.restart().await;
    assert!(opens_under(&office, &fetched(&office, &next, session).await, &next));
    fetched(&office, &first, session).await.refused(409, "kek_unknown");
}

#[tokio::test]
async fn another_request_takes_the_place_of_an_epoch_that_waits() {
    let office = Office::open().await;
    let first = epoch_of(&office.phone.keys);
    let forgotten = rekeyed(&office.system, &office.phone.keys, &first).await;
    let next = rekeyed(&office.system, &office.phone.keys, &first).await;
    nothing_changes(
        &office,
        office.system.get("/v1/pairings/self", &token_of(&office.system, &office.phone.keys, &forgotten)),
        409,
        "kek_unknown",
    )
    .await;
    seen(&office, &first).await.is(200);
    seen(&office, &next).await.is(200);
}

#[tokio::test]
async fn a_replayed_rekey_does_no_harm() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.phone.keys);
    let first = epoch_of(keys);
    let recorded = Renewing::begin(0, &mut system.rng()).request().clone();
    ask(system, keys, &first, &recorded).send().await.is(200);
    // The device's own, then the recorded one once more: the device's is gone, and the one before still serves.
    let next = rekeyed(system, keys, &first).await;
    ask(system, keys, &first, &recorded).send().await.is(200);
    seen(&office, &next).await.refused(409, "kek_unknown");
    let next = rekeyed(system, keys, &first).await;
    seen(&office, &next).await.is(200);
    // Once the device has gone on, it changes nothing at all.
    for epoch in [&first, &next] {
        nothing_changes(&office, ask(system, keys, epoch, &recorded), 409, "epoch_passed").await;
    }
    seen(&office, &next).await.is(200);
}

#[tokio::test]
async fn two_rekeys_at_once_leave_one_epoch_that_works() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.phone.keys);
    let first = epoch_of(keys);
    let (one, other) = tokio::join!(rekeyed(system, keys, &first), rekeyed(system, keys, &first));
    let mut outcomes = Vec::new();
    for epoch in [&one, &other] {
        outcomes.push(seen(&office, epoch).await.status);
    }
    assert_eq!(outcomes.iter().collect::<HashSet<_>>(), HashSet::from([&200, &409]), "{outcomes:?}");
}

#[tokio::test]
async fn an_epoch_that_never_was_is_no_beginning() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.phone.keys);
    let first = epoch_of(keys);
    let ahead = Renewing::begin(1, &mut system.rng()).request().clone();
    nothing_changes(&office, ask(system, keys, &first, &ahead), 409, "kek_unknown").await;
    // Nor is the right number under another epoch's token.
    let foreign = Epoch { root: Secret::random(&mut system.rng()), ..epoch_of(keys) };
    let request = Renewing::begin(0, &mut system.rng()).request().clone();
    nothing_changes(&office, ask(system, keys, &foreign, &request), 409, "kek_unknown").await;
}

#[tokio::test]
async fn a_bad_point_or_key_changes_nothing() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.phone.keys);
    let first = epoch_of(keys);
    let good = Renewing::begin(0, &mut system.rng()).request().clone();
    for bad in [
        Rekey { point: Bytes(vec![0; 65]), ..good.clone() },
        Rekey { point: Bytes(vec![0]), ..good.clone() },
        Rekey { kem_ek: Bytes(vec![0xff; 1184]), ..good.clone() },
        Rekey { kem_ek: Bytes(vec![]), ..good.clone() },
    ] {
        nothing_changes(&office, ask(system, keys, &first, &bad), 400, "share_invalid").await;
    }
    let mut more = serde_json::to_value(&good).unwrap();
    more["to"] = 7.into();
    let asking = system.post("/v1/pairings/self/rekey", &token_of(system, keys, &first), &more);
    nothing_changes(&office, asking, 400, "body_invalid").await;
}

#[tokio::test]
async fn an_administrator_has_no_epochs() {
    let office = Office::open().await;
    let request = Renewing::begin(0, &mut office.system.rng()).request().clone();
    let asking = office.system.post("/v1/pairings/self/rekey", &office.system.admin_token(), &request);
    nothing_changes(&office, asking, 403, "role_forbidden").await;
}

#[tokio::test]
async fn after_a_week_an_epoch_serves_a_rekey_alone() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.mail.keys);
    let first = epoch_of(keys);
    system.clock.set(first.not_after);
    let session = SessionId::random(&mut system.rng());
    let token = || token_of(system, keys, &first);
    let open = serde_json::json!({"user": sidekey_tests::ANN, "capabilities": ["A256GCM"]});
    nothing_changes(
        &office,
        system.post("/v1/sessions", &token(), &open).once("0123456789abcdef"),
        409,
        "rekey_first",
    )
    .await;
    nothing_changes(
        &office,
        system.get(&format!("/v1/sessions/{session}/key"), &token()),
        409,
        "rekey_first",
    )
    .await;
    // What needs no key is still answered.
    system.get("/v1/pairings/self", &token()).send().await.is(200);
    let next = rekeyed(system, keys, &first).await;
    let token = token_of(system, keys, &next);
    system.post("/v1/sessions", &token, &open).once("0123456789abcdef").send().await.is(201);
}

#[tokio::test]
async fn a_rotation_under_an_epoch_that_is_over_rotates_nothing() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.mail.keys);
    let first = epoch_of(keys);
    system.clock.set(sidekey_protocol::ids::Timestamp(first.not_after.0 - 60));
    let open = serde_json::json!({"user": sidekey_tests::ANN, "capabilities": ["A256GCM"]});
    let opened = system
        .post("/v1/sessions", &token_of(system, keys, &first), &open)
        .once("0123456789abcdef")
        .send()
        .await;
    let session = opened.is(201).json()["session"].as_str().unwrap().to_owned();
    system.clock.set(first.not_after);
    let rotate = system.post(
        &format!("/v1/sessions/{session}/rotate"),
        &token_of(system, keys, &first),
        &serde_json::json!({}),
    );
    nothing_changes(&office, rotate, 409, "rekey_first").await;
}
