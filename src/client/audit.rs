//! The audit log as a party reads it: its own entries, proven by the service's signature over the whole chain.

use http::Method;
use sidekey_protocol::audit::proof::{Proof, Reject, Walk};
use sidekey_protocol::audit::{Checkpoint, Entry, Position};
use sidekey_protocol::crypto::VerifyingKey;

use crate::admin::{Admin, AuditFilter, Paging};
use crate::error::{Error, Unintelligible};
use crate::party::Party;
use crate::session::{Client, Server};
use crate::transport::Transport;

/// What a party was told, and what proves it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditLog {
    /// Its own entries, oldest first.
    pub entries: Vec<Entry>,
    /// Where the chain stands, by the service's signature. Kept, it lets the next call begin here, and find a service
    /// that has rewritten what it said.
    pub position: Position,
    /// That signature: a JWS to keep elsewhere, for `sidekey audit verify --against`.
    pub checkpoint: String,
    /// How many of the checkpoints that it was held against are of places that the log does not keep any more.
    pub unseen: usize,
}

impl Client {
    /// This pairing's own entries of the audit log, after a place that an earlier call led to or from the beginning. Each
    /// is in the chain that the service signs; whether one is held back, nobody can prove.
    ///
    /// # Errors
    /// [`Error::Tampered`]: what came is not what was signed, or does not go on from that place. [`Error::Refused`] with
    /// `log_pruned`: what follows that place is not kept any more; without a place, the log is read from where it begins.
    pub async fn audit(&self, after: Option<Position>) -> Result<AuditLog, Error> {
        self.0.audit(after).await
    }
}

impl Server {
    /// As [`Client::audit`]: what concerns this mail server and its users.
    ///
    /// # Errors
    /// As [`Client::audit`].
    pub async fn audit(&self, after: Option<Position>) -> Result<AuditLog, Error> {
        self.0.audit(after).await
    }
}

impl Party {
    async fn audit(&self, after: Option<Position>) -> Result<AuditLog, Error> {
        let walk = Walk::after(after);
        let keys = || self.service_keys().in_force(self.transport.now()).cloned().collect();
        match walked(&self.transport, self.service, keys(), walk.clone()).await {
            // Another key may have taken over meanwhile.
            Err(Error::Tampered(crate::error::Tampered::Audit(Reject::CheckpointForeign))) => {
                self.follow_keys().await?;
                walked(&self.transport, self.service, keys(), walk).await
            }
            other => other,
        }
    }
}

impl Admin {
    /// Walks over the whole chain, past what was signed before, and up to what the service signs now.
    ///
    /// # Errors
    /// [`Error::Tampered`]: it is not the chain that was signed.
    pub async fn audit_walk(&self, past: &[Checkpoint]) -> Result<AuditLog, Error> {
        let (_, known) = self.keys().await?;
        let keys = known.in_force(self.transport().now()).cloned().collect();
        let walk = past.iter().fold(Walk::default(), |walk, checkpoint| walk.by(checkpoint.position));
        walked(self.transport(), self.service(), keys, walk).await
    }

    /// The service's word for where its chain stands.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn audit_checkpoint(&self) -> Result<String, Error> {
        let newest = AuditFilter { from: Some(u64::MAX), ..AuditFilter::default() };
        let one = Paging { page_size: Some(1), page_token: None };
        let mut after = self.audit(&newest, &one).await?.last;
        for _ in 0..PAGES_MAX {
            let proof = page(self.transport(), Some(after)).await?;
            if let Some(checkpoint) = proof.checkpoint {
                return Ok(checkpoint);
            }
            after = self.audit(&newest, &one).await?.last;
        }
        Err(Unintelligible::TooLarge.into())
    }
}

async fn walked(
    transport: &Transport,
    service: sidekey_protocol::ids::ServiceId,
    keys: Vec<VerifyingKey>,
    mut walk: Walk,
) -> Result<AuditLog, Error> {
    for _ in 0..PAGES_MAX {
        let proof = page(transport, walk.seq()).await?;
        if walk.take(&proof, service, &keys)? {
            let unseen = walk.passed_over();
            let (entries, position) = walk.finish();
            let checkpoint = proof.checkpoint.ok_or(Unintelligible::Malformed)?;
            return Ok(AuditLog { entries, position, checkpoint, unseen });
        }
    }
    Err(Unintelligible::TooLarge.into())
}

async fn page(transport: &Transport, after: Option<u64>) -> Result<Proof, Error> {
    let path = match after {
        Some(after) => format!("/v1/audit/proof?after={after}"),
        None => "/v1/audit/proof".to_owned(),
    };
    transport.call(Method::GET, path).answer_up_to(PAGE_SIZE).send().await
}

/// Octets of the longest page.
const PAGE_SIZE: usize = 4 << 20;
/// Pages of a chain of a hundred million records, and more.
const PAGES_MAX: u32 = 20_000;
