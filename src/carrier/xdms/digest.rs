//! Digest (RFC 7616), where an XDMS asks for it. Never Basic: a password is not for everybody who asks.

use std::fmt;

use digest_auth::{AlgorithmType, AuthContext, HttpMethod, Qop, WwwAuthenticateHeader};
use http::header::GetAll;
use http::{HeaderValue, Method};
use zeroize::Zeroizing;

use crate::ambient::Ambient;

/// Who we are at an XDMS.
pub struct Credentials {
    /// Our name there.
    user: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// This name, this password.
    #[must_use]
    pub fn new(user: String, password: String) -> Self {
        Self { user, password: Zeroizing::new(password) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// What an XDMS asks, which answers several requests: each answer counts up.
pub(super) struct Challenge(WwwAuthenticateHeader);

impl Challenge {
    /// Of all that it asks, what protects the password best. MD5 is the last choice: RFC 7616 keeps it for old servers,
    /// and there are many.
    pub(super) fn strongest(asked: GetAll<'_, HeaderValue>) -> Option<Self> {
        let digests = asked.into_iter().filter_map(|value| {
            let value = value.to_str().ok()?;
            let scheme = value.trim_start().get(..7)?;
            let challenge = digest_auth::parse(value).ok()?;
            let answerable = challenge.qop.as_ref().is_none_or(|offered| offered.contains(&Qop::AUTH));
            (scheme.eq_ignore_ascii_case("digest ") && answerable).then_some(Self(challenge))
        });
        digests.max_by_key(|challenge| match challenge.0.algorithm.algo {
            AlgorithmType::MD5 => 0,
            AlgorithmType::SHA2_256 => 1,
            AlgorithmType::SHA2_512_256 => 2,
        })
    }

    /// The value of `Authorization` for a request.
    pub(super) fn answer(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        path: &str,
        ambient: &Ambient,
    ) -> Option<HeaderValue> {
        let method = HttpMethod(method.as_str().into());
        let (user, password) = (credentials.user.as_str(), credentials.password.as_str());
        let mut context = AuthContext::new_with_method(user, password, path, None::<&[u8]>, method);
        context.set_custom_cnonce(ambient.random::<16>().map(|octet| format!("{octet:02x}")).concat());
        let answer = self.0.respond(&context).ok()?.to_header_string();
        let mut value = HeaderValue::from_str(&answer).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http::header::WWW_AUTHENTICATE;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use sidekey_protocol::ids::Timestamp;

    fn asked(challenges: &[&str]) -> HeaderMap {
        challenges.iter().map(|text| (WWW_AUTHENTICATE, text.parse().unwrap())).collect()
    }

    fn strongest(challenges: &[&str]) -> Option<Challenge> {
        Challenge::strongest(asked(challenges).get_all(WWW_AUTHENTICATE))
    }

    #[test]
    fn the_strongest_that_is_offered_is_answered_and_basic_never() {
        let md5 = r#"Digest realm="r", nonce="n", qop="auth", algorithm=MD5"#;
        let sha = r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256"#;
        let chosen = strongest(&["Basic realm=\"r\"", md5, sha]).unwrap();
        assert_eq!(chosen.0.algorithm.algo, AlgorithmType::SHA2_256);
        assert!(strongest(&["Basic realm=\"r\"", "Bearer", "", "Digest"]).is_none());
        assert!(strongest(&[r#"Digest realm="r", nonce="n", algorithm=SHA-9"#]).is_none());
        assert!(strongest(&[r#"Mutual x="y", realm="r", nonce="n""#]).is_none());
    }

    #[test]
    fn no_challenge_brings_us_down() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let words = [
            "realm",
            "nonce",
            "qop",
            "=",
            "\"",
            ",",
            " ",
            "\\",
            "auth",
            "algorithm",
            "MD5",
            "SHA-256",
            "x",
            "\t",
        ];
        let ambient = Ambient::new(|| Timestamp(0), ChaCha20Rng::seed_from_u64(2));
        let credentials = Credentials::new("ann".into(), "secret".into());
        for _ in 0..20_000 {
            let length = usize::try_from(rng.next_u32() % 24).unwrap();
            let word = |_| words[usize::try_from(rng.next_u32()).unwrap() % words.len()];
            let challenge = format!("Digest {}", (0..length).map(word).collect::<String>());
            if let Some(mut challenge) = strongest(&[challenge.trim_end()]) {
                let _ = challenge.answer(&credentials, &Method::GET, "/x", &ambient);
            }
        }
    }

    #[test]
    fn each_answer_counts_up_and_no_nonce_of_ours_comes_twice() {
        let ambient = Ambient::new(|| Timestamp(0), ChaCha20Rng::seed_from_u64(1));
        let mut challenge = strongest(&[r#"Digest realm="r", nonce="n", qop="auth""#]).unwrap();
        let credentials = Credentials::new("ann".into(), "secret".into());
        let mut answer = || {
            let answer = challenge.answer(&credentials, &Method::PUT, "/x", &ambient).unwrap();
            answer.to_str().unwrap().to_owned()
        };
        let (first, second) = (answer(), answer());
        assert!(first.contains("nc=00000001") && second.contains("nc=00000002"), "{first} {second}");
        let cnonce = |answer: &str| answer.split("cnonce=").nth(1).unwrap()[..34].to_owned();
        assert_ne!(cnonce(&first), cnonce(&second));
        assert!(!first.contains("secret"));
    }
}
