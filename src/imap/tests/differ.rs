//! What an independent parser reads in the same octets.

use std::borrow::Cow;

use imap_proto::{AttributeValue, MessageSection, Response, SectionPath};
use sidekey_imap::command::{Fields, Item, Literals, Part, Section, SectionText};
use sidekey_imap::response::{Attribute, Form, Piece, Responses, StandIn, Taken, ValueKind, Verdict};
use sidekey_imap::scanner::Limits;

use crate::server::Dovecot;
use crate::{All, command, corpus};

#[test]
fn another_parser_finds_the_same_items_and_octets() {
    let mut server = Dovecot::start(&corpus::messages(), 8192);
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    let mut compared = 0;
    for items in [
        "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE",
        "UID BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1]",
        "RFC822.HEADER RFC822.TEXT RFC822 BODYSTRUCTURE",
    ] {
        let said = server.ask(&command(&format!("FETCH 1:* ({items})")), Literals::Plus).octets;
        let ours = items_of(&said);
        let mut ours = ours.iter();
        let mut rest = said.as_slice();
        while let Ok((after, response)) = Response::parse(rest) {
            rest = after;
            if let Response::Fetch(number, attributes) = response {
                for theirs in attributes {
                    let (taken, value) = ours.next().expect("they find no more than we do");
                    assert_eq!(taken.message.number.get(), number);
                    same(taken, value, &theirs);
                    compared += 1;
                }
            }
        }
        assert!(rest.is_empty(), "they read all: {}", rest[..rest.len().min(300)].escape_ascii());
        assert!(ours.next().is_none(), "they find no less than we do");
    }
    assert!(compared > 600, "{compared}");
}

#[test]
fn another_parser_reads_what_stands_in() {
    let parts = || Part(vec![std::num::NonZeroU32::MIN]);
    let section = |part, text| Item::Section(Section::new(part, text).unwrap());
    let fields = Fields::new(["FROM", "TO"]).unwrap();
    for item in [
        Item::Envelope,
        // (It knows no BODY without a section.)
        Item::BodyStructure,
        Item::Rfc822Header,
        section(Part::default(), None),
        section(parts(), Some(SectionText::Mime)),
        section(Part::default(), Some(SectionText::Fields(fields))),
    ] {
        let StandIn { before, after } = StandIn::new(&item, None, Form::Text, 8);
        let line = format!("* 1 FETCH (UID 7 {before}WEVhYmMx{after})\r\n");
        match Response::parse(line.as_bytes()) {
            Ok((b"", Response::Fetch(1, attributes))) => assert_eq!(attributes.len(), 2, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

/// All items and their octets.
fn items_of(mut octets: &[u8]) -> Vec<(Taken, Vec<u8>)> {
    let mut responses = Responses::new(Limits::SERVER);
    let mut items = Vec::new();
    while let Some(piece) = responses.next(&mut octets, &mut All(Verdict::Take, Verdict::Pass)).unwrap() {
        match piece {
            Piece::Take(taken) => items.push((taken, Vec::new())),
            Piece::Octets(octets) => items.last_mut().unwrap().1.extend_from_slice(&octets),
            _ => {}
        }
    }
    items
}

fn same(taken: &Taken, value: &[u8], theirs: &AttributeValue<'_>) {
    let Attribute::Known(item, None) = &taken.attribute else { panic!("{taken:?}") };
    let text = std::str::from_utf8(value);
    match (item, theirs) {
        (Item::Uid, AttributeValue::Uid(uid)) => {
            assert_eq!(text, Ok(uid.to_string().as_str()));
        }
        (Item::Rfc822Size, AttributeValue::Rfc822Size(size)) => {
            assert_eq!(text, Ok(size.to_string().as_str()))
        }
        (Item::InternalDate, AttributeValue::InternalDate(date)) => assert_eq!(text, Ok(date.as_ref())),
        (Item::Flags, AttributeValue::Flags(flags)) => {
            let listed = flags.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ");
            assert_eq!(text, Ok(format!("({listed})").as_str()));
        }
        (Item::Envelope, AttributeValue::Envelope(envelope)) => {
            // A leaf of theirs is somewhere in our list, unless it was escaped.
            for leaf in [&envelope.date, &envelope.message_id].into_iter().flatten() {
                assert!(
                    value.windows(leaf.len()).any(|window| window == leaf.as_ref()) || leaf.contains(&b'"')
                );
            }
        }
        (Item::BodyStructure, AttributeValue::BodyStructure(_)) => {
            assert_eq!(taken.kind, ValueKind::List);
        }
        (Item::Rfc822, AttributeValue::Rfc822(data))
        | (Item::Rfc822Text, AttributeValue::Rfc822Text(data)) => same_octets(taken, value, data.as_ref()),
        (Item::Rfc822Header, AttributeValue::Rfc822Header(data)) => same_octets(taken, value, data.as_ref()),
        (Item::Section(section), AttributeValue::BodySection { section: path, index: None, data }) => {
            let expected = match section.text() {
                None if section.part().0.is_empty() => None,
                None => Some(SectionPath::Part(vec![1], None)),
                Some(SectionText::Header) => Some(SectionPath::Full(MessageSection::Header)),
                Some(SectionText::Text) => Some(SectionPath::Full(MessageSection::Text)),
                Some(other) => panic!("{other:?}"),
            };
            assert_eq!(*path, expected);
            same_octets(taken, value, data.as_ref());
        }
        other => panic!("{other:?}"),
    }
}

fn same_octets(taken: &Taken, value: &[u8], theirs: Option<&Cow<'_, [u8]>>) {
    assert_eq!(theirs.is_none(), taken.kind == ValueKind::Nil);
    assert!(theirs.is_none_or(|theirs| theirs.as_ref() == value));
}
