//! Who calls: the bearer token that the party signed itself, and the party's state at this moment.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use sidekey_protocol::ids::{PartyId, Role, ServerName, UserName};
use sidekey_protocol::pairing::rekey;
use sidekey_protocol::token::{self, Presented};

use super::problem::{Code, Problem};
use crate::app::App;
use crate::store::{self, Party, Rights};

/// Which parties a route admits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Who(u8);

/// Nobody needs a token.
pub(crate) const ANYBODY: Who = Who(0);
/// Administrators.
pub(crate) const ADMIN: Who = Who(1);
/// Server pairings.
pub(crate) const SERVER: Who = Who(4);
/// Server pairings, and administrators.
pub(crate) const SERVING: Who = Who(ADMIN.0 | SERVER.0);
/// Users' devices, and administrators.
pub(crate) const PERSONS: Who = Who(ADMIN.0 | 2);
/// Pairings of either role.
pub(crate) const PAIRED: Who = Who(2 | SERVER.0);
/// Whoever has a token.
pub(crate) const EVERY_PARTY: Who = Who(ADMIN.0 | PAIRED.0);
/// Pairings of either role, those too that wait to be approved.
pub(crate) const CONFIRMED: Who = Who(PAIRED.0 | 8);
/// Whoever has a token, those too that wait to be approved.
pub(crate) const ANY_PARTY: Who = Who(EVERY_PARTY.0 | CONFIRMED.0);

impl Who {
    /// Whether no token is needed.
    pub(crate) const fn is_anybody(self) -> bool {
        self.0 == ANYBODY.0
    }

    /// Whether pairings are turned away that wait to be approved.
    pub(crate) const fn turns_away_confirmed(self) -> bool {
        self.0 & PAIRED.0 != 0 && self.0 & 8 == 0
    }

    /// Their names, for whoever reads the interface's description.
    pub(crate) fn roles(self) -> Vec<&'static str> {
        let names = [(ADMIN.0, "admin"), (2, "client"), (SERVER.0, "server")];
        names.into_iter().filter(|(who, _)| self.0 & who != 0).map(|(_, name)| name).collect()
    }

    /// Whether `caller` is one of them.
    pub(crate) fn admits(self, caller: &Caller) -> bool {
        let who = match caller.party.rights {
            Rights::Admin => 1,
            Rights::Pairing { role: Role::Client, .. } => 2,
            Rights::Pairing { role: Role::Server, .. } => 4,
        };
        self.0 & who != 0
    }
}

/// A party that was not over when its request came.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// As it stood then.
    pub(crate) party: Arc<Party>,
    /// The key-encryption key that it says it uses.
    pub(crate) kek: Option<[u8; 8]>,
}

/// A caller that is a pairing: what its role is, and where.
#[derive(Clone, Debug)]
pub(crate) struct Paired {
    pub(crate) party: Arc<Party>,
    pub(crate) kek: Option<[u8; 8]>,
    pub(crate) role: Role,
    pub(crate) server: ServerName,
    /// A client's.
    pub(crate) user: Option<UserName>,
}

impl Caller {
    /// Its id.
    pub(crate) fn party(&self) -> PartyId {
        self.party.id
    }

    /// That the epoch whose key-encryption key its token names is the one that the pairing is in. A token that names none
    /// is of whoever takes what there is.
    ///
    /// # Errors
    /// [`rekey::Reject::EpochUnknown`]: it was replaced, or never was.
    pub(crate) fn epoch(&self) -> Result<(), rekey::Reject> {
        match self.kek {
            Some(used) if used != self.party.kek => Err(rekey::Reject::EpochUnknown),
            _ => Ok(()),
        }
    }
}

impl Paired {
    /// The caller as a pairing; `None` when it is an administrator.
    ///
    /// # Errors
    /// As [`Caller::epoch`].
    pub(crate) fn of(caller: Caller) -> Result<Option<Self>, Problem> {
        caller.epoch()?;
        let Caller { party, kek } = caller;
        let Some((role, server, user)) = party.place() else { return Ok(None) };
        let (server, user) = (server.clone(), user.cloned());
        Ok(Some(Self { party, kek, role, server, user }))
    }

    /// The user that a query is about: a client's own, whoever a server names.
    pub(crate) fn about(&self, asked: Option<UserName>) -> Result<UserName, Problem> {
        match (&self.user, asked) {
            (Some(own), None) => Ok(own.clone()),
            (Some(own), Some(asked)) if *own == asked => Ok(asked),
            (Some(_), Some(_)) => Err(Code::NotFound.into()),
            (None, Some(asked)) => Ok(asked),
            (None, None) => {
                Err(Problem::field(Code::QueryInvalid, "user", super::problem::FieldFault::Missing))
            }
        }
    }
}

/// Finds out who calls: one token, verified or known, of a party that is live now. One that is not known costs, and
/// `afford` says whether its sender may have it looked at.
///
/// # Errors
/// 401 for everything that is wrong with the token; 410 `revoked`, `pairing_refused` or `lapsed` to the party itself; what `afford` says.
pub(crate) fn caller(
    app: &App,
    headers: &HeaderMap,
    afford: impl FnOnce() -> Result<(), Problem>,
) -> Result<Caller, Problem> {
    let text = bearer(headers)?;
    // A clock that went back is the right one to whoever asks, and by it a revocation must still be possible.
    let now = app.store.present();
    let (verified, party) = match app.tokens.known(text, now) {
        Some(verified) => (verified, found(app, verified.party)?),
        None => {
            let token = Presented::read(text)?;
            afford()?;
            let party = found(app, token.party())?;
            let verified = token.verify(&party.key, app.service, now)?;
            app.tokens.remember(text, verified);
            (verified, party)
        }
    };
    party.still_standing().map_err(store::Error::from)?;
    Ok(Caller { party, kek: verified.kek })
}

/// A party that is not there and a signature that is not its own look the same.
fn found(app: &App, party: PartyId) -> Result<Arc<Party>, token::Reject> {
    app.store.party(party).ok_or(token::Reject::SignatureWrong)
}

/// The token of the one Authorization header.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Code::TokenMissing)?;
    if values.next().is_some() {
        return Err(Code::HeaderRepeated.into());
    }
    let text = value.to_str().map_err(|_| token::Reject::NotThreeParts)?;
    let (scheme, token) = text.split_once(' ').ok_or(Code::TokenMissing)?;
    if scheme.eq_ignore_ascii_case("Bearer") { Ok(token) } else { Err(Code::TokenMissing.into()) }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// The guard put it there. A route for anybody has none.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::TokenMissing.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paired {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Self::of(caller)?.ok_or_else(|| Code::RoleForbidden.into())
    }
}
