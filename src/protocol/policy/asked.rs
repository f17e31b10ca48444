//! What an administrator asks to be set, and why it cannot be.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::SEALED_ITEMS;
use super::setting::Setting;
use crate::pairing::Approval;
use crate::session::{self, Suite, SuiteList, TTL_MAX_S, TTL_MIN_S};

/// Seconds that an invitation may be set to last.
const INVITATION_TTL_RANGE_S: RangeInclusive<u32> = 60..=7 * 86_400;
/// Seconds that a session may be set to last.
const SESSION_TTL_RANGE_S: RangeInclusive<u32> = TTL_MIN_S..=TTL_MAX_S;
/// Devices that a user may be allowed.
const DEVICES_RANGE: RangeInclusive<u32> = 1..=1000;
/// Sessions at one time that a user may be allowed.
const SESSIONS_RANGE: RangeInclusive<u32> = 1..=100_000;

/// Why a setting is refused. Each is about one member.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsettable {
    /// Not 1 to 1000.
    #[error("devices_max must be between 1 and 1000")]
    DevicesOutOfRange,
    /// The usual time is longer than the longest.
    #[error("invitation_ttl must not exceed invitation_ttl_max")]
    InvitationTtlBeyondMax,
    /// Not a minute to a week.
    #[error("invitation_ttl_max must be between 60 and 604800 seconds")]
    InvitationTtlMaxOutOfRange,
    /// Not a minute to a week.
    #[error("invitation_ttl must be between 60 and 604800 seconds")]
    InvitationTtlOutOfRange,
    /// No item, one twice, or one that is not sealed at all.
    #[error("items must be some of the FETCH items that can be sealed, each once")]
    ItemsUnknown,
    /// The usual time is longer than the longest.
    #[error("session_ttl must not exceed session_ttl_max")]
    SessionTtlBeyondMax,
    /// Not a minute to a day.
    #[error("session_ttl_max must be between 60 and 86400 seconds")]
    SessionTtlMaxOutOfRange,
    /// Not a minute to a day.
    #[error("session_ttl must be between 60 and 86400 seconds")]
    SessionTtlOutOfRange,
    /// Not 1 to 100000.
    #[error("sessions_max must be between 1 and 100000")]
    SessionsOutOfRange,
    /// 3DES, RC4 or bare AES.
    #[error("suites name 3DES, RC4 or AES: such a list is refused whole")]
    SuiteLegacy,
    /// No suite, one twice, or one that nobody has.
    #[error("suites must be some of A256GCM and C20P, each once")]
    SuitesUnknown,
}

impl Unsettable {
    /// The member that it is about.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::DevicesOutOfRange => "devices_max",
            Self::InvitationTtlBeyondMax | Self::InvitationTtlOutOfRange => "invitation_ttl",
            Self::InvitationTtlMaxOutOfRange => "invitation_ttl_max",
            Self::ItemsUnknown => "items",
            Self::SessionTtlBeyondMax | Self::SessionTtlOutOfRange => "session_ttl",
            Self::SessionTtlMaxOutOfRange => "session_ttl_max",
            Self::SessionsOutOfRange => "sessions_max",
            Self::SuiteLegacy | Self::SuitesUnknown => "suites",
        }
    }
}

/// What is set at one level, as it comes; [`Asked::parse`] says whether it can be.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PolicySetting"))]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// What may be used, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1), extend("items" = {"enum": ["A256GCM", "C20P"]}, "uniqueItems" = true)))]
    pub suites: Option<Vec<String>>,
    /// FETCH items whose values are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(length(min = 1), extend("items" = {"enum": SEALED_ITEMS}, "uniqueItems" = true)))]
    pub items: Option<Vec<String>>,
    /// Whose word a new device needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Seconds for which an invitation is open unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = 604_800)))]
    pub invitation_ttl: Option<u32>,
    /// Seconds of the longest invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = 604_800)))]
    pub invitation_ttl_max: Option<u32>,
    /// Seconds that a session lasts unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = 86_400)))]
    pub session_ttl: Option<u32>,
    /// Seconds of the longest session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = 86_400)))]
    pub session_ttl_max: Option<u32>,
    /// Live devices that a user may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = 1000)))]
    pub devices_max: Option<u32>,
    /// Sessions that a user may have at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = 100_000)))]
    pub sessions_max: Option<u32>,
}

impl Asked {
    /// Reads it: nothing that is accepted here is ignored later.
    ///
    /// # Errors
    /// [`Unsettable`] names the member.
    pub fn parse(&self) -> Result<Setting, Unsettable> {
        use Unsettable as U;
        within(self.invitation_ttl, &INVITATION_TTL_RANGE_S, U::InvitationTtlOutOfRange)?;
        within(self.invitation_ttl_max, &INVITATION_TTL_RANGE_S, U::InvitationTtlMaxOutOfRange)?;
        within(self.session_ttl, &SESSION_TTL_RANGE_S, U::SessionTtlOutOfRange)?;
        within(self.session_ttl_max, &SESSION_TTL_RANGE_S, U::SessionTtlMaxOutOfRange)?;
        within(self.devices_max, &DEVICES_RANGE, U::DevicesOutOfRange)?;
        within(self.sessions_max, &SESSIONS_RANGE, U::SessionsOutOfRange)?;
        ordered(self.invitation_ttl, self.invitation_ttl_max, U::InvitationTtlBeyondMax)?;
        ordered(self.session_ttl, self.session_ttl_max, U::SessionTtlBeyondMax)?;
        Ok(Setting {
            suites: self.suites.as_deref().map(suites).transpose()?,
            items: self.items.as_deref().map(items).transpose()?,
            approval: self.approval,
            invitation_ttl: self.invitation_ttl,
            invitation_ttl_max: self.invitation_ttl_max,
            session_ttl: self.session_ttl,
            session_ttl_max: self.session_ttl_max,
            devices_max: self.devices_max,
            sessions_max: self.sessions_max,
        })
    }
}

fn within(value: Option<u32>, range: &RangeInclusive<u32>, otherwise: Unsettable) -> Result<(), Unsettable> {
    if value.is_none_or(|value| range.contains(&value)) { Ok(()) } else { Err(otherwise) }
}

fn ordered(usual: Option<u32>, most: Option<u32>, otherwise: Unsettable) -> Result<(), Unsettable> {
    match (usual, most) {
        (Some(usual), Some(most)) if usual > most => Err(otherwise),
        _ => Ok(()),
    }
}

/// A name that nobody knows would be skipped by everybody: here it is a slip of the pen.
fn suites(names: &[String]) -> Result<SuiteList, Unsettable> {
    let list = SuiteList::parse(names).map_err(|reject| match reject {
        session::Reject::SuiteLegacy => Unsettable::SuiteLegacy,
        _ => Unsettable::SuitesUnknown,
    })?;
    let known = names.iter().all(|name| Suite::from_name(name).is_some());
    if known && each_once(names) { Ok(list) } else { Err(Unsettable::SuitesUnknown) }
}

fn items(names: &[String]) -> Result<Vec<String>, Unsettable> {
    let known = names.iter().all(|name| SEALED_ITEMS.contains(&name.as_str()));
    if names.is_empty() || !known || !each_once(names) {
        return Err(Unsettable::ItemsUnknown);
    }
    let mut items = names.to_vec();
    items.sort_unstable();
    Ok(items)
}

fn each_once(names: &[String]) -> bool {
    names.iter().enumerate().all(|(n, name)| !names[..n].contains(name))
}

impl From<&Setting> for Asked {
    fn from(setting: &Setting) -> Self {
        let names = |suites: &SuiteList| suites.names().map(str::to_owned).collect();
        Self {
            suites: setting.suites.as_ref().map(names),
            items: setting.items.clone(),
            approval: setting.approval,
            invitation_ttl: setting.invitation_ttl,
            invitation_ttl_max: setting.invitation_ttl_max,
            session_ttl: setting.session_ttl,
            session_ttl_max: setting.session_ttl_max,
            devices_max: setting.devices_max,
            sessions_max: setting.sessions_max,
        }
    }
}
