//! Envelopes in COSE between our Rust and cwt (Python).

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::session::envelope::cose::{self, Scope};
use sidekey_protocol::session::envelope::{Bindings, Reject};

use crate::envelope::{NOW, bindings, here, hex, installed, run};

#[test]
fn cwt_and_we_open_each_others_envelopes() {
    let program = [installed(here().join(".venv/bin/python")), here().join("cwt/envelope.py")];
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let kek = Kek::of(&Secret::random(&mut rng));
    let key = Secret::random(&mut rng);
    let bindings = bindings(&mut rng);
    let Bindings { service, server, user, pairing, .. } = &bindings;
    let given = json!({
        "gcm": hex(kek.gcm.expose()), "kid": hex(&kek.id),
        "service": service, "server": server, "user": user, "pairing": pairing,
    });

    let ours = cose::seal(&kek, &bindings, &key, &mut rng);
    let content = run(&program, "open", &with(&given, "cose", hex(&ours)));
    let content: Value = serde_json::from_str(&content).unwrap();
    let facts = json!({
        "version": 1, "suite": bindings.suite.octet(), "session": bindings.session, "generation": 7,
        "revocations": bindings.head.n(), "not_before": NOW, "not_after": NOW.after_s(3600),
        "key": hex(key.expose()), "ctx": content["ctx"],
    });
    assert_eq!(content, facts);

    let theirs = run(&program, "make", &with(&given, "content", facts));
    let theirs = base16(&theirs);
    assert_eq!(theirs.len(), cose::SIZE);
    let scope = Scope { service: *service, server, user, pairing: *pairing };
    let opened = cose::open(&kek, &theirs, &scope, NOW).unwrap();
    assert_eq!(opened.key.expose(), key.expose());
    assert_eq!((opened.session, opened.generation), (bindings.session, 7));

    let loose = base16(&run(&program, "spell", &with(&given, "cose", hex(&theirs))));
    assert_eq!(
        cose::open(&kek, &loose, &scope, NOW).unwrap_err(),
        Reject::SizeForeign,
        "CBOR, but not its one form"
    );
}

fn with(given: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut given = given.clone();
    given[name] = value.into();
    given
}

fn base16(text: &str) -> Vec<u8> {
    let digits = text.trim().as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
