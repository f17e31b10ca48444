//! An app that has an IMAP library of others in its own process: the agent's session is a stream beneath it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_agent::alert::Alert;
use sidekey_agent::session::{Keys, Settings, Unavailable, Wish};
use sidekey_agent::stream::{self, Granted, Outside};
use sidekey_client::Client;
use sidekey_imap::response::Capabilities;
use sidekey_protocol::ids::Timestamp;
use sidekey_tests::ANN;
use sidekey_tests::imap::corpus::Corpus;
use sidekey_tests::imap::proxy::Proxy;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::sealed::Path;

/// The app around the library: it reads alone.
struct App {
    client: Client,
    alerts: Arc<Mutex<Vec<Alert>>>,
}

impl Outside for App {
    fn now(&self) -> Timestamp {
        self.client.transport().now()
    }

    async fn grant(&self, wish: Wish) -> Granted {
        match wish {
            Wish::Key { session, generation } => {
                let key = self.client.session_key_of(session, generation).await;
                Granted::Key(key.map(|key| key as Arc<dyn Keys>).map_err(|_| Unavailable::Unknown))
            }
            Wish::Current { .. } => Granted::Key(Err(Unavailable::Unreachable)),
            Wish::Numbers { .. } => Granted::Numbers(Err(Unavailable::Unreachable)),
            Wish::Deletion { .. } | Wish::Again => Granted::Deletion(false),
        }
    }

    fn alert(&self, alert: Alert) {
        self.alerts.lock().unwrap().push(alert);
    }
}

/// A connection that is logged in, and what the other end says it can since.
async fn logged_in(port: u16, password: &str) -> (TcpStream, Capabilities) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    connection.write_all(format!("a LOGIN {ANN} {password}\r\n").as_bytes()).await.unwrap();
    until(&mut connection, "a OK ").await;
    connection.write_all(b"b CAPABILITY\r\n").await.unwrap();
    let said = until(&mut connection, "b OK ").await;
    let capabilities = said.lines().find_map(|line| line.strip_prefix("* CAPABILITY ")).unwrap();
    (connection, Capabilities::read(capabilities).unwrap())
}

/// All lines to the one that begins so, and nothing of what is behind it.
async fn until(connection: &mut TcpStream, beginning: &str) -> String {
    let (mut said, mut line) = (String::new(), Vec::new());
    loop {
        line.push(connection.read_u8().await.unwrap());
        if line.ends_with(b"\r\n") {
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            let is_last = text.starts_with(beginning);
            said.push_str(&text);
            if is_last {
                return said;
            }
        }
    }
}

/// All messages of the INBOX, with their sizes.
async fn read<S>(stream: S, user: &str, password: &str) -> Vec<(Option<u32>, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Debug + Send,
{
    let mut library = async_imap::Client::new(stream);
    library.read_response().await.unwrap().unwrap();
    let mut session = library.login(user, password).await.map_err(|(error, _)| error).unwrap();
    session.select("INBOX").await.unwrap();
    let fetched = session.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])").await.unwrap();
    let fetched: Vec<_> = fetched.try_collect().await.unwrap();
    session.logout().await.unwrap();
    fetched.iter().map(|message| (message.size, message.body().unwrap().to_vec())).collect()
}

#[tokio::test]
async fn async_imap_reads_every_octet_over_the_agent_s_stream() {
    let corpus = Corpus::new(1);
    let messages = &corpus.messages[..40];
    let path = Path::through(Proxy::nginx, messages).await;
    let (upstream, capabilities) =
        logged_in(path.taps[0].port, &path.credential.secret.expose_printed()).await;
    let client = path.office.phone.keys.client(path.office.system.ambient()).await;
    let (settings, alerts) = (Settings::new(client.pairing()), Arc::<Mutex<_>>::default());
    let app = App { client, alerts: Arc::clone(&alerts) };
    let rng = Box::new(ChaCha20Rng::seed_from_u64(5));
    let stream = stream::open(upstream, &capabilities, settings, rng, app).unwrap();

    let through = read(stream, ANN, "whatever").await;
    let direct = path.direct();
    let connection = TcpStream::connect(("127.0.0.1", direct.port)).await.unwrap();
    assert_eq!(through.len(), 40);
    assert!(through == read(connection, &direct.user, &direct.password).await, "as without all that");
    assert_eq!(*alerts.lock().unwrap(), []);
    path.assert_sealed(&corpus.markers);
}
