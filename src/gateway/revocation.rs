//! What the key service tells while it happens: whoever lost what let him in is sent away.

use std::sync::Arc;
use std::time::Duration;

use sidekey_client::{Error, Notice};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::session::Cause;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::guests::Guest;
use crate::untrusted::Desk;

/// Follows the key service's events for as long as there is a pairing.
pub(crate) async fn follow(desk: Arc<Desk>) {
    let mut watch = desk.server.watch();
    let mut checking = None;
    while let Some(notice) = watch.next().await {
        match notice {
            Ok(Notice::Event(event)) => heard(&desk, &event).await,
            // Whatever happened meanwhile: of those who are in it is asked again.
            Ok(Notice::Gap) => {
                desk.credentials.forget(|_| true);
                let check = tokio::spawn(check(Arc::clone(&desk)));
                // The one before, if there is one, knows less.
                drop(checking.replace(AbortOnDropHandle::new(check)));
            }
            Err(error) => return over(&desk, &error),
        }
    }
}

/// Asks again of all who are in, and for the newest keys.
async fn check(desk: Arc<Desk>) {
    desk.keyring.refresh(|_, _| true).await;
    for guest in desk.guests.by_credential() {
        loop {
            match desk.credentials.verify(&guest.user, &guest.secret).await {
                Ok(Some(_)) => break,
                Err(Error::Retry { after, .. }) => sleep(after.max(AGAIN)).await,
                Ok(None) | Err(_) => {
                    cut(&desk, "credential", |other| other.credential == guest.credential);
                    break;
                }
            }
        }
    }
}

/// Our own pairing is over: nobody comes in any more.
fn over(desk: &Desk, error: &Error) {
    tracing::error!(%error, "the gateway's pairing is over: pair it again, and start it again");
    desk.credentials.forget(|_| true);
    desk.keyring.drop_keys(|_, _| true);
    cut(desk, "gateway", |_| true);
    desk.closed.cancel();
}

async fn heard(desk: &Desk, event: &Event) {
    match event {
        Event::Revoked(revoked) => revoked_target(desk, &revoked.target),
        Event::Ended(ended) => {
            desk.keyring.drop_keys(|_, session| session == ended.session);
            cut(desk, "session", |guest| guest.has(ended.session));
        }
        // One of the user's devices was revoked, and his connections may be that device's.
        Event::Rotated(rotated) if rotated.reason == Cause::Revocation => {
            cut(desk, "pairing", |guest| guest.has(rotated.session));
            desk.keyring.refresh(|_, session| session == Some(rotated.session)).await;
        }
        Event::Rotated(rotated) => desk.keyring.refresh(|_, session| session == Some(rotated.session)).await,
        Event::Policy(changed) => {
            let concerns = |user: &_| changed.user.as_ref().is_none_or(|one| one == user);
            desk.keyring.refresh(|user, _| concerns(user)).await;
        }
        _ => {}
    }
}

fn revoked_target(desk: &Desk, target: &Target) {
    match target {
        Target::Credential { credential } => {
            desk.credentials.forget(|said| said.credential == *credential);
            cut(desk, "credential", |guest| guest.credential == *credential);
        }
        Target::Session { session } => {
            desk.keyring.drop_keys(|_, one| one == *session);
            cut(desk, "session", |guest| guest.has(*session));
        }
        Target::User { user, .. } => {
            desk.credentials.forget(|said| said.user == *user);
            desk.keyring.drop_keys(|one, _| one == user);
            cut(desk, "user", |guest| guest.user == *user);
        }
        Target::Server { .. } => {
            desk.credentials.forget(|_| true);
            desk.keyring.drop_keys(|_, _| true);
            cut(desk, "server", |_| true);
        }
        // Ours ends the events; another's is told by the rotation of what it had.
        Target::Pairing { .. } | Target::Invitation { .. } => {}
    }
}

fn cut(desk: &Desk, revoked: &'static str, whom: impl Fn(&Guest) -> bool) {
    let connections = desk.guests.cut(whom);
    desk.metrics.cut(revoked, connections);
    if connections > 0 {
        tracing::info!(revoked, connections, "cut");
    }
}

/// Before somebody is asked about again whom the service could not be asked about.
const AGAIN: Duration = Duration::from_secs(1);
