//! What is over is gone without anybody's asking: what is kept no longer cannot be stolen.

use sidekey_protocol::ids::{Role, SessionId};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::Audience;

use super::super::Refused;
use super::{DAY_S, Data, START, asked, assert_refused, server, user};

impl Data {
    /// Forgets what is over, as the keeper has it done from time to time.
    pub(super) fn sweep(&self) {
        let now = self.store.now();
        self.store.shared.write().sweep(usize::MAX, now);
    }

    /// The session roots that are kept.
    fn roots(&self) -> Vec<u32> {
        self.store.shared.read().roots.keys().copied().collect()
    }

    fn root_of(&self, session: SessionId) -> u32 {
        self.store.shared.read().find_session(session).unwrap().root
    }
}

/// An hour, and what a session is kept beyond it.
const FORGOTTEN_S: u32 = 3600 + 120;

#[tokio::test]
async fn a_session_root_serves_for_a_day_and_goes_with_the_last_session_after_it() {
    let mut data = Data::with_users(1).await;
    let first = data.open(user(0), 1).await.unwrap().id;
    let root = data.root_of(first);
    data.clock.set(START.after_s(DAY_S - 600));
    data.sweep();
    assert!(data.store.session(first).is_none());
    let late = data.open(user(0), 2).await.unwrap().id;
    data.clock.set(START.after_s(DAY_S - 300));
    let last = data.open(user(0), 3).await.unwrap().id;
    assert_eq!([data.root_of(late), data.root_of(last)], [root; 2], "more came while it served");

    data.clock.set(START.after_s(DAY_S));
    let next = data.open(user(0), 4).await.unwrap().id;
    let fresh = data.root_of(next);
    data.sweep();
    assert_eq!(data.roots(), [root, fresh]);
    for session in [late, last, next] {
        data.key(session, 0).unwrap();
    }
    data.clock.set(START.after_s(DAY_S - 600 + FORGOTTEN_S));
    data.sweep();
    assert!(data.store.session(late).is_none());
    data.key(last, 0).unwrap();
    data.clock.set(START.after_s(DAY_S - 300 + FORGOTTEN_S));
    data.sweep();
    assert_eq!(data.roots(), [fresh]);
    // Nobody has opened another one since.
    data.clock.set(START.after_s(2 * DAY_S - 1));
    data.sweep();
    assert_eq!(data.roots(), [fresh]);
    data.clock.set(START.after_s(2 * DAY_S));
    data.sweep();
    assert!(data.roots().is_empty());
    data.reopen().await;
    assert!(data.roots().is_empty());
}

#[tokio::test]
async fn what_is_revoked_leaves_no_session_root_and_no_other_user_s_changes() {
    let mut data = Data::with_users(2).await;
    let second = data.pair(Role::Client, Some(user(0))).await;
    let shared = data.open(user(0), 1).await.unwrap().id;
    let own = data.store.open_session(asked(data.gateway(), Audience::Pairing(second), 2)).await.unwrap().id;
    let other = data.open(user(1), 3).await.unwrap();
    let (root, others) = (data.root_of(shared), data.root_of(other.id));
    assert_eq!((data.root_of(own), data.roots()), (root, vec![root, others]));

    data.strike(Target::Pairing { pairing: second }).await.unwrap();
    let fresh = data.root_of(shared);
    assert_eq!(data.roots(), [others, fresh], "what the device could read derives from none of them");
    data.strike(Target::User { server: server(), user: user(0) }).await.unwrap();
    assert_eq!(data.roots(), [others]);
    assert_eq!((data.store.session(other.id), data.root_of(other.id)), (Some(other), others));
}

#[tokio::test]
async fn a_session_is_over_when_its_time_is() {
    let data = Data::with_users(1).await;
    let session = data.open(user(0), 1).await.unwrap();
    data.clock.set(START.after_s(3599));
    assert_eq!(data.store.sessions_of(&server(), &user(0)), std::slice::from_ref(&session));
    data.clock.set(session.not_after);
    assert!(data.store.sessions_of(&server(), &user(0)).is_empty());
    let target = Target::Session { session: session.id };
    assert_refused(data.strike(target).await, &Refused::AlreadyRevoked);
}
