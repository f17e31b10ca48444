//! Every claim that the demo makes, each with the check that it stands on. A sentence reaches the screen as a
//! [`Checked`], and only [`Claim::check`] makes one: nothing can be claimed that was not checked.

mod deliver;
mod imap;

use serde::Serialize;
use sidekey_client::Error;
use sidekey_protocol::object::Reject;
use sidekey_protocol::pairing::Refusal;

use super::attacks::{ATTACKS, Attack};
use super::bearer::Via;
use super::checks::{
    Verdict, check_after, check_again, check_attack, check_blind, check_clear, check_frame, check_heard,
    check_holders, check_letters, check_paired, check_tls, in_full, is, is_code, same, tls,
};
use super::evidence::{Evidence, Step, Who};
use super::world::USER;

/// A sentence about a run.
pub struct Claim {
    /// Where it stands.
    pub step: Step,
    /// For scripts.
    pub name: &'static str,
    says: Box<dyn Fn(&Evidence) -> String>,
    check: Box<dyn Fn(&Evidence) -> Verdict>,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claim({})", self.name)
    }
}

/// A claim with its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    name: &'static str,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

impl Claim {
    fn new(
        step: Step,
        name: &'static str,
        says: impl Fn(&Evidence) -> String + 'static,
        check: impl Fn(&Evidence) -> Verdict + 'static,
    ) -> Self {
        Self { step, name, says: Box::new(says), check: Box::new(check) }
    }

    /// Holds it against the evidence.
    #[must_use]
    pub fn check(&self, evidence: &Evidence) -> Checked {
        let why_not = (self.check)(evidence).err();
        Checked { name: self.name, says: (self.says)(evidence), why_not }
    }
}

impl Checked {
    /// Which claim.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The sentence.
    #[must_use]
    pub fn says(&self) -> &str {
        &self.says
    }

    /// What speaks against it; nothing when it holds.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }
}

/// All claims, in the order of the story; of the way through others' programs and of a key that came by this bearer too.
#[must_use]
pub fn claims(imap: bool, via: Option<Via>) -> Vec<Claim> {
    let lies = ATTACKS.iter().map(lie_claim).chain([after_claim()]);
    let steps = [
        start_claims(),
        pair_claims(),
        issue_claims(),
        sealed_claims(),
        if imap { imap::claims() } else { Vec::new() },
        via.map(deliver::claims).unwrap_or_default(),
        lies.collect(),
        revoke_claims(),
    ];
    steps.into_iter().flatten().collect()
}

fn start_claims() -> Vec<Claim> {
    vec![
        Claim::new(
            Step::Start,
            "tls",
            |e| {
                format!(
                    "It speaks {} with {}, which is meant to withstand a quantum computer.",
                    tls(e),
                    e.start.key_exchange
                )
            },
            check_tls,
        ),
        Claim::new(
            Step::Start,
            "stranger",
            |_| "A program that does not trust its certificate refuses to talk to it.".into(),
            |e| is("refused", &e.start.stranger, "invalid peer certificate: UnknownIssuer"),
        ),
    ]
}

fn pair_claims() -> Vec<Claim> {
    vec![
        Claim::new(
            Step::Pair,
            "paired",
            |_| {
                "Each of the three proved that it holds its code; the service lists them, and nobody else."
                    .into()
            },
            check_paired,
        ),
        Claim::new(
            Step::Pair,
            "wrong code",
            |_| "Somebody with the phone's link and a wrong code was refused.".into(),
            |e| is("refused", &e.pair.wrong_code, &Error::from(Refusal::CodeMismatch).to_string()),
        ),
        Claim::new(
            Step::Pair,
            "second use",
            |_| "Somebody with the phone's link and its code came too late: it works once.".into(),
            |e| is_code("refused", &e.pair.second_use, "invitation_over"),
        ),
    ]
}

fn issue_claims() -> Vec<Claim> {
    vec![
        Claim::new(
            Step::Issue,
            "issued",
            |_| "The mail server opened a session; phone and laptop fetched its key, past the proxy.".into(),
            |e| {
                same("the user", e.issue.user.as_str(), USER)?;
                check_holders(&e.issue.holders, &e.issue.session, 0, &[Who::Server, Who::Phone, Who::Laptop])
            },
        ),
        Claim::new(
            Step::Issue,
            "outsider",
            |_| "The administrator's credential does not get that key.".into(),
            |e| is_code("answered", &e.issue.outsider, "role_forbidden"),
        ),
        Claim::new(
            Step::Clear,
            "clear",
            |e| {
                let proxy = e.clear.as_ref().map(|clear| (clear.proxy.found, clear.proxy.sought));
                let (found, sought) = proxy.unwrap_or_default();
                format!("The proxy sees all of it: {found} of {sought} pieces that we looked for.")
            },
            check_clear,
        ),
    ]
}

fn sealed_claims() -> Vec<Claim> {
    vec![
        Claim::new(
            Step::Sealed,
            "whole",
            |e| format!("{} letters arrived as they were sent, to the last octet.", e.sealed.len()),
            check_letters,
        ),
        Claim::new(
            Step::Sealed,
            "blind",
            |e| {
                let sought: u64 = e.sealed.iter().map(|passage| passage.proxy.sought).sum();
                format!(
                    "The proxy saw none of {sought} pieces of them that we looked for, in base64 neither."
                )
            },
            check_blind,
        ),
        Claim::new(
            Step::Sealed,
            "shows",
            |_| {
                "It sees which message is fetched, the session's number, and a size that is rounded up."
                    .into()
            },
            |e| {
                check_letters(e)?;
                e.sealed.iter().try_for_each(|passage| check_frame(passage, &e.issue.session, 0))
            },
        ),
    ]
}

/// Where the reasons begin, in a claim about a lie.
pub const COLUMN: usize = 50;

fn lie_claim(attack: &'static Attack) -> Claim {
    Claim::new(
        Step::Lies,
        attack.name,
        move |_| format!("{:<COLUMN$}{}", attack.does, attack.refused),
        move |e| check_attack(e, attack),
    )
}

fn after_claim() -> Claim {
    let says = "The same letters, asked for again without a lie, all open.";
    Claim::new(Step::Lies, "after", move |_| says.into(), check_after)
}

fn revoke_claims() -> Vec<Claim> {
    vec![
        Claim::new(
            Step::Revoke,
            "gone",
            |e| format!("The phone's next fetch was answered {} Gone, with the reason.", e.revoke.status),
            |e| {
                same("the status", &e.revoke.status, &410)?;
                same("the reason", &e.revoke.told, &e.revoke.reason)?;
                same("its state in the list", e.revoke.state.as_str(), "revoked")
            },
        ),
        Claim::new(
            Step::Revoke,
            "heard",
            |e| {
                let after_ms = e.revoke.heard.iter().map(|heard| heard.after_ms).max().unwrap_or_default();
                format!("Mail server and laptop heard of it by an event, after {after_ms} ms.")
            },
            |e| check_heard(&e.revoke.heard),
        ),
        Claim::new(
            Step::Revoke,
            "rotated",
            |_| "They went on with the session's next key, generation 1.".into(),
            |e| {
                same("the session", &e.revoke.session, &e.after.session)?;
                check_holders(&e.revoke.holders, &e.revoke.session, 1, &[Who::Server, Who::Laptop])
            },
        ),
        Claim::new(
            Step::Revoke,
            "goes on",
            |_| "A letter sealed under it opened on the laptop.".into(),
            |e| {
                let letter = e.revoke.letter.as_ref().ok_or("no letter was sent")?;
                check_again(e, letter, &e.revoke.session, 1)
            },
        ),
        Claim::new(
            Step::Revoke,
            "locked out",
            |_| "The key that the phone still holds does not open that letter.".into(),
            |e| is("refused", &e.revoke.phone, &in_full(Reject::OtherGeneration)),
        ),
        Claim::new(
            Step::Revoke,
            "forced",
            |_| "Nor does it when the letter is altered to name that key, as a thief would do.".into(),
            |e| is("refused", &e.revoke.forced, &in_full(Reject::FirstRecordUnverified)),
        ),
    ]
}
