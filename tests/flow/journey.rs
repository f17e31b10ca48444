//! No key reaches the log: the whole way from a folder to a revoked phone, everything logged by everybody, and no secret
//! in it in any encoding.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::json;
use sidekey_client::credential::CredentialSecret;
use sidekey_client::object::Kind;
use sidekey_client::{Error, Notice};
use sidekey_protocol::crypto::{Aead, Context, Secret, SigningKey, derive, labels, unwrap};
use sidekey_protocol::encoding::{base64url, from_base64url};
use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::{Kek, PairingCode};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::envelope::Opened;
use sidekey_service::store::Store;
use sidekey_tests::mail::{Fetch, opened, sealed};
use sidekey_tests::scan::Secrets;
use sidekey_tests::stranger::stretch;
use sidekey_tests::{ANN, Captured, Keys, MAIL, Office, System, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_reaches_the_log() {
    let captured = Captured::everything();
    let mut secrets = Known::default();
    let data = walk(&mut secrets).await;
    let log = captured.text();
    let text = String::from_utf8_lossy(&log);

    // First: the log is the one of all this.
    for line in [
        "serving",
        "paired pairing=",
        "route=\"/v1/sessions\" status=201",
        "route=\"/v1/sessions/{session}/key\" status=200",
        "route=\"/v1/sessions/{session}/rotate\" status=200",
        "route=\"/v1/revocations\" status=200",
        "code=\"code_mismatch\"",
        "code=\"revoked\"",
        "code=\"token_invalid\"",
        "stopped",
        // Libraries' own: `tracing` and `log`, at their most talkative.
        "TRACE",
        "hyper",
        "rustls",
        "sled",
    ] {
        assert!(text.contains(line), "the log was not captured: no {line}");
    }
    let names = secrets.by_name.keys().map(|name| name.split(' ').next().unwrap_or_default());
    let kinds: std::collections::BTreeSet<_> = names.collect();
    for kind in [
        "bearer",
        "box",
        "code",
        "credential",
        "file",
        "head",
        "KEK",
        "object",
        "root",
        "sealing",
        "session",
        "session-root",
        "signing",
        "tls",
        "verifier",
    ] {
        assert!(kinds.contains(kind), "no {kind} was looked for: {kinds:?}");
    }
    drop(data);

    let mut sought = Secrets::none();
    for (name, secret) in &secrets.by_name {
        sought.add(name, secret);
    }
    assert!(sought.len() > 1000, "{}", sought.len());
    assert_eq!(sought.found_in(&log), Vec::<String>::new());
    // Neither a token nor an envelope nor a policy, whoever signed or sealed it: each begins so.
    assert!(!text.contains(&base64url(b"{\"a")[..3]), "{}", around(&text, &base64url(b"{\"a")[..3]));

    // The same search finds what is there, also when it came by the log's own way.
    let canary = Secret::<32>::random(&mut ChaCha20Rng::seed_from_u64(77));
    let mut sought = Secrets::none();
    sought.add("canary", canary.expose());
    assert!(sought.found_in(&captured.text()).is_empty());
    tracing::trace!(octets = ?canary.expose(), hex = %hex(canary.expose()), "planted");
    assert_eq!(sought.found_in(&captured.text()), ["canary in decimal numbers", "canary in hex"]);
}

/// Each encoding is found, whole and in part, and nothing is found where nothing is.
#[test]
fn the_search_finds_a_canary_in_every_encoding() {
    let canary = Secret::<32>::random(&mut ChaCha20Rng::seed_from_u64(78));
    let canary = canary.expose();
    let mut sought = Secrets::none();
    sought.add("canary", canary);
    assert!(sought.found_in(b"INFO served [1, 2, 3] \\x00\\x01 deadbeefdeadbeef QUJDREVGRw==").is_empty());

    let standard = |octets: &[u8]| base64url(octets).replace('-', "+").replace('_', "/");
    let escaped = canary.iter().fold(String::new(), |mut text, octet| {
        write!(text, "\\x{octet:02x}").unwrap();
        text
    });
    let unicode = canary.iter().fold(String::new(), |mut text, octet| {
        write!(text, "\\u{octet:04x}").unwrap();
        text
    });
    let cases: [(&str, Vec<u8>); 14] = [
        ("as it is", canary.to_vec()),
        ("as it is", canary[11..19].to_vec()),
        ("in hex", hex(canary).into_bytes()),
        ("in hex", hex(canary).to_uppercase().into_bytes()),
        ("in hex", format!("0{}", hex(&canary[3..11])).into_bytes()),
        ("in base64", base64url(canary).into_bytes()),
        ("in base64", standard(canary).into_bytes()),
        ("in base64", base64url(&[&[1], &canary[..]].concat()).into_bytes()),
        ("in base64", format!("xx{}==", standard(&canary[5..16])).into_bytes()),
        ("in decimal numbers", format!("{canary:?}").into_bytes()),
        ("in decimal numbers", format!("{:#?}", &canary[20..28]).into_bytes()),
        ("with escapes", escaped.into_bytes()),
        ("with escapes", canary.escape_ascii().to_string().into_bytes()),
        ("with escapes", unicode.into_bytes()),
    ];
    for (encoding, planted) in cases {
        let text = [b"2026-11-25 TRACE sidekey: key=\"".as_slice(), &planted, b"\" id=7\n"].concat();
        let found = sought.found_in(&text);
        assert!(found.contains(&format!("canary {encoding}")), "{encoding}: {found:?}");
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a String takes whatever is written");
        text
    })
}

/// The log around what should not be in it.
fn around<'a>(text: &'a str, piece: &str) -> &'a str {
    let at = text.find(piece).unwrap_or_default();
    let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    &text[begin..text.len().min(at + 120)]
}

/// A code that somebody guesses.
const WRONG: &str = "7KQ2M9TX";

/// Everything that must not be in the log. A name's first word is its kind.
#[derive(Default)]
struct Known {
    by_name: BTreeMap<String, Vec<u8>>,
}

impl Known {
    fn add(&mut self, kind: &str, of: &str, secret: impl Into<Vec<u8>>) {
        self.by_name.insert(format!("{kind} {of}"), secret.into());
    }

    fn code(&mut self, of: &str, code: &PairingCode) {
        self.add("code", of, *code.expose());
        self.add("code", &format!("{of}, printed"), code.expose_printed().as_bytes());
    }

    fn signing_key(&mut self, of: &str, key: &SigningKey) {
        self.add("signing", of, scalar(&key.expose_pkcs8()));
    }

    /// All that a device holds, and that its service derives from it.
    fn pairing(&mut self, of: &str, keys: &Keys) {
        let profile = keys.profile();
        self.signing_key(of, &profile.signing_key);
        self.add("root", of, *profile.root.expose());
        self.add("KEK", of, *Kek::of(&profile.root).kw.expose());
        for label in [labels::BOX_CLIENT, labels::BOX_SERVICE] {
            self.add("box", &format!("{of} {}", label.text()), *derive(&profile.root, label, &[]).expose());
        }
        let token = keys.token();
        self.add("bearer", of, token.rsplit('.').next().expect("it has three parts").as_bytes());
    }

    /// A session key, and the object keys that derive from it.
    fn session_key(&mut self, of: &str, opened: &Opened) {
        let Opened { key, bindings } = opened;
        self.add("session", of, *key.expose());
        for label in [labels::OBJECT_S2C, labels::OBJECT_C2S] {
            let fields: [&[u8]; 6] = [
                &[bindings.suite.octet()],
                &bindings.policy,
                &bindings.capabilities.hash(),
                &bindings.offer,
                bindings.session.as_bytes(),
                &bindings.generation.to_be_bytes(),
            ];
            self.add("object", &format!("{of} {}", label.text()), *derive(key, label, &fields).expose());
        }
    }
}

/// The private half of a P-256 key: the first OCTET STRING of 32 octets, behind which the public half stands.
fn scalar(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8.windows(2).position(|pair| pair == [4, 32]).expect("a P-256 key has 32 octets") + 2;
    pkcs8[at..at + 32].to_vec()
}

/// From a folder to a revoked phone, with what goes wrong on the way; returns the stopped system.
async fn walk(secrets: &mut Known) -> System {
    let mut office = Office::open().await;
    pair(&office, secrets).await;
    issue(&office, secrets).await;
    log_in(&office, secrets).await;
    err(&office).await;
    office.system.restart().await;
    office.fetch(office.session().await.session(), "", &office.tablet.keys.token()).send().await.is(200);
    for (of, keys) in
        [("mail", &office.mail.keys), ("phone", &office.phone.keys), ("tablet", &office.tablet.keys)]
    {
        secrets.pairing(of, keys);
    }
    let mut system = office.system;
    system.stop().await;
    at_rest(&system, secrets);
    secrets.signing_key("admin", &system.admin_credential().key);
    let token = system.admin_token();
    secrets.add("bearer", "admin", token.rsplit('.').next().unwrap().as_bytes());
    system
}

/// One more device, and one that has the wrong code.
async fn pair(office: &Office, secrets: &mut Known) {
    let system = &office.system;
    let invited = system.invite(MAIL, Some(ANN)).await;
    secrets.code("wrongly typed", &invited.code);
    secrets.code("of an attacker", &WRONG.parse().unwrap());
    let mut invitation = system.accept(&invited, Role::Client);
    invitation.code = WRONG.parse().unwrap();
    assert!(matches!(system.pair(invitation).await, Err(Error::Refused { .. })));
    let mut begun = system.begun(invited.invitation, &WRONG.parse().unwrap()).await;
    system.finish(invited.invitation, &begun.honest_finish()).send().await.refused(403, "code_mismatch");

    let registration = stretch(&invited.code, invited.invitation, &system.url);
    let verifier = registration.verifier();
    secrets.add("verifier", "w0", &verifier.secret().expose()[..32]);
    secrets.add("verifier", "L", &verifier.secret().expose()[33..]);
    let (_, keys) = system.pair(system.accept(&invited, Role::Client)).await.unwrap();
    system.get("/v1/pairings/self", &keys.token()).send().await.is(200);
    secrets.pairing("watch", &keys);
}

/// A session, its mail, its rotation, the phone's end.
async fn issue(office: &Office, secrets: &mut Known) {
    let system = &office.system;
    let mut watch = office.tablet.client.watch();
    assert!(matches!(watch.next().await, Some(Ok(Notice::Gap))));
    let key = office.session().await;
    let session = key.session();
    let place = Fetch::default();
    let fetched = office.phone.client.session_key(session).await.unwrap();
    let frame = sealed(&office.mail, &key, &place, Kind::Literal, b"Subject: hello\r\n\r\n").await;
    opened(&office.phone, &fetched, &place, &frame).await.unwrap();
    assert!(opened(&office.phone, &fetched, &Fetch { uid: 8, ..place }, &frame).await.is_err());
    let path = format!("/v1/sessions/{session}/rotate");
    for generation in 0..3 {
        let answer = office.fetch(session, "", &office.tablet.keys.token()).send().await;
        let opened = office.tablet.keys.opened(answer.is(200));
        secrets.session_key(&format!("generation {generation}"), &opened);
        match generation {
            0 => drop(system.post(&path, &office.mail.keys.token(), &json!({})).send().await.is(200).json()),
            1 => office.revoke_the_phone().await,
            _ => {}
        }
    }
    office.fetch(session, "", &office.phone.keys.token()).send().await.refused(410, "revoked");
    assert!(matches!(watch.next().await, Some(Ok(Notice::Event(_)))));
    office.mail.server.end(session).await.unwrap();
}

/// A proxy's credential, shown while it is live and when it is over, and one that somebody guesses.
async fn log_in(office: &Office, secrets: &mut Known) {
    let (admin, gateway) = (&office.system.admin, &office.mail.server);
    let (at, label) = (MAIL.parse().unwrap(), "push".parse().unwrap());
    let issued = admin.issue_credential(&at, &user(ANN), &label, None).await.unwrap();
    let guess = CredentialSecret::random(&mut office.system.rng());
    for (of, secret) in [("issued", &issued.secret), ("guessed", &guess)] {
        secrets.add("credential", of, *secret.expose());
        secrets.add("credential", &format!("{of}, printed"), secret.expose_printed().as_bytes());
    }
    assert!(gateway.verify_credential(&user(ANN), &issued.secret).await.unwrap().is_some());
    let target = Target::Credential { credential: issued.credential };
    admin.revoke(&target, &"another operator".parse().unwrap()).await.unwrap();
    for secret in [&issued.secret, &guess] {
        assert_eq!(gateway.verify_credential(&user(ANN), secret).await.unwrap(), None);
    }
}

/// Requests with secrets where they do not belong, and others that fail.
async fn err(office: &Office) {
    let (system, token) = (&office.system, office.tablet.keys.token());
    let code: PairingCode = WRONG.parse().unwrap();
    let printed = code.expose_printed();
    // A link that was pasted whole, a code for a name, a token in an address, a token that is none.
    system.ask(Method::GET, &format!("/p/{}.{}", *printed, "x")).send().await.refused(404, "not_found");
    let body = json!({"name": token, "code": *printed});
    system.post("/v1/servers", &system.admin_token(), &body).send().await.refused(400, "body_invalid");
    system.get(&format!("/v1/policy?user={token}"), &token).send().await;
    system.get(&format!("/v1/policy?token={token}"), &token).send().await.refused(400, "query_invalid");
    let cut = &token[..token.len() - 1];
    system.get("/v1/policy", cut).send().await.refused(401, "token_invalid");
    system.ask(Method::GET, &format!("/v1/{token}")).send().await.refused(404, "not_found");
}

/// What the stopped service leaves in its folder: its files, and what is sealed in them.
fn at_rest(system: &System, secrets: &mut Known) {
    let data = system.data();
    let read = |name: &str| std::fs::read(data.join(name)).unwrap();
    let line = String::from_utf8(read("root.key")).unwrap();
    let root = Secret::<32>::copy_of(&from_base64url(line.trim()).unwrap()).unwrap();
    secrets.add("file", "root.key", *root.expose());
    for name in ["tls.key", "ca.key"] {
        let pem = String::from_utf8(read(name)).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der =
            from_base64url(body.trim_end_matches('=').replace('+', "-").replace('/', "_").as_str()).unwrap();
        secrets.add("tls", name, scalar(&der));
    }
    let sealing = sealing_keys(&read("seal.keys"), &root, secrets);
    session_roots(system, &sealing, secrets);
    let copy = Secret::fill_with(|copy: &mut [u8; 32]| copy.copy_from_slice(root.expose()));
    let store = Store::open(&data, copy, Arc::new(system.clock.clone()), Box::new(system.rng())).unwrap();
    secrets.signing_key("service", &store.signer().unwrap().key);
}

/// `seal.keys`: version, one slot (the root key's id 8, no passphrase, the master key wrapped), K_head and K_cred wrapped, then a
/// list of number, time and wrapped key (postcard: octets behind their number).
fn sealing_keys(file: &[u8], root: &Secret<32>, secrets: &mut Known) -> Vec<Secret<32>> {
    fn wrapped<'f>(octets: &'f [u8], root: &Secret<32>) -> (Secret<32>, &'f [u8]) {
        let (size, rest) = varint(octets);
        assert_eq!(size, 40);
        let (wrapped, rest) = rest.split_first_chunk().unwrap();
        (unwrap(root, wrapped).unwrap(), rest)
    }

    let (slots, slot) = varint(&file[1..]);
    assert_eq!((slots, slot[8]), (1, 0), "one root key, which is no passphrase's");
    let (master, rest) = wrapped(&slot[9..], root);
    secrets.add("master", "master key", *master.expose());
    let (head, rest) = wrapped(rest, &master);
    secrets.add("head", "K_head", *head.expose());
    let (credential, rest) = wrapped(rest, &master);
    secrets.add("credential", "K_cred", *credential.expose());
    let (count, mut rest) = varint(rest);
    let mut keys = Vec::new();
    for _ in 0..count {
        let (number, after) = varint(rest);
        let (_, after) = varint(after);
        let (key, after) = wrapped(after, &master);
        secrets.add("sealing", &format!("key {number}"), *key.expose());
        keys.push(key);
        rest = after;
    }
    assert!(rest.is_empty());
    keys
}

fn varint(octets: &[u8]) -> (u32, &[u8]) {
    let end = octets.iter().position(|octet| octet & 0x80 == 0).unwrap() + 1;
    let number = octets[..end].iter().rev().fold(0, |number, octet| number << 7 | u32::from(octet & 0x7f));
    (number, &octets[end..])
}

/// Session roots that can still be opened, wherever they stand in the journal: id 16, key varint, nonce 12, length,
/// ciphertext and tag.
fn session_roots(system: &System, sealing: &[Secret<32>], secrets: &mut Known) {
    const TEXT: usize = 32 + 16;
    for record in system.all_records() {
        for at in 16..(record.len() + 1).saturating_sub(14 + TEXT) {
            if record[at] & 0x80 != 0 || usize::from(record[at + 13]) != TEXT {
                continue;
            }
            let (id, nonce) = (&record[at - 16..at], record[at + 1..at + 13].try_into().unwrap());
            let aad = Context::of(labels::REST_ROOT, &[id, b"root", &0_u32.to_be_bytes()]);
            for key in sealing {
                let mut text = record[at + 14..at + 14 + TEXT].to_vec();
                if let Ok(root) = Aead::aes_256_gcm(key).open(nonce, aad.as_ref(), &mut text) {
                    secrets.add("session-root", &hex(id), &*root);
                }
            }
        }
    }
}
