//! The agent between a mail program and a gateway: who is let in, what is read, and how it ends.

mod rig;

use std::time::Duration;

use sidekey_agent::control::{self, Answer, Ask};
use sidekey_agent::serve::Stopped;
use sidekey_protocol::revocation::Target;
use sidekey_tests::ANN;

use self::rig::Rig;

const LETTER: &[u8] = b"Subject: lunch\r\n\r\nAt noon, \xc3\xbcber the bridge.\r\n";

#[tokio::test]
async fn a_mail_program_reads_what_travels_sealed() {
    let rig = Rig::start("").await;
    let key = rig.office.session().await;
    let mut program = rig.reading().await;
    rig.gateway.answer_letter(&rig.letter(&key, LETTER).await);
    let said = program.ask("FETCH 1 BODY.PEEK[]").await;
    let letter = String::from_utf8(LETTER.to_vec()).unwrap();
    assert_eq!(said, format!("* 1 FETCH (BODY[] {{{}}}\r\n{letter})\r\nOK done\r\n", LETTER.len()));
    let heard = rig.gateway.heard();
    assert_eq!(
        heard[0],
        format!("LOGIN {ANN} \"of the proxy\""),
        "the proxy's password is not the program's"
    );
    assert_eq!(heard.last().unwrap(), "FETCH 1 (UID BODY.PEEK[])");
    assert!(program.ask("LOGOUT").await.starts_with("* BYE "));
    assert_eq!(program.rest().await, "");
}

#[tokio::test]
async fn who_does_not_know_the_agent_s_password_reaches_nobody() {
    let rig = Rig::start("").await;
    let mut program = rig.program().await;
    for (user, password) in
        [(ANN, "of the proxy"), ("bob@example.org", &*rig.password), (ANN, &rig.password[1..])]
    {
        let said = program.ask(&format!("LOGIN {user} \"{password}\"")).await;
        assert!(said.starts_with("NO [AUTHENTICATIONFAILED]"), "{said}");
    }
    assert_eq!(program.rest().await, "* BYE too many attempts\r\n");
    assert!(rig.gateway.heard().is_empty());
    let mut program = rig.program().await;
    assert!(program.ask("SELECT INBOX").await.starts_with("BAD log in first"));
}

#[tokio::test]
async fn a_new_password_holds_at_once() {
    let rig = Rig::start("").await;
    let mut rng = rig.office.system.rng();
    let new = sidekey_agent::password::make(&mut rng);
    let hash = sidekey_agent::password::Hash::of(&new, &mut rng);
    rig.folder.replace(sidekey_agent::work::PASSWORD, &hash.expose()).unwrap();
    let mut program = rig.program().await;
    assert!(program.ask(&format!("LOGIN {ANN} {}", rig.password)).await.starts_with("NO "));
    assert!(program.ask(&format!("LOGIN {ANN} {}", *new)).await.starts_with("OK "));
}

#[tokio::test]
async fn what_was_altered_is_not_shown_and_is_counted() {
    let rig = Rig::start("").await;
    let key = rig.office.session().await;
    let mut program = rig.reading().await;
    let mut frame = rig.letter(&key, LETTER).await;
    *frame.last_mut().unwrap() ^= 1;
    rig.gateway.answer_letter(&frame);
    let said = program.ask("FETCH 1 BODY.PEEK[]").await;
    assert!(!said.contains("lunch") && said.contains("NO "), "{said}");
    // The next one is read as if nothing had been.
    rig.gateway.answer_letter(&rig.letter(&key, LETTER).await);
    assert!(program.ask("FETCH 1 BODY.PEEK[]").await.contains("Subject: lunch"));
    let folder = rig.folder.clone();
    let status = tokio::task::spawn_blocking(move || control::ask(&folder, Ask::Status)).await.unwrap();
    let Ok(Some(Answer::Status(status))) = status else { panic!("{status:?}") };
    assert_eq!((status.connections, status.held.len()), (1, 0));
    assert_eq!(status.alerts.into_iter().collect::<Vec<_>>(), [("tampered".to_owned(), 1)]);
}

#[tokio::test]
async fn what_was_altered_may_be_a_message_that_says_so() {
    let rig = Rig::start("failing = 'stub'").await;
    let key = rig.office.session().await;
    let mut program = rig.reading().await;
    let mut frame = rig.letter(&key, LETTER).await;
    *frame.last_mut().unwrap() ^= 1;
    rig.gateway.answer_letter(&frame);
    let said = program.ask("FETCH 1 BODY.PEEK[]").await;
    assert!(said.contains("Subject: ") && !said.contains("lunch") && said.ends_with("OK done\r\n"), "{said}");
    assert_eq!(rig.agent.tally().alerts()["tampered"], 1);
}

#[tokio::test]
async fn a_revoked_device_is_told_why_and_its_agent_ends() {
    let rig = Rig::start("").await;
    let mut program = rig.reading().await;
    let pairing = rig.office.phone.client.pairing();
    let target = Target::Pairing { pairing };
    rig.office.system.admin.revoke(&target, &"the phone was stolen".parse().unwrap()).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), program.rest()).await.unwrap();
    assert!(told.starts_with("* BYE ") && told.contains("the phone was stolen"), "{told}");
    assert_eq!(rig.stopped().await.0, Stopped::Over("the phone was stolen".into()));
}

#[tokio::test]
async fn told_to_stop_it_ends_between_two_commands() {
    let mut rig = Rig::start("").await;
    let mut program = rig.reading().await;
    rig.stop();
    assert_eq!(program.rest().await, "* BYE the agent stops\r\n");
    assert_eq!(rig.stopped().await.0, Stopped::Told);
}

#[tokio::test]
async fn a_proxy_that_hangs_up_is_a_bye_and_the_program_may_come_again() {
    let rig = Rig::start("").await;
    let mut program = rig.reading().await;
    rig.gateway.hang_up();
    let told = program.rest().await;
    assert!(told.starts_with("* BYE "), "{told}");
    rig.reading().await;
}

#[tokio::test]
async fn where_no_gateway_answers_nothing_is_asked() {
    let rig = Rig::start("").await;
    rig.gateway.offer("IMAP4rev1 IDLE");
    let mut program = rig.program().await;
    program.say(&format!("a LOGIN {ANN} {}\r\n", rig.password)).await;
    let told = program.rest().await;
    assert!(told.contains("* BYE "), "{told}");
    assert_eq!(rig.gateway.heard().len(), 1, "the login alone");
    assert_eq!(rig.agent.tally().alerts().into_keys().collect::<Vec<_>>(), ["downgrade"]);
}

#[tokio::test]
async fn messages_that_vanish_are_held_until_their_user_says_so() {
    let gone = "* 1 EXPUNGE\r\n".repeat(30);
    for confirmed in [true, false] {
        let rig = Rig::start("").await;
        let mut program = rig.reading().await;
        rig.gateway.answer(gone.as_bytes());
        program.say("a NOOP\r\n").await;
        let id = loop {
            if let [held] = rig.agent.tally().held()[..] {
                break held.id;
            }
            tokio::task::yield_now().await;
        };
        let (folder, ask) = (rig.folder.clone(), Ask::Say { id, confirmed });
        let said = tokio::task::spawn_blocking(move || control::ask(&folder, ask)).await.unwrap();
        assert!(matches!(said, Ok(Some(Answer::Said(held))) if held.id == id), "{said:?}");
        if confirmed {
            let mut told = String::new();
            while !told.contains("a OK ") {
                told += &program.line().await;
            }
            assert_eq!(told.matches("EXPUNGE").count(), 30, "{told}");
        } else {
            let told = program.rest().await;
            assert!(told.matches("EXPUNGE").count() <= 20 && told.contains("* BYE "), "{told}");
        }
    }
}

#[tokio::test]
async fn more_programs_than_there_is_room_for_are_turned_away() {
    let rig = Rig::start("[limits]\nconnections = 1\n").await;
    let _one = rig.program().await;
    let sidekey_agent::config::Listen::Address(at) = rig.listen else { panic!("an address") };
    let mut said = String::new();
    let mut two = tokio::net::TcpStream::connect(at).await.unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut two, &mut said).await.unwrap();
    assert_eq!(said, "* BYE too many connections\r\n");
}

#[tokio::test]
async fn a_unix_socket_is_its_user_s_alone_and_goes_with_its_agent() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut rig = Rig::start("").await;
    drop(rig.reading().await);
    let path = rig.folder.file("imap.sock");
    let listen = sidekey_agent::config::Listen::Unix(path.clone());
    // What a killed agent left behind is replaced; what somebody listens at is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = sidekey_agent::listener::Listener::bind(&listen, None).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let taken = sidekey_agent::listener::Listener::bind(&listen, None).await;
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(listener);
    assert!(!path.exists());
    rig.stop();
}
