//! `sidekey token`: what curl and programs without the crate sign their requests with.

use http::header::AUTHORIZATION;
use serde_json::json;
use sidekey_client::transport::Bearer;
use zeroize::Zeroizing;

use crate::actor::{Acting, Actor};
use crate::exit::{Exit, Stop};
use crate::output::{Format, Screen};
use crate::profile::Party;

/// Print a bearer token for curl and for programs of your own
///
/// It is signed here, without asking the service, and holds for ten minutes. Whoever has it may do what the pairing or
/// the administrator may do: hand it on through a pipe, never on a command line, which others can read.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Token {
    /// Print the whole header, as curl -H @- takes it
    #[arg(long)]
    header: bool,
    #[command(flatten)]
    actor: Actor,
}

impl Token {
    /// Does it.
    ///
    /// # Errors
    /// There is neither a pairing nor a credential, or it cannot be used.
    pub async fn run(self, screen: Screen) -> Result<(), Stop> {
        let bearer = match self.actor.acting().await? {
            Acting::Admin(admin) => admin.transport().token(),
            Acting::Party(Party::Client(client)) => client.transport().token(),
            Acting::Party(Party::Server(server)) => server.transport().token(),
        };
        let bearer = bearer.expect("whoever acts signs");
        let text = self.text(&bearer, screen.format());
        screen
            .verbatim(&text)
            .map_err(|error| Stop::new(Exit::Failed, "output", format!("cannot write the token: {error}")))
    }

    fn text(&self, bearer: &Bearer, format: Format) -> Zeroizing<String> {
        let token = bearer.expose();
        Zeroizing::new(match (format, self.header) {
            (Format::Json, _) => format!("{:#}\n", json!({ "token": token, "expires": bearer.expires() })),
            (Format::Text, true) => format!("{AUTHORIZATION}: Bearer {token}\n"),
            (Format::Text, false) => format!("{token}\n"),
        })
    }
}

const EXAMPLES: &str = "\
Examples:
  sidekey token --header --profile mail | curl -H @- https://keys.example.org/v1/pairings/self
  sidekey token --profile phone -o json";
