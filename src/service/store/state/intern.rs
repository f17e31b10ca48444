//! One copy of what many sessions share, named by four octets.

use std::hash::{BuildHasher as _, Hash, RandomState};

use hashbrown::HashTable;

/// Keeps each value once for as long as somebody holds it.
#[derive(Debug)]
pub(super) struct Interned<T> {
    items: Vec<(T, u32)>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new(), index: HashTable::new(), hasher: RandomState::new() }
    }
}

impl<T: Eq + Hash> Interned<T> {
    /// Holds `value`: one more holder of its handle.
    pub(super) fn hold(&mut self, value: T) -> u32 {
        let hash = self.hasher.hash_one(&value);
        let found = self.index.find(hash, |&handle| self.items[handle as usize].0 == value);
        if let Some(&handle) = found {
            self.items[handle as usize].1 += 1;
            return handle;
        }
        let handle = match self.free.pop() {
            Some(handle) => {
                self.items[handle as usize] = (value, 1);
                handle
            }
            None => {
                self.items.push((value, 1));
                u32::try_from(self.items.len() - 1).expect("fewer than 2^32 values are live")
            }
        };
        let (items, hasher) = (&self.items, &self.hasher);
        self.index.insert_unique(hash, handle, |&other| hasher.hash_one(&items[other as usize].0));
        handle
    }

    /// One holder less; the last one takes the value with it.
    pub(super) fn release(&mut self, handle: u32) {
        let (value, holders) = &mut self.items[handle as usize];
        *holders -= 1;
        if *holders == 0 {
            let hash = self.hasher.hash_one(&*value);
            if let Ok(entry) = self.index.find_entry(hash, |&other| other == handle) {
                entry.remove();
            }
            self.free.push(handle);
        }
    }

    pub(super) fn get(&self, handle: u32) -> &T {
        &self.items[handle as usize].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_once_and_as_long_as_it_is_held() {
        let mut interned = Interned::default();
        let a = interned.hold("a");
        let b = interned.hold("b");
        assert_eq!(interned.hold("a"), a);
        interned.release(a);
        assert_eq!(*interned.get(a), "a");
        interned.release(a);
        assert_eq!(interned.hold("c"), a, "the place is used again");
        assert_eq!((*interned.get(a), *interned.get(b)), ("c", "b"));
        assert_ne!(interned.hold("a"), a);
    }

    #[test]
    fn a_value_that_nobody_held_is_kept_anew_and_nothing_takes_its_place() {
        let mut interned = Interned::default();
        let a = interned.hold("a");
        interned.release(a);
        let a = interned.hold("a");
        assert_ne!(interned.hold("b"), a);
        assert_eq!(*interned.get(a), "a");
    }
}
