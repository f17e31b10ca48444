//! Sessions as an administrator, and their own parties, see them. Keys are not among it.

use std::sync::Arc;

use axum::extract::State;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::pairing::registry::Page;
use sidekey_protocol::session::Reject;
use sidekey_protocol::session::registry::{self, SessionSeen, SessionsQuery};

use super::is_party;
use crate::http::auth::{Caller, Paired};
use crate::http::extract::{Json, Path};
use crate::http::list::{Listed, list};
use crate::http::problem::Problem;
use crate::store::{Session, SessionFilter, SessionState, Store};

/// `GET /v1/sessions`: of everybody, those that were over a moment ago among them.
pub(crate) async fn sessions(
    State(store): State<Arc<Store>>,
    Listed { page, filter: query }: Listed<SessionsQuery>,
) -> Json<Page<SessionSeen>> {
    let filter = SessionFilter {
        server: query.server,
        user: query.user,
        pairing: query.pairing,
        created_after: query.created_after,
        open: query.state.map(|state| state == registry::SessionState::Open),
    };
    let wanted = |seen: &SessionSeen| query.state.is_none_or(|state| state == seen.state);
    Json(list(store.sessions(page, &filter), |session| Some(seen(session)).filter(wanted)))
}

/// `GET /v1/sessions/{session}`: an administrator sees every one, a party its own; what is not its own is not there.
pub(crate) async fn shown(
    State(store): State<Arc<Store>>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> Result<Json<SessionSeen>, Problem> {
    let paired = Paired::of(caller)?;
    let visible = |session: &Session| paired.as_ref().is_none_or(|paired| is_party(paired, session));
    let session = store.session(id).filter(visible).ok_or(Reject::SessionUnknown)?;
    Ok(Json(seen(session)))
}

/// As whoever looks on sees it.
pub(super) fn seen(session: Session) -> SessionSeen {
    SessionSeen {
        session: session.id,
        server: session.server,
        user: session.user,
        pairing: session.audience,
        by: session.by,
        state: match session.state {
            SessionState::Open => registry::SessionState::Open,
            SessionState::Ended(_) => registry::SessionState::Ended,
            SessionState::Expired => registry::SessionState::Expired,
        },
        generation: session.generations.current,
        suite: session.suite,
        opened: session.not_before,
        not_before: session.generations.since,
        not_after: session.not_after,
    }
}
