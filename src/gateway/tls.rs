//! TLS on both sides, 1.3 alone: what the gateway shows, whom it trusts, who must show something.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};
use sidekey_client::Roots;

use crate::config::{Listener, Upstream};
use crate::files::{self, BadFile};

/// What a listener shows and demands; `None` where it speaks no TLS.
pub(crate) fn of_listener(listener: &Listener) -> Result<Option<Arc<ServerConfig>>, BadFile> {
    let (Some(certificate), Some(key)) = (&listener.certificate_file, &listener.key_file) else {
        return Ok(None);
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&files::read_private(key)?)
        .map_err(|_| BadFile::Malformed { path: key.clone(), what: "a PEM private key" })?;
    let unusable = |path: &Path| {
        let path = path.to_owned();
        |source| BadFile::Tls { path, source }
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable(certificate))?;
    let builder = match &listener.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(roots(authority)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|_| no_certificate(authority))?)
        }
    };
    let mut tls = builder.with_single_cert(chain, key).map_err(unusable(certificate))?;
    // No connection is resumed: its peer's certificate, where one is demanded, is looked at each time.
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    Ok(Some(Arc::new(tls)))
}

/// Whom the gateway trusts to be the mail server, and under which name.
pub(crate) fn of_upstream(
    upstream: &Upstream,
) -> Result<(Arc<ClientConfig>, Option<ServerName<'static>>), BadFile> {
    let (roots, untrusting) = match &upstream.ca_file {
        None => (Roots::Native, BadFile::NoAuthority),
        Some(path) => {
            let pem = String::from_utf8(files::read(path)?).map_err(|_| no_certificate(path))?;
            (Roots::Pem(pem), no_certificate(path))
        }
    };
    let tls = roots.client_config().map_err(|_| untrusting)?;
    let host = upstream.host_and_port().map(|(host, _)| host);
    let name = upstream.name.as_deref().or(host).and_then(|name| ServerName::try_from(name.to_owned()).ok());
    Ok((Arc::new(tls), name))
}

/// Whoever shows a listener's own certificate is that listener, under whatever name; `None` where it speaks no TLS.
pub(crate) fn pinned(listener: &Listener) -> Result<Option<Arc<ClientConfig>>, BadFile> {
    let Some(certificate) = &listener.certificate_file else { return Ok(None) };
    let chain = certificates(certificate)?;
    let pinned = Arc::new(Pinned(chain.into_iter().next().ok_or_else(|| no_certificate(certificate))?));
    let tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider knows TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth();
    Ok(Some(Arc::new(tls)))
}

/// One certificate alone is believed.
#[derive(Debug)]
struct Pinned(CertificateDer<'static>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        if *shown == self.0 { Ok(ServerCertVerified::assertion()) } else { Err(unknown) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            shown,
            signed,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            shown,
            signed,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, BadFile> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|source| BadFile::Tls { path: path.to_owned(), source })?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&files::read(path)?).collect();
    read.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| no_certificate(path))
}

fn no_certificate(path: &Path) -> BadFile {
    BadFile::Malformed { path: path.to_owned(), what: "PEM certificates" }
}
