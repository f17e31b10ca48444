//! Policies that change: who is told, what becomes of open sessions, and everything that is refused on the way.

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER};
use sidekey_client::Notice;
use sidekey_client::admin::Invite;
use sidekey_protocol::ids::Role;
use sidekey_protocol::policy::setting::{Asked, Level};
use sidekey_protocol::policy::wire::{PoliciesQuery, Whose};
use sidekey_protocol::revocation::wire::Event;
use sidekey_tests::{Asking, server};

use super::*;

const SERVICE: &str = "/v1/policies/service";
const OF_MAIL: &str = "/v1/policies/servers/mail.example.org";
const OF_ANN: &str = "/v1/policies/servers/mail.example.org/users/ann@example.org";

fn asked(json: &Value) -> Asked {
    serde_json::from_value(json.clone()).unwrap()
}

/// Sets it, whatever was set there before.
async fn set(office: &Office, whose: &Whose, json: Value) {
    let revision = office.system.admin.policy(whose).await.unwrap().revision;
    office.system.admin.set_policy(whose, &asked(&json), revision).await.unwrap();
}

/// `PUT` by the administrator, of what he has read.
fn put(office: &Office, path: &str, tag: &str, body: &Value) -> Asking {
    let asking = office.system.ask(Method::PUT, path).bearer(&office.system.admin_token());
    asking.header(IF_MATCH, tag).json(body)
}

#[tokio::test]
async fn a_change_rotates_the_session_and_both_sides_go_on_under_it() {
    let mut office = Office::open().await;
    let before = office.session().await;
    let old = office.phone.client.session_key(before.session()).await.unwrap();
    set(&office, &Whose::Server(server(MAIL)), json!({"suites": ["C20P"]})).await;
    for restarted in [false, true] {
        if restarted {
            office.system.restart().await;
        }
        let answer = office.fetch(before.session(), "?generation=0", &office.phone.keys.token());
        answer.send().await.refused(410, "generation_passed");
        let phone = office.phone.keys.client(office.system.ambient()).await;
        let mail = office.mail.keys.server(office.system.ambient()).await;
        let (there, here) = (
            mail.session_key(before.session()).await.unwrap(),
            phone.session_key(before.session()).await.unwrap(),
        );
        assert_eq!((here.generation(), here.suite()), (1, Suite::C20p));
        assert_eq!(here.not_after(), old.not_after(), "no session lives longer for it");
        agree(&office.mail, &there, &office.phone, &here).await;
        assert_eq!(phone.policy().await.unwrap().policy.version, 2);
    }
}

#[tokio::test]
async fn a_change_is_told_to_the_server_and_to_the_devices_that_it_concerns() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    let mut watches = [office.mail.server.watch(), office.phone.client.watch(), bob.client.watch()];
    for watch in &mut watches {
        assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
    }
    let told = |notice: Notice| match notice {
        Notice::Event(Event::Policy(changed)) => (changed.user.map(|user| user.to_string()), changed.version),
        other => panic!("{other:?}"),
    };
    let [mail, phone, bobs] = &mut watches;
    let (ann, bob) = (Some(ANN.to_owned()), Some(BOB.to_owned()));
    set(&office, &Whose::User(server(MAIL), user(ANN)), json!({"items": ["BODY"]})).await;
    assert_eq!(told(mail.next().await.unwrap().unwrap()), (ann.clone(), 2));
    assert_eq!(told(phone.next().await.unwrap().unwrap()), (ann.clone(), 2));
    set(&office, &Whose::Service, json!({"suites": ["C20P", "A256GCM"]})).await;
    assert_eq!(told(mail.next().await.unwrap().unwrap()), (None, 2));
    assert_eq!(told(phone.next().await.unwrap().unwrap()), (ann, 3));
    assert_eq!(told(bobs.next().await.unwrap().unwrap()), (bob, 2), "his first");
}

#[tokio::test]
async fn rules_alone_are_told_to_nobody_and_rotate_nothing() {
    let office = Office::open().await;
    let key = office.session().await;
    set(&office, &Whose::Service, json!({"session_ttl_max": 7200, "approval": "none"})).await;
    let fetched = office.phone.client.session_key(key.session()).await.unwrap();
    assert_eq!(fetched.generation(), 0);
    assert_eq!(office.phone.client.policy().await.unwrap().policy.version, 1);
}

#[tokio::test]
async fn a_key_made_under_the_policy_of_before_is_refused_by_who_has_seen_the_new_one() {
    let office = Office::open().await;
    let key = office.session().await;
    let told = office.fetch(key.session(), "", &office.phone.keys.token()).send().await;
    set(&office, &Whose::Service, json!({"suites": ["C20P", "A256GCM"]})).await;
    office.phone.client.policy().await.unwrap();
    // The old answer again, to the letter: genuine, in time, and of before.
    let (opened, profile) = (office.phone.keys.opened(told.is(200)), office.phone.keys.profile());
    assert_eq!(opened.bindings.session, key.session());
    let held = office.phone.client.policy().await.unwrap();
    let known = envelope::Known { policy: &held, offer: Some(&profile.offer), capabilities: None };
    assert_eq!(opened.bindings.agree(&known), Err(envelope::Reject::PolicyForeign));
}

mod fetching_it {
    use super::*;

    #[tokio::test]
    async fn who_has_it_is_told_so_until_it_changes() {
        let office = Office::open().await;
        let ask = || office.system.get("/v1/policy", &office.phone.keys.token());
        let first = ask().send().await;
        let tag = first.is(200).headers[ETAG].to_str().unwrap().to_owned();
        let again = ask().header(IF_NONE_MATCH, &format!("\"other\", {tag}")).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.headers[ETAG], first.headers[ETAG]);
        assert_eq!(ask().send().await.body, first.body, "one tag, one content");
        set(&office, &Whose::Service, json!({"suites": ["C20P"]})).await;
        let changed = ask().header(IF_NONE_MATCH, &tag).send().await;
        assert_ne!(changed.is(200).headers[ETAG], first.headers[ETAG]);
    }
}

mod setting {
    use super::*;

    #[tokio::test]
    async fn a_level_is_shown_with_what_holds_there_and_who_said_so() {
        let office = Office::open().await;
        set(&office, &Whose::Service, json!({"devices_max": 4, "session_ttl": 600})).await;
        set(&office, &Whose::Server(server(MAIL)), json!({"devices_max": 9})).await;
        let view = office.system.admin.policy(&Whose::User(server(MAIL), user(ANN))).await.unwrap();
        assert_eq!((view.revision, view.setting.clone()), (0, Asked::default()));
        assert_eq!((view.effective.devices_max.value, view.effective.devices_max.from), (9, Level::Server));
        assert_eq!(
            (view.effective.session_ttl.value, view.effective.session_ttl.from),
            (600, Level::Service)
        );
        assert_eq!(view.effective.suites.from, Level::BuiltIn);
        let rows = office.system.admin.policies(&PoliciesQuery::default()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.server.clone()).collect::<Vec<_>>(), [None, Some(server(MAIL))]);
        let page = format!("/v1/policies?page_size=1&server={MAIL}");
        let page = office.system.get(&page, &office.system.admin_token()).send().await.is(200).json();
        assert_eq!((page["items"].as_array().unwrap().len(), &page["next_page_token"]), (1, &Value::Null));
    }

    #[tokio::test]
    async fn unset_leaves_it_to_the_level_above() {
        let office = Office::open().await;
        set(&office, &Whose::Server(server(MAIL)), json!({"suites": ["C20P"]})).await;
        let unset = office.system.ask(Method::DELETE, OF_MAIL).bearer(&office.system.admin_token());
        let answer = unset.header(IF_MATCH, "\"1\"").send().await.is(200).json();
        assert_eq!((&answer["policy"]["revision"], &answer["policy"]["version"]), (&json!(2), &json!(3)));
        assert_eq!(answer["policy"]["effective"]["suites"]["from"], "built_in");
        assert!(office.system.admin.policies(&PoliciesQuery::default()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_dry_run_names_whom_it_would_concern_and_changes_nothing() {
        let office = Office::open().await;
        office.session().await;
        let own = office.session_of_the_phone().await;
        let unfit = pair_with(&office, "A256GCM").await.0;
        unfit.is(200);
        let before = office.system.records();
        let change = asked(&json!({"suites": ["C20P"]}));
        let tried = office.system.admin.try_policy(&Whose::Service, &change).await.unwrap();
        let concerns = &tried.concerns;
        assert!(tried.dry_run);
        assert_eq!((concerns.users, concerns.devices, concerns.devices_unfit), (1, 3, 1));
        assert_eq!((concerns.sessions_rotated, concerns.sessions_ended), (1, 1));
        assert_eq!((concerns.unfit[0].user.as_str(), concerns.unfit[0].server.as_str()), (ANN, MAIL));
        assert_eq!((tried.policy.revision, tried.policy.version), (0, 2));
        assert_eq!(office.system.records(), before);
        assert_eq!(office.phone.client.session_key(own.session()).await.unwrap().generation(), 0);
    }

    #[tokio::test]
    async fn a_change_that_does_not_say_what_it_changes_is_refused() {
        let office = Office::open().await;
        let before = office.system.records();
        let bare = office.system.ask(Method::PUT, SERVICE).bearer(&office.system.admin_token());
        bare.json(&json!({})).send().await.refused(428, "precondition_required");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_change_of_what_somebody_else_has_changed_is_refused() {
        let office = Office::open().await;
        let first = put(&office, OF_ANN, "\"0\"", &json!({"devices_max": 5})).send().await;
        assert_eq!(first.is(200).headers[ETAG], "\"1\"");
        let before = office.system.records();
        for tag in ["\"0\"", "\"2\"", "W/\"1\"", "1"] {
            let second = put(&office, OF_ANN, tag, &json!({"devices_max": 6})).send().await;
            second.refused(412, "precondition_failed");
        }
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn what_cannot_be_set_is_refused_by_its_member() {
        let office = Office::open().await;
        let before = office.system.records();
        for (body, member) in [
            (json!({"suites": ["A265GCM"]}), "suites"),
            (json!({"items": ["BODDY"]}), "items"),
            (json!({"session_ttl": 59}), "session_ttl"),
            (json!({"session_ttl_max": 86_401}), "session_ttl_max"),
            (json!({"invitation_ttl": 604_801}), "invitation_ttl"),
            (json!({"devices_max": 0}), "devices_max"),
            (json!({"sessions_max": 100_001}), "sessions_max"),
        ] {
            let problem = put(&office, SERVICE, "\"0\"", &body).send().await.refused(422, "policy_invalid");
            assert_eq!(problem["errors"], json!([{"field": member, "fault": "invalid"}]));
            assert!(problem["cause"].as_str().unwrap().contains(member), "{problem}");
        }
        let legacy = json!({"suites": ["A256GCM", "RC4"]});
        put(&office, SERVICE, "\"0\"", &legacy).send().await.refused(403, "suite_forbidden");
        let unknown = json!({"suits": ["C20P"]});
        put(&office, SERVICE, "\"0\"", &unknown).send().await.refused(400, "body_invalid");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_server_that_there_is_not_has_no_policy() {
        let office = Office::open().await;
        let path = "/v1/policies/servers/nowhere";
        office.system.get(path, &office.system.admin_token()).send().await.refused(404, "not_found");
        put(&office, path, "\"0\"", &json!({})).send().await.refused(404, "not_found");
    }

    #[tokio::test]
    async fn nobody_but_an_administrator_sets_or_reads_what_is_set() {
        let office = Office::open().await;
        for keys in [&office.phone.keys, &office.mail.keys] {
            office.system.get(OF_ANN, &keys.token()).send().await.refused(403, "role_forbidden");
            let own = office.system.ask(Method::PUT, OF_ANN).bearer(&keys.token());
            own.header(IF_MATCH, "\"0\"").json(&json!({})).send().await.refused(403, "role_forbidden");
        }
    }
}

mod keeping_to_it {
    use super::*;

    #[tokio::test]
    async fn a_device_that_no_longer_fits_is_found_precisely_and_its_end_heals() {
        let office = Office::open().await;
        let shared = office.session().await;
        let old = pair_with(&office, "A256GCM").await.0;
        old.is(200);
        set(&office, &Whose::Service, json!({"suites": ["C20P"]})).await;
        let over = office.phone.client.session_key(shared.session()).await;
        assert!(matches!(over, Err(Error::Expired)), "{over:?}");
        office.open_session(ONCE, &for_ann()).send().await.refused(409, "no_common_suite");
        let phone = json!({"pairing": office.phone.client.pairing(), "capabilities": ["C20P"]});
        office.open_session("of-the-phone-alone", &phone).send().await.is(201);
        let all = office.system.admin.pairings(&Default::default()).await.unwrap();
        let unfit = all.iter().find(|pairing| pairing.last_seen.is_none()).unwrap();
        let target = json!({"kind": "pairing", "pairing": unfit.pairing});
        office.revoke(&target).send().await.is(200);
        office.open_session(ONCE, &for_ann()).send().await.is(201);
    }

    #[tokio::test]
    async fn a_device_that_lacks_what_the_new_policy_requires_cannot_pair() {
        let office = Office::open().await;
        set(&office, &Whose::User(server(MAIL), user(ANN)), json!({"suites": ["C20P"]})).await;
        pair_with(&office, "A256GCM").await.0.refused(409, "no_common_suite");
        pair_with(&office, "C20P").await.0.is(200);
    }

    #[tokio::test]
    async fn a_device_more_than_the_policy_allows_is_refused() {
        let office = Office::open().await;
        let invited = office.system.invite(MAIL, Some(ANN)).await;
        set(&office, &Whose::User(server(MAIL), user(ANN)), json!({"devices_max": 2})).await;
        let mut begun = office.system.begun(invited.invitation, &invited.code).await;
        let finish = begun.honest_finish();
        office.system.finish(invited.invitation, &finish).send().await.refused(409, "device_limit");
        let invite = Invite {
            role: Role::Client,
            server: server(MAIL),
            user: Some(user(ANN)),
            ttl_s: None,
            approval: None,
        };
        let refused = office.system.admin.invite(&invite).await.unwrap_err();
        assert!(matches!(&refused, Error::Refused { code, .. } if code == "device_limit"), "{refused:?}");
        office.revoke_the_phone().await;
        office.system.pair_client(MAIL, ANN).await;
    }

    #[tokio::test]
    async fn a_session_more_than_the_policy_allows_is_refused_until_one_expires() {
        let office = Office::open().await;
        set(&office, &Whose::Server(server(MAIL)), json!({"sessions_max": 2})).await;
        let first = office.session().await;
        office.session().await;
        office.mail.server.end(first.session()).await.unwrap();
        let before = office.system.records();
        let refused = office.open_session(ONCE, &for_ann()).send().await;
        let problem = refused.refused(429, "session_limit");
        assert_eq!(
            (&problem["retry_after"], &refused.headers[RETRY_AFTER]),
            (&json!(3600), &"3600".parse().unwrap())
        );
        assert_eq!(office.system.records(), before);
        office.system.clock.advance_s(3600);
        office.open_session(ONCE, &for_ann()).send().await.is(201);
    }

    #[tokio::test]
    async fn a_life_beyond_the_policy_is_refused_and_what_is_not_asked_fits() {
        let office = Office::open().await;
        set(&office, &Whose::Service, json!({"session_ttl_max": 600})).await;
        let mut body = for_ann();
        body["ttl"] = json!(601);
        let problem = office.open_session(ONCE, &body).send().await.refused(422, "ttl_out_of_range");
        assert!(problem["cause"].as_str().unwrap().contains("policy"), "{problem}");
        let key = office.session().await;
        assert_eq!(key.not_after(), office.system.clock.now().after_s(600));
    }

    #[tokio::test]
    async fn an_invitation_lasts_as_the_policy_says() {
        let office = Office::open().await;
        set(&office, &Whose::Service, json!({"invitation_ttl": 120, "invitation_ttl_max": 300})).await;
        let invited = office.system.invite(MAIL, Some(ANN)).await;
        assert_eq!(invited.expires, office.system.clock.now().after_s(120));
        let longer =
            Invite { role: Role::Server, server: server(MAIL), user: None, ttl_s: Some(301), approval: None };
        let refused = office.system.admin.invite(&longer).await.unwrap_err();
        assert!(matches!(&refused, Error::Refused { code, .. } if code == "ttl_out_of_range"), "{refused:?}");
    }
}
