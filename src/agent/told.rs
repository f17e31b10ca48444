//! What of the other end's words a mail program is told: lists of what is allowed.

use sidekey_imap::passes::{CAPABILITIES, CAPABILITIES_OF_CHANGE, CODES, LITERALS, lists};
use sidekey_imap::response::{Capabilities, Code, Condition, Status};

use crate::alert::{Alert, Changed, Forgery, Plain};

/// A line for the program, and what was left out of it that somebody must have meant.
pub(crate) struct Told {
    pub(crate) line: String,
    pub(crate) forged: Option<Forgery>,
}

/// Which codes belong to what was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expected {
    /// Those that may come at any time.
    Usual,
    /// What a mailbox is told of when it is selected.
    Select,
    /// Where a message was put.
    Append,
    /// Where messages were copied to.
    Copy,
}

/// A status response for the program: under its own tag, its code if that is allowed, and its words unless they are
/// meant for people.
pub(crate) fn status(status: &Status, tag: &str, expected: Expected) -> Told {
    let condition = status.condition;
    let (code, forged) = match &status.code {
        None => (None, None),
        Some(code) => match judge(code, expected) {
            Ok(true) => (Some(code), None),
            Ok(false) => (None, None),
            Err(forgery) => (None, Some(forgery)),
        },
    };
    // A program shows its user what comes unasked and is not well.
    let unasked = status.tag.is_none() && condition != Condition::Ok;
    let words = forged == Some(Forgery::Words) || unasked;
    let line = match (code, words) {
        (None, true) => format!("{tag} {} {NOT_SHOWN}\r\n", condition.as_str()),
        (None, false) => {
            let text =
                if status.text.is_empty() || status.text.starts_with('[') { "-" } else { &status.text };
            format!("{tag} {} {text}\r\n", condition.as_str())
        }
        (Some(_), _) => {
            let line = String::from_utf8_lossy(status.octets());
            let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{tag} {rest}\r\n")
        }
    };
    Told { line, forged }
}

/// Whether a code goes on, is left out, or must not be there.
fn judge(code: &Code, expected: Expected) -> Result<bool, Forgery> {
    let only = |due| if expected == due { Ok(true) } else { Err(Forgery::Code) };
    match code {
        Code::AppendUid { .. } => only(Expected::Append),
        Code::CopyUid { .. } => only(Expected::Copy),
        Code::UidValidity(_) => only(Expected::Select),
        Code::HighestModSeq(_)
        | Code::Modified(_)
        | Code::PermanentFlags(_)
        | Code::UidNext(_)
        | Code::Unseen(_) => Ok(true),
        Code::Capability(_) | Code::XEncrypted(_) => Ok(false),
        Code::Other(name, _) if WORDS.contains(&name.as_str()) => Err(Forgery::Words),
        Code::Other(name, _) => Ok(CODES.contains(&name.as_str())),
    }
}

/// What a program is told that can be done here: what the gateway offers and the agent can present.
pub(crate) fn capabilities(upstream: &Capabilities) -> Capabilities {
    let mut shown = upstream.clone();
    shown.retain(|name| {
        [&CAPABILITIES[..], &CAPABILITIES_OF_CHANGE, &[LITERAL_PLUS]].iter().any(|list| lists(list, name))
    });
    // Of the program's own literals, which end here.
    shown.add(LITERAL_PLUS);
    shown
}

/// Whether the other end is a gateway.
pub(crate) fn is_gateway(upstream: &Capabilities) -> Result<(), Alert> {
    if upstream.has("XENCRYPTED") {
        return Ok(());
    }
    let known = |name: &str| {
        [&CAPABILITIES[..], &CAPABILITIES_OF_CHANGE, &LITERALS, &BEFORE_LOGIN]
            .iter()
            .any(|list| lists(list, name))
            || name.to_ascii_uppercase().starts_with("AUTH=")
    };
    Err(if upstream.iter().all(known) {
        Alert::Downgrade(Plain::NotOffered)
    } else {
        Alert::Reterminated(Changed::Capabilities)
    })
}

const NOT_SHOWN: &str = "what was said here is not shown";

/// They ask people, or programs, to do something.
const WORDS: [&str; 2] = ["ALERT", "REFERRAL"];

const LITERAL_PLUS: &str = "LITERAL+";

/// What proxies name besides, that say them by themselves.
const BEFORE_LOGIN: [&str; 4] = ["LOGIN-REFERRALS", "LOGINDISABLED", "SASL-IR", "STARTTLS"];

#[cfg(test)]
mod tests {
    use sidekey_imap::response::{Piece, Policy, Responses, Verdict};
    use sidekey_imap::scanner::Limits;

    use super::*;

    struct Nothing;

    impl Policy for Nothing {
        fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
            Verdict::Drop
        }

        fn item(
            &mut self,
            _: &sidekey_imap::response::Message,
            _: &sidekey_imap::response::Attribute,
        ) -> Verdict {
            Verdict::Drop
        }
    }

    fn told(line: &str, expected: Expected) -> (String, Option<Forgery>) {
        let line = format!("{line}\r\n");
        let Ok(Some(Piece::Status(read))) =
            Responses::new(Limits::SERVER).next(&mut line.as_bytes(), &mut Nothing)
        else {
            panic!("{line}");
        };
        let Told { line, forged } = status(&read, "*", expected);
        (line.trim_end().to_owned(), forged)
    }

    #[test]
    fn words_for_people_and_codes_out_of_place_are_left_out() {
        use Expected::*;
        for (line, expected, shown, forged) in [
            ("* OK [ALERT] call +1 900", Usual, "* OK what was said here is not shown", Some(Forgery::Words)),
            (
                "* NO [REFERRAL imap://evil/] go",
                Usual,
                "* NO what was said here is not shown",
                Some(Forgery::Words),
            ),
            ("* NO call +1 900", Usual, "* NO what was said here is not shown", None),
            ("* OK [UIDVALIDITY 7] x", Select, "* OK [UIDVALIDITY 7] x", None),
            ("* OK [UIDVALIDITY 7] x", Usual, "* OK x", Some(Forgery::Code)),
            ("s1 OK [APPENDUID 7 1] x", Append, "* OK [APPENDUID 7 1] x", None),
            ("s1 OK [APPENDUID 7 1] x", Copy, "* OK x", Some(Forgery::Code)),
            ("s1 OK [COPYUID 7 1 2] x", Usual, "* OK x", Some(Forgery::Code)),
            ("s1 OK [CAPABILITY IMAP4rev1 X] x", Usual, "* OK x", None),
            ("s1 OK [X-NEW y] x", Usual, "* OK x", None),
            ("s1 NO [TRYCREATE] no such mailbox", Usual, "* NO [TRYCREATE] no such mailbox", None),
            ("s1 OK [X] [ALERT] y", Usual, "* OK -", None),
        ] {
            assert_eq!(told(line, expected), (shown.to_owned(), forged), "{line}");
        }
    }

    #[test]
    fn a_program_is_told_what_the_agent_can_present() {
        let upstream = "IMAP4rev1 XENCRYPTED XENCRYPTED=A256GCM UIDPLUS LITERAL- SORT COMPRESS=DEFLATE";
        let shown = capabilities(&Capabilities::read(upstream).unwrap());
        assert_eq!(shown.to_string(), "CAPABILITY IMAP4rev1 UIDPLUS LITERAL+");
    }

    #[test]
    fn no_gateway_is_told_from_one_whose_offer_was_struck_out() {
        let of = |text| is_gateway(&Capabilities::read(text).unwrap());
        assert_eq!(of("IMAP4rev1 XENCRYPTED"), Ok(()));
        assert_eq!(of("IMAP4rev1 UIDPLUS AUTH=PLAIN"), Err(Alert::Downgrade(Plain::NotOffered)));
        assert_eq!(of("IMAP4rev1 SORT"), Err(Alert::Reterminated(Changed::Capabilities)));
    }
}
