//! ArcSight's Common Event Format, version 0: one line for each entry.
//!
//! ```text
//!   CEF:0|Sidekey|sidekey|version|action|title|severity|key=value key=value
//! ```
//! In the head `\` and `|` are escaped, in values `\`, `=` and ends of lines; nothing else is.

use sidekey_protocol::audit::{Action, Entry};

use crate::output::hex;

/// An entry as one line, without its end.
pub(super) fn line(entry: &Entry) -> String {
    let action = entry.action;
    let head = ["Sidekey", "sidekey", env!("CARGO_PKG_VERSION"), action.as_str(), action.title()];
    let mut line = "CEF:0".to_owned();
    for part in head {
        line.push('|');
        line.push_str(&in_head(part));
    }
    line.push_str(&format!("|{}|", severity(action)));
    let pairs: Vec<String> =
        extension(entry).into_iter().map(|(key, value)| format!("{key}={}", in_value(&value))).collect();
    line + &pairs.join(" ")
}

/// The keys that CEF's dictionary has for it; what it has none for goes into its numbered strings.
fn extension(entry: &Entry) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("rt", (u64::from(entry.at.0) * 1000).to_string()),
        ("externalId", format!("{}.{}", entry.seq, entry.item)),
    ];
    let optional = [
        ("suid", entry.by.map(|id| id.to_string())),
        ("dhost", entry.server.as_ref().map(ToString::to_string)),
        ("duser", entry.user.as_ref().map(ToString::to_string)),
        ("app", entry.carrier.as_ref().map(ToString::to_string)),
        ("reason", entry.reason.as_ref().map(ToString::to_string)),
        ("cnt", entry.count.map(|count| count.to_string())),
        ("end", entry.not_after.map(|at| (u64::from(at.0) * 1000).to_string())),
    ];
    pairs.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?))));
    let named = [
        ("cs1", "cs1Label", "pairing", entry.pairing.map(|id| id.to_string())),
        ("cs2", "cs2Label", "session", entry.session.map(|id| id.to_string())),
        // No entry is about both.
        ("cs3", "cs3Label", "invitation", entry.invitation.map(|id| id.to_string())),
        ("cs3", "cs3Label", "credential", entry.credential.map(|id| id.to_string())),
        ("cs4", "cs4Label", "label", entry.label.clone().or_else(|| entry.kid.clone())),
        ("cs5", "cs5Label", "suite", entry.suite.map(|suite| suite.name().to_owned())),
        ("cs6", "cs6Label", "hash", entry.hash.map(|hash| hex(&hash.0))),
        ("cn1", "cn1Label", "epoch", entry.epoch.map(|epoch| epoch.to_string())),
        ("cn2", "cn2Label", "delivery", entry.delivery.map(|delivery| delivery.to_string())),
        ("cn3", "cn3Label", "first", entry.first.map(|first| first.to_string())),
    ];
    for (key, label, name, value) in named {
        if let Some(value) = value {
            pairs.extend([(label, name.to_owned()), (key, value)]);
        }
    }
    pairs
}

/// From 0 to 10: what ends things stands out, and what is tried.
const fn severity(action: Action) -> u8 {
    match action {
        Action::RollbackFound => 9,
        Action::AllRevoked | Action::RestoreAccepted | Action::ServerRevoked | Action::UserRevoked => 7,
        Action::CredentialRevoked
        | Action::PairingRevoked
        | Action::SessionRevoked
        | Action::InvitationRevoked => 6,
        Action::CredentialIssued
        | Action::SigningKeyRotated
        | Action::ServiceCreated
        | Action::LogPruned
        | Action::ServerAdded
        | Action::PolicySet
        | Action::PairingApproved
        | Action::PairingConfirmed
        | Action::PairingDigitsMistaken
        | Action::InvitationSpent
        | Action::PairingFinishConflict
        | Action::PairingRefused => 5,
        Action::ClockAccepted
        | Action::InvitationCreated
        | Action::InvitationAttemptSpent
        | Action::PairingLapsed
        | Action::AddressCleared
        | Action::AddressSet
        | Action::RevocationReported => 4,
        Action::DeliveryGivenUp => 3,
        Action::SessionOpened
        | Action::SessionRotated
        | Action::SessionEnded
        | Action::PairingMatched
        | Action::PairingUsed
        | Action::PairingRekeyed
        | Action::PairingEpochUsed
        | Action::DeliveryCancelled
        | Action::DeliveryPutOff
        | Action::DeliveryReported
        | Action::DeliveryRetried
        | Action::DeliverySent
        | Action::DeliveryTried
        | Action::SecretsResealed => 1,
    }
}

fn in_head(text: &str) -> String {
    text.replace('\\', r"\\").replace('|', r"\|").replace(['\n', '\r'], " ")
}

fn in_value(text: &str) -> String {
    text.replace('\\', r"\\").replace('=', r"\=").replace('\n', r"\n").replace('\r', r"\r")
}

#[cfg(test)]
mod tests {
    use sidekey_protocol::encoding::Octets;
    use sidekey_protocol::ids::{PartyId, Timestamp};

    use super::*;

    #[test]
    fn an_entry_is_one_line_of_the_format() {
        let entry = Entry {
            item: 2,
            server: Some("mail.example.org".parse().unwrap()),
            user: Some(r"a=b\c|d".parse().unwrap()),
            pairing: Some(PartyId::from_bytes([0xaa; 16])),
            reason: Some("lost | found = fine".parse().unwrap()),
            hash: Some(Octets([0x0f; 32])),
            ..Entry::new(
                17,
                Timestamp(1_000_000),
                Some(PartyId::from_bytes([0xad; 16])),
                Action::PairingRevoked,
            )
        };
        let head = concat!("CEF:0|Sidekey|sidekey|", env!("CARGO_PKG_VERSION"));
        let expected = [
            head,
            "|pairing_revoked|A pairing was revoked.|6|rt=1000000000 externalId=17.2 ",
            "suid=adadadadadadadadadadadadadadadad dhost=mail.example.org ",
            r"duser=a\=b\\c|d reason=lost | found \= fine ",
            "cs1Label=pairing cs1=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa cs6Label=hash cs6=",
        ];
        assert_eq!(line(&entry), expected.concat() + &"0f".repeat(32));
    }

    #[test]
    fn what_would_break_the_format_is_escaped() {
        assert_eq!(in_head("a|b\\c=d\ne"), r"a\|b\\c=d e");
        assert_eq!(in_value("a|b\\c=d\ne\rf"), r"a|b\\c\=d\ne\rf");
    }
}
