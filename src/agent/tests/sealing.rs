//! What a program appends and searches for reaches the mail server as the program said it, and the proxy sees none of it.

use super::*;

/// Letters of these sizes: none of a full record, one, and several with padding to make.
const SIZES: [usize; 4] = [30, 5_000, 70_000, 400_000];

fn letter(size: usize) -> String {
    let head = format!("Subject: marmalade {size}\r\n\r\n");
    let line = "marmalade, and no end of it\r\n";
    let lines = line.repeat(size.saturating_sub(head.len()) / line.len());
    head + &lines
}

#[test]
fn messages_are_stored_as_they_were_appended() {
    for (piece, plus) in [(usize::MAX, "+"), (usize::MAX, ""), (4099, "")] {
        let mut path = Path::start(&[], piece, false);
        for (at, size) in SIZES.into_iter().enumerate() {
            let letter = letter(size);
            let append = format!("APPEND INBOX (\\Seen) {{{}{plus}}}\r\n{letter}", letter.len());
            let said = String::from_utf8(path.ask(&append)).unwrap();
            assert!(said.contains("a OK ") && said.contains("APPENDUID"), "{size}: {said}");
            let stored = directly(&mut path.server, &format!("FETCH {} (FLAGS BODY.PEEK[])", at + 1));
            let stored = String::from_utf8(stored).unwrap();
            assert!(stored.contains(&letter) && stored.contains("\\Seen"), "{size}");
            // And comes back as it went.
            let read = String::from_utf8(path.ask(&format!("FETCH {} BODY.PEEK[]", at + 1))).unwrap();
            assert!(read.contains(&letter), "{size}");
        }
        let seen = String::from_utf8_lossy(&path.seen).into_owned();
        assert!(!seen.contains("marmalade"));
        assert_eq!(path.alerts, []);
    }
}

#[test]
fn searches_find_what_the_mail_server_finds() {
    let mut path = Path::start(&corpus::messages(), 4099, false);
    for search in [
        "SEARCH SUBJECT \"e\"",
        "UID SEARCH NOT TEXT invoice",
        "SEARCH OR FROM partner BODY {7+}\r\nquarter",
        "SEARCH HEADER Subject \"no such thing\"",
    ] {
        let (found, direct) = (path.ask(search), directly(&mut path.server, search));
        let first = |octets: &[u8]| octets.split(|octet| *octet == b'\n').next().unwrap().to_vec();
        assert_eq!(first(&found), first(&direct), "{search}: {}", found.escape_ascii());
    }
    assert_eq!(path.alerts, []);
}
