//! Approval: whose word a pairing needs whose code may have been read on its way, and the digits that the word is about
//! (proto/pairing/spec.md section 11).
//!
//! ```text
//!   finish ──▶ Waiting ──approve, and match where there was no pin──▶ active
//!                 │ (1)
//!                 ▼
//!          refused, or lapsed after 7 days
//! ```
//! (1) By whoever may approve, or by the fifth wrong digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Reject, TTL_RANGE_S};
use crate::crypto::{self, VerifyingKey, labels};
use crate::ids::{Malformed, Role, Timestamp};

/// Seconds for which a pairing waits to be approved.
pub const WAITING_S: u32 = 7 * 86_400;
/// Seconds of the longest invitation whose pairing is to be approved.
pub const APPROVED_TTL_MAX_S: u32 = 7 * 86_400;
/// Wrong digits that refuse a pairing.
pub const WRONG_MAX: u8 = 5;

/// Whose word a pairing needs before it may do anything.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nobody's: the code is handed over in person, or scanned.
    #[default]
    None,
    /// An administrator's.
    Admin,
    /// An administrator's, or that of another live device of the same user.
    Device,
}

impl Approval {
    /// What this comes to for a pairing of `role`: a mail server is no user's device.
    #[must_use]
    pub const fn of(self, role: Role) -> Self {
        match (self, role) {
            (Self::Device, Role::Server) => Self::Admin,
            _ => self,
        }
    }

    /// Whether anybody's is needed.
    #[must_use]
    pub const fn is_needed(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Seconds of the longest invitation: where the code alone does not pair, it may be under way for days.
    #[must_use]
    pub const fn ttl_max_s(self) -> u32 {
        if self.is_needed() { APPROVED_TTL_MAX_S } else { *TTL_RANGE_S.end() }
    }
}

/// What names a pairing to people: 16 decimal digits, which both sides of an exchange compute alike, and which nobody can
/// choose. Public, and shown by the device alone: whoever approves says which digits they were told.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Digits(u64);

impl Digits {
    /// `SHA-256(lp("digits", th, client SPKI)) mod 10^16`, the hash read as one big-endian number.
    #[must_use]
    pub fn of(th: &[u8; 32], key: &VerifyingKey) -> Self {
        let hash = crypto::hash(labels::DIGITS, &[th, key.spki()]);
        // 256 times what is below the modulus is within 64 bits.
        Self(hash.iter().fold(0, |number, &octet| (number * 256 + u64::from(octet)) % DIGITS_END))
    }
}

impl fmt::Display for Digits {
    /// In groups of four.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [1_000_000_000_000, 100_000_000, 10_000, 1].map(|unit| self.0 / unit % 10_000);
        write!(f, "{a:04} {b:04} {c:04} {d:04}")
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits")
    }
}

impl FromStr for Digits {
    type Err = Malformed;

    /// As people write them: spaces and hyphens mean nothing.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let plain = digits.len() == DIGITS_COUNT && digits.bytes().all(|octet| octet.is_ascii_digit());
        digits.parse().ok().filter(|_| plain).map(Self).ok_or(Malformed)
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A pairing's approval, from its `finish` on. While anything is missing, the pairing is *confirmed* and may do nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Waiting {
    /// Names the exchange.
    th: [u8; 32],
    approval: Approval,
    until: Timestamp,
    approved: bool,
    matched: bool,
    wrong: u8,
}

impl Waiting {
    /// Begins at `now`; nothing begins where nobody's word is needed. With a pin, the client knows whom it paired with.
    #[must_use]
    pub fn begin(approval: Approval, th: [u8; 32], pinned: bool, now: Timestamp) -> Option<Self> {
        let until = now.after_s(WAITING_S);
        approval.is_needed().then_some(Self {
            th,
            approval,
            until,
            approved: false,
            matched: pinned,
            wrong: 0,
        })
    }

    /// Whose word it is about.
    #[must_use]
    pub const fn approval(&self) -> Approval {
        self.approval
    }

    /// When it is over, unless the pairing is active by then.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// What is missing, first what is asked for first.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let needs = [(!self.approved, Need::Approval), (!self.matched, Need::Match)];
        needs.into_iter().filter_map(|(missing, need)| missing.then_some(need)).collect()
    }

    /// Whether the word was given.
    #[must_use]
    pub const fn is_approved(&self) -> bool {
        self.approved
    }

    /// Whether its user has said that the enterprise took their digits, or need not.
    #[must_use]
    pub const fn is_matched(&self) -> bool {
        self.matched
    }

    /// Whether anything is missing.
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        !(self.approved && self.matched)
    }

    /// Whether it was not approved in time.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.is_confirmed() && now >= self.until
    }

    /// That nothing is missing.
    ///
    /// # Errors
    /// [`Reject::ApprovalPending`], [`Reject::MatchPending`].
    pub fn active(&self) -> Result<(), Reject> {
        match (self.approved, self.matched) {
            (false, _) => Err(Reject::ApprovalPending),
            (true, false) => Err(Reject::MatchPending),
            (true, true) => Ok(()),
        }
    }

    /// Compares what the approver was told with what this pairing's device shows. Whether the word was given already, for
    /// which a repeat changes nothing.
    ///
    /// # Errors
    /// [`Reject::DigitsDiffer`]; [`Reject::DigitsSpent`] for those that refuse the pairing.
    pub fn compare(&self, key: &VerifyingKey, digits: Digits) -> Result<bool, Reject> {
        if Digits::of(&self.th, key) == digits {
            return Ok(self.approved);
        }
        let last = !self.approved && self.wrong + 1 >= WRONG_MAX;
        Err(if last { Reject::DigitsSpent } else { Reject::DigitsDiffer })
    }

    /// The word is given.
    pub const fn approve(&mut self) {
        self.approved = true;
    }

    /// The client's user says that the enterprise took their digits.
    pub const fn match_digits(&mut self) {
        self.matched = true;
    }

    /// Somebody came with other digits; whether they are refused from now on.
    pub const fn mistake(&mut self) -> bool {
        self.wrong += 1;
        self.wrong >= WRONG_MAX
    }
}

/// What a confirmed pairing waits for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The word of whoever may approve it.
    Approval,
    /// Its own user's word that the enterprise took their digits.
    Match,
}

const DIGITS_COUNT: usize = 16;
/// 10^16.
const DIGITS_END: u64 = 10_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::crypto::testing::hex;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../proto/pairing/approval.json")).unwrap()
    }

    fn case(case: &Value) -> ([u8; 32], VerifyingKey, String) {
        let th = hex(&case["th"]).try_into().unwrap();
        let key = VerifyingKey::from_spki(&hex(&case["client_key"])).unwrap();
        (th, key, case["digits"].as_str().unwrap().to_owned())
    }

    #[test]
    fn both_sides_compute_the_published_digits() {
        let vectors = vectors();
        let cases = vectors["digits"].as_array().unwrap();
        for (th, key, digits) in cases.iter().map(case) {
            assert_eq!(Digits::of(&th, &key).to_string(), digits);
        }
        assert!(cases.iter().any(|case| case["digits"].as_str().unwrap().starts_with('0')), "padded");
    }

    #[test]
    fn digits_are_read_as_people_write_them_and_in_no_other_way() {
        let digits: Digits = "0012 3456 7890 1234".parse().unwrap();
        for other in ["0012345678901234", "0012-3456-7890-1234", " 00123456 78901234 "] {
            assert_eq!(other.parse(), Ok(digits), "{other}");
        }
        assert_eq!(digits.to_string(), "0012 3456 7890 1234");
        assert_eq!(format!("{digits:?}"), "Digits");
        for other in
            ["", "12 3456 7890 1234", "0012 3456 7890 12345", "0012 3456 7890 123４", "+012345678901234"]
        {
            assert_eq!(other.parse::<Digits>(), Err(Malformed), "{other}");
        }
    }

    #[test]
    fn a_word_is_needed_and_a_match_where_there_was_no_pin() {
        let begin = |pinned| Waiting::begin(Approval::Admin, [7; 32], pinned, NOW).unwrap();
        let mut pinned = begin(true);
        assert_eq!((pinned.active(), pinned.needs()), (Err(Reject::ApprovalPending), vec![Need::Approval]));
        pinned.approve();
        assert_eq!((pinned.active(), pinned.needs()), (Ok(()), vec![]));
        let mut typed = begin(false);
        assert_eq!(typed.needs(), [Need::Approval, Need::Match]);
        typed.match_digits();
        assert_eq!(typed.active(), Err(Reject::ApprovalPending));
        let mut typed = begin(false);
        typed.approve();
        assert_eq!(typed.active(), Err(Reject::MatchPending));
        typed.match_digits();
        assert_eq!(typed.active(), Ok(()));
        assert_eq!(Waiting::begin(Approval::None, [7; 32], false, NOW), None);
    }

    #[test]
    fn it_is_over_after_seven_days_unless_it_is_active() {
        let mut waiting = Waiting::begin(Approval::Admin, [7; 32], true, NOW).unwrap();
        assert!(!waiting.is_over(NOW.after_s(WAITING_S - 1)));
        assert!(waiting.is_over(NOW.after_s(WAITING_S)));
        waiting.approve();
        assert!(!waiting.is_over(NOW.after_s(WAITING_S)));
    }

    #[test]
    fn the_fifth_wrong_digits_refuse_and_after_the_word_none_do() {
        let (th, key, digits) = case(&vectors()["digits"][0]);
        let (right, wrong) = (digits.parse().unwrap(), "0000 0000 0000 0000".parse().unwrap());
        let mut waiting = Waiting::begin(Approval::Device, th, true, NOW).unwrap();
        for _ in 1..WRONG_MAX {
            assert_eq!(waiting.compare(&key, wrong), Err(Reject::DigitsDiffer));
            assert!(!waiting.mistake());
        }
        assert_eq!(waiting.compare(&key, wrong), Err(Reject::DigitsSpent));
        assert_eq!(waiting.compare(&key, right), Ok(false));
        let mut approved = waiting.clone();
        approved.approve();
        assert_eq!(approved.compare(&key, right), Ok(true));
        assert_eq!(approved.compare(&key, wrong), Err(Reject::DigitsDiffer));
        assert!(waiting.mistake());
    }

    #[test]
    fn a_mail_server_is_approved_by_an_administrator() {
        assert_eq!(Approval::Device.of(Role::Server), Approval::Admin);
        assert_eq!(Approval::Device.of(Role::Client), Approval::Device);
        assert_eq!(Approval::None.of(Role::Server), Approval::None);
        assert_eq!((Approval::None.ttl_max_s(), Approval::Admin.ttl_max_s()), (900, 604_800));
    }
}
