//! The contract's vectors (proto/object/vectors.json), as far as they are about names.

use serde_json::Value;
use sidekey_imap::command::{Body, Command, Event, Reader};
use sidekey_imap::mailbox::Mailbox;
use sidekey_imap::scanner::Limits;

fn vectors(name: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../../../proto/object/vectors.json")).unwrap();
    vectors[name].as_array().unwrap().clone()
}

/// The one spelling of an item, where it is one.
fn canonical(item: &str) -> Option<String> {
    let line = format!("a FETCH 1 ({item})\r\n");
    match Reader::new(Limits::CLIENT).next(&mut line.as_bytes()) {
        Ok(Some(Event::Command(Command { body: Body::Fetch { items, .. }, .. }))) => match &items[..] {
            [asked] => Some(asked.item().canonical()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn items_are_spelled_as_frames_are_bound_to_them() {
    let mut same = 0;
    for case in vectors("items") {
        let (item, expected) = (case["item"].as_str().unwrap(), case["canonical"].as_str().unwrap());
        match canonical(item) {
            Some(spelled) => {
                assert_eq!(spelled, expected, "{item}");
                same += 1;
            }
            // The contract takes several spaces, a command takes one.
            None => assert!(item.contains("  ") || item.contains("( ") || item.contains(" )"), "{item}"),
        }
    }
    assert!(same > 20, "{same}");
    for case in vectors("items_refused") {
        let item = case["item"].as_str().unwrap();
        // Items that are not sealed, and a partial, which is not part of an item's name.
        if !["FLAGS", "RFC822.SIZE", "BINARY.SIZE[1]", "BODY[]<0.16384>"].contains(&item) {
            assert_eq!(canonical(item), None, "{item}");
        }
    }
}

#[test]
fn mailboxes_are_named_as_frames_are_bound_to_them() {
    for case in vectors("mailboxes") {
        let separator = case["separator"].as_str().and_then(|text| text.chars().next());
        let mailbox = Mailbox::new(case["name"].as_str().unwrap()).unwrap();
        assert_eq!(mailbox.canonical(separator), case["canonical"].as_str().unwrap());
        let again = Mailbox::from_wire(mailbox.wire().as_bytes()).unwrap();
        assert_eq!(again.canonical(separator), case["canonical"].as_str().unwrap());
    }
    for case in vectors("mailboxes_refused") {
        assert!(Mailbox::new(case["name"].as_str().unwrap()).is_err(), "{case}");
    }
}
