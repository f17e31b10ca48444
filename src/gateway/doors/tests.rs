//! Each kind of door, by a server that takes one user with one secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

/// What a server says: first, to everything, and to what lets in.
struct Script {
    kind: DoorKind,
    greeting: &'static str,
    /// What the line begins with that is answered so.
    answers: &'static [(&'static str, &'static str)],
}

const SCRIPTS: [Script; 4] = [
    Script {
        kind: DoorKind::Imap,
        greeting: "* OK [CAPABILITY IMAP4rev1] hello\r\n",
        answers: &[
            ("a LOGIN \"ann\" \"right\"", "* CAPABILITY IMAP4rev1\r\n* OK meanwhile\r\na OK in\r\n"),
            ("a LOGIN", "* OK meanwhile\r\na NO out\r\n"),
        ],
    },
    Script {
        kind: DoorKind::Pop3,
        greeting: "+OK hello\r\n",
        answers: &[("USER", "+OK\r\n"), ("PASS right", "+OK in\r\n"), ("PASS", "-ERR out\r\n")],
    },
    Script {
        kind: DoorKind::Sieve,
        greeting: "\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN\"\r\nOK \"hello\"\r\n",
        // \0ann\0right
        answers: &[
            ("AUTHENTICATE \"PLAIN\" \"AGFubgByaWdodA==\"", "OK\r\n"),
            ("AUTH", "NO (AUTH) \"out\"\r\n"),
        ],
    },
    Script {
        kind: DoorKind::Submission,
        greeting: "220-hello\r\n220 there\r\n",
        answers: &[
            ("EHLO", "250-mail\r\n250 AUTH PLAIN\r\n"),
            ("AUTH PLAIN AGFubgByaWdodA==", "235 in\r\n"),
            ("AUTH", "535 out\r\n"),
        ],
    },
];

/// Serves it; counts who has come.
async fn serve(script: &'static Script) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, came) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut tcp = BufReader::new(tcp);
            tcp.write_all(script.greeting.as_bytes()).await.unwrap();
            let mut line = String::new();
            while tcp.read_line(&mut line).await.unwrap_or(0) > 0 {
                let answer = script.answers.iter().find(|(said, _)| line.starts_with(said)).unwrap().1;
                tcp.write_all(answer.as_bytes()).await.unwrap();
                line.clear();
            }
        }
    });
    (port, came)
}

/// A gateway in front of that port, with one more door there.
fn config(imap: u16, kind: DoorKind, port: u16) -> Config {
    let mut config: Config = toml::from_str(&format!(
        "[upstream]\naddress = '127.0.0.1:{imap}'\ntls = 'none'\nstrip_domain = 'example.org'\n[listeners]\n"
    ))
    .unwrap();
    let door = Door { kind, address: format!("127.0.0.1:{port}"), tls: Tls::None };
    config.doors.insert("other".to_owned(), door);
    config
}

#[tokio::test]
async fn a_door_that_a_proxy_credential_opens_is_found_whatever_is_spoken_there() {
    for script in &SCRIPTS {
        let ((imap, _), (port, came)) = (serve(&SCRIPTS[0]).await, serve(script).await);
        let config = config(imap, script.kind, port);
        let users = config.upstream.names_of("ann@example.org");
        assert_eq!(users, ["ann@example.org", "ann"]);
        for (secret, opens) in [("right", true), ("wrong", false)] {
            let knocked = knock(&config, &users, secret).await.unwrap();
            let opened: Vec<_> = knocked.iter().map(|one| matches!(one.answer, Answer::Opens)).collect();
            assert_eq!(opened, [opens, opens], "{:?}: {knocked:?}", script.kind);
            assert!(knocked.iter().all(|one| !matches!(one.answer, Answer::Unknown(_))), "{knocked:?}");
        }
        // A wrong one is tried by each name, a right one until it opens.
        assert!(came.load(Ordering::SeqCst) >= 3, "{:?}", script.kind);
    }
}

#[tokio::test]
async fn a_door_that_nobody_answers_at_is_not_called_shut() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (imap, _) = serve(&SCRIPTS[0]).await;
    let knocked = knock(&config(imap, DoorKind::Pop3, gone), &["ann".to_owned()], "wrong").await.unwrap();
    assert!(matches!(knocked[0].answer, Answer::Shut), "{knocked:?}");
    assert!(matches!(knocked[1].answer, Answer::Unknown(_)), "{knocked:?}");
}
