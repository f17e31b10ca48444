//! Verified bearer tokens, remembered until they expire: an ES256 verification costs more than everything else in a
//! request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::token::Verified;

/// A bounded cache. The key is what was signed, and the signature must be the same too: it has a twin that verifies,
/// and a forged one must not ride on a genuine text.
///
/// Two halves, so that neither a full cache nor an expired token costs a search: when the younger half is full, it
/// becomes the older, and what was older is forgotten.
#[derive(Debug)]
pub(crate) struct Tokens {
    halves: Mutex<Halves>,
    half: usize,
}

#[derive(Debug, Default)]
struct Halves {
    younger: HashMap<Box<str>, Known>,
    older: HashMap<Box<str>, Known>,
}

#[derive(Debug)]
struct Known {
    /// As it is spelled: there is one spelling.
    signature: Box<str>,
    verified: Verified,
}

impl Tokens {
    /// Remembers at most `tokens`.
    pub(crate) fn up_to(tokens: usize) -> Self {
        Self { halves: Mutex::default(), half: (tokens / 2).max(1) }
    }

    /// What is known of this very token, while it holds. It is compared, and not read.
    pub(crate) fn known(&self, token: &str, now: Timestamp) -> Option<Verified> {
        let (signed, signature) = token.rsplit_once('.')?;
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Known| {
            let same = *known.signature == *signature && now < known.verified.until;
            same.then_some(known.verified)
        };
        if let Some(known) = halves.younger.get(signed) {
            return same(known);
        }
        let (text, known) = halves.older.remove_entry(signed)?;
        let verified = same(&known);
        halves.remember(text, known, self.half);
        verified
    }

    /// Remembers a token that was just verified.
    pub(crate) fn remember(&self, token: &str, verified: Verified) {
        let Some((signed, signature)) = token.rsplit_once('.') else { return };
        let known = Known { signature: signature.into(), verified };
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.remember(signed.into(), known, self.half);
    }
}

impl Halves {
    fn remember(&mut self, text: Box<str>, known: Known, half: usize) {
        if self.younger.len() >= half {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(text, known);
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sidekey_protocol::crypto::SigningKey;
    use sidekey_protocol::ids::{PartyId, ServiceId};
    use sidekey_protocol::token::{self, Presented};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    struct Signer {
        key: SigningKey,
        party: PartyId,
        service: ServiceId,
    }

    impl Signer {
        fn new() -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let key = SigningKey::generate(&mut rng);
            Self { key, party: PartyId::random(&mut rng), service: ServiceId::random(&mut rng) }
        }

        fn remembered(&self, tokens: &Tokens, now: Timestamp) -> String {
            let text = token::sign(&self.key, self.party, self.service, None, now);
            let presented = Presented::read(&text).unwrap();
            let verified = presented.verify(&self.key.verifying_key(), self.service, now).unwrap();
            tokens.remember(&text, verified);
            text
        }
    }

    fn known(tokens: &Tokens, text: &str, now: Timestamp) -> bool {
        tokens.known(text, now).is_some()
    }

    #[test]
    fn a_token_is_known_until_it_expires() {
        let (signer, tokens) = (Signer::new(), Tokens::up_to(8));
        let text = signer.remembered(&tokens, NOW);
        assert!(known(&tokens, &text, NOW));
        assert!(known(&tokens, &text, NOW.after_s(659)));
        assert!(!known(&tokens, &text, NOW.after_s(660)));
    }

    #[test]
    fn another_signature_over_the_same_text_is_not_known() {
        let (signer, tokens) = (Signer::new(), Tokens::up_to(8));
        let text = signer.remembered(&tokens, NOW);
        let (signed, _) = text.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", "A".repeat(86));
        assert!(!known(&tokens, &forged, NOW));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let (signer, tokens) = (Signer::new(), Tokens::up_to(8));
        let used = signer.remembered(&tokens, NOW);
        for s in 1..100 {
            signer.remembered(&tokens, NOW.after_s(s));
            assert!(known(&tokens, &used, NOW.after_s(s)));
            let halves = tokens.halves.lock().unwrap();
            assert!(halves.younger.len() + halves.older.len() <= 8);
        }
    }
}
