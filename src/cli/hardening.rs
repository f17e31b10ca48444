//! What a process that holds keys must not leave behind.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dump, whatever happens, and no other process of the same user that reads our memory.
pub fn leave_no_dump() {
    // Both can only tighten; a system that does not know them leaves what the unit file asks for.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
