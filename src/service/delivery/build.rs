//! Carriers as the configuration describes them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand_core::CryptoRng;
use sidekey_carrier::sms::Ports;
use sidekey_carrier::sms::http::{self, Gateway, Variables};
use sidekey_carrier::sms::smpp::{self, Password};
use sidekey_carrier::webhook;
use sidekey_carrier::xdms::{self, Credentials};
use sidekey_carrier::{Ambient, BadUrl, Carrier, Reports, Roots, Url};
use sidekey_protocol::crypto::sha256;
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::delivery::wire::CarrierKind;

use super::{Callback, Handed};
use crate::app::SharedRng;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::files::{self, BadFile};
use crate::store::Daily;

/// A carrier of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("delivery.carriers.{carrier}")]
pub struct BadCarrier {
    /// Which.
    pub carrier: CarrierName,
    /// Why.
    pub source: Misfit,
}

/// Why a carrier cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// A file that it needs.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The description of a gateway's interface.
    #[error("interface_file is not a valid description")]
    Interface(#[source] Box<toml::de::Error>),
    /// A gateway.
    #[error(transparent)]
    Gateway(#[from] http::Misconfigured),
    /// A word that could be guessed, or that no URL holds.
    #[error("report_token_file holds {TOKEN_MIN} or more letters, digits, - and _: nobody may guess them")]
    Token,
    /// A secret that is no text.
    #[error("{0} does not hold one line of text")]
    Secret(String),
    /// An SMSC.
    #[error(transparent)]
    Smpp(#[from] smpp::Misconfigured),
    /// A URL.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// A webhook.
    #[error(transparent)]
    Webhook(#[from] webhook::Misconfigured),
    /// An XDMS.
    #[error(transparent)]
    Xdms(#[from] xdms::Misconfigured),
}

/// All carriers of the configuration.
///
/// # Errors
/// [`BadCarrier`] names the first that cannot be used.
pub(crate) fn configured(
    config: &Config,
    clock: &Arc<dyn Clock>,
    rng: &SharedRng,
) -> Result<Vec<Handed>, BadCarrier> {
    let build = |(name, carrier): (&CarrierName, &config::Carrier)| {
        let clock = clock.clone();
        let ambient = Ambient::new(move || clock.now(), rng.clone());
        let mut handed = one(config, name, carrier, ambient)
            .map_err(|source| BadCarrier { carrier: name.clone(), source })?;
        handed.daily = carrier.limits().map(|limits| Daily {
            per_address: limits.per_address,
            total: limits.total,
            prefixes: limits.prefixes.clone(),
        });
        Ok(handed)
    };
    config.delivery.carriers.iter().map(build).collect()
}

/// Whether every carrier of a configuration can be used, so far as can be told without asking its bearer; says how many.
///
/// # Errors
/// [`BadCarrier`] names the first that cannot.
pub fn check_carriers(config: &Config, rng: impl CryptoRng + Send + 'static) -> Result<usize, BadCarrier> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    configured(config, &clock, &SharedRng::new(rng)).map(|handed| handed.len())
}

fn one(
    config: &Config,
    name: &CarrierName,
    carrier: &config::Carrier,
    ambient: Ambient,
) -> Result<Handed, Misfit> {
    let data = &config.data;
    let mut handed = match carrier {
        config::Carrier::Smpp(settings) => return smpp(data, name, settings, ambient),
        config::Carrier::HttpSms(settings) => {
            let (gateway, callback) = gateway(config, name, settings, ambient)?;
            let handed =
                plain(name, CarrierKind::HttpSms, &settings.domain, settings.at_once, Arc::new(gateway));
            Handed { callback, ..handed }
        }
        config::Carrier::Xdms(settings) => {
            let xdms = xdms(data, settings, ambient)?;
            let handed = plain(name, CarrierKind::Xdms, &settings.domain, settings.at_once, Arc::new(xdms));
            return Ok(Handed {
                phones: settings.phone_xui.is_some(),
                user_xui: settings.user_xui.clone(),
                ..handed
            });
        }
        config::Carrier::Webhook(settings) => {
            let url = url(&settings.url, settings.unprotected)?;
            let secret = files::read_private(&data.join(&settings.secret_file))?;
            let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
            let webhook =
                webhook::Webhook::new(url, secret, &roots(data, settings.ca_file.as_deref())?, ambient)?;
            plain(name, CarrierKind::Webhook, &settings.domain, settings.at_once, Arc::new(webhook))
        }
        config::Carrier::Email(_) => unreachable!("the configuration was checked"),
    };
    handed.phones = true;
    Ok(handed)
}

fn plain(
    name: &CarrierName,
    kind: CarrierKind,
    domain: &str,
    at_once: u16,
    carrier: Arc<dyn Carrier>,
) -> Handed {
    let (name, domain, at_once) = (name.clone(), domain.to_owned(), usize::from(at_once));
    let (phones, user_xui, reports, driver) = (false, None, None, None);
    let (daily, callback) = (None, None);
    Handed { name, kind, domain, phones, user_xui, at_once, daily, callback, carrier, reports, driver }
}

fn smpp(
    data: &Path,
    name: &CarrierName,
    settings: &config::Smpp,
    ambient: Ambient,
) -> Result<Handed, Misfit> {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let ours = smpp::Settings {
        host: settings.host.clone(),
        port: settings.port,
        tls: settings.tls.then(|| roots(data, settings.ca_file.as_deref())).transpose()?,
        system_id: settings.system_id.clone(),
        password: Password::from(secret(data, &settings.password_file)?),
        system_type: settings.system_type.clone(),
        sender: settings.sender.clone(),
        ports: Ports { to: settings.app_port, from: settings.app_port },
        window: settings.at_once,
        validity: seconds(settings.validity_s),
        answer: seconds(settings.answer_s),
        enquire_link: seconds(settings.enquire_link_s),
    };
    let (carrier, reports, driver) = smpp::Smpp::new(&ours, ambient)?;
    let reports: Option<Reports> = Some(reports);
    let handed = plain(name, CarrierKind::Smpp, &settings.domain, settings.at_once, Arc::new(carrier));
    Ok(Handed { phones: true, reports, driver: Some(Box::pin(driver)), ..handed })
}

fn gateway(
    config: &Config,
    name: &CarrierName,
    settings: &config::HttpSms,
    ambient: Ambient,
) -> Result<(Gateway, Option<Callback>), Misfit> {
    let data = &config.data;
    let interface = files::read(&data.join(&settings.interface_file))?;
    let interface = toml::from_str(&String::from_utf8_lossy(&interface));
    let interface: http::Settings = interface.map_err(|error| Misfit::Interface(Box::new(error)))?;
    let mut variables: Vec<_> = settings.variables.clone().into_iter().collect();
    for (name, file) in &settings.variable_files {
        variables.push((name.clone(), secret(data, file)?));
    }
    let mut token = None;
    if let Some(file) = &settings.report_token_file {
        let word = secret(data, file)?;
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if word.len() < TOKEN_MIN || !plain {
            return Err(Misfit::Token);
        }
        variables.push(("reports".to_owned(), format!("{}/v1/reports/{name}/{word}", config.public_url)));
        token = Some(sha256(word.as_bytes()));
    }
    let callback = interface.callback.clone().zip(token).map(|(reader, token)| Callback { reader, token });
    let variables: Variables = variables.into_iter().collect();
    let gateway = Gateway::new(interface, variables, &roots(data, settings.ca_file.as_deref())?, ambient)?;
    Ok((gateway, callback))
}

fn xdms(data: &Path, settings: &config::Xdms, ambient: Ambient) -> Result<xdms::Xdms, Misfit> {
    let password = settings.password_file.as_ref().map(|file| secret(data, file)).transpose()?;
    let ours = xdms::Settings {
        root: url(&settings.root, settings.unprotected)?,
        auid: settings.auid.clone(),
        document: settings.document.clone(),
        media_type: settings.media_type.clone(),
        xui: settings.phone_xui.clone(),
        credentials: settings
            .user
            .clone()
            .zip(password)
            .map(|(user, password)| Credentials::new(user, password)),
        asserted_identity: settings.asserted_identity.clone(),
        roots: roots(data, settings.ca_file.as_deref())?,
        deadline: Duration::from_secs(settings.answer_s.into()),
    };
    Ok(xdms::Xdms::new(ours, ambient)?)
}

fn url(text: &str, unprotected: bool) -> Result<Url, BadUrl> {
    if unprotected { Url::unprotected(text) } else { text.parse() }
}

fn roots(data: &Path, file: Option<&Path>) -> Result<Roots, BadFile> {
    let Some(file) = file else { return Ok(Roots::Native) };
    Ok(Roots::Pem(String::from_utf8_lossy(&files::read(&data.join(file))?).into_owned()))
}

/// One line of a file that nobody else may read.
fn secret(data: &Path, file: &Path) -> Result<String, Misfit> {
    let content = files::read_private(&data.join(file))?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let text = std::str::from_utf8(line).ok().filter(|line| !line.is_empty() && !line.contains('\n'));
    text.map(str::to_owned).ok_or_else(|| Misfit::Secret(file.display().to_string()))
}

/// Characters of the shortest word for reports.
const TOKEN_MIN: usize = 22;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn the_shipped_interface_is_kannel_s() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| files::write(&folder.path().join(name), text.as_bytes(), 0o600).unwrap();
        write("kannel.toml", include_str!("../../../config/kannel.toml"));
        write("kannel.password", "secret\n");
        write("kannel.token", "0123456789abcdef012345\n");
        let said = "[delivery.carriers.gateway]\nkind = 'http-sms'\ndomain = 'x'\ninterface_file = 'kannel.toml'\n\
                    variables = { username = 'sidekey', sender = 'Example' }\n\
                    variable_files = { password = 'kannel.password' }\nreport_token_file = 'kannel.token'";
        let config = Config { data: folder.path().to_owned(), ..toml::from_str(said).unwrap() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng = SharedRng::new(ChaCha20Rng::seed_from_u64(1));
        let handed = configured(&config, &clock, &rng).unwrap().remove(0);
        assert!(handed.callback.is_some() && handed.phones && handed.daily.is_some());
        write("kannel.token", "guessed\n");
        let bad = configured(&config, &clock, &rng).unwrap_err();
        assert!(matches!(bad.source, Misfit::Token), "{bad}");
        assert_eq!(bad.to_string(), "delivery.carriers.gateway");
    }
}
