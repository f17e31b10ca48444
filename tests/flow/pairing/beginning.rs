//! `begin`: what is refused, what it costs, what is repeated.

use sidekey_client::admin::{AuditFilter, Paging};
use sidekey_protocol::audit::Action;
use sidekey_tests::{Office, SHOP};

use super::*;

/// The same to everybody: nobody learns which invitations there are.
#[tokio::test]
async fn an_unknown_invitation_is_refused() {
    let (system, invited) = invited().await;
    let stranger = Stranger::with(&system, invited.invitation, &invited.code);
    let before = system.records();
    let unknown = InvitationId::random(&mut system.rng());
    let unknown = system.begin(unknown, &stranger.begin).send().await.refused(404, "not_found");
    for path in ["/v1/pairings/xyz/begin", "/v1/pairings/..%2f..%2fetc/begin", "/v1/nowhere"] {
        let malformed = system.ask(Method::POST, path).json(&stranger.begin).send().await;
        assert_eq!(malformed.refused(404, "not_found"), unknown, "{path}");
    }
    assert_eq!(system.records(), before);
}

async fn bad_begin(scene: &(System, Invited), spoil: impl Fn(&mut Value), code: &str) {
    let (system, invited) = scene;
    let stranger = Stranger::with(system, invited.invitation, &invited.code);
    let mut body = serde_json::to_value(&stranger.begin).unwrap();
    spoil(&mut body);
    let before = system.records();
    system.begin(invited.invitation, &body).send().await.refused(400, code);
    assert_eq!(system.records(), before);
    assert_eq!(standing(&system.admin).await, (5, InvitationState::Invited));
}

async fn bad_share(scene: &(System, Invited), share: &[u8]) {
    bad_begin(scene, |body| body["share_p"] = base64url(share).into(), "share_invalid").await;
}

/// P-256's generator (SEC 2, section 2.4.2).
fn generator() -> [u8; 65] {
    let octets = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    };
    let x = octets("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
    let y = octets("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    [vec![4], x, y].concat().try_into().unwrap()
}

#[tokio::test]
async fn the_identity_is_no_share() {
    let scene = invited().await;
    bad_share(&scene, &[0]).await;
    bad_share(&scene, &[0; 65]).await;
}

#[tokio::test]
async fn a_compressed_or_hybrid_point_is_no_share() {
    let scene = invited().await;
    let point = generator();
    for tag in [2, 3] {
        bad_share(&scene, &[&[tag], &point[1..33]].concat()).await;
    }
    for tag in [6, 7] {
        bad_share(&scene, &[&[tag], &point[1..]].concat()).await;
    }
}

#[tokio::test]
async fn a_point_off_the_curve_is_no_share() {
    let scene = invited().await;
    let mut point = generator();
    point[64] ^= 1;
    bad_share(&scene, &point).await;
}

#[tokio::test]
async fn a_share_of_another_length_is_refused() {
    let scene = invited().await;
    let point = generator();
    bad_share(&scene, &[]).await;
    bad_share(&scene, &point[..64]).await;
    bad_share(&scene, &[&point[..], &[0]].concat()).await;
}

/// The same point, with its coordinate written as x + p: what is the same must be spelled the same.
#[tokio::test]
async fn a_coordinate_beyond_the_field_is_no_share() {
    let scene = invited().await;
    let mut point = generator();
    point[1..33].fill(0xff);
    bad_share(&scene, &point).await;
    // x = p is x = 0, which is on the curve.
    let p = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    let y = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";
    let hex = |hex: &str, out: &mut [u8]| {
        for (i, octet) in out.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
        }
    };
    hex(p, &mut point[1..33]);
    hex(y, &mut point[33..]);
    bad_share(&scene, &point).await;
}

#[tokio::test]
async fn an_encapsulation_key_of_another_length_or_beyond_the_modulus_is_refused() {
    let scene = invited().await;
    for length in [0, 1183, 1185] {
        bad_begin(&scene, |body| body["kem_ek"] = base64url(&vec![1; length]).into(), "share_invalid").await;
    }
    bad_begin(&scene, |body| body["kem_ek"] = base64url(&[0xff; 1184]).into(), "share_invalid").await;
}

#[tokio::test]
async fn a_body_that_is_not_a_begin_is_refused() {
    let scene = invited().await;
    bad_begin(&scene, |body| drop(body.as_object_mut().unwrap().remove("key_hash")), "body_invalid").await;
    bad_begin(&scene, |body| body["admin"] = true.into(), "body_invalid").await;
    bad_begin(&scene, |body| body["key_hash"] = "AA".into(), "body_invalid").await;
    // The last symbol has spare bits: of 16 spellings one counts.
    bad_begin(
        &scene,
        |body| {
            let spelled = body["key_hash"].as_str().unwrap().to_owned();
            let last = spelled.chars().last().unwrap();
            body["key_hash"] = format!("{}{}", &spelled[..42], char::from(last as u8 + 1)).into();
        },
        "body_invalid",
    )
    .await;
}

#[tokio::test]
async fn what_is_not_one_json_value_announced_as_such_is_refused() {
    let (system, invited) = invited().await;
    let path = format!("/v1/pairings/{}/begin", invited.invitation);
    let ask = || system.ask(Method::POST, &path);
    let before = system.records();
    let body =
        serde_json::to_string(&Stranger::with(&system, invited.invitation, &invited.code).begin).unwrap();
    ask().body(body.clone()).send().await.refused(415, "media_type_unsupported");
    let json = || ask().header(CONTENT_TYPE, "application/json");
    json().body(format!("{body}{body}")).send().await.refused(400, "body_malformed");
    json().body(body[..body.len() - 1].to_owned()).send().await.refused(400, "body_malformed");
    json().body("[".repeat(4000)).send().await.refused(400, "body_invalid");
    json().body(format!("{body}{}", " ".repeat(8192))).send().await.refused(413, "body_too_large");
    let get = system.ask(Method::GET, &path).send().await;
    get.refused(405, "method_not_allowed");
    assert_eq!(get.headers["allow"], "POST");
    assert_eq!(system.records(), before);
}

#[tokio::test]
async fn an_invitation_is_over_at_the_very_second() {
    let (system, invited) = invited().await;
    system.clock.set(invited.expires);
    let before = system.records();
    let stranger = Stranger::with(&system, invited.invitation, &invited.code);
    let late = system.begin(invited.invitation, &stranger.begin).send().await;
    late.refused(410, "invitation_over");
    assert_eq!(system.records(), before);
    assert_eq!(standing(&system.admin).await, (5, InvitationState::Expired));
    let refused = system.pair(system.accept(&invited, Role::Client)).await;
    assert!(matches!(refused, Err(Error::PairAgain { code, .. }) if code == "invitation_over"));
}

#[tokio::test]
async fn an_invitation_is_open_until_its_last_second() {
    let (system, invited) = invited().await;
    system.clock.set(invited.expires);
    system.clock.set(sidekey_protocol::ids::Timestamp(invited.expires.0 - 1));
    system.pair(system.accept(&invited, Role::Client)).await.unwrap();
}

/// The clock that went back does not bring it back once time has gone on in the journal.
#[tokio::test]
async fn a_clock_that_steps_back_extends_nothing() {
    let (system, invited) = invited().await;
    system.clock.set(invited.expires);
    system.add_server("later.example").await;
    system.clock.set(sidekey_protocol::ids::Timestamp(invited.expires.0 - 50));
    let stranger = Stranger::with(&system, invited.invitation, &invited.code);
    let late = system.begin(invited.invitation, &stranger.begin).send().await;
    late.refused(410, "invitation_over");
}

#[tokio::test]
async fn a_cancelled_invitation_is_refused() {
    let (system, invited) = invited().await;
    let target = json!({"kind": "invitation", "invitation": invited.invitation});
    let revoke = json!({"target": target, "reason": "wrong person"});
    let answer = system.post("/v1/revocations", &system.admin_token(), &revoke).send().await;
    assert_eq!(answer.is(200).json()["invitations"], 1);
    let before = system.records();
    let stranger = Stranger::with(&system, invited.invitation, &invited.code);
    system.begin(invited.invitation, &stranger.begin).send().await.refused(410, "invitation_over");
    assert_eq!(system.records(), before);
    assert_eq!(standing(&system.admin).await.1, InvitationState::Cancelled);
    let again = system.post("/v1/revocations", &system.admin_token(), &revoke).send().await;
    assert!(again.is(204).body.is_empty());
}

#[tokio::test]
async fn an_invitation_pairs_one_device() {
    let (system, invited) = invited().await;
    system.pair(system.accept(&invited, Role::Client)).await.unwrap();
    let before = system.records();
    let refused = system.pair(system.accept(&invited, Role::Client)).await;
    assert!(matches!(refused, Err(Error::PairAgain { code, .. }) if code == "invitation_over"));
    assert_eq!(system.records(), before);
    assert_eq!(pairings(&system.admin).await, 1);
}

#[tokio::test]
async fn five_wrong_codes_spend_the_invitation_and_the_right_one_comes_too_late() {
    let (system, invited) = invited().await;
    for n in 0..5 {
        let begun = system.begun(invited.invitation, &wrong_code(&invited, n)).await;
        assert!(!begun.right);
        assert_eq!(standing(&system.admin).await.0, 4 - n);
    }
    let before = system.records();
    for code in [&wrong_code(&invited, 5), &invited.code] {
        let stranger = Stranger::with(&system, invited.invitation, code);
        system.begin(invited.invitation, &stranger.begin).send().await.refused(410, "invitation_over");
    }
    let refused = system.pair(system.accept(&invited, Role::Client)).await;
    assert!(matches!(refused, Err(Error::PairAgain { code, .. }) if code == "invitation_over"));
    assert_eq!(system.records(), before);
    assert_eq!(standing(&system.admin).await, (0, InvitationState::Spent));
}

#[tokio::test]
async fn spent_attempts_stay_spent_across_a_restart() {
    let (mut system, invited) = invited().await;
    for n in 0..5 {
        system.begun(invited.invitation, &wrong_code(&invited, n)).await;
        system.restart().await;
    }
    let stranger = Stranger::with(&system, invited.invitation, &invited.code);
    system.begin(invited.invitation, &stranger.begin).send().await.refused(410, "invitation_over");
}

#[tokio::test]
async fn the_client_crate_says_that_a_code_is_wrong() {
    let (system, invited) = invited().await;
    let mut invitation = system.accept(&invited, Role::Client);
    invitation.code = wrong_code(&invited, 0);
    let refused = system.pair(invitation).await;
    assert!(matches!(refused, Err(Error::Refused { code, .. }) if code == "code_mismatch"));
    assert_eq!(standing(&system.admin).await, (4, InvitationState::Begun));
    system.pair(system.accept(&invited, Role::Client)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_guesses_at_once_get_at_most_five_answers() {
    let (system, invited) = invited().await;
    let stranger = Stranger::with(&system, invited.invitation, &wrong_code(&invited, 0));
    let guesses: Vec<_> = (0..100_u8)
        .map(|n| {
            // A guess is another one with another commitment already: no Argon2id for each.
            let mut begin = stranger.begin.clone();
            begin.key_hash = Octets([n; 32]);
            tokio::spawn(system.begin(invited.invitation, &begin).send())
        })
        .collect();
    let mut answered = 0;
    for guess in guesses {
        let answer = guess.await.unwrap();
        match answer.status {
            200 => answered += 1,
            _ => drop(answer.refused(410, "invitation_over")),
        }
    }
    assert_eq!(answered, 5);
    assert_eq!(standing(&system.admin).await, (0, InvitationState::Spent));
}

/// A stranger's guesses must not pass for a user's mistakes: whoever invites hears of the last one, and so does the
/// enterprise's own machine, and the user.
#[tokio::test]
async fn a_code_that_a_stranger_has_used_up_is_told_to_whoever_it_concerns() {
    let office = Office::open().await;
    let system = &office.system;
    system.add_server(SHOP).await;
    let shop = system.pair_server(SHOP).await;
    let tokens =
        [system.admin_token(), office.mail.keys.token(), office.phone.keys.token(), shop.keys.token()];
    let mut streams = Vec::new();
    for token in &tokens {
        streams.push(system.get("/v1/events", token).listen().await);
    }
    let invited = system.invite(MAIL, Some(ANN)).await;
    for n in 0..5 {
        system.begun(invited.invitation, &wrong_code(&invited, n)).await;
    }
    let spent = json!({
        "invitation": invited.invitation, "role": "client", "server": MAIL, "user": ANN, "at": system.clock.now(),
    });
    let mut other = streams.pop().unwrap();
    for mut stream in streams {
        assert_eq!(stream.next().await.unwrap(), ("spent".to_owned(), spent.clone()));
    }
    system.add_server("third.example").await;
    let target = json!({"kind": "server", "server": SHOP});
    office.revoke(&target).send().await.is(200);
    assert_eq!(other.next().await.unwrap().0, "revoked", "it is none of another server's business");

    let log = system.admin.audit(&AuditFilter::default(), &Paging::default()).await.unwrap().items;
    let of = |action| log.iter().filter(|entry| entry.action == action).count();
    assert_eq!((of(Action::InvitationAttemptSpent), of(Action::InvitationSpent)), (5 + 4, 1));
    let told = log.iter().find(|entry| entry.action == Action::InvitationSpent).unwrap();
    assert_eq!((told.invitation, told.by), (Some(invited.invitation), None));
    assert_eq!(told.user.as_ref().unwrap().as_str(), ANN);
}

/// Sessions are not: there are a thousand in a second.
#[tokio::test]
async fn an_administrator_hears_of_pairings_and_not_of_sessions() {
    let office = Office::open().await;
    let mut stream = office.system.get("/v1/events", &office.system.admin_token()).listen().await;
    office.session().await;
    let machine = office.system.pair_server(MAIL).await.server.pairing();
    let (name, told) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &told["pairing"]), ("paired", &json!(machine)));
}

#[tokio::test]
async fn the_fifth_attempt_may_still_finish() {
    let (system, invited) = invited().await;
    for n in 0..4 {
        system.begun(invited.invitation, &wrong_code(&invited, n)).await;
    }
    system.pair(system.accept(&invited, Role::Client)).await.unwrap();
}

#[tokio::test]
async fn a_begin_repeated_within_a_minute_spends_nothing_and_gets_the_same_answer() {
    let (system, invited) = invited().await;
    let stranger = Stranger::with(&system, invited.invitation, &invited.code);
    let first = system.begin(invited.invitation, &stranger.begin).send().await;
    let before = system.records();
    system.clock.advance_s(59);
    let second = system.begin(invited.invitation, &stranger.begin).send().await;
    assert_eq!(begin_answer(&first), begin_answer(&second));
    assert_eq!(system.records(), before);
    assert_eq!(standing(&system.admin).await.0, 4);
    system.clock.advance_s(1);
    let third = system.begin(invited.invitation, &stranger.begin).send().await;
    assert_ne!(begin_answer(&first), begin_answer(&third));
    assert_eq!(standing(&system.admin).await.0, 3);
}

#[tokio::test]
async fn a_new_begin_replaces_the_one_before() {
    let (system, invited) = invited().await;
    let mut first = system.begun(invited.invitation, &invited.code).await;
    let mut second = system.begun(invited.invitation, &invited.code).await;
    let before = system.records();
    system.finish(invited.invitation, &first.honest_finish()).send().await.refused(409, "exchange_over");
    assert_eq!(system.records(), before);
    system.finish(invited.invitation, &second.honest_finish()).send().await.is(200);
}
