use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{PartyId, ServiceId};
use sidekey_protocol::revocation::Head;
use sidekey_protocol::session::envelope::{Bindings, Opened};
use sidekey_protocol::session::{Capabilities, OFFER_OF_SEVERAL, Suite};

use super::*;

const SESSION: SessionId = SessionId::from_bytes([1; 16]);
const NOW: Timestamp = Timestamp(1_000);
const END: Timestamp = Timestamp(4_600);

fn key(session: SessionId, generation: u32) -> Arc<SessionKey> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let bindings = Bindings {
        service: ServiceId::from_bytes([2; 16]),
        server: "mail.example.org".parse().unwrap(),
        user: "ann@example.org".parse().unwrap(),
        pairing: PartyId::from_bytes([3; 16]),
        session,
        generation,
        suite: Suite::A256gcm,
        not_before: NOW.after_s(10 * generation),
        not_after: END,
        policy: [4; 32],
        capabilities: Capabilities::parse(&["A256GCM"]).unwrap(),
        offer: OFFER_OF_SEVERAL,
        head: Head::START.sealed(&Secret::random(&mut rng)),
    };
    Arc::new(SessionKey::new(Opened { key: Secret::random(&mut rng), bindings }))
}

fn with_key(generation: u32) -> (Cache, Arc<Slot>) {
    let cache = Cache::default();
    let slot = cache.slot(SESSION, NOW);
    assert!(slot.put(&key(SESSION, generation), slot.drops()));
    (cache, slot)
}

fn newest(slot: &Slot, now: Timestamp) -> Option<u32> {
    slot.newest(now).map(|key| key.generation())
}

#[test]
fn a_key_leaves_when_its_session_ends() {
    let (_, slot) = with_key(0);
    assert_eq!(newest(&slot, Timestamp(END.0 - 1)), Some(0));
    assert_eq!(newest(&slot, END), None);
}

#[test]
fn after_a_plain_rotation_the_one_before_opens_for_two_minutes() {
    let (cache, slot) = with_key(0);
    cache.rotated(SESSION, 1, Cause::Asked, NOW);
    assert_eq!(newest(&slot, NOW), None);
    assert!(slot.of_generation(0, NOW.after_s(119)).is_some());
    assert!(slot.of_generation(0, NOW.after_s(120)).is_none());
}

#[test]
fn after_a_revocation_the_one_before_is_gone() {
    let (cache, slot) = with_key(0);
    cache.rotated(SESSION, 1, Cause::Revocation, NOW);
    assert!(slot.of_generation(0, NOW).is_none());
    // Also when its successor was fetched before the event came.
    assert!(slot.put(&key(SESSION, 1), slot.drops()));
    assert!(slot.put_older(&key(SESSION, 0), slot.drops()));
    assert!(slot.of_generation(0, NOW).is_some());
    cache.rotated(SESSION, 1, Cause::Revocation, NOW);
    assert!(slot.of_generation(0, NOW).is_none());
    assert_eq!(newest(&slot, NOW), Some(1));
}

#[test]
fn an_end_is_remembered_also_of_a_session_that_was_never_fetched() {
    let (cache, slot) = with_key(0);
    let other = SessionId::from_bytes([2; 16]);
    for session in [SESSION, other] {
        assert!(!cache.slot(session, NOW).is_over());
        cache.over(session, NOW);
        assert!(cache.slot(session, NOW).is_over());
    }
    assert_eq!((newest(&slot, NOW), cache.missed()), (None, 0));
}

#[test]
fn after_a_change_of_policy_the_one_before_opens_what_is_under_way_and_is_not_given_out() {
    let (cache, slot) = with_key(0);
    let drops = slot.drops();
    cache.supersede_if(NOW, |_| true);
    assert_eq!(newest(&slot, NOW), None);
    assert!(!slot.put(&key(SESSION, 0), drops), "asked for before the change");
    assert!(slot.put(&key(SESSION, 1), slot.drops()));
    assert!(slot.of_generation(0, NOW.after_s(119)).is_some());
    assert!(slot.of_generation(0, NOW.after_s(120)).is_none());
}

#[test]
fn a_rotation_that_was_missed_leaves_nothing_to_open_with() {
    let (cache, slot) = with_key(0);
    cache.rotated(SESSION, 2, Cause::Asked, NOW);
    assert!(slot.of_generation(0, NOW).is_none());
}

#[test]
fn nobody_goes_back_to_an_older_generation() {
    let (cache, slot) = with_key(3);
    assert!(!slot.put(&key(SESSION, 2), slot.drops()));
    cache.rotated(SESSION, 4, Cause::Asked, NOW);
    assert!(!slot.put(&key(SESSION, 3), slot.drops()));
    cache.drop_keys(SESSION);
    assert_eq!(slot.seen(), 4);
    // An older event that comes late changes nothing.
    assert!(slot.put(&key(SESSION, 5), slot.drops()));
    cache.rotated(SESSION, 4, Cause::Asked, NOW);
    assert_eq!(newest(&slot, NOW), Some(5));
}

#[test]
fn an_older_generation_that_was_asked_for_does_not_take_the_place_of_the_newest() {
    let (_, slot) = with_key(1);
    assert!(slot.put_older(&key(SESSION, 0), slot.drops()));
    assert_eq!(newest(&slot, NOW), Some(1));
    let began = NOW.after_s(10);
    assert!(slot.of_generation(0, began.after_s(119)).is_some());
    assert!(slot.of_generation(0, began.after_s(120)).is_none());
}

#[test]
fn an_older_generation_is_not_taken_for_the_newest() {
    let cache = Cache::default();
    let slot = cache.slot(SESSION, NOW);
    assert!(slot.put_older(&key(SESSION, 0), slot.drops()));
    assert!(slot.newest(NOW).is_none() && slot.of_generation(0, NOW).is_none());
}

#[test]
fn a_key_that_was_asked_for_before_an_event_is_not_kept() {
    let (cache, slot) = with_key(0);
    let drops = slot.drops();
    cache.drop_keys(SESSION);
    assert!(!slot.put(&key(SESSION, 0), drops));
    assert!(!slot.put_older(&key(SESSION, 0), drops));
    let drops = slot.drops();
    cache.drop_keys_if(|_| true);
    assert!(!slot.put(&key(SESSION, 0), drops));
    assert_eq!(newest(&slot, NOW), None);
}

#[test]
fn an_event_about_a_session_that_is_just_being_opened_is_noticed() {
    let cache = Cache::default();
    let missed = cache.missed();
    cache.rotated(SESSION, 1, Cause::Revocation, NOW);
    assert_ne!(cache.missed(), missed);
}

#[test]
fn what_waits_for_a_fetch_shares_its_failure_and_no_earlier_one() {
    let slot = Slot::default();
    let mut flight = Flight::default();
    let before = slot.flights();
    let n = Flight::begin(&slot);
    flight.end(n, Some(&Error::Expired));
    assert!(matches!(flight.failed_since(before), Some(Error::Expired)));
    assert!(flight.failed_since(slot.flights()).is_none());
    let n = Flight::begin(&slot);
    flight.end(n, None);
    assert!(flight.failed_since(before).is_none());
}

#[test]
fn the_cache_is_bounded_and_forgets_what_is_over_first() {
    let cache = Cache::default();
    let id = |n: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        SessionId::from_bytes(id)
    };
    let live = cache.slot(SESSION, NOW);
    assert!(live.put(&key(SESSION, 7), live.drops()));
    drop(live);
    for n in 0..u32::try_from(SESSIONS_MAX).unwrap() + 10 {
        cache.slot(id(n), NOW);
    }
    assert!(cache.lock().len() <= SESSIONS_MAX);
    assert_eq!(cache.slot(SESSION, NOW).seen(), 7);
}
