//! A local certificate authority and the server certificate that it signs, for a service that no public authority
//! vouches for.

use std::collections::BTreeSet;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use sidekey_protocol::ids::Timestamp;
use zeroize::Zeroizing;

/// Days for which the authority's certificate holds.
const CA_LIFE_DAYS: u32 = 3650;
/// Days for which the server's certificate holds: the most that common platforms accept.
const SERVER_LIFE_DAYS: u32 = 825;
const DAY_S: u32 = 86_400;

/// A new private key, PEM.
pub(crate) fn key() -> Result<Zeroizing<String>, rcgen::Error> {
    Ok(Zeroizing::new(KeyPair::generate()?.serialize_pem()))
}

/// An authority's own certificate, PEM.
pub(crate) fn authority(key: &str, now: Timestamp) -> Result<String, rcgen::Error> {
    Ok(authority_params(now).self_signed(&KeyPair::from_pem(key)?)?.pem())
}

/// A server certificate, PEM, for `names` (host names and addresses), signed by the authority that holds `ca_key`.
pub(crate) fn server(
    ca_key: &str,
    key: &str,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<String, rcgen::Error> {
    let issuer = Issuer::new(authority_params(now), KeyPair::from_pem(ca_key)?);
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    hold(&mut params, now, SERVER_LIFE_DAYS);
    params.distinguished_name.push(DnType::CommonName, "Sidekey key service");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.signed_by(&KeyPair::from_pem(key)?, &issuer)?.pem())
}

fn authority_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    hold(&mut params, now, CA_LIFE_DAYS);
    params.distinguished_name.push(DnType::CommonName, "Sidekey local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From a day ago, because clocks differ, for so many days.
fn hold(params: &mut CertificateParams, now: Timestamp, days: u32) {
    let start = now.0.saturating_sub(DAY_S);
    let at = |seconds: u32| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.into());
    params.not_before = at(start);
    params.not_after = at(start.saturating_add(days * DAY_S));
    params.distinguished_name = rcgen::DistinguishedName::new();
}
