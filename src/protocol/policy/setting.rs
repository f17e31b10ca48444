//! What the enterprise sets, and what follows for one user (proto/session/spec.md, section 3).
//!
//! ```text
//!   built in ◀─ service ◀─ server ◀─ user          the most specific that says something wins, member by member
//!                                      │
//!                                      ▼
//!                                  Effective ── policy ──▶ Policy, which is signed and which clients insist on
//!                                      └────── rules ────▶ Rules, which the service alone keeps to
//! ```

use serde::{Deserialize, Serialize};

use super::{Mode, Policy, SEALED_ITEMS};
use crate::ids::{ServerName, ServiceId, UserName};
use crate::pairing::{self, Approval};
use crate::session::{self, SuiteList, TTL_MAX_S};

pub use super::asked::{Asked, Unsettable};

/// Seconds of the longest invitation where the enterprise has said nothing: its kind bounds it further.
const INVITATION_TTL_MAX_S: u32 = 7 * 86_400;
/// Devices of a user where the enterprise has said nothing.
const DEVICES_MAX: u32 = 32;
/// Sessions of a user at one time where the enterprise has said nothing: some 800 KiB of the service's memory.
const SESSIONS_MAX: u32 = 4096;

/// What is set at one level; what is absent is left to the level above.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Setting {
    /// What may be used, best first.
    pub suites: Option<SuiteList>,
    /// FETCH items whose values are sealed, in order.
    pub items: Option<Vec<String>>,
    /// Whose word a new device needs.
    pub approval: Option<Approval>,
    /// Seconds for which an invitation is open unless said.
    pub invitation_ttl: Option<u32>,
    /// Seconds of the longest invitation.
    pub invitation_ttl_max: Option<u32>,
    /// Seconds that a session lasts unless said.
    pub session_ttl: Option<u32>,
    /// Seconds of the longest session.
    pub session_ttl_max: Option<u32>,
    /// Live devices that a user may have.
    pub devices_max: Option<u32>,
    /// Sessions that a user may have at one time.
    pub sessions_max: Option<u32>,
}

impl Setting {
    /// Whether everything is left to the level above.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether both come to the same signed members: then nobody needs to be told.
    #[must_use]
    pub fn signs_as(&self, other: &Self) -> bool {
        self.suites == other.suites && self.items == other.items
    }
}

/// Where a member comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PolicyLevel"))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nobody has said anything.
    BuiltIn,
    /// It is set for the whole service.
    Service,
    /// It is set for this server.
    Server,
    /// It is set for this user.
    User,
}

/// What holds, and who said so.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "MemberOf{T}"))]
pub struct Member<T> {
    /// What holds.
    pub value: T,
    /// Who said so.
    pub from: Level,
}

/// What comes of all levels.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Effective {
    /// What may be used, best first.
    pub suites: Member<SuiteList>,
    /// How plaintext is taken.
    pub mode: Member<Mode>,
    /// FETCH items whose values are sealed.
    pub items: Member<Vec<String>>,
    /// Whose word a new device needs.
    pub approval: Member<Approval>,
    /// Seconds for which an invitation is open unless said.
    pub invitation_ttl: Member<u32>,
    /// Seconds of the longest invitation.
    pub invitation_ttl_max: Member<u32>,
    /// Seconds that a session lasts unless said.
    pub session_ttl: Member<u32>,
    /// Seconds of the longest session.
    pub session_ttl_max: Member<u32>,
    /// Live devices that a user may have.
    pub devices_max: Member<u32>,
    /// Sessions that a user may have at one time.
    pub sessions_max: Member<u32>,
}

/// The settings that concern somebody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels<'a> {
    /// Of the service.
    pub service: Option<&'a Setting>,
    /// Of the server.
    pub server: Option<&'a Setting>,
    /// Of the user.
    pub user: Option<&'a Setting>,
}

impl Levels<'_> {
    /// What comes of them.
    #[must_use]
    pub fn effective(&self) -> Effective {
        let mut effective = Effective {
            suites: self.member(SuiteList::ours, |setting| &setting.suites),
            mode: Member { value: Mode::Require, from: Level::BuiltIn },
            items: self.member(|| SEALED_ITEMS.map(str::to_owned).to_vec(), |setting| &setting.items),
            approval: self.member(Approval::default, |setting| &setting.approval),
            invitation_ttl: self.member(|| pairing::TTL_DEFAULT_S, |setting| &setting.invitation_ttl),
            invitation_ttl_max: self.member(|| INVITATION_TTL_MAX_S, |setting| &setting.invitation_ttl_max),
            session_ttl: self.member(|| session::TTL_DEFAULT_S, |setting| &setting.session_ttl),
            session_ttl_max: self.member(|| TTL_MAX_S, |setting| &setting.session_ttl_max),
            devices_max: self.member(|| DEVICES_MAX, |setting| &setting.devices_max),
            sessions_max: self.member(|| SESSIONS_MAX, |setting| &setting.sessions_max),
        };
        // A longest time bounds a usual one that another level set.
        effective.invitation_ttl = at_most(effective.invitation_ttl, effective.invitation_ttl_max);
        effective.session_ttl = at_most(effective.session_ttl, effective.session_ttl_max);
        effective
    }

    fn member<T: Clone>(
        &self,
        built_in: impl FnOnce() -> T,
        of: impl Fn(&Setting) -> &Option<T>,
    ) -> Member<T> {
        let levels = [(self.user, Level::User), (self.server, Level::Server), (self.service, Level::Service)];
        let said = levels.into_iter().find_map(|(setting, from)| {
            let value = of(setting?).clone()?;
            Some(Member { value, from })
        });
        said.unwrap_or_else(|| Member { value: built_in(), from: Level::BuiltIn })
    }
}

fn at_most(usual: Member<u32>, most: Member<u32>) -> Member<u32> {
    if usual.value <= most.value { usual } else { most }
}

impl Effective {
    /// What a user's clients must insist on.
    #[must_use]
    pub fn policy(&self, service: ServiceId, server: ServerName, user: UserName, version: u32) -> Policy {
        let (suites, items) = (self.suites.value.clone(), self.items.value.clone());
        Policy { service, server, user, version, suites, mode: self.mode.value, items }
    }

    /// What the service keeps to.
    #[must_use]
    pub const fn rules(&self) -> Rules {
        Rules {
            approval: self.approval.value,
            invitation_ttl_s: self.invitation_ttl.value,
            invitation_ttl_max_s: self.invitation_ttl_max.value,
            session_ttl_s: self.session_ttl.value,
            session_ttl_max_s: self.session_ttl_max.value,
            devices_max: self.devices_max.value,
            sessions_max: self.sessions_max.value,
        }
    }
}

/// What the service keeps to for one user at one server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Whose word a new device needs, unless its invitation says otherwise.
    pub approval: Approval,
    /// How long an invitation is open unless said.
    pub invitation_ttl_s: u32,
    /// How long at most.
    pub invitation_ttl_max_s: u32,
    /// How long a session lasts unless said.
    pub session_ttl_s: u32,
    /// How long at most.
    pub session_ttl_max_s: u32,
    /// Live devices at one time.
    pub devices_max: u32,
    /// Sessions at one time.
    pub sessions_max: u32,
}

impl Rules {
    /// Whether a user who has `live` devices may have one more.
    ///
    /// # Errors
    /// [`pairing::Reject::DeviceLimit`].
    pub fn admits_device(&self, live: usize) -> Result<(), pairing::Reject> {
        if live < self.devices_max as usize { Ok(()) } else { Err(pairing::Reject::DeviceLimit) }
    }

    /// Whether a user who has `kept` sessions, those among them that ended before their time, may have one more.
    ///
    /// # Errors
    /// [`session::Reject::SessionLimit`].
    pub fn admits_session(&self, kept: usize) -> Result<(), session::Reject> {
        if kept < self.sessions_max as usize { Ok(()) } else { Err(session::Reject::SessionLimit) }
    }

    /// How long an invitation is open for which `asked` was asked, and which may last `most_s` at most by its kind.
    ///
    /// # Errors
    /// [`pairing::Reject::TtlOutOfRange`]: refused, never clipped.
    pub fn invitation_ttl_s(&self, asked: Option<u32>, most_s: u32) -> Result<u32, pairing::Reject> {
        let most_s = most_s.min(self.invitation_ttl_max_s);
        let ttl_s = asked.unwrap_or_else(|| self.invitation_ttl_s.min(most_s));
        if ttl_s <= most_s { Ok(ttl_s) } else { Err(pairing::Reject::TtlOutOfRange) }
    }

    /// How long a session lasts for which `asked` was asked.
    ///
    /// # Errors
    /// [`session::Reject::TtlOutOfRange`], [`session::Reject::TtlBeyondPolicy`]: refused, never clipped.
    pub fn session_ttl_s(&self, asked: Option<u32>) -> Result<u32, session::Reject> {
        let ttl_s = session::ttl_s(Some(asked.unwrap_or(self.session_ttl_s)))?;
        if ttl_s <= self.session_ttl_max_s { Ok(ttl_s) } else { Err(session::Reject::TtlBeyondPolicy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<Setting, Unsettable> {
        serde_json::from_str::<Asked>(json).unwrap().parse()
    }

    #[test]
    fn each_flaw_of_a_setting_has_its_name_and_its_member() {
        use Unsettable as U;
        for (json, flaw) in [
            (r#"{"suites":[]}"#, U::SuitesUnknown),
            (r#"{"suites":["A265GCM"]}"#, U::SuitesUnknown),
            (r#"{"suites":["C20P","C20P"]}"#, U::SuitesUnknown),
            (r#"{"suites":["A256GCM","rc4"]}"#, U::SuiteLegacy),
            (r#"{"items":[]}"#, U::ItemsUnknown),
            (r#"{"items":["BODDY"]}"#, U::ItemsUnknown),
            (r#"{"items":["BODY","BODY"]}"#, U::ItemsUnknown),
            (r#"{"invitation_ttl":59}"#, U::InvitationTtlOutOfRange),
            (r#"{"invitation_ttl_max":604801}"#, U::InvitationTtlMaxOutOfRange),
            (r#"{"invitation_ttl":600,"invitation_ttl_max":300}"#, U::InvitationTtlBeyondMax),
            (r#"{"session_ttl":59}"#, U::SessionTtlOutOfRange),
            (r#"{"session_ttl_max":86401}"#, U::SessionTtlMaxOutOfRange),
            (r#"{"session_ttl":600,"session_ttl_max":300}"#, U::SessionTtlBeyondMax),
            (r#"{"devices_max":0}"#, U::DevicesOutOfRange),
            (r#"{"devices_max":1001}"#, U::DevicesOutOfRange),
            (r#"{"sessions_max":0}"#, U::SessionsOutOfRange),
        ] {
            assert_eq!(asked(json), Err(flaw), "{json}");
            assert!(json.contains(&format!(r#""{}":"#, flaw.member())), "{json}");
        }
        assert!(serde_json::from_str::<Asked>(r#"{"suits":["C20P"]}"#).is_err());
        assert_eq!(asked("{}"), Ok(Setting::default()));
        assert_eq!(asked(r#"{"items":["ENVELOPE","BODY"]}"#).unwrap().items.unwrap(), ["BODY", "ENVELOPE"]);
    }

    #[test]
    fn what_can_just_be_set_is_set_as_it_was_asked_and_read_back() {
        for json in [
            r#"{"invitation_ttl":60,"invitation_ttl_max":604800}"#,
            r#"{"invitation_ttl":600,"invitation_ttl_max":600}"#,
            r#"{"session_ttl":86400,"session_ttl_max":86400}"#,
            r#"{"suites":["C20P","A256GCM"],"items":["BODY"],"approval":"admin","devices_max":1,"sessions_max":100000}"#,
        ] {
            let setting = asked(json).unwrap();
            assert_eq!(serde_json::to_string(&Asked::from(&setting)).unwrap(), json);
            assert!(!setting.is_empty(), "{json}");
        }
        assert!(asked("{}").unwrap().is_empty());
        assert_eq!(asked(r#"{"sessions_max":100001}"#), Err(Unsettable::SessionsOutOfRange));
    }

    #[test]
    fn nobody_is_told_of_a_change_that_is_not_signed() {
        let signed = |json: &str| asked(json).unwrap();
        let before = signed(r#"{"suites":["C20P"],"items":["BODY"]}"#);
        assert!(before.signs_as(&signed(r#"{"suites":["C20P"],"items":["BODY"],"devices_max":3}"#)));
        assert!(!before.signs_as(&signed(r#"{"suites":["C20P"],"items":["ENVELOPE"]}"#)));
        assert!(!before.signs_as(&signed(r#"{"suites":["A256GCM"],"items":["BODY"]}"#)));
    }

    #[test]
    fn one_more_is_admitted_below_the_limit_and_not_at_it() {
        let setting = asked(r#"{"devices_max":2,"sessions_max":2}"#).unwrap();
        let rules = Levels { service: Some(&setting), ..Levels::default() }.effective().rules();
        for kept in [0, 1] {
            assert_eq!((rules.admits_device(kept), rules.admits_session(kept)), (Ok(()), Ok(())));
        }
        for kept in [2, 3] {
            assert_eq!(rules.admits_device(kept), Err(pairing::Reject::DeviceLimit));
            assert_eq!(rules.admits_session(kept), Err(session::Reject::SessionLimit));
        }
    }

    #[test]
    fn the_most_specific_wins_member_by_member() {
        let service = asked(r#"{"suites":["C20P"],"session_ttl":7200,"devices_max":3}"#).unwrap();
        let server = asked(r#"{"devices_max":5,"session_ttl_max":1800}"#).unwrap();
        let user = asked(r#"{"suites":["A256GCM"]}"#).unwrap();
        let levels = Levels { service: Some(&service), server: Some(&server), user: Some(&user) };
        let effective = levels.effective();
        assert_eq!(
            (effective.suites.value.names().next(), effective.suites.from),
            (Some("A256GCM"), Level::User)
        );
        assert_eq!(effective.devices_max, Member { value: 5, from: Level::Server });
        assert_eq!(effective.session_ttl, Member { value: 1800, from: Level::Server }, "bounded");
        assert_eq!(effective.approval, Member { value: Approval::None, from: Level::BuiltIn });
        let without = Levels { user: None, ..levels }.effective();
        assert_eq!(without.suites.from, Level::Service);
    }

    #[test]
    fn nothing_set_is_the_built_in_policy() {
        let (service, server, user) = (ServiceId::from_bytes([1; 16]), "mail", "ann");
        let (server, user): (ServerName, UserName) = (server.parse().unwrap(), user.parse().unwrap());
        let effective = Levels::default().effective();
        assert_eq!(effective.rules().invitation_ttl_max_s, 604_800);
        let policy = effective.policy(service, server.clone(), user.clone(), 1);
        assert_eq!(policy, Policy::built_in(service, server, user));
    }

    #[test]
    fn a_time_beyond_the_policy_is_refused_and_what_is_not_asked_fits() {
        let setting = asked(r#"{"session_ttl_max":600,"invitation_ttl":86400}"#).unwrap();
        let rules = Levels { server: Some(&setting), ..Levels::default() }.effective().rules();
        assert_eq!(rules.session_ttl_s(None), Ok(600));
        assert_eq!(rules.session_ttl_s(Some(601)), Err(session::Reject::TtlBeyondPolicy));
        assert_eq!(rules.session_ttl_s(Some(59)), Err(session::Reject::TtlOutOfRange));
        assert_eq!(rules.invitation_ttl_s(None, 900), Ok(900));
        assert_eq!(rules.invitation_ttl_s(None, 604_800), Ok(86_400));
        assert_eq!(rules.invitation_ttl_s(Some(901), 900), Err(pairing::Reject::TtlOutOfRange));
    }
}
