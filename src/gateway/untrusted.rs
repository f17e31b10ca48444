//! An untrusted connection: whoever comes may be an operator's proxy, and is let in by a proxy credential alone.

use std::net::SocketAddr;
use std::sync::Arc;

use rand_core::CryptoRng;
use sidekey_client::credential::{CredentialSecret, CredentialVerified};
use sidekey_client::{Clock, Error, Server};
use sidekey_imap::command::Reader;
use sidekey_imap::login::{Credentials as Shown, Login, Outcome, Step, Tls, Verified};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::UserName;
use sidekey_protocol::session::Capabilities;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::allow::advertised;
use crate::credentials::Credentials;
use crate::drive::{Driven, Driver, Following, Over};
use crate::guests::{Guests, Present};
use crate::keys::{Held, Keyring};
use crate::listener::Door;
use crate::metrics::Metrics;
use crate::replay::Replays;
use crate::session::{Ended, Keys, Sealing, Session, Settings, Unavailable, announcement};
use crate::side::Side;
use crate::upstream::{LoggedIn, Unreached};
use crate::{Identity, Live, Shared};

/// What all untrusted connections share.
pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keyring: Keyring,
    pub(crate) credentials: Credentials,
    pub(crate) guests: Arc<Guests>,
    pub(crate) metrics: Arc<Metrics>,
    replays: Replays,
    /// The gateway's own pairing is over.
    pub(crate) closed: CancellationToken,
    rng: fn() -> Box<dyn CryptoRng + Send>,
}

/// Somebody who may be in.
struct Admitted {
    present: Present,
    /// His keys, where anything is sealed.
    keys: Option<Following>,
    key: Option<Arc<Held>>,
    mail: LoggedIn,
}

impl Desk {
    pub(crate) fn new(identity: Identity, metrics: Arc<Metrics>) -> Self {
        let Identity { server, clock, rng } = identity;
        let capabilities = Capabilities::parse(&CAPABILITIES).expect("they are well-formed");
        let key = Secret::random(&mut rng());
        Self {
            keyring: Keyring::new(server.clone(), Arc::clone(&clock), capabilities, Arc::clone(&metrics)),
            credentials: Credentials::new(server.clone(), key),
            guests: Arc::default(),
            metrics,
            replays: Replays::default(),
            closed: CancellationToken::new(),
            server,
            clock,
            rng,
        }
    }
}

/// One untrusted connection.
pub(crate) struct Visit<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) desk: &'a Arc<Desk>,
    pub(crate) live: &'a Live,
    pub(crate) door: &'a Door,
    pub(crate) peer: SocketAddr,
}

impl Visit<'_> {
    /// Serves it until it is over. Who has been greeted has begun TLS since.
    pub(crate) async fn serve(&self, mut client: Side, greeted: bool) {
        let (listener, peer) = (self.door.name.as_str(), self.peer);
        let login = timeout(self.shared.limits.login(), self.login(&mut client, greeted)).await;
        let (admitted, reader, rest) = match login {
            Ok(Some(admitted)) => admitted,
            Ok(None) => return,
            Err(_) => {
                let _ = client.send(b"* BYE no login in time\r\n").await;
                let _ = client.close().await;
                return tracing::debug!(listener, %peer, "no login in time");
            }
        };
        let Admitted { present, keys, key, mail } = admitted;
        let session = Session::begin(
            reader,
            self.settings(),
            &mail.capabilities,
            key.map(|key| key as Arc<dyn Keys>),
            (self.desk.rng)(),
        );
        let mut driven =
            Driven { client, server: mail.side, session, from_client: rest, from_server: mail.rest };
        let driver = Driver {
            desk: self.desk,
            guest: &present,
            idle: self.shared.limits.idle(),
            stop: &self.shared.stop,
        };
        let over = driver.drive(&mut driven, keys).await;
        let credential = present.credential;
        match over {
            Over::Ended(ended @ (Ended::Server(_) | Ended::Spool)) => {
                tracing::warn!(listener, %peer, %credential, %ended, "cut");
            }
            Over::Ended(ended) => tracing::debug!(listener, %peer, %credential, %ended, "done"),
            Over::Broken(error) => tracing::debug!(listener, %peer, %credential, %error, "broken off"),
            Over::Left | Over::Stopped => tracing::debug!(listener, %peer, %credential, "done"),
            Over::Idle => tracing::info!(listener, %peer, %credential, "closed: nothing moved for too long"),
            Over::Cut => tracing::info!(listener, %peer, %credential, "cut: what let it in counts no more"),
        }
    }

    /// The login, to its end; the reader, and what came behind it. `None` when nobody is in.
    async fn login(&self, client: &mut Side, greeted: bool) -> Option<(Admitted, Reader, Vec<u8>)> {
        let (mut login, greeting) = Login::begin(Tls::Established);
        if !greeted {
            client.send(&greeting).await.ok()?;
        }
        let mut came = Vec::new();
        while client.read(&mut came).await.ok()? {
            let mut input = came.as_slice();
            while let Some(step) = login.next(&mut input) {
                match step {
                    Step::Reply(octets) => client.send(&octets).await.ok()?,
                    // TLS is there already.
                    Step::StartTls(octets) | Step::End(octets) => {
                        client.send(&octets).await.ok()?;
                        client.close().await.ok()?;
                        return None;
                    }
                    Step::Verify(shown) => {
                        let (outcome, admitted) = self.judge(shown).await;
                        match (login.verified(&outcome), admitted) {
                            (Verified::LoggedIn(mut octets, reader), Some(admitted)) => {
                                if let Some(key) = &admitted.key {
                                    octets.extend_from_slice(announcement(&**key).as_bytes());
                                }
                                client.send(&octets).await.ok()?;
                                return Some((admitted, reader, input.to_vec()));
                            }
                            (Verified::Again(octets, again), _) => {
                                client.send(&octets).await.ok()?;
                                login = again;
                            }
                            (Verified::Over(octets) | Verified::LoggedIn(octets, _), _) => {
                                client.send(&octets).await.ok()?;
                                client.close().await.ok()?;
                                return None;
                            }
                        }
                    }
                }
            }
            let taken = came.len() - input.len();
            came.drain(..taken);
        }
        None
    }

    /// Whether this lets somebody in, and all that he then needs.
    async fn judge(&self, shown: Shown) -> (Outcome, Option<Admitted>) {
        match self.admit(shown).await {
            Ok(admitted) => {
                let told = self.settings().capabilities;
                let told: Vec<_> = told.iter().map(String::as_str).collect();
                let shown = advertised(self.door.listener.profile(), &admitted.mail.capabilities, &told);
                self.desk.metrics.login("accepted");
                (Outcome::Accepted(shown), Some(admitted))
            }
            Err(refused) => {
                let (listener, peer) = (self.door.name.as_str(), self.peer);
                self.desk.metrics.login(refused.name());
                tracing::info!(listener, %peer, %refused, "no login");
                (refused.outcome(), None)
            }
        }
    }

    async fn admit(&self, shown: Shown) -> Result<Admitted, Refused> {
        let user: UserName = shown.user.parse().map_err(|_| Refused::Name)?;
        let account = self.live.upstream.account(&user).ok_or(Refused::Name)?;
        // A user's own password is of another form, or nobody's.
        let secret = CredentialSecret::from_typed(shown.secret.expose()).map_err(|_| Refused::Wrong)?;
        if self.desk.closed.is_cancelled() {
            return Err(Refused::Closed);
        }
        let before = self.desk.credentials.forgotten();
        let verified = self.verified(&user, &secret).await?;
        let present = self.desk.guests.enter(verified, secret);
        if self.desk.credentials.forgotten() != before {
            // Something was revoked between the answer and here: perhaps this.
            self.verified(&user, &present.secret).await?;
        }
        let connect = self.shared.limits.connect();
        let (keys, mail) =
            tokio::join!(self.keys(&user), timeout(connect, self.live.upstream.log_in(account)));
        let mail = mail.unwrap_or(Err(Unreached::Late)).map_err(|unreached| {
            self.desk.metrics.upstream_failed(unreached.name());
            tracing::warn!(error = &unreached as &dyn std::error::Error, "no login at the mail server");
            Refused::MailServer
        })?;
        let mut keys = keys?;
        let key = keys.as_mut().and_then(|keys| keys.borrow_and_update().clone());
        match (&keys, &key) {
            (Some(_), Some(key)) => present.is_sealed_for(key.session()),
            // Taken back meanwhile.
            (Some(_), None) => return Err(Refused::KeyService),
            (None, _) => {}
        }
        Ok(Admitted { present, keys, key, mail })
    }

    async fn verified(
        &self,
        user: &UserName,
        secret: &CredentialSecret,
    ) -> Result<CredentialVerified, Refused> {
        match self.desk.credentials.verify(user, secret).await {
            Ok(Some(verified)) => Ok(verified),
            Ok(None) => Err(Refused::Wrong),
            Err(error) => {
                self.desk.metrics.key_service_failed("credential");
                if !matches!(error, Error::Retry { .. }) {
                    tracing::warn!(%error, "the key service does not say whether a credential is live");
                }
                Err(Refused::KeyService)
            }
        }
    }

    /// His keys, once there is one to begin with; `None` where nothing is sealed.
    async fn keys(&self, user: &UserName) -> Result<Option<Following>, Refused> {
        if self.door.listener.sealing() == Sealing::Off {
            return Ok(None);
        }
        let keys = self.desk.keyring.follow(user);
        match self.desk.keyring.current(user).await {
            Ok(_) => Ok(Some(keys)),
            Err(Unavailable::Later) => Err(Refused::KeyService),
            Err(Unavailable::Refused) => Err(Refused::NoDevice),
        }
    }

    fn settings(&self) -> Settings {
        let sealing = self.door.listener.sealing();
        let capabilities = match sealing {
            Sealing::On => self.desk.keyring.capabilities(),
            Sealing::Off => Arc::default(),
        };
        let replays = self.desk.replays.clone();
        Settings { profile: self.door.listener.profile(), sealing, capabilities, replays }
    }
}

/// Why nobody is let in. The log has all of it, the client what he may know.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Refused {
    #[error("a name that is none, or has no account at the mail server")]
    Name,
    #[error("no live proxy credential of this user")]
    Wrong,
    #[error("the key service cannot be asked")]
    KeyService,
    #[error("the mail server does not let the gateway in")]
    MailServer,
    #[error("no device of this user is paired")]
    NoDevice,
    #[error("the gateway's own pairing is over")]
    Closed,
}

impl Refused {
    const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Wrong => "wrong",
            Self::KeyService => "key_service",
            Self::MailServer => "mail_server",
            Self::NoDevice => "no_device",
            Self::Closed => "closed",
        }
    }

    const fn outcome(self) -> Outcome {
        match self {
            Self::Name | Self::Wrong => Outcome::Refused,
            Self::KeyService | Self::MailServer | Self::Closed => Outcome::Unavailable,
            Self::NoDevice => Outcome::NoWayOn("no device of this user is paired"),
        }
    }
}

/// What the sessions are opened with.
const CAPABILITIES: [&str; 3] = ["XENCRYPTED", "A256GCM", "C20P"];
