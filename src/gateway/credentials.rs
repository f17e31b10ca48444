//! Proxy credentials: whether one is live is the key service's to say. What it said is remembered for seconds, as a digest
//! under a key that dies with the process, so that a proxy which opens ten connections at once asks once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sidekey_client::credential::{CredentialSecret, CredentialVerified};
use sidekey_client::{Error, Server};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::UserName;
use tokio::time::Instant;

/// What was said of whom.
pub(crate) struct Credentials {
    server: Server,
    key: Secret<32>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    said: HashMap<[u8; 32], Said>,
    /// How often something was forgotten: what was asked before does not count after.
    forgotten: u64,
}

struct Said {
    verified: CredentialVerified,
    at: Instant,
}

impl Credentials {
    /// Asked as this server; the key is to be random.
    pub(crate) fn new(server: Server, key: Secret<32>) -> Self {
        Self { server, key, kept: Mutex::default() }
    }

    /// Which of the user's credentials it is; `None` when it is none that is live.
    pub(crate) async fn verify(
        &self,
        user: &UserName,
        secret: &CredentialSecret,
    ) -> Result<Option<CredentialVerified>, Error> {
        let digest = *secret.digest(&self.key, self.server.server(), user).as_bytes();
        let (asked, before) = (Instant::now(), self.forgotten());
        if let Some(said) = self.remembered(&digest) {
            return Ok(Some(said));
        }
        let verified = self.server.verify_credential(user, secret).await?;
        if let Some(verified) = &verified {
            self.remember(digest, Said { verified: verified.clone(), at: asked }, before);
        }
        Ok(verified)
    }

    /// What was said counts no more: of those of whom this is so.
    pub(crate) fn forget(&self, whose: impl Fn(&CredentialVerified) -> bool) {
        let mut kept = self.kept();
        kept.forgotten += 1;
        kept.said.retain(|_, said| !whose(&said.verified));
    }

    /// How often something was forgotten. While this is the same, nobody's credential is known to be over.
    pub(crate) fn forgotten(&self) -> u64 {
        self.kept().forgotten
    }

    fn remembered(&self, digest: &[u8; 32]) -> Option<CredentialVerified> {
        let kept = self.kept();
        let said = kept.said.get(digest)?;
        (said.at.elapsed() < REMEMBERED).then(|| said.verified.clone())
    }

    fn remember(&self, digest: [u8; 32], said: Said, before: u64) {
        let mut kept = self.kept();
        kept.said.retain(|_, said| said.at.elapsed() < REMEMBERED);
        if kept.forgotten == before && kept.said.len() < KEPT_MAX {
            kept.said.insert(digest, said);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From when it was asked.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Credentials that are remembered at one time; past that each is asked about.
const KEPT_MAX: usize = 4096;
