//! What the drill stands on: two mail servers of its own, with parties of its own. Nothing else is touched; when it is
//! over, the two servers are revoked, and with them everything that was ever made at them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use getrandom::SysRng;
use rand_core::{Rng as _, UnwrapErr};
use sidekey_client::admin::{Admin, AuditFilter, Invite, Invited, Paging};
use sidekey_client::{Ambient, Client, Error, Invitation, KeyStore, MemoryKeyStore, Paired, Roots, Server};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServerName, ServiceId, SessionId, UserName};
use sidekey_protocol::pairing::{Approval, Kek, PairingCode, Prover, Target};
use sidekey_protocol::session::{Audience, Capabilities};
use sidekey_protocol::token;

use super::made::Made;
use super::wire::Wire;
use crate::output::hex;

/// The drill's own enterprise.
#[derive(Debug)]
pub struct Ground {
    /// What was made, and who makes it.
    pub made: Arc<Made>,
    /// The way to the service.
    pub wire: Wire,
    /// The administrator's own id.
    pub administrator: PartyId,
    /// A mail server.
    pub mail: Gateway,
    /// Another one, with other users.
    pub other: Gateway,
    /// A device of a user of the first.
    pub phone: Device,
    /// Another device of the same user.
    pub laptop: Device,
    /// A device of another user of the same mail server.
    pub stranger: Device,
    place: Place,
    users: AtomicU32,
    /// The newest record of the audit log that was looked at.
    seen: Mutex<u64>,
}

/// Where the drill takes place, before anything is made.
#[derive(Clone, Debug)]
pub struct Place {
    /// What everything is called after.
    pub name: String,
    /// Whose certificates count at the service.
    pub roots: Roots,
    /// The clock, the randomness, and how long each request may take.
    pub ambient: Ambient,
}

/// A user's device.
#[derive(Debug)]
pub struct Device {
    /// Whose.
    pub user: UserName,
    /// The client crate's side of it.
    pub client: Client,
    /// What it signs with.
    pub keys: Keys,
}

/// A mail server.
#[derive(Debug)]
pub struct Gateway {
    /// Its name.
    pub name: ServerName,
    /// The client crate's side of it.
    pub server: Server,
    /// What it signs with.
    pub keys: Keys,
}

/// What a pairing signs with.
#[derive(Debug)]
pub struct Keys {
    /// The pairing.
    pub pairing: PartyId,
    /// The service that its tokens are for.
    pub service: ServiceId,
    /// Its signing key.
    pub key: SigningKey,
    /// Names its key-encryption key.
    pub kek: [u8; 8],
}

impl Place {
    /// A name that nobody has.
    #[must_use]
    pub fn new(roots: Roots, ambient: Ambient) -> Self {
        let mut octets = [0; 4];
        rng().fill_bytes(&mut octets);
        Self { name: format!("{PREFIX}{}", hex(&octets)), roots, ambient }
    }

    /// The two mail servers that the drill makes.
    ///
    /// # Panics
    /// Never: both are names.
    #[must_use]
    pub fn servers(&self) -> [ServerName; 2] {
        ["", "-b"].map(|which| format!("{}{which}.invalid", self.name).parse().expect("it is a name"))
    }
}

impl Ground {
    /// Makes all of it.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn lay(
        place: Place,
        made: Arc<Made>,
        wire: Wire,
        administrator: PartyId,
    ) -> Result<Self, Error> {
        let [mail, other] = place.servers();
        let laying = Laying { place: &place, made: &made };
        let (mail, other) = (laying.gateway(mail).await?, laying.gateway(other).await?);
        let (ann, bob) = (place.user(0), place.user(1));
        let phone = laying.device(&mail.name, &ann).await?;
        let laptop = laying.device(&mail.name, &ann).await?;
        let stranger = laying.device(&mail.name, &bob).await?;
        let users = AtomicU32::new(2);
        let seen = Mutex::new(0);
        let ground =
            Self { made, wire, administrator, mail, other, phone, laptop, stranger, place, users, seen };
        // The first request of a pairing is recorded: none of those that follow is the first.
        for client in [&ground.phone, &ground.laptop, &ground.stranger] {
            client.client.current().await?;
        }
        for gateway in [&ground.mail, &ground.other] {
            gateway.server.sessions(&ground.phone.user).await?;
        }
        ground.changes().await?;
        Ok(ground)
    }

    /// The administrator.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.made.admin
    }

    /// A bearer token of the administrator.
    ///
    /// # Panics
    /// Never: an administrator signs.
    #[must_use]
    pub fn admin_token(&self) -> String {
        self.admin().transport().token().expect("an administrator signs").expose().to_owned()
    }

    /// A bearer token of this pairing, by the service's clock.
    #[must_use]
    pub fn token(&self, keys: &Keys) -> String {
        let now = self.admin().transport().now();
        token::sign(&keys.key, keys.pairing, keys.service, Some(keys.kek), now)
    }

    /// A user whom nobody has heard of.
    pub fn fresh_user(&self) -> UserName {
        self.place.user(self.users.fetch_add(1, Ordering::Relaxed))
    }

    /// Invites a device of a fresh user.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn invited(&self) -> Result<Invited, Error> {
        self.laying().invite(&self.mail.name, Some(&self.fresh_user()), Approval::None, None).await
    }

    /// The same, for so long.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn invited_for(&self, ttl_s: u32) -> Result<Invited, Error> {
        self.laying().invite(&self.mail.name, Some(&self.fresh_user()), Approval::None, Some(ttl_s)).await
    }

    /// A device that waits for the administrator's word, and where it is kept.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn waiting(&self) -> Result<(Paired, Keys), Error> {
        let user = self.fresh_user();
        let invited = self.laying().invite(&self.mail.name, Some(&user), Approval::Admin, None).await?;
        let (paired, store) = self.laying().pair(invited, Role::Client).await?;
        Ok((paired, Keys::of(&store)?))
    }

    /// Pairs a device of this user.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn device(&self, user: &UserName) -> Result<Device, Error> {
        let device = self.laying().device(&self.mail.name, user).await?;
        device.client.current().await?;
        Ok(device)
    }

    /// Opens a session for all devices of a user.
    ///
    /// # Errors
    /// What the service refuses.
    ///
    /// # Panics
    /// Never: what the drill can do is a list of names.
    pub async fn session(&self, user: &UserName) -> Result<SessionId, Error> {
        let capabilities = Capabilities::parse(&["A256GCM", "C20P"]).expect("they are names");
        let audience = Audience::User(user.clone());
        Ok(self.mail.server.issue(&audience, Some(SESSION_S), &capabilities).await?.session())
    }

    /// A client that makes its share, with this code.
    #[must_use]
    pub fn prover(&self, invited: &Invited, code: &PairingCode, role: Role) -> Prover {
        let link = &invited.link;
        let target = Target {
            public_url: link.public_url.clone(),
            invitation: invited.invitation,
            pin: link.proof.as_ref().map(|(_, pin)| *pin),
            role: Some(role),
        };
        Prover::begin(target, code, SigningKey::generate(&mut rng()), &mut rng())
    }

    /// What was recorded of the drill's own servers and parties since this was last asked, by the names of what was done.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn changes(&self) -> Result<Vec<&'static str>, Error> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut which) = (Vec::new(), Paging { page_size: Some(100), page_token: None });
        // Before the first time nothing but the newest record's number is of interest.
        let filter =
            AuditFilter { from: Some(if seen == 0 { u64::MAX } else { seen + 1 }), ..AuditFilter::default() };
        let servers = self.place.servers();
        loop {
            let page = self.admin().audit(&filter, &which).await?;
            let ours = page.items.iter().filter(|entry| {
                entry.server.as_ref().is_some_and(|server| servers.contains(server))
                    || self.parties().any(|party| entry.by == Some(party) || entry.pairing == Some(party))
            });
            found.extend(ours.map(|entry| entry.action.as_str()));
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = page.last;
            match page.next_page_token {
                Some(next) => which.page_token = Some(next),
                None => return Ok(found),
            }
        }
    }

    fn parties(&self) -> impl Iterator<Item = PartyId> {
        let gateways = [&self.mail, &self.other].map(|gateway| gateway.keys.pairing);
        let devices = [&self.phone, &self.laptop, &self.stranger].map(|device| device.keys.pairing);
        gateways.into_iter().chain(devices)
    }

    fn laying(&self) -> Laying<'_> {
        Laying { place: &self.place, made: &self.made }
    }
}

/// Makes what the drill stands on.
struct Laying<'a> {
    place: &'a Place,
    made: &'a Made,
}

impl Laying<'_> {
    async fn gateway(&self, name: ServerName) -> Result<Gateway, Error> {
        self.made.add_server(&name).await?;
        let invited = self.invite(&name, None, Approval::None, None).await?;
        let (_, store) = self.pair(invited, Role::Server).await?;
        let keys = Keys::of(&store)?;
        Ok(Gateway { name, server: Server::open(store, self.place.ambient.clone()).await?, keys })
    }

    async fn device(&self, server: &ServerName, user: &UserName) -> Result<Device, Error> {
        let invited = self.invite(server, Some(user), Approval::None, None).await?;
        let (_, store) = self.pair(invited, Role::Client).await?;
        let keys = Keys::of(&store)?;
        Ok(Device {
            user: user.clone(),
            client: Client::open(store, self.place.ambient.clone()).await?,
            keys,
        })
    }

    async fn invite(
        &self,
        server: &ServerName,
        user: Option<&UserName>,
        approval: Approval,
        ttl_s: Option<u32>,
    ) -> Result<Invited, Error> {
        let role = if user.is_some() { Role::Client } else { Role::Server };
        let (server, user) = (server.clone(), user.cloned());
        let ttl_s = ttl_s.or(Some(INVITATION_S));
        self.made.admin.invite(&Invite { role, server, user, ttl_s, approval: Some(approval) }).await
    }

    async fn pair(&self, invited: Invited, role: Role) -> Result<(Paired, Arc<dyn KeyStore>), Error> {
        let label = self.place.name.parse().expect("the drill's name is a label");
        let invitation = Invitation::from_link(invited.link, self.place.roots.clone(), Some(role), label)
            .expect("a link that was just shown carries its code");
        let store: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
        let paired = sidekey_client::pair(invitation, store.clone(), self.place.ambient.clone()).await?;
        Ok((paired, store))
    }
}

impl Place {
    fn user(&self, n: u32) -> UserName {
        format!("{}-{n}@{}.invalid", self.name, self.name).parse().expect("it is a name")
    }
}

impl Keys {
    fn of(store: &Arc<dyn KeyStore>) -> Result<Self, Error> {
        let profile = store.load()?.expect("it was paired");
        let (pairing, service, kek) = (profile.pairing, profile.service, Kek::of(&profile.root).id);
        Ok(Self { pairing, service, key: profile.signing_key, kek })
    }
}

/// The drill's randomness.
pub(super) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// A code, as good as any other that is not the right one.
pub(super) fn another_code(code: &PairingCode) -> PairingCode {
    let mut symbols = *code.expose();
    symbols[7] = if symbols[7] == b'0' { b'1' } else { b'0' };
    String::from_utf8_lossy(&symbols).parse().expect("both are symbols of the alphabet")
}

/// `POST /v1/pairings/{invitation}/{step}`.
pub(super) fn step(invitation: InvitationId, step: &str) -> String {
    format!("/v1/pairings/{invitation}/{step}")
}

/// What everything is called after that a drill makes.
pub(super) const PREFIX: &str = "drill-";
/// Longer than a drill takes.
const INVITATION_S: u32 = 600;
const SESSION_S: u32 = 1800;
