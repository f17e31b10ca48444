//! A gibibyte passes through one record's memory.

use std::io::{self, Read, Write};
use std::process::Command;

use super::*;

const CHILD: &str = "SIDEKEY_TEST_OBJECT_OCTETS";
const NAME: &str = "object::tests::memory::a_gibibyte_passes_through_16_mib";

#[test]
#[cfg(target_os = "linux")]
fn a_gibibyte_passes_through_16_mib() {
    if let Ok(octets) = std::env::var(CHILD) {
        pass(octets.parse().unwrap());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
        return;
    }
    let (empty_kib, full_kib) = (peak_kib(0), peak_kib(1 << 30));
    assert!(full_kib < empty_kib + 16 * 1024, "{full_kib} KiB for a gibibyte, {empty_kib} KiB for nothing");
}

/// The most memory that a process of its own has held while a value of so many octets was sealed and opened.
fn peak_kib(octets: u64) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD, octets.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{text}");
    let peak = text.split("VmHWM:").nth(1).and_then(|rest| rest.split_whitespace().next());
    peak.unwrap_or_else(|| panic!("no peak in {text}")).parse().unwrap()
}

/// Seals into an opener, without a frame or a value in memory.
fn pass(octets: u64) {
    let keys = keys(Suite::A256gcm);
    let place = place("BODY[]", None);
    let mut sink = Counter { opener: Some(Opener::new(&keys.s2c, &place)), octets: 0 };
    let sealer = sealer(&place, Kind::Literal, octets).unwrap();
    seal(sealer, io::repeat(b'x').take(octets), &mut sink).unwrap();
    let ending = sink.opener.take().unwrap().finish().unwrap();
    assert_eq!(sink.octets + ending.octets().len() as u64, octets);
}

struct Counter<'k> {
    opener: Option<Opener<'k, ServerToClient>>,
    octets: u64,
}

impl Write for Counter<'_> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        let (opener, mut rest) = (self.opener.as_mut().unwrap(), frame);
        while !rest.is_empty() {
            self.octets += opener.feed(&mut rest).map_err(io::Error::other)?.len() as u64;
        }
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
