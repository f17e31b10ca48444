//! The numbers of what this device sends (proto/object/spec.md, section 3.4): each once in its session and generation, over
//! all connections and all starts. What is given out was durable before.

use std::io;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use sidekey_client::protocol::ids::{SessionId, Timestamp};
use tokio::sync::Mutex;

use crate::state::Folder;

/// The numbers that are left.
#[derive(Debug)]
pub struct Numbers {
    folder: Folder,
    lines: Mutex<Vec<Line>>,
}

/// Of one generation of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Line {
    kept: Kept,
    /// The next one.
    next: u64,
}

/// What is kept of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    session: SessionId,
    generation: u32,
    /// Below this, numbers may have been given out.
    below: u64,
    /// When the last were.
    at: Timestamp,
}

impl Numbers {
    /// Those that `folder` keeps.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn open(folder: &Folder) -> io::Result<Self> {
        let kept: Vec<Kept> = match folder.read(FILE)? {
            None => Vec::new(),
            Some(json) => serde_json::from_slice(&json)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it holds no numbers"))?,
        };
        let lines = kept.into_iter().map(|kept| Line { next: kept.below, kept }).collect();
        Ok(Self { folder: folder.clone(), lines: Mutex::new(lines) })
    }

    /// The first of `count` in a row, never given before.
    ///
    /// # Errors
    /// It cannot be kept that they are given: none is.
    pub async fn take(
        &self,
        session: SessionId,
        generation: u32,
        count: NonZeroU64,
        now: Timestamp,
    ) -> io::Result<NonZeroU64> {
        let mut lines = self.lines.lock().await;
        let found = lines
            .iter()
            .position(|Line { kept, .. }| (kept.session, kept.generation) == (session, generation));
        let first = found.map_or(1, |at| lines[at].next);
        let next = first.checked_add(count.get()).ok_or_else(|| io::Error::other("no number is left"))?;
        if found.is_none_or(|at| lines[at].kept.below < next) {
            let kept = Kept { session, generation, below: next.saturating_add(AHEAD), at: now };
            let mut after = lines.clone();
            after.retain(|line| line.kept.at.after_s(KEPT_S) > now);
            after.retain(|line| (line.kept.session, line.kept.generation) != (session, generation));
            after.push(Line { kept, next });
            self.keep(&after).await?;
            *lines = after;
        } else if let Some(at) = found {
            lines[at].next = next;
        }
        Ok(NonZeroU64::new(first).expect("they begin with 1"))
    }

    async fn keep(&self, lines: &[Line]) -> io::Result<()> {
        let kept: Vec<_> = lines.iter().map(|line| &line.kept).collect();
        let json = serde_json::to_vec(&kept).expect("numbers are representable as JSON");
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || folder.replace(FILE, &json)).await.map_err(io::Error::other)?
    }
}

/// The file's name.
pub const FILE: &str = "numbers.json";
/// So many more are kept as given out each time: one sync for as many messages. What a start loses of them is never used.
const AHEAD: u64 = 64;
/// Longer than any session lives.
const KEPT_S: u32 = 25 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([1; 16]);
    const NOW: Timestamp = Timestamp(1_000_000);

    async fn take(numbers: &Numbers, generation: u32, count: u64) -> u64 {
        let count = NonZeroU64::new(count).unwrap();
        numbers.take(SESSION, generation, count, NOW).await.unwrap().get()
    }

    #[tokio::test]
    async fn each_is_given_once_over_all_starts() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path()).unwrap();
        let numbers = Numbers::open(&folder).unwrap();
        assert_eq!((take(&numbers, 0, 1).await, take(&numbers, 0, 3).await), (1, 2));
        assert_eq!(
            (take(&numbers, 1, 1).await, take(&numbers, 0, 100).await),
            (1, 5),
            "each generation its own"
        );
        let mut highest = 104;
        for _ in 0..3 {
            let numbers = Numbers::open(&folder).unwrap();
            for count in [1, 200] {
                let first = take(&numbers, 0, count).await;
                assert!(first > highest, "{first} was given before {highest}");
                highest = first + count - 1;
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_not_given() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path()).unwrap();
        let numbers = Numbers::open(&folder).unwrap();
        // A folder stands where the file goes.
        std::fs::create_dir(folder.file(FILE)).unwrap();
        let one = NonZeroU64::MIN;
        numbers.take(SESSION, 0, one, NOW).await.unwrap_err();
        std::fs::remove_dir(folder.file(FILE)).unwrap();
        assert_eq!(take(&numbers, 0, 1).await, 1);
    }

    #[tokio::test]
    async fn those_of_dead_sessions_are_forgotten_and_a_damaged_file_is_not_ignored() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path()).unwrap();
        let numbers = Numbers::open(&folder).unwrap();
        take(&numbers, 0, 1).await;
        let other = SessionId::from_bytes([2; 16]);
        numbers.take(other, 0, NonZeroU64::MIN, NOW.after_s(KEPT_S)).await.unwrap();
        let kept = String::from_utf8(folder.read(FILE).unwrap().unwrap().to_vec()).unwrap();
        assert!(kept.contains(&other.to_string()) && !kept.contains(&SESSION.to_string()), "{kept}");
        folder.replace(FILE, b"{}").unwrap();
        assert_eq!(Numbers::open(&folder).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
