use std::path::Path;

use super::super::journal::SEGMENT_SIZE;
use super::super::room::{holds_two_segments, is_enough};
use super::Data;

#[test]
fn a_journal_that_was_full_goes_on_when_two_segments_have_room() {
    assert!(holds_two_segments(2 * SEGMENT_SIZE));
    assert!(!holds_two_segments(2 * SEGMENT_SIZE - 1));
    // One has nothing to give, and of the other the system says nothing.
    for none in ["/proc", "/no/such/folder"] {
        assert!(!is_enough(Path::new(none)), "{none}");
    }
}

#[test]
fn a_store_tells_what_is_free_on_the_disk_of_its_folder() {
    let data = Data::new();
    assert!(data.store.free_bytes().unwrap() > 4096);
}
