//! SIGKILL of the real process while it sends: past the lease every key has arrived, at least once.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sidekey_client::admin::{Admin, AdminCredential, Invite};
use sidekey_client::protocol::ids::Role;
use sidekey_client::{Ambient, Client, Invitation, MemoryKeyStore, Server, pair};

use crate::binary::Sidekey;

const KEYS: usize = 200;

/// A webhook's receiver: slow enough that a service can be killed while it sends.
#[derive(Clone, Default)]
struct Receiver(Arc<(Mutex<Vec<Vec<u8>>>, Condvar)>);

impl Receiver {
    fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let receiver = receiver.clone();
                std::thread::spawn(move || receiver.serve(&stream));
            }
        });
        port
    }

    /// Until the other end is gone.
    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut size = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(length) = line.strip_prefix("content-length:") {
                    size = length.trim().parse().ok()?;
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; size];
            reader.read_exact(&mut body).ok()?;
            let said: Value = serde_json::from_slice(&body).ok()?;
            let envelope = URL_SAFE_NO_PAD.decode(said["payload"].as_str()?).ok()?;
            std::thread::sleep(Duration::from_millis(20));
            self.0.0.lock().unwrap().push(envelope);
            self.0.1.notify_all();
            stream.write_all(b"HTTP/1.1 204 x\r\n\r\n").ok()?;
        }
    }

    fn wait(&self, patience: Duration, enough: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut arrived = self.0.0.lock().unwrap();
        while !enough(&arrived) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} have arrived", arrived.len());
            arrived = self.0.1.wait_timeout(arrived, left.min(Duration::from_secs(1))).unwrap().0;
        }
        arrived.clone()
    }
}

/// A device and its mail server, paired, the device reached by the webhook.
async fn paired(sidekey: &Sidekey) -> (Server, Client) {
    let read = || AdminCredential::read(&sidekey.data().join("admin.json")).unwrap();
    let admin = Admin::new(read(), Ambient::system()).unwrap();
    let at = "mail.example.org".parse().unwrap();
    admin.add_server(&at).await.unwrap();
    let mut stores = Vec::new();
    for (role, user) in [(Role::Server, None), (Role::Client, Some("ann@example.org".parse().unwrap()))] {
        let invite = Invite { role, server: at.clone(), user, ttl_s: None, approval: None };
        let link = admin.invite(&invite).await.unwrap().link;
        let label = "a device".parse().unwrap();
        let invitation = Invitation::from_link(link, read().roots, Some(role), label).unwrap();
        let store = Arc::new(MemoryKeyStore::default());
        pair(invitation, store.clone(), Ambient::system()).await.unwrap();
        stores.push(store);
    }
    let client = Client::open(stores.remove(1), Ambient::system()).await.unwrap();
    let server = Server::open(stores.remove(0), Ambient::system()).await.unwrap();
    let carrier = "hook".parse().unwrap();
    admin.set_address(client.pairing(), &carrier, Some("+491700000000")).await.unwrap();
    (server, client)
}

async fn open(server: &Server, client: &Client, n: usize) -> String {
    let body = serde_json::json!({
        "pairing": client.pairing(), "capabilities": ["A256GCM", "C20P"], "deliver": ["hook"],
    });
    let call = server.transport().call(http::Method::POST, "/v1/sessions").json(&body);
    let answer: Value = call.idempotency_key(format!("request-number-{n:04}")).send().await.unwrap();
    answer["session"].as_str().unwrap().to_owned()
}

#[test]
fn a_service_that_is_killed_while_it_sends_has_sent_every_key_past_the_lease() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let receiver = Receiver::default();
    let secret = sidekey.data().join("hook.secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = sidekey.data().join("sidekey.toml");
    let mut said = std::fs::read_to_string(&config).unwrap();
    said += &format!(
        "\n[delivery.carriers.hook]\nkind = \"webhook\"\ndomain = \"enterprise\"\n\
         url = \"http://127.0.0.1:{}/keys\"\nsecret_file = \"hook.secret\"\n\
         limits = {{ per_address = 1000 }}\n",
        receiver.start()
    );
    std::fs::write(&config, said).unwrap();
    let serving = sidekey.serve(port);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, client) = runtime.block_on(paired(&sidekey));
    let opened: BTreeSet<String> = runtime.block_on(async {
        let mut opened = BTreeSet::new();
        for n in 0..KEYS {
            opened.insert(open(&server, &client, n).await);
        }
        opened
    });
    assert_eq!(opened.len(), KEYS);
    let before = receiver.wait(Duration::from_secs(60), |arrived| arrived.len() >= KEYS / 4).len();
    serving.signal("KILL");
    drop(serving);
    let _serving = sidekey.serve(port);
    let session = |envelope: &Vec<u8>| {
        let accepted = runtime.block_on(client.accept(envelope)).ok()?;
        Some(accepted.session().to_string())
    };
    let all = |arrived: &[Vec<u8>]| {
        arrived.len() >= KEYS && opened.is_subset(&arrived.iter().filter_map(session).collect())
    };
    let arrived = receiver.wait(Duration::from_secs(150), all).len();
    assert!(before < KEYS && arrived >= KEYS, "{before} before it was killed, {arrived} in the end");
    let dead = sidekey.json("delivery list --state dead");
    assert_eq!(dead["items"].as_array().unwrap().len(), 0, "{dead}");
}
