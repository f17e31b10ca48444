//! Times and durations as people write them.

use sidekey_protocol::ids::Timestamp;

const DAY_S: u32 = 86_400;

/// RFC 3339, UTC.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let (year, month, day) = civil(at.0 / DAY_S);
    let s = at.0 % DAY_S;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// Seconds, or a number with a unit: `900`, `90s`, `15m`, `1h`, `1d`.
///
/// # Errors
/// Anything else, and what does not fit.
pub fn duration_s(text: &str) -> Result<u32, String> {
    let (digits, unit_s) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        Some(b'd') => (&text[..text.len() - 1], DAY_S),
        _ => (text, 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let count = digits.parse::<u32>().ok().filter(|_| plain);
    count.and_then(|count| count.checked_mul(unit_s)).ok_or_else(|| "write 900, 90s, 15m, 1h or 1d".into())
}

/// A moment: `2026-11-29`, `2026-11-29T15:00:00Z`, Unix seconds as `@1796000000`, or as long before `now` as `2h`.
///
/// # Errors
/// Anything else.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let unreadable = || "write 2026-11-29, 2026-11-29T15:00:00Z or 2h, which is as long ago".to_owned();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().map(Timestamp).map_err(|_| unreadable());
    }
    if let Ok(ago_s) = duration_s(text) {
        return Ok(Timestamp(now.0.saturating_sub(ago_s)));
    }
    let whole = if text.len() == DATE_SIZE { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let number = |at: std::ops::Range<usize>| whole.get(at).and_then(|part| part.parse::<u32>().ok());
    let parts = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19].map(number);
    let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else {
        return Err(unreadable());
    };
    // The days are counted from the first that may be it; whatever is no time does not read back as it was written.
    let near = (year.saturating_sub(1970) * 365 + month.saturating_sub(1) * 28 + day.saturating_sub(1))
        .min(DAYS_MAX);
    let found = (near..=(near + SLACK).min(DAYS_MAX)).find(|&days| civil(days) == (year, month, day));
    let time = |days: u32| days.checked_mul(DAY_S)?.checked_add(hour * 3600 + minute * 60 + second);
    let at = found.and_then(time).map(Timestamp).ok_or_else(unreadable)?;
    if rfc3339(at) == whole { Ok(at) } else { Err(unreadable()) }
}

/// Octets of a date.
const DATE_SIZE: usize = 10;
/// The last day that a timestamp can name.
const DAYS_MAX: u32 = u32::MAX / DAY_S;
/// Days by which a year's start and a month's may be later than if all years and months were as short as any.
const SLACK: u32 = 34 + 3 * 11;

/// Year, month and day of a day since 1970 (Hinnant's `civil_from_days`: the year starts in March, so that the leap
/// day comes last and months follow one linear rule).
fn civil(days: u32) -> (u32, u32, u32) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_utc() {
        // Each line is what `date -u -d @N +%FT%TZ` prints.
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u32::MAX, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(rfc3339(Timestamp(at)), text);
        }
    }

    #[test]
    fn moments_are_times_or_ages() {
        let now = Timestamp(1_000_000);
        for (text, at) in [
            ("2h", 992_800),
            ("@7", 7),
            ("1970-01-01", 0),
            ("1972-02-29T00:00:00Z", 68_169_600),
            ("2000-02-29", 951_782_400),
            ("2025-12-31T23:59:59Z", 1_767_225_599),
            ("2100-03-01", 4_107_542_400),
            ("2106-02-07T06:28:15Z", u32::MAX),
        ] {
            assert_eq!(moment(text, now), Ok(Timestamp(at)), "{text}");
        }
        let bad = [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "2026-02-28T24:00:00Z",
            "2107-01-01",
            "2026-2-3",
            "@-1",
        ];
        for bad in bad {
            assert!(moment(bad, now).is_err(), "{bad}");
        }
        for day in (0..DAYS_MAX).step_by(13) {
            let at = Timestamp(day * DAY_S + 7);
            assert_eq!(moment(&rfc3339(at), now), Ok(at));
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, s) in [("900", 900), ("90s", 90), ("15m", 900), ("1h", 3600), ("1d", 86_400), ("0", 0)] {
            assert_eq!(duration_s(text), Ok(s), "{text}");
        }
        for bad in ["", "m", "-1", "+1", "1.5h", "1 h", "1w", "99999999d", "ñ"] {
            assert!(duration_s(bad).is_err(), "{bad}");
        }
    }
}
