//! Pairing: from an invitation to a party, and everything that is refused on the way.

use http::Method;
use http::header::CONTENT_TYPE;
use rand_core::CryptoRng;
use serde_json::{Value, json};
use sidekey_client::admin::{Admin, InvitationFilter, InvitationState, Invited, PairingFilter};
use sidekey_client::error::{Tampered, Usage};
use sidekey_client::{Error, MemoryKeyStore, pair};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::encoding::{Bytes, Octets, base64url};
use sidekey_protocol::ids::{InvitationId, Role};
use sidekey_protocol::pairing::{PairingCode, Pin, Refusal};
use sidekey_tests::stranger::{Begun, Stranger, begin_answer};
use sidekey_tests::{ANN, MAIL, System};

/// A service with one mail server.
async fn ready() -> System {
    let system = System::start().await;
    system.add_server(MAIL).await;
    system
}

/// The same, and an invitation of a client of it.
async fn invited() -> (System, Invited) {
    let system = ready().await;
    let invited = system.invite(MAIL, Some(ANN)).await;
    (system, invited)
}

/// The same, with the exchange begun by whoever has the code.
async fn begun() -> (System, InvitationId, Begun) {
    let (system, invited) = invited().await;
    let begun = system.begun(invited.invitation, &invited.code).await;
    assert!(begun.right);
    (system, invited.invitation, begun)
}

/// The n-th code that is not the right one.
fn wrong_code(invited: &Invited, n: u8) -> PairingCode {
    let mut symbols = *invited.code.expose();
    symbols[0] = b"0123456789"[usize::from(n)];
    if symbols == *invited.code.expose() {
        symbols[0] = b'Z';
    }
    std::str::from_utf8(&symbols).expect("symbols are ASCII").parse().expect("it is a code")
}

async fn standing(admin: &Admin) -> (u8, InvitationState) {
    let invitations = admin.invitations(&InvitationFilter::default()).await.expect("they are listed");
    let last = invitations.last().expect("there is one");
    (last.attempts, last.state)
}

async fn pairings(admin: &Admin) -> usize {
    admin.pairings(&PairingFilter::default()).await.expect("they are listed").len()
}

#[tokio::test]
async fn a_server_and_a_client_pair_and_are_listed() {
    let system = System::start().await;
    system.add_server(MAIL).await;
    let mail = system.pair_server(MAIL).await;
    let invited = system.invite(MAIL, Some(ANN)).await;
    assert_eq!(invited.expires, system.clock.now().after_s(900));
    let (paired, keys) = system.pair(system.accept(&invited, Role::Client)).await.unwrap();
    assert!(paired.pinned);
    assert_eq!(paired.user.as_ref().unwrap().as_str(), ANN);
    assert_eq!(standing(&system.admin).await, (4, InvitationState::Paired));

    let listed = system.admin.pairings(&PairingFilter::default()).await.unwrap();
    let [first, second] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((first.pairing, first.role), (mail.server.pairing(), Role::Server));
    assert_eq!((second.pairing, second.role), (paired.pairing, Role::Client));
    let own = system.get("/v1/pairings/self", &keys.token()).send().await.is(200).json();
    assert_eq!(own["pairing"], paired.pairing.to_string());
    assert_eq!(
        (&own["state"], &own["epoch"], &own["label"]),
        (&json!("active"), &json!(0), &json!("a device"))
    );
    let servers = system.admin.servers().await.unwrap();
    assert_eq!((servers[0].pairings, servers[0].users), (1, 1));
}

/// What the other tests lean on when they say that nothing changed.
#[tokio::test]
async fn whatever_takes_effect_leaves_a_record() {
    let system = System::start().await;
    let mut left = system.records().len();
    let mut one_more = |what: &str| {
        let now = system.records().len();
        assert_eq!(now, left + 1, "{what}");
        left = now;
    };
    system.add_server(MAIL).await;
    one_more("a server");
    let invited = system.invite(MAIL, Some(ANN)).await;
    one_more("an invitation");
    let mut begun = system.begun(invited.invitation, &invited.code).await;
    one_more("an attempt");
    system.finish(invited.invitation, &begun.honest_finish()).send().await.is(200);
    one_more("a pairing");
    let pairing = system.admin.pairings(&PairingFilter::default()).await.unwrap()[0].pairing;
    system.get("/v1/pairings/self", &begun.token(&system, pairing)).send().await.is(200);
    one_more("its first use");
    let target = json!({"target": {"kind": "pairing", "pairing": pairing}, "reason": "lost"});
    system.post("/v1/revocations", &system.admin_token(), &target).send().await.is(200);
    one_more("a revocation");
}

#[tokio::test]
async fn a_client_written_from_the_contract_pairs() {
    let (system, invitation, mut begun) = begun().await;
    let finish = begun.honest_finish();
    system.finish(invitation, &finish).send().await.is(200);
    assert_eq!(standing(&system.admin).await, (4, InvitationState::Paired));
}

#[tokio::test]
async fn the_page_of_a_link_says_nothing_of_the_invitation() {
    let (system, invited) = invited().await;
    let page = system.ask(Method::GET, &format!("/p/{}", invited.invitation)).send().await;
    assert!(page.is(200).headers[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    let other =
        system.ask(Method::GET, &format!("/p/{}", InvitationId::random(&mut system.rng()))).send().await;
    assert_eq!(page.body, other.body);
    assert!(!page.body.windows(7).any(|octets| octets.eq_ignore_ascii_case(b"<script")));
}

mod inviting {
    use super::*;

    async fn refused(system: &System, body: Value, status: u16, code: &str) {
        let before = system.records();
        system.post("/v1/invitations", &system.admin_token(), &body).send().await.refused(status, code);
        assert_eq!(system.records(), before);
    }

    #[tokio::test]
    async fn a_server_that_was_never_added_is_refused() {
        let (system, _) = invited().await;
        refused(&system, json!({"role": "server", "server": "nobody.example"}), 404, "not_found").await;
    }

    #[tokio::test]
    async fn a_client_without_user_is_refused() {
        let (system, _) = invited().await;
        refused(&system, json!({"role": "client", "server": MAIL}), 422, "user_mismatch").await;
    }

    #[tokio::test]
    async fn a_server_with_user_is_refused() {
        let (system, _) = invited().await;
        refused(&system, json!({"role": "server", "server": MAIL, "user": ANN}), 422, "user_mismatch").await;
    }

    #[tokio::test]
    async fn a_time_below_a_minute_or_beyond_a_quarter_of_an_hour_is_refused() {
        let (system, _) = invited().await;
        let ask = |ttl: u32| json!({"role": "client", "server": MAIL, "user": ANN, "ttl": ttl});
        refused(&system, ask(59), 422, "ttl_out_of_range").await;
        refused(&system, ask(901), 422, "ttl_out_of_range").await;
    }

    #[tokio::test]
    async fn an_unknown_role_is_refused() {
        let (system, _) = invited().await;
        refused(&system, json!({"role": "admin", "server": MAIL}), 400, "body_invalid").await;
    }

    #[tokio::test]
    async fn nobody_but_the_administrator_invites_or_adds_or_lists() {
        let system = System::start().await;
        system.add_server(MAIL).await;
        let phone = system.pair_client(MAIL, ANN).await;
        let mail = system.pair_server(MAIL).await;
        for token in [phone.keys.token(), mail.keys.token()] {
            // A pairing's first request leaves a record.
            system.get("/v1/pairings/self", &token).send().await.is(200);
            let before = system.records();
            let invite = json!({"role": "client", "server": MAIL, "user": ANN});
            system.post("/v1/invitations", &token, &invite).send().await.refused(403, "role_forbidden");
            let add = json!({"name": "other.example"});
            system.post("/v1/servers", &token, &add).send().await.refused(403, "role_forbidden");
            for path in ["/v1/servers", "/v1/invitations", "/v1/pairings"] {
                system.get(path, &token).send().await.refused(403, "role_forbidden");
                system.ask(Method::GET, path).send().await.refused(401, "token_missing");
            }
            assert_eq!(system.records(), before);
        }
    }

    #[tokio::test]
    async fn a_server_of_that_name_is_not_added_twice() {
        let (system, _) = invited().await;
        let before = system.records();
        let again = json!({"name": MAIL});
        system.post("/v1/servers", &system.admin_token(), &again).send().await.refused(409, "server_exists");
        assert_eq!(system.records(), before);
    }
}

mod beginning {
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
            bad_begin(&scene, |body| body["kem_ek"] = base64url(&vec![1; length]).into(), "share_invalid")
                .await;
        }
        bad_begin(&scene, |body| body["kem_ek"] = base64url(&[0xff; 1184]).into(), "share_invalid").await;
    }

    #[tokio::test]
    async fn a_body_that_is_not_a_begin_is_refused() {
        let scene = invited().await;
        bad_begin(&scene, |body| drop(body.as_object_mut().unwrap().remove("key_hash")), "body_invalid")
            .await;
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
}

mod finishing {
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
        system
            .finish(invited.invitation, &begun.honest_finish())
            .send()
            .await
            .refused(410, "invitation_over");
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
            bad_box(
                &system,
                |_, content| content["offer"] = offer.clone(),
                403,
                "box_invalid",
                "an offer has",
            )
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
    async fn a_finish_repeated_with_another_body_is_refused() {
        let (system, invitation, mut begun) = begun().await;
        system.finish(invitation, &begun.honest_finish()).send().await.is(200);
        let before = system.records();
        // Another nonce is another body.
        let other = begun.honest_finish();
        system.finish(invitation, &other).send().await.refused(409, "finish_conflict");
        assert_eq!(system.records(), before);
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
}

mod the_client_refuses {
    use super::*;

    #[tokio::test]
    async fn a_service_with_another_key_than_the_link_names() {
        let (system, invited) = invited().await;
        let mut invitation = system.accept(&invited, Role::Client);
        let mut rng = system.rng();
        invitation.pin = Some(Pin::of(&SigningKey::generate(&mut rng).verifying_key()));
        let refused = system.pair(invitation).await;
        let Err(Error::Tampered(Tampered::Pairing(why))) = refused else { panic!("{refused:?}") };
        assert_eq!(why, Refusal::PinMismatch);
        assert_eq!(pairings(&system.admin).await, 0);
    }

    #[tokio::test]
    async fn a_certificate_that_it_was_not_told_to_trust() {
        let (system, invited) = invited().await;
        let other = System::start().await;
        let mut invitation = system.accept(&invited, Role::Client);
        invitation.roots = other.roots();
        assert!(matches!(system.pair(invitation).await, Err(Error::Untrusted)));
        assert_eq!(standing(&system.admin).await.0, 5);
    }

    #[tokio::test]
    async fn an_invitation_for_the_other_role() {
        let (system, invited) = invited().await;
        let refused = system.pair(system.accept(&invited, Role::Server)).await;
        assert!(matches!(refused, Err(Error::Refused { code, .. }) if code == "role_mismatch"));
        assert_eq!(pairings(&system.admin).await, 0);
    }

    /// SPAKE2+ names the URL that the client was told: what arrives elsewhere agrees on nothing.
    #[tokio::test]
    async fn a_service_that_it_reaches_at_another_address() {
        let (system, invited) = invited().await;
        let mut invitation = system.accept(&invited, Role::Client);
        invitation.url = system.url.as_str().replace("localhost", "127.0.0.1").parse().unwrap();
        let refused = system.pair(invitation).await;
        assert!(matches!(refused, Err(Error::Refused { code, .. }) if code == "code_mismatch"));
        assert_eq!(pairings(&system.admin).await, 0);
    }

    #[tokio::test]
    async fn to_overwrite_a_pairing() {
        let (system, invited) = invited().await;
        let store = std::sync::Arc::new(MemoryKeyStore::default());
        pair(system.accept(&invited, Role::Client), store.clone(), system.ambient()).await.unwrap();
        let again = system.invite(MAIL, Some(ANN)).await;
        let refused = pair(system.accept(&again, Role::Client), store, system.ambient()).await;
        assert!(matches!(refused, Err(Error::Usage(Usage::Occupied))));
        assert_eq!(standing(&system.admin).await.0, 5);
    }
}
