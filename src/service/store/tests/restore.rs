//! A store that was restored from an older copy: that it is known, and what it goes on with, outlive a restart.

use sidekey_protocol::crypto::Secret;
use sidekey_protocol::revocation::restore::Accept;
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::revocation::{Head, SealedHead, Target};

use super::{ADMIN, Data, assert_refused, server, user};
use crate::fault::Fault;
use crate::store::{Compared, Error, Refused, SessionState};

/// A head that this service has made, and knows nothing of.
fn later(data: &Data, n: u64) -> SealedHead {
    Head { n, r: [7; 32] }.sealed(data.store.shared.at_rest.head_key())
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
    let phone = data.store.live_pairings(&server(), &user(0))[0].id;
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
