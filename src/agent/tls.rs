//! TLS on both sides: of the operator's proxy, and of mail programs where they are on other machines.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};
use sidekey_client::Roots;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// The certificates of the operating system, or of the file.
    #[error("no usable certificate authority")]
    Authority,
    /// A file cannot be read.
    #[error("cannot be read")]
    Unreadable(#[from] io::Error),
    /// A file holds something else.
    #[error("holds no {0} in PEM")]
    NoPem(&'static str),
    /// The two do not belong together.
    #[error("the certificate and the key do not belong together")]
    Apart(#[source] rustls::Error),
}

/// As a client: TLS 1.3, these authorities' certificates alone (PEM), or those that the system trusts.
///
/// # Errors
/// [`BadTls`].
pub fn client(authority: Option<&Path>) -> Result<Arc<ClientConfig>, BadTls> {
    let roots = match authority {
        None => Roots::Native,
        Some(path) => Roots::Pem(std::fs::read_to_string(path)?),
    };
    roots.client_config().map(Arc::new).map_err(|_| BadTls::Authority)
}

/// As a server: TLS 1.3, with this chain and key (PEM), each told apart by its file's name.
///
/// # Errors
/// The file that is wrong, and [`BadTls`].
pub fn server<'p>(certificate: &'p Path, key: &'p Path) -> Result<Arc<ServerConfig>, (&'p Path, BadTls)> {
    let chain = chain(certificate).map_err(|bad| (certificate, bad))?;
    let private = super::state::open_private(key).map_err(|error| (key, error.into()))?;
    let private = PrivateKeyDer::from_pem_reader(private).map_err(|error| (key, no_pem(error, "key")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private);
    config.map(Arc::new).map_err(|error| (key, BadTls::Apart(error)))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| no_pem(error, "certificate"))?;
    let chain: Result<Vec<_>, _> = certificates.collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(BadTls::NoPem("certificate")),
        Err(error) => Err(no_pem(error, "certificate")),
    }
}

fn no_pem(error: pem::Error, what: &'static str) -> BadTls {
    match error {
        pem::Error::Io(error) => error.into(),
        _ => BadTls::NoPem(what),
    }
}
