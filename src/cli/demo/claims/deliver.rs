//! What is claimed of a key that came by another bearer.

use sidekey_client::Error;
use sidekey_client::error::XdmsTrouble;
use sidekey_protocol::session::envelope::Reject;

use super::{COLUMN, Claim};
use crate::demo::bearer::Via;
use crate::demo::checks::{Verdict, check_again, check_holders, same};
use crate::demo::deliver::{HELD, NOTHING};
use crate::demo::evidence::{Deliver, Evidence, Step, Who};

/// One thing that a bearer's operator may do.
struct Lie {
    name: &'static str,
    /// For eyes: "The operator …".
    does: &'static str,
    /// What the app says, for eyes and in full.
    says: fn() -> (String, String),
}

/// All claims about this bearer.
pub(super) fn claims(via: Via) -> Vec<Claim> {
    let lies = match via {
        Via::Sms => [TWICE, SMS_TO_ANOTHER, ALTERED, SHORT, LATE],
        Via::Xdms => [TWICE, DOCUMENT_TO_ANOTHER, ALTERED, BOMB, LATE],
    };
    let sent = Claim::new(Step::Deliver, "sent", sent_says, move |e| check_sent(seen(e)?, via));
    let brought = Claim::new(
        Step::Deliver,
        "brought",
        |_| "An app that had just started took its key from there, and a letter opened with it.".into(),
        |e| {
            let seen = seen(e)?;
            check_holders(&seen.holders, &seen.session, 0, &[Who::Phone])?;
            let letter = seen.letter.as_ref().ok_or("no letter was sent")?;
            check_again(e, letter, &seen.session, 0)
        },
    );
    [sent, brought].into_iter().chain(lies.into_iter().map(lie)).collect()
}

fn seen(e: &Evidence) -> Result<&Deliver, String> {
    e.deliver.as_ref().ok_or_else(|| "nothing was delivered".to_owned())
}

fn sent_says(e: &Evidence) -> String {
    let to = e.deliver.as_ref().map(|seen| seen.to.as_str()).unwrap_or_default();
    match e.deliver.as_ref().and_then(|seen| seen.octets) {
        Some(octets) => {
            format!("The SMSC was given {octets} octets for {to}: a header of 7, and an envelope.")
        }
        None => format!("The XDMS was given a document for {to}."),
    }
}

fn check_sent(seen: &Deliver, via: Via) -> Verdict {
    same("the bearer", &seen.via, &Some(via))?;
    same("the octets", &seen.octets, &(via == Via::Sms).then_some(134))?;
    same("where it went", &seen.listed, &seen.to)?;
    same("its state in the administrator's list", seen.state.as_str(), "sent")
}

fn lie(lie: Lie) -> Claim {
    let (shown, full) = (lie.says)();
    Claim::new(
        Step::Deliver,
        lie.name,
        move |_| format!("{:<COLUMN$}{shown}", lie.does),
        move |e| {
            let told = seen(e)?.lies.iter().find(|told| told.lie == lie.name).ok_or("it was not told")?;
            same("what the app says", &told.outcome, &full)
        },
    )
}

fn refused(reject: Reject) -> (String, String) {
    (reject.to_string(), Error::from(reject).to_string())
}

fn said(words: &str) -> (String, String) {
    (words.to_owned(), words.to_owned())
}

const TWICE: Lie = Lie { name: "sent twice", does: "brings it twice", says: || said(HELD) };
const SMS_TO_ANOTHER: Lie =
    Lie { name: "sent to another", does: "brings it to Ann's laptop", says: || refused(Reject::KekForeign) };
const DOCUMENT_TO_ANOTHER: Lie =
    Lie { name: "sent to another", does: "gives it to Ann's laptop", says: || said(NOTHING) };
const ALTERED: Lie =
    Lie { name: "sent altered", does: "alters one octet of it", says: || refused(Reject::ContentWrong) };
const SHORT: Lie = Lie { name: "sent short", does: "cuts it short", says: || refused(Reject::SizeForeign) };
const BOMB: Lie = Lie {
    name: "sent a bomb",
    does: "makes up a document that would grow without end",
    says: || (XdmsTrouble::Document.to_string(), Error::from(XdmsTrouble::Document).to_string()),
};
const LATE: Lie = Lie {
    name: "sent late",
    does: "brings it again after the key has changed",
    says: || refused(Reject::GenerationOlder),
};
