//! `sidekey init`: makes a data folder, and asks nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_protocol::ids::ServerName;
use sidekey_protocol::pairing::PublicUrl;
use sidekey_service::Config;
use sidekey_service::clock::SystemClock;
use sidekey_service::init::{self, InitFault, Item, Options, Outcome};

use crate::exit::{Exit, Stop};
use crate::output::{List, Report, shell};
use crate::remote;
use crate::serve::{Data, chain};

/// Make a data folder: keys, a certificate, the administrator's credential, the configuration
///
/// Asks nothing, and changes nothing that is there: a second run says what it found.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Init {
    #[command(flatten)]
    data: Data,
    /// Where clients and servers will reach the service; pairing links start with it [default: https://localhost:8443]
    #[arg(long, value_name = "URL", env = "SIDEKEY_URL", value_parser = crate::urls::first)]
    url: Option<PublicUrl>,
    /// Where the service will listen [default: 127.0.0.1 and the URL's port, or 8443 when the URL has none]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// One more host name or address for the certificate; may be repeated
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    /// The mail server whose users' devices will be paired; more, and later ones, with `server add`
    #[arg(long, value_name = "NAME")]
    server: Option<ServerName>,
}

impl Init {
    /// Does it.
    ///
    /// # Errors
    /// What cannot be written; another URL than the folder was made for.
    pub fn run(self) -> Result<Report, Stop> {
        let data = self.data.enter()?;
        self.refuse_another_url(&data)?;
        let options = self.options();
        let made = init::init(&data, &options, Arc::new(SystemClock), UnwrapErr(SysRng));
        let made = remote::block_on(async { made.await.map_err(|fault| explained(&fault)) })?;
        let mut list = List::new(&["what", "where", "outcome"]);
        for item in &made.items {
            list.row(&[item.what.to_owned(), item.path.display().to_string(), outcome(item).to_owned()]);
        }
        let new = made.items.iter().any(|item| item.outcome == Outcome::Made);
        let did = if new {
            "Made a data folder for the key service."
        } else {
            "Nothing to do: all of it is there."
        };
        let items: Vec<_> = made
            .items
            .iter()
            .map(|item| json!({ "what": item.what, "path": item.path, "outcome": outcome(item) }))
            .collect();
        let json = json!({ "data": made.data, "items": items });
        let next = match &self.server {
            // Only a new service can be given a server here: another one may be running on this folder.
            Some(server) if !made.new_store() => {
                format!("sidekey server add {}, unless server list shows it", shell(server.as_str()))
            }
            _ => format!("sidekey serve{}", self.data.option()),
        };
        Ok(Report::new(did, json).list(list).next(next))
    }

    fn options(&self) -> Options {
        let default = Options::default();
        let public_url = self.url.clone().unwrap_or(default.public_url);
        // A URL without a port is that of something in front, which has 443 for itself.
        let here = || SocketAddr::from((Ipv4Addr::LOCALHOST, public_url.port()));
        let listen = self.listen.or_else(|| public_url.names_its_port().then(here)).unwrap_or(default.listen);
        Options { public_url, listen, names: self.name.clone(), server: self.server.clone() }
    }

    /// Links and codes are bound to the URL: it is the folder's for ever.
    fn refuse_another_url(&self, data: &Path) -> Result<(), Stop> {
        let Ok(config) = Config::read(&data.join("sidekey.toml")) else { return Ok(()) };
        match &self.url {
            Some(url) if url.as_str() != config.public_url.as_str() => {
                let what = format!("{} was made for {}", data.display(), config.public_url);
                Err(Stop::new(Exit::Conflict, "public_url_changed", what).next("another folder, with --data"))
            }
            _ => Ok(()),
        }
    }
}

fn outcome(item: &Item) -> &'static str {
    match item.outcome {
        Outcome::Made => "made",
        Outcome::There => "there",
        Outcome::Elsewhere => "elsewhere",
    }
}

fn explained(fault: &InitFault) -> Stop {
    match fault {
        InitFault::Broken { .. } => Stop::new(Exit::Conflict, "folder_broken", chain(fault)),
        _ => Stop::new(Exit::Failed, "not_made", chain(fault)),
    }
}

const EXAMPLES: &str = "\
Examples:
  sidekey init
  sidekey init --server mail.example.org
  sidekey init --data /var/lib/sidekey --url https://keys.example.org --listen 0.0.0.0:443";
