//! Tokens are the same wherever the pieces end, and nothing is lost between them.

use sidekey_imap::scanner::{Kind, Limits, Malformed, Scanner, Side};

use crate::{choice, pieces};

/// Limits that short octets reach too.
const TIGHT: Limits = Limits { token: 24, literal: 100, depth: 3 };

#[derive(Debug, Eq, PartialEq)]
struct Read {
    /// Chunks of one literal put together.
    tokens: Vec<(Kind, Vec<u8>)>,
    kept: usize,
    refused: Option<Malformed>,
}

pub fn scanner(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    for side in [Side::Client, Side::Server] {
        for limits in [Limits::CLIENT, TIGHT] {
            let read = read(side, limits, std::iter::once(octets));
            let passed: Vec<_> = read.tokens.iter().flat_map(|(_, octets)| octets).copied().collect();
            assert!(octets.starts_with(&passed), "what the tokens hold is what came");
            match read.refused {
                None => assert_eq!(passed.len() + read.kept, octets.len(), "nothing is lost"),
                Some(refused) => {
                    assert!(refused.at >= passed.len() as u64 && refused.at < octets.len() as u64)
                }
            }
            let again = self::read(side, limits, pieces(seed, octets));
            assert_eq!(again, read, "wherever the pieces end");
        }
    }
}

fn read<'o>(side: Side, limits: Limits, pieces: impl Iterator<Item = &'o [u8]>) -> Read {
    let mut scanner = Scanner::new(side, limits);
    let mut tokens: Vec<(Kind, Vec<u8>)> = Vec::new();
    for mut input in pieces {
        loop {
            match scanner.next(&mut input) {
                Ok(None) => break,
                Ok(Some(token)) => match (token.kind, tokens.last_mut()) {
                    (Kind::Chunk { .. }, Some((kind @ Kind::Chunk { .. }, octets))) => {
                        *kind = token.kind;
                        octets.extend_from_slice(token.octets);
                    }
                    (kind, _) => tokens.push((kind, token.octets.to_vec())),
                },
                Err(refused) => return Read { tokens, kept: 0, refused: Some(refused) },
            }
        }
        assert!(input.is_empty() && scanner.kept() <= limits.token, "what is kept has a bound");
    }
    Read { tokens, kept: scanner.kept(), refused: None }
}
