//! What becomes of a device that is revoked, and of the others.

use std::time::Duration;

use sidekey_client::admin::PairingFilter;
use sidekey_client::{Error, Notice, Watch};
use sidekey_protocol::revocation::Target;
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout};

use super::{Keys, Path, holder, on_the_wire};
use crate::demo::attacks::{MAILBOX, Victims};
use crate::demo::evidence::{Heard, Revoke, Who};
use crate::demo::lie::Lie;
use crate::demo::path::Request;
use crate::demo::probe;
use crate::demo::world::{Parties, Service, Trouble, server};

impl Path {
    /// The administrator revokes `target`; what becomes of the phone, and of the others.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn revoke(
        &self,
        service: &Service,
        parties: &Parties,
        keys: &Keys,
        target: &Target,
    ) -> Result<Revoke, Trouble> {
        let session = keys.server.session();
        let mut seen = Revoke { reason: REASON.into(), session: session.to_string(), ..Revoke::default() };
        let watches = watches(parties).await?;
        let sent = Instant::now();
        service.admin.revoke(target, &REASON.parse().expect("a short reason")).await?;

        let path = format!("/v1/sessions/{session}/key");
        let token = parties.phone_token()?;
        seen.status = block_in_place(|| probe::get(&service.url, &service.ca, &path, Some(&token)))?.status;
        seen.told = match parties.phone.session_key_of(session, keys.phone.generation() + 1).await {
            Err(Error::Revoked { reason, .. }) => reason,
            Err(other) => other.to_string(),
            Ok(key) => format!("{key:?}"),
        };
        let listed = service
            .admin
            .pairings(&PairingFilter { server: Some(server()), ..PairingFilter::default() })
            .await?;
        let phone = listed.iter().find(|listing| listing.pairing == parties.phone.pairing());
        seen.state = phone.map(|phone| on_the_wire(&phone.state)).unwrap_or_default();
        seen.heard = heard(watches, sent).await;

        let server = parties.server.session_key(session).await?;
        let laptop = parties.laptop.session_key(session).await?;
        seen.holders = vec![holder(Who::Server, &server), holder(Who::Laptop, &laptop)];
        self.mail.seal_with(&parties.server, &server);
        let request = Request::whole(MAILBOX, Victims::among(self.letters).one);
        seen.letter = Some(self.pass(&request, Some((&parties.laptop, &*laptop)), Lie::None)?);
        let phone = Some((&parties.phone, &*keys.phone));
        seen.phone = self.pass(&request, phone, Lie::None)?.refused;
        let forced = Lie::Flip { octet: GENERATION_AT, mask: 1 };
        seen.forced = self.pass(&request, phone, forced)?.refused;
        Ok(seen)
    }
}

/// Everybody listens, and hears that the stream has begun.
async fn watches(parties: &Parties) -> Result<Vec<(Who, Watch)>, Trouble> {
    let mut watches = vec![
        (Who::Server, parties.server.watch()),
        (Who::Laptop, parties.laptop.watch()),
        (Who::Phone, parties.phone.watch()),
    ];
    for (_, watch) in &mut watches {
        timeout(EVENT_WAIT, watch.next())
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?;
    }
    Ok(watches)
}

/// What everybody hears, until each has heard how it goes on.
async fn heard(watches: Vec<(Who, Watch)>, sent: Instant) -> Vec<Heard> {
    let mut heard = Vec::new();
    for (who, mut watch) in watches {
        let last = if who == Who::Phone { "revoked" } else { "rotated" };
        while let Ok(Some(notice)) = timeout(EVENT_WAIT, watch.next()).await {
            let event = match notice {
                Ok(Notice::Event(event)) => event.name(),
                Ok(Notice::Gap) => continue,
                Err(Error::Revoked { .. }) => "revoked",
                Err(_) => break,
            };
            heard.push(Heard { who, event: event.into(), after_ms: sent.elapsed().as_millis() as u64 });
            if event == last {
                break;
            }
        }
    }
    heard
}

const EVENT_WAIT: Duration = Duration::from_secs(3);
/// What the administrator writes.
const REASON: &str = "phone lost on the train";
/// Where a frame's generation has its lowest bit.
const GENERATION_AT: usize = 25;
