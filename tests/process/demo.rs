//! `sidekey demo` as a newcomer runs it, and as a script does.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::binary::Sidekey;

#[test]
fn a_newcomer_sees_the_main_job_done() {
    let ran = Sidekey::new().run("demo").succeeded();
    assert_eq!(ran.err, "");
    assert!(!ran.out.contains(['\u{1b}', '✗']), "{}", ran.out);
    for line in ran.out.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    // The mark is explained once, and then stands for a check.
    let marks = ran.out.matches('✓').count() - 1;
    assert!(ran.out.contains(&format!("All {marks} claims above were checked, and hold.")), "{}", ran.out);
    assert!(marks > 25, "{}", ran.out);
}

#[test]
fn a_mailbox_of_ones_own_goes_the_same_way() {
    let sidekey = Sidekey::new();
    let hostile = "From x Mon Mar  2 09:14:05 2026\nSubject: =?utf-8?Q?=1B[2Jboo=E2=80=AE?=\n\n\u{1b}]0;title\u{7} body\n\n";
    fs::write(sidekey.path("mbox"), hostile.repeat(10)).unwrap();
    let ran = sidekey.run("demo --mail mbox").succeeded();
    assert!(
        ran.out.contains("\u{fffd}[2Jboo\u{fffd}") && !ran.out.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("16 letters arrived") && ran.out.contains("and 8 more"), "{}", ran.out);

    fs::create_dir_all(sidekey.path("maildir/cur")).unwrap();
    fs::write(sidekey.path("maildir/cur/1.a:2,S"), "Subject: one\n\nbody of it\n").unwrap();
    let report = sidekey.json("demo --mail maildir");
    assert_eq!(report["ok"], true);
    assert_eq!(report["evidence"]["sealed"][0]["read"]["subject"], "one");
    assert_eq!(report["evidence"]["sealed"].as_array().unwrap().len(), 7);

    for (path, says) in
        [("none", "none"), ("maildir/cur/1.a:2,S", "not an mbox"), ("maildir/cur", "not a Maildir")]
    {
        let refused = sidekey.run(&format!("demo --mail {path}")).failed(2);
        assert!(refused.err.contains(says), "{refused:?}");
    }
}

#[test]
fn a_key_goes_by_sms_and_by_xdms_and_their_operator_gains_nothing() {
    let sidekey = Sidekey::new();
    for via in ["sms", "xdms"] {
        let ran = sidekey.run(&format!("demo --via {via}")).succeeded();
        assert!(!ran.out.contains('✗') && ran.out.contains("brings it twice"), "{}", ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
    }
    assert!(sidekey.run("demo --smsc localhost:2775").failed(2).err.contains("--via"));
    let nobody = sidekey.run("demo --via sms --smsc 127.0.0.1:1");
    assert!(nobody.code == 1 && nobody.err.contains("127.0.0.1:1"), "{nobody:?}");
}

/// npm's smpp: what it says of itself is what others see.
#[test]
fn a_key_goes_through_an_smsc_that_others_wrote() {
    let sidekey = Sidekey::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut smsc = Command::new("node")
        .args(["smsc.js", &port.to_string(), "kms", "secret"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/counterparts/carrier"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(smsc.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    assert!(events.next().unwrap().contains("listening"));
    let line = format!("demo --via sms --smsc kms:secret@127.0.0.1:{port} --to +491711234567");
    let report = sidekey.json(&line);
    assert_eq!((&report["ok"], &report["evidence"]["deliver"]["state"]), (&true.into(), &"sent".into()));
    // It ends with its input.
    drop(smsc.stdin.take());
    let submitted: Vec<Value> = events
        .map(|event| serde_json::from_str::<Value>(&event).unwrap())
        .filter(|event| event["event"] == "submit")
        .collect();
    assert_eq!(submitted.len(), 2, "the key, and the one after it");
    assert!(submitted.iter().all(|event| event["to"] == "491711234567"), "{submitted:?}");
    smsc.wait().unwrap();
}

/// Its folder holds keys, if only for letters of its own: an impatient reader leaves none behind.
#[test]
fn a_demo_that_is_interrupted_removes_its_folder() {
    let sidekey = Sidekey::new();
    let temporary = sidekey.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut demo = sidekey.command("demo");
    let mut child =
        demo.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("The key service starts")), "the first step was shown");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    // Read on, so that no full pipe keeps it.
    drop(lines.map_while(Result::ok).last());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

/// Every command that it shows is typed as it is shown.
#[test]
fn what_it_shows_while_it_stays_works_from_another_terminal() {
    let sidekey = Sidekey::new();
    let staying = Staying::start(&sidekey, "demo --stay -o json");
    let folder = staying.report["evidence"]["start"]["folder"].as_str().unwrap().to_owned();
    let commands = staying.report["commands"].as_array().unwrap();
    let lines: Vec<_> = commands.iter().map(|command| command["line"].as_str().unwrap()).collect();
    let [pair, fetch, revoke, again] = lines[..] else { panic!("{lines:?}") };
    for line in [pair, fetch, revoke] {
        let (code, said) = typed(line);
        assert_eq!(code, 0, "{line}: {said}");
    }
    let (code, said) = typed(again);
    assert!(code == 4 && said.contains("left in a taxi"), "{code}: {said}");
    assert!(Path::new(&folder).exists());
    assert_eq!(staying.stop("INT"), 0);
    assert!(!Path::new(&folder).exists(), "{folder} is left behind");
}

/// Both ends of the path and the proxy between are in one process: a letter of 64 MiB would show.
#[test]
fn memory_does_not_grow_with_a_letter() {
    let sidekey = Sidekey::new();
    let mut mbox = fs::File::create(sidekey.path("mbox")).unwrap();
    mbox.write_all(b"From x Mon Mar  2 09:14:05 2026\nSubject: large\n\n").unwrap();
    for _ in 0..64 {
        mbox.write_all(&b"all work and no play\n".repeat((1 << 20) / 21)).unwrap();
    }
    let small = Staying::start(&sidekey, "demo --stay -o json");
    let large = Staying::start(&sidekey, "demo --stay -o json --mail mbox");
    assert!(large.report["evidence"]["sealed"][0]["read"]["octets"].as_u64().unwrap() > 60 << 20);
    let (small, large) = (small.peak_kib(), large.peak_kib());
    assert!(large < small + 8 * 1024, "{large} KiB with a letter of 64 MiB, {small} KiB without");
}

/// A demo that has told its story and stays; ended with its test.
struct Staying {
    child: Child,
    report: Value,
}

impl Staying {
    fn start(sidekey: &Sidekey, line: &str) -> Self {
        let mut command = sidekey.command(line);
        // Each Argon2id takes 19 MiB: given back when it is done, and not kept for the next as malloc otherwise would,
        // they do not blur the peak.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072").env("TMPDIR", sidekey.path(""));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let (mut json, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        while !json.ends_with("\n}\n") {
            assert_ne!(out.read_line(&mut json).unwrap(), 0, "it ended: {json}");
        }
        Self { child, report: serde_json::from_str(&json).unwrap() }
    }

    fn peak_kib(&self) -> u64 {
        let mut status = String::new();
        fs::File::open(format!("/proc/{}/status", self.child.id()))
            .unwrap()
            .read_to_string(&mut status)
            .unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn stop(mut self, signal: &str) -> i32 {
        Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn typed(line: &str) -> (i32, String) {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(said).unwrap())
}
