//! What the fuzzer sees of what an XDMS says (feature `fuzz`, of nobody else).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method};

use super::digest::{Challenge, Credentials};
use crate::ambient::Ambient;
use crate::outcome::Refusal;

/// What a 409 with this body means.
#[must_use]
pub fn conflict(body: &[u8]) -> Refusal {
    super::conflict::refusal(body)
}

/// How we say who we are, asked so: in the first request, and in the next one.
#[must_use]
pub fn authorizations(
    asked: &HeaderMap,
    credentials: &Credentials,
    path: &str,
    ambient: &Ambient,
) -> Option<[Option<HeaderValue>; 2]> {
    let mut challenge = Challenge::strongest(asked.get_all(WWW_AUTHENTICATE))?;
    let mut answer = || challenge.answer(credentials, &Method::PUT, path, ambient);
    Some([answer(), answer()])
}
