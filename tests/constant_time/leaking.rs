//! The gate can fail: code that leaks is reported.

use std::hint::black_box;

use crate::gate::in_valgrind;
use crate::memcheck::{leaks, secret};

/// As everybody writes it who has not been told.
fn stops_at_the_first_difference(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

#[test]
fn a_comparison_that_stops_at_the_first_difference_is_reported() {
    in_valgrind(&[], || {
        let (mut ours, theirs) = ([7; 32], [7; 32]);
        secret(&mut ours);
        // Once for each octet that it looks at: that is how far a guess was right.
        let (times, _) = leaks(|| black_box(stops_at_the_first_difference(&ours, black_box(&theirs))));
        assert!(times >= 32, "{times}");
    });
}

#[test]
fn a_table_that_a_secret_indexes_is_reported() {
    in_valgrind(&[], || {
        let (mut index, table) = (5_usize, [0_u8; 256]);
        secret(&mut index);
        let (times, _) = leaks(|| black_box(black_box(&table)[index & 0xff]));
        assert!(times >= 1, "{times}");
    });
}
