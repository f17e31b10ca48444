use super::*;
use crate::audit::entry_salt;
use crate::crypto::SigningKey;
use crate::ids::Timestamp;

const SERVICE: ServiceId = ServiceId::from_bytes([1; 16]);
const PARTY: PartyId = PartyId::from_bytes([0xaa; 16]);

fn key(seed: u64) -> SigningKey {
    use rand_core::SeedableRng as _;

    SigningKey::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(seed))
}

/// The record of this number, its entry told or not.
fn part(seq: u64, told: bool) -> ProofPart {
    let text = Entry::new(seq, Timestamp(9), None, Action::PairingUsed).text();
    let salt = entry_salt(&[7; 16], 0);
    let entry = if told {
        ProofEntry::Entry { salt: Octets(salt), text }
    } else {
        ProofEntry::Hash(Octets(entry_hash(&salt, &text)))
    };
    ProofPart::Record(ProofRecord { nth: 0, size: 40, body: Octets([seq as u8; 32]), entries: vec![entry] })
}

fn leaf(seq: u64) -> [u8; 32] {
    let text = Entry::new(seq, Timestamp(9), None, Action::PairingUsed).text();
    let bound = entries(&[entry_hash(&entry_salt(&[7; 16], 0), &text)]);
    Frame { size_bytes: 40, seq, nth: 0, entries: bound }.leaf(&[seq as u8; 32])
}

/// After this record.
fn place(seq: u64) -> Position {
    (1..=seq).fold(Position::START, |end, seq| end.next(&leaf(seq)))
}

/// Records 1 to 4, of which the third is told.
fn proof() -> Proof {
    let leaves = ProofPart::Leaves(Bytes([leaf(1), leaf(2)].concat()));
    let checkpoint = Checkpoint::sign(SERVICE, place(4), Timestamp(10), &key(1));
    let records = vec![leaves, part(3, true), part(4, false)];
    Proof { after: 0, previous: Octets([0; 32]), records, checkpoint: Some(checkpoint) }
}

fn take(walk: Walk, proof: &Proof) -> Result<(Vec<Entry>, Position), Reject> {
    let mut walk = walk;
    walk.take(proof, SERVICE, &[key(1).verifying_key()])?;
    Ok(walk.finish())
}

#[test]
fn what_is_told_is_in_the_chain_that_was_signed() {
    let (told, end) = take(Walk::default(), &proof()).unwrap();
    assert_eq!((told.len(), told[0].seq, end), (1, 3, place(4)));
    let rest = Proof {
        after: 2,
        previous: Octets(place(2).hash),
        records: proof().records[1..].to_vec(),
        ..proof()
    };
    assert_eq!(take(Walk::after(Some(place(2))), &rest).unwrap().1, place(4));
    assert_eq!(take(Walk::default().by(place(1)).by(place(3)), &proof()).unwrap().1, place(4));
}

/// Records 3 to 5 of a log that begins there, the last of which says what `said` makes of that.
fn pruned(said: impl FnOnce(&mut Entry)) -> Proof {
    let mut entry = Entry {
        first: Some(3),
        previous: Some(Octets(place(2).hash)),
        ..Entry::new(5, Timestamp(9), None, Action::LogPruned)
    };
    said(&mut entry);
    let (salt, text) = (Octets(entry_salt(&[7; 16], 0)), entry.text());
    let entries = vec![ProofEntry::Entry { salt, text }];
    let last = ProofRecord { nth: 0, size: 40, body: Octets([5; 32]), entries };
    let end = last.open(place(4), &mut Vec::new()).unwrap();
    let checkpoint = Some(Checkpoint::sign(SERVICE, end, Timestamp(10), &key(1)));
    let records = vec![part(3, true), part(4, false), ProofPart::Record(last)];
    Proof { after: 2, previous: Octets(place(2).hash), records, checkpoint }
}

#[test]
fn a_chain_that_begins_later_says_itself_why() {
    assert_eq!(take(Walk::default(), &pruned(|_| {})).unwrap().0.len(), 2);
    // Whoever knows where it begins needs no word of that.
    let silent = pruned(|entry| entry.action = Action::PairingUsed);
    assert_eq!(take(Walk::after(Some(place(2))), &silent).unwrap().0.len(), 2);
    let other: [fn(&mut Entry); 3] = [
        |entry| entry.action = Action::PairingUsed,
        |entry| entry.first = Some(4),
        |entry| entry.previous = Some(Octets([9; 32])),
    ];
    for said in other {
        assert_eq!(take(Walk::default(), &pruned(said)), Err(Reject::ChainUnpruned));
    }
}

#[test]
fn places_before_the_beginning_are_counted_and_not_believed() {
    let mut walk = Walk::default().by(place(1)).by(place(2)).by(place(4));
    walk.take(&pruned(|_| {}), SERVICE, &[key(1).verifying_key()]).unwrap();
    assert_eq!(walk.passed_over(), 1);
}

#[test]
fn what_was_changed_proves_nothing() {
    let other = Position { hash: [9; 32], ..place(3) };
    assert_eq!(take(Walk::default().by(other), &proof()), Err(Reject::ChainForeign));
    assert_eq!(take(Walk::default().by(Position { seq: 5, ..other }), &proof()), Err(Reject::RolledBack));
    assert_eq!(take(Walk::after(Some(place(1))), &proof()), Err(Reject::ChainForeign));
    let begun_elsewhere = Proof { previous: Octets([1; 32]), ..proof() };
    assert_eq!(take(Walk::default(), &begun_elsewhere), Err(Reject::ChainForeign));
    let records = |records| Proof { records, ..proof() };
    let [leaves, told, last] = [proof().records[0].clone(), part(3, true), part(4, false)];
    for (changed, reject) in [
        (records(vec![leaves.clone(), told.clone()]), Reject::CheckpointOther),
        (records(vec![told.clone(), leaves.clone(), last.clone()]), Reject::EntryMalformed),
        (records(vec![leaves.clone(), part(4, true), last.clone()]), Reject::EntryMalformed),
        (records(vec![ProofPart::Leaves(Bytes(vec![0; 33])), told, last]), Reject::LeavesMalformed),
        (
            Proof {
                checkpoint: Some(Checkpoint::sign(SERVICE, place(4), Timestamp(10), &key(2))),
                ..proof()
            },
            Reject::CheckpointForeign,
        ),
        (
            Proof {
                checkpoint: Some(Checkpoint::sign(
                    ServiceId::from_bytes([2; 16]),
                    place(4),
                    Timestamp(10),
                    &key(1),
                )),
                ..proof()
            },
            Reject::CheckpointForeign,
        ),
    ] {
        assert_eq!(take(Walk::default(), &changed), Err(reject), "{changed:?}");
    }
    let mut edited = proof();
    let ProofPart::Record(record) = &mut edited.records[1] else { unreachable!("the third is told") };
    let ProofEntry::Entry { text, .. } = &mut record.entries[0] else { unreachable!("its entry too") };
    *text = text.replace("\"at\":9", "\"at\":8");
    assert_eq!(take(Walk::default(), &edited), Err(Reject::CheckpointOther));
}

#[test]
fn a_party_sees_what_is_its_own() {
    let (mail, ann): (ServerName, UserName) = ("mail".parse().unwrap(), "ann".parse().unwrap());
    let bare = || Entry::new(1, Timestamp(9), None, Action::SessionOpened);
    let at_mail = || Entry { server: Some(mail.clone()), ..bare() };
    let of_ann = || Entry { user: Some(ann.clone()), ..at_mail() };
    let client = Asker { party: PARTY, place: Some((Role::Client, &mail, Some(&ann))) };
    let server = Asker { party: PARTY, place: Some((Role::Server, &mail, None)) };
    let admin = Asker { party: PARTY, place: None };
    let another = Some(PartyId::from_bytes([0xbb; 16]));
    let invited = Some(crate::ids::InvitationId::from_bytes([1; 16]));
    for (name, entry, seen_by_client, seen_by_server) in [
        ("its user's session", of_ann(), true, true),
        ("its own pairing", Entry { pairing: Some(PARTY), ..bare() }, true, true),
        ("what it did", Entry { by: Some(PARTY), ..bare() }, true, true),
        ("another device of its user", Entry { pairing: another, ..of_ann() }, false, true),
        ("its server as a whole", at_mail(), true, true),
        ("another user", Entry { user: Some("bob".parse().unwrap()), ..at_mail() }, false, true),
        (
            "its user at another server",
            Entry { server: Some("shop".parse().unwrap()), ..of_ann() },
            false,
            false,
        ),
        ("an invitation of its user", Entry { invitation: invited, ..of_ann() }, false, false),
        ("the service's policy", Entry { action: Action::PolicySet, ..bare() }, true, true),
        ("the service's own affairs", Entry { action: Action::SecretsResealed, ..bare() }, false, false),
    ] {
        assert_eq!(
            (client.may_see(&entry), server.may_see(&entry)),
            (seen_by_client, seen_by_server),
            "{name}"
        );
        assert!(admin.may_see(&entry), "{name}");
    }
}
