//! Crockford's base32, which people read out and type: no I, L, O (read as 1, 1, 0) and no U.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::Secret;
use crate::ids::Malformed;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols that are shown together, a hyphen between two groups.
const GROUP: usize = 4;

/// So many symbols from `rng`, five bits each.
pub(super) fn random<const N: usize>(rng: &mut impl CryptoRng) -> Secret<N> {
    let bits = Secret::<N>::random(rng);
    Secret::fill_with(|symbols| {
        for (symbol, byte) in symbols.iter_mut().zip(bits.expose()) {
            *symbol = ALPHABET[usize::from(byte & 31)];
        }
    })
}

/// Reads what a person typed: either case, I and L for 1, O for 0, hyphens and spaces ignored.
pub(super) fn read<const N: usize>(typed: &[u8]) -> Result<Secret<N>, Malformed> {
    let mut typed = typed.iter().copied().filter(|byte| !matches!(byte, b'-' | b' '));
    let symbols = Secret::fill(|symbols| {
        for symbol in symbols {
            *symbol = typed.next().and_then(meant).ok_or(Malformed)?;
        }
        Ok(())
    })?;
    if typed.next().is_none() { Ok(symbols) } else { Err(Malformed) }
}

fn meant(symbol: u8) -> Option<u8> {
    let symbol = match symbol.to_ascii_uppercase() {
        b'I' | b'L' => b'1',
        b'O' => b'0',
        other => other,
    };
    ALPHABET.contains(&symbol).then_some(symbol)
}

/// As they are shown: `XXXX-XXXX`.
pub(super) fn printed(symbols: &[u8]) -> Zeroizing<String> {
    let mut printed = Zeroizing::new(String::with_capacity(symbols.len() + symbols.len() / GROUP));
    for (i, symbol) in symbols.iter().enumerate() {
        if i > 0 && i % GROUP == 0 {
            printed.push('-');
        }
        printed.push(char::from(*symbol));
    }
    printed
}
