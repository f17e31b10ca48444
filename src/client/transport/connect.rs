//! TLS 1.3 to one service: whom to trust, and how long to wait for a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::error::{Error, Usage};

/// Whose certificates count.
#[derive(Clone, Debug)]
pub enum Roots {
    /// What the operating system trusts.
    Native,
    /// These certificates alone (PEM): the enterprise's own authority, pinned.
    Pem(String),
}

impl Roots {
    /// TLS 1.3 that trusts them, for other connections than those to the service: to a mail server, say.
    ///
    /// # Errors
    /// [`Error::Usage`]: a certificate does not parse, or there is none.
    pub fn client_config(&self) -> Result<ClientConfig, Error> {
        tls_config(self)
    }
}

/// HTTP/1.1 alone: one connection for requests, one for events. HTTP/2 would save the second at the price of eight
/// more crates.
pub(crate) type HttpClient = Client<Timed<HttpsConnector<HttpConnector>>, Full<Bytes>>;

/// A pooled client that trusts `roots`.
pub(crate) fn http_client(roots: &Roots) -> Result<HttpClient, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls_config(roots)?)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(HEAD_MAX_BYTES)
        .build(Timed(https)))
}

fn tls_config(roots: &Roots) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .with_root_certificates(root_store(roots)?)
        .with_no_client_auth())
}

fn root_store(roots: &Roots) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    match roots {
        // One unreadable certificate of a system's hundreds must not cost it all the others.
        Roots::Native => {
            let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Roots::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| Error::Usage(Usage::Authority))?;
                store.add(certificate).map_err(|_| Error::Usage(Usage::Authority))?;
            }
        }
    }
    if store.is_empty() { Err(Error::Usage(Usage::Authority)) } else { Ok(store) }
}

/// Bounds connecting as a whole: name, TCP and TLS. (The connector's own limit ends with TCP, and a peer that then
/// falls silent would hold the call until its deadline.)
#[derive(Clone)]
pub(crate) struct Timed<S>(S);

impl<S> Service<Uri> for Timed<S>
where
    S: Service<Uri, Error = Box<dyn std::error::Error + Send + Sync>>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
            tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?
        })
    }
}

/// Whether TLS refused the peer's certificate, somewhere down the chain of causes.
pub(crate) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An io::Error hands out its inner error's source, not its inner error.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter than the 30 s for which services keep a silent connection, so that a request seldom meets one that is just
/// being closed.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Head of an answer, and what is buffered of its body at a time.
const HEAD_MAX_BYTES: usize = 32 * 1024;
