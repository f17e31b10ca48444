//! Pairing: from an invitation to a party, and everything that is refused on the way.

mod approval;
mod beginning;
mod by_a_device;
mod finishing;
mod gateways;
mod inviting;
mod lapsing;
mod reissuing;
mod rekey;
mod rekey_by_itself;
mod the_client_refuses;

use http::Method;
use http::header::CONTENT_TYPE;
use rand_core::CryptoRng;
use serde_json::{Value, json};
use sidekey_client::admin::{Admin, InvitationFilter, InvitationState, Invited, PairingFilter};
use sidekey_client::error::{Tampered, Usage};
use sidekey_client::{Error, MemoryKeyStore, pair};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::encoding::{Bytes, Octets, base64url};
use sidekey_protocol::ids::{InvitationId, Role, Timestamp};
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
