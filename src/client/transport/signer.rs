//! Bearer tokens: signed by the party itself, and used again until they are about to expire.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{PartyId, ServiceId, Timestamp};
use sidekey_protocol::token;
use zeroize::Zeroizing;

/// Who signs, and for which service.
pub struct Identity {
    /// The party: a pairing, or an administrator.
    pub party: PartyId,
    /// The service that the tokens are for, under all its addresses.
    pub service: ServiceId,
    /// The party's own key.
    pub key: SigningKey,
    /// Names the key-encryption key of the epoch that the party uses; an administrator has none, and what renews its epochs
    /// by itself says which with each request.
    pub kek: Option<[u8; 8]>,
}

/// A bearer token, for requests that something else sends: curl, a library of one's own. Whoever has it acts as its
/// party until it expires.
pub struct Bearer {
    text: Zeroizing<String>,
    expires: Timestamp,
}

impl Bearer {
    /// The JWT, to stand after `Bearer ` in `Authorization`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// From when on it is refused, by the service's clock.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer(until {})", self.expires.0)
    }
}

impl Identity {
    fn token(&self, now: Timestamp, kek: Option<[u8; 8]>) -> String {
        token::sign(&self.key, self.party, self.service, kek, now)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.party)
    }
}

/// Signs, and remembers the last token: the service then finds it in its own cache of verified ones.
pub(super) struct Signer {
    identity: Identity,
    last: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    issued: Timestamp,
    kek: Option<[u8; 8]>,
}

impl Signer {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, last: Mutex::new(None) }
    }

    /// The `Authorization` header at `now`, by the service's clock, of whoever uses this epoch.
    pub(super) fn bearer(&self, now: Timestamp, kek: Option<[u8; 8]>) -> HeaderValue {
        let kek = kek.or(self.identity.kek);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            // A clock that was mended backwards leaves a token from the future behind: not used again either.
            Some(token) if token.kek == kek && token.issued <= now && now.since_s(token.issued) < REUSE_S => {
                token.header.clone()
            }
            _ => {
                let token = self.sign(now, kek);
                let header = token.header.clone();
                *last = Some(token);
                header
            }
        }
    }

    /// A token of its own, under whatever epoch the pairing is in.
    pub(super) fn token(&self, now: Timestamp) -> Bearer {
        let text = Zeroizing::new(self.identity.token(now, None));
        Bearer { text, expires: now.after_s(token::LIFETIME_MAX_S) }
    }

    fn sign(&self, now: Timestamp, kek: Option<[u8; 8]>) -> Token {
        let token = self.identity.token(now, kek);
        let mut header =
            HeaderValue::try_from(format!("Bearer {token}")).expect("a JWT is base64url and dots");
        header.set_sensitive(true);
        Token { header, issued: now, kek }
    }
}

/// Half of a token's life: a request on a slow path has time to arrive.
const REUSE_S: u32 = token::LIFETIME_MAX_S / 2;
