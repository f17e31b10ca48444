mod table;

use sidekey_protocol::audit::Action;
use sidekey_protocol::delivery::Outcome;
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{CredentialId, InvitationId, PartyId, Role, SessionId, Timestamp};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::session::{Capabilities, Suite};

use self::table::table;
use super::super::at_rest::Sealed;
use super::super::record::{Change, Entry, NewRoot, Opened, Record, RootOf, Turn, Whom};

const PAIRING: PartyId = PartyId::from_bytes([0xaa; 16]);
const SESSION: SessionId = SessionId::from_bytes([0x55; 16]);
const INVITATION: InvitationId = InvitationId::from_bytes([0x11; 16]);
const CREDENTIAL: CredentialId = CredentialId::from_bytes([0x22; 16]);
/// An octet that stands in every secret, and in nothing else.
const SECRET: u8 = 0xee;

fn sealed() -> Sealed {
    // Read from the store's own format: nobody else makes one.
    postcard::from_bytes(&[&[1][..], &[SECRET; 12], &[40], &[SECRET; 40]].concat()).unwrap()
}

fn opened(audience: Option<PartyId>) -> Opened {
    Opened {
        session: SESSION,
        server: "mail".parse().unwrap(),
        user: "ann".parse().unwrap(),
        audience,
        root: RootOf::Fresh(NewRoot { id: [SECRET; 16], sealed: sealed() }),
        suite: Suite::A256gcm,
        capabilities: Capabilities::parse(&["A256GCM"]).unwrap(),
        policy: Octets([SECRET; 32]),
        offer: Octets([SECRET; 32]),
        not_after: Timestamp(4600),
        idempotency: [[SECRET; 16]; 2],
        deliver: Vec::new(),
    }
}

fn turn(change: Change) -> Turn {
    Turn { delivery: 9, carrier: "sms".parse().unwrap(), change }
}

fn settled(outcome: Outcome) -> Change {
    Change::Settled { claim: Timestamp(1060), outcome }
}

fn revoked(target: Target) -> Record {
    let root = ("mail".parse().unwrap(), "bob".parse().unwrap(), NewRoot { id: [0; 16], sealed: sealed() });
    Record::Revoked { target, reason: "lost".parse().unwrap(), roots: vec![root] }
}

fn told(target: Target) -> Revoked {
    Revoked { target, reason: "lost".parse().unwrap(), at: Timestamp(900) }
}

fn whom(user: Option<&str>, pairing: Option<PartyId>) -> Whom {
    let role = if user.is_some() { Role::Client } else { Role::Server };
    let user = user.map(|user| user.parse().unwrap());
    Whom { role: Some(role), server: "mail".parse().unwrap(), user, pairing }
}

#[test]
fn every_kind_of_record_is_told_in_words_that_never_change() {
    let mut actions = Vec::new();
    for (record, whom, expected) in table() {
        let entry = Entry { salt: [SECRET; 16], at: Timestamp(1000), by: None, record, whom };
        let lines = entry.lines(7);
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (item, (line, expected)) in lines.iter().zip(expected).enumerate() {
            let item = if item == 0 { String::new() } else { format!(r#""item":{item},"#) };
            assert_eq!(line.text(), format!(r#"{{"seq":7,{item}"at":1000,{expected}"#));
            assert_eq!(serde_json::from_str::<sidekey_protocol::audit::Entry>(&line.text()).unwrap(), *line);
            actions.push(line.action);
        }
        let said: String = lines.iter().map(sidekey_protocol::audit::Entry::text).collect();
        assert!(!said.contains("eeee") && !said.contains("7u7u"), "a secret is told: {said}");
    }
    let untold: Vec<_> = Action::ALL.iter().filter(|action| !actions.contains(action)).collect();
    assert!(untold.is_empty(), "no row for {untold:?}");
}

#[test]
fn what_is_bound_changes_with_every_word_and_the_salt() {
    let entry = |salt, by, user: &str| Entry {
        salt: [salt; 16],
        at: Timestamp(1000),
        by,
        record: Record::Ended { session: SESSION },
        whom: vec![whom(Some(user), None)],
    };
    let bound = entry(1, None, "ann").bound(7);
    assert_eq!(bound, entry(1, None, "ann").bound(7));
    assert_ne!(bound, entry(1, None, "ann").bound(8));
    assert_ne!(bound, entry(1, None, "bob").bound(7));
    assert_ne!(bound, entry(1, Some(PAIRING), "ann").bound(7));
    assert_ne!(bound, entry(2, None, "ann").bound(7));
}
