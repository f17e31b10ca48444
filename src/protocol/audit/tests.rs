use super::*;
use crate::vectors::{array, cases, load, number, octets, text};

#[test]
fn leaf_and_chain_are_those_of_the_vectors() {
    let vectors = load(include_str!("../../../proto/audit/vectors.json"));
    let mut end = Position::START;
    for case in cases(&vectors, "chain") {
        let (salt, body) = (array(&case["salt"]), octets(&case["body"]));
        let mut hashes = Vec::new();
        for (item, said) in case["said"].as_array().unwrap().iter().enumerate() {
            let own = entry_salt(&salt, item as u16);
            assert_eq!(own, array(&said["salt"]));
            hashes.push(entry_hash(&own, text(&said["text"])));
            assert_eq!(hashes[item], array(&said["hash"]));
        }
        let frame = Frame {
            size_bytes: body.len() as u32,
            seq: end.seq + 1,
            nth: number(&case["nth"]) as u16,
            entries: entries(&hashes),
        };
        assert_eq!(frame.entries, array(&case["entries"]));
        assert_eq!(Frame::read(&frame.octets()), frame);
        let leaf = frame.leaf(&sha256(&body));
        assert_eq!(leaf, array(&case["leaf"]));
        end = end.next(&leaf);
        assert_eq!((end.seq, end.hash), (case["seq"].as_u64().unwrap(), array(&case["hash"])));
    }
}

#[test]
fn the_contract_lists_every_action() {
    let contract = include_str!("../../../proto/audit/spec.md");
    for action in Action::ALL {
        let row = format!("| `{}` | {}", action.as_str(), action.title());
        assert!(contract.contains(&row), "{row}");
        assert_eq!(action.as_str().parse(), Ok(*action));
    }
}
