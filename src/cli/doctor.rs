//! `sidekey doctor`: what is wrong with the service, its folder or the way to it, and what mends it.

use std::time::{Duration, Instant};

use http::Method;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::IgnoredAny;
use sidekey_client::admin::{self, AdminCredential};
use sidekey_client::error::Unavailable;
use sidekey_client::transport::Transport;
use sidekey_client::{Error, Roots};
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::pairing::PublicUrl;
use sidekey_service::Config;

use crate::check::doors::Doors;
use crate::check::instance::{self, Holder};
use crate::check::surroundings::{self, Times};
use crate::check::{self, Check, certificate, files, network};
use crate::config::{Which, environment};
use crate::exit::{Exit, Stop};
use crate::output::{Report, shell};
use crate::remote::{self, Admin};

/// Look at the service, its folder and the way to it: what is wrong, and what mends it
///
/// Changes nothing, and runs whether the service does or not: what cannot be checked is said, and why. On another
/// machine than the service's it checks the way there. Ends with 1 when something is wrong.
///
/// With --gateway it looks at a gateway's configuration instead, and tries a proxy credential on every other door to the
/// same mail: none may open.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    #[command(flatten)]
    which: Which,
    /// Call it a fault when less is free for the data folder
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    free: u64,
    #[command(flatten)]
    admin: Admin,
    #[command(flatten)]
    doors: Doors,
}

/// Where the service is, and who asks.
struct Way {
    url: PublicUrl,
    roots: Roots,
    admin: Result<admin::Admin, Stop>,
}

/// What came of asking the service for a sign of life.
enum Reached {
    /// It gave one; its clock is so far ahead.
    Yes(i64),
    /// It does not run, so far as is known here.
    Down,
    /// It should have.
    No(Error),
}

impl Doctor {
    /// Does it.
    ///
    /// # Errors
    /// There is nothing to look at: no folder, no credential.
    pub async fn run(self) -> Result<Report, Stop> {
        if let Some(checks) = self.doors.checks().await? {
            return Ok(summed_up(&checks));
        }
        let begun = (Instant::now(), check::now());
        let (config, mut checks) = self.configured()?;
        let holder = config.as_ref().map(|config| instance::holder(&config.data));
        match &config {
            Some(config) => checks.extend(self.folder(config, holder.unwrap_or(Holder::Nobody)).await?),
            None => {
                checks.extend(FOLDER.map(|name| Check::unknown(name, "there is no configuration to go by")))
            }
        }
        let reached = self.way(config.as_ref(), holder, &mut checks).await;
        let set = environment().collect();
        let host = match (&config, self.way_to(config.as_ref())) {
            (Some(config), _) => config.public_url.host().to_owned(),
            (None, Some(way)) => way.url.host().to_owned(),
            (None, None) => String::new(),
        };
        checks.push(surroundings::environment(&set, &host, config.as_ref().map(|config| &config.root_key)));
        let gone_s = u32::try_from(begun.0.elapsed().as_secs()).unwrap_or(u32::MAX);
        let written = config.as_ref().and_then(|config| files::newest(&config.data.join("journal")));
        let ahead_s = if let Some(Reached::Yes(ahead)) = reached { Some(ahead) } else { None };
        let times = Times { now: begun.1, gone_s: [check::now().since_s(begun.1), gone_s], written, ahead_s };
        checks.insert(1, surroundings::clock(&times));
        Ok(summed_up(&checks))
    }

    /// The configuration, if it is here.
    fn configured(&self) -> Result<(Option<Config>, Vec<Check>), Stop> {
        let file = self.which.file();
        match self.which.effective() {
            Ok(effective) => {
                let fine =
                    Check::fine(CONFIGURATION, format!("{} says what a configuration says", file.display()));
                Ok((Some(effective.config), vec![fine]))
            }
            Err(stop) if file.exists() => Ok((None, vec![Check::of_stop(CONFIGURATION, &stop)])),
            // Elsewhere it is enough to know where the service is.
            Err(_) if self.admin.exists()? => {
                let why = format!("there is none at {}: the service is elsewhere", file.display());
                Ok((None, vec![Check::unknown(CONFIGURATION, why)]))
            }
            Err(stop) => Err(stop),
        }
    }

    /// What can be seen of the folder.
    async fn folder(&self, config: &Config, holder: Holder) -> Result<Vec<Check>, Stop> {
        let (config, free, now) = (config.clone(), self.free << 20, check::now());
        let look = move || {
            let answers = instance::answers(config.listen);
            let mut checks = vec![
                files::options(&config, &config.data.join("sidekey.toml")),
                files::permissions(&config),
                certificate::check(&config, now),
                files::disk(&config.data, free),
                files::root_key(&config),
                files::audit(&config.data),
                files::lag(&config.data),
                instance::versions(&config, holder),
                instance::other(&config, holder, answers),
            ];
            if holder == Holder::Nobody && !answers {
                checks.push(network::ports(&config, holder));
            }
            checks
        };
        // The journal is read from end to end.
        tokio::task::spawn_blocking(look).await.map_err(|panic| Stop::new(Exit::Failed, "doctor", panic))
    }

    /// What can be seen of the way to the service.
    async fn way(
        &self,
        config: Option<&Config>,
        holder: Option<Holder>,
        checks: &mut Vec<Check>,
    ) -> Option<Reached> {
        let Some(Way { url, roots, admin }) = self.way_to(config) else {
            checks.extend(WAY.map(|name| Check::unknown(name, "where the service is, is not known here")));
            return None;
        };
        let (addresses, names) = network::resolved(&url, PATIENCE).await;
        checks.push(names);
        let reached = self.reach(&url, &roots, holder).await;
        checks.push(reachability(&url, &reached));
        let yes = matches!(reached, Reached::Yes(_));
        match config {
            Some(config) => checks.push(network::listening(config, &addresses, yes)),
            None => {
                checks.push(Check::unknown("listening addresses", "the service's configuration is elsewhere"))
            }
        }
        if let Reached::Down = reached {
            let why = "the service does not run: sidekey serve";
            checks.extend(["TLS", CREDENTIAL, CARRIERS].map(|name| Check::unknown(name, why)));
            return Some(reached);
        }
        checks.push(network::tls(&url, &addresses, store(&roots), PATIENCE).await);
        if yes {
            let asked = admin.as_ref().ok().cloned();
            let taken = credential(admin).await;
            let asked = asked.filter(|_| taken.is_fine());
            checks.push(taken);
            checks.push(carriers(asked).await);
        } else {
            let why = "the service is not reached";
            checks.extend([Check::unknown(CREDENTIAL, why), Check::unknown(CARRIERS, why)]);
        }
        Some(reached)
    }

    /// By the credential, or as the configuration says.
    fn way_to(&self, config: Option<&Config>) -> Option<Way> {
        let beside = config.map(|config| config.data.join("admin.json"));
        let path = match beside {
            Some(path) if !self.admin.is_named() => Ok(path),
            _ => self.admin.path(),
        };
        let read = path.and_then(|path| {
            AdminCredential::read(&path).map_err(|error| {
                let what = format!("{} cannot be used: {error}", path.display());
                Stop::new(Exit::Denied, "credential_unusable", what)
                    .next("name the administrator's credential: sidekey doctor --admin FILE")
            })
        });
        let ambient = self.admin.timeout().ambient();
        match (read, config) {
            (Ok(credential), _) => {
                let (url, roots) = (credential.url.clone(), credential.roots.clone());
                let admin = admin::Admin::new(credential, ambient).map_err(remote::refusal);
                Some(Way { url, roots, admin })
            }
            (Err(stop), Some(config)) => {
                let own = std::fs::read_to_string(config.data.join("ca.pem"));
                let roots = own.map_or(Roots::Native, Roots::Pem);
                Some(Way { url: config.public_url.clone(), roots, admin: Err(stop) })
            }
            (Err(_), None) => None,
        }
    }

    async fn reach(&self, url: &PublicUrl, roots: &Roots, holder: Option<Holder>) -> Reached {
        let before = check::now();
        let asked = async {
            let transport = Transport::new(url, roots, self.admin.timeout().ambient())?;
            transport.call(Method::GET, "/livez").send_optional::<IgnoredAny>().await?;
            Ok::<Timestamp, Error>(transport.now())
        };
        match asked.await {
            Ok(there) => Reached::Yes(i64::from(there.0) - i64::from(before.0)),
            Err(Error::Retry { .. }) if holder == Some(Holder::Nobody) => Reached::Down,
            Err(error) => Reached::No(error),
        }
    }
}

fn reachability(url: &PublicUrl, reached: &Reached) -> Check {
    const NAME: &str = "reachability";
    match reached {
        Reached::Yes(_) => Check::fine(NAME, format!("the service answers at {url}")),
        Reached::Down => Check::unknown(NAME, "the service does not run: sidekey serve"),
        Reached::No(Error::Untrusted) => Check::finding(
            NAME,
            format!(
                "the certificate shown at {url} is not vouched for by the authority that clients were given"
            ),
            "put back the certificate that this authority signed, or give clients the other one: sidekey join --ca FILE",
        ),
        Reached::No(Error::Retry { .. }) => Check::finding(
            NAME,
            format!("{url} does not answer"),
            format!("see how far it gets: curl -v {}", shell(&format!("{url}/livez"))),
        ),
        Reached::No(error) => Check::finding(
            NAME,
            format!("something else answers at {url}: {error}"),
            format!("see what does: curl -v {}", shell(&format!("{url}/livez"))),
        ),
    }
}

async fn credential(admin: Result<admin::Admin, Stop>) -> Check {
    let admin = match admin {
        Ok(admin) => admin,
        Err(stop) => return Check::of_stop(CREDENTIAL, &stop),
    };
    match admin.transport().call(Method::GET, "/v1/servers?page_size=1").send::<IgnoredAny>().await {
        Ok(_) => Check::fine(CREDENTIAL, "the service takes it"),
        Err(Error::Retry { why: Unavailable::Clock, .. }) => Check::finding(
            CREDENTIAL,
            "the service gives out nothing: its clock went back",
            "set its clock; if that is right now: stop the service, sidekey clock accept, start it",
        ),
        Err(Error::Retry { why, .. }) => Check::unknown(CREDENTIAL, format!("the service is busy: {why}")),
        Err(error) => Check::finding(
            CREDENTIAL,
            format!("the service does not take it: {error}"),
            "use the one that this service's `sidekey init` made: sidekey doctor --admin FILE",
        ),
    }
}

/// Whether a carrier is left alone, and whether somebody has to act.
async fn carriers(admin: Option<admin::Admin>) -> Check {
    let Some(admin) = admin else { return Check::unknown(CARRIERS, "the service is not asked") };
    let found = match admin.carriers().await {
        Ok(found) => found,
        Err(error) => return Check::unknown(CARRIERS, format!("the service does not say: {error}")),
    };
    let ill = found.iter().filter_map(|seen| Some((seen, seen.trouble.as_ref()?)));
    match ill.max_by_key(|(seen, _)| seen.needs_you) {
        Some((seen, trouble)) if seen.needs_you => Check::finding(
            CARRIERS,
            format!("{}: {trouble}; {} wait for it", seen.carrier, seen.pending),
            format!(
                "mend [delivery.carriers.{}] of sidekey.toml, then start the service again",
                seen.carrier
            ),
        ),
        Some((seen, trouble)) => Check::finding(
            CARRIERS,
            format!("{} is left alone: {trouble}; {} wait for it", seen.carrier, seen.pending),
            "see to its bearer; it is tried again by itself: sidekey delivery carriers",
        ),
        None if found.is_empty() => Check::fine(CARRIERS, "none are configured: keys go over HTTPS"),
        None => Check::fine(CARRIERS, format!("{} configured, all open", found.len())),
    }
}

fn summed_up(checks: &[Check]) -> Report {
    let did = match checks.iter().filter(|check| check.is_finding()).count() {
        0 => format!("{} checks, no fault:", checks.len()),
        1 => format!("{} checks, 1 fault:", checks.len()),
        n => format!("{} checks, {n} faults:", checks.len()),
    };
    check::report(did, checks, Exit::Failed)
}

fn store(roots: &Roots) -> RootCertStore {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Native => store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        Roots::Pem(pem) => store
            .add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok)),
    };
    store
}

const CONFIGURATION: &str = "configuration";
const CREDENTIAL: &str = "admin credential";
const CARRIERS: &str = "carriers";
/// What is looked at in the folder.
const FOLDER: [&str; 9] = [
    "options",
    "permissions",
    "certificate",
    "disk space",
    "root key",
    "audit",
    "lag",
    "versions",
    "other instance",
];
/// What is looked at on the way.
const WAY: [&str; 6] =
    ["name resolution", "reachability", "listening addresses", "TLS", CREDENTIAL, CARRIERS];
/// With each step of the way.
const PATIENCE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  sidekey doctor
  sidekey doctor --data /var/lib/sidekey -o json
  sidekey doctor --profile work
  sidekey doctor --gateway gateway.toml --user ann@example.org --credential-file credential.txt";
