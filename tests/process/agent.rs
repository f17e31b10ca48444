//! `sidekey agent`: what it needs before it is ready, each told with what to do; then how it is asked and how it ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::binary::{Ran, Serving, Sidekey};

const ANN: &str = "ann@example.org";

/// A machine whose user has a paired device, called phone, beside a service that runs.
fn paired() -> (Sidekey, Serving) {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let serving = sidekey.serve(port);
    sidekey.pair("server add mail.example.org", "mail");
    sidekey.pair(&format!("client invite {ANN} --server mail.example.org"), "phone");
    (sidekey, serving)
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A configuration whose proxy is on this machine, at this port.
fn configuration(port: u16, more: &str) -> String {
    format!(
        "listen = 'unix:imap.sock'\n{more}\n[proxy]\nhost = 'localhost'\nport = {port}\ntls = 'none'\nuser = '{ANN}'\n"
    )
}

fn refused(ran: Ran, code: i32, what: &str, next: &str) {
    let ran = ran.failed(code);
    assert!(ran.err.contains(what), "{what:?} is not in {}", ran.err);
    assert!(ran.err.contains("Next: ") && ran.err.contains(next), "{next:?} is not in {}", ran.err);
    for slip in ["panicked", "Err(", "sidekey_agent", "Os {"] {
        assert!(!ran.err.contains(slip), "{}", ran.err);
    }
}

#[test]
fn what_the_agent_lacks_is_told_with_what_to_do() {
    let sidekey = Sidekey::new();
    refused(sidekey.run("agent"), 3, "not paired as anything", "sidekey join");
    drop(sidekey);
    let (sidekey, _serving) = paired();
    let run = || sidekey.run("agent --profile phone");
    refused(run(), 3, "no configuration", "sidekey agent example > ");
    let config = sidekey.path("home/agent.toml");
    fs::write(&config, sidekey.run("agent example").succeeded().out).unwrap();
    refused(run(), 3, "no password here", "sidekey agent password --profile phone");
    sidekey.run("agent password --profile phone").succeeded();
    let secret = sidekey.path("home/proxy.password");
    refused(run(), 3, "proxy.password", "chmod 600");
    write(&secret, "of the proxy\n", 0o644);
    refused(run(), 4, "others may read it", "chmod 600");
    write(&secret, "two\nlines\n", 0o600);
    refused(run(), 1, "not one line", "in one line");
    write(&secret, "of the proxy\n", 0o600);
    for (text, what) in [
        (configuration(1, "").replace("listen", "listn"), "listn"),
        (configuration(1, "").replace("unix:imap.sock", "0.0.0.0:1143"), "there is no [tls]"),
        (configuration(1, "").replace("localhost", "imap.example.org"), "proxy.tls"),
        (configuration(1, "[limits]\ndrain_s = 60\n"), "limits.drain_s"),
        (configuration(1, "deletions_max = 'few'"), "deletions_max"),
        ("listen = 'unix:imap.sock'".to_owned(), "proxy"),
    ] {
        fs::write(&config, text).unwrap();
        refused(run(), 1, what, "edit ");
    }
    fs::write(&config, configuration(1, "").replace("user =", "ca_file = 'no.pem'\nuser =")).unwrap();
    refused(run(), 1, "no.pem", "proxy.ca_file");
    fs::write(&config, configuration(1, "")).unwrap();
    sidekey.run("agent password --profile mail").succeeded();
    refused(sidekey.run("agent --profile mail"), 4, "mail server's", "--profile");
    refused(sidekey.run("agent status --profile phone"), 3, "no agent runs", "sidekey agent --profile phone");
    assert_eq!(sidekey.run("agent --listen nowhere").failed(2).code, 2);
}

#[test]
fn a_password_is_shown_once_and_replaced_only_when_that_is_meant() {
    let (sidekey, _serving) = paired();
    let first = sidekey.json("agent password --profile phone");
    let password = first["password"].as_str().unwrap();
    assert_eq!((password.len(), password.matches('-').count()), (24, 4), "{password}");
    let kept = sidekey.path("home/agent/phone/password.hash");
    let hash = fs::read(&kept).unwrap();
    assert!(!hash.windows(4).any(|octets| octets == &password.as_bytes()[..4]));
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    refused(sidekey.run("agent password --profile phone"), 2, "no terminal", "--yes");
    assert_eq!(fs::read(&kept).unwrap(), hash);
    fs::write(sidekey.path("home/agent.toml"), configuration(1, "")).unwrap();
    let second = sidekey.run("agent password --profile phone --yes").succeeded().out;
    assert!(!second.contains(password) && second.contains(ANN) && second.contains("unix:"), "{second}");
}

#[test]
fn an_agent_that_runs_is_asked_refuses_a_second_one_and_drains() {
    let (sidekey, _serving) = paired();
    // Somebody who is no IMAP server.
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = proxy.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in proxy.incoming() {
            let _ = stream.unwrap().write_all(b"220 smtp.example.org\r\n");
        }
    });
    let config = configuration(port, "").replace("unix:imap.sock", "127.0.0.1:0");
    fs::write(sidekey.path("home/agent.toml"), config).unwrap();
    write(&sidekey.path("home/proxy.password"), "of the proxy\n", 0o600);
    let password = sidekey.json("agent password --profile phone")["password"].as_str().unwrap().to_owned();
    let agent = Serving::start(&mut sidekey.command("agent --profile phone"));
    refused(sidekey.run("agent --profile phone"), 5, "runs already", "sidekey agent status");

    let listen = agent.ready.split(" on ").nth(1).unwrap().split(';').next().unwrap();
    let mut program = BufReader::new(TcpStream::connect(listen).unwrap());
    let mut line = String::new();
    program.read_line(&mut line).unwrap();
    program.get_mut().write_all(format!("a LOGIN {ANN} {password}\r\n").as_bytes()).unwrap();
    line.clear();
    program.read_line(&mut line).unwrap();
    assert_eq!(line, "a NO [UNAVAILABLE] what answers as the operator's proxy speaks no IMAP\r\n");

    let status = sidekey.json("agent status --profile phone");
    assert_eq!((&status["pid"], &status["connections"]), (&agent.pid().into(), &1.into()), "{status}");
    refused(sidekey.run("agent confirm 7 --profile phone"), 3, "nothing is held", "sidekey agent status");
    assert_eq!(sidekey.run("agent confirm --profile phone").failed(3).code, 3);
    assert_eq!(agent.stop("TERM"), 0);
    assert_eq!(sidekey.run("agent status --profile phone").failed(3).code, 3);
}

/// Octets of a message that is larger than anything that could be kept.
const LARGE: usize = 64 << 20;

#[test]
fn a_message_of_64_mib_is_read_in_8_mb_of_memory() {
    let (sidekey, _serving) = paired();
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = proxy.local_addr().unwrap().port();
    let config = configuration(port, "").replace("unix:imap.sock", "127.0.0.1:0");
    fs::write(sidekey.path("home/agent.toml"), config).unwrap();
    write(&sidekey.path("home/proxy.password"), "of the proxy\n", 0o600);
    let password = sidekey.json("agent password --profile phone")["password"].as_str().unwrap().to_owned();
    let frame = sealed(&sidekey.path("home/profiles/mail.json"), &vec![b'x'; LARGE]);
    std::thread::spawn(move || gateway(&proxy, &frame));

    let agent = Serving::start(&mut sidekey.command("agent --profile phone"));
    let listen = agent.ready.split(" on ").nth(1).unwrap().split(';').next().unwrap();
    let mut program = BufReader::new(TcpStream::connect(listen).unwrap());
    let mut ask = |command: &str, octets: usize| {
        program.get_mut().write_all(format!("a {command}\r\n").as_bytes()).unwrap();
        let mut came = 0;
        loop {
            let mut line = Vec::new();
            came += program.read_until(b'\n', &mut line).unwrap();
            if line.starts_with(b"a ") {
                assert!(line.starts_with(b"a OK "), "{command}: {}", line.escape_ascii());
                assert!(came >= octets, "{command}: {came}");
                return;
            }
        }
    };
    ask(&format!("LOGIN {ANN} {password}"), 0);
    ask("SELECT INBOX", 0);
    ask("FETCH 1 BODY.PEEK[]", LARGE);
    ask("FETCH 1 BODY.PEEK[]", LARGE);
    // What a build maps of its own code is not counted: this one, for debugging, has twice as much as what is shipped.
    let own = agent.memory("RssAnon");
    assert!(own <= 8_000, "{own} KiB, and {} KiB with its code", agent.memory("VmRSS"));
}

/// The whole of message 7 in INBOX, as this mail server's gateway seals it, in base64.
fn sealed(profile: &Path, message: &[u8]) -> Vec<u8> {
    use std::num::NonZeroU32;

    use base64::Engine as _;
    use sidekey_client::object::{Context, Item, Kind, Mailbox, seal};
    use sidekey_client::{Ambient, FileKeyStore, Server};
    use sidekey_protocol::session::{Audience, Capabilities};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = std::sync::Arc::new(FileKeyStore::new(profile));
        let server = Server::open(store, Ambient::system()).await.unwrap();
        let capabilities = Capabilities::parse(&["A256GCM"]).unwrap();
        let key = server.issue(&Audience::User(ANN.parse().unwrap()), None, &capabilities).await.unwrap();
        let (inbox, item) = (Mailbox::new("INBOX", Some('/')).unwrap(), Item::parse("BODY[]").unwrap());
        let number = |n| NonZeroU32::new(n).unwrap();
        let place = Context::fetch(&inbox, number(3), number(7), &item, None).unwrap();
        let sealer = server.sealer(&key, &place, Kind::Literal, message.len() as u64).unwrap();
        let mut frame = Vec::new();
        seal(sealer, message, &mut frame).await.unwrap();
        base64::prelude::BASE64_STANDARD.encode(frame).into_bytes()
    })
}

/// Says what a gateway says to a program that logs in, selects INBOX and fetches message 1.
fn gateway(door: &TcpListener, frame: &[u8]) {
    let mut stream = BufReader::new(door.accept().unwrap().0);
    stream.get_mut().write_all(b"* OK ready\r\n").unwrap();
    let head = format!("* 1 FETCH (UID 7 BODY[] {{{}}}\r\n", frame.len());
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        let said: &[&[u8]] = match command.split(' ').next().unwrap() {
            "LIST" => &[b"* LIST () \"/\" INBOX\r\n"],
            "SELECT" => &[b"* 1 EXISTS\r\n* OK [UIDVALIDITY 3] valid\r\n"],
            "FETCH" => &[head.as_bytes(), frame, b")\r\n"],
            _ => &[],
        };
        let code = if command.starts_with("LOGIN") { "[CAPABILITY IMAP4rev1 XENCRYPTED] " } else { "" };
        for octets in said.iter().copied().chain([format!("{tag} OK {code}done\r\n").as_bytes()]) {
            stream.get_mut().write_all(octets).unwrap();
        }
        line.clear();
    }
}
