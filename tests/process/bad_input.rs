//! What people get wrong on a machine: the configuration, the files, the command line. Each is told in a line, with what to
//! do next, and nothing is served.

use std::fs;
use std::path::Path;

use crate::binary::{Ran, Sidekey};

/// What is wrong, how it got so, how the command ends, and a word that tells.
type Fault<'a> = (&'a str, &'a dyn Fn(&Path), i32, &'a str);

fn refused(sidekey: &Sidekey, (what, spoil, exit, word): Fault<'_>) {
    let data = sidekey.data();
    let kept = sidekey.path("kept");
    let copied = std::process::Command::new("cp").arg("-a").arg(&data).arg(&kept).status().unwrap();
    assert!(copied.success());
    spoil(&data);
    let ran = sidekey.run("serve --listen 127.0.0.1:0");
    told(what, &ran, word);
    assert_eq!(ran.code, exit, "{what}: {ran:?}");
    fs::remove_dir_all(&data).unwrap();
    fs::rename(kept, data).unwrap();
}

/// That it says what is wrong, in few lines, and as a program that meant to.
fn told(what: &str, ran: &Ran, word: &str) {
    assert!(ran.err.contains(word), "{what}: {word:?} is not in {}", ran.err);
    assert!(ran.err.starts_with("sidekey: "), "{what}: {}", ran.err);
    for slip in ["panicked", "unwrap", "sidekey_service", "RUST_BACKTRACE", "Err(", "Os {", "u32", "usize"] {
        assert!(!ran.err.contains(slip), "{what}: {}", ran.err);
    }
    assert!(ran.out.is_empty(), "{what}: {}", ran.out);
}

fn edit(data: &Path, from: &str, to: &str) {
    let path = data.join("sidekey.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in the file");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_by_the_option_s_name() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let edits: [(&str, &str, &str, &str); 14] = [
        ("an unknown option", "streams = 100", "streems = 100", "streems"),
        ("an unknown section", "[limits]", "[limit]", "limit"),
        ("an option twice", "streams = 100", "streams = 100\nstreams = 100", "duplicate"),
        ("a unit", "body_s = 10", "body_s = \"10s\"", "body_s"),
        ("a part of a second", "body_s = 10", "body_s = 1.5", "body_s"),
        ("less than nothing", "body_s = 10", "body_s = -1", "body_s"),
        ("more than there is", "body_s = 10", "body_s = 4294967296", "body_s"),
        ("nobody served", "client_reads_per_min = 600", "client_reads_per_min = 0", "client_reads_per_min"),
        ("a drain too long", "drain_s = 20", "drain_s = 26", "drain_s"),
        ("another level", "level = \"info\"", "level = \"loud\"", "loud"),
        ("an address without port", "listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1\"", "listen"),
        ("an unknown source", "file = \"root.key\"", "fil = \"root.key\"", "root_key"),
        ("a plain URL", "public_url = \"https://", "public_url = \"http://", "public_url"),
        ("no TOML", "[limits]", "limits:", "sidekey.toml"),
    ];
    for (what, from, to, word) in edits {
        refused(&sidekey, (what, &|data| edit(data, from, to), 1, word));
    }
    let path = |data: &Path| data.join("sidekey.toml");
    refused(&sidekey, ("not UTF-8", &|data| fs::write(path(data), [0xff, 0xfe]).unwrap(), 1, "sidekey.toml"));
    let folder = |data: &Path| {
        fs::remove_file(path(data)).unwrap();
        fs::create_dir(path(data)).unwrap();
    };
    refused(&sidekey, ("a folder", &folder, 1, "sidekey.toml"));
    let other =
        |data: &Path| edit(data, "public_url = \"https://localhost", "public_url = \"https://127.0.0.1");
    refused(&sidekey, ("another URL", &other, 5, "public_url"));
}

#[test]
fn a_file_that_cannot_be_right_is_refused_by_its_name() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let other = Sidekey::new();
    other.init();
    let theirs = |name: &str| fs::read(other.data().join(name)).unwrap();
    // What opens the folder is another matter than what opens the door.
    for (name, exit, exit_of_another) in
        [("tls.pem", 1, 1), ("tls.key", 1, 1), ("root.key", 1, 4), ("seal.keys", 7, 4)]
    {
        let path = |data: &Path| data.join(name);
        refused(&sidekey, ("missing", &|data| fs::remove_file(path(data)).unwrap(), exit, name));
        refused(&sidekey, ("empty", &|data| fs::write(path(data), "").unwrap(), exit, name));
        refused(&sidekey, ("garbage", &|data| fs::write(path(data), "garbage\n").unwrap(), exit, name));
        refused(&sidekey, ("octets", &|data| fs::write(path(data), [0xff; 100]).unwrap(), exit, name));
        // Another's certificate fits another's key.
        if name != "tls.pem" {
            let another = |data: &Path| fs::write(path(data), theirs(name)).unwrap();
            refused(&sidekey, ("another's", &another, exit_of_another, "key"));
        }
        if name.ends_with(".key") {
            let open = |data: &Path| {
                let all = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                fs::set_permissions(path(data), all).unwrap();
            };
            refused(&sidekey, ("readable by all", &open, exit, "chmod 600"));
        }
    }
    let serving = sidekey.serve(0);
    assert_eq!(serving.stop("TERM"), 0, "and as it was it serves");
}

/// Every option of every command that takes a value, with one that it does not take.
#[test]
fn every_option_refuses_what_it_does_not_take() {
    let sidekey = Sidekey::new();
    let mut commands = vec![String::new()];
    let mut tried = 0;
    while let Some(command) = commands.pop() {
        let help = sidekey.run(&format!("{command} --help")).succeeded().out;
        commands.extend(subcommands(&help).into_iter().map(|verb| format!("{command} {verb}")));
        for (option, value) in options(&help) {
            let Some(bad) = bad(&value) else { continue };
            let line = format!("{command} {option} \"{bad}\"");
            let ran = sidekey.run(&line);
            assert_eq!(ran.code, 2, "{line}: {ran:?}");
            told(&line, &ran, option.as_str());
            tried += 1;
        }
    }
    assert!(tried >= 40, "{tried}");
}

fn subcommands(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or("").split("\n\n").next().unwrap_or("");
    let named = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

/// `--option <VALUE>`, as the help has them.
fn options(help: &str) -> Vec<(String, String)> {
    let words = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
        let (option, rest) = line.split_once(" <")?;
        let value = rest.split('>').next()?;
        option.starts_with("--").then(|| (option.to_owned(), value.to_owned()))
    });
    words.collect()
}

/// What no value of that name is.
fn bad(value: &str) -> Option<&'static str> {
    match value {
        "ID" | "SESSION" | "PAIRING" => Some("0123"),
        "DURATION" => Some("soon"),
        "WHEN" => Some("yesterday"),
        "N" | "LINES" => Some("many"),
        "URL" => Some("ftp://x"),
        "STATE" | "FORMAT" | "WHAT" | "ROLE" | "MODE" | "APPROVAL" | "OUTPUT" => Some("nonsense"),
        _ => None,
    }
}
