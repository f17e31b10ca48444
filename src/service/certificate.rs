//! The certificate under which the service is reached: read, judged, and replaced while connections go on.
//!
//! A certificate that clients would refuse is refused here first, in one line: the wrong key, the wrong name, out of
//! its time. At a reload the one in force stays instead.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, UNIX_EPOCH};

use axum_server::tls_rustls::RustlsConfig;
use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode as _, SliceReader, Tag, Tagged as _};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sidekey_protocol::ids::Timestamp;

use crate::config::Config;
use crate::files::{self, BadFile};

/// TLS cannot be had with these files.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// Its time is over.
    #[error("the certificate in {path} expired on {at}: renew it", path = path.display())]
    Expired {
        /// Which file.
        path: PathBuf,
        /// When.
        at: String,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The key is another certificate's.
    #[error(
        "the private key in {key} does not belong to the certificate in {certificate}", key = key.display(),
        certificate = certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Clients that come to the public URL would not believe it.
    #[error("the certificate in {path} is not for {host}, the host of public_url", path = path.display())]
    Name {
        /// Which file.
        path: PathBuf,
        /// Which host.
        host: String,
    },
    /// Its time has not come: or the clock is wrong.
    #[error("the certificate in {path} is valid from {from} only: is the clock right?", path = path.display())]
    NotYet {
        /// Which file.
        path: PathBuf,
        /// When.
        from: String,
    },
    /// rustls does not take it.
    #[error("the certificate in {path} cannot be used", path = path.display())]
    Rustls {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// The certificate in force.
#[derive(Debug)]
pub(crate) struct Certificate {
    tls: RustlsConfig,
    not_after: RwLock<i64>,
    seen: Mutex<Seen>,
}

/// What the files looked like.
#[derive(Debug)]
struct Seen {
    /// When they were last read, in force or refused.
    read: Looks,
    /// At the last look.
    last: Looks,
}

/// Size, time of change and number of each file: another file under the name shows.
type Looks = [Option<(u64, i64, i64, u64)>; 2];

impl Certificate {
    /// Reads it at the start.
    pub(crate) fn read(config: &Config, now: Timestamp) -> Result<Self, BadTls> {
        let looks = look(config);
        let (tls, not_after) = load(config, now)?;
        Ok(Self {
            tls: RustlsConfig::from_config(tls),
            not_after: RwLock::new(not_after),
            seen: Mutex::new(Seen { read: looks, last: looks }),
        })
    }

    /// What a listener takes: it follows every replacement.
    pub(crate) fn tls(&self) -> RustlsConfig {
        self.tls.clone()
    }

    /// When it ends, in Unix seconds.
    pub(crate) fn not_after(&self) -> i64 {
        *self.not_after.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whole days until it ends; negative afterwards.
    pub(crate) fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after() - i64::from(now.0)).div_euclid(86_400)
    }

    /// Reads it again. New connections get the new one; those that are open go on.
    pub(crate) fn reload(&self, config: &Config, now: Timestamp) -> Result<(), BadTls> {
        let looks = look(config);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.read, seen.last) = (looks, looks);
        }
        let (tls, not_after) = load(config, now)?;
        self.tls.reload_from_config(tls);
        *self.not_after.write().unwrap_or_else(PoisonError::into_inner) = not_after;
        Ok(())
    }

    /// Whether the files are others than were read, and have looked the same twice: nobody is still writing them.
    pub(crate) fn changed(&self, config: &Config) -> bool {
        let looks = look(config);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = seen.last == looks;
        seen.last = looks;
        settled && looks != seen.read && looks.iter().all(Option::is_some)
    }
}

fn look(config: &Config) -> Looks {
    use std::os::unix::fs::MetadataExt as _;

    [config.certificate_path(), config.tls_key_path()].map(|path| {
        let file = path.metadata().ok()?;
        Some((file.size(), file.mtime(), file.mtime_nsec(), file.ino()))
    })
}

/// TLS 1.3 alone, X25519MLKEM768 first, HTTP/2 before HTTP/1.1; and when the certificate ends.
fn load(config: &Config, now: Timestamp) -> Result<(Arc<ServerConfig>, i64), BadTls> {
    let malformed = |path: &Path, what| BadFile::Malformed { path: path.to_owned(), what };
    let (path, key_path) = (config.certificate_path(), config.tls_key_path());
    let chain = CertificateDer::pem_slice_iter(&files::read(&path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| malformed(&path, "a PEM certificate chain"))?;
    let leaf = chain.first().ok_or_else(|| malformed(&path, "a PEM certificate chain"))?.clone();
    let key = PrivateKeyDer::from_pem_slice(&files::read_private(&key_path)?)
        .map_err(|_| malformed(&key_path, "a PEM private key"))?;
    let unusable = |source| BadTls::Rustls { path: path.clone(), source };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            BadTls::Mismatch { certificate: path.clone(), key: key_path.clone() }
        }
        other => unusable(other),
    })?;
    let not_after = judge(&leaf, config, now, &path)?;
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(tls), not_after))
}

/// Whether a client that comes to the public URL now would take it; and until when.
fn judge(leaf: &CertificateDer<'_>, config: &Config, now: Timestamp, path: &Path) -> Result<i64, BadTls> {
    let unusable = |source| BadTls::Rustls { path: path.to_owned(), source };
    let (from, until) =
        validity(leaf).ok_or(BadFile::Malformed { path: path.to_owned(), what: "an X.509 certificate" })?;
    if until < i64::from(now.0) {
        return Err(BadTls::Expired { path: path.to_owned(), at: date(until) });
    }
    if i64::from(now.0) < from {
        return Err(BadTls::NotYet { path: path.to_owned(), from: date(from) });
    }
    let host = config.public_url.host();
    let parsed = ParsedCertificate::try_from(leaf).map_err(unusable)?;
    let foreign = || BadTls::Name { path: path.to_owned(), host: host.to_owned() };
    let name = ServerName::try_from(host).map_err(|_| foreign())?;
    rustls::client::verify_server_name(&parsed, &name).map_err(|_| foreign())?;
    Ok(until)
}

/// RFC 5280 section 4.1: `Certificate { TBSCertificate { [version], serial, signature, issuer, validity … } … }`.
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let outer = AnyRef::from_der(certificate).ok()?;
    let tbs = AnyRef::decode(&mut SliceReader::new(outer.value()).ok()?).ok()?;
    let mut fields = SliceReader::new(tbs.value()).ok()?;
    let first = AnyRef::decode(&mut fields).ok()?;
    // The version is left out of a certificate of version 1; then this was the serial number.
    let before_validity = if first.tag() == Tag::Integer { 2 } else { 3 };
    for _ in 0..before_validity {
        AnyRef::decode(&mut fields).ok()?;
    }
    let validity = AnyRef::decode(&mut fields).ok()?;
    let mut times = SliceReader::new(validity.value()).ok()?;
    let times = (time(AnyRef::decode(&mut times).ok()?)?, time(AnyRef::decode(&mut times).ok()?)?);
    Some(times)
}

fn time(value: AnyRef<'_>) -> Option<i64> {
    let since = match value.tag() {
        Tag::UtcTime => UtcTime::try_from(value).ok()?.to_unix_duration(),
        Tag::GeneralizedTime => GeneralizedTime::try_from(value).ok()?.to_unix_duration(),
        _ => return None,
    };
    i64::try_from(since.as_secs()).ok()
}

fn date(at: i64) -> String {
    let since = Duration::from_secs(at.try_into().unwrap_or_default());
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

/// Days before its end from which it is warned of.
pub(crate) const WARN_DAYS: i64 = 21;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::init::certificate as make;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    struct Files {
        folder: tempfile::TempDir,
        config: Config,
    }

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let config = Config::for_data(folder.path(), "https://keys.example.org".parse().unwrap());
            let files = Self { folder, config };
            files.issue("keys.example.org", NOW);
            files
        }

        /// Puts a new certificate and key there.
        fn issue(&self, name: &str, made: Timestamp) {
            let (ca_key, key) = (make::key().unwrap(), make::key().unwrap());
            let names = BTreeSet::from([name.to_owned()]);
            let certificate = make::server(&ca_key, &key, &names, made).unwrap();
            self.write("tls.pem", &certificate);
            self.write("tls.key", &key);
        }

        fn write(&self, name: &str, content: &str) {
            files::write(&self.folder.path().join(name), content.as_bytes(), 0o600).unwrap();
        }

        fn refused(&self, now: Timestamp) -> String {
            Certificate::read(&self.config, now).unwrap_err().to_string()
        }
    }

    #[test]
    fn a_certificate_s_time_is_read_as_it_was_made() {
        let files = Files::new();
        let certificate = Certificate::read(&files.config, NOW).unwrap();
        assert_eq!(certificate.days_left(NOW), 824);
        assert_eq!(certificate.not_after(), i64::from(NOW.0) + 824 * 86_400);
        assert_eq!(certificate.days_left(NOW.after_s(825 * 86_400)), -1);
    }

    #[test]
    fn what_clients_would_refuse_is_refused_in_one_line() {
        let files = Files::new();
        assert!(files.refused(NOW.after_s(826 * 86_400)).contains("expired on"));
        assert!(files.refused(Timestamp(NOW.0 - 3 * 86_400)).contains("is the clock right?"));
        files.issue("other.example.org", NOW);
        assert!(files.refused(NOW).contains("is not for keys.example.org"));
        files.issue("keys.example.org", NOW);
        files.write("tls.key", &make::key().unwrap());
        assert!(files.refused(NOW).contains("does not belong to the certificate"));
        files.write("tls.key", "no key");
        assert!(files.refused(NOW).contains("does not hold a PEM private key"));
        files.write("tls.pem", "no certificate");
        assert!(files.refused(NOW).contains("does not hold a PEM certificate chain"));
    }

    #[test]
    fn a_change_counts_once_nobody_writes_any_more() {
        let files = Files::new();
        let certificate = Certificate::read(&files.config, NOW).unwrap();
        assert!(!certificate.changed(&files.config));
        files.issue("keys.example.org", NOW.after_s(86_400));
        assert!(!certificate.changed(&files.config), "seen for the first time");
        assert!(certificate.changed(&files.config));
        certificate.reload(&files.config, NOW).unwrap();
        assert!(!certificate.changed(&files.config) && !certificate.changed(&files.config));
        assert_eq!(certificate.days_left(NOW), 825);
    }

    #[test]
    fn a_bad_replacement_leaves_the_old_one_in_force_and_is_told_once() {
        let files = Files::new();
        let certificate = Certificate::read(&files.config, NOW).unwrap();
        let before = Arc::as_ptr(&certificate.tls.get_inner());
        files.write("tls.key", &make::key().unwrap());
        assert!(!certificate.changed(&files.config) && certificate.changed(&files.config));
        let refused = certificate.reload(&files.config, NOW);
        assert!(matches!(refused, Err(BadTls::Mismatch { .. })), "{refused:?}");
        assert_eq!(Arc::as_ptr(&certificate.tls.get_inner()), before);
        assert!(!certificate.changed(&files.config) && !certificate.changed(&files.config));
    }
}
