//! A message of any length goes through in the same memory.

use std::process::Command as Process;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_gateway::allow::Profile;
use sidekey_gateway::replay::Replays;
use sidekey_gateway::session::{Keys, Sealing, Session, Settings};
use sidekey_imap::command::Reader;
use sidekey_imap::response::Capabilities;
use sidekey_imap::scanner::Limits;
use sidekey_protocol::ids::Timestamp;

use crate::held::Held;

const CHILD: &str = "SIDEKEY_TEST_GATEWAY_OCTETS";
const NAME: &str = "memory::a_message_of_64_mib_passes_through_less_than_one";

#[test]
#[cfg(target_os = "linux")]
fn a_message_of_64_mib_passes_through_less_than_one() {
    if let Ok(octets) = std::env::var(CHILD) {
        pass(octets.parse().unwrap());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
        return;
    }
    let (small_kib, large_kib) = (peak_kib(1), peak_kib(64 << 20));
    assert!(large_kib < small_kib + 1024, "{large_kib} KiB for 64 MiB, {small_kib} KiB for an octet");
}

/// The most memory that a process of its own has held while a message of so many octets went through.
fn peak_kib(octets: u64) -> u64 {
    let child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD, octets.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{text}");
    let peak = text.split("VmHWM:").nth(1).and_then(|rest| rest.split_whitespace().next());
    peak.unwrap_or_else(|| panic!("no peak in {text}")).parse().unwrap()
}

fn pass(octets: u64) {
    let now = Timestamp(1_000);
    let (capabilities, replays) = (Arc::new([]), Replays::default());
    let settings = Settings { profile: Profile::Strict, sealing: Sealing::On, capabilities, replays };
    let keys: Arc<dyn Keys> = Arc::new(Held::new(0, Timestamp(4_600)));
    let rng = Box::new(ChaCha20Rng::seed_from_u64(7));
    let upstream = Capabilities::default();
    let mut session = Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, Some(keys), rng);
    let mut passed = 0;
    for (said, answer) in [
        ("s SELECT INBOX\r\n", "* OK [UIDVALIDITY 5] x\r\ns OK done\r\n".to_owned()),
        ("f FETCH 1 BODY[]\r\n", format!("* 1 FETCH (UID 7 BODY[] {{{octets}}}\r\n")),
    ] {
        session.client(&mut said.as_bytes(), now).unwrap();
        session.server(&mut answer.as_bytes(), now).unwrap();
    }
    let piece = [b'x'; 16 * 1024];
    let mut left = octets;
    while left > 0 || !session.rests() {
        let mut input = &piece[..usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()))];
        let len = input.len();
        session.server(&mut input, now).unwrap();
        left -= (len - input.len()) as u64;
        passed += session.to_client().len() as u64;
        session.to_client().clear();
    }
    session.server(&mut &b")\r\nf OK done\r\n"[..], now).unwrap();
    assert!(session.to_client().ends_with(b")\r\nf OK done\r\n"));
    assert!(passed > octets * 4 / 3);
}
