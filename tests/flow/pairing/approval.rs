//! Approval: a code that may have been read on its way pairs nobody without a word.

mod over;

use sidekey_client::admin::{Invite, Standing};
use sidekey_client::{Confirmed, Progress};
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::pairing::{Approval, Digits, Need, PairingCode, WAITING_S};
use sidekey_tests::{Answer, Keys, server, user};

use super::*;

/// A device, or a mail server, that waits to be approved.
pub(super) struct Waits {
    pub(super) system: System,
    pub(super) pairing: PartyId,
    pub(super) digits: Digits,
    pub(super) keys: Keys,
}

/// An invitation whose pairing is to be approved by these.
pub(super) async fn invited_by(system: &System, whom: Option<&str>, approval: Approval) -> Invited {
    let role = if whom.is_some() { Role::Client } else { Role::Server };
    let invite =
        Invite { role, server: server(MAIL), user: whom.map(user), ttl_s: None, approval: Some(approval) };
    system.admin.invite(&invite).await.unwrap()
}

/// Of no pairing.
pub(super) fn wrong_digits() -> Digits {
    "0000 0000 0000 0000".parse().unwrap()
}

impl Waits {
    async fn new() -> Self {
        Self::of(ready().await, Some(ANN), Approval::Admin, true).await
    }

    /// Without a pin: its user has typed the code.
    async fn typed() -> Self {
        Self::of(ready().await, Some(ANN), Approval::Admin, false).await
    }

    pub(super) async fn of(system: System, whom: Option<&str>, approval: Approval, pinned: bool) -> Self {
        let invited = invited_by(&system, whom, approval).await;
        let role = if whom.is_some() { Role::Client } else { Role::Server };
        let mut invitation = system.accept(&invited, role);
        invitation.pin = invitation.pin.filter(|_| pinned);
        let (paired, keys) = system.pair(invitation).await.unwrap();
        assert!(paired.approval.is_needed());
        Self { system, pairing: paired.pairing, digits: paired.digits, keys }
    }

    /// `POST /v1/pairings/{pairing}/…` by the administrator.
    async fn says(&self, verb: &str, body: &Value) -> Answer {
        let path = format!("/v1/pairings/{}/{verb}", self.pairing);
        self.system.post(&path, &self.system.admin_token(), body).send().await
    }

    async fn approve(&self) {
        self.says("approve", &json!({"digits": self.digits})).await.is(200);
    }

    async fn standing(&self) -> Standing {
        self.system.admin.pairing(self.pairing).await.unwrap().state
    }

    async fn confirmed(&self) -> Confirmed {
        Confirmed::open(self.keys.store(), self.system.ambient()).await.unwrap().expect("it waits")
    }

    async fn own(&self, path: &str) -> Answer {
        self.system.get(path, &self.keys.token()).send().await
    }
}

#[tokio::test]
async fn a_device_waits_until_the_administrator_names_its_digits() {
    let waits = Waits::new().await;
    let own = waits.own("/v1/pairings/self").await.is(200).json();
    assert_eq!(own["state"], "confirmed");
    assert_eq!(
        (&own["waiting"]["needs"], &own["waiting"]["approval"]),
        (&json!(["approval"]), &json!("admin"))
    );
    waits.own("/v1/sessions/current").await.refused(403, "approval_pending");
    let before = waits.system.records().len();
    let approved = waits.says("approve", &json!({"digits": waits.digits})).await.is(200).json();
    assert_eq!((&approved["state"], approved.get("waiting")), (&json!("active"), None));
    assert_eq!(waits.system.records().len(), before + 1);
    waits.own("/v1/sessions/current").await.is(200);
    // Said again, nothing changes.
    waits.approve().await;
    assert_eq!(waits.system.records().len(), before + 1);
}

/// Both sides compute them alike: the service from its record, whoever writes a client from the contract.
#[tokio::test]
async fn a_client_written_from_the_contract_shows_the_digits_that_the_service_takes() {
    let system = ready().await;
    let invited = invited_by(&system, Some(ANN), Approval::Admin).await;
    let mut begun = system.begun(invited.invitation, &invited.code).await;
    system.finish(invited.invitation, &begun.honest_finish()).send().await.is(200);
    let pairing = system.admin.pairings(&PairingFilter::default()).await.unwrap()[0].pairing;
    let approved = system.admin.approve(pairing, begun.digits()).await.unwrap();
    // It said that it had no pin.
    assert_eq!(approved.waiting.unwrap().needs, [Need::Match]);
}

#[tokio::test]
async fn whoever_waits_may_look_say_and_go_and_nothing_else() {
    let waits = Waits::typed().await;
    let token = waits.keys.token();
    waits.own("/v1/pairings/self").await.is(200);
    let before = waits.system.records();
    for path in [
        "/v1/sessions/current",
        "/v1/policy",
        "/v1/events",
        &format!("/v1/pairings/{}", waits.pairing),
        "/v1/sessions/000102030405060708090a0b0c0d0e0f/key",
    ] {
        let problem = waits.own(path).await.refused(403, "approval_pending");
        assert!(problem["cause"].as_str().unwrap().contains("nobody has approved"), "{problem}");
    }
    let empty = json!({});
    waits
        .system
        .post("/v1/pairings/self/rekey", &token, &empty)
        .send()
        .await
        .refused(403, "approval_pending");
    for path in ["/v1/sessions", "/v1/sessions/batch", "/v1/servers"] {
        waits.system.post(path, &token, &empty).send().await.refused(403, "role_forbidden");
    }
    let approve = format!("/v1/pairings/{}/approve", waits.pairing);
    let own = json!({"digits": waits.digits});
    let itself = waits.system.post(&approve, &token, &own).send().await;
    assert_eq!(itself.status, 403, "{itself:?}");
    assert_eq!(waits.system.records(), before);

    let target = json!({"kind": "pairing", "pairing": waits.pairing});
    let revoke = json!({"target": target, "reason": "changed my mind"});
    waits.system.post("/v1/revocations", &token, &revoke).send().await.is(200);
    assert_eq!(waits.standing().await, Standing::Revoked);
    waits.own("/v1/pairings/self").await.refused(410, "revoked");
}

#[tokio::test]
async fn whoever_waits_is_no_audience_and_has_a_place_among_the_devices() {
    let waits = Waits::new().await;
    let mail = waits.system.pair_server(MAIL).await;
    let open = async |once: &str, audience: Value| {
        let mut body = json!({"capabilities": ["A256GCM"]});
        body.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
        waits.system.post("/v1/sessions", &mail.keys.token(), &body).once(once).send().await
    };
    open("0123456789abcdef", json!({"user": ANN})).await.refused(404, "not_found");
    open("1123456789abcdef", json!({"pairing": waits.pairing})).await.refused(404, "not_found");
    let one = json!({"devices_max": 1});
    let path = format!("/v1/policies/servers/{MAIL}/users/{ANN}");
    let set = waits.system.ask(Method::PUT, &path).bearer(&waits.system.admin_token()).json(&one);
    set.header(http::header::IF_MATCH, "\"0\"").send().await.is(200);
    let invite = json!({"role": "client", "server": MAIL, "user": ANN});
    let second = waits.system.post("/v1/invitations", &waits.system.admin_token(), &invite).send().await;
    second.refused(409, "device_limit");
    waits.approve().await;
    open("2123456789abcdef", json!({"user": ANN})).await.is(201);
}

#[tokio::test]
async fn digits_that_are_none_are_refused_and_not_counted() {
    let waits = Waits::new().await;
    let before = waits.system.records();
    for digits in [json!("1234"), json!(1234), json!("1234 5678 9012 345x"), json!("")] {
        waits.says("approve", &json!({"digits": digits})).await.refused(400, "body_invalid");
    }
    waits.says("approve", &json!({})).await.refused(400, "body_invalid");
    assert_eq!(waits.system.records(), before);
    let unspaced = waits.digits.to_string().replace(' ', "-");
    waits.says("approve", &json!({"digits": unspaced})).await.is(200);
}

#[tokio::test]
async fn nobody_is_shown_the_digits() {
    let waits = Waits::new().await;
    let (spaced, plain) = (waits.digits.to_string(), waits.digits.to_string().replace(' ', ""));
    let token = waits.system.admin_token();
    for path in ["/v1/pairings".to_owned(), format!("/v1/pairings/{}", waits.pairing)] {
        let seen =
            String::from_utf8(waits.system.get(&path, &token).send().await.is(200).body.to_vec()).unwrap();
        assert!(seen.contains("confirmed") && !seen.contains(&spaced) && !seen.contains(&plain), "{seen}");
    }
}

/// The attack that approval is for: who reads the code on its way pairs first. What the user's device shows is of another
/// exchange, if it gets that far at all.
#[tokio::test]
async fn a_code_that_was_read_on_its_way_pairs_nobody() {
    let system = ready().await;
    let invited = invited_by(&system, Some(ANN), Approval::Admin).await;
    let mut thief = system.begun(invited.invitation, &invited.code).await;
    system.finish(invited.invitation, &thief.honest_finish()).send().await.is(200);
    let late = system.pair(system.accept(&invited, Role::Client)).await.unwrap_err();
    assert!(matches!(late, Error::PairAgain { code, .. } if code == "invitation_over"));
    let pairing = system.admin.pairings(&PairingFilter::default()).await.unwrap()[0].pairing;
    let token = thief.token(&system, pairing);
    system.get("/v1/sessions/current", &token).send().await.refused(403, "approval_pending");
    // Ann has no digits to read: the administrator refuses what waits in her name.
    system.admin.refuse(pairing, Some("not Ann's".parse().unwrap())).await.unwrap();
    let told = system.get("/v1/sessions/current", &token).send().await.refused(410, "pairing_refused");
    assert_eq!(told["reason"], "not Ann's");
}

#[tokio::test]
async fn what_is_active_is_neither_approved_nor_refused() {
    let system = ready().await;
    let phone = system.pair_client(MAIL, ANN).await;
    phone.client.current().await.unwrap();
    let before = system.records();
    for (verb, body) in [("approve", json!({"digits": "1234 5678 9012 3456"})), ("refuse", json!({}))] {
        let path = format!("/v1/pairings/{}/{verb}", phone.client.pairing());
        system.post(&path, &system.admin_token(), &body).send().await.refused(409, "approval_over");
        let nobody = format!("/v1/pairings/{}/{verb}", PartyId::random(&mut system.rng()));
        system.post(&nobody, &system.admin_token(), &body).send().await.refused(404, "not_found");
        let itself = format!("/v1/pairings/{}/{verb}", system.admin_credential().party);
        system.post(&itself, &system.admin_token(), &body).send().await.refused(404, "not_found");
    }
    let path = "/v1/pairings/self/match";
    let matched = system.ask(Method::POST, path).bearer(&phone.keys.token()).send().await;
    assert_eq!(matched.is(200).json()["state"], "active");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn without_a_pin_its_user_says_that_the_digits_were_taken() {
    for approved_first in [true, false] {
        let waits = Waits::typed().await;
        let confirmed = waits.confirmed().await;
        let opened = sidekey_client::Client::open(waits.keys.store(), waits.system.ambient()).await;
        assert!(matches!(opened, Err(Error::Pending { .. })), "whatever the service says: {opened:?}");
        if approved_first {
            waits.approve().await;
            let needs = vec![Need::Match];
            assert!(
                matches!(confirmed.approved().await.unwrap(), Progress::Waits { needs: n, .. } if n == needs)
            );
            let problem = waits.own("/v1/sessions/current").await.refused(403, "approval_pending");
            assert!(problem["cause"].as_str().unwrap().contains("has not said"), "{problem}");
            assert_eq!(confirmed.matches().await.unwrap(), Progress::Active);
        } else {
            let progress = confirmed.matches().await.unwrap();
            assert!(matches!(progress, Progress::Waits { needs, .. } if needs == [Need::Approval]));
            waits.approve().await;
            assert_eq!(confirmed.approved().await.unwrap(), Progress::Active);
        }
        waits.keys.client(waits.system.ambient()).await.current().await.unwrap();
        assert!(Confirmed::open(waits.keys.store(), waits.system.ambient()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_app_shows_the_digits_again_after_a_restart_and_learns_that_it_was_approved() {
    let waits = Waits::new().await;
    let confirmed = waits.confirmed().await;
    assert_eq!((confirmed.digits(), confirmed.approval()), (waits.digits, Approval::Admin));
    assert!(matches!(confirmed.look().await.unwrap(), Progress::Waits { .. }));
    let client = waits.keys.client(waits.system.ambient()).await;
    assert!(matches!(client.current().await, Err(Error::Pending { .. })));
    waits.approve().await;
    assert_eq!(confirmed.approved().await.unwrap(), Progress::Active);
    client.current().await.unwrap();
    assert!(waits.keys.profile().waiting.is_none());
}

#[tokio::test]
async fn approved_at_the_last_moment_it_renews_its_root_and_works() {
    let waits = Waits::new().await;
    waits.system.clock.advance_s(WAITING_S - 1);
    waits.approve().await;
    waits.system.clock.advance_s(1);
    let mail = waits.system.pair_server(MAIL).await;
    let audience = sidekey_protocol::session::Audience::User(user(ANN));
    let key = mail.server.issue(&audience, None, &sidekey_tests::Office::capabilities()).await.unwrap();
    let client = waits.keys.client(waits.system.ambient()).await;
    client.session_key(key.session()).await.unwrap();
    assert_eq!(waits.keys.profile().epoch, 1);
}

#[tokio::test]
async fn the_policy_says_whose_word_is_needed_unless_the_invitation_does() {
    let system = ready().await;
    let path = format!("/v1/policies/servers/{MAIL}");
    let set = system.ask(Method::PUT, &path).bearer(&system.admin_token());
    let setting = json!({"approval": "device", "invitation_ttl": 3600});
    set.header(http::header::IF_MATCH, "\"0\"").json(&setting).send().await.is(200);
    let invite = async |role: &str, user: Option<&str>, approval: Option<&str>| {
        let mut body = json!({"role": role, "server": MAIL});
        user.inspect(|user| body["user"] = json!(user));
        approval.inspect(|approval| body["approval"] = json!(approval));
        let made = system.post("/v1/invitations", &system.admin_token(), &body).send().await.is(201).json();
        let lasts = made["expires"].as_u64().unwrap() - u64::from(system.clock.now().0);
        (made["approval"].as_str().unwrap().to_owned(), lasts)
    };
    assert_eq!(invite("client", Some(ANN), None).await, ("device".into(), 3600));
    assert_eq!(invite("client", Some(ANN), Some("admin")).await, ("admin".into(), 3600));
    assert_eq!(invite("client", Some(ANN), Some("none")).await, ("none".into(), 900));
    assert_eq!(invite("server", None, None).await, ("admin".into(), 3600), "no device approves a server");
    assert_eq!(invite("server", None, Some("device")).await, ("admin".into(), 3600));
}

#[tokio::test]
async fn an_invitation_that_is_to_be_approved_may_be_open_for_seven_days() {
    let system = ready().await;
    let ask = async |ttl: u32, approval: &str| {
        let body = json!({"role": "client", "server": MAIL, "user": ANN, "ttl": ttl, "approval": approval});
        system.post("/v1/invitations", &system.admin_token(), &body).send().await
    };
    ask(604_800, "admin").await.is(201);
    ask(604_800, "device").await.is(201);
    ask(604_801, "admin").await.refused(422, "ttl_out_of_range");
    ask(901, "none").await.refused(422, "ttl_out_of_range");
    ask(900, "always").await.refused(400, "body_invalid");
}

#[tokio::test]
async fn a_mail_server_waits_as_a_device_does() {
    let waits = Waits::of(ready().await, None, Approval::Admin, true).await;
    waits.own("/v1/pairings/self").await.is(200);
    let body = json!({"user": ANN, "capabilities": ["A256GCM"]});
    let open = waits.system.post("/v1/sessions", &waits.keys.token(), &body).once("0123456789abcdef");
    open.send().await.refused(403, "approval_pending");
    assert_eq!(waits.system.admin.servers().await.unwrap()[0].pairings, 0);
    waits.approve().await;
    assert_eq!(waits.system.admin.servers().await.unwrap()[0].pairings, 1);
    waits.keys.server(waits.system.ambient()).await.sessions(&user(ANN)).await.unwrap();
}

/// Each word is durable before it is answered.
#[tokio::test]
async fn every_state_outlives_a_restart() {
    let mut waits = Waits::typed().await;
    let digits = waits.confirmed().await.digits();
    waits.system.restart().await;
    waits.says("approve", &json!({"digits": "0000 0000 0000 0000"})).await.refused(403, "digits_mismatch");
    assert_eq!(waits.standing().await, Standing::Confirmed);
    waits.system.restart().await;
    waits.system.admin.approve(waits.pairing, digits).await.unwrap();
    waits.system.restart().await;
    waits.own("/v1/sessions/current").await.refused(403, "approval_pending");
    waits.confirmed().await.matches().await.unwrap();
    waits.system.restart().await;
    waits.own("/v1/sessions/current").await.is(200);
}

/// The digits are those of the exchange: another exchange of the same invitation, code and all, has others.
#[tokio::test]
async fn two_exchanges_have_two_digits() {
    let system = ready().await;
    let invited = invited_by(&system, Some(ANN), Approval::Admin).await;
    let code: &PairingCode = &invited.code;
    let (first, second) =
        (system.begun(invited.invitation, code).await, system.begun(invited.invitation, code).await);
    assert_ne!(first.digits(), second.digits());
}
