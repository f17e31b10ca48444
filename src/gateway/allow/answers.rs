//! What of a mail server's answers an untrusted connection is shown.

use sidekey_imap::passes::{CAPABILITIES, CAPABILITIES_OF_CHANGE, CODES, LITERALS, lists};
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
        lists(&CAPABILITIES, name)
            || lists(&LITERALS, name)
            || (profile == Profile::MailboxAllow && lists(&CAPABILITIES_OF_CHANGE, name))
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
