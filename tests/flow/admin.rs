//! What is seen of servers, invitations, pairings and sessions, and by whom; and what a revocation would strike.

use http::Method;
use serde_json::{Value, json};
use sidekey_client::Error;
use sidekey_client::admin::{PairingFilter, SessionFilter, SessionState, Standing};
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_protocol::session::Audience;
use sidekey_tests::{ANN, BOB, MAIL, Office, SHOP, server, user};

const NOBODY: &str = "000102030405060708090a0b0c0d0e0f";

fn reason() -> Reason {
    "phone lost".parse().unwrap()
}

/// Another enterprise at the same service: its mail server, one user, one session.
async fn shop(office: &Office) -> (sidekey_tests::MailServer, sidekey_tests::Phone, SessionId) {
    office.system.add_server(SHOP).await;
    let shop = office.system.pair_server(SHOP).await;
    let bob = office.system.pair_client(SHOP, BOB).await;
    let key = shop.server.issue(&Audience::User(user(BOB)), None, &Office::capabilities()).await.unwrap();
    (shop, bob, key.session())
}

#[tokio::test]
async fn an_administrator_looks_up_what_there_is_one_by_one() {
    let office = Office::open().await;
    let admin = &office.system.admin;
    let invited = office.system.invite(MAIL, Some(BOB)).await;

    let found = admin.server(&server(MAIL)).await.unwrap();
    assert_eq!((found.state, found.pairings, found.users, found.revoked), (Standing::Active, 1, 1, None));
    let found = admin.invitation(invited.invitation).await.unwrap();
    assert_eq!((found.user, found.expires, found.attempts), (Some(user(BOB)), invited.expires, 5));
    let phone = office.phone.client.pairing();
    let listed = admin.pairings(&PairingFilter::default()).await.unwrap();
    let listed = listed.into_iter().find(|pairing| pairing.pairing == phone).unwrap();
    assert_eq!(admin.pairing(phone).await.unwrap(), listed);

    admin.revoke(&Target::Server { server: server(MAIL) }, &reason()).await.unwrap();
    let gone = admin.server(&server(MAIL)).await.unwrap();
    assert_eq!((gone.state, gone.revoked.unwrap().reason), (Standing::Revoked, reason()));
    assert_eq!(admin.pairing(phone).await.unwrap().state, Standing::Revoked);
}

#[tokio::test]
async fn a_name_with_everything_in_it_is_found() {
    let office = Office::open().await;
    for name in ["mail/one", "mail?a=b&c#d", "münchen.example", "100%", "..", "a b"] {
        office.system.add_server(name).await;
        assert_eq!(office.system.admin.server(&server(name)).await.unwrap().name, server(name));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let office = Office::open().await;
    let token = office.system.admin_token();
    for path in ["servers/nowhere", &format!("invitations/{NOBODY}"), &format!("pairings/{NOBODY}")] {
        office.system.get(&format!("/v1/{path}"), &token).send().await.refused(404, "not_found");
    }
    office.system.get(&format!("/v1/sessions/{NOBODY}"), &token).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_party_looks_up_its_own_and_to_strangers_there_is_nothing() {
    let office = Office::open().await;
    let (shop, bob, _) = shop(&office).await;
    let (all, one) = (office.session().await.session(), office.session_of_the_phone().await.session());
    let phone = office.phone.client.pairing();

    // Whose requests, for which thing, are answered as if it were not there.
    let [mail, ann, tablet] = [&office.mail.keys, &office.phone.keys, &office.tablet.keys];
    let (pairing, all, one) =
        (format!("/v1/pairings/{phone}"), format!("/v1/sessions/{all}"), format!("/v1/sessions/{one}"));
    for (keys, path, visible) in [
        (mail, &pairing, true),
        (ann, &pairing, true),
        (tablet, &pairing, true),
        (&shop.keys, &pairing, false),
        (&bob.keys, &pairing, false),
        (mail, &all, true),
        (tablet, &all, true),
        (mail, &one, true),
        (ann, &one, true),
        (tablet, &one, false),
        (&shop.keys, &all, false),
        (&bob.keys, &all, false),
    ] {
        let answer = office.system.get(path, &keys.token()).send().await;
        if visible {
            answer.is(200);
            continue;
        }
        let refused = answer.refused(404, "not_found");
        let nothing = path.rsplit_once('/').unwrap().0.to_owned() + "/" + NOBODY;
        let absent = office.system.get(&nothing, &keys.token()).send().await.refused(404, "not_found");
        assert_eq!(refused, absent, "{path}");
    }
    let seen = office.tablet.client.session(all.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!((seen.user, seen.state), (user(ANN), SessionState::Open));
    assert!(matches!(
        bob.client.session(one.rsplit('/').next().unwrap().parse().unwrap()).await,
        Err(Error::Refused { code, .. }) if code == "not_found"
    ));
}

#[tokio::test]
async fn what_is_an_administrator_s_alone_is_refused_to_parties() {
    let office = Office::open().await;
    let invited = office.system.invite(MAIL, None).await.invitation;
    for keys in [&office.mail.keys, &office.phone.keys] {
        for path in [&format!("/v1/servers/{MAIL}"), &format!("/v1/invitations/{invited}"), "/v1/sessions"] {
            office.system.get(path, &keys.token()).send().await.refused(403, "role_forbidden");
        }
    }
}

#[tokio::test]
async fn an_administrator_lists_everybody_s_sessions_by_what_he_asks_for() {
    let office = Office::open().await;
    let (shop, _, bobs) = shop(&office).await;
    let (all, one) = (office.session().await.session(), office.session_of_the_phone().await.session());
    let over = office.session().await.session();
    office.mail.server.end(over).await.unwrap();

    let phone = Some(office.phone.client.pairing());
    let tablet = Some(office.tablet.client.pairing());
    let none = SessionFilter::default;
    for (what, filter, expected) in [
        ("all", none(), vec![all, bobs, one, over]),
        ("server", SessionFilter { server: Some(server(SHOP)), ..none() }, vec![bobs]),
        ("user", SessionFilter { user: Some(user(ANN)), ..none() }, vec![all, one, over]),
        ("state", SessionFilter { state: Some(SessionState::Open), ..none() }, vec![all, bobs, one]),
        ("ended", SessionFilter { state: Some(SessionState::Ended), ..none() }, vec![over]),
        ("phone", SessionFilter { pairing: phone, ..none() }, vec![all, one, over]),
        ("tablet", SessionFilter { pairing: tablet, ..none() }, vec![all, over]),
        ("gateway", SessionFilter { pairing: Some(shop.server.pairing()), ..none() }, vec![bobs]),
        ("elsewhere", SessionFilter { pairing: phone, server: Some(server(SHOP)), ..none() }, vec![]),
        ("another's", SessionFilter { pairing: phone, user: Some(user(BOB)), ..none() }, vec![]),
        ("nobody", SessionFilter { user: Some(user("x")), server: Some(server(MAIL)), ..none() }, vec![]),
    ] {
        let found = office.system.admin.sessions(&filter).await.unwrap();
        let mut found: Vec<_> = found.iter().map(|session| session.session).collect();
        let mut expected = expected;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }
    let listed = office.system.admin.sessions(&none()).await.unwrap();
    let of_one = listed.iter().find(|session| session.session == one).unwrap();
    assert_eq!((of_one.pairing, of_one.by), (phone, office.mail.server.pairing()));
    assert_eq!(office.system.admin.session(one).await.unwrap(), *of_one);
}

#[tokio::test]
async fn a_list_of_sessions_goes_on_where_it_ended_whatever_ends_meanwhile() {
    let office = Office::open().await;
    let mut opened = Vec::new();
    for _ in 0..7 {
        opened.push(office.session().await.session());
    }
    let token = office.system.admin_token();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/sessions?page_size=2{next}");
        let page = office.system.get(&path, &token).send().await.is(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["session"].as_str().unwrap().parse::<SessionId>().unwrap()));
        if seen.len() == 2 {
            // One that was listed, and one that was not yet.
            for session in [opened[0], opened[6]] {
                office.system.admin.end(session).await.unwrap();
            }
            office.session().await;
        }
        match page["next_page_token"].as_str() {
            Some(token) => next = format!("&page_token={token}"),
            None => break,
        }
    }
    for session in &opened {
        assert_eq!(seen.iter().filter(|seen| *seen == session).count(), 1);
    }
    let bad = office.system.get("/v1/sessions?colour=red", &token).send().await;
    bad.refused(400, "query_invalid");
}

#[tokio::test]
async fn an_administrator_rotates_and_ends_a_session_and_gets_no_key() {
    let office = Office::open().await;
    let session = office.session().await.session();
    let token = office.system.admin_token();
    let path = format!("/v1/sessions/{session}");
    let rotated = office.system.post(&format!("{path}/rotate"), &token, &json!({})).send().await;
    let rotated = rotated.is(200).json();
    assert_eq!((&rotated["generation"], &rotated["key"]), (&json!(1), &Value::Null));
    let fresh = office.tablet.keys.client(office.system.ambient()).await;
    assert_eq!(fresh.session_key(session).await.unwrap().generation(), 1);
    office.fetch(session, "", &token).send().await.refused(403, "role_forbidden");

    assert_eq!(office.system.admin.rotate(session).await.unwrap().generation, 2);
    office.system.ask(Method::DELETE, &path).bearer(&token).send().await.is(204);
    office.fetch(session, "", &office.mail.keys.token()).send().await.refused(410, "session_ended");
    office.system.admin.end(session).await.expect("it is over already");
    assert!(matches!(office.system.admin.rotate(session).await, Err(Error::Expired)));
    let nothing = format!("/v1/sessions/{NOBODY}/rotate");
    office.system.post(&nothing, &token, &json!({})).send().await.refused(404, "not_found");
}

/// For each kind of target: what a dry run says is what the revocation then does, and until then nothing has changed.
#[tokio::test]
async fn a_dry_run_says_what_the_revocation_then_does_and_changes_nothing() {
    let office = Office::open().await;
    office.session().await;
    let (alone, ended) = (office.session_of_the_phone().await, office.session().await);
    let (invited, other) =
        (office.system.invite(MAIL, Some(ANN)).await, office.system.invite(MAIL, Some(BOB)).await);
    for (target, struck) in [
        (Target::Session { session: ended.session() }, [0, 0, 0, 1]),
        (Target::Invitation { invitation: other.invitation }, [1, 0, 0, 0]),
        (Target::Pairing { pairing: office.phone.client.pairing() }, [0, 1, 1, 1]),
        (Target::User { server: server(MAIL), user: user(ANN) }, [1, 1, 0, 1]),
        (Target::Server { server: server(MAIL) }, [0, 1, 0, 0]),
    ] {
        let before = office.system.records().len();
        let would = office.system.admin.would_revoke(&target, &reason()).await.unwrap().unwrap();
        assert_eq!(office.system.records().len(), before, "{target:?}");
        let told = [would.invitations, would.pairings, would.sessions_rotated, would.sessions_ended];
        assert_eq!(told, struck, "{target:?}");
        assert_eq!(office.system.admin.revoke(&target, &reason()).await.unwrap(), Some(would));
        assert_eq!(office.system.admin.would_revoke(&target, &reason()).await.unwrap(), None, "{target:?}");
    }
    office.fetch(alone.session(), "", &office.phone.keys.token()).send().await.refused(410, "revoked");
    assert_eq!(office.system.admin.invitation(invited.invitation).await.unwrap().attempts, 5);
}

#[tokio::test]
async fn a_dry_run_tells_nobody_more_than_a_revocation_would() {
    let office = Office::open().await;
    let ask = |target: Value, token: &str| {
        let body = json!({"target": target, "reason": "x"});
        office.system.post("/v1/revocations?dry_run=true", token, &body)
    };
    let phone = json!({"kind": "pairing", "pairing": office.phone.client.pairing()});
    let nobody = json!({"kind": "pairing", "pairing": NOBODY});
    let tablet = office.tablet.keys.token();
    let foreign = ask(phone.clone(), &tablet).send().await.refused(404, "not_found");
    assert_eq!(foreign, ask(nobody.clone(), &tablet).send().await.refused(404, "not_found"));
    ask(nobody, &office.system.admin_token()).send().await.refused(404, "not_found");
    ask(phone, &office.phone.keys.token()).send().await.is(200);
    office.phone.client.current().await.expect("it is live still");
    let odd = office.system.post("/v1/revocations?dry_run=yes", &tablet, &json!({}));
    odd.send().await.refused(400, "query_invalid");
}
