//! Octets that chance has changed: they end in a value or a named refusal, in bounded memory.

use sidekey_imap::command::{Event, Literals, Reader};
use sidekey_imap::mailbox::Mailbox;
use sidekey_imap::response::{Piece, Responses, Verdict};
use sidekey_imap::scanner::{Limits, Scanner, Side};

use crate::{All, Chance};

/// What Dovecot said to the commands below.
const SAID: &[u8] = include_bytes!("transcripts/server.txt");
/// What clients say.
const ASKED: &[u8] = include_bytes!("transcripts/client.txt");
const ROUNDS: usize = 20_000;
/// More than a line, a list and a token may have in all.
const KEPT_MAX: usize = 5 * 1024 * 1024;

#[test]
fn changed_responses_end_in_a_value_or_a_refusal() {
    let mut chance = Chance(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let octets = changed(SAID, &mut chance);
        let verdicts = [Verdict::Pass, Verdict::Take, Verdict::Drop];
        let mut policy = All(verdicts[round % 3], verdicts[round / 3 % 3]);
        let mut responses = Responses::new(Limits::SERVER);
        let (mut came, mut failed) = (0, false);
        'pieces: for mut input in octets.chunks(1 + chance.below(5000)) {
            loop {
                match responses.next(&mut input, &mut policy) {
                    Ok(None) => break,
                    Ok(Some(Piece::Wire(octets) | Piece::Octets(octets))) => came += octets.len(),
                    Ok(Some(_)) => {}
                    Err(unreadable) => {
                        assert!(unreadable.at <= octets.len() as u64);
                        failed = true;
                        break 'pieces;
                    }
                }
            }
            assert!(responses.kept() < KEPT_MAX);
        }
        assert!(came <= octets.len(), "nothing is made up");
        if failed { refused += 1 } else { read += 1 }
    }
    assert!(read > ROUNDS / 20 && refused > ROUNDS / 20, "both happen: {read}, {refused}");
}

#[test]
fn changed_commands_end_in_a_command_or_a_refusal() {
    let mut chance = Chance(2);
    let (mut commands, mut refused, mut broken) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let octets = changed(ASKED, &mut chance);
        let mut reader = Reader::new(Limits::CLIENT);
        'pieces: for mut input in octets.chunks(1 + chance.below(5000)) {
            loop {
                match reader.next(&mut input) {
                    Ok(None) => break,
                    Ok(Some(Event::Command(command))) => {
                        // What is sent on is IMAP, whatever came.
                        let sent = command.write(Literals::Plus).concat();
                        let mut scanner = Scanner::new(Side::Client, Limits::CLIENT);
                        let mut sent = sent.as_slice();
                        while scanner.next(&mut sent).unwrap().is_some() {}
                        commands += 1;
                    }
                    Ok(Some(Event::Refused(..))) => refused += 1,
                    Ok(Some(Event::Append(append))) if chance.below(2) == 0 => reader.decline(&append),
                    Ok(Some(_)) => {}
                    Err(_) => {
                        broken += 1;
                        break 'pieces;
                    }
                }
            }
            assert!(reader.kept() < KEPT_MAX);
        }
    }
    assert!(
        commands > ROUNDS && refused > ROUNDS / 20 && broken > ROUNDS / 20,
        "{commands}, {refused}, {broken}"
    );
}

#[test]
fn changed_names_have_one_spelling_or_none() {
    let mut chance = Chance(3);
    for _ in 0..ROUNDS {
        let octets = changed(b"Entw&APw-rfe/&U,BTFw-/R&-D/INBOX", &mut chance);
        if let Ok(mailbox) = Mailbox::from_wire(&octets) {
            assert!(
                mailbox.as_str() == "INBOX" || mailbox.wire().as_bytes() == octets,
                "{}",
                octets.escape_ascii()
            );
        }
    }
}

/// A few octets altered, dropped, doubled, moved or put in; often such as mean something.
fn changed(octets: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(octets.len());
        let end = (at + 1 + chance.below(40)).min(octets.len());
        match chance.below(6) {
            0 => octets[at] = chance.next() as u8,
            1 => octets[at] = MEANING[chance.below(MEANING.len())],
            2 => octets.insert(at, MEANING[chance.below(MEANING.len())]),
            3 => {
                octets.drain(at..end);
            }
            4 => {
                let part = octets[at..end].to_vec();
                let to = chance.below(octets.len());
                octets.splice(to..to, part);
            }
            _ => {
                let number = format!("{{{}}}\r\n", chance.below(70_000));
                octets.splice(at..at, number.into_bytes());
            }
        }
        if octets.is_empty() {
            octets.push(b'x');
        }
    }
    octets
}

const MEANING: &[u8] = b" ()[]{}\"\\*+~\r\n\0<>0129.,:&-";
