//! An authority and the certificate of a server on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// The certificate and its key as files, and what trusts it.
#[derive(Debug)]
pub struct Authority {
    folder: Arc<TempDir>,
    pem: String,
}

impl Authority {
    /// Another one each time.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let server = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&server, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), server.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), leaf.pem()).unwrap();
        Self { folder: Arc::new(folder), pem }
    }

    /// Its own certificate: what to trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What a server with that certificate answers TLS with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_file(self.certificate()).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.key()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config).into()
    }

    /// The server's key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The server's certificate, for `localhost`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }
}
