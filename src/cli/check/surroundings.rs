//! Clocks, and what the environment says to us and to others.

use std::collections::BTreeMap;

use sidekey_protocol::ids::Timestamp;
use sidekey_service::config::{PREFIX, RootKey};

use super::Check;
use crate::output::shell;

/// What is known of the time.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// By this machine's clock, at the beginning.
    pub now: Timestamp,
    /// How far the clock has gone since then, and how far it should have.
    pub gone_s: [u32; 2],
    /// When the journal was last written.
    pub written: Option<Timestamp>,
    /// How far the service's clock is ahead of ours.
    pub ahead_s: Option<i64>,
}

/// Whether this machine's clock, its own past and the service's clock agree.
#[must_use]
pub fn clock(times: &Times) -> Check {
    let mend = "timedatectl set-ntp true";
    let [gone, should] = times.gone_s;
    if gone.abs_diff(should) > JUMP_S {
        return Check::finding(
            CLOCK,
            format!("the clock went {gone} s in {should} s, while it was looked at"),
            mend,
        );
    }
    if let Some(written) = times.written
        && written.since_s(times.now) > LEEWAY_S
    {
        let by = written.since_s(times.now);
        let what = format!(
            "the clock is {by} s before the journal's last write: it went back, and nothing is issued"
        );
        let mend = format!("{mend}; if it is right now: stop the service, sidekey clock accept, start it");
        return Check::finding(CLOCK, what, mend);
    }
    match times.ahead_s {
        Some(ahead) if ahead.unsigned_abs() > u64::from(LEEWAY_S) => {
            let what =
                format!("the service's clock is {ahead} s ahead of this machine's: tokens would be refused");
            Check::finding(CLOCK, what, mend)
        }
        Some(ahead) => {
            Check::fine(CLOCK, format!("the service's clock is {ahead} s ahead of this machine's"))
        }
        None if times.written.is_some() => Check::fine(
            CLOCK,
            "it runs evenly, and the journal was written before now; the service's is not known",
        ),
        None => Check::unknown(CLOCK, "there is neither a journal nor a service to compare it with"),
    }
}

/// Whether variables of the environment lead others astray, or are ours and misspelt.
#[must_use]
pub fn environment(set: &BTreeMap<String, String>, host: &str, root_key: Option<&RootKey>) -> Check {
    let of_the_root = match root_key {
        Some(RootKey::Env(name)) => Some(name.as_str()),
        _ => None,
    };
    let known = |name: &str| KNOWN.contains(&name) || name.starts_with(PREFIX) || Some(name) == of_the_root;
    let unknown: Vec<_> =
        set.keys().map(String::as_str).filter(|name| name.starts_with("SIDEKEY") && !known(name)).collect();
    if !unknown.is_empty() {
        let what = format!("nothing reads {}: is it misspelt?", unknown.join(", "));
        return Check::finding(ENVIRONMENT, what, format!("unset {}", unknown.join(" ")));
    }
    let proxy =
        PROXIES.into_iter().find_map(|name| Some((name, set.get(name).filter(|value| !value.is_empty())?)));
    let exempt = set.get("NO_PROXY").or_else(|| set.get("no_proxy"));
    match proxy {
        Some((name, _)) if !exempt.is_some_and(|exempt| exempts(exempt, host)) => Check::finding(
            ENVIRONMENT,
            format!("{name} sends curl and others by a proxy to {host}; sidekey itself goes straight"),
            format!("export NO_PROXY={}", shell(host)),
        ),
        _ => Check::fine(ENVIRONMENT, "no proxy on the way, no variable that nothing reads"),
    }
}

fn exempts(exempt: &str, host: &str) -> bool {
    exempt.split(',').map(str::trim).any(|entry| {
        let domain = entry.strip_prefix('.').unwrap_or(entry);
        entry == "*" || host == domain || !domain.is_empty() && host.ends_with(&format!(".{domain}"))
    })
}

const CLOCK: &str = "clock";
const ENVIRONMENT: &str = "environment";
/// As the service and tokens have it.
const LEEWAY_S: u32 = 60;
/// Whole seconds on both ends.
const JUMP_S: u32 = 2;
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const KNOWN: [&str; 8] = [
    "SIDEKEY_ADMIN",
    "SIDEKEY_CA",
    "SIDEKEY_DATA",
    "SIDEKEY_HOME",
    "SIDEKEY_OUTPUT",
    "SIDEKEY_PROFILE",
    "SIDEKEY_TIMEOUT",
    "SIDEKEY_URL",
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000);
    const FINE: Times = Times { now: NOON, gone_s: [1, 1], written: Some(NOON), ahead_s: Some(0) };

    #[test]
    fn a_clock_that_jumps_went_back_or_differs_is_a_finding() {
        assert!(clock(&FINE).is_fine());
        assert!(clock(&Times { ahead_s: None, ..FINE }).is_fine());
        for wrong in [
            Times { gone_s: [9, 1], ..FINE },
            Times { gone_s: [0, 9], ..FINE },
            Times { written: Some(NOON.after_s(61)), ..FINE },
            Times { ahead_s: Some(61), ..FINE },
            Times { ahead_s: Some(-3600), ..FINE },
        ] {
            assert!(clock(&wrong).is_finding(), "{wrong:?}");
        }
        let nothing = clock(&Times { written: None, ahead_s: None, ..FINE });
        assert!(!nothing.is_fine() && !nothing.is_finding());
    }

    #[test]
    fn a_proxy_on_the_way_and_a_misspelt_variable_are_findings() {
        let set = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let check = |pairs: &[(&str, &str)]| environment(&set(pairs), "keys.example.org", None);
        for fine in [
            &[][..],
            &[("SIDEKEY_DATA", "x"), ("SIDEKEY__LOG__LEVEL", "warn")],
            &[("https_proxy", "http://p:1"), ("no_proxy", "localhost,.example.org")],
            &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")],
            &[("HTTPS_PROXY", "")],
        ] {
            assert!(check(fine).is_fine(), "{fine:?}");
        }
        for wrong in [
            &[("SIDEKEY_DTA", "x")][..],
            &[("HTTPS_PROXY", "http://p:1")],
            &[("all_proxy", "socks5://p:1"), ("NO_PROXY", "example.com,ample.org")],
        ] {
            assert!(check(wrong).is_finding(), "{wrong:?}");
        }
        let key = RootKey::Env("SIDEKEY_ROOT_KEY".into());
        assert!(environment(&set(&[("SIDEKEY_ROOT_KEY", "x")]), "h", Some(&key)).is_fine());
    }
}
