//! What a person carries from the service to a device: the pairing code, and the pin.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::symbols;
use crate::crypto::{Secret, VerifyingKey};
use crate::encoding::{array_from_base64url, base64url};
use crate::ids::Malformed;

/// Symbols of a code.
const SYMBOLS: usize = 8;

/// Eight symbols, 40 bits, shown once and carried by a person. A secret: mute in logs, wiped on drop.
#[derive(Debug)]
pub struct PairingCode(Secret<SYMBOLS>);

impl PairingCode {
    /// A new one from `rng`.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(symbols::random(rng))
    }

    /// The eight symbols: SPAKE2+'s password.
    #[must_use]
    pub fn expose(&self) -> &[u8; SYMBOLS] {
        self.0.expose()
    }

    /// The code as it is shown: `XXXX-XXXX`.
    #[must_use]
    pub fn expose_printed(&self) -> Zeroizing<String> {
        symbols::printed(self.0.expose())
    }
}

impl FromStr for PairingCode {
    type Err = Malformed;

    /// Reads what a person typed: either case, I and L for 1, O for 0, hyphens and spaces ignored.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        symbols::read(text.as_bytes()).map(Self)
    }
}

/// The first 16 octets of SHA-256 of the service's signing key, SPKI: whom a link leads to. Public.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Pin([u8; 16]);

impl Pin {
    /// The pin of a service's signing key; in text it is that key's `kid` too.
    #[must_use]
    pub fn of(key: &VerifyingKey) -> Self {
        let [pin @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = key.fingerprint();
        Self(pin)
    }
}

impl FromStr for Pin {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        array_from_base64url(text).map(Self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::crypto::SigningKey;

    #[test]
    fn a_code_is_read_back_as_people_type_it() {
        let code: PairingCode = "A1B0-9ZTV".parse().unwrap();
        assert_eq!(code.expose(), b"A1B09ZTV");
        for typed in ["a1b09ztv", "AIBO-9ZTV", "alb o9-ztv", "aLBo 9ZTV", "--A1B09ZTV--"] {
            assert_eq!(typed.parse::<PairingCode>().unwrap().expose(), b"A1B09ZTV", "{typed}");
        }
        for other in ["", "A1B0-9ZT", "A1B0-9ZTVW", "A1B0-9ZTU", "A1B0_9ZTV", "A1B0-9ZTÉ", "A1B0-9ZT\0"] {
            assert_eq!(other.parse::<PairingCode>().unwrap_err(), Malformed, "{other}");
        }
    }

    #[test]
    fn a_printed_code_reads_back_and_uses_every_symbol() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let code = PairingCode::random(&mut rng);
            let printed = code.expose_printed();
            assert_eq!((printed.len(), &printed[4..5]), (9, "-"));
            assert_eq!(printed.parse::<PairingCode>().unwrap().expose(), code.expose());
            seen.extend(*code.expose());
        }
        assert_eq!(seen.len(), 32);
    }

    #[test]
    fn a_code_is_mute() {
        let code: PairingCode = "A1B0-9ZTV".parse().unwrap();
        assert_eq!(format!("{code:?}"), "PairingCode(Secret<8>)");
    }

    #[test]
    fn a_pin_has_one_spelling() {
        let pin = Pin::of(&SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(1)).verifying_key());
        let text = pin.to_string();
        assert_eq!(text.len(), 22);
        assert_eq!(text.parse(), Ok(pin));
        for other in ["", &text[1..], &format!("{text}="), &format!("{}B", &text[..21])] {
            assert_eq!(other.parse::<Pin>(), Err(Malformed), "{other}");
        }
    }
}
