//! Devices as an administrator sees them, and invitations to pair one.

use serde_json::json;
use sidekey_client::admin::{
    self, InvitationFilter, InvitationState, Pairing, PairingFilter, SessionFilter, SessionState, Standing,
};
use sidekey_protocol::ids::{PartyId, Role};

use crate::approve::waits;
use crate::exit::Stop;
use crate::output::{List, Report, count, shell, word};
use crate::remote::Admin;
use crate::time::rfc3339;

pub(super) async fn pairings(wanted: &PairingFilter, admin: &Admin) -> Result<Report, Stop> {
    let found = admin.run(async |service| service.pairings(wanted).await).await?;
    let report =
        Report::new(count(found.len(), "device"), json!({ "items": found })).list(pairing_rows(&found));
    let waits = found.iter().find(|pairing| pairing.state == Standing::Confirmed);
    if let Some(waits) = waits {
        let approve = format!("sidekey client approve {}", waits.pairing);
        return Ok(report.next(format!("{approve}, with the digits that its user reads to you")));
    }
    Ok(match found.iter().find(|pairing| pairing.state == Standing::Active) {
        None => report.next("sidekey client invite USER --server NAME"),
        Some(active) => {
            report.next(format!("sidekey client revoke {} --reason TEXT, if it is lost", active.pairing))
        }
    })
}

pub(super) async fn show(pairing: PartyId, admin: &Admin) -> Result<Report, Stop> {
    let open =
        SessionFilter { pairing: Some(pairing), state: Some(SessionState::Open), ..SessionFilter::default() };
    let work = async |service: &admin::Admin| {
        Ok((service.pairing(pairing).await?, service.sessions(&open).await?.len()))
    };
    let (found, sessions) = admin.run(work).await?;
    let mut json = serde_json::to_value(&found).expect("a pairing is representable as JSON");
    json["sessions"] = json!(sessions);
    let (what, next) = match (found.role, found.state) {
        (Role::Client, Standing::Confirmed) => {
            let next =
                format!("sidekey client approve {pairing}, with the digits that its user reads to you");
            ("device", next)
        }
        (Role::Client, Standing::Active) => {
            ("device", format!("sidekey client revoke {pairing} --reason TEXT, if it is lost"))
        }
        (Role::Client, _) => ("device", "sidekey client list --state active".to_owned()),
        (Role::Server, _) => {
            ("mail server's pairing", format!("sidekey server show {}", shell(found.server.as_str())))
        }
    };
    let mut facts = pairing_facts(&found);
    facts.push(("open sessions", sessions.to_string()));
    Ok(Report::new(format!("A {what}:"), json).facts(facts).next(next))
}

pub(super) async fn invitations(wanted: &InvitationFilter, admin: &Admin) -> Result<Report, Stop> {
    let found = admin.run(async |service| service.invitations(wanted).await).await?;
    let mut list = List::new(&["invitation", "user", "server", "state", "tries left", "expires"]);
    for invitation in &found {
        list.row(&[
            invitation.invitation.to_string(),
            invitation.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            invitation.server.to_string(),
            word(invitation.state),
            invitation.attempts.to_string(),
            rfc3339(invitation.expires),
        ]);
    }
    let report = Report::new(count(found.len(), "invitation"), json!({ "items": found })).list(list);
    Ok(match found.iter().find(|invitation| invitation.state == InvitationState::Spent) {
        Some(spent) => report.next(format!(
            "sidekey client reissue {}: five wrong codes were tried, perhaps by somebody else",
            spent.invitation
        )),
        None => report,
    })
}

/// A pairing, name by name.
pub(crate) fn pairing_facts(pairing: &Pairing) -> Vec<(&'static str, String)> {
    let mut facts = vec![("pairing", pairing.pairing.to_string())];
    facts.extend(pairing.user.iter().map(|user| ("user", user.to_string())));
    facts.extend([
        ("server", pairing.server.to_string()),
        ("label", pairing.label.to_string()),
        ("state", word(pairing.state)),
        ("created", rfc3339(pairing.created)),
        ("last seen", pairing.last_seen.map_or_else(|| "never".to_owned(), rfc3339)),
    ]);
    if !pairing.addresses.is_empty() {
        let reached = pairing.addresses.iter().map(|known| format!("{} at {}", known.carrier, known.to));
        facts.push(("reached by", reached.collect::<Vec<_>>().join(", ")));
    }
    facts.extend(pairing.waiting.as_ref().map(|waiting| ("waits for", waits(waiting))));
    if let Some(refused) = &pairing.refused {
        facts.push(("refused", rfc3339(refused.at)));
        facts.extend(refused.reason.as_ref().map(|reason| ("reason", reason.to_string())));
    }
    if let Some(revoked) = &pairing.revoked {
        facts.extend([("revoked", rfc3339(revoked.at)), ("reason", revoked.reason.to_string())]);
    }
    facts
}

/// Pairings as a table.
pub(crate) fn pairing_rows(pairings: &[Pairing]) -> List {
    let mut list = List::new(&["pairing", "user", "server", "label", "state", "created", "last seen"]);
    for pairing in pairings {
        list.row(&[
            pairing.pairing.to_string(),
            pairing.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            pairing.server.to_string(),
            pairing.label.to_string(),
            pairing
                .revoked
                .as_ref()
                .map_or_else(|| word(pairing.state), |revoked| format!("revoked: {}", revoked.reason)),
            rfc3339(pairing.created),
            pairing.last_seen.map(rfc3339).unwrap_or_default(),
        ]);
    }
    list
}
