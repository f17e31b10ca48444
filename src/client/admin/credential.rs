//! The file that `sidekey init` makes for an administrator.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{PartyId, ServiceId};
use sidekey_protocol::pairing::{Pin, PublicUrl};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keystore::refuse_readable_by_others;
use crate::profile::{Hidden, SIZE_MAX};
use crate::transport::Roots;

/// What an administrator signs with, and where: the file that `sidekey init` makes.
pub struct AdminCredential {
    /// Where the service is.
    pub url: PublicUrl,
    /// Other addresses of the same service, asked when that one does not answer.
    pub other_urls: Vec<PublicUrl>,
    /// Whose certificates count there.
    pub roots: Roots,
    /// The service's id.
    pub service: ServiceId,
    /// Names the service's signing key.
    pub service_key: Pin,
    /// The administrator's own id.
    pub party: PartyId,
    /// The administrator's signing key.
    pub key: SigningKey,
}

impl AdminCredential {
    /// Reads the file, which its user alone may read.
    ///
    /// # Errors
    /// [`Error::Store`]: it cannot be read, others may read it, or it is no credential.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = File::open(path)?;
        refuse_readable_by_others(&file)?;
        let mut json = Zeroizing::new(Vec::with_capacity(SIZE_MAX + 1));
        file.take(SIZE_MAX as u64 + 1).read_to_end(&mut json)?;
        Self::from_json(&json)
    }

    /// Reads the file's content.
    ///
    /// # Errors
    /// [`Error::Store`]: it is no credential.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an administrator's credential");
        let file: Credential = serde_json::from_slice(json).map_err(|_| malformed())?;
        Ok(Self {
            url: file.url,
            other_urls: file.other_urls,
            roots: Roots::Pem(file.ca),
            service: file.service,
            service_key: file.service_key.parse().map_err(|_| malformed())?,
            party: file.party,
            key: SigningKey::from_pkcs8(&file.key.0).map_err(|_| malformed())?,
        })
    }
}

impl fmt::Debug for AdminCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminCredential({})", self.party)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    service: ServiceId,
    url: PublicUrl,
    #[serde(default)]
    other_urls: Vec<PublicUrl>,
    party: PartyId,
    key: Hidden,
    ca: String,
    service_key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_credential_is_refused() {
        for json in ["", "{}", "[]"] {
            assert!(matches!(AdminCredential::from_json(json.as_bytes()), Err(Error::Store(_))), "{json}");
        }
    }
}
