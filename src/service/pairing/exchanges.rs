//! Exchanges between `begin` and `finish`: in memory, for a minute, one for each invitation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sidekey_protocol::ids::{InvitationId, Timestamp};
use sidekey_protocol::pairing::{Begun, Reject};

use crate::http::problem::{Code, Problem};
use crate::store::Store;

/// Exchanges that are kept at one time.
const EXCHANGES_MAX: usize = 4096;

/// One invitation's exchange. Locked for the length of a `begin` or `finish`, so that two of them never cross.
type Exchange = Arc<tokio::sync::Mutex<Option<Begun>>>;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Exchanges(Mutex<HashMap<InvitationId, Exchange>>);

impl Exchanges {
    /// The exchange of an invitation that exists.
    ///
    /// # Errors
    /// 404 for an invitation that does not; 503 when too many are going on.
    pub(crate) fn of(&self, id: InvitationId, store: &Store, now: Timestamp) -> Result<Exchange, Problem> {
        store.invitation(id).ok_or(Reject::InvitationUnknown)?;
        let mut exchanges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanges.len() >= EXCHANGES_MAX && !exchanges.contains_key(&id) {
            exchanges.retain(|_, exchange| is_going_on(exchange, now));
            if exchanges.len() >= EXCHANGES_MAX {
                return Err(Code::Overloaded.into());
            }
        }
        Ok(exchanges.entry(id).or_default().clone())
    }
}

/// Whether somebody is at it, or may still finish it.
fn is_going_on(exchange: &Exchange, now: Timestamp) -> bool {
    match exchange.try_lock() {
        Ok(begun) => {
            Arc::strong_count(exchange) > 1 || begun.as_ref().is_some_and(|begun| begun.open(now).is_ok())
        }
        Err(_) => true,
    }
}
