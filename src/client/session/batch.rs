//! Many sessions at once.

use std::sync::Arc;

use http::Method;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::batch::{BatchAnswer, OpenBatch};
use sidekey_protocol::session::envelope::{self, set};
use sidekey_protocol::session::{Audience, Capabilities};

use super::{Server, SessionKey};
use crate::error::Error;
use crate::party::Asked;

impl Server {
    /// Opens a session for each of up to 256 users or pairings, none of them named twice: all of the sessions, or none.
    /// The keys come in the order of `audiences`. One call opens them once, however often it must be repeated on the way.
    ///
    /// # Errors
    /// As [`Server::issue`]; the detail of [`Error::Refused`] says which of `audiences` is meant.
    pub async fn issue_batch(
        &self,
        audiences: &[Audience],
        ttl_s: Option<u32>,
        capabilities: &Capabilities,
    ) -> Result<Vec<Arc<SessionKey>>, Error> {
        let request = OpenBatch {
            audiences: audiences.iter().map(Into::into).collect(),
            ttl: ttl_s,
            capabilities: capabilities.iter().map(str::to_owned).collect(),
            deliver: Vec::new(),
        };
        let once = self.0.transport.ambient().with_rng(|mut rng| SessionId::random(&mut rng)).to_string();
        let call =
            self.0.transport.call(Method::POST, "/v1/sessions/batch").json(&request).idempotency_key(once);
        let (missed, keys) = (self.0.cache.missed(), self.0.epochs.keys());
        let asked = Asked { keys, ..Asked::default() };
        let answer: BatchAnswer = call.answer_up_to(set::SIZE_MAX + 64).send().await?;
        let mut keys = Vec::with_capacity(audiences.len());
        let opened = self.0.open_set(&asked, &answer.keys, audiences.len())?;
        for (opened, audience) in opened.into_iter().zip(audiences) {
            let user = match audience {
                Audience::User(user) => Some(user),
                Audience::Pairing(_) => None,
            };
            let asked = Asked { user, capabilities: Some(capabilities), ..Asked::default() };
            envelope::check(&opened.bindings, &self.0.expected(&asked), self.0.transport.now())?;
            keys.push(self.0.agreed(opened, &asked).await?);
        }
        for key in &keys {
            let slot = self.0.cache.slot(key.session(), self.0.transport.now());
            // Events find the slots from here on; those that came before may have been about these sessions.
            if self.0.cache.missed() == missed {
                slot.put(key, slot.drops());
            }
        }
        Ok(keys)
    }
}
