//! `sidekey audit` from outside.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::binary::Sidekey;

#[test]
fn what_was_done_to_a_folder_is_found_and_named() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let serving = sidekey.serve(port);
    sidekey.run("server add mail.example.org").succeeded();
    let kept = sidekey.run("audit checkpoint").succeeded().out;
    std::fs::write(sidekey.path("kept.jws"), &kept).unwrap();
    let admin = "--admin data/admin.json";
    let walked = sidekey.json(&format!("audit verify {admin} --against kept.jws"));
    assert_eq!(walked["against"], 1);
    // The folder of a running service too.
    sidekey.json("audit verify --against kept.jws");
    assert_eq!(serving.stop("TERM"), 0);
    let verified = sidekey.json("audit verify --data data --against kept.jws");
    assert_eq!(verified["signed"], verified["last"]);

    let segment = sidekey.data().join("journal/00000000000000000001.journal");
    let whole = std::fs::read(&segment).unwrap();
    let mut bent = whole.clone();
    let at = bent.windows(16).position(|part| part == b"mail.example.org").unwrap();
    bent[at] = b'M';
    std::fs::write(&segment, bent).unwrap();
    let found = sidekey.run("audit verify -o json").failed(7).problem();
    assert_eq!((&found["code"], &found["record"]), (&"audit_broken".into(), &2.into()), "{found}");
    let told = sidekey.run("audit verify").failed(7).err;
    assert!(told.contains("record 2") && told.contains("edited") && told.contains("Next:"), "{told}");
    assert_eq!(sidekey.run("doctor").code, 1);

    std::fs::write(&segment, &whole).unwrap();
    std::fs::write(sidekey.path("none.jws"), "not one").unwrap();
    sidekey.run("audit verify --against none.jws").failed(7);
    sidekey.run("audit verify --against nowhere.jws").failed(3);
    // Another service, in this one's place.
    let other = Sidekey::new();
    other.init();
    let other = other.data().display().to_string();
    sidekey.run(&format!("audit verify --data {other} --against kept.jws")).failed(7);
}

#[test]
fn the_log_is_shown_exported_and_followed() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.run("server add mail.example.org").succeeded();

    let shown = sidekey.run("audit tail").succeeded().out;
    for word in [
        "service_created",
        "server_added",
        "mail.example.org",
        "invitation_created",
        "Next: sidekey audit show",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let newest = &sidekey.json("audit tail -n 1")["items"][0];
    assert_eq!(newest["action"], "invitation_created");
    let seq = newest["seq"].as_u64().unwrap();
    let record = sidekey.json(&format!("audit show {seq}"));
    assert_eq!((&record["seq"], &record["hash"]), (&newest["seq"], &newest["hash"]));
    sidekey.run("audit show 1000").failed(3);
    sidekey.run("audit tail --action pairing_stolen").failed(2);

    let exported = sidekey.run("audit export").succeeded().out;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, seq);
    assert_eq!(lines.last(), Some(newest));
    let cef = sidekey.run("audit export --format cef --action server_added").succeeded().out;
    assert!(cef.starts_with("CEF:0|Sidekey|sidekey|") && cef.contains("dhost=mail.example.org"), "{cef}");
    assert_eq!(cef.lines().count(), 1);
    assert_eq!(sidekey.run("audit export --since 2090-01-01").succeeded().out, "");

    let mut following = sidekey
        .command("audit tail --follow -n 0 --action server_added -o json")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    // It may begin to follow after the first of these, and misses no later one.
    let next = std::thread::spawn(move || lines.next().unwrap().unwrap());
    let mut added = 0;
    while !next.is_finished() {
        sidekey.run(&format!("server add mail{added}.example.org")).succeeded();
        added += 1;
    }
    let line: Value = serde_json::from_str(&next.join().unwrap()).unwrap();
    assert_eq!(line["action"], "server_added");
    following.kill().unwrap();
    following.wait().unwrap();
}
