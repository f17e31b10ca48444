//! Records as they take effect: those that do not follow are of another history, and those that come late bring nothing
//! back.

use sidekey_protocol::encoding::{Bytes, Octets};
use sidekey_protocol::ids::{PartyId, ServiceId};
use sidekey_protocol::pairing::wire::RekeyAnswer;
use sidekey_protocol::revocation::Target;

use super::super::at_rest::Sealed;
use super::super::journal::Position;
use super::super::record::{Entry, Pruned, Record, Rekeyed, Secret};
use super::super::state::State;
use super::{ADMIN, Data, START};

/// Whether a record follows; it takes effect then.
fn follows(state: &mut State, record: Record) -> bool {
    let position = Position { seq: state.position.seq + 1, ..state.position };
    let entry = Entry { salt: [0; 16], at: START, by: Some(ADMIN), record, whom: Vec::new() };
    state.apply(position, &[], entry).is_ok()
}

fn sealed(data: &mut Data, text: &[u8]) -> Sealed {
    let place = Secret::Pairing(ADMIN, 0).place();
    data.store.shared.at_rest.seal(place, text, &mut data.rng)
}

impl Data {
    /// The first user's device, which is live, and the second's, which was revoked.
    async fn live_and_revoked(&self) -> [PartyId; 2] {
        let phones = [0, 1].map(|n| self.phone(n));
        self.strike(Target::Pairing { pairing: phones[1] }).await.unwrap();
        phones
    }
}

#[tokio::test]
async fn an_epoch_follows_the_one_before_and_is_of_a_pairing_that_lives() {
    let mut data = Data::with_users(2).await;
    let [phone, revoked] = data.live_and_revoked().await;
    let root = sealed(&mut data, b"next");
    let rekeyed = |pairing, epoch, to| {
        let answer = RekeyAnswer {
            to,
            point: Bytes(vec![4; 65]),
            kem_ct: Bytes(vec![8; 1088]),
            not_after: START,
            confirm: Octets([6; 32]),
        };
        let (kek, request) = (Octets([1; 8]), Octets([2; 32]));
        Record::Rekeyed(Box::new(Rekeyed { pairing, epoch, root: root.clone(), kek, request, answer }))
    };
    let mut state = data.store.shared.write();
    for (pairing, epoch, to) in [(revoked, 1, 1), (phone, 1, 2), (phone, 2, 2)] {
        assert!(!follows(&mut state, rekeyed(pairing, epoch, to)), "{epoch} {to}");
    }
    assert!(follows(&mut state, rekeyed(phone, 1, 1)));
}

#[test]
fn a_log_that_begins_later_never_begins_earlier_again() {
    let mut state = State::default();
    let pruned = |first| {
        let (service, previous) = (ServiceId::from_bytes([1; 16]), Octets([0; 32]));
        Record::Pruned(Box::new(Pruned { service, keys: Vec::new(), records: first - 1, first, previous }))
    };
    let begins = [5, 5, 4, 6].map(|first| (follows(&mut state, pruned(first)), state.global.begins));
    assert_eq!(begins, [(true, 5), (true, 5), (false, 5), (true, 6)]);
}

#[tokio::test]
async fn a_root_that_is_sealed_anew_takes_its_own_place_and_brings_none_back() {
    let mut data = Data::with_users(2).await;
    let [phone, revoked] = data.live_and_revoked().await;
    data.rekey(phone).await.unwrap();
    let [current, next, late] = [b"1", b"2", b"3"].map(|text| sealed(&mut data, text));
    let mut state = data.store.shared.write();
    let reseal = |state: &mut State, pairing, epoch, sealed: &Sealed| {
        let secrets = vec![(Secret::Pairing(pairing, epoch), sealed.clone())];
        assert!(follows(state, Record::Resealed { secrets }));
        let (_, party) = state.party(pairing).unwrap();
        (party.root.clone(), party.next.as_ref().map(|next| next.root.clone()))
    };
    let waits = state.party(phone).unwrap().1.next.as_ref().unwrap().root.clone();
    assert_eq!(reseal(&mut state, phone, 0, &current), (Some(current.clone()), Some(waits)));
    let both = (Some(current), Some(next.clone()));
    assert_eq!(reseal(&mut state, phone, 1, &next), both);
    assert_eq!(reseal(&mut state, phone, 2, &late), both, "there is no such epoch");
    assert_eq!(reseal(&mut state, revoked, 0, &late), (None, None), "it ended meanwhile");
}
