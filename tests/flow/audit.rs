//! The audit log: what it shows, to whom, and what it refuses.

use sidekey_client::admin::AuditFilter;
use sidekey_protocol::audit::wire::AuditPage;
use sidekey_protocol::audit::{Action, Entry, Frame, Position};
use sidekey_protocol::revocation::Target;
use sidekey_tests::{ANN, MAIL, Office, SHOP, server, user};

async fn log(office: &Office, filter: &AuditFilter) -> Vec<Entry> {
    let mut filter = filter.clone();
    let mut entries = Vec::new();
    loop {
        let page = office.system.admin.audit(&filter).await.unwrap();
        entries.extend(page.items);
        match page.next_page_token {
            Some(token) => filter.page_token = Some(token),
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
    let last = office.system.admin.audit(&AuditFilter::default()).await.unwrap().last;
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
    let first = AuditFilter { page_size: Some(3), ..AuditFilter::default() };
    let page = office.system.admin.audit(&first).await.unwrap();
    office.system.add_server(SHOP).await;
    let rest = AuditFilter { page_token: page.next_page_token, ..AuditFilter::default() };
    let rest = log(&office, &rest).await;
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
