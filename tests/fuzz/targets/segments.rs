#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sidekey_fuzz::journal::segments(octets));
