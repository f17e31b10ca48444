//! What of a mail server's words goes through, by name: the gateway shows what stands here, and the agent takes another name
//! for a sign that somebody else is at the other end. What is on no list is left out, whatever a server may offer one day.

/// Response codes that say how a command went.
pub const CODES: [&str; 20] = [
    "ALREADYEXISTS",
    "AUTHORIZATIONFAILED",
    "CANNOT",
    "CLOSED",
    "CORRUPTION",
    "EXPUNGEISSUED",
    "HASCHILDREN",
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
];

/// Capabilities whose commands are known here.
pub const CAPABILITIES: [&str; 18] = [
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
    "MULTIAPPEND",
    "NAMESPACE",
    "OBJECTID",
    "PREVIEW",
    "QRESYNC",
    "SPECIAL-USE",
    "UIDPLUS",
    "UNSELECT",
];

/// Those of what changes more than flags.
pub const CAPABILITIES_OF_CHANGE: [&str; 1] = ["MOVE"];

/// What may be enabled.
pub const ENABLED: [&str; 2] = ["CONDSTORE", "QRESYNC"];

/// How literals may come, which each end of a connection says for itself.
pub const LITERALS: [&str; 2] = ["LITERAL+", "LITERAL-"];

/// Whether a capability, in any case, is on a list.
#[must_use]
pub fn lists(list: &[&str], name: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(name))
}
