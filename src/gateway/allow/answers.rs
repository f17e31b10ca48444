//! What of a mail server's answers an untrusted connection is shown.

use sidekey_imap::response::{Attribute, Capabilities, Code, Message, Policy, Status, Verdict};

use super::{Profile, Treatment, treatment};

/// The policy of an untrusted connection's responses. Items that are sealed are taken, whether they were asked for or
/// not; CAPABILITY is taken, so that [`advertised`] can stand in its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers;

impl Policy for Answers {
    fn data(&mut self, _: Option<u32>, name: &str) -> Verdict {
        match name {
            "CAPABILITY" => Verdict::Take,
            "ENABLED" | "ESEARCH" | "EXISTS" | "EXPUNGE" | "FLAGS" | "LIST" | "LSUB" | "NAMESPACE"
            | "RECENT" | "SEARCH" | "STATUS" | "VANISHED" => Verdict::Pass,
            _ => Verdict::Drop,
        }
    }

    fn item(&mut self, _: &Message, attribute: &Attribute) -> Verdict {
        match attribute {
            Attribute::Known(item, _) => match treatment(item) {
                Treatment::Pass => Verdict::Pass,
                Treatment::Seal | Treatment::SealedSize => Verdict::Take,
                Treatment::Withhold => Verdict::Drop,
            },
            Attribute::Unknown(_) => Verdict::Drop,
        }
    }
}

/// Whether a response code goes on. CAPABILITY is no such code: [`advertised`] stands in its place. Neither are ALERT,
/// REFERRAL and their kin, which ask people or programs to do something.
#[must_use]
pub fn code_passes(code: &Code) -> bool {
    match code {
        Code::AppendUid { .. }
        | Code::CopyUid { .. }
        | Code::HighestModSeq(_)
        | Code::Modified(_)
        | Code::PermanentFlags(_)
        | Code::UidNext(_)
        | Code::UidValidity(_)
        | Code::Unseen(_) => true,
        // Only the gateway itself speaks of sessions.
        Code::Capability(_) | Code::XEncrypted(_) => false,
        Code::Other(name, _) => CODES.contains(&name.as_str()),
    }
}

/// A status response as an untrusted connection is shown it. Its words stay; its code goes on if it is listed, and a list
/// of capabilities is the one that is [`advertised`].
#[must_use]
pub fn shown(profile: Profile, session: &[&str], status: &Status) -> String {
    match &status.code {
        Some(Code::Capability(server)) => {
            status.with_code(Some(&advertised(profile, server, session).to_string()))
        }
        Some(code) if code_passes(code) => format!("{}\r\n", String::from_utf8_lossy(status.octets())),
        _ => status.with_code(None),
    }
}

/// What an untrusted connection is told that the server can: of the mail server's capabilities those on the list, and
/// what the session was opened with, `XENCRYPTED` first.
#[must_use]
pub fn advertised(profile: Profile, server: &Capabilities, session: &[&str]) -> Capabilities {
    let mut shown = server.clone();
    shown.retain(|name| {
        let listed = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
        listed(&CAPABILITIES) || (profile == Profile::MailboxAllow && listed(&CAPABILITIES_OF_CHANGE))
    });
    for name in session {
        if *name == XENCRYPTED {
            shown.add(name);
        } else {
            shown.add(&format!("{XENCRYPTED}={name}"));
        }
    }
    shown
}

const XENCRYPTED: &str = "XENCRYPTED";

/// Response codes that say how a command went.
const CODES: [&str; 20] = [
    "ALREADYEXISTS",
    "AUTHORIZATIONFAILED",
    "CANNOT",
    "CLOSED",
    "CORRUPTION",
    "EXPUNGEISSUED",
    "INUSE",
    "LIMIT",
    "MAILBOXID",
    "NOMODSEQ",
    "NONEXISTENT",
    "NOPERM",
    "OVERQUOTA",
    "READ-ONLY",
    "READ-WRITE",
    "SERVERBUG",
    "TRYCREATE",
    "UIDNOTSTICKY",
    "UNAVAILABLE",
    "HASCHILDREN",
];

/// Capabilities whose commands are ruled above, each of them.
pub(super) const CAPABILITIES: [&str; 20] = [
    "IMAP4rev1",
    "BINARY",
    "CHILDREN",
    "CONDSTORE",
    "ENABLE",
    "ESEARCH",
    "ID",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "LITERAL+",
    "LITERAL-",
    "MULTIAPPEND",
    "NAMESPACE",
    "OBJECTID",
    "PREVIEW",
    "QRESYNC",
    "SPECIAL-USE",
    "UIDPLUS",
    "UNSELECT",
];

/// Those of what only [`Profile::MailboxAllow`] allows.
pub(super) const CAPABILITIES_OF_CHANGE: [&str; 1] = ["MOVE"];
