//! What the claims stand on: the evidence, held against what must be so.

use sidekey_client::Error;
use sidekey_protocol::object::{Class, HEADER_SIZE, Header, RecordSize, Reject, frame_len};
use sidekey_protocol::pairing::PairingCode;

use super::attacks::{Attack, MAILBOX, OWN_LETTERS, Victims};
use super::base64::{self, encoded_len};
use super::evidence::{After, Evidence, Heard, Holder, Passage, Proxy, Try, Who};
use super::path::Request;

/// Whether the evidence bears a claim out; if not, what speaks against it.
pub(super) type Verdict = Result<(), String>;

pub(super) fn tls(e: &Evidence) -> String {
    e.start.tls.replace("TLSv1_3", "TLS 1.3")
}

pub(super) fn check_tls(e: &Evidence) -> Verdict {
    if e.start.url.strip_prefix("https://127.0.0.1:").is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err(format!("{} is not here", e.start.url));
    }
    same("the TLS version", e.start.tls.as_str(), "TLSv1_3")?;
    same("the key exchange", e.start.key_exchange.as_str(), "X25519MLKEM768")
}

pub(super) fn check_paired(e: &Evidence) -> Verdict {
    let who: Vec<_> = e.pair.parties.iter().map(|party| party.who).collect();
    same("who paired", &who, &vec![Who::Server, Who::Phone, Who::Laptop])?;
    for party in &e.pair.parties {
        same("the pairing listed", &party.listed, &party.pairing)?;
        party.code.parse::<PairingCode>().map_err(|_| format!("{} is no code", party.code))?;
        same("its state", party.state.as_str(), "active")?;
    }
    same("the number of pairings listed", &e.pair.listed, &3)
}

pub(super) fn check_holders(holders: &[Holder], session: &str, generation: u32, expected: &[Who]) -> Verdict {
    let who: Vec<_> = holders.iter().map(|holder| holder.who).collect();
    same("who holds the key", who.as_slice(), expected)?;
    let suite = &holders.first().ok_or("nobody holds the key")?.suite;
    for holder in holders {
        same("the session", holder.session.as_str(), session)?;
        same("the generation", &holder.generation, &generation)?;
        same("the suite", &holder.suite, suite)?;
    }
    same("the suite", suite.as_str(), "A256GCM")
}

pub(super) fn check_clear(e: &Evidence) -> Verdict {
    let clear = e.clear.as_ref().ok_or("no letter was sent")?;
    check_whole(clear)?;
    same("what was asked", &clear.asked, &Request::whole(MAILBOX, 1).to_string())?;
    let proxy = &clear.proxy;
    same("the octets that passed", &proxy.octets, &clear.sent.octets)?;
    same("the header of a frame", proxy.header.as_str(), "")?;
    same("what the proxy reads", &proxy.glimpse, &[clear.sent.head(), clear.sent.text.clone()])?;
    same("the pieces found", &proxy.found, &proxy.sought)
}

pub(super) fn check_letters(e: &Evidence) -> Verdict {
    if e.sealed.len() < OWN_LETTERS as usize {
        return Err(format!("{} letters were sent", e.sealed.len()));
    }
    for (uid, passage) in (1..).zip(&e.sealed) {
        same("what was asked", &passage.asked, &Request::whole(MAILBOX, uid).to_string())?;
        check_whole(passage)?;
    }
    Ok(())
}

pub(super) fn check_blind(e: &Evidence) -> Verdict {
    // Whoever finds nothing must have shown that he can find.
    check_clear(e)?;
    if e.sealed.is_empty() {
        return Err("no letter was sent".into());
    }
    e.sealed.iter().try_for_each(|passage| same("the pieces found", &passage.proxy.found, &0))
}

/// That what was read is what was sent, and that the proxy looked for it.
fn check_whole(passage: &Passage) -> Verdict {
    match (&passage.read, &passage.refused) {
        (Some(read), None) if *read == passage.sent => {}
        (Some(_), _) => return Err(format!("{}: what was read is not what was sent", passage.asked)),
        (None, refused) => {
            let refused = refused.as_deref().unwrap_or("nothing was read");
            return Err(format!("{}: {refused}", passage.asked));
        }
    }
    same("the pieces that were looked for", &passage.proxy.sought, &passage.pieces)
}

/// That the literal was a frame of this key, and exactly as long as padding makes one of the letter's size.
pub(super) fn check_frame(passage: &Passage, session: &str, generation: u32) -> Verdict {
    let Proxy { octets, header, glimpse, .. } = &passage.proxy;
    let header =
        base64::decode(header.as_bytes()).and_then(|octets| octets.first_chunk::<HEADER_SIZE>().copied());
    let header = header.ok_or("the literal does not begin with a frame's header")?;
    let header = Header::read(&header).map_err(|reject| reject.to_string())?;
    same("the session", header.session.to_string().as_str(), session)?;
    same("the generation", &header.generation, &generation)?;
    if glimpse.iter().any(|line| line.is_empty() || base64::decode(line.as_bytes()).is_none()) {
        return Err(format!("{glimpse:?} is not base64"));
    }
    let frame = frame_len(Class::Body, passage.sent.octets, 0, RecordSize::default());
    same("the octets that passed", octets, &encoded_len(frame))
}

/// That this is a letter that was sent before, and that it arrived whole under the key of another session.
pub(super) fn check_again(e: &Evidence, letter: &Passage, session: &str, generation: u32) -> Verdict {
    let before = e.sealed.iter().find(|before| before.asked == letter.asked).ok_or("it is another letter")?;
    same("the letter", &letter.sent, &before.sent)?;
    check_whole(letter)?;
    same("the pieces found", &letter.proxy.found, &0)?;
    check_frame(letter, session, generation)
}

pub(super) fn check_attack(e: &Evidence, attack: &Attack) -> Verdict {
    let told = e.lies.iter().find(|told| told.lie == attack.name).ok_or("it was not told")?;
    let tries = (attack.tries)(&victims(e));
    same("how often it was told", &told.tries.len(), &tries.len())?;
    told.tries.iter().zip(&tries).try_for_each(|(told, (asked, lie))| {
        same("what the app asked for", &told.asked, &asked.to_string())?;
        same("what the proxy asked for", &told.forwarded, &lie.request(asked).to_string())?;
        check_try(told, attack.refused)
    })
}

/// That the proxy really lied, either in what it asked for or in what it gave, and that the client saw through it.
fn check_try(told: &Try, refused: Reject) -> Verdict {
    let (asked_otherwise, gave_otherwise) = (told.asked != told.forwarded, told.sent != told.given);
    if asked_otherwise == gave_otherwise {
        return Err("the proxy did not lie as it should".into());
    }
    match &told.read {
        Some(subject) => Err(format!("the client read \u{201c}{subject}\u{201d}")),
        None => is("refused", &told.refused, &in_full(refused)),
    }
}

/// As the client crate tells an app.
pub(super) fn in_full(reject: Reject) -> String {
    Error::from(reject).to_string()
}

fn victims(e: &Evidence) -> Victims {
    Victims::among(u32::try_from(e.sealed.len()).unwrap_or(u32::MAX))
}

pub(super) fn check_after(e: &Evidence) -> Verdict {
    let After { session, letters } = &e.after;
    let asked: Vec<_> = letters.iter().map(|letter| letter.asked.clone()).collect();
    same("what was asked", asked.as_slice(), &victims(e).all().map(|request| request.to_string()))?;
    if *session == e.issue.session {
        return Err("the session did not end".into());
    }
    letters.iter().try_for_each(|letter| check_again(e, letter, session, 0))
}

pub(super) fn check_heard(heard: &[Heard]) -> Verdict {
    let events: Vec<_> = heard.iter().map(|heard| (heard.who, heard.event.as_str())).collect();
    let both = [Who::Server, Who::Laptop].map(|who| [(who, "revoked"), (who, "rotated")]);
    let expected: Vec<_> = both.into_iter().flatten().chain([(Who::Phone, "revoked")]).collect();
    same("what was heard", &events, &expected)?;
    match heard.iter().find(|heard| heard.after_ms > WITHIN_MS) {
        Some(late) => Err(format!("{} heard after {} ms", late.who, late.after_ms)),
        None => Ok(()),
    }
}

/// What proto/revocation promises.
const WITHIN_MS: u64 = 1000;

pub(super) fn is(what: &str, found: &Option<String>, expected: &str) -> Verdict {
    same(what, found.as_deref().unwrap_or("nothing"), expected)
}

/// The service's codes are for good; what it says with them may change.
pub(super) fn is_code(what: &str, found: &Option<String>, code: &str) -> Verdict {
    let found = found.as_deref().unwrap_or("nothing");
    if found.ends_with(&format!("({code})")) {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, expected {code}"))
    }
}

pub(super) fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, found: &T, expected: &T) -> Verdict {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, expected {expected:?}")) }
}
