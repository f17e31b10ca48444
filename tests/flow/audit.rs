//! The audit log: what it shows, to whom, and what it refuses.

use sidekey_client::Error;
use sidekey_client::admin::{AuditFilter, Paging};
use sidekey_client::error::Tampered;
use sidekey_protocol::audit::proof::Reject;
use sidekey_protocol::audit::wire::AuditPage;
use sidekey_protocol::audit::{Action, Checkpoint, Entry, Frame, Position};
use sidekey_protocol::revocation::Target;
use sidekey_tests::{ANN, MAIL, Office, SHOP, server, user};

async fn log(office: &Office, filter: &AuditFilter) -> Vec<Entry> {
    log_from(office, filter, Paging::default()).await
}

async fn log_from(office: &Office, filter: &AuditFilter, mut which: Paging) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let page = office.system.admin.audit(filter, &which).await.unwrap();
        entries.extend(page.items);
        match page.next_page_token {
            Some(token) => which.page_token = Some(token),
            None => return entries,
        }
    }
}

#[tokio::test]
async fn everything_that_changed_anything_is_told_before_it_is_answered() {
    let office = Office::open().await;
    let key = office.session().await;
    let last = log(&office, &AuditFilter::default()).await.pop().unwrap();
    let mail = Some(office.mail.server.pairing());
    assert_eq!((last.action, last.session, last.by), (Action::SessionOpened, Some(key.session()), mail));

    office.mail.server.rotate(key.session()).await.unwrap();
    let phone = office.phone.client.pairing();
    let target = Target::Pairing { pairing: phone };
    office.system.admin.revoke(&target, &"lost".parse().unwrap()).await.unwrap();
    office.mail.server.end(key.session()).await.unwrap();

    let of_ann = AuditFilter { user: Some(user(ANN)), ..AuditFilter::default() };
    let told: Vec<_> = log(&office, &of_ann).await.into_iter().map(|entry| entry.action).collect();
    let pairing = [Action::InvitationCreated, Action::InvitationAttemptSpent, Action::PairingConfirmed];
    let used = [Action::PairingUsed; 2];
    let rest = [Action::SessionOpened, Action::SessionRotated, Action::PairingRevoked, Action::SessionEnded];
    assert_eq!(told, [&pairing[..], &pairing, &used, &rest].concat());

    let of_the_phone = AuditFilter { pairing: Some(phone), ..AuditFilter::default() };
    let told = log(&office, &of_the_phone).await;
    let revoked = told.last().unwrap();
    assert_eq!(
        (revoked.action, revoked.by),
        (Action::PairingRevoked, Some(office.system.admin_credential().party))
    );
    assert_eq!(revoked.reason, Some("lost".parse().unwrap()));
    assert!(told.iter().all(|entry| entry.server == Some(server(MAIL))), "{told:?}");
}

#[tokio::test]
async fn each_record_continues_the_chain() {
    let office = Office::open().await;
    office.session().await;
    let last = office.system.admin.audit(&AuditFilter::default(), &Paging::default()).await.unwrap().last;
    let mut end = Position::START;
    for seq in 1..=last {
        let record = office.system.admin.audit_record(seq).await.unwrap();
        assert_eq!(record.previous.0, end.hash);
        end = end.next(&record.leaf.0);
        assert_eq!(record.hash.0, end.hash, "record {seq}");
        assert!(record.entries.iter().all(|entry| entry.seq == seq));
        let frame = Frame { size_bytes: record.size, seq, nth: record.nth, entries: [0; 32] };
        assert_ne!(frame.leaf(&record.body.0), record.leaf.0, "the entries are part of it");
    }
}

#[tokio::test]
async fn a_log_that_grows_is_read_on_from_where_a_page_ended() {
    let office = Office::open().await;
    let all = AuditFilter::default();
    let first = Paging { page_size: Some(3), page_token: None };
    let page = office.system.admin.audit(&all, &first).await.unwrap();
    office.system.add_server(SHOP).await;
    let rest = Paging { page_size: None, page_token: page.next_page_token };
    let rest = log_from(&office, &all, rest).await;
    assert_eq!(rest.first().unwrap().seq, 4);
    assert_eq!(rest.last().unwrap().server, Some(server(SHOP)));
}

#[tokio::test]
async fn the_log_is_the_administrator_s_alone() {
    let office = Office::open().await;
    for keys in [&office.mail.keys, &office.phone.keys] {
        for path in ["/v1/audit", "/v1/audit/1"] {
            office.system.get(path, &keys.token()).send().await.refused(403, "role_forbidden");
        }
    }
}

#[tokio::test]
async fn a_party_is_told_its_own_and_can_prove_it() {
    let office = Office::open().await;
    let key = office.session().await;
    let seen = office.phone.client.audit(None).await.unwrap();
    let phone = office.phone.client.pairing();
    let told: Vec<_> = seen.entries.iter().map(|entry| entry.action).collect();
    let own = [Action::PairingConfirmed, Action::PairingUsed, Action::SessionOpened];
    assert_eq!(told, [&[Action::ServerAdded][..], &own].concat());
    assert_eq!(seen.entries[3].session, Some(key.session()));
    assert!(seen.entries.iter().all(|entry| entry.pairing.is_none_or(|pairing| pairing == phone)));
    let last = office.system.admin.audit(&AuditFilter::default(), &Paging::default()).await.unwrap().last;
    assert_eq!(seen.position.seq, last);

    // From there on, what is new.
    office.mail.server.end(key.session()).await.unwrap();
    let more = office.phone.client.audit(Some(seen.position)).await.unwrap();
    let told: Vec<_> = more.entries.iter().map(|entry| entry.action).collect();
    assert_eq!(told, [Action::SessionEnded]);
    let server = office.mail.server.audit(None).await.unwrap();
    assert!(server.entries.len() > more.entries.len() + seen.entries.len());
    assert!(server.entries.iter().all(|entry| entry.action != Action::InvitationCreated));

    // A service that has another past than the one that it signed is found.
    let other = Position { hash: [9; 32], ..seen.position };
    let refused = office.phone.client.audit(Some(other)).await.unwrap_err();
    assert!(matches!(refused, Error::Tampered(Tampered::Audit(Reject::ChainForeign))), "{refused}");
    let later = Position { seq: last + 100, ..other };
    let refused = office.phone.client.audit(Some(later)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { code, .. } if code == "not_found"));

    // The administrator walks over all of it.
    let signed = [Checkpoint::read(&seen.checkpoint).unwrap(), Checkpoint::read(&more.checkpoint).unwrap()];
    let walked = office.system.admin.audit_walk(&signed).await.unwrap();
    assert_eq!(walked.entries.len(), log(&office, &AuditFilter::default()).await.len());
    assert_eq!(
        Checkpoint::read(&office.system.admin.audit_checkpoint().await.unwrap()).unwrap().position,
        walked.position
    );
}

#[tokio::test]
async fn a_proof_tells_nothing_of_others() {
    let office = Office::open().await;
    office.session_of_the_phone().await;
    let (phone, tablet) = (office.phone.client.pairing(), office.tablet.client.pairing());
    let told = office
        .system
        .get("/v1/audit/proof", &office.tablet.keys.token())
        .send()
        .await
        .is(200)
        .json()
        .to_string();
    assert!(told.contains(&tablet.to_string()) && !told.contains(&phone.to_string()), "{told}");
    assert!(!told.contains("invitation_created") && !told.contains("secrets_resealed"), "{told}");
}

#[tokio::test]
async fn a_checkpoint_is_kept_when_the_service_stops_and_by_whichever_key_signs() {
    let mut office = Office::open().await;
    office.system.restart().await;
    let token = office.system.admin_token();
    let kept = office.system.get("/v1/audit/checkpoints", &token).send().await.is(200).json();
    let first =
        Checkpoint::read(kept["items"].as_array().unwrap().last().unwrap()["checkpoint"].as_str().unwrap());
    let (answer, _) = office.system.admin.keys().await.unwrap();
    assert_eq!(first.as_ref().unwrap().kid(), answer.keys[0].kid);
    office.system.admin.rotate_key(&answer.keys[0].kid, None).await.unwrap();
    office.system.restart().await;
    let data = office.system.data();
    let verified = sidekey_service::store::Store::verify(&data, &[first.unwrap()]).unwrap();
    assert_eq!(verified.keys.len(), 2);
    assert_eq!(verified.signed, verified.last);
    office.phone.client.audit(None).await.expect("the device follows the key");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let office = Office::open().await;
    let token = office.system.admin_token();
    for query in ["action=pairing_stolen", "page_size=0", "page_token=x", "since=-1", "from=x", "color=red"] {
        let path = format!("/v1/audit?{query}");
        office.system.get(&path, &token).send().await.refused(400, "query_invalid");
    }
    for record in ["0", "99999", "18446744073709551616", "-1", "x", "01x"] {
        let path = format!("/v1/audit/{record}");
        office.system.get(&path, &token).send().await.refused(404, "not_found");
    }
    let max = u64::MAX;
    let answer = office.system.get(&format!("/v1/audit?from={max}"), &token).send().await;
    let page: AuditPage = serde_json::from_value(answer.is(200).json()).unwrap();
    assert!(page.items.is_empty() && page.next_page_token.is_none(), "{page:?}");
}
