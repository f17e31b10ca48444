//! A message whose answer was lost on the way: it is stored once, and its program hears so.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sidekey_tests::imap::Account;
use sidekey_tests::imap::agent::Agent;
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::gateway::Gateway;
use sidekey_tests::imap::session::Session;
use sidekey_tests::others::authority::Authority;
use sidekey_tests::{ANN, MAIL, Office, server, user};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Two stretches of the way, before and behind the gateway; the first connection breaks once.
#[derive(Default)]
struct Break {
    /// Breaks the first connection before the gateway.
    cut: Notify,
    /// Somebody has connected there again.
    again: Notify,
    connections: AtomicUsize,
}

/// Where the answer to the message is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lost {
    /// The gateway has sent it.
    BeforeTheGateway,
    /// The gateway has not even heard it when its client is gone.
    BehindTheGateway,
}

impl Break {
    /// The stretch between agent and gateway.
    async fn before(self: &Arc<Self>, gateway: u16, lost: Lost) -> u16 {
        let (listener, port) = listen().await;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let first = this.connections.fetch_add(1, Ordering::SeqCst) == 0;
                if !first {
                    this.again.notify_one();
                }
                let this = Arc::clone(&this);
                tokio::spawn(async move {
                    let loses = first && lost == Lost::BeforeTheGateway;
                    let held = async {
                        this.cut.notify_one();
                        std::future::pending().await
                    };
                    tokio::select! {
                        () = relay(client, gateway, loses, held) => {}
                        () = this.cut.notified(), if first => {}
                    }
                });
            }
        });
        port
    }

    /// The stretch between gateway and mail server.
    async fn behind(self: &Arc<Self>, mail: u16) -> u16 {
        let (listener, port) = listen().await;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let mut first = true;
            while let Ok((client, _)) = listener.accept().await {
                let (this, holds) = (Arc::clone(&this), std::mem::replace(&mut first, false));
                tokio::spawn(async move {
                    let held = async {
                        this.cut.notify_one();
                        this.again.notified().await;
                    };
                    relay(client, mail, holds, held).await;
                });
            }
        });
        port
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Hands on what comes; the first answer to an APPEND, where it is watched for, only after this.
async fn relay(client: TcpStream, upstream: u16, watches: bool, held: impl Future<Output = ()>) {
    let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await.unwrap();
    let ((mut asks, mut hears), (mut says, mut takes)) = (client.into_split(), upstream.into_split());
    let asked = async {
        let _ = copy(&mut asks, &mut takes).await;
        let _ = takes.shutdown().await;
    };
    let answered = async {
        let (mut piece, mut held) = (vec![0; 1 << 16], watches.then_some(Box::pin(held)));
        while let Ok(read @ 1..) = says.read(&mut piece).await {
            let answered = piece[..read].windows(9).any(|window| window == b"APPENDUID");
            if let Some(held) = held.take_if(|_| answered) {
                held.await;
            }
            if hears.write_all(&piece[..read]).await.is_err() {
                break;
            }
        }
        let _ = hears.shutdown().await;
    };
    tokio::join!(asked, answered);
}

/// What the program was answered, and how many messages there are then.
async fn appended(lost: Lost, messages: &[&str]) -> (String, String) {
    let dovecot = Dovecot::start(&Authority::new()).await;
    let office = Office::open().await;
    let (at, whom, label) = (server(MAIL), user(ANN), "operator".parse().unwrap());
    let credential = office.system.admin.issue_credential(&at, &whom, &label, None).await.unwrap();
    let broken = Arc::new(Break::default());
    let mail = match lost {
        Lost::BeforeTheGateway => dovecot.port,
        Lost::BehindTheGateway => broken.behind(dovecot.port).await,
    };
    let gateway = Gateway::sealing_for(mail, &office);
    let proxy = broken.before(gateway.port("change"), lost).await;
    let agent = Agent::start(&office, proxy, &credential.secret.expose_printed()).await;
    let mut program = Session::of(&agent.account).await;
    program.ask("SELECT INBOX").await;
    let literals: String = messages.iter().map(|it| format!(" {{{}}}\r\n{it}", it.len())).collect();
    let answer = program.ask(&format!("APPEND INBOX{literals}")).await;
    let answer = format!("{answer}{}", String::from_utf8_lossy(&program.rest().await));
    assert_eq!(broken.connections.load(Ordering::SeqCst), 2, "it has connected again");
    assert_eq!(agent.alerts(), [].into());
    let direct = Account { user: ANN.to_owned(), ..Account::at(dovecot.port) };
    (answer, Session::of(&direct).await.ask("SELECT INBOX").await)
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_stored_once() {
    let large = format!("Subject: large\r\n\r\n{}\r\n", "a line of it\r\n".repeat(20_000));
    for lost in [Lost::BeforeTheGateway, Lost::BehindTheGateway] {
        for messages in [&[large.as_str()][..], &["Subject: 1\r\n\r\none\r\n", "Subject: 2\r\n\r\ntwo\r\n"]] {
            let (answer, selected) = appended(lost, messages).await;
            assert!(answer.contains("OK [APPENDUID ") && answer.contains("* BYE "), "{lost:?}: {answer}");
            let exists = format!("* {} EXISTS", messages.len());
            assert!(selected.contains(&exists), "{lost:?}: {selected}");
        }
    }
}
