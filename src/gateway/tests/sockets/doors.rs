//! Other doors to the same mail that begin TLS, with the first octet or later: each kind, knocked at with a right and a wrong
//! credential.

use sidekey_gateway::doors::{Answer, knock};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Authority;
use super::office::{Line, config_at};

/// What a server says: first, to what begins TLS, first within it, and to each beginning of a line.
struct Script {
    kind: &'static str,
    greeting: &'static str,
    start_tls: (&'static str, &'static str),
    /// What comes by itself once TLS has begun so.
    within: &'static str,
    answers: &'static [(&'static str, &'static str)],
}

const SCRIPTS: [Script; 4] = [
    Script {
        kind: "imap",
        greeting: "* OK hello\r\n",
        start_tls: ("a STARTTLS", "a OK begin\r\n"),
        within: "",
        answers: &[("a LOGIN \"ann\" \"right\"", "a OK in\r\n"), ("a LOGIN", "a NO out\r\n")],
    },
    Script {
        kind: "pop3",
        greeting: "+OK hello\r\n",
        start_tls: ("STLS", "+OK begin\r\n"),
        within: "",
        answers: &[("USER", "+OK\r\n"), ("PASS right", "+OK in\r\n"), ("PASS", "-ERR out\r\n")],
    },
    Script {
        kind: "sieve",
        greeting: "\"STARTTLS\"\r\nOK \"hello\"\r\n",
        start_tls: ("STARTTLS", "OK \"begin\"\r\n"),
        within: "\"SASL\" \"PLAIN\"\r\nOK \"again\"\r\n",
        // \0ann\0right
        answers: &[
            ("AUTHENTICATE \"PLAIN\" \"AGFubgByaWdodA==\"", "OK\r\n"),
            ("AUTH", "NO (AUTH) \"out\"\r\n"),
        ],
    },
    Script {
        kind: "submission",
        greeting: "220 hello\r\n",
        start_tls: ("STARTTLS", "220 begin\r\n"),
        within: "",
        answers: &[
            ("EHLO", "250-mail\r\n250 AUTH PLAIN\r\n"),
            ("AUTH PLAIN AGFubgByaWdodA==", "235 in\r\n"),
            ("AUTH", "535 out\r\n"),
        ],
    },
];

/// Serves it, TLS beginning so; behind its consent to STARTTLS stands what somebody has put there.
async fn serve(
    script: &'static Script,
    tls: &'static str,
    acceptor: TlsAcceptor,
    injected: &'static str,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tcp, first) = match tls {
                "implicit" => (tcp, script.greeting),
                _ => (in_the_clear(script, tcp, injected).await, script.within),
            };
            // Whoever does not believe the certificate goes.
            if let Ok(line) = acceptor.accept(tcp).await {
                talk(script, Box::new(line), first).await;
            }
        }
    });
    port
}

async fn in_the_clear(script: &Script, tcp: TcpStream, injected: &str) -> TcpStream {
    let mut tcp = BufReader::new(tcp);
    tcp.write_all(script.greeting.as_bytes()).await.unwrap();
    let (command, consent) = script.start_tls;
    let mut line = String::new();
    while tcp.read_line(&mut line).await.unwrap() > 0 {
        if line.trim_end() == command {
            tcp.write_all(format!("{consent}{injected}").as_bytes()).await.unwrap();
            break;
        }
        answer(script, &mut tcp, &line).await;
        line.clear();
    }
    tcp.into_inner()
}

async fn talk(script: &Script, line: Line, first: &str) {
    let mut stream = BufReader::new(line);
    let mut line = String::new();
    stream.write_all(first.as_bytes()).await.unwrap();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        answer(script, &mut stream, &line).await;
        line.clear();
    }
}

async fn answer(script: &Script, stream: &mut (impl tokio::io::AsyncWrite + Unpin), line: &str) {
    let answer = script.answers.iter().find(|(said, _)| line.starts_with(said)).unwrap().1;
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// What becomes of knocking there, at a mail server whose certificate is this authority's.
async fn knocked(authority: &Authority, port: u16, kind: &str, tls: &str, secret: &str) -> Answer {
    let config = config_at(
        authority.folder.path(),
        &format!(
            "[upstream]\naddress = 'localhost:1'\nca_file = 'ca.pem'\n\
             [listeners.office]\nlisten = '127.0.0.1:0'\ntls = 'none'\ntrusted = true\nnetworks = ['127.0.0.1']\n\
             [doors.other]\nkind = '{kind}'\naddress = 'localhost:{port}'\ntls = '{tls}'\n"
        ),
    );
    let mut knocked = knock(&config, &["ann".to_owned()], secret).await.unwrap();
    knocked.pop().unwrap().answer
}

#[tokio::test]
async fn a_door_that_a_proxy_credential_opens_is_found_within_tls_too() {
    let authority = Authority::new();
    for script in &SCRIPTS {
        for tls in ["implicit", "starttls"] {
            let port = serve(script, tls, authority.acceptor(), "").await;
            let right = knocked(&authority, port, script.kind, tls, "right").await;
            assert!(matches!(right, Answer::Opens), "{} {tls}: {right:?}", script.kind);
            let wrong = knocked(&authority, port, script.kind, tls, "wrong").await;
            assert!(matches!(wrong, Answer::Shut), "{} {tls}: {wrong:?}", script.kind);
        }
    }
}

#[tokio::test]
async fn a_door_whose_certificate_is_somebody_else_s_is_told_no_credential() {
    let (authority, other) = (Authority::new(), Authority::new());
    for script in &SCRIPTS {
        for tls in ["implicit", "starttls"] {
            let port = serve(script, tls, other.acceptor(), "").await;
            let answer = knocked(&authority, port, script.kind, tls, "right").await;
            assert!(matches!(answer, Answer::Unknown(_)), "{} {tls}: {answer:?}", script.kind);
        }
    }
}

#[tokio::test]
async fn a_door_that_begins_no_tls_is_told_no_credential() {
    const DEAF: Script = Script {
        kind: "submission",
        greeting: "220 hello\r\n",
        start_tls: ("nothing", ""),
        within: "",
        answers: &[("EHLO", "250 mail\r\n"), ("STARTTLS", "502 what?\r\n"), ("AUTH", "235 in\r\n")],
    };
    let authority = Authority::new();
    let port = serve(&DEAF, "starttls", authority.acceptor(), "").await;
    let answer = knocked(&authority, port, DEAF.kind, "starttls", "right").await;
    assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
}

/// What stood in the clear behind the consent to STARTTLS is no answer to the login.
#[tokio::test]
async fn what_somebody_says_before_tls_opens_no_door() {
    let authority = Authority::new();
    for (script, injected) in
        SCRIPTS.iter().zip(["a OK in\r\n", "+OK in\r\n+OK in\r\n", "OK\r\nOK\r\n", "250 x\r\n235 in\r\n"])
    {
        let port = serve(script, "starttls", authority.acceptor(), injected).await;
        let answer = knocked(&authority, port, script.kind, "starttls", "wrong").await;
        assert!(matches!(answer, Answer::Shut), "{}: {answer:?}", script.kind);
    }
}
