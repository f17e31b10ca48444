//! Whether a data folder has what a service acknowledged.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rand_core::UnwrapErr;
use sidekey_client::protocol::crypto::Secret;
use sidekey_client::protocol::encoding::from_base64url;
use sidekey_client::protocol::ids::ServerName;
use sidekey_service::clock::SystemClock;
use sidekey_service::fault::Fault;
use sidekey_service::store::{Page, SessionState, Store};

use crate::load::Acknowledged;

/// Opens the store of `data`.
pub(crate) fn open(data: &Path) -> Result<Store, Fault> {
    let text = std::fs::read_to_string(data.join("root.key")).unwrap();
    let root = Secret::copy_of(&from_base64url(text.trim_end()).unwrap()).unwrap();
    Store::open(data, root, Arc::new(SystemClock), Box::new(UnwrapErr(getrandom::SysRng)))
}

/// What of the acknowledged is not in the store.
pub(crate) fn missing<'a>(
    store: &Store,
    acknowledged: impl Iterator<Item = &'a Acknowledged>,
) -> Vec<&'a Acknowledged> {
    let page = Page { size: usize::MAX, after: 0 };
    let servers: BTreeSet<ServerName> =
        store.servers(page).items.into_iter().map(|server| server.name).collect();
    let holds = |what: &&Acknowledged| match what {
        Acknowledged::ServerAdded(name) => servers.contains(name),
        Acknowledged::Opened(id) => store.session(*id).is_some(),
        Acknowledged::Rotated(id) => {
            store.session(*id).is_some_and(|session| session.generations.current > 0)
        }
        Acknowledged::Ended(id) => {
            store.session(*id).is_some_and(|session| matches!(session.state, SessionState::Ended(_)))
        }
        Acknowledged::Revoked(id) => store.party(*id).is_some_and(|party| party.revoked.is_some()),
    };
    acknowledged.filter(|what| !holds(what)).collect()
}
