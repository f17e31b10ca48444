//! The certificate: whether it and its key belong together, whom it names, who vouches for it, and for how long.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use sidekey_protocol::ids::Timestamp;
use sidekey_service::Config;

use super::Check;
use crate::output::shell;
use crate::time::rfc3339;

/// What is wrong with the certificate, if anything is.
#[must_use]
pub fn check(config: &Config, now: Timestamp) -> Check {
    let (file, key) = (config.certificate_path(), config.tls_key_path());
    let mend = mend(config);
    let chain = match CertificateDer::pem_file_iter(&file).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => return Check::finding(NAME, format!("{} holds no certificate", file.display()), mend),
        Err(error) => return unreadable(&file, &error, mend),
    };
    let key = match PrivateKeyDer::from_pem_file(&key) {
        Ok(key) => key,
        Err(error) => return unreadable(&key, &error, mend),
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    if CertifiedKey::from_der(chain.clone(), key, &provider).is_err() {
        let what =
            format!("{} is not the certificate of {}", file.display(), config.tls_key_path().display());
        return Check::finding(NAME, what, mend);
    }
    let host = config.public_url.host();
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Check::finding(NAME, format!("{host} is no name that a certificate can hold"), mend);
    };
    let chain = Chain { chain, roots: roots(&config.data) };
    match chain.verify(&name, now) {
        Ok(()) => chain.lasting(&name, now, &file, mend),
        Err(error) => Check::finding(NAME, told(&error, &file, host), mend),
    }
}

struct Chain {
    chain: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
}

impl Chain {
    fn verify(&self, name: &ServerName<'_>, at: Timestamp) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots.clone()), provider)
            .build()
            .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let (own, others) = self.chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at.0.into()));
        verifier.verify_server_cert(own, others, name, &[], at).map(drop)
    }

    /// It holds now: for how long?
    fn lasting(&self, name: &ServerName<'_>, now: Timestamp, file: &Path, mend: String) -> Check {
        let holds = |until: String| {
            Check::fine(NAME, format!("names the public URL's host, and holds until {until}"))
        };
        let end = match self.verify(name, Timestamp(u32::MAX)) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => not_after,
            _ => return holds("after this century".to_owned()),
        };
        let end = Timestamp(u32::try_from(end.as_secs()).unwrap_or(u32::MAX));
        let days = end.since_s(now) / DAY_S;
        if days < DAYS_MIN {
            let what = format!("{} ends on {}, in {days} days", file.display(), rfc3339(end));
            return Check::finding(NAME, what, mend);
        }
        holds(rfc3339(end))
    }
}

fn told(error: &Error, file: &Path, host: &str) -> String {
    let file = file.display();
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired => format!("{file} has expired"),
            CertificateError::ExpiredContext { not_after, .. } => {
                let at = Timestamp(u32::try_from(not_after.as_secs()).unwrap_or(u32::MAX));
                format!("{file} expired on {}", rfc3339(at))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("{file} is not valid yet, by this machine's clock")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("{file} does not name {host}, the public URL's host")
            }
            CertificateError::BadSignature | CertificateError::UnknownIssuer => {
                format!("nobody whom this machine trusts vouches for {file}, or its chain is not whole")
            }
            other => format!("{file}: {other}"),
        },
        other => format!("{file}: {other}"),
    }
}

/// Our own authority, where `init` made one, and those of the system.
fn roots(data: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let own = CertificateDer::pem_file_iter(data.join("ca.pem"));
    roots.add_parsable_certificates(own.into_iter().flatten().filter_map(Result::ok));
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// How to get a better one.
fn mend(config: &Config) -> String {
    let file = config.certificate_path();
    let quoted = |path: &Path| shell(&path.display().to_string());
    if config.data.join("ca.key").exists() && file == config.data.join("tls.pem") {
        let key = config.tls_key_path();
        return format!(
            "rm -f {} {} && sidekey init --data {} --url {}, and restart the service",
            quoted(&file),
            quoted(&key),
            quoted(&config.data),
            config.public_url
        );
    }
    format!(
        "put a certificate for {} with its chain into {}, and its key into {}",
        config.public_url.host(),
        file.display(),
        config.tls_key_path().display()
    )
}

fn unreadable(path: &dyn std::fmt::Debug, error: &rustls::pki_types::pem::Error, mend: String) -> Check {
    match error {
        rustls::pki_types::pem::Error::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Check::unknown(NAME, format!("{path:?} cannot be read: run this as the service's user"))
        }
        error => Check::finding(NAME, format!("{path:?} cannot be used: {error}"), mend),
    }
}

const NAME: &str = "certificate";
const DAY_S: u32 = 86_400;
/// Time enough to get another one without haste.
const DAYS_MIN: u32 = 14;

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;
    use sidekey_service::clock::SystemClock;
    use sidekey_service::init::{Options, init};

    use super::*;
    use crate::check::now;

    async fn folder() -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let made = init(&data, &Options::default(), Arc::new(SystemClock), UnwrapErr(SysRng)).await;
        made.unwrap();
        let config = Config::read(&data.join("sidekey.toml")).unwrap();
        (folder, config)
    }

    #[tokio::test]
    async fn a_certificate_is_found_before_it_ends_and_after() {
        let (_folder, config) = folder().await;
        let day = |n: u32| now().after_s(n * DAY_S);
        for fine in [0, 800] {
            assert!(check(&config, day(fine)).is_fine(), "{:?}", check(&config, day(fine)));
        }
        for wrong in [815, 830, 4000] {
            assert!(check(&config, day(wrong)).is_finding(), "after {wrong} days");
        }
        assert!(check(&config, Timestamp(1_000_000_000)).is_finding(), "before it begins");
    }

    #[tokio::test]
    async fn a_certificate_for_another_host_of_another_key_or_that_nobody_vouches_for_is_found() {
        let (_folder, config) = folder().await;
        let elsewhere = Config { public_url: "https://keys.example.org".parse().unwrap(), ..config.clone() };
        assert!(check(&elsewhere, now()).is_finding());
        let (_other, other) = folder().await;
        let mut swapped = config.clone();
        swapped.tls.key_file = other.tls_key_path();
        assert!(check(&swapped, now()).is_finding());
        std::fs::remove_file(config.data.join("ca.pem")).unwrap();
        assert!(check(&config, now()).is_finding());
        let mut none = other.clone();
        none.tls.certificate_file = "nothing.pem".into();
        assert!(check(&none, now()).is_finding());
    }
}
