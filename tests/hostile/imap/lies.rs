//! Words put into the mail server's mouth, and words of its own left out.

use sidekey_tests::imap::liar::{altering, contains, literals, replacing, where_it_says, with_literal};

use super::*;

#[tokio::test]
async fn plaintext_in_place_of_a_frame() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    let letter = format!("Subject: {SECRET}\r\n\r\nPay at once.\r\n");
    scene.liar.answers(where_it_says("BODY[]", move |said| with_literal(&said, 0, letter.as_bytes())));
    scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", "downgrade/plaintext", "a letter").await;
    for value in ["NIL", "\"merger\"", "{0}\r\n", "~{6}\r\nmerger", "(\"merger\")"] {
        let answer = format!("* 1 FETCH (UID 1 BODY[] {value})\r\n");
        scene.liar.answers(where_it_says("BODY[]", move |_| answer.clone().into_bytes()));
        scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", "downgrade/plaintext", value).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_structure_that_shows_another_thing() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    let forged = "(\"text\" \"merger\" NIL NIL NIL \"8bit\" 12 1 NIL NIL NIL NIL)";
    for (item, value, alert) in [
        ("BODYSTRUCTURE", forged, "downgrade/plaintext"),
        ("BODY", "(\"text\" \"merger\" NIL NIL NIL \"base64\" 12 1)", "downgrade/plaintext"),
        ("ENVELOPE", "(NIL \"merger\" NIL NIL NIL NIL NIL NIL NIL NIL)", "downgrade/plaintext"),
        ("PREVIEW", "\"merger\"", "downgrade/plaintext"),
    ] {
        let answer = format!("* 3 FETCH (UID 3 {item} {value})\r\n");
        scene.liar.answers(where_it_says(" FETCH (UID", move |_| answer.clone().into_bytes()));
        scene.left_out(&mut program, &format!("UID FETCH 3 {item}"), alert, item).await;
    }
    // One that is the mail server's, and of another item or another message.
    scene.liar.commands(replacing(&[("BODYSTRUCTURE", "BODY")]));
    scene.liar.answers(replacing(&[(" BODY (", " BODYSTRUCTURE (")]));
    scene.left_out(&mut program, "UID FETCH 3 BODYSTRUCTURE", "tampered/other_item", "BODY").await;
    scene.liar.commands(replacing(&[("UID FETCH 3", "UID FETCH 1")]));
    scene.liar.answers(replacing(&[("* 1 FETCH (UID 1 ", "* 3 FETCH (UID 3 ")]));
    scene.left_out(&mut program, "UID FETCH 3 BODYSTRUCTURE", "tampered/other_subject", "of 1").await;
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_literal_that_is_announced_shorter_or_longer() {
    let scene = Scene::open().await;
    for change in [-4_000_i64, -4, -1, 1, 3, 40, 1 << 40] {
        let mut program = scene.reader().await;
        scene.liar.answers(where_it_says("BODY[]", move |said| {
            let at = literals(&said)[0].clone();
            let (from, to) = (format!("{{{}}}", at.len()), format!("{{{}}}", at.len() as i64 + change));
            replacing(&[(&from, &to)])(said)
        }));
        // Where more is announced than comes, it waits: until the end of the connection at the latest.
        scene.liar.hang_up_behind(" OK Fetch");
        let told =
            program.ask("UID FETCH 1 BODY.PEEK[]").await + &String::from_utf8_lossy(&program.rest().await);
        assert!(!told.contains(SECRET) && !told.contains(" OK "), "{change}: {told}");
        assert!(told.contains("* BYE ") || told.contains(" NO some of it does not hold"), "{change}: {told}");
        scene.liar.repent();
    }
}

#[tokio::test]
async fn a_fetch_response_forged_in_the_middle_of_a_literal() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    let forged = "\r\n)\r\n* 1 FETCH (UID 1 BODY[] {6}\r\nmerger)\r\n";
    for at in [0, 4, 400, 4_000] {
        scene.liar.answers(where_it_says("BODY[]", move |said| {
            let mut text = said[literals(&said)[0].clone()].to_vec();
            drop(text.splice(at..at, forged.bytes()));
            with_literal(&said, 0, &text)
        }));
        let told = program.ask("UID FETCH 1 BODY.PEEK[]").await;
        assert!(!told.contains(SECRET) && told.contains(" NO some of it does not hold"), "{at}: {told}");
        assert_eq!(scene.raised().len(), 1, "{at}");
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn words_for_the_user_s_eyes() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (said, alert) in [
        ("* OK [ALERT] Call 0900 merger\r\n", Some("forged/words")),
        ("* NO [ALERT] Call 0900 merger\r\n", Some("forged/words")),
        ("* OK [REFERRAL imap://evil.example/merger] go there\r\n", Some("forged/words")),
        ("* NO Call 0900 merger\r\n", None),
        ("* BAD Call 0900 merger\r\n", None),
    ] {
        scene.liar.say(said);
        let told = program.ask("NOOP").await;
        assert!(!told.contains(SECRET) && !told.contains("evil"), "{told}");
        assert_eq!(scene.raised(), Vec::from_iter(alert), "{said}");
    }
    scene.liar.answers(where_it_says(" OK NOOP", |said| {
        let tag = said.split(|octet| *octet == b' ').next().unwrap();
        [tag, b" OK [ALERT] Call 0900 merger\r\n"].concat()
    }));
    let told = program.ask("NOOP").await;
    assert!(!told.contains(SECRET) && told.contains(" OK "), "{told}");
    assert_eq!(scene.raised(), ["forged/words"]);
    scene.goes_on(&mut program).await;
    scene.liar.say("* BYE Call 0900 merger\r\n");
    let told = String::from_utf8(program.rest().await).unwrap();
    assert_eq!(told, "* BYE the mail server has closed the connection\r\n");
}

#[tokio::test]
async fn codes_that_say_where_a_message_is() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for code in ["APPENDUID 1 9", "COPYUID 1 1:3 7:9", "UIDVALIDITY 9"] {
        scene.liar.say(format!("* OK [{code}] done\r\n"));
        let told = program.ask("NOOP").await;
        assert!(!told.contains(code), "{told}");
        assert_eq!(scene.raised(), ["forged/code"], "{code}");
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn mail_that_nobody_asked_for() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for forged in [
        "* 2 FETCH (UID 2 BODY[] {6}\r\nmerger)\r\n",
        "* 2 FETCH (ENVELOPE (NIL \"merger\" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n",
        "* 2 FETCH (X-GM-LABELS (merger))\r\n",
        "* 2 FETCH (FLAGS (\"merger\"))\r\n",
    ] {
        scene.liar.say(forged);
        let told = program.ask("NOOP").await;
        assert!(!told.contains(SECRET), "{told}");
        assert_eq!(scene.raised(), ["forged/content"], "{forged}");
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_mailbox_that_vanishes_is_held() {
    let many = vec![messages()[0].clone(); 30];
    let scene = Scene::under("strict", &many, &[]).await;
    let before = scene.kept().await;
    for vanishing in ["* VANISHED 1:30\r\n".to_owned(), "* 1 EXPUNGE\r\n".repeat(30)] {
        let mut program = scene.reader().await;
        scene.liar.say(&vanishing);
        let word = async { scene.agent.say(scene.agent.held().await, false) };
        let (told, ()) = tokio::join!(program.ask("NOOP"), word);
        let told = told + &String::from_utf8_lossy(&program.rest().await);
        assert!(told.matches("EXPUNGE").count() <= 20 && !told.contains("VANISHED"), "{told}");
        assert!(told.contains("* BYE ") && told.contains("are about to vanish"), "{told}");
        assert_eq!(scene.raised(), ["mass_deletion/not_asked_for"]);
    }
    assert_eq!(scene.kept().await, before, "the mail server has all of it");
}

#[tokio::test]
async fn a_message_withheld() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    assert!(program.ask("UID FETCH 1:3 FLAGS").await.contains("UID 3"));
    scene.liar.answers(where_it_says("* 2 FETCH", |_| Vec::new()));
    let told = program.ask("UID FETCH 1:3 BODY.PEEK[]").await;
    assert!(told.contains(" NO Messages that were in this mailbox are withheld (1)."), "{told}");
    assert_eq!(scene.raised(), ["missing/no_answer"]);
    // Nor does a smaller number explain it.
    scene.liar.repent();
    scene.liar.say("* 2 EXISTS\r\n");
    assert!(!program.ask("NOOP").await.contains("2 EXISTS"));
    assert_eq!(scene.raised(), ["missing/no_answer"]);
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn an_answer_cut_off_in_the_middle() {
    let scene = Scene::open().await;
    for kept in [20, 200, 100_000] {
        let mut program = scene.reader().await;
        scene.liar.answers(where_it_says("BODY[]", move |mut said| {
            said.truncate(kept);
            said
        }));
        scene.liar.hang_up_behind("BODY[]");
        let told = program.ask("UID FETCH 2 BODY.PEEK[]").await;
        let rest = String::from_utf8(program.rest().await).unwrap();
        assert!(!told.contains(SECRET) && !told.contains(" OK "), "{told}");
        assert!((told + &rest).contains("* BYE "), "{kept}");
        scene.liar.repent();
    }
    let letter = scene.reader().await.ask("UID FETCH 2 BODY.PEEK[]").await;
    assert!(contains(letter.as_bytes(), SECRET.as_bytes()));
}

#[tokio::test]
async fn more_vanishes_than_was_moved() {
    let many = vec![messages()[0].clone(); 30];
    let scene = Scene::under("change", &many, &[]).await;
    for (command, moved) in [("UID EXPUNGE 5", 1), ("UID MOVE 10:12 Archive", 3)] {
        let mut program = scene.reader().await;
        let more = "* 1 EXPUNGE\r\n".repeat(24);
        scene.liar.answers(where_it_says(" OK ", move |said| [more.as_bytes(), &said].concat()));
        let word = async { scene.agent.say(scene.agent.held().await, false) };
        let (told, ()) = tokio::join!(program.ask(command), word);
        let told = told + &String::from_utf8_lossy(&program.rest().await);
        assert!(told.matches("EXPUNGE").count() <= 20 + moved, "{told}");
        assert!(told.contains("* BYE ") && told.contains("are about to vanish"), "{told}");
        assert_eq!(scene.raised(), ["mass_deletion/not_asked_for"]);
        scene.liar.repent();
    }
}

#[tokio::test]
async fn messages_given_under_each_other_s_numbers() {
    let scene = Scene::open().await;
    // By numbers, where the program never sees a UID: one that contradicts what was said before, and two out of order.
    let mut program = scene.reader().await;
    assert!(program.ask("FETCH 1:3 UID").await.contains("UID 3"));
    scene.liar.commands(replacing(&[("FETCH 3 ", "FETCH 1 ")]));
    scene.liar.answers(replacing(&[("* 1 FETCH", "* 3 FETCH")]));
    scene.left_out(&mut program, "FETCH 3 BODY.PEEK[]", "forged/number", "1 as 3").await;
    scene.goes_on(&mut program).await;
    let mut program = scene.program().await;
    scene.liar.answers(replacing(&[
        ("* 1 FETCH", "* 0 FETCH"),
        ("* 2 FETCH", "* 1 FETCH"),
        ("* 0 FETCH", "* 2 FETCH"),
    ]));
    let told = program.ask("FETCH 1:2 BODY.PEEK[HEADER]").await;
    assert!(told.contains(" NO some of it does not hold, and is left out"), "{told}");
    assert_eq!(scene.raised(), ["forged/number"]);
    // Which of the two was the lie is not known here: another connection begins anew.
    scene.liar.repent();
    scene.goes_on(&mut scene.program().await).await;
}

#[tokio::test]
async fn an_item_given_twice_in_place_of_another() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    scene.liar.commands(replacing(&[("BODY.PEEK[TEXT]", "BODY.PEEK[HEADER]")]));
    scene.liar.answers(where_it_says("BODY[HEADER]", |said| {
        let item = said.windows(12).position(|window| window == b"BODY[HEADER]").unwrap();
        let end = literals(&said)[0].end;
        [&said[..end], b" ", &said[item..]].concat()
    }));
    let told = program.ask("UID FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])").await;
    assert!(told.contains(" NO some of it does not hold, and is left out"), "{told}");
    assert_eq!(scene.raised(), ["forged/content"]);
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn messages_that_are_not_there() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (said, alert) in [
        ("* 4 EXPUNGE\r\n", "forged/number"),
        ("* 4294967295 EXPUNGE\r\n", "forged/number"),
        ("* 4 FETCH (FLAGS (merger))\r\n", "forged/number"),
        ("* 4 FETCH (UID 4 FLAGS (merger))\r\n", "forged/number"),
        ("* 0 EXPUNGE\r\n", "forged/response"),
    ] {
        scene.liar.say(said);
        let told = program.ask("NOOP").await;
        assert!(!told.contains("EXPUNGE") && !told.contains(SECRET), "{told}");
        assert_eq!(scene.raised(), [alert], "{said}");
    }
    // As many as can be named: nothing grows with what is only said.
    scene.liar.say("* 4294967295 EXISTS\r\n* 4294967295 FETCH (UID 4294967295 FLAGS ())\r\n");
    program.ask("NOOP").await;
    let began = std::time::Instant::now();
    let told = program.ask("FETCH 1:* FLAGS").await;
    assert!(told.contains(" NO Messages that were in this mailbox are withheld (4294967292)."), "{told}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(scene.raised(), ["missing/no_answer"]);
}

#[tokio::test]
async fn a_flood_of_notifications() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    let said = "* OK [ALERT] merger\r\n* 2 FETCH (UID 2 BODY[] \"merger\")\r\n* 3 EXISTS\r\n* 2 FETCH (FLAGS (a))\r\n";
    for _ in 0..50 {
        scene.liar.say(said.repeat(200));
    }
    let mut items = "* 2 FETCH (".to_owned() + &"FLAGS () ".repeat(10_000);
    items.replace_range(items.len() - 1.., ")\r\n");
    scene.liar.say(items);
    let told = program.ask("NOOP").await;
    assert!(!told.contains(SECRET) && told.contains(" OK "), "it goes on");
    let raised = scene.raised();
    assert!((1..=250).contains(&raised.len()), "{} lines of log", raised.len());
    assert!(scene.agent.alerts()["forged"] > 250, "and the rest is counted");
    // What comes next is raised as ever.
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn frames_that_name_sessions_which_are_none() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for number in 0..100 {
        scene.liar.answers(altering(move |frame| frame[6..22].copy_from_slice(&[number; 16])));
        let told = program.ask("UID FETCH 1 BODY.PEEK[]").await;
        assert!(!told.contains(SECRET) && told.contains(" NO "), "{told}");
    }
    let raised = scene.raised();
    assert!((15..=20).contains(&raised.len()), "so many were asked about, at most: {raised:?}");
    assert!(raised.iter().all(|alert| alert == "tampered/session_unknown"), "{raised:?}");
    scene.goes_on(&mut program).await;
}
