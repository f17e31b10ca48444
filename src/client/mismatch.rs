//! Why nothing opens: who was shown other lists derives other object keys, and the first frame tells.

use sidekey_protocol::object::{Agreed, Context, Kind, Reject, ServerToClient};
use sidekey_protocol::session::envelope;
use sidekey_protocol::session::{Capabilities, OFFER_OF_SEVERAL};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{Downgrade, Error, Mismatch, Tampered};
use crate::object::{NotOpened, open};
use crate::session::{Client, SessionKey};

impl Client {
    /// Opens the frame of one FETCH item, as [`open`] does. When not even its first record opens, looks once for the
    /// reason among what went into the keys: `shown` is what the server says on the mail path that it can do, where it
    /// says so.
    ///
    /// # Errors
    /// As [`open`]; [`Error::Mismatch`] names the list on which the two sides disagree.
    pub async fn open_frame(
        &self,
        key: &SessionKey,
        place: &Context<ServerToClient>,
        frame: impl AsyncRead + Unpin,
        value: impl AsyncWrite + Unpin,
        shown: Option<&Capabilities>,
    ) -> Result<Kind, NotOpened> {
        let opened = open(self.opener(key, place)?, frame, value).await;
        let Err(NotOpened::Refused(Error::Tampered(Tampered::Object(Reject::FirstRecordUnverified)))) =
            &opened
        else {
            return opened;
        };
        match self.mismatch(key, shown).await {
            Some(mismatch) => Err(Error::Mismatch(mismatch).into()),
            // The frame itself was altered, as far as anybody here can tell.
            None => opened,
        }
    }

    /// What of a key is not as the server shows it, as this device offered it, or as the service says it now.
    async fn mismatch(&self, key: &SessionKey, shown: Option<&Capabilities>) -> Option<Mismatch> {
        let agreed = key.agreed();
        if shown.is_some_and(|shown| shown.hash() != agreed.capabilities_hash) {
            return Some(Mismatch::Capabilities);
        }
        if agreed.offer_hash != OFFER_OF_SEVERAL && agreed.offer_hash != self.0.offer.offer_hash() {
            return Some(Mismatch::Offer);
        }
        // Two requests; whoever sends one altered frame after another shall not make us send more.
        if !key.doubt() {
            return None;
        }
        match self.0.fetch(key.session(), Some(key.generation()), 0).await {
            Ok(again) => differs(agreed, again.agreed()),
            Err(Error::Downgrade(Downgrade::Envelope(reject))) => named(reject),
            Err(_) => match self.policy().await {
                Ok(held) if held.hash != agreed.policy_hash => Some(Mismatch::Policy),
                _ => None,
            },
        }
    }
}

/// The first of what went into the object keys in which two envelopes of one generation differ.
fn differs(one: &Agreed, other: &Agreed) -> Option<Mismatch> {
    let members = [
        (one.policy_hash == other.policy_hash, Mismatch::Policy),
        (one.capabilities_hash == other.capabilities_hash, Mismatch::Capabilities),
        (one.offer_hash == other.offer_hash, Mismatch::Offer),
        (one.suite == other.suite, Mismatch::Suite),
    ];
    members.into_iter().find_map(|(same, mismatch)| (!same).then_some(mismatch))
}

fn named(reject: envelope::Reject) -> Option<Mismatch> {
    match reject {
        envelope::Reject::CapabilitiesForeign => Some(Mismatch::Capabilities),
        envelope::Reject::OfferForeign => Some(Mismatch::Offer),
        envelope::Reject::PolicyForeign => Some(Mismatch::Policy),
        envelope::Reject::SuiteDowngraded => Some(Mismatch::Suite),
        _ => None,
    }
}
