//! A pairing's approval: each word is a record, and every state between two words comes back.

use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::pairing::{Approval, Digits, Need, Reject, WAITING_S};
use sidekey_protocol::revocation::Target;

use super::super::{Refusal, Refused};
use super::{ADMIN, Data, START, assert_refused, user};

impl Data {
    /// A device that waits for an administrator, and its digits.
    async fn waits(&mut self, pinned: bool) -> (PartyId, Digits) {
        self.waits_of(0, pinned).await
    }

    /// The same, of this user.
    pub(super) async fn waits_of(&mut self, n: u8, pinned: bool) -> (PartyId, Digits) {
        self.waits_for(Approval::Admin, n, pinned).await
    }

    /// The same, for whoever's word that is.
    async fn waits_for(&mut self, approval: Approval, n: u8, pinned: bool) -> (PartyId, Digits) {
        self.approval = approval;
        let invitation = self.invite(Role::Client, Some(user(n))).await;
        self.approval = Approval::None;
        let mut new = self.pairing();
        new.pinned = pinned;
        let digits = Digits::of(&new.th, &new.key);
        (self.store.confirm(invitation, new).await.unwrap().id, digits)
    }

    #[track_caller]
    fn stands(&self, pairing: PartyId) -> Standing {
        self.store.party(pairing).unwrap().standing()
    }
}

fn wrong() -> Digits {
    "0000 0000 0000 0000".parse().unwrap()
}

/// Whatever a process leaves behind when it is killed between two words.
#[tokio::test]
async fn every_state_comes_back_from_the_journal_and_from_the_pages() {
    let mut data = Data::with_users(1).await;
    let (approved, digits) = data.waits(false).await;
    let (refused, _) = data.waits(true).await;
    let twice = async |data: &mut Data, expected: [Standing; 2]| {
        for pages in [false, true] {
            assert_eq!([data.stands(approved), data.stands(refused)], expected);
            let before = data.dump();
            if pages {
                data.reopen().await;
            } else {
                data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
            }
            assert_eq!(before, data.dump());
        }
    };
    twice(&mut data, [Standing::Confirmed, Standing::Confirmed]).await;
    let mistaken = data.store.approve(ADMIN, approved, wrong()).await;
    assert_refused(mistaken, &Refused::Pairing(Reject::DigitsDiffer));
    data.store.refuse(ADMIN, refused, Some("not hers".parse().unwrap())).await.unwrap();
    twice(&mut data, [Standing::Confirmed, Standing::Refused]).await;
    data.store.approve(ADMIN, approved, digits).await.unwrap();
    let needs = data.store.party(approved).unwrap().waiting.as_ref().unwrap().needs();
    assert_eq!(needs, [Need::Match]);
    twice(&mut data, [Standing::Confirmed, Standing::Refused]).await;
    data.store.match_digits(approved).await.unwrap();
    twice(&mut data, [Standing::Active, Standing::Refused]).await;
    let refusal = Refusal { at: START, reason: Some("not hers".parse().unwrap()) };
    assert_refused(data.store.epoch(refused), &Refused::Declined(refusal));
    data.store.epoch(approved).unwrap();
}

#[tokio::test]
async fn of_a_pairing_that_is_approved_no_mistake_is_counted() {
    let mut data = Data::with_users(0).await;
    let (pairing, digits) = data.waits(false).await;
    data.store.approve(ADMIN, pairing, digits).await.unwrap();
    for _ in 0..6 {
        let mistaken = data.store.approve(ADMIN, pairing, wrong()).await;
        assert_refused(mistaken, &Refused::Pairing(Reject::DigitsDiffer));
    }
    data.store.match_digits(pairing).await.unwrap();
    assert_eq!(data.stands(pairing), Standing::Active);
    let before = data.store.position();
    data.store.match_digits(pairing).await.unwrap();
    assert_eq!(data.store.position(), before, "said once, it is recorded once");
}

#[tokio::test]
async fn a_device_speaks_for_its_own_user_and_where_a_device_is_asked() {
    let mut data = Data::with_users(2).await;
    let [own, anothers] = [0, 1].map(|n| data.phone(n));
    let (administrators, _) = data.waits(true).await;
    let (devices, digits) = data.waits_for(Approval::Device, 0, true).await;
    for stranger in [anothers, data.gateway()] {
        assert_refused(data.store.approve(stranger, devices, digits).await, &Refused::Absent);
        assert_refused(data.store.refuse(stranger, devices, None).await, &Refused::Absent);
    }
    let foreign = Refused::Pairing(Reject::ApprovalForeign);
    assert_refused(data.store.approve(own, administrators, digits).await, &foreign);
    assert_refused(data.store.refuse(own, administrators, None).await, &foreign);
    data.store.approve(own, devices, digits).await.unwrap();
    assert_eq!([devices, administrators].map(|id| data.stands(id)), [Standing::Active, Standing::Confirmed]);
}

#[tokio::test]
async fn mistakes_are_counted_through_a_restart_and_the_fifth_erases_the_root() {
    let mut data = Data::with_users(0).await;
    let (pairing, digits) = data.waits(true).await;
    for n in 1..=5 {
        let expected = if n < 5 { Reject::DigitsDiffer } else { Reject::DigitsSpent };
        assert_refused(data.store.approve(ADMIN, pairing, wrong()).await, &Refused::Pairing(expected));
        data.swap(|_| {});
    }
    assert_eq!(data.stands(pairing), Standing::Refused);
    let over = &Refused::Pairing(Reject::ApprovalOver);
    assert_refused(data.store.approve(ADMIN, pairing, digits).await, over);
    assert!(data.store.shared.read().party(pairing).unwrap().1.root.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_words_at_once_one_holds() {
    for _ in 0..10 {
        let mut data = Data::with_users(0).await;
        let (pairing, digits) = data.waits(true).await;
        let (approved, refused) =
            tokio::join!(data.store.approve(ADMIN, pairing, digits), data.store.refuse(ADMIN, pairing, None));
        let expected = if approved.is_ok() { Standing::Active } else { Standing::Refused };
        assert_eq!((approved.is_ok(), refused.is_ok()), (refused.is_err(), approved.is_err()));
        assert_eq!(data.stands(pairing), expected);
    }
}

#[tokio::test]
async fn what_was_not_approved_in_time_is_recorded_once_by_the_keeper_or_when_it_comes_back() {
    let mut data = Data::with_users(0).await;
    let (pairing, digits) = data.waits(true).await;
    data.clock.advance_s(WAITING_S - 1);
    assert!(!data.store.lapse(pairing).await.unwrap());
    data.clock.advance_s(1);
    let over = Refused::Pairing(Reject::ApprovalOver);
    assert_refused(data.store.approve(ADMIN, pairing, digits).await, &over);
    assert_refused(data.store.refuse(ADMIN, pairing, None).await, &over);
    assert_refused(data.store.match_digits(pairing).await, &Refused::Lapsed);
    assert!(data.store.lapse(pairing).await.unwrap());
    assert!(data.store.lapse(pairing).await.unwrap());
    assert_eq!(data.stands(pairing), Standing::Lapsed);
}

/// It had no key: nobody's sessions change.
#[tokio::test]
async fn revoking_what_waits_rotates_nothing() {
    let mut data = Data::with_users(1).await;
    data.open(user(0), 1).await.unwrap();
    let (pairing, _) = data.waits(true).await;
    let reason = "a mistake".parse().unwrap();
    let revoked = data.store.revoke(ADMIN, Target::Pairing { pairing }, reason).await.unwrap();
    assert_eq!((revoked.pairings, revoked.sessions_rotated, revoked.sessions_ended), (1, 0, 0));
}

/// The last live device is revoked while another waits: nobody is left to go on for.
#[tokio::test]
async fn who_waits_keeps_no_session_alive() {
    let mut data = Data::with_users(1).await;
    let session = data.open(user(0), 1).await.unwrap();
    let phone = data.phone(0);
    data.waits(true).await;
    let lost = "lost".parse().unwrap();
    let revoked = data.store.revoke(ADMIN, Target::Pairing { pairing: phone }, lost).await.unwrap();
    assert_eq!((revoked.sessions_rotated, revoked.sessions_ended), (0, 1));
    assert_refused(data.key(session.id, 0), &Refused::Ended);
}
