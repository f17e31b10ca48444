//! Keys from passwords, which take time and memory to try.

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
    argon2id(passphrase, salt, memory_kib, passes)
}

/// The same, of any size. What it works in is wiped, and given back to the system.
pub(super) fn argon2id<const N: usize>(
    password: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<Secret<N>, Unverified> {
    let params = Params::new(memory_kib, passes, 1, Some(N)).map_err(|_| Unverified)?;
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(MAPPED_BLOCKS));
    memory.resize(blocks, Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let key = Secret::fill(|out| argon2.hash_password_into_with_memory(password, salt, out, &mut memory));
    memory.iter_mut().for_each(zeroize::Zeroize::zeroize);
    key.map_err(|_| Unverified)
}

/// Blocks of a KiB from which on glibc maps a buffer by itself, whatever it has seen (mallopt(3), `M_MMAP_THRESHOLD`): what is
/// not used of it is never there, and all of it is gone when it is dropped. Of smaller ones it keeps some for each thread that
/// ever had one, wiped but there: up to 58 MiB.
const MAPPED_BLOCKS: usize = 33 << 10;

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

    /// Of each thread that has stretched a key, and lives on.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_that_it_takes_is_given_back() {
        let resident_kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let (before, all) = (resident_kib(), std::sync::Barrier::new(THREADS + 1));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..2 {
                        stretch(b"correct horse", &[1; 16], MEMORY_KIB, 1).unwrap();
                    }
                    all.wait();
                    all.wait();
                });
            }
            all.wait();
            let grown_kib = resident_kib().saturating_sub(before);
            all.wait();
            assert!(grown_kib < u64::from(MEMORY_KIB), "{grown_kib} KiB are kept");
        });
    }

    const THREADS: usize = 4;
    const MEMORY_KIB: u32 = 8 << 10;
}
