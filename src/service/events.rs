//! `GET /v1/events`: what a party must know at once, as Server-Sent Events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Message, Sse};
use futures_util::stream::{self, Stream};
use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::revocation::{SealedHead, Target, wire};
use sidekey_protocol::session::Cause;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::http::auth::Caller;
use crate::http::extract::LastEventId;
use crate::http::problem::{Code, Problem};
use crate::store::{self, Begun, Commit, Deaf, EndReason, Event, Happened, Listening, Party, Place, Store};

/// Between signs that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// `GET /v1/events`: the caller's own events, from now on or since the last that it heard. Ends when the caller is
/// revoked and when the service stops.
pub(crate) async fn events(
    State(app): State<App>,
    caller: Caller,
    LastEventId(after): LastEventId,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let seat = app.listeners.clone().try_acquire_owned().map_err(|_| Code::Overloaded)?;
    caller.epoch()?;
    // A text that is no sequence number of ours is of another history.
    let begun = app.store.listen(caller.party.place(), after.map(|id| id.parse().unwrap_or(u64::MAX)));
    // From here on nothing is missed; what was revoked before is found now.
    let party = app.store.party(caller.party.id).ok_or(Code::NotFound)?;
    party.still_live().map_err(store::Error::from)?;
    let listener = Listener::new(begun, party, app, seat);
    Ok(Sse::new(stream::unfold(listener, Listener::next)))
}

/// One party's stream.
struct Listener {
    listening: Listening,
    /// The last commit of which it has heard all.
    heard: u64,
    /// The last head that it was told.
    head: SealedHead,
    /// What goes out next.
    ready: VecDeque<Message>,
    beat: Interval,
    party: Arc<Party>,
    store: Arc<Store>,
    stopping: CancellationToken,
    over: bool,
    _seat: OwnedSemaphorePermit,
}

impl Listener {
    fn new(begun: Begun, party: Arc<Party>, app: App, seat: OwnedSemaphorePermit) -> Self {
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let Begun { listening, last, missed } = begun;
        let mut listener = Self {
            listening,
            heard: last,
            head: app.store.head(),
            ready: VecDeque::new(),
            beat,
            party,
            store: app.store.clone(),
            stopping: app.stopping.clone(),
            over: false,
            _seat: seat,
        };
        listener.catch_up(missed, last);
        listener
    }

    /// The stream's next message.
    async fn next(mut self) -> Option<(Result<Message, Infallible>, Self)> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some((Ok(message), self));
            }
            if self.over {
                return None;
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => {
                    let heard = self.listening.caught_up().unwrap_or(self.heard);
                    self.tell(&wire::Event::Stopping(wire::Stopping {}), Some(heard));
                    self.over = true;
                }
                heard = self.listening.next() => match heard {
                    Ok(commit) => self.hear(&commit),
                    Err(Deaf::Lagged) => self.begin_again(),
                    Err(Deaf::Closed) => return None,
                },
                _ = self.beat.tick() => self.beat(),
            }
        }
    }

    /// What was missed; or that nobody knows.
    fn catch_up(&mut self, missed: Option<Vec<Arc<Commit>>>, last: u64) {
        match missed {
            Some(missed) => missed.iter().for_each(|commit| self.hear(commit)),
            None => self.tell(&wire::Event::Reset(wire::Reset {}), Some(last)),
        }
        self.heard = self.heard.max(last);
    }

    /// It was too slow for what it was to hear: what is kept goes on where it has stopped.
    fn begin_again(&mut self) {
        let Begun { listening, last, missed } = self.store.listen(self.party.place(), Some(self.heard));
        self.listening = listening;
        self.catch_up(missed, last);
    }

    /// Tells what concerns it of a commit. Its last event alone carries the id: whoever loses the connection in between
    /// hears all of it again.
    fn hear(&mut self, commit: &Commit) {
        self.tell_head();
        let (id, place) = (self.party.id, self.party.place());
        let mut own: Vec<_> = commit.events.iter().filter(|event| concerns(id, place, event)).collect();
        let struck = own.iter().position(|event| strikes(id, place, event));
        // What else came of its own revocation is no longer its affair.
        own.truncate(struck.map_or(own.len(), |last| last + 1));
        let told: Vec<_> = own.into_iter().filter_map(|event| told(event, place, &self.store)).collect();
        for (n, event) in told.iter().enumerate() {
            self.tell(event, (n + 1 == told.len()).then_some(commit.seq));
        }
        self.heard = commit.seq;
        self.over = struck.is_some() || self.is_over();
    }

    /// A sign of life, and how far this stream has heard, so that whoever comes back has missed little.
    fn beat(&mut self) {
        self.heard = self.listening.caught_up().unwrap_or(self.heard);
        self.tell_head();
        self.ready.push_back(Message::default().comment("").id(self.heard.to_string()));
        self.over = self.is_over();
    }

    /// The head of all revocations, once it has moved.
    fn tell_head(&mut self) {
        let head = self.store.head();
        if std::mem::replace(&mut self.head, head) != head {
            self.tell(&wire::Event::Head(wire::HeadMoved { head }), None);
        }
    }

    /// Revoked, or over in another way, by something that is not told to it.
    fn is_over(&self) -> bool {
        self.store.is_rolled_back() || self.store.party(self.party.id).is_none_or(|party| !party.is_live())
    }

    fn tell(&mut self, event: &wire::Event, id: Option<u64>) {
        let message = Message::default().event(event.name()).data(event.data());
        self.ready.push_back(match id {
            Some(id) => message.id(id.to_string()),
            None => message,
        });
    }
}

/// Whether `event` is told to a party: a server hears of its own users, a client of itself, an administrator of all but
/// sessions.
fn concerns(id: PartyId, place: Place<'_>, event: &Event) -> bool {
    let Some((role, server, user)) = place else { return event.what.is_for_administrators() };
    if matches!(event.what, Happened::Forgotten | Happened::Keys { .. } | Happened::Policy)
        && event.server.is_none()
    {
        return true;
    }
    if event.server.as_ref() != Some(server) {
        return false;
    }
    if event.what == Happened::Policy && event.user.is_none() {
        return true;
    }
    match role {
        Role::Server => true,
        Role::Client => {
            let own_pairing = event.pairing.is_none_or(|pairing| pairing == id);
            let own_user = event.user.is_some() && event.user.as_ref() == user;
            (own_pairing && own_user) || strikes(id, place, event)
        }
    }
}

/// Whether `event` revokes a pairing itself.
fn strikes(id: PartyId, place: Place<'_>, event: &Event) -> bool {
    let (Some((_, server, user)), Happened::Revoked { target, .. }) = (place, &event.what) else {
        return false;
    };
    match target {
        Target::Pairing { pairing } => *pairing == id,
        Target::Server { server: struck } => struck == server,
        Target::User { server: struck, user: whose } => struck == server && Some(whose) == user,
        Target::Credential { .. } | Target::Invitation { .. } | Target::Session { .. } => false,
    }
}

/// A client is told of its own user, a server of the user or of all that it has.
fn policy(event: &Event, place: Place<'_>, store: &Store) -> Option<wire::Event> {
    let (_, server, user) = place?;
    let (server, user) = (server.clone(), user.or(event.user.as_ref()).cloned());
    let version = store.policy_version(&server, user.as_ref());
    Some(wire::Event::Policy(wire::PolicyChanged { server, user, version, at: event.at }))
}

/// As it stands on the wire. `None` for a session without server or user, which there is not.
fn told(event: &Event, place: Place<'_>, store: &Store) -> Option<wire::Event> {
    let at = event.at;
    Some(match event.what.clone() {
        Happened::Opened { session, generation, not_after } => {
            let (server, user) = (event.server.clone()?, event.user.clone()?);
            wire::Event::Opened(wire::Opened { session, server, user, generation, not_after, at })
        }
        Happened::Rotated { session, generation, cause } => {
            wire::Event::Rotated(wire::Rotated { session, generation, reason: cause, at })
        }
        Happened::Ended { session, reason } => {
            let reason = match reason {
                EndReason::Asked => Cause::Asked,
                EndReason::Revocation => Cause::Revocation,
                EndReason::Policy => Cause::Policy,
            };
            wire::Event::Ended(wire::Ended { session, reason, at })
        }
        Happened::Revoked { target, reason } => wire::Event::Revoked(wire::Revoked { target, reason, at }),
        Happened::Forgotten => wire::Event::Reset(wire::Reset {}),
        Happened::Keys { number } => wire::Event::Keys(wire::KeysChanged { number, at }),
        Happened::Paired { pairing, role, label, state } => {
            let (server, user, label) = (event.server.clone()?, event.user.clone(), label.parse().ok()?);
            wire::Event::Paired(wire::Paired { pairing, role, server, user, label, state, at })
        }
        Happened::Approved { pairing, by } => wire::Event::Approved(wire::Approved { pairing, by, at }),
        Happened::Declined { pairing, by, reason } => {
            wire::Event::Refused(wire::Refused { pairing, by, reason, at })
        }
        Happened::Spent { invitation, role } => {
            let (server, user) = (event.server.clone()?, event.user.clone());
            wire::Event::Spent(wire::Spent { invitation, role, server, user, at })
        }
        // Told to each party in its own words.
        Happened::Policy => policy(event, place, store)?,
    })
}

#[cfg(test)]
mod tests {
    use sidekey_protocol::ids::{ServerName, SessionId, Timestamp, UserName};

    use super::*;

    const ANN: PartyId = PartyId::from_bytes([1; 16]);
    const OTHER: PartyId = PartyId::from_bytes([2; 16]);

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn event(server: &str, user: Option<&str>, pairing: Option<PartyId>) -> Event {
        let what = Happened::Ended { session: SessionId::from_bytes([0; 16]), reason: EndReason::Asked };
        let (server, user) = (Some(name::<ServerName>(server)), user.map(name::<UserName>));
        Event { seq: 1, at: Timestamp(1), server, user, pairing, what }
    }

    fn revoked(target: Target, event: Event) -> Event {
        Event { what: Happened::Revoked { target, reason: name("lost") }, ..event }
    }

    const CLIENT: Whose<'_> = Whose { role: Role::Client, server: "mail", user: Some("ann") };
    const SERVER: Whose<'_> = Whose { role: Role::Server, server: "mail", user: None };

    fn hears(place: Whose<'_>, event: &Event) -> bool {
        let (server, user) = (name::<ServerName>(place.server), place.user.map(name::<UserName>));
        concerns(ANN, Some((place.role, &server, user.as_ref())), event)
    }

    #[derive(Clone, Copy)]
    struct Whose<'a> {
        role: Role,
        server: &'a str,
        user: Option<&'a str>,
    }

    #[test]
    fn a_server_hears_of_its_own_users() {
        assert!(hears(SERVER, &event("mail", Some("ann"), None)));
        assert!(hears(SERVER, &event("mail", Some("ann"), Some(OTHER))));
        assert!(!hears(SERVER, &event("other", Some("ann"), None)));
        assert!(!hears(SERVER, &Event { server: None, ..event("mail", None, None) }));
    }

    #[test]
    fn a_client_hears_of_itself() {
        assert!(hears(CLIENT, &event("mail", Some("ann"), None)));
        assert!(hears(CLIENT, &event("mail", Some("ann"), Some(ANN))));
        assert!(!hears(CLIENT, &event("mail", Some("ann"), Some(OTHER))));
        assert!(!hears(CLIENT, &event("mail", Some("bob"), None)));
        assert!(!hears(CLIENT, &event("other", Some("ann"), None)));
        assert!(!hears(CLIENT, &event("mail", None, None)));
    }

    #[test]
    fn a_change_of_policy_is_told_to_whom_it_concerns() {
        let changed = |server: Option<&str>, user: Option<&str>| {
            let server = server.map(name::<ServerName>);
            Event { server, what: Happened::Policy, ..event("mail", user, None) }
        };
        for (event, client, server) in [
            (changed(None, None), true, true),
            (changed(Some("mail"), None), true, true),
            (changed(Some("mail"), Some("ann")), true, true),
            (changed(Some("mail"), Some("bob")), false, true),
            (changed(Some("other"), None), false, false),
        ] {
            assert_eq!((hears(CLIENT, &event), hears(SERVER, &event)), (client, server), "{event:?}");
        }
    }

    #[test]
    fn everybody_hears_that_another_key_signs() {
        let what = Happened::Keys { number: 1 };
        let rotated = Event { server: None, what, ..event("mail", None, None) };
        assert!(hears(CLIENT, &rotated) && hears(SERVER, &rotated));
    }

    #[test]
    fn a_client_hears_of_its_server_s_end() {
        let end = revoked(Target::Server { server: name("mail") }, event("mail", None, None));
        assert!(hears(CLIENT, &end));
        let end = revoked(Target::Server { server: name("other") }, event("other", None, None));
        assert!(!hears(CLIENT, &end));
    }
}
