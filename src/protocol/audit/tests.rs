use super::*;
use crate::crypto::SigningKey;
use crate::ids::Timestamp;
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
fn checkpoints_are_those_of_the_vectors() {
    let vectors = load(include_str!("../../../proto/audit/vectors.json"));
    let (chain, vector) = (cases(&vectors, "chain"), &vectors["checkpoint"]);
    let last = chain.last().unwrap();
    let position = Position { seq: last["seq"].as_u64().unwrap(), hash: array(&last["hash"]) };
    let service = text(&vector["service"]).parse().unwrap();
    let key = SigningKey::from_pkcs8(&octets(&vector["private"])).unwrap();
    let at = Timestamp(number(&vector["at"]));
    for case in cases(vector, "cases") {
        let read = Checkpoint::read(text(&case["jws"]));
        let Some(refused) = case["refused"].as_str() else {
            assert_eq!(Checkpoint::sign(service, position, at, &key), text(&case["jws"]));
            let read = read.unwrap();
            assert_eq!((read.service, read.position, read.at), (service, position, at));
            assert_eq!(read.kid(), text(&vector["kid"]));
            continue;
        };
        let expected = match refused {
            "key_foreign" => checkpoint::Reject::KeyForeign,
            "malformed" => checkpoint::Reject::Malformed,
            "payload_malformed" => checkpoint::Reject::PayloadMalformed,
            "signature_wrong" => checkpoint::Reject::SignatureWrong,
            other => panic!("{other}"),
        };
        assert_eq!(read, Err(expected), "{}", case["name"]);
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
