//! One program for all targets, since each would link the same hundred megabytes: `SIDEKEY_FUZZ` names the one it tries;
//! without it, it lists them with their numbers of inputs.

#![no_main]

use std::sync::OnceLock;

use sidekey_fuzz::{Judge, TARGETS};

static JUDGE: OnceLock<Judge> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: choose(), |octets: &[u8]| JUDGE.get().expect("one was chosen")(octets));

fn choose() {
    let Ok(chosen) = std::env::var("SIDEKEY_FUZZ") else {
        for (name, inputs, _) in TARGETS {
            println!("{name} {inputs}");
        }
        std::process::exit(0);
    };
    let Some((_, _, judge)) = TARGETS.into_iter().find(|(name, _, _)| *name == chosen) else {
        eprintln!("SIDEKEY_FUZZ={chosen} names no target. Without it, this program lists them.");
        std::process::exit(2);
    };
    JUDGE.get_or_init(|| judge);
}
