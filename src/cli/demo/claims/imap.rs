//! What is claimed of the mail path that others' programs are part of.

use super::Claim;
use crate::demo::checks::{Verdict, same};
use crate::demo::evidence::{Evidence, Imap, Step};

/// All claims about it.
pub(super) fn claims() -> Vec<Claim> {
    let claim = |name, says: fn(&Imap) -> String, check: fn(&Imap) -> Verdict| {
        let says = move |e: &Evidence| e.imap.as_ref().map(says).unwrap_or_default();
        Claim::new(Step::Imap, name, says, move |e| check(e.imap.as_ref().ok_or("nothing went that way")?))
    };
    vec![
        claim(
            "imap whole",
            |seen| format!("curl read {} letters of Dovecot's, each to the last octet.", seen.whole),
            |seen| {
                same("the letters that came whole", &seen.whole, &seen.letters)?;
                if seen.letters == 0 { Err("there was no letter".into()) } else { Ok(()) }
            },
        ),
        claim(
            "imap blind",
            |seen| {
                let Imap { sought, found_inside, found_outside, .. } = seen;
                format!(
                    "Of {sought} pieces of them Dovecot's wire carried {found_inside}, and nginx's {found_outside}."
                )
            },
            |seen| {
                same("the pieces on Dovecot's wire", &seen.found_inside, &seen.sought)?;
                same("those on nginx's", &seen.found_outside, &0)
            },
        ),
        claim(
            "imap own password",
            |_| {
                "The gateway let nginx in with a credential of its own; Ann's password it refuses there."
                    .into()
            },
            |seen| {
                let answer = seen.own_password.as_deref().unwrap_or("nothing");
                if answer.starts_with("a NO [AUTHENTICATIONFAILED]") {
                    Ok(())
                } else {
                    Err(answer.to_owned())
                }
            },
        ),
        claim(
            "imap cut",
            |seen| {
                let ms = seen.cut_ms.unwrap_or_default();
                format!("The credential was revoked, and {ms} ms later nginx's connection was cut.")
            },
            |seen| match seen.cut_ms {
                Some(ms) if ms <= 2000 => Ok(()),
                Some(ms) => Err(format!("after {ms} ms")),
                None => Err("it went on, or had not begun".into()),
            },
        ),
    ]
}
