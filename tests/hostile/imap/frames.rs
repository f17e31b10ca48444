//! Frames of the mail server's, altered or put elsewhere on their way to the agent.

use std::sync::{Arc, Mutex};

use sidekey_tests::imap::liar::{altering, contains, frames, replacing, where_it_says, with_frame};

use super::*;

/// Octets before the first record, and of a full record with its tag.
const PREFIX: usize = 138;
const RECORD: usize = 65_536 + 16;

/// What is raised when one bit of this octet is another. (Which key a session and its generation name, the agent may ask
/// the key service only so often.)
fn reason(at: usize) -> &'static [&'static str] {
    match at {
        0..=1 => &["downgrade/plaintext"],
        2 => &["tampered/version_unknown"],
        3 => &["tampered/type_unknown"],
        4 => &["tampered/suite_unknown"],
        6..=25 => &["tampered/session_unknown", ""],
        42 => &["tampered/other_kind"],
        43 => &["tampered/other_flags"],
        44..=45 => &["tampered/context_reserved"],
        46..=49 => &["reterminated/numbering"],
        50..=81 => &["reterminated/names"],
        82..=89 => &["tampered/other_subject"],
        90..=97 => &["tampered/other_position"],
        98..=129 => &["tampered/other_item"],
        130..=137 => &["tampered/other_extent"],
        _ => &["tampered/first_record_unverified"],
    }
}

#[tokio::test]
async fn each_octet_flipped_in_turn() {
    let scene = Scene::open().await;
    let before = scene.kept().await;
    let mut program = scene.reader().await;
    let len = frames(scene.liar.heard().iter().rfind(|said| contains(said, b"BODY[]")).unwrap())[0].len();
    for at in (0..len).filter(|at| *at < PREFIX + 20 || at % 101 == 0 || *at + 17 > len) {
        scene.liar.answers(altering(move |frame| frame[at] ^= 2));
        let told = program.ask("UID FETCH 1 BODY.PEEK[]").await;
        assert!(!told.contains(SECRET) && told.contains(" NO "), "octet {at}: {told}");
        let raised = scene.raised().join(" ");
        assert!(reason(at).contains(&raised.as_str()), "octet {at}: {raised}");
        scene.liar.repent();
        if raised.starts_with("reterminated") {
            assert!(program.rest().await.starts_with(b"* BYE "), "octet {at}");
            program = scene.reader().await;
        }
    }
    scene.goes_on(&mut program).await;
    assert_eq!(scene.kept().await, before);
}

/// What becomes of the long message whose frame is altered so.
async fn long(alter: impl FnMut(&mut Vec<u8>) + Send + 'static, alert: &str, what: &str) {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    scene.liar.answers(altering(alter));
    scene.left_out(&mut program, "UID FETCH 2 BODY.PEEK[]", alert, what).await;
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_frame_cut_at_every_record_boundary_and_beside_it() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (len, reason) in [
        (0, "downgrade/plaintext"),
        (PREFIX - 1, "tampered/truncated"),
        (PREFIX, "tampered/truncated"),
        (PREFIX + 1, "tampered/truncated"),
        (PREFIX + RECORD - 1, "tampered/first_record_unverified"),
        (PREFIX + RECORD, "tampered/first_record_unverified"),
        (PREFIX + RECORD + 1, "tampered/truncated"),
        (PREFIX + 2 * RECORD, "tampered/truncated"),
        (PREFIX + 3 * RECORD, "tampered/truncated"),
    ] {
        scene.liar.answers(altering(move |frame| frame.truncate(len)));
        scene.left_out(&mut program, "UID FETCH 2 BODY.PEEK[]", reason, &format!("{len} octets")).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_record_dropped() {
    let drop = |frame: &mut Vec<u8>| drop(frame.drain(PREFIX + RECORD..PREFIX + 2 * RECORD));
    long(drop, "tampered/record_unverified", "the second").await;
}

#[tokio::test]
async fn two_records_swapped() {
    let swap = |frame: &mut Vec<u8>| {
        let (one, two) = frame.split_at_mut(PREFIX + 2 * RECORD);
        one[PREFIX + RECORD..].swap_with_slice(&mut two[..RECORD]);
    };
    long(swap, "tampered/record_unverified", "the second and the third").await;
}

#[tokio::test]
async fn a_record_doubled() {
    let double = |frame: &mut Vec<u8>| {
        let one = frame[PREFIX..PREFIX + RECORD].to_vec();
        drop(frame.splice(PREFIX + RECORD..PREFIX + RECORD, one));
    };
    long(double, "tampered/record_unverified", "the first").await;
}

#[tokio::test]
async fn more_records_than_the_length_allows() {
    let extend = |frame: &mut Vec<u8>| frame.extend_from_within(PREFIX..PREFIX + RECORD);
    long(extend, "tampered/overlong", "one more").await;
}

#[tokio::test]
async fn two_frames_of_one_message_spliced() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    assert!(program.ask("UID FETCH 2 BODY.PEEK[]").await.contains(SECRET));
    let heard = scene.liar.heard();
    let earlier = frames(heard.iter().rfind(|said| said.starts_with(b"* 2 FETCH")).unwrap())[0].clone();
    for at in [PREFIX, PREFIX + RECORD, PREFIX + 2 * RECORD] {
        let earlier = earlier.clone();
        scene.liar.answers(altering(move |frame| frame[at..].copy_from_slice(&earlier[at..])));
        let reason = if at == PREFIX { "first_record_unverified" } else { "record_unverified" };
        let alert = format!("tampered/{reason}");
        scene.left_out(&mut program, "UID FETCH 2 BODY.PEEK[]", &alert, &format!("at {at}")).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn another_suite_and_another_size_of_records() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (at, octet, alert) in [
        (4, 2, "tampered/other_suite"),
        (4, 3, "tampered/suite_unknown"),
        (5, 11, "tampered/record_size_out_of_bounds"),
        (5, 21, "tampered/record_size_out_of_bounds"),
        (5, 12, "tampered/first_record_unverified"),
    ] {
        scene.liar.answers(altering(move |frame| frame[at] = octet));
        scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", alert, &format!("{at}: {octet}")).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn another_item_under_the_name_of_the_one_that_was_asked_for() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (item, asked, other, answered) in [
        ("BODY.PEEK[]", "BODY.PEEK[]", "BODY.PEEK[TEXT]", "BODY[TEXT]"),
        (
            "BODY.PEEK[HEADER]",
            "BODY.PEEK[HEADER]",
            "BODY.PEEK[HEADER.FIELDS (TO)]",
            "BODY[HEADER.FIELDS (TO)]",
        ),
        ("BODY.PEEK[1]", "BODY.PEEK[1]", "BODY.PEEK[2]", "BODY[2]"),
        ("RFC822.TEXT", "RFC822.TEXT", "RFC822", "RFC822"),
    ] {
        scene.liar.commands(replacing(&[(asked, other)]));
        scene.liar.answers(replacing(&[(answered, &asked.replace(".PEEK", ""))]));
        let command = format!("UID FETCH 3 {item}");
        scene.left_out(&mut program, &command, "tampered/other_item", item).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn another_message_in_its_place() {
    let scene = Scene::open().await;
    for (known, alert) in [(true, "tampered/other_subject"), (false, "reterminated/uids")] {
        let mut program = if known { scene.reader().await } else { scene.program().await };
        scene.liar.commands(replacing(&[("UID FETCH 1 ", "UID FETCH 3 ")]));
        scene.liar.answers(replacing(&[("* 3 FETCH (UID 3 ", "* 1 FETCH (UID 1 ")]));
        if known {
            scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", alert, "read before").await;
            scene.goes_on(&mut program).await;
        } else {
            // Nothing has opened here yet: whose numbers these are is not known.
            scene.ends(program, "UID FETCH 1 BODY.PEEK[]", alert, "nothing read before").await;
            scene.liar.repent();
        }
    }
}

#[tokio::test]
async fn two_bodies_swapped_in_one_answer() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    let held = Arc::new(Mutex::new(None::<Vec<u8>>));
    scene.liar.answers(where_it_says("BODY[]", move |said| {
        let mut held = held.lock().unwrap();
        let Some(first) = held.take() else {
            *held = Some(said);
            return Vec::new();
        };
        let (one, two) = (frames(&first)[0].clone(), frames(&said)[0].clone());
        [with_frame(&first, 0, &two), with_frame(&said, 0, &one)].concat()
    }));
    let told = program.ask("UID FETCH 1,3 BODY.PEEK[]").await;
    assert!(!told.contains(SECRET) && told.contains(" NO some of it does not hold"), "{told}");
    assert_eq!(scene.raised(), ["tampered/other_subject"; 2]);
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn another_mailbox_under_the_name_of_the_one_that_was_selected() {
    let scene = Scene::open().await;
    scene.liar.commands(replacing(&[("SELECT INBOX", "SELECT Archive")]));
    let program = scene.program().await;
    scene.ends(program, "UID FETCH 1 BODY.PEEK[]", "reterminated/names", "Archive for INBOX").await;
}

#[tokio::test]
async fn another_uidvalidity() {
    let scene = Scene::open().await;
    scene.liar.answers(replacing(&[("[UIDVALIDITY 1", "[UIDVALIDITY 2")]));
    let program = scene.program().await;
    scene.ends(program, "UID FETCH 1 BODY.PEEK[]", "reterminated/numbering", "anew").await;
    // Without any, nothing that is sealed can be of this mailbox.
    scene.liar.answers(replacing(&[("[UIDVALIDITY ", "[X-VALIDITY ")]));
    let told = scene.program().await.ask("UID FETCH 1 BODY.PEEK[]").await;
    assert!(told.contains(" NO this mailbox is not numbered, and nothing in it can be opened"), "{told}");
}

#[tokio::test]
async fn a_range_shortened_or_moved() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    for (range, asked, other, alert) in [
        ("<0.20480>", "<0.32768>", "<0.16384>", "tampered/other_extent"),
        ("<0.100>", "<0.16384>", "<0.1048576>", "tampered/other_extent"),
        ("<16384.16384>", "<16384.16384>", "<32768.16384>", "tampered/other_position"),
        ("<16384.16384>", "<16384.16384>", "", "tampered/other_position"),
        ("<0.16384>", "<0.16384>", "", "tampered/other_extent"),
    ] {
        let origin =
            |range: &str| range.split_once('.').map_or(String::new(), |(origin, _)| format!("[]{origin}> "));
        scene.liar.commands(replacing(&[(asked, other)]));
        let named = if other.is_empty() { "[] ".to_owned() } else { origin(other) };
        scene.liar.answers(replacing(&[(&named, &origin(asked))]));
        let command = format!("UID FETCH 2 BODY.PEEK[]{range}");
        scene.left_out(&mut program, &command, alert, range).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_frame_of_a_client_s_given_back_as_the_mail_server_s() {
    let scene = Scene::open().await;
    let mut program = scene.reader().await;
    assert!(program.ask(&format!("SEARCH TEXT {SECRET}")).await.contains("* SEARCH 1 2 3\r\n"));
    assert!(program.ask("APPEND INBOX {12+}\r\nSubject: a\r\n").await.contains(" OK "));
    let asked = scene.liar.asked();
    for (command, alert) in [("SEARCH", "tampered/other_kind"), ("APPEND", "tampered/other_kind")] {
        let said = asked.iter().rfind(|said| contains(said, command.as_bytes())).unwrap();
        let reflected = frames(said)[0].clone();
        scene.liar.answers(altering(move |frame| frame.clone_from(&reflected)));
        scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", alert, command).await;
    }
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn a_frame_of_yesterday_once_a_device_was_revoked() {
    let scene = Scene::open().await;
    let _reader = scene.reader().await;
    let heard = scene.liar.heard();
    let old = frames(heard.iter().rfind(|said| contains(said, b"BODY[]")).unwrap())[0].clone();
    let tablet = scene.office.tablet.client.pairing();
    let target = serde_json::json!({"kind": "pairing", "pairing": tablet});
    scene.office.revoke(&target).send().await.is(200);
    scene.raised();
    let mut program = scene.reader().await;
    scene.liar.answers(altering(move |frame| frame.clone_from(&old)));
    let told = program.ask("UID FETCH 1 BODY.PEEK[]").await;
    assert!(!told.contains(SECRET) && told.contains(" NO "), "{told}");
    assert_eq!(scene.raised(), ["tampered/session_unknown"]);
    scene.goes_on(&mut program).await;
}

#[tokio::test]
async fn frames_that_come_as_octets() {
    let scene = Scene::open().await.for_octets().await;
    let mut program = scene.reader().await;
    let heard = scene.liar.heard();
    let octets = heard.iter().rfind(|said| contains(said, b"BODY[]")).unwrap();
    assert!(contains(octets, b"BODY[] ~{4250}\r\nXE"), "{}", octets[..200].escape_ascii());
    for at in [2, 30, 42, 90, 130, 138, 200, 4_249] {
        scene.liar.answers(altering(move |frame| frame[at] ^= 2));
        let alert = reason(at)[0];
        scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", alert, &format!("octet {at}")).await;
    }
    for (len, alert) in [(137, "truncated"), (138, "truncated"), (4_249, "truncated")] {
        scene.liar.answers(altering(move |frame| frame.truncate(len)));
        let alert = format!("tampered/{alert}");
        scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", &alert, &format!("{len} octets")).await;
    }
    // As text that is none, and as plaintext.
    for (from, to) in [("BODY[] ~{", "BODY[] {"), ("\r\nXE", "\r\nxE")] {
        scene.liar.answers(where_it_says("BODY[]", replacing(&[(from, to)])));
        scene.left_out(&mut program, "UID FETCH 1 BODY.PEEK[]", "downgrade/plaintext", to).await;
    }
    scene.goes_on(&mut program).await;
}
