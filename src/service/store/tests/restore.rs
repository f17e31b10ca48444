//! A store that was restored from an older copy: that it is known, and what it goes on with, outlive a restart.

mod going_on;

use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::revocation::restore::{Accept, Accepted};
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::revocation::{Head, Reason, SealedHead, Target};

use super::{ADMIN, Data, assert_refused, elsewhere, server, user};
use crate::fault::Fault;
use crate::store::{Compared, Error, Refused, SessionState};

/// A head that this service has made, and knows nothing of.
fn later(data: &Data, n: u64) -> SealedHead {
    Head { n, r: [7; 32] }.sealed(data.store.shared.at_rest.head_key())
}

/// Reports these, and says how many are news.
async fn report(data: &Data, by: PartyId, targets: &[Target]) -> usize {
    let (reason, at): (Reason, _) = ("left us".parse().unwrap(), data.store.now());
    let told = targets.iter().map(|target| Revoked { target: target.clone(), reason: reason.clone(), at });
    data.store.report(by, told.collect()).await.unwrap()
}

/// From the pages, from the journal alone, and as it was.
async fn the_same_after_a_restart(data: &mut Data) {
    let before = data.dump();
    data.reopen().await;
    assert_eq!(data.dump(), before);
    data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!(data.dump(), before);
}

#[tokio::test]
async fn a_head_is_ours_later_or_forged() {
    let data = Data::with_users(1).await;
    assert_eq!(data.store.compare(&data.store.head()), Compared::Ours);
    data.store.revoke(ADMIN, Target::Server { server: server() }, "moved".parse().unwrap()).await.unwrap();
    for (n, expected) in [(0, Compared::Ours), (1, Compared::Later), (2, Compared::Later)] {
        assert_eq!(data.store.compare(&later(&data, n)), expected, "{n}");
    }
    let theirs = Head { n: 2, r: [7; 32] }.sealed(&Secret::fill_with(|octets| octets.fill(3)));
    assert_eq!(data.store.compare(&theirs), Compared::Forged);
}

#[tokio::test]
async fn what_is_known_of_what_was_lost_and_what_was_accepted_outlive_a_restart() {
    let mut data = Data::with_users(2).await;
    let session = data.open(user(0), 1).await.unwrap();
    let phone = data.phone(0);
    data.store.roll_back(later(&data, 4), Some(phone)).await.unwrap();
    data.store.roll_back(later(&data, 3), None).await.unwrap();
    assert!(matches!(data.store.ready(), Err(Fault::RolledBack)));
    let target = Target::User { server: server(), user: user(0) };
    let told = Revoked { target, reason: "left us".parse().unwrap(), at: data.store.now() };
    assert_eq!(data.store.report(phone, vec![told.clone(), told]).await.unwrap(), 1);
    the_same_after_a_restart(&mut data).await;
    let status = data.store.restore_status();
    assert_eq!((status.shown.unwrap().revocations, status.missing, status.reports.len()), (4, 3, 1));

    let refused = data.store.accept(ADMIN, Accept::default(), (4, 1)).await;
    assert_refused(refused, &Refused::Missing(3));
    let accept = Accept { missing: 3, ..Accept::default() };
    assert_refused(data.store.accept(ADMIN, accept.clone(), (4, 0)).await, &Refused::Stale);
    let (sealed_under, _) = data.store.shared.at_rest.newest();
    let accepted = data.store.accept(ADMIN, accept, (4, 1)).await.unwrap();
    assert_eq!((accepted.revocations, accepted.reapplied, accepted.pairings), (5, 1, 1));
    the_same_after_a_restart(&mut data).await;
    data.store.ready().unwrap();
    assert_eq!(data.store.head().n(), 5);
    assert_eq!(data.store.compare(&later(&data, 4)), Compared::Ours);
    assert!(data.store.shared.at_rest.newest().0 > sealed_under, "secrets are sealed anew");
    assert!(matches!(data.key(session.id, 0), Err(Error::Refused(Refused::Ended))), "{session:?}");
    let ended = data.store.session(session.id).map(|session| session.state);
    assert!(matches!(ended, Some(SessionState::Ended(_))), "{ended:?}");
    assert!(!data.store.party(phone).unwrap().is_live());
    data.open(user(1), 2).await.unwrap();
}

#[tokio::test]
async fn a_journal_that_takes_no_more_issues_nothing_once_a_later_head_was_shown() {
    let data = Data::with_users(1).await;
    data.store.close().await;
    data.store.roll_back(later(&data, 4), None).await.unwrap_err();
    assert!(data.store.is_rolled_back());
    assert!(data.store.restore_status().rolled_back);
}

#[tokio::test]
async fn a_head_of_fewer_revocations_is_no_loss_and_another_of_as_many_is() {
    let data = Data::with_users(1).await;
    let target = Target::User { server: server(), user: user(0) };
    data.store.revoke(ADMIN, target, "left us".parse().unwrap()).await.unwrap();
    data.store.roll_back(later(&data, 0), None).await.unwrap();
    assert!(!data.store.is_rolled_back());
    data.store.roll_back(later(&data, 1), None).await.unwrap();
    assert!(data.store.is_rolled_back());
}

#[tokio::test]
async fn a_party_is_believed_about_what_it_is_told_of() {
    let mut data = Data::with_users(2).await;
    data.store.add_server(ADMIN, elsewhere()).await.unwrap();
    let mut of = [Vec::new(), Vec::new()];
    for (n, targets) in (0..).zip(&mut of) {
        let pairing = data.phone(n);
        let credential = data.issue(user(n), "push", None).await.unwrap().0.id;
        let session = data.open(user(n), n.into()).await.unwrap().id;
        let invitation = data.invite(Role::Client, Some(user(n))).await;
        targets.extend([
            Target::Credential { credential },
            Target::Invitation { invitation },
            Target::Pairing { pairing },
            Target::Session { session },
            Target::User { server: server(), user: user(n) },
        ]);
    }
    let [own, others] = of;
    let phone = data.phone(0);
    let (first, gateway) = (data.gateway(), data.pair(Role::Server, None).await);
    let gateways = [first, gateway].map(|pairing| Target::Pairing { pairing });
    let whole = [Target::Server { server: server() }];
    let elsewhere = [Target::Server { server: elsewhere() }];
    data.store.roll_back(later(&data, 9), None).await.unwrap();

    for foreign in [&others[..], &gateways, &elsewhere] {
        assert_eq!(report(&data, phone, foreign).await, 0, "{foreign:?}");
    }
    assert_eq!(report(&data, phone, &own).await, own.len());
    assert_eq!(report(&data, phone, &whole).await, 1);
    assert_eq!(report(&data, gateway, &elsewhere).await, 0);
    assert_eq!(report(&data, gateway, &others).await, others.len());
    assert_eq!(report(&data, gateway, &gateways).await, 2);
    assert_eq!(report(&data, ADMIN, &elsewhere).await, 1);
}

#[tokio::test]
async fn what_is_revoked_here_is_no_news_and_no_more_than_256_reports_are_kept() {
    let mut data = Data::with_users(1).await;
    let mut targets = Vec::new();
    for _ in 0..=256 {
        let invitation = data.invite(Role::Client, Some(user(0))).await;
        targets.push(Target::Invitation { invitation });
    }
    let phone = [Target::Pairing { pairing: data.phone(0) }];
    data.store.revoke(ADMIN, phone[0].clone(), "lost".parse().unwrap()).await.unwrap();
    data.store.roll_back(later(&data, 9), None).await.unwrap();
    assert_eq!(report(&data, ADMIN, &phone).await, 0);
    for (told, news) in [(200, 200), (257, 56), (257, 0)] {
        assert_eq!(report(&data, ADMIN, &targets[..told]).await, news);
    }
}

#[tokio::test]
async fn going_on_spares_live_pairings_alone_and_ends_what_is_open_once() {
    let mut data = Data::with_users(2).await;
    let [phone, gone] = [0, 1].map(|n| data.phone(n));
    let lost = "lost".parse().unwrap();
    data.store.revoke(ADMIN, Target::Pairing { pairing: gone }, lost).await.unwrap();
    let session = data.open(user(0), 1).await.unwrap().id;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    data.store.roll_back(later(&data, 4), None).await.unwrap();
    let open = [Target::Session { session }, Target::Invitation { invitation }];
    assert_eq!(report(&data, ADMIN, &open).await, 2);

    let all_but = |pairing| Accept { revoke_all: true, except: vec![pairing], ..Accept::default() };
    for none in [ADMIN, gone] {
        assert_refused(data.store.would_accept(all_but(none)).await, &Refused::Absent);
    }
    let would = data.store.would_accept(all_but(phone)).await.unwrap();
    assert_eq!((would.reapplied, would.sessions_ended, would.invitations, would.pairings), (0, 1, 1, 1));
    assert!(would.dry_run && data.store.is_rolled_back());
    let did = data.store.accept(ADMIN, all_but(phone), (4, 2)).await.unwrap();
    assert_eq!(Accepted { dry_run: true, ..did }, would);
    assert!(data.store.party(phone).unwrap().is_live());
}
