//! Pairing: from an invitation to a profile in a key store.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServerName, UserName};
use sidekey_protocol::keys::ServiceKeys;
use sidekey_protocol::pairing::wire::{BeginAnswer, FinishAnswer};
use sidekey_protocol::pairing::{
    self, Approval, Checked, Digits, Link, PairingCode, PartyLabel, Pin, Prover, PublicUrl, Target,
};
use sidekey_protocol::policy::{self, Scope};
use sidekey_protocol::revocation::wire::{Revoke, RevokeAnswer};
use sidekey_protocol::revocation::{Seen, Target as Revoked};
use sidekey_protocol::session::SuiteList;

use crate::ambient::Ambient;
use crate::approval::KeptWaiting;
use crate::blocking;
use crate::error::{Downgrade, Error, Usage};
use crate::keystore::KeyStore;
use crate::profile::{KeptPolicy, Profile};
use crate::session::{Client, Server};
use crate::transport::{Identity, Roots, Transport};

/// What a person was handed, and what this device says of itself.
#[derive(Debug)]
pub struct Invitation {
    /// The service, as the link names it.
    pub url: PublicUrl,
    /// Other addresses of the same service, for later: pairing itself goes to the one that the link names.
    pub other_urls: Vec<PublicUrl>,
    /// Which invitation.
    pub id: InvitationId,
    /// The pairing code: a person's handing over, never a message's.
    pub code: PairingCode,
    /// Names the service's key, when the code came with it (by link or QR code).
    pub pin: Option<Pin>,
    /// Whether the code was handed over: in person, or on a screen of the enterprise's. A code that came in any message
    /// was not. It counts where there is no pin: then nothing but the code and the digits tells which service answers, and
    /// whoever has read the code may be that service.
    pub handed_over: bool,
    /// Whose certificates count at the service.
    pub roots: Roots,
    /// What this program is: an invitation for the other role is refused. `None`: it becomes what the invitation names.
    pub role: Option<Role>,
    /// What this device calls itself, for the people who list devices.
    pub label: PartyLabel,
}

impl Invitation {
    /// From a link or QR code that carries code and pin; `None` when it carries neither, and the code is to be typed.
    #[must_use]
    pub fn from_link(link: Link, roots: Roots, role: Option<Role>, label: PartyLabel) -> Option<Self> {
        let (code, pin) = link.proof?;
        let url = link.public_url;
        Some(Self {
            url,
            other_urls: Vec::new(),
            id: link.invitation,
            code,
            pin: Some(pin),
            handed_over: false,
            roots,
            role,
            label,
        })
    }
}

/// What was paired.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paired {
    /// The new pairing's id.
    pub pairing: PartyId,
    /// What it is for.
    pub role: Role,
    /// The mail server that it belongs to.
    pub server: ServerName,
    /// The user that it belongs to; a server's pairing has none.
    pub user: Option<UserName>,
    /// Whether the service's key was compared with a pin.
    pub pinned: bool,
    /// Whose word it waits for before it may do anything: then open a [`Confirmed`](crate::Confirmed) on the store.
    pub approval: Approval,
    /// What its user reads to whoever approves it.
    pub digits: Digits,
}

/// Pairs this device and keeps the profile in `store`, which must be empty. Then open a
/// [`Client`](crate::Client) or a [`Server`](crate::Server) on it; where it is to be approved, a
/// [`Confirmed`](crate::Confirmed) first.
///
/// A lost answer is asked for again, with the same body: the service repeats it. When every repetition of the second
/// step is lost too, the invitation may be used up; ask for another.
///
/// # Errors
/// [`Error::PairAgain`]: the invitation is unknown, used, spent, expired or cancelled. [`Error::Refused`] with
/// `code_mismatch`: most likely mistyped; of five attempts one is spent. [`Error::Tampered`]: not the service that the
/// link names, or somebody altered the exchange. [`Error::Downgrade`]: nobody is to approve this device, and nothing tells
/// that the service is the enterprise's; the pairing was taken back. [`Error::Usage`]: the store is occupied.
pub async fn pair(
    invitation: Invitation,
    store: Arc<dyn KeyStore>,
    ambient: Ambient,
) -> Result<Paired, Error> {
    refuse_occupied(&store).await?;
    let invitation = Arc::new(invitation);
    let transport = Transport::new(&invitation.url, &invitation.roots, ambient.clone())?;
    let offer = SuiteList::ours();
    let checked = begin(&transport, &invitation).await?;
    let finishing = ambient.with_rng(|mut rng| checked.finish(&invitation.label, &offer, &mut rng));
    let finished: FinishAnswer = step(&transport, invitation.id, "finish", finishing.request()).await?;
    let done = finishing.done(&finished)?;
    let (approval, digits) = (done.approval, done.digits);
    let profile = profile(done, &invitation, offer)?;
    if !(profile.pinned || invitation.handed_over || approval.is_needed()) {
        take_back(&transport, profile).await;
        return Err(Error::Downgrade(Downgrade::Unvouched));
    }

    let paired = Paired {
        pairing: profile.pairing,
        role: profile.role,
        server: profile.server.clone(),
        user: profile.user.clone(),
        pinned: profile.pinned,
        approval,
        digits,
    };
    blocking(move || store.save(&profile)).await?;
    tracing::info!(pairing = %paired.pairing, role = %paired.role, "paired");
    Ok(paired)
}

impl Client {
    /// Pairs this device, and is ready: [`pair`], then [`Client::open`].
    ///
    /// # Errors
    /// As [`pair`]; [`Error::Refused`] where the invitation is a server's.
    pub async fn pair(
        invitation: Invitation,
        store: Arc<dyn KeyStore>,
        ambient: Ambient,
    ) -> Result<Self, Error> {
        let invitation = Invitation { role: Some(Role::Client), ..invitation };
        pair(invitation, Arc::clone(&store), ambient.clone()).await?;
        Self::open(store, ambient).await
    }
}

impl Server {
    /// Pairs this machine, and is ready: [`pair`], then [`Server::open`].
    ///
    /// # Errors
    /// As [`pair`]; [`Error::Refused`] where the invitation is a client's.
    pub async fn pair(
        invitation: Invitation,
        store: Arc<dyn KeyStore>,
        ambient: Ambient,
    ) -> Result<Self, Error> {
        let invitation = Invitation { role: Some(Role::Server), ..invitation };
        pair(invitation, Arc::clone(&store), ambient.clone()).await?;
        Self::open(store, ambient).await
    }
}

/// The first step, and our own check of what the service answers.
async fn begin(transport: &Transport, invitation: &Arc<Invitation>) -> Result<Checked, Error> {
    let (invitation, ambient) = (Arc::clone(invitation), transport.ambient().clone());
    let id = invitation.id;
    // The code is stretched: 20 ms of a core.
    let prover = blocking(move || {
        let Invitation { url, pin, code, role, .. } = &*invitation;
        let target = Target { public_url: url.clone(), invitation: id, pin: *pin, role: *role };
        ambient.with_rng(|mut rng| {
            let key = SigningKey::generate(&mut rng);
            Prover::begin(target, code, key, &mut rng)
        })
    })
    .await;
    let answer: BeginAnswer = step(transport, id, "begin", prover.request()).await?;
    Ok(prover.check(&answer)?)
}

/// Whoever pairs again erases first: overwriting would leave a pairing that nobody holds, and that nobody revokes.
async fn refuse_occupied(store: &Arc<dyn KeyStore>) -> Result<(), Error> {
    let store = Arc::clone(store);
    match blocking(move || store.load()).await? {
        None => Ok(()),
        Some(_) => Err(Usage::Occupied.into()),
    }
}

async fn step<A: serde::de::DeserializeOwned>(
    transport: &Transport,
    id: InvitationId,
    step: &str,
    body: &impl serde::Serialize,
) -> Result<A, Error> {
    let path = format!("/v1/pairings/{id}/{step}");
    let call = transport.call(Method::POST, path).json(body).repeatable().deadline(STEP_DEADLINE);
    call.send().await.map_err(|error| match error {
        // No such invitation, or it was used.
        Error::Refused { code, detail } if code == "not_found" => Error::PairAgain { code, detail },
        error => error,
    })
}

/// Revokes what was just paired and is not kept. A service that is not the enterprise's need not hear it, and the
/// enterprise's shows the pairing to its administrator where it did not.
async fn take_back(transport: &Transport, profile: Profile) {
    let Profile { pairing, service, signing_key: key, .. } = profile;
    let request = Revoke {
        target: Revoked::Pairing { pairing },
        reason: "its code was sent, and nobody was to approve it".parse().expect("a reason"),
    };
    let signed = transport.signed(Identity { party: pairing, service, key, kek: None });
    let call = signed.call(Method::POST, "/v1/revocations").json(&request).repeatable();
    if let Err(error) = call.send_optional::<RevokeAnswer>().await {
        tracing::warn!(%pairing, %error, "a pairing that is not kept could not be revoked");
    }
}

/// What is kept, once the policy that came with it holds.
fn profile(paired: pairing::Paired, invitation: &Invitation, offer: SuiteList) -> Result<Profile, Error> {
    let policy = match (&paired.policy, &paired.user) {
        (Some(jws), Some(user)) => {
            let scope = Scope { service: paired.service, server: &paired.server, user };
            let held = policy::verify(jws, &paired.service_key, &scope, None)?;
            held.policy.supported_by(&offer)?;
            Some(KeptPolicy { jws: jws.clone(), seen: held.seen() })
        }
        _ => None,
    };
    let waiting = paired.approval.is_needed().then_some(KeptWaiting {
        digits: paired.digits,
        approval: paired.approval,
        matched: paired.pinned,
    });
    Ok(Profile {
        url: paired.public_url,
        other_urls: invitation.other_urls.clone(),
        roots: invitation.roots.clone(),
        service: paired.service,
        service_keys: ServiceKeys::new(paired.service_key),
        pairing: paired.pairing,
        role: paired.role,
        server: paired.server,
        user: paired.user,
        label: invitation.label.as_str().to_owned(),
        pinned: paired.pinned,
        signing_key: paired.key,
        root: paired.root,
        epoch: paired.epoch,
        not_after: paired.not_after,
        next: None,
        offer,
        policy,
        waiting,
        head: Seen::default(),
        revocations: Vec::new(),
        capabilities: None,
    })
}

/// Within the 60 s that the service waits for the second step.
const STEP_DEADLINE: Duration = Duration::from_secs(25);
