//! What a drill has made, and how it goes away again: whatever was made, was made at a server of the drill's own.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sidekey_client::Error;
use sidekey_client::admin::{
    Admin, InvitationFilter, InvitationState, PairingFilter, SessionFilter, SessionState, Standing,
};
use sidekey_protocol::ids::ServerName;
use sidekey_protocol::revocation::{Reason, Target};
use tokio::time::sleep;

use crate::output::shell;

/// The servers that the drill has added, or is about to add.
#[derive(Debug)]
pub struct Made {
    pub(super) admin: Admin,
    servers: Mutex<Vec<ServerName>>,
}

/// What went away with them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Cleared {
    /// Mail servers revoked.
    pub servers: u64,
    /// Pairings revoked.
    pub pairings: u64,
    /// Invitations cancelled.
    pub invitations: u64,
    /// Sessions ended.
    pub sessions: u64,
}

/// What the drill could not take away.
#[derive(Debug)]
pub struct Left {
    /// These servers, and whatever is at them.
    pub servers: Vec<ServerName>,
    /// Why.
    pub why: String,
}

impl Made {
    /// Nothing yet.
    #[must_use]
    pub const fn nothing(admin: Admin) -> Self {
        Self { admin, servers: Mutex::new(Vec::new()) }
    }

    /// Adds a mail server. From before it is asked for, it is known that it must go again.
    ///
    /// # Errors
    /// [`Error::Refused`] with `server_exists`: somebody else's, which stays.
    pub(super) async fn add_server(&self, name: &ServerName) -> Result<(), Error> {
        self.lock().push(name.clone());
        let added = self.admin.add_server(name).await;
        if matches!(&added, Err(Error::Refused { code, .. }) if code == "server_exists") {
            self.lock().retain(|server| server != name);
        }
        added.map(drop)
    }

    /// Revokes them, and looks whether anything of theirs is left.
    ///
    /// # Errors
    /// [`Left`].
    pub async fn clear(&self) -> Result<Cleared, Left> {
        let mut cleared = Cleared::default();
        let servers = self.lock().clone();
        for (n, server) in servers.iter().enumerate() {
            let left = |why: String| Left { servers: servers[n..].to_vec(), why };
            self.revoke(server, &mut cleared).await.map_err(|error| left(error.to_string()))?;
            match self.live(server).await {
                Ok(0) => {}
                Ok(live) => return Err(left(format!("{live} of what was made at {server} still lives"))),
                Err(error) => return Err(left(error.to_string())),
            }
        }
        Ok(cleared)
    }

    async fn revoke(&self, server: &ServerName, cleared: &mut Cleared) -> Result<(), Error> {
        let target = Target::Server { server: server.clone() };
        let reason: Reason = "the drill is over".parse().expect("it is a reason");
        let mut tries = 0;
        loop {
            tries += 1;
            match self.admin.revoke(&target, &reason).await {
                Ok(struck) => {
                    let struck = struck.unwrap_or_default();
                    cleared.servers += 1;
                    cleared.pairings += struck.pairings;
                    cleared.invitations += struck.invitations;
                    cleared.sessions += struck.sessions_ended;
                    return Ok(());
                }
                // Asked for when the drill was interrupted: perhaps it is still to be made.
                Err(Error::Refused { code, .. }) if code == "not_found" => {
                    if tries == 2 {
                        return Ok(());
                    }
                    sleep(A_MOMENT).await;
                }
                Err(Error::Retry { after, .. }) if tries < TRIES => sleep(after).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// How much of what was made at a server still lives.
    async fn live(&self, server: &ServerName) -> Result<usize, Error> {
        let mut live = 0;
        for state in [Standing::Active, Standing::Confirmed] {
            let filter = PairingFilter {
                server: Some(server.clone()),
                state: Some(state),
                ..PairingFilter::default()
            };
            live += self.admin.pairings(&filter).await?.len();
        }
        for state in [InvitationState::Invited, InvitationState::Begun] {
            let filter = InvitationFilter {
                server: Some(server.clone()),
                state: Some(state),
                ..InvitationFilter::default()
            };
            live += self.admin.invitations(&filter).await?.len();
        }
        let filter = SessionFilter {
            server: Some(server.clone()),
            state: Some(SessionState::Open),
            ..SessionFilter::default()
        };
        Ok(live + self.admin.sessions(&filter).await?.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ServerName>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, where nobody has had the time to take it away.
    #[must_use]
    pub fn all_left(&self, why: &str) -> Left {
        Left { servers: self.lock().clone(), why: why.to_owned() }
    }
}

impl Cleared {
    /// For eyes.
    #[must_use]
    pub fn shown(&self) -> String {
        let Self { servers, pairings, invitations, sessions } = self;
        format!(
            "{servers} servers, {pairings} pairings, {invitations} invitations and {sessions} sessions, all of \
             the drill's own"
        )
    }
}

impl Left {
    /// The command that takes one of them away.
    #[must_use]
    pub fn mend(&self) -> String {
        let revoke = |server: &ServerName| {
            format!("sidekey server revoke {} --reason drill --yes", shell(server.as_str()))
        };
        self.servers.iter().map(revoke).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.servers.iter().map(ServerName::as_str).collect();
        write!(f, "{} and what was made there: {}", names.join(", "), self.why)
    }
}

/// Until a request that was on its way has arrived.
const A_MOMENT: Duration = Duration::from_secs(1);
const TRIES: u32 = 5;
