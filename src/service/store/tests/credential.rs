//! Proxy credentials: whose they are, for how long, and what is left of them.

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::wire::AuditQuery;
use sidekey_protocol::ids::{CredentialId, Timestamp, UserName};
use sidekey_protocol::pairing::credential::wire::{CredentialState, CredentialsQuery};
use sidekey_protocol::pairing::credential::{CredentialSecret, KEPT_MAX, KEPT_S, LIVE_MAX, Reject};
use sidekey_protocol::revocation::Target;

use super::super::view::{Happened, Page};
use super::super::{Credential, Error, NewCredential, Refused, Shown};
use super::{ADMIN, DAY_S, Data, EVERYTHING, START, assert_refused, elsewhere, server, user};

impl Data {
    /// Issues one that lasts so long, or until it is revoked.
    pub(super) async fn issue(
        &mut self,
        user: UserName,
        label: &str,
        ttl_s: Option<u32>,
    ) -> Result<(Credential, CredentialSecret), Error> {
        let secret = CredentialSecret::random(&mut self.rng);
        let id = CredentialId::random(&mut self.rng);
        let expires = ttl_s.map(|ttl_s| self.store.now().after_s(ttl_s));
        let new = NewCredential { id, server: server(), user, label: label.parse().unwrap(), expires };
        Ok((self.store.issue_credential(ADMIN, new, &secret).await?, secret))
    }

    fn shown(&self, user: UserName, secret: &CredentialSecret) -> String {
        match self.store.show_credential(&server(), &user, secret) {
            Shown::Live(seen) => format!("live {}", seen.label),
            Shown::Over(seen) => format!("over {}", seen.label),
            Shown::Wrong => "wrong".to_owned(),
        }
    }

    pub(super) async fn strike(&self, target: Target) -> Result<super::super::Revoked, Error> {
        self.store.revoke(ADMIN, target, "another operator".parse().unwrap()).await
    }
}

#[tokio::test]
async fn a_secret_is_its_own_user_s_at_its_own_server_alone() {
    let mut data = Data::with_users(1).await;
    data.store.add_server(ADMIN, elsewhere()).await.unwrap();
    // Somebody who has paired nothing yet may have one too.
    let (_, new) = data.issue(user(9), "k9", None).await.unwrap();
    let (_, first) = data.issue(user(0), "push", None).await.unwrap();
    let (_, second) = data.issue(user(0), "sync", None).await.unwrap();
    assert_eq!(data.shown(user(0), &first), "live push");
    assert_eq!(data.shown(user(0), &second), "live sync");
    assert_eq!(data.shown(user(9), &new), "live k9");
    for (whose, secret) in [(user(9), &first), (user(0), &new), (user(5), &first)] {
        assert_eq!(data.shown(whose, secret), "wrong");
    }
    let elsewhere = data.store.show_credential(&elsewhere(), &user(0), &first);
    assert!(matches!(elsewhere, Shown::Wrong), "{elsewhere:?}");
}

#[tokio::test]
async fn what_is_over_is_told_from_what_is_wrong_and_lets_nobody_in() {
    let mut data = Data::with_users(1).await;
    let (_, expiring) = data.issue(user(0), "push", Some(60)).await.unwrap();
    let (revoked, secret) = data.issue(user(0), "sync", None).await.unwrap();
    let before = data.store.head().n();
    let struck = data.strike(Target::Credential { credential: revoked.id }).await.unwrap();
    assert_eq!((struck.credentials, struck.pairings, struck.revocations), (1, 0, before + 1));
    assert_eq!(data.store.head().n(), before + 1, "the head counts it");
    assert_eq!(data.shown(user(0), &secret), "over sync");
    data.clock.advance_s(59);
    assert_eq!(data.shown(user(0), &expiring), "live push");
    data.clock.advance_s(1);
    assert_eq!(data.shown(user(0), &expiring), "over push");
    for seen in data.store.credentials(EVERYTHING, &CredentialsQuery::default()).items {
        let again = data.strike(Target::Credential { credential: seen.id }).await;
        assert_refused(again, &Refused::AlreadyRevoked);
    }
    let unknown = Target::Credential { credential: CredentialId::from_bytes([0; 16]) };
    assert_refused(data.strike(unknown).await, &Refused::Absent);
}

#[tokio::test]
async fn revoking_a_user_or_a_server_takes_their_credentials_along() {
    let mut data = Data::with_users(2).await;
    let (_, first) = data.issue(user(0), "push", None).await.unwrap();
    let (_, other) = data.issue(user(1), "push", None).await.unwrap();
    let (_, alone) = data.issue(user(9), "push", None).await.unwrap();
    let of = |n| Target::User { server: server(), user: user(n) };
    assert_eq!(data.strike(of(0)).await.unwrap().credentials, 1);
    assert_eq!([data.shown(user(0), &first), data.shown(user(1), &other)], ["over push", "live push"]);
    // A user who has nothing else.
    assert_eq!(data.strike(of(9)).await.unwrap().credentials, 1);
    assert_refused(data.strike(of(9)).await, &Refused::AlreadyRevoked);
    assert_eq!(data.shown(user(9), &alone), "over push");
    assert_eq!(data.strike(Target::Server { server: server() }).await.unwrap().credentials, 1);
    assert_eq!(data.shown(user(1), &other), "over push");
    let late = data.issue(user(1), "sync", None).await.map(drop);
    assert!(matches!(late, Err(Error::Refused(Refused::Revoked(_)))), "{late:?}");
}

#[tokio::test]
async fn no_two_live_ones_of_a_user_have_one_label_and_nobody_has_too_many() {
    let mut data = Data::with_users(1).await;
    let (first, _) = data.issue(user(0), "proxy 0", None).await.unwrap();
    let taken = Refused::Credential(Reject::LabelTaken);
    assert_refused(data.issue(user(0), "proxy 0", None).await.map(drop), &taken);
    data.issue(user(1), "proxy 0", None).await.unwrap();
    for n in 1..LIVE_MAX {
        data.issue(user(0), &format!("proxy {n}"), None).await.unwrap();
    }
    assert_refused(
        data.issue(user(0), "one more", None).await.map(drop),
        &Refused::Credential(Reject::Limit),
    );
    data.strike(Target::Credential { credential: first.id }).await.unwrap();
    data.issue(user(0), "proxy 0", None).await.unwrap();
    let nowhere = NewCredential {
        id: CredentialId::from_bytes([1; 16]),
        server: "nowhere".parse().unwrap(),
        user: user(0),
        label: "x".parse().unwrap(),
        expires: None,
    };
    let secret = CredentialSecret::random(&mut data.rng);
    let refused = data.store.issue_credential(ADMIN, nowhere, &secret).await;
    assert_refused(refused, &Refused::Absent);
}

#[tokio::test]
async fn two_that_are_issued_at_once_under_one_label_are_one() {
    let mut data = Data::with_users(1).await;
    let secret = CredentialSecret::random(&mut data.rng);
    let mut new = || NewCredential {
        id: CredentialId::random(&mut data.rng),
        server: server(),
        user: user(0),
        label: "push".parse().unwrap(),
        expires: None,
    };
    let (one, other) = (new(), new());
    let (one, other) = tokio::join!(
        data.store.issue_credential(ADMIN, one, &secret),
        data.store.issue_credential(ADMIN, other, &secret)
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
}

#[tokio::test]
async fn credentials_outlive_a_restart_and_looking_at_them_writes_nothing() {
    let mut data = Data::with_users(1).await;
    let (_, live) = data.issue(user(0), "push", Some(40 * DAY_S)).await.unwrap();
    let (gone, dead) = data.issue(user(0), "sync", None).await.unwrap();
    data.strike(Target::Credential { credential: gone.id }).await.unwrap();
    data.clock.advance_s(3 * DAY_S);
    let seq = data.store.shared.read().position.seq;
    for _ in 0..50 {
        assert_eq!(data.shown(user(0), &live), "live push");
        assert_eq!(data.shown(user(0), &dead), "over sync");
    }
    let today = Timestamp((START.0 + 3 * DAY_S) / DAY_S * DAY_S);
    let used = |data: &Data| {
        let all = data.store.credentials(EVERYTHING, &CredentialsQuery::default()).items;
        all.into_iter().map(|seen| (seen.label.to_string(), seen.last_used)).collect::<Vec<_>>()
    };
    let expected = [("push".to_owned(), Some(today)), ("sync".to_owned(), None)];
    assert_eq!(used(&data), expected);
    assert_eq!(data.store.shared.read().position.seq, seq, "nothing was written");
    data.reopen().await;
    assert_eq!(used(&data), expected);
    assert_eq!([data.shown(user(0), &live), data.shown(user(0), &dead)], ["live push", "over sync"]);
    // Without the pages, from the journal alone: it never knew when they were used.
    data.store.close().await;
    data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!([data.shown(user(0), &live), data.shown(user(0), &dead)], ["live push", "over sync"]);
}

#[tokio::test]
async fn what_has_long_been_over_is_forgotten_and_what_lives_is_not() {
    let mut data = Data::with_users(1).await;
    let (_, old) = data.issue(user(0), "old", Some(60)).await.unwrap();
    let (gone, revoked) = data.issue(user(0), "gone", None).await.unwrap();
    data.strike(Target::Credential { credential: gone.id }).await.unwrap();
    let (_, live) = data.issue(user(0), "live", None).await.unwrap();
    data.clock.advance_s(KEPT_S - 1);
    data.dump();
    assert_eq!([data.shown(user(0), &old), data.shown(user(0), &revoked)], ["over old", "over gone"]);
    data.clock.advance_s(2 * 3600);
    data.dump();
    let shown = [&old, &revoked, &live].map(|secret| data.shown(user(0), secret));
    assert_eq!(shown, ["wrong", "wrong", "live live"]);
    assert!(data.store.credential(gone.id).is_none());
    data.reopen().await;
    assert_eq!(data.shown(user(0), &live), "live live");
}

/// All are looked at, so not at every turn.
#[tokio::test]
async fn what_has_long_been_over_is_looked_for_once_an_hour() {
    let mut data = Data::with_users(1).await;
    let (made, _) = data.issue(user(0), "old", Some(60)).await.unwrap();
    let looked = START.after_s(60 + KEPT_S - 1);
    for (after_s, is_known) in [(0, true), (3599, true), (3600, false)] {
        data.clock.set(looked.after_s(after_s));
        data.sweep();
        assert_eq!(data.store.credential(made.id).is_some(), is_known, "{after_s}");
    }
}

/// What is right is written behind, and need not be for every message.
#[tokio::test]
async fn that_one_was_right_is_news_once_a_day() {
    let mut data = Data::with_users(1).await;
    let (made, _) = data.issue(user(0), "push", None).await.unwrap();
    let is_news = |at| {
        let state = data.store.shared.read();
        state.credentials.find(made.id).unwrap().1.used(at)
    };
    let days = [START, START, START.after_s(DAY_S), START.after_s(DAY_S), START].map(is_news);
    assert_eq!(days, [true, false, true, false, false]);
}

#[tokio::test]
async fn of_many_that_a_user_has_had_the_first_that_is_over_makes_room() {
    let mut data = Data::with_users(1).await;
    let (_, first) = data.issue(user(0), "first", None).await.unwrap();
    let (next, second) = data.issue(user(0), "next", None).await.unwrap();
    data.strike(Target::Credential { credential: next.id }).await.unwrap();
    for n in 2..=KEPT_MAX {
        let (made, _) = data.issue(user(0), &format!("proxy {n}"), None).await.unwrap();
        data.strike(Target::Credential { credential: made.id }).await.unwrap();
    }
    assert_eq!([data.shown(user(0), &first), data.shown(user(0), &second)], ["live first", "wrong"]);
    let all = data.store.credentials(EVERYTHING, &CredentialsQuery::default()).items;
    assert_eq!(all.len(), KEPT_MAX);
}

#[tokio::test]
async fn a_list_is_of_what_is_wanted_page_by_page() {
    let mut data = Data::with_users(2).await;
    for n in 0..5 {
        data.issue(user(n % 2), &format!("proxy {n}"), Some(60 * (u32::from(n) + 1))).await.unwrap();
    }
    data.clock.advance_s(120);
    let labels = |page: Page, query: &CredentialsQuery| {
        let found = data.store.credentials(page, query);
        (found.items.into_iter().map(|seen| seen.label.to_string()).collect::<Vec<_>>(), found.next)
    };
    let active = CredentialsQuery { state: Some(CredentialState::Active), ..CredentialsQuery::default() };
    let (first, next) = labels(Page { size: 2, after: 0 }, &active);
    assert_eq!(first, ["proxy 2", "proxy 3"]);
    assert_eq!(labels(Page { size: 2, after: next.unwrap() }, &active), (vec!["proxy 4".to_owned()], None));
    let of = CredentialsQuery { user: Some(user(1)), ..CredentialsQuery::default() };
    assert_eq!(labels(EVERYTHING, &of).0, ["proxy 1", "proxy 3"]);
    let elsewhere = CredentialsQuery { server: Some("x".parse().unwrap()), ..CredentialsQuery::default() };
    assert!(labels(EVERYTHING, &elsewhere).0.is_empty());
}

#[tokio::test]
async fn what_was_made_after_a_time_was_not_made_at_it() {
    let mut data = Data::with_users(1).await;
    for label in ["first", "then", "last"] {
        data.issue(user(0), label, None).await.unwrap();
        data.clock.advance_s(60);
    }
    let created_after = Some(START.after_s(60));
    let later = CredentialsQuery { created_after, ..CredentialsQuery::default() };
    let [only] = &data.store.credentials(EVERYTHING, &later).items[..] else { panic!("the last one") };
    assert_eq!(only.label.as_str(), "last");
}

#[tokio::test]
async fn the_log_and_the_server_hear_of_it() {
    let mut data = Data::with_users(1).await;
    let (made, secret) = data.issue(user(0), "push", Some(600)).await.unwrap();
    let place = (sidekey_protocol::ids::Role::Server, server());
    let mut heard = data.store.listen(Some((place.0, &place.1, None)), None).listening;
    let target = Target::Credential { credential: made.id };
    data.strike(target.clone()).await.unwrap();
    let commit = heard.next().await.unwrap();
    let event = &commit.events[0];
    assert_eq!((event.server.as_ref(), event.user.as_ref()), (Some(&server()), Some(&user(0))));
    assert!(matches!(&event.what, Happened::Revoked { target: told, .. } if *told == target));
    let log = data.store.audit(EVERYTHING, &AuditQuery::default()).unwrap().entries;
    let about: Vec<_> = log.iter().filter(|entry| entry.credential == Some(made.id)).collect();
    let actions: Vec<_> = about.iter().map(|entry| entry.action).collect();
    assert_eq!(actions, [Action::CredentialIssued, Action::CredentialRevoked]);
    assert!(about.iter().all(|entry| entry.user == Some(user(0)) && entry.server == Some(server())));
    assert_eq!((about[0].label.as_deref(), about[0].not_after), (Some("push"), made.expires));
    let text = about.iter().map(|entry| entry.text()).collect::<String>();
    assert!(!text.contains(secret.expose_printed().as_str()), "{text}");
}

#[tokio::test]
async fn a_clock_that_was_ahead_leaves_no_credential_that_lasts_longer() {
    let mut data = Data::with_users(1).await;
    let (_, before) = data.issue(user(0), "before", Some(1000)).await.unwrap();
    data.clock.advance_s(400 * DAY_S);
    let (_, ahead) = data.issue(user(0), "ahead", Some(1000)).await.unwrap();
    data.shown(user(0), &ahead);
    data.clock.set(START.after_s(10));
    data.store.accept_clock().await.unwrap();
    assert_eq!([data.shown(user(0), &before), data.shown(user(0), &ahead)], ["live before", "live ahead"]);
    let all = data.store.credentials(EVERYTHING, &CredentialsQuery::default()).items;
    assert!(all.iter().all(|seen| seen.last_used <= Some(data.store.now())), "{all:?}");
    data.clock.advance_s(1000);
    assert_eq!(data.shown(user(0), &ahead), "over ahead");
}
