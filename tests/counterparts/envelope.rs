//! Envelopes between our Rust and two JOSE libraries: jwcrypto (Python) and jose (Node).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::base64url;
use sidekey_protocol::ids::{PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::revocation::Head;
use sidekey_protocol::session::envelope::set::{open_set, seal_set};
use sidekey_protocol::session::envelope::{Bindings, Expected, check, open, seal};
use sidekey_protocol::session::{Capabilities, SuiteList, choose_of_one};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000);

#[test]
fn jwcrypto_and_we_open_each_others_envelopes() {
    let program = [installed(here().join(".venv/bin/python")), here().join("jwcrypto/envelope.py")];
    exchange(&program);
    exchange_set(&program);
}

#[test]
fn jose_and_we_open_each_others_envelopes() {
    installed(here().join("jose/node_modules/jose/package.json"));
    let program = ["node".into(), here().join("jose/envelope.mjs")];
    exchange(&program);
    exchange_set(&program);
}

fn exchange(program: &[PathBuf]) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let kek = Kek::of(&Secret::random(&mut rng));
    let key = Secret::random(&mut rng);
    let bindings = bindings(&mut rng);
    let kw = hex(kek.kw.expose());

    let jwe = seal(&kek, &bindings, &key, &mut rng);
    let content = run(program, "open", &json!({"kw": kw, "jwe": jwe}));
    let content: Value = serde_json::from_str(&content).unwrap();
    assert_eq!(content["k"], base64url(key.expose()));
    assert_eq!(content["sk_user"], bindings.user.as_str());
    assert_eq!(content.as_object().unwrap().len(), 15);

    let theirs = run(program, "make", &json!({"kw": kw, "kid": base64url(&kek.id), "content": content}));
    let opened = open(&kek, &theirs, &expected(&bindings), NOW).unwrap();
    assert_eq!(opened.key.expose(), key.expose());
    assert_eq!(opened.bindings, bindings);
}

/// Two keys in one envelope, ours and theirs.
fn exchange_set(program: &[PathBuf]) {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let kek = Kek::of(&Secret::random(&mut rng));
    let keys = [1, 2].map(|_| (bindings(&mut rng), Secret::random(&mut rng)));
    let given = json!({"kw": hex(kek.kw.expose()), "kid": base64url(&kek.id), "jwe": seal_set(&kek, &keys, &mut rng)});
    let content = run(program, "open", &given);
    let content: Value = serde_json::from_str(&content).unwrap();
    let told = content["keys"].as_array().unwrap().iter().zip(&keys);
    assert_eq!(told.len(), 2);
    for (told, (bindings, key)) in told {
        assert_eq!(
            (&told["k"], &told["sk_session"]),
            (&json!(base64url(key.expose())), &json!(bindings.session))
        );
    }
    let given = json!({"kw": given["kw"], "kid": given["kid"], "cty": "jwk-set+json", "content": content});
    let opened = open_set(&kek, &run(program, "make", &given), 2).unwrap();
    for (opened, (bindings, key)) in opened.iter().zip(&keys) {
        assert_eq!((&opened.bindings, opened.key.expose()), (bindings, key.expose()));
        check(&opened.bindings, &expected(bindings), NOW).unwrap();
    }
}

pub(crate) fn bindings(rng: &mut ChaCha20Rng) -> Bindings {
    let server: ServerName = "mail.example.org".parse().unwrap();
    let user: UserName = "Жанна \"ann\" \\ Ω@example.org".parse().unwrap();
    let capabilities = Capabilities::parse(&["XENCRYPTED", "A256GCM", "C20P", "X-\"/\\"]).unwrap();
    let choice = choose_of_one(&SuiteList::ours(), &SuiteList::ours(), &capabilities).unwrap();
    Bindings {
        service: ServiceId::random(rng),
        server,
        user,
        pairing: PartyId::random(rng),
        session: SessionId::random(rng),
        generation: 7,
        suite: choice.suite,
        not_before: NOW,
        not_after: NOW.after_s(3600),
        policy: [7; 32],
        capabilities,
        offer: choice.offer,
        head: Head::START.sealed(&Secret::random(rng)),
    }
}

fn expected(bindings: &Bindings) -> Expected<'_> {
    Expected {
        service: bindings.service,
        server: &bindings.server,
        user: Some(&bindings.user),
        pairing: bindings.pairing,
        session: Some(bindings.session),
        generation: Some(7),
        generation_seen: 0,
    }
}

pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counterparts")
}

pub(crate) fn installed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run ./tests/run, which installs it", path.display());
    path
}

pub(crate) fn run(program: &[PathBuf], verb: &str, input: &Value) -> String {
    let mut child = Command::new(&program[0])
        .args(&program[1..])
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}: run ./tests/run, which installs it", program[0].display())
        });
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program:?} {verb}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
