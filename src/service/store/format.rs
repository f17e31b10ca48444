//! The data folder's format: a number that grows when an older program could not read what a newer one writes.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use crate::fault::Fault;
use crate::files;

/// The format that this program writes.
///
/// 1. Without a marker, before the first release. Its records are read no more.
/// 2. `seal.keys` under a master key, in slots.
/// 3. The journal's chain goes over leaves, and its records bind what the audit log says of them.
/// 4. Sessions and invitations say by which carriers they travel.
/// 5. `seal.keys` holds K_cred, and the state proxy credentials.
const CURRENT: u32 = 5;

/// The marker, and what it says before the number.
const NAME: &str = "format";
const TEXT: &str = "sidekey data folder, format ";

/// Marks a new folder.
pub(super) fn mark(folder: &Path) -> Result<(), Fault> {
    let text = format!("{TEXT}{CURRENT}\n");
    files::write(&folder.join(NAME), text.as_bytes(), 0o600)
        .map_err(|bad| Fault::io("mark the data folder's format")(bad.into()))
}

/// Refuses a folder of another format, before anything in it is touched.
pub(crate) fn check_format(folder: &Path) -> Result<(), Fault> {
    let found = found(folder)?;
    match found.cmp(&CURRENT) {
        Ordering::Less => Err(Fault::FormatOlder { found, known: CURRENT }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Fault::FormatNewer { found, known: CURRENT }),
    }
}

fn found(folder: &Path) -> Result<u32, Fault> {
    let text = match fs::read_to_string(folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(1),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(Fault::FormatUnknown),
        Err(error) => return Err(Fault::io("read the data folder's format")(error)),
    };
    let number = text.strip_prefix(TEXT).and_then(|rest| rest.strip_suffix('\n')?.parse().ok());
    number.filter(|&number| number > 0).ok_or(Fault::FormatUnknown)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use sidekey_protocol::ids::Timestamp;

    use super::*;
    use crate::clock::TestClock;
    use crate::store::Store;

    /// A folder of the first format, as `sidekey init` made it then; its one segment shortened.
    fn first() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/store/tests/format-1");
        fs::create_dir(folder.path().join("journal")).unwrap();
        for name in FILES {
            fs::copy(format!("{kept}/{name}"), folder.path().join(name)).unwrap();
        }
        folder
    }

    fn refused(folder: &Path) -> String {
        // Git keeps no mode but the right to run.
        let line = fs::read(folder.join("root.key")).unwrap();
        let root = files::root_key(line.trim_ascii_end()).unwrap();
        let clock = Arc::new(TestClock::at(Timestamp(1_900_000_000)));
        Store::open(folder, root, clock, Box::new(ChaCha20Rng::seed_from_u64(1))).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_of_an_older_format_is_refused_and_left_as_it_is() {
        let folder = first();
        let content = |name| fs::read(folder.path().join(name)).unwrap();
        let before = FILES.map(content);
        let said = refused(folder.path());
        assert!(said.contains("format 1") && said.contains("older"), "{said}");
        assert_eq!(FILES.map(content), before);
        assert!(!folder.path().join(NAME).exists());
    }

    #[test]
    fn a_newer_or_damaged_marker_is_refused() {
        let folder = first();
        for (text, word) in [
            (b"sidekey data folder, format 6\n".as_slice(), "used by a newer one"),
            (b"sidekey data folder, format 3\n", "made by an older one"),
            (b"sidekey data folder, format 0\n", "damaged"),
            (b"", "damaged"),
            (b"\xff", "damaged"),
        ] {
            fs::write(folder.path().join(NAME), text).unwrap();
            let said = refused(folder.path());
            assert!(said.contains(word), "{}: {said}", text.escape_ascii());
        }
    }

    #[test]
    fn a_marker_that_cannot_be_read_or_written_says_nothing_of_the_format() {
        let folder = first();
        fs::create_dir(folder.path().join(NAME)).unwrap();
        assert_eq!(refused(folder.path()), "read the data folder's format");
        let marked = mark(folder.path()).unwrap_err();
        assert_eq!(marked.to_string(), "mark the data folder's format");
    }

    const FILES: [&str; 3] = ["root.key", "seal.keys", "journal/00000000000000000001.journal"];
}
