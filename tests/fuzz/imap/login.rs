//! Whoever is not logged in says what he likes; nobody is logged in by it.

use sidekey_imap::login::{Login, Outcome, Step, Tls, Verified};
use sidekey_imap::scanner::Side;

use super::sound::is_clean;
use crate::{choice, pieces};

pub fn login(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    for tls in [Tls::Established, Tls::Offered] {
        assert_eq!(
            talk(tls, std::iter::once(octets)),
            talk(tls, pieces(seed, octets)),
            "wherever the pieces end"
        );
    }
}

/// What is answered to somebody who is never let in.
fn talk<'o>(tls: Tls, pieces: impl Iterator<Item = &'o [u8]>) -> Vec<u8> {
    let (mut login, mut said) = Login::begin(tls);
    for mut input in pieces {
        while let Some(step) = login.next(&mut input) {
            match step {
                Step::Reply(octets) => said.extend(octets),
                Step::Verify(credentials) => {
                    assert_eq!(tls, Tls::Established, "no secret is asked for in the clear");
                    assert!(!credentials.user.is_empty() && !credentials.secret.expose().is_empty());
                    match login.verified(&Outcome::Refused) {
                        Verified::LoggedIn(..) => panic!("somebody is let in who was refused"),
                        Verified::Again(octets, again) => {
                            said.extend(octets);
                            login = again;
                        }
                        Verified::Over(octets) => {
                            said.extend(octets);
                            return said;
                        }
                    }
                }
                Step::StartTls(octets) | Step::End(octets) => {
                    said.extend(octets);
                    assert!(is_clean(Side::Server, &said), "{}", said.escape_ascii());
                    return said;
                }
            }
        }
    }
    assert!(is_clean(Side::Server, &said), "{}", said.escape_ascii());
    said
}
