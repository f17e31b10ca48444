//! Bearer tokens: signed by the party itself, and used again until they are about to expire.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{PartyId, ServiceId, Timestamp};
use sidekey_protocol::token;

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

    fn sign(&self, now: Timestamp, kek: Option<[u8; 8]>) -> Token {
        let Identity { party, service, key, .. } = &self.identity;
        let token = token::sign(key, *party, *service, kek, now);
        let mut header =
            HeaderValue::try_from(format!("Bearer {token}")).expect("a JWT is base64url and dots");
        header.set_sensitive(true);
        Token { header, issued: now, kek }
    }
}

/// Half of a token's life: a request on a slow path has time to arrive.
const REUSE_S: u32 = token::LIFETIME_MAX_S / 2;
