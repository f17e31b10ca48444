//! `sidekey drill` at real services: one that holds, and some that something in front of them has broken.

mod relay;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::relay::Relay;
use crate::binary::{Ran, Serving, Sidekey};

/// A service at work: a mail server, a phone and a session of somebody's.
struct Staging {
    sidekey: Sidekey,
    url: String,
    serving: Option<Serving>,
    _relay: Option<Relay>,
}

impl Staging {
    fn open() -> Self {
        let sidekey = Sidekey::new();
        let port = sidekey.init();
        let serving = sidekey.serve(port);
        let url = format!("https://localhost:{port}");
        let staging = Self { sidekey, url, serving: Some(serving), _relay: None };
        staging.sidekey.run("server add mail.example.org").succeeded();
        staging.sidekey.pair("server invite mail.example.org", "mail");
        staging.sidekey.pair("client invite ann@example.org", "phone");
        staging.sidekey.run("session open ann@example.org --profile mail").succeeded();
        staging.sidekey.run("client invite ben@example.org").succeeded();
        staging
    }

    fn drill(&self, options: &str) -> Ran {
        self.sidekey.run(&format!("drill {} --yes {options}", self.url))
    }

    /// Everything that an administrator sees, what a drill has made apart.
    fn others(&self) -> Value {
        let all = self.seen();
        let others = |list: &Value| -> Vec<Value> {
            let items = list.as_array().unwrap().iter();
            items.filter(|item| !item.to_string().contains("drill-")).cloned().collect()
        };
        json!(all.as_object().unwrap().values().map(others).collect::<Vec<_>>())
    }

    fn seen(&self) -> Value {
        let list = |line: &str| self.sidekey.json(line)["items"].take();
        json!({
            "servers": list("server list"),
            "pairings": list("client list"),
            "invitations": list("client list --invitations"),
            "sessions": list("session list"),
            "credentials": list("credential list"),
            "policies": list("policy list"),
        })
    }

    /// That whatever was made by a drill is over; gives how many servers there were.
    fn nothing_is_left(&self) -> usize {
        let seen = self.seen();
        let mut servers = 0;
        for (list, items) in seen.as_object().unwrap() {
            for item in items.as_array().unwrap().iter().filter(|item| item.to_string().contains("drill-")) {
                let state = item["state"].as_str().unwrap_or_else(|| panic!("{list}: {item}"));
                let over = ["revoked", "refused", "cancelled", "paired", "spent", "expired", "ended"]
                    .contains(&state);
                assert!(over, "{list}: {item}");
                servers += usize::from(list == "servers");
            }
        }
        servers
    }
}

#[track_caller]
fn item<'a>(report: &'a Value, attack: &str) -> &'a Value {
    let items = report["items"].as_array().unwrap();
    items.iter().find(|item| item["attack"] == attack).unwrap_or_else(|| panic!("{attack}: {report:#}"))
}

/// The attacks that were not refused, or whose twins were.
fn broken(report: &Value) -> BTreeSet<&str> {
    let items = report["items"].as_array().unwrap().iter();
    items.filter(|item| item["verdict"] != "refused").map(|item| item["attack"].as_str().unwrap()).collect()
}

#[test]
fn a_drill_is_refused_in_everything_and_leaves_the_service_as_it_was() {
    let mut staging = Staging::open();
    let before = staging.others();
    let ran = staging.drill("-o json");
    assert_eq!(ran.code, 0, "{:?} {}", broken(&ran.json()), ran.err);
    let report = ran.json();
    let attacks = report["items"].as_array().unwrap().len();
    assert!(attacks > 80, "{attacks}");
    assert_eq!((&report["ok"], &report["attacks"]), (&json!(true), &json!(attacks)));
    assert_eq!((&report["refused"], &report["twins_accepted"]), (&json!(attacks), &json!(attacks)));
    assert_eq!((&report["cleared"]["servers"], &report["left"]), (&json!(2), &Value::Null));
    // An attack and a twin each, or it proves nothing.
    for item in report["items"].as_array().unwrap() {
        let sides: BTreeSet<_> =
            item["steps"].as_array().unwrap().iter().map(|step| step["side"].as_str().unwrap()).collect();
        assert_eq!(sides.len(), 2, "{item:#}");
    }

    assert_eq!(staging.others(), before);
    assert_eq!(staging.nothing_is_left(), 2);
    staging.sidekey.run("audit verify --admin data/admin.json").succeeded();
    assert_eq!(staging.sidekey.json("restore status")["rolled_back"], false);
    assert_eq!(staging.serving.take().unwrap().stop("TERM"), 0);
    staging.sidekey.run("audit verify").succeeded();
}

#[test]
fn a_drill_is_told_in_a_table_and_its_progress_beside_it() {
    let staging = Staging::open();
    let ran = staging.drill("--only tls --only envelopes").succeeded();
    let rows: Vec<_> = ran.out.lines().filter(|line| line.ends_with("  refused")).collect();
    assert!(
        rows.len() > 8 && rows.iter().all(|row| row.starts_with("tls ") || row.starts_with("envelopes "))
    );
    assert!(ran.out.contains("all refused, and of their honest twins all accepted"), "{}", ran.out);
    assert!(
        ran.out.contains("--slow") && ran.err.contains("tls: ") && ran.err.contains("Cleaning up"),
        "{ran:?}"
    );
    assert!(!ran.out.contains("NOT") && !ran.err.contains("NOT"), "{ran:?}");
}

#[test]
fn what_needs_a_minute_is_refused_too() {
    let staging = Staging::open();
    let report = staging.drill("--only pairing --slow -o json").succeeded().json();
    assert_eq!(item(&report, "expired")["verdict"], "refused");
    assert_eq!(staging.nothing_is_left(), 2);
}

/// Something in front of the service answers where the service refuses.
#[test]
fn a_false_token_that_is_let_in_is_found_and_named() {
    // {"alg":"none", at the beginning of a token.
    const NONE: &str = "Bearer eyJhbGciOiJub25l";
    let staging = behind(|relay| {
        relay.answers = |asked, answer| {
            if asked.contains(NONE) { answer.replace("401 Unauthorized", "200 OK") } else { answer }
        };
    });
    let ran = staging.drill("--only tokens -o json");
    assert_eq!(ran.code, 8, "{ran:?}");
    let report = ran.json();
    assert_eq!(broken(&report), BTreeSet::from(["alg-none"]));
    let found = item(&report, "alg-none");
    assert_eq!((&report["ok"], &found["verdict"]), (&json!(false), &json!("not_refused")));
    assert!(found["promise"].as_str().unwrap().contains("does not speak as that party"), "{found}");
    let step = &found["steps"][0];
    assert_eq!((&step["expected"], &step["held"]), (&json!("401 token_invalid"), &json!(false)));

    let ran = staging.drill("--only tokens");
    assert_eq!(ran.code, 8, "{ran:?}");
    for piece in ["NOT REFUSED  tokens/alg-none", "expected 401 token_invalid, came 200", "SECURITY.md"] {
        assert!(ran.out.contains(piece), "{piece}: {}", ran.out);
    }
    assert_eq!(staging.nothing_is_left(), 4);
}

/// Something in front of the service takes a check away.
#[test]
fn a_check_that_is_stripped_is_found_and_named() {
    let staging = behind(|relay| {
        relay.asks = |asked| match asked.match_indices("authorization: ").nth(1) {
            Some((at, _)) => {
                let end = at + asked[at..].find("\r\n").unwrap() + 2;
                format!("{}{}", &asked[..at], &asked[end..])
            }
            None => asked,
        };
    });
    let ran = staging.drill("--only tokens -o json");
    assert_eq!((ran.code, broken(&ran.json())), (8, BTreeSet::from(["two-headers"])), "{ran:?}");
}

/// What refuses everybody is not safe: it is broken.
#[test]
fn a_twin_that_is_refused_is_found_and_named() {
    let staging = behind(|relay| {
        relay.answers = |asked, answer| {
            let keys = asked.starts_with("GET /v1/keys ");
            if keys { answer.replace("200 OK", "403 Forbidden") } else { answer }
        };
    });
    let ran = staging.drill("--only tls");
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(
        ran.out.contains("TWIN REFUSED  tls/tls-1-2") && ran.out.contains("proves nothing"),
        "{}",
        ran.out
    );
}

#[test]
fn a_drill_begins_with_the_administrator_s_credential_and_word_alone() {
    let staging = Staging::open();
    let before = staging.seen();
    let elsewhere = Sidekey::new();
    let missing = elsewhere.run(&format!("drill {} --yes -o json", staging.url)).failed(4).problem();
    assert_eq!(missing["code"], "credential_missing");
    // A service that has another administrator.
    let other = Sidekey::new();
    other.init();
    let credential = other.data().join("admin.json").display().to_string();
    let foreign = staging.drill(&format!("-o json --admin {credential}")).failed(4).problem();
    assert_eq!(foreign["code"], "credential_foreign");
    // Its credential says that it is of this service, which does not know it.
    let text = std::fs::read_to_string(&credential).unwrap();
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    let own = std::fs::read_to_string(staging.sidekey.data().join("admin.json")).unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    for member in ["url", "ca"] {
        forged[member] = own[member].clone();
    }
    std::fs::write(&credential, forged.to_string()).unwrap();
    let refused = staging.drill(&format!("-o json --admin {credential}")).failed(4).problem();
    assert_eq!(refused["code"], "token_invalid");
    let device = staging.drill("-o json --profile phone").failed(3).problem();
    assert_eq!(device["code"], "profile_not_found");
    let unasked = staging.sidekey.run(&format!("drill {} -o json", staging.url)).failed(2).problem();
    assert_eq!(unasked["code"], "confirmation_needed");
    assert_eq!(staging.seen(), before);
}

/// A drill that has begun, and waits for an exchange to be over.
fn interrupted(staging: &Staging) -> Serving {
    let line = format!("drill {} --yes --slow --only pairing", staging.url);
    let mut drill = Serving::with_input(&mut staging.sidekey.command(&line), "");
    drill.line_with("pairing: ");
    drill
}

#[test]
fn a_drill_that_is_interrupted_cleans_up() {
    for signal in ["INT", "TERM"] {
        let staging = Staging::open();
        let before = staging.others();
        let mut drill = interrupted(&staging);
        drill.signal(signal);
        let told = drill.line_with("interrupted");
        assert!(told.contains("revoked 2 servers"), "{told}");
        assert_eq!(drill.ends(), (130, String::new()));
        assert_eq!((staging.nothing_is_left(), staging.others()), (2, before));
    }
}

#[test]
fn a_drill_that_cannot_clean_up_says_what_is_left_and_what_takes_it_away() {
    let mut staging = Staging::open();
    let mut drill = interrupted(&staging);
    staging.serving.take().unwrap().stop("KILL");
    drill.signal("INT");
    let told = drill.line_with("NOT CLEANED UP");
    assert!(told.contains("drill-"), "{told}");
    let next = drill.line_with("Next: ");
    assert_eq!(drill.ends().0, 130);
    let port = staging.url.rsplit(':').next().unwrap().parse().unwrap();
    staging.serving = Some(staging.sidekey.serve(port));
    let mends = next.strip_prefix("Next: ").unwrap().split("; ");
    for mend in mends {
        staging.sidekey.run(mend.strip_prefix("sidekey ").unwrap()).succeeded();
    }
    assert_eq!(staging.nothing_is_left(), 2);
}

/// A service behind a relay that meddles so.
fn behind(meddle: impl FnOnce(&mut relay::Meddling)) -> Staging {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let serving = sidekey.serve(0);
    let listen = serving.ready.split("listening on ").nth(1).unwrap().split(';').next().unwrap();
    let relay = Relay::start(&sidekey.data(), port, listen.parse().unwrap(), meddle);
    let url = format!("https://localhost:{port}");
    Staging { sidekey, url, serving: Some(serving), _relay: Some(relay) }
}
