//! A key from a passphrase.

use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::{Secret, Unverified};

/// `Argon2id(passphrase, salt, memory_kib KiB, t = passes, p = 1, 32 octets)`, RFC 9106.
///
/// # Errors
/// [`Unverified`] when no Argon2id has such parameters.
pub fn stretch(
    passphrase: &[u8],
    salt: &[u8; 16],
    memory_kib: u32,
    passes: u32,
) -> Result<Secret<32>, Unverified> {
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| Unverified)?;
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let key = Secret::fill(|out| argon2.hash_password_into_with_memory(passphrase, salt, out, &mut memory));
    memory.iter_mut().for_each(zeroize::Zeroize::zeroize);
    key.map_err(|_| Unverified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_makes_another_key() {
        let key = |passphrase: &[u8], salt: u8, memory_kib, passes| {
            *stretch(passphrase, &[salt; 16], memory_kib, passes).unwrap().expose()
        };
        let one = key(b"correct horse", 1, 64, 1);
        assert_eq!(one, key(b"correct horse", 1, 64, 1));
        for other in [
            key(b"correct horsf", 1, 64, 1),
            key(b"correct horse", 2, 64, 1),
            key(b"correct horse", 1, 65, 1),
            key(b"correct horse", 1, 64, 2),
        ] {
            assert_ne!(one, other);
        }
        assert!(stretch(b"", &[0; 16], 0, 0).is_err());
    }
}
