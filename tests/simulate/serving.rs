//! The service of a simulation: the real one, with its real store and its whole interface, asked in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use http_body_util::{BodyExt as _, Full};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_protocol::crypto::{Secret, SigningKey};
use sidekey_protocol::ids::{PartyId, ServerName, ServiceId};
use sidekey_protocol::revocation::wire::HEAD;
use sidekey_service::clock::TestClock;
use sidekey_service::config::Limits;
use sidekey_service::fault::Fault;
use sidekey_service::init::Options;
use sidekey_service::store::{Genesis, Store, Tended, Terms};
use sidekey_service::{Config, Service};
use sidekey_tests::unhurried;
use tower_service::Service as _;

use crate::network::{Answer, Ask, Request};

pub(crate) const SERVICE: ServiceId = ServiceId::from_bytes([1; 16]);
pub(crate) const ADMIN: PartyId = PartyId::from_bytes([0xad; 16]);

/// A service that runs.
pub(crate) struct Serving {
    service: Service,
    store: Arc<Store>,
    /// A write failed: its process ends.
    fenced: Arc<AtomicBool>,
}

impl Serving {
    /// Starts it on a data folder; `certificate` is the folder that holds one.
    pub(crate) fn start(
        folder: &Path,
        certificate: &Path,
        clock: &Arc<TestClock>,
        seed: u64,
    ) -> Result<Self, Fault> {
        let fenced = Arc::new(AtomicBool::new(false));
        let on_fence = fenced.clone();
        let terms = Terms {
            segment_size_bytes: SEGMENT_SIZE,
            on_fence: Box::new(move |_| on_fence.store(true, Ordering::SeqCst)),
            tended: Tended::ByCaller,
        };
        let rng = |stream: u64| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            rng
        };
        let store = Store::open_on(folder, root_key(), clock.clone(), Box::new(rng(1)), terms)?;
        let store = Arc::new(store);
        let url = url().parse().unwrap();
        let config = Config { limits: unhurried(Limits::default()), ..Config::for_data(certificate, url) };
        let service = Service::on(store.clone(), &config, clock.clone(), rng(2)).unwrap();
        Ok(Self { service, store, fenced })
    }

    pub(crate) async fn answer(&self, request: &Request) -> Answer {
        let (method, path) = request.ask.route();
        let mut asked = http::Request::builder().method(method).uri(path).header(HOST, "keys.example.org");
        if let Some(token) = &request.token {
            asked = asked.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(head) = request.head {
            asked = asked.header(HEAD, head.to_string());
        }
        if let Ask::Open { once, .. } = &request.ask {
            asked = asked.header("idempotency-key", once);
        }
        if let Ask::Policy { revision, .. } = request.ask {
            asked = asked.header(IF_MATCH, format!("\"{revision}\""));
        }
        if !request.body.is_empty() {
            asked = asked.header(CONTENT_TYPE, "application/json");
        }
        self.answered(asked.body(Full::new(request.body.clone())).unwrap()).await
    }

    /// What an administrator reads.
    pub(crate) async fn read(&self, path: &str, token: &str) -> Answer {
        let asked = http::Request::get(path).header(HOST, "keys.example.org");
        let asked = asked.header(AUTHORIZATION, format!("Bearer {token}"));
        self.answered(asked.body(Full::default()).unwrap()).await
    }

    /// An administrator accepts what was seen of a service that was put back.
    pub(crate) async fn accept(&self, seen: &str, token: &str, body: Bytes) -> Answer {
        let asked = http::Request::post("/v1/restore/accept").header(HOST, "keys.example.org");
        let asked =
            asked.header(AUTHORIZATION, format!("Bearer {token}")).header(IF_MATCH, format!("\"{seen}\""));
        let asked = asked.header(CONTENT_TYPE, "application/json");
        self.answered(asked.body(Full::new(body)).unwrap()).await
    }

    async fn answered(&self, request: http::Request<Full<Bytes>>) -> Answer {
        let answer = self.service.router().call(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let head = parts.headers.get(HEAD).map(|head| head.to_str().unwrap().parse().unwrap());
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), head, body }
    }

    /// What its keeper does from time to time.
    pub(crate) fn tend(&self) {
        self.store.tend();
    }

    /// It stops as it should.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::SeqCst)
    }
}

pub(crate) fn url() -> &'static str {
    "https://keys.example.org"
}

/// A new data folder, and the administrator's key.
pub(crate) fn create(folder: &Path, clock: &TestClock) -> SigningKey {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (key, admin_key) = (SigningKey::generate(&mut rng), SigningKey::generate(&mut rng));
    let genesis = Genesis {
        service: SERVICE,
        key,
        public_url: url().into(),
        admin: ADMIN,
        admin_key: admin_key.verifying_key(),
        admin_label: "admin".into(),
        server: None::<ServerName>,
    };
    Store::create_with(folder, &root_key(), genesis, clock, Box::new(rng), SEGMENT_SIZE).unwrap();
    admin_key
}

/// A folder with a certificate in it: `init` makes one.
pub(crate) async fn certificate(folder: &Path, clock: &Arc<TestClock>) -> PathBuf {
    let data = folder.join("certificate");
    let options = Options { public_url: url().parse().unwrap(), ..Options::default() };
    let rng = ChaCha20Rng::seed_from_u64(0);
    sidekey_service::init(&data, &options, clock.clone(), rng).await.unwrap();
    data
}

fn root_key() -> Secret<32> {
    Secret::fill_with(|octets| octets.fill(5))
}

/// Small, so that a simulation meets the ends of many.
const SEGMENT_SIZE: u64 = 16 << 10;
