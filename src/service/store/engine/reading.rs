//! The state, held to be read: by one thread once at a time.
//!
//! A thread that asks for it a second time waits for ever where a writer came to wait between the two, which no test
//! sees that does not run beside many others. So a debug build looks, each time.

use std::cell::Cell;
use std::ops::Deref;
use std::ptr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::store::state::State;

/// The state as it is while this lives.
pub(in crate::store) struct Reading<'a> {
    state: RwLockReadGuard<'a, State>,
    _once: Once,
}

impl<'a> Reading<'a> {
    pub(super) fn of(state: &'a RwLock<State>) -> Self {
        let once = Once::of(ptr::from_ref(state).addr());
        Self { state: state.read().unwrap_or_else(PoisonError::into_inner), _once: once }
    }
}

impl Deref for Reading<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// That this thread holds the state at this address.
struct Once(usize);

impl Once {
    fn of(address: usize) -> Self {
        if cfg!(debug_assertions) {
            let before = HELD.replace(address);
            assert_ne!(before, address, "this thread holds the state already");
            return Self(before);
        }
        Self(0)
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD.set(self.0);
        }
    }
}

thread_local! {
    /// Where the state stands that this thread holds, or 0.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "holds the state already")]
    fn a_thread_holds_the_state_once() {
        let _first = Once::of(1);
        let _second = Once::of(1);
    }

    #[test]
    fn what_it_has_let_go_it_may_hold_again() {
        drop(Once::of(1));
        let _again = Once::of(1);
    }
}
