//! Days, and moments in a zone, as IMAP writes them.

use std::fmt;

use super::Refusal;

/// A day, as SEARCH names it: `1-Feb-2026`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A moment, as APPEND names it: `" 1-Feb-2026 08:00:00 +0100"`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DateTime {
    date: Date,
    hour: u8,
    minute: u8,
    second: u8,
    /// Minutes east of Greenwich.
    zone: i16,
}

impl Date {
    /// A day that there is, in the years 1 to 9999.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        ((1..=9999).contains(&year) && (1..=days).contains(&day)).then_some(Self { year, month, day })
    }

    /// # Errors
    /// [`Refusal::DateMalformed`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        read_date(text).ok_or(Refusal::DateMalformed)
    }

    /// Days since 1 January 1970 (Hinnant, "chrono-compatible low-level date algorithms").
    fn days(self) -> i64 {
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }
}

impl DateTime {
    /// Of a day, a time and minutes east of Greenwich. A second of 60 is taken: some minutes have it.
    #[must_use]
    pub fn new(date: Date, [hour, minute, second]: [u8; 3], zone: i16) -> Option<Self> {
        let valid = hour < 24 && minute < 60 && second <= 60 && zone.unsigned_abs() < 100 * 60;
        valid.then_some(Self { date, hour, minute, second, zone })
    }

    /// What stands between the quotes.
    ///
    /// # Errors
    /// [`Refusal::DateMalformed`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        read_date_time(text).ok_or(Refusal::DateMalformed)
    }

    /// Seconds since 1970 in UTC: what the context of an APPEND has.
    #[must_use]
    pub fn unix_s(self) -> i64 {
        let time = (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        self.date.days() * 86_400 + time - i64::from(self.zone) * 60
    }
}

fn read_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !(1..=2).contains(&day.len()) || year.len() != 4 {
        return None;
    }
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    Date::new(digits(year)?, u8::try_from(month).ok()?, u8::try_from(digits(day)?).ok()?)
}

fn read_date_time(text: &str) -> Option<DateTime> {
    if text.len() != 26 || !text.is_ascii() {
        return None;
    }
    let (date, time, zone) = (&text[..11], &text[11..20], &text[20..]);
    let date = read_date(date.strip_prefix(' ').unwrap_or(date))?;
    let two = |at: usize| digits(&time[at..at + 2]).and_then(|n| u8::try_from(n).ok());
    if [&time[0..1], &time[3..4], &time[6..7], &zone[0..1]] != [" ", ":", ":", " "] {
        return None;
    }
    let sign = match &zone[1..2] {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(&zone[2..4])?, digits(&zone[4..6])?);
    if minutes >= 60 {
        return None;
    }
    let east = i16::try_from(hours * 60 + minutes).ok()?;
    DateTime::new(date, [two(1)?, two(4)?, two(7)?], sign * east)
}

/// Up to four digits.
fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = MONTHS[usize::from(self.month) - 1];
        write!(f, "{}-{month}-{:04}", self.day, self.year)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, zone) = (if self.zone < 0 { '-' } else { '+' }, self.zone.unsigned_abs());
        let space = if self.date.day < 10 { " " } else { "" };
        write!(f, "{space}{} {:02}:{:02}:{:02} ", self.date, self.hour, self.minute, self.second)?;
        write!(f, "{sign}{:02}{:02}", zone / 60, zone % 60)
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds_in_utc() {
        for (text, unix_s) in [
            (" 1-Jan-1970 00:00:00 +0000", 0),
            ("01-jan-1970 01:00:00 +0100", 0),
            ("31-Dec-1969 23:59:59 +0000", -1),
            ("29-Feb-2024 12:00:00 -0330", 1_709_220_600),
            ("29-Nov-2026 19:07:44 +0000", 1_795_979_264),
        ] {
            assert_eq!(DateTime::parse(text).unwrap().unix_s(), unix_s, "{text}");
        }
        assert_eq!(
            DateTime::parse("01-jan-2026 01:02:03 -0000").unwrap().to_string(),
            " 1-Jan-2026 01:02:03 +0000"
        );
    }

    #[test]
    fn days_that_are_not_are_refused() {
        assert_eq!(Date::parse("01-FEB-2026").unwrap().to_string(), "1-Feb-2026");
        for text in [
            "29-Feb-2026",
            "0-Jan-2026",
            "1-Jan-26",
            "1-Foo-2026",
            "1-Jan-2026-1",
            "+1-Jan-2026",
            "",
            "31-Apr-2026",
        ] {
            assert_eq!(Date::parse(text), Err(Refusal::DateMalformed), "{text}");
        }
        for text in [
            "1-Jan-2026 01:02:03 +0000",
            " 1-Jan-2026 24:02:03 +0000",
            " 1-Jan-2026 01:02:03 +0060",
            " 1-Jan-2026 01:02:03 00000",
            " 1-Jan-2026 01-02:03 +0000",
            " 1-Jan-2026 01:02:03 +00é",
        ] {
            assert_eq!(DateTime::parse(text), Err(Refusal::DateMalformed), "{text}");
        }
    }
}
