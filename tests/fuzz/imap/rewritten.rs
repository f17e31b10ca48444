//! What one end puts in the place of items the other takes out again, and all that another parser reads is as it was.

use imap_proto::{AttributeValue, Response};
use sidekey_gateway::allow::{Treatment, treatment};
use sidekey_imap::response::{Attribute, Message, Piece, Policy, Responses, Status, Taken, Verdict};
use sidekey_imap::scanner::Limits;

use super::ends::{open, rewrite, seal};
use super::sound::theirs;
use crate::choice;

/// What is sealed is taken.
struct Sealing;

impl Policy for Sealing {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        Verdict::Pass
    }

    fn item(&mut self, _: &Message, attribute: &Attribute) -> Verdict {
        match attribute {
            Attribute::Known(item, _) if treatment(item) == Treatment::Seal => Verdict::Take,
            _ => Verdict::Pass,
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Heard {
    Wire(Vec<u8>),
    Status(Status),
    Continuation(Vec<u8>),
    Item(Taken, Vec<u8>),
}

pub fn ends(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    let Some(said) = heard(octets) else { return };
    let piece = if seed == 0 { usize::MAX } else { usize::from(seed) };
    let sealed = rewrite(octets, piece, &mut Sealing, seal).expect("it was read before");
    let opened = rewrite(&sealed, piece, &mut Sealing, open).expect("one end reads what the other writes");
    assert_eq!(heard(&opened).as_ref(), Some(&said), "{}", opened.escape_ascii());
    let Some(read) = theirs(octets) else { return };
    assert_eq!(theirs(&opened).as_ref(), Some(&read), "{}", opened.escape_ascii());
    let shapes = shapes(&read);
    // What they do not know they may skip wrongly.
    if !shapes.iter().any(|(_, items)| items.iter().any(|item| item == "Unknown")) {
        let sealed = theirs(&sealed).unwrap_or_else(|| panic!("unread: {}", sealed.escape_ascii()));
        assert_eq!(self::shapes(&sealed), shapes);
    }
}

/// All of it, if it is whole responses.
fn heard(octets: &[u8]) -> Option<Vec<Heard>> {
    let (mut responses, mut input, mut said) = (Responses::new(Limits::SERVER), octets, Vec::new());
    while let Some(piece) = responses.next(&mut input, &mut Sealing).ok()? {
        match (said.last_mut(), piece) {
            (Some(Heard::Wire(before)), Piece::Wire(octets)) => before.extend_from_slice(&octets),
            (_, Piece::Wire(octets)) => said.push(Heard::Wire(octets.into_owned())),
            (_, Piece::Status(status)) => said.push(Heard::Status(status)),
            (_, Piece::Continuation(text)) => said.push(Heard::Continuation(text)),
            (_, Piece::Take(taken)) => said.push(Heard::Item(taken, Vec::new())),
            (Some(Heard::Item(_, value)), Piece::Octets(octets)) => value.extend_from_slice(&octets),
            (_, Piece::Taken) => {}
            (_, other) => panic!("{other:?} was not taken"),
        }
    }
    (responses.between() && responses.kept() == 0).then_some(said)
}

/// Which messages, and which items of them.
fn shapes(responses: &[Response<'_>]) -> Vec<(u32, Vec<String>)> {
    let shape = |response: &Response<'_>| match response {
        Response::Fetch(number, attributes) => Some((*number, attributes.iter().map(name).collect())),
        _ => None,
    };
    responses.iter().filter_map(shape).collect()
}

/// What another parser calls it.
fn name(attribute: &AttributeValue<'_>) -> String {
    let text = format!("{attribute:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}
