//! What happened, for those who listen: told to whom it concerns alone, and kept for a while for those who come back.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sidekey_protocol::ids::{Role, ServerName, UserName};
use tokio::sync::broadcast::{self, Receiver, Sender};

use super::view::Event;

/// The events of one commit.
#[derive(Debug, Eq, PartialEq)]
pub struct Commit {
    /// The journal's sequence number.
    pub seq: u64,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Everything that listeners share.
#[derive(Debug)]
pub(super) struct Feed(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// The latest commits that made events, oldest first.
    kept: VecDeque<Arc<Commit>>,
    /// How many events they hold.
    events: usize,
    /// The last commit of which nothing is kept.
    floor: u64,
    /// The last commit of all.
    last: u64,
    /// Those who listen.
    servers: HashMap<ServerName, Listeners>,
    /// Administrators, who listen to all servers.
    admins: Option<Sender<Arc<Commit>>>,
}

/// The listeners at one server: its own pairings, and each user's.
#[derive(Debug, Default)]
struct Listeners {
    gateways: Option<Sender<Arc<Commit>>>,
    users: HashMap<UserName, Sender<Arc<Commit>>>,
}

/// A pairing's role, server and user; an administrator has none.
pub type Place<'a> = Option<(Role, &'a ServerName, Option<&'a UserName>)>;

/// One listener's end. Gives the commits that may concern its server or user: more than its own now and then.
pub struct Listening {
    feed: Arc<Feed>,
    /// Absent only while it is dropped.
    receiver: Option<Receiver<Arc<Commit>>>,
    /// At which server, and a client's user; an administrator's is none.
    at: Option<(ServerName, Option<UserName>)>,
}

/// What a listener begins with.
#[derive(Debug)]
pub struct Begun {
    /// From now on.
    pub listening: Listening,
    /// The last commit before.
    pub last: u64,
    /// What it missed, oldest first; `None` when that is not known any more.
    pub missed: Option<Vec<Arc<Commit>>>,
}

/// Why a listener hears nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deaf {
    /// It was too slow: let it begin again after what it has heard.
    Lagged,
    /// There will be nothing more.
    Closed,
}

impl Feed {
    /// Of a journal whose last record is `last`: nothing before it is kept.
    pub(super) fn after(last: u64) -> Self {
        let (kept, servers) = (VecDeque::new(), HashMap::new());
        Self(Mutex::new(Inner { kept, events: 0, floor: last, last, servers, admins: None }))
    }

    /// Keeps what a commit came to, and tells whom it may concern.
    pub(super) fn publish(&self, seq: u64, events: Vec<Event>) {
        let mut inner = self.lock();
        inner.last = seq;
        if events.is_empty() {
            return;
        }
        let commit = Arc::new(Commit { seq, events });
        inner.tell(&commit);
        inner.keep(commit);
    }

    /// Listens from now on, and finds what was missed since the commit `after`.
    pub(super) fn listen(self: &Arc<Self>, place: Place<'_>, after: Option<u64>) -> Begun {
        let mut inner = self.lock();
        let fresh = || Sender::new(BACKLOG);
        let sender = match place {
            None => inner.admins.get_or_insert_with(fresh),
            Some((role, server, user)) => {
                let listeners = inner.servers.entry(server.clone()).or_default();
                match (role, user) {
                    (Role::Client, Some(user)) => listeners.users.entry(user.clone()).or_insert_with(fresh),
                    _ => listeners.gateways.get_or_insert_with(fresh),
                }
            }
        };
        let receiver = Some(sender.subscribe());
        let missed = after.map_or(Some(Vec::new()), |after| inner.since(after));
        let last = inner.last;
        drop(inner);
        let at = place
            .map(|(role, server, user)| (server.clone(), user.filter(|_| role == Role::Client).cloned()));
        let listening = Listening { feed: Arc::clone(self), receiver, at };
        Begun { listening, last, missed }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn keep(&mut self, commit: Arc<Commit>) {
        self.events += commit.events.len();
        self.kept.push_back(commit);
        while self.events > KEPT_EVENTS {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.events -= oldest.events.len();
            self.floor = oldest.seq;
        }
    }

    /// `None` when more happened since `after` than is kept, or when it is of another history.
    fn since(&self, after: u64) -> Option<Vec<Arc<Commit>>> {
        let known = (self.floor..=self.last).contains(&after);
        let from = self.kept.partition_point(|commit| commit.seq <= after);
        known.then(|| self.kept.range(from..).cloned().collect())
    }

    /// Each listener once, whatever many of the events concern it.
    fn tell(&self, commit: &Arc<Commit>) {
        let mut told: Vec<&Sender<Arc<Commit>>> = Vec::new();
        if commit.events.iter().any(|event| event.what.is_for_administrators()) {
            told.extend(&self.admins);
        }
        for event in &commit.events {
            match (&event.server, &event.user) {
                (None, _) => told.extend(self.servers.values().flat_map(Listeners::all)),
                (Some(server), user) => {
                    let Some(listeners) = self.servers.get(server) else { continue };
                    match user {
                        None => told.extend(listeners.all()),
                        Some(user) => {
                            told.extend(&listeners.gateways);
                            told.extend(listeners.users.get(user));
                        }
                    }
                }
            }
        }
        told.sort_unstable_by_key(|sender| std::ptr::from_ref(*sender));
        told.dedup_by_key(|sender| std::ptr::from_ref(*sender));
        for sender in told {
            // Nobody listens any more: nobody misses it.
            let _: Result<_, _> = sender.send(Arc::clone(commit));
        }
    }
}

impl Listeners {
    fn all(&self) -> impl Iterator<Item = &Sender<Arc<Commit>>> {
        self.gateways.iter().chain(self.users.values())
    }

    /// Forgets a channel that nobody listens to.
    fn left(&mut self, user: Option<&UserName>) {
        match user {
            Some(user) => {
                if self.users.get(user).is_some_and(|sender| sender.receiver_count() == 0) {
                    self.users.remove(user);
                }
            }
            None => forget_unheard(&mut self.gateways),
        }
    }
}

/// Forgets a channel that nobody listens to.
fn forget_unheard(sender: &mut Option<Sender<Arc<Commit>>>) {
    if sender.as_ref().is_some_and(|sender| sender.receiver_count() == 0) {
        *sender = None;
    }
}

impl Listening {
    /// The next commit that may concern it.
    ///
    /// # Errors
    /// [`Deaf`].
    pub async fn next(&mut self) -> Result<Arc<Commit>, Deaf> {
        match &mut self.receiver {
            Some(receiver) => receiver.recv().await.map_err(|error| match error {
                broadcast::error::RecvError::Lagged(_) => Deaf::Lagged,
                broadcast::error::RecvError::Closed => Deaf::Closed,
            }),
            None => Err(Deaf::Closed),
        }
    }

    /// The next commit that waits already.
    #[cfg(test)]
    pub(super) fn waiting(&mut self) -> Option<Arc<Commit>> {
        self.receiver.as_mut()?.try_recv().ok()
    }

    /// The last commit of all, when nothing that may concern this listener is waiting for it up to there.
    #[must_use]
    pub fn caught_up(&self) -> Option<u64> {
        let last = self.feed.lock().last;
        self.receiver.as_ref().is_some_and(Receiver::is_empty).then_some(last)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.receiver = None;
        let mut inner = self.feed.lock();
        let Some((server, user)) = &self.at else { return forget_unheard(&mut inner.admins) };
        let Some(listeners) = inner.servers.get_mut(server) else { return };
        listeners.left(user.as_ref());
        if listeners.gateways.is_none() && listeners.users.is_empty() {
            inner.servers.remove(server);
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}

/// Events that are kept for those who come back: a few megabytes.
const KEPT_EVENTS: usize = 65_536;
/// Commits that a listener may leave unread before it must look among those kept.
const BACKLOG: usize = 16;

#[cfg(test)]
mod tests {
    use sidekey_protocol::ids::{InvitationId, SessionId, Timestamp};

    use super::*;
    use crate::store::view::Happened;

    fn event(user: Option<&str>) -> Event {
        Event {
            seq: 0,
            at: Timestamp(1),
            server: Some("mail".parse().unwrap()),
            user: user.map(|user| user.parse().unwrap()),
            pairing: None,
            what: Happened::Opened {
                session: SessionId::from_bytes([1; 16]),
                generation: 0,
                not_after: Timestamp(2),
            },
        }
    }

    fn listen(feed: &Arc<Feed>, user: Option<&str>, after: Option<u64>) -> Begun {
        let role = if user.is_some() { Role::Client } else { Role::Server };
        let user = user.map(|user| user.parse().unwrap());
        feed.listen(Some((role, &"mail".parse().unwrap(), user.as_ref())), after)
    }

    fn waiting(begun: &mut Begun) -> usize {
        begun.listening.receiver.as_ref().unwrap().len()
    }

    #[tokio::test]
    async fn of_five_thousand_listeners_those_are_woken_whom_it_concerns() {
        let feed = Arc::new(Feed::after(0));
        let mut users: Vec<_> = (0..5000).map(|n| listen(&feed, Some(&format!("user{n}")), None)).collect();
        let mut gateway = listen(&feed, None, None);
        let started = std::time::Instant::now();
        for seq in 1..=10 {
            feed.publish(seq, vec![event(Some("user7")), event(Some("user7"))]);
        }
        assert!(started.elapsed().as_millis() < 100, "{:?}", started.elapsed());
        let woken: Vec<_> = (0..5000).filter(|n| waiting(&mut users[*n]) > 0).collect();
        assert_eq!((woken, waiting(&mut users[7]), waiting(&mut gateway)), (vec![7], 10, 10));
        feed.publish(11, vec![event(None)]);
        assert!(users.iter_mut().all(|user| waiting(user) > 0));
        drop((users, gateway));
        assert!(feed.lock().servers.is_empty(), "nothing is left of those who went");
    }

    #[tokio::test]
    async fn an_administrator_is_woken_by_what_people_look_at_and_not_by_sessions() {
        let feed = Arc::new(Feed::after(0));
        let mut admin = feed.listen(None, None);
        feed.publish(1, vec![event(Some("ann"))]);
        let invitation = InvitationId::from_bytes([2; 16]);
        let what = Happened::Spent { invitation, role: Role::Client };
        feed.publish(2, vec![Event { what, ..event(Some("ann")) }]);
        assert_eq!((waiting(&mut admin), admin.listening.next().await.unwrap().seq), (1, 2));
        drop(admin);
        assert!(feed.lock().admins.is_none(), "nothing is left of those who went");
    }

    #[test]
    fn whoever_comes_back_finds_what_it_missed_or_that_it_is_not_known() {
        let feed = Arc::new(Feed::after(5));
        feed.publish(6, vec![event(Some("ann"))]);
        feed.publish(7, Vec::new());
        feed.publish(8, vec![event(Some("ann"))]);
        let missed = |after| {
            let missed = listen(&feed, Some("ann"), Some(after)).missed;
            missed.map(|missed| missed.iter().map(|commit| commit.seq).collect::<Vec<_>>())
        };
        assert_eq!(missed(5), Some(vec![6, 8]));
        assert_eq!(missed(6), Some(vec![8]));
        assert_eq!(missed(8), Some(vec![]));
        assert_eq!(missed(4), None, "before this service began to keep");
        assert_eq!(missed(9), None, "of another history");
        assert_eq!(listen(&feed, Some("ann"), None).last, 8);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let feed = Arc::new(Feed::after(0));
        let half = KEPT_EVENTS / 2;
        for seq in 1..=3 {
            feed.publish(seq, (0..half).map(|_| event(Some("ann"))).collect());
        }
        assert_eq!(feed.lock().events, KEPT_EVENTS);
        assert!(listen(&feed, None, Some(0)).missed.is_none());
        assert_eq!(listen(&feed, None, Some(1)).missed.unwrap().len(), 2);
        feed.publish(4, (0..=KEPT_EVENTS).map(|_| event(Some("ann"))).collect());
        let inner = feed.lock();
        assert_eq!((inner.events, inner.floor), (0, 4), "longer than what is kept");
    }

    #[test]
    fn whoever_leaves_leaves_the_others_listening() {
        let feed = Arc::new(Feed::after(0));
        let (mut gateway, user) = (listen(&feed, None, None), listen(&feed, Some("ann"), None));
        drop(user);
        feed.publish(1, vec![event(Some("ann"))]);
        assert_eq!(waiting(&mut gateway), 1);
        let mut user = listen(&feed, Some("ann"), None);
        drop(gateway);
        feed.publish(2, vec![event(Some("ann"))]);
        assert_eq!(waiting(&mut user), 1);
    }

    #[tokio::test]
    async fn a_listener_has_caught_up_when_nothing_waits_for_it() {
        let feed = Arc::new(Feed::after(3));
        let mut listening = listen(&feed, Some("ann"), None).listening;
        assert_eq!(listening.caught_up(), Some(3));
        feed.publish(4, vec![event(Some("ann"))]);
        assert_eq!(listening.caught_up(), None);
        listening.next().await.unwrap();
        feed.publish(5, vec![event(Some("bob"))]);
        assert_eq!(listening.caught_up(), Some(5), "what is another's is nothing to wait for");
        assert_eq!(format!("{listening:?}"), "Listening");
    }

    #[tokio::test]
    async fn a_listener_that_is_too_slow_is_told() {
        let feed = Arc::new(Feed::after(0));
        let mut begun = listen(&feed, Some("ann"), None);
        for seq in 1..=BACKLOG as u64 + 1 {
            feed.publish(seq, vec![event(Some("ann"))]);
        }
        assert_eq!(begun.listening.caught_up(), None);
        assert_eq!(begun.listening.next().await, Err(Deaf::Lagged));
        let again = listen(&feed, Some("ann"), Some(begun.last));
        assert_eq!(again.missed.unwrap().len(), BACKLOG + 1);
    }
}
