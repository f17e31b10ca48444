//! `sidekey drill`: attacks on an administrator's own staging installation, each beside an honest twin.
//!
//! ```text
//!   made.rs     what was made, and how it goes again ◀── ground.rs  two mail servers of the drill's own, with devices
//!                                                              │
//!   told.rs     tells it ◀── attack.rs  attack, twin, verdict ──┤ pairing tokens sessions envelopes revocations
//!                                                              │ http tls: a table of attacks each
//!                            ask.rs, wire.rs  requests and octets that no client sends
//! ```
//! Whatever a drill makes, it makes at its own two servers; revoking them at the end takes all of it away.

pub mod ask;
pub mod attack;
mod envelopes;
pub mod ground;
mod http;
pub mod made;
mod pairing;
mod promises;
mod revocations;
mod sessions;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
pub mod told;
pub mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sidekey_client::admin::{Admin as Administrator, AdminCredential, ServerFilter, Standing};
use sidekey_protocol::pairing::PublicUrl;

use self::attack::{Attack, Fought, Group, Verdict};
use self::ground::{Ground, PREFIX, Place};
use self::made::{Cleared, Left, Made};
use self::told::Told;
use self::wire::Wire;
use crate::confirm::Confirm;
use crate::demo::stay;
use crate::exit::{Exit, Stop};
use crate::output::{Report, Screen, word};
use crate::remote::{Admin, refusal};

/// Attack your own staging installation, and see that it refuses
///
/// Tries more than a hundred attacks of whoever can reach the service: on pairing, tokens, sessions, wrapped keys, revocation,
/// HTTP and TLS. Each has an honest twin, which must be accepted. Ends with 0 only if every attack is refused as it should
/// be and changes nothing, and with 8 if one is not.
///
/// For a staging installation: it adds two mail servers of its own, named drill-…, with users and devices, and revokes all of
/// them at its end, also when it fails or is interrupted. Their names and what was done stay in the audit log. It
/// touches nothing that it did not make. A service that believed a forged head would shut itself; then sidekey restore
/// accept opens it again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Drill {
    /// The service, as the administrator's credential names it: said again, so that no other is attacked by mistake
    url: PublicUrl,
    /// Try the attacks of this group alone; may be said several times
    #[arg(long, value_enum, value_name = "GROUP")]
    only: Vec<Group>,
    /// Try also what needs a minute to be over
    #[arg(long)]
    slow: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    admin: Admin,
}

impl Drill {
    /// Does it.
    ///
    /// # Errors
    /// There is no credential of this service's administrator; the user does not confirm; the drill could not begin, or was
    /// interrupted. That an attack is not refused is no error here.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        self.confirm.asks()?;
        let admin = self.admin.open()?;
        let credential = self.credential()?;
        self.is_taken(&admin, screen).await?;
        let place = Place::new(credential.roots.clone(), self.admin.timeout().ambient());
        self.confirm.ask(screen, &self.facts(&place))?;

        let made = Arc::new(Made::nothing(admin));
        let began = Instant::now();
        let name = place.name.clone();
        let ended = tokio::select! {
            // Before anything is made, signals are listened to.
            biased;
            told = stay::until_told() => told.map(|()| None).map_err(|error| Stop::new(Exit::Failed, "signals", error))?,
            fought = self.drilled(place, Arc::clone(&made), &credential, screen) => Some(fought),
        };
        let took = began.elapsed();
        screen.note("Cleaning up: revoking what the drill has made.");
        let cleared = cleared(&made).await;
        let fought = match ended {
            Some(Ok(fought)) => fought,
            Some(Err(stop)) => return Err(and_left(stop, &cleared)),
            None => return Err(and_left(interrupted(&cleared), &cleared)),
        };
        Ok(Told { url: self.url, name, fought, took, cleared, slow: self.slow }.report())
    }

    /// The administrator's credential, which must be of the service that is named.
    fn credential(&self) -> Result<AdminCredential, Stop> {
        let path = self.admin.path()?;
        let credential = AdminCredential::read(&path)
            .map_err(|error| Stop::new(Exit::Denied, "credential_unusable", error))?;
        if credential.url == self.url || credential.other_urls.contains(&self.url) {
            return Ok(credential);
        }
        let what = format!("{} is a credential of {}, not of {}", path.display(), credential.url, self.url);
        Err(Stop::new(Exit::Denied, "credential_foreign", what)
            .next(format!("name the credential of that service: sidekey drill {} --admin FILE", self.url)))
    }

    /// That the service takes the credential; and word of what an earlier drill has left behind. Only looks.
    async fn is_taken(&self, admin: &Administrator, screen: Screen) -> Result<(), Stop> {
        let live = ServerFilter { state: Some(Standing::Active), ..ServerFilter::default() };
        let looked = async { admin.servers_among(&live).await.map_err(refusal) };
        for server in self.admin.timeout().bound(looked).await? {
            if server.name.as_str().starts_with(PREFIX) {
                screen.note(&format!(
                    "An earlier drill has left {0} behind, or another one runs: sidekey server revoke {0} --reason drill",
                    server.name
                ));
            }
        }
        Ok(())
    }

    /// What the question is about.
    fn facts(&self, place: &Place) -> Vec<(&'static str, String)> {
        let [mail, other] = place.servers();
        vec![
            ("attacks", format!("{} at {}", self.attacks().len(), self.url)),
            ("makes", format!("the mail servers {mail} and {other}, with users, devices and sessions")),
            ("revokes", "both at its end, with everything at them".to_owned()),
            ("stays", "their names, revoked; and what was done, in the audit log".to_owned()),
            ("meant for", "a staging installation".to_owned()),
        ]
    }

    fn attacks(&self) -> Vec<Attack> {
        let mut attacks = all();
        if self.slow {
            attacks.splice(0..0, pairing::slow());
        }
        attacks.retain(|attack| self.only.is_empty() || self.only.contains(&attack.group));
        attacks
    }

    /// Lays the ground, and tries one attack after another.
    async fn drilled(
        &self,
        place: Place,
        made: Arc<Made>,
        credential: &AdminCredential,
        screen: Screen,
    ) -> Result<Vec<Fought>, Stop> {
        let wire = Wire::to(&self.url, &credential.roots, PATIENCE).map_err(refusal)?;
        screen.note(&format!("Making two mail servers and three devices, named {}…", place.name));
        let ground = Ground::lay(place, made, wire, credential.party).await.map_err(refusal)?;
        let (ground, mut fought) = (Arc::new(ground), Vec::<Fought>::new());
        let attacks = self.attacks();
        for (n, attack) in attacks.iter().enumerate() {
            if n == 0 || attacks[n - 1].group != attack.group {
                let of_group = attacks.iter().filter(|other| other.group == attack.group).count();
                screen.note(&format!("{}: {of_group} attacks …", word(attack.group)));
            }
            let came = attack.fought(&ground).await;
            if came.verdict != Verdict::Refused {
                screen.note(&told::lesson(&came));
            }
            fought.push(came);
        }
        Ok(fought)
    }
}

/// Every attack that needs no patience, group by group. The forged head comes last of its group, and what shuts nothing
/// comes after it.
fn all() -> Vec<Attack> {
    let groups = [
        pairing::attacks(),
        tokens::attacks(),
        sessions::attacks(),
        envelopes::attacks(),
        http::attacks(),
        tls::attacks(),
        revocations::attacks(),
    ];
    groups.into_iter().flatten().collect()
}

/// Cleans up; told again to stop, it says what is left.
async fn cleared(made: &Made) -> Result<Cleared, Left> {
    tokio::select! {
        cleared = made.clear() => cleared,
        _ = stay::until_told() => Err(made.all_left("interrupted while cleaning up")),
        () = tokio::time::sleep(CLEANING) => Err(made.all_left("the service did not answer in time")),
    }
}

fn interrupted(cleared: &Result<Cleared, Left>) -> Stop {
    let what = match cleared {
        Ok(cleared) => format!("interrupted; revoked {}", cleared.shown()),
        Err(_) => "interrupted".to_owned(),
    };
    Stop::new(Exit::Interrupted, "interrupted", what)
}

/// The same stop, and what is left with its mend if anything is.
fn and_left(stop: Stop, cleared: &Result<Cleared, Left>) -> Stop {
    let Err(left) = cleared else { return stop };
    let what = format!("{}; NOT CLEANED UP: {left}", stop.what());
    let names: Vec<_> = left.servers.iter().map(ToString::to_string).collect();
    Stop::new(stop.exit(), stop.code(), what).next(left.mend()).with("left", names)
}

/// With one answer: longer than the service's own limits.
const PATIENCE: Duration = Duration::from_secs(15);
/// With all of the cleaning up.
const CLEANING: Duration = Duration::from_secs(90);

const EXAMPLES: &str = "\
Examples:
  sidekey drill https://keys.staging.example.org
  sidekey drill https://keys.staging.example.org --profile staging --yes -o json
  sidekey drill https://localhost:8443 --only tokens --only tls --yes
  sidekey drill https://localhost:8443 --slow";
