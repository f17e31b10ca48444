//! Sessions as a list, page by page, in an order that holds for as long as they live.

use sidekey_protocol::ids::{PartyId, ServerName, Timestamp, UserName};

use super::state::State;
use super::state::sessions::{NONE, Slot};
use super::view::{Page, Paged, Session};
use super::{Store, page};

/// Which sessions are wanted: all that are unset are wanted.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// At this server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// Whose key this pairing may fetch while it is live.
    pub pairing: Option<PartyId>,
    /// Whether they give keys.
    pub open: Option<bool>,
    /// Opened later than this.
    pub created_after: Option<Timestamp>,
}

impl Store {
    /// The sessions that are wanted. One that lives from the first page to the last is on exactly one of them.
    #[must_use]
    pub fn sessions(&self, wanted: Page, filter: &SessionFilter) -> Paged<Session> {
        let now = self.now();
        let state = self.shared.read();
        let Some(Scope { users, audience }) = Scope::of(&state, filter) else {
            return Paged { items: Vec::new(), next: None };
        };
        let fits = |slot: &Slot| {
            audience.is_none_or(|device| state.is_for(slot, device))
                && filter.open.is_none_or(|open| open == slot.is_open(now))
                && filter.created_after.is_none_or(|after| slot.not_before > after)
        };
        let first = u32::try_from(wanted.after).unwrap_or(NONE);
        // A place is a handle and one, since places begin at 1.
        let seen = |(handle, slot): (u32, &Slot)| (u64::from(handle) + 1, state.view_session(slot, now));
        match users {
            None => page(state.sessions.beginning_at(first).filter(|(_, slot)| fits(slot)).map(seen), wanted),
            Some(users) => {
                let of = |user: u32| state.sessions.list(state.users[user as usize].sessions);
                let mut handles: Vec<u32> = users.into_iter().flat_map(of).collect();
                handles.sort_unstable();
                let slots =
                    handles.into_iter().filter_map(|handle| Some((handle, state.sessions.get(handle)?)));
                page(slots.filter(|(_, slot)| fits(slot)).map(seen), wanted)
            }
        }
    }
}

/// Among which sessions to look: an index may know.
struct Scope {
    /// Of these users; of everybody when it is absent.
    users: Option<Vec<u32>>,
    /// For all of a user's pairings, or for this one.
    audience: Option<u32>,
}

impl Scope {
    /// `None` when nothing can fit.
    fn of(state: &State, filter: &SessionFilter) -> Option<Self> {
        let (mut server, mut user, mut audience) = (filter.server.as_ref(), filter.user.as_ref(), None);
        if let Some(pairing) = filter.pairing {
            let (handle, found) = state.party(pairing)?;
            let (_, at, of) = found.party.place()?;
            let elsewhere = server.is_some_and(|server| server != at);
            if elsewhere || user.is_some_and(|user| of.is_some_and(|of| of != user)) {
                return None;
            }
            server = Some(at);
            if of.is_some() {
                (user, audience) = (of, Some(handle));
            }
        }
        let users = match (server, user) {
            (None, None) => None,
            (Some(server), Some(user)) => Some(vec![state.user(server, user)?.0]),
            (Some(server), None) => Some(state.server(server)?.1.users.clone()),
            (None, Some(user)) => {
                let named = (0..).zip(&state.users).filter(|(_, state)| state.name == *user);
                Some(named.map(|(handle, _)| handle).collect())
            }
        };
        Some(Self { users, audience })
    }
}
