//! A client's frames, altered, repeated or put elsewhere on their way to the gateway.

use std::sync::{Arc, Mutex};

use sidekey_tests::imap::liar::{
    altering, contains, frames, replacing, where_it_says, with_frame, with_literal,
};

use super::*;

const APPEND: &str = "APPEND INBOX (\\Seen) \"01-Jan-2026 08:00:00 +0100\" {14+}\r\nSubject: mine\n";

/// That the program is told NO with this, and the mail server has what it had.
async fn refused(scene: &Scene, program: &mut Session, command: &str, reason: &str, what: &str) {
    let before = scene.kept().await;
    let told = program.ask(command).await;
    assert!(told.contains(&format!(" NO {reason}")), "{what}: {told}");
    assert_eq!(scene.kept().await, before, "{what}");
}

#[tokio::test]
async fn a_message_altered_cut_or_in_the_clear() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for at in [0, 2, 4, 30, 42, 50, 82, 90, 100, 130, 138, 500, 4_000] {
        scene.liar.commands(altering(move |frame| frame[at] ^= 2));
        refused(&scene, &mut program, APPEND, "", &format!("octet {at}")).await;
    }
    for len in [0, 100, 138, 139, 4_000] {
        scene.liar.commands(altering(move |frame| frame.truncate(len)));
        refused(&scene, &mut program, APPEND, "a frame does not hold: ", &format!("{len} octets")).await;
    }
    let forged = b"Subject: forged\r\n";
    scene.liar.commands(where_it_says("APPEND", move |said| with_literal(&said, 0, forged)));
    refused(&scene, &mut program, APPEND, "a frame is base64 in one line", "plaintext").await;
    scene.liar.repent();
    assert!(program.ask(APPEND).await.contains(" OK [APPENDUID "));
}

#[tokio::test]
async fn a_message_redirected_stripped_of_its_flags_or_dated_otherwise() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (from, to, reason) in [
        ("APPEND INBOX", "APPEND Archive", "of another mailbox"),
        ("(\\Seen) ", "", "of another item"),
        ("(\\Seen)", "(\\Seen \\Deleted)", "of another item"),
        (" 1-Jan-2026", " 1-Jan-2025", "of another extent"),
        ("\" 1-Jan-2026 08:00:00 +0100\" ", "", "of another extent"),
    ] {
        scene.liar.commands(replacing(&[(from, to)]));
        let reason = format!("a frame does not hold: the frame is {reason}");
        refused(&scene, &mut program, APPEND, &reason, to).await;
    }
    scene.liar.repent();
    assert!(program.ask(APPEND).await.contains(" OK [APPENDUID "));
}

#[tokio::test]
async fn a_message_replayed() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    let told = program.ask(APPEND).await;
    let (_, uid) = told.split_once("[APPENDUID ").unwrap();
    let messages = async || scene.kept().await.matches("FLAGS (").count();
    let stored = messages().await;
    let asked = scene.liar.asked();
    let said = asked.iter().rfind(|said| contains(said, b"APPEND")).unwrap();
    let (_, command) = std::str::from_utf8(said).unwrap().trim_end().split_once(' ').unwrap();
    // On another connection, and again: the answer of then, and no second message.
    for _ in 0..3 {
        let told = scene.proxy().await.ask(command).await;
        assert!(told.contains(&format!(" OK [APPENDUID {uid}")), "{told}");
    }
    // Another message under its number, and its frame twice in one command.
    assert!(program.ask("APPEND INBOX {16+}\r\nSubject: another").await.contains(" OK "));
    let both = format!("{command}{}", &command["APPEND INBOX".len()..]);
    let told = scene.proxy().await.ask(&both).await;
    assert!(told.contains(" NO a number was used before: number it anew"), "{told}");
    assert_eq!(messages().await, stored + 1, "the other one alone");
}

#[tokio::test]
async fn two_messages_of_one_append_in_another_order() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    scene.liar.commands(where_it_says("APPEND", |said| {
        let both = frames(&said);
        with_frame(&with_frame(&said, 0, &both[1]), 1, &both[0])
    }));
    let command = "APPEND INBOX {12+}\r\nSubject: one {12+}\r\nSubject: two";
    let reason = "its frames do not come in the order in which they were sealed";
    refused(&scene, &mut program, command, reason, "the second before the first").await;
}

#[tokio::test]
async fn a_message_of_before_the_gateway_began_anew() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    assert!(program.ask(APPEND).await.contains(" OK "));
    let asked = scene.liar.asked();
    let said = asked.iter().rfind(|said| contains(said, b"APPEND")).unwrap();
    let (_, command) = std::str::from_utf8(said).unwrap().trim_end().split_once(' ').unwrap();
    let before = scene.kept().await;
    let scene = scene.with_another_gateway().await;
    let told = scene.proxy().await.ask(command).await;
    assert!(told.contains(" NO [NOPERM] this user has no such session"), "{told}");
    assert_eq!(scene.kept().await, before);
}

#[tokio::test]
async fn a_string_searched_for_elsewhere_or_again() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (from, to, reason) in [
        ("SUBJECT", "TEXT", "a frame does not hold: the frame is of another item"),
        ("SUBJECT", "HEADER SUBJECT", "a frame does not hold: the frame is of another item"),
    ] {
        scene.liar.commands(replacing(&[(from, to)]));
        refused(&scene, &mut program, "SEARCH SUBJECT merger", reason, to).await;
    }
    scene.liar.repent();
    assert!(program.ask("SEARCH SUBJECT merger").await.contains("* SEARCH 1 2 3\r\n"));
    let asked = scene.liar.asked();
    let said = asked.iter().rfind(|said| contains(said, b"SEARCH")).unwrap();
    let (_, command) = std::str::from_utf8(said).unwrap().trim_end().split_once(' ').unwrap();
    let mut proxy = scene.proxy().await;
    let told = proxy.ask(command).await;
    assert!(told.contains(" NO this was searched for before"), "{told}");
    // A mail server's frame is none of a client's.
    let heard = String::from_utf8_lossy(&proxy.say(b"UID FETCH 1 BODY.PEEK[HEADER]").await).into_owned();
    let frame = frames(heard.as_bytes())[0].clone();
    let told = String::from_utf8(proxy.say(&with_frame(command.as_bytes(), 0, &frame)).await).unwrap();
    assert!(told.contains(" NO a frame does not hold: "), "{told}");
    proxy.ask("SELECT Archive").await;
    let told = proxy.ask(command).await;
    assert!(told.contains(" NO a frame does not hold: the frame is of another"), "{told}");
}

#[tokio::test]
async fn a_string_of_a_search_as_a_message() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    assert!(program.ask("SEARCH SUBJECT merger").await.contains("* SEARCH 1 2 3\r\n"));
    let asked = scene.liar.asked();
    let string = frames(asked.iter().rfind(|said| contains(said, b"SEARCH")).unwrap())[0].clone();
    let string = Arc::new(Mutex::new(string));
    scene.liar.commands(altering(move |frame| frame.clone_from(&string.lock().unwrap())));
    refused(&scene, &mut program, APPEND, "a frame does not hold: the frame is of another", "a string").await;
}
