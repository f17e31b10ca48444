//! The service's signing keys on this side: from the one that this party knows to the one in force, by the statements that
//! each key makes of the next (proto/pairing/spec.md, section 10). What no statement leads to is refused.

use std::sync::{Arc, PoisonError};

use http::Method;
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::keys::wire::{KeysAnswer, Rotate, Rotated};
use sidekey_protocol::keys::{ServiceKeys, reach};
use sidekey_protocol::policy::{self, Held, Reject, Scope, SeenPolicy};

use crate::admin::Admin;
use crate::error::Error;
use crate::party::Party;

/// Checks a policy under whichever of `keys` it names.
pub(crate) fn verify<'a>(
    jws: &str,
    keys: impl Iterator<Item = &'a VerifyingKey>,
    scope: &Scope<'_>,
    seen: Option<SeenPolicy>,
) -> Result<Held, Reject> {
    let mut verified = Err(Reject::KeyForeign);
    for key in keys {
        verified = policy::verify(jws, key, scope, seen);
        if !matches!(verified, Err(Reject::KeyForeign)) {
            break;
        }
    }
    verified
}

impl Party {
    /// What this party knows of them.
    pub(crate) fn service_keys(&self) -> Arc<ServiceKeys> {
        Arc::clone(&self.service_keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks a policy that the service has just answered. When it names a key that is not known, the service is asked
    /// whether another key has taken over.
    pub(crate) async fn verified(
        &self,
        jws: &str,
        scope: &Scope<'_>,
        seen: Option<SeenPolicy>,
    ) -> Result<Held, Error> {
        let check = || verify(jws, self.service_keys().in_force(self.transport.now()), scope, seen);
        match check() {
            Err(Reject::KeyForeign) => {
                self.follow_keys().await?;
                Ok(check()?)
            }
            checked => Ok(checked?),
        }
    }

    /// Asks for the service's keys and goes as far as statements lead from the one that is known. Durable before it is
    /// believed: a restart must not go back to the older one.
    pub(crate) async fn follow_keys(&self) -> Result<(), Error> {
        let answer: KeysAnswer =
            self.transport.call(Method::GET, KEYS).answer_up_to(KEYS_SIZE).send().await?;
        let Some(fresh) = self.service_keys().follow(self.service, &answer)? else { return Ok(()) };
        let fresh = Arc::new(fresh);
        let kept = Arc::clone(&fresh);
        let keep = self.kept.update(move |profile| {
            let newer = profile.service_keys.number() < kept.number();
            if newer {
                profile.service_keys = ServiceKeys::clone(&kept);
            }
            newer
        });
        keep.await?;
        let mut known = self.service_keys.lock().unwrap_or_else(PoisonError::into_inner);
        // A later question may have been answered first.
        if known.number() < fresh.number() {
            tracing::info!(pairing = %self.pairing, number = fresh.number(), "the service's signing key");
            *known = fresh;
        }
        Ok(())
    }
}

impl Admin {
    /// The service's signing keys, and what statements lead to from the key that the credential names.
    ///
    /// # Errors
    /// [`Error::Tampered`]: they do not lead to the active one.
    pub async fn keys(&self) -> Result<(KeysAnswer, ServiceKeys), Error> {
        let answer: KeysAnswer =
            self.transport().call(Method::GET, KEYS).answer_up_to(KEYS_SIZE).send().await?;
        let known = reach(self.service_key(), self.service(), &answer)?;
        Ok((answer, known))
    }

    /// Makes a fresh signing key, which takes over from the one named `from`; what that one signed counts for
    /// `overlap_s` more, or as the service is configured.
    ///
    /// # Errors
    /// [`Error::Refused`] with `key_replaced`: another has taken over, perhaps by this very call, whose answer was lost.
    pub async fn rotate_key(&self, from: &str, overlap_s: Option<u32>) -> Result<Rotated, Error> {
        let rotate = Rotate { from: from.to_owned(), overlap: overlap_s };
        self.transport().call(Method::POST, "/v1/keys/rotate").json(&rotate).send().await
    }

    /// What [`Admin::rotate_key`] would do. Changes nothing.
    ///
    /// # Errors
    /// As [`Admin::rotate_key`].
    pub async fn would_rotate_key(&self, from: &str, overlap_s: Option<u32>) -> Result<Rotated, Error> {
        let rotate = Rotate { from: from.to_owned(), overlap: overlap_s };
        let call = self.transport().call(Method::POST, "/v1/keys/rotate?dry_run=true");
        call.json(&rotate).repeatable().send().await
    }
}

const KEYS: &str = "/v1/keys";
/// Octets of the longest list: 64 keys and as many statements.
const KEYS_SIZE: usize = 128 * 1024;
