//! The client's side: it checks the service before it shows anything of itself.

use rand_core::CryptoRng;

use super::boxes::{self, Unopened};
use super::exchange::{self, Subject};
use super::wire::{Begin, BeginAnswer, ClientBox, Finish, FinishAnswer, PairingState, ServiceBox};
use super::{Approval, Digits, PairingCode, PartyLabel, Pin, PublicUrl};
use crate::crypto::spake2plus::{self, Ids, Registration, Share};
use crate::crypto::{KemSecret, Secret, SigningKey, VerifyingKey, labels};
use crate::encoding::{Bytes, Octets};
use crate::ids::{InvitationId, PartyId, Role, ServerName, ServiceId, Timestamp, UserName};
use crate::session::SuiteList;

/// Why the client refuses the service. What the service refuses is [`super::Reject`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The service's box does not open.
    #[error("the service's box does not open: it is not from this exchange, or was altered")]
    BadBox,
    /// `kem_ct` is not 1088 octets.
    #[error("kem_ct is not an ML-KEM-768 ciphertext (1088 octets)")]
    BadKemCiphertext,
    /// `service_key` is not a key.
    #[error("service_key is not a P-256 key as SubjectPublicKeyInfo")]
    BadServiceKey,
    /// `share_v` is not one that may be used.
    #[error("share_v is not an uncompressed P-256 point other than the identity (65 octets, 04 first)")]
    BadShare,
    /// `confirm_v` is wrong.
    #[error("the service does not know this pairing code, or somebody between has altered the exchange")]
    CodeMismatch,
    /// The box opens, and holds something else than a service's box.
    #[error("the service's box holds something else than the members of a service's box")]
    MalformedBox,
    /// The service's key is not the one that the link names.
    #[error("this is not the service that the link names: its key does not match the pin")]
    PinMismatch,
    /// A client without policy, or a server with one.
    #[error("a client's pairing comes with a policy, a server's without: this one would downgrade it")]
    PolicyMismatch,
    /// The invitation is for another role.
    #[error("the invitation is for another role than this program has")]
    RoleMismatch,
    /// The service's signature does not verify.
    #[error("the signature in the service's box was not made by the service's key for this exchange")]
    Unsigned,
    /// A client's invitation without user, or a server's with one.
    #[error("the invitation of a client names its user, that of a server does not")]
    UserMismatch,
}

/// Where to pair, and as what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The service, as the link says it.
    pub public_url: PublicUrl,
    /// The invitation.
    pub invitation: InvitationId,
    /// Whom the link leads to, when it says so.
    pub pin: Option<Pin>,
    /// What this program is: an invitation for another role is refused. `None`: it becomes what the invitation names.
    pub role: Option<Role>,
}

/// A client that has made its share. The same [`Begin`] may be sent again when its answer is lost.
#[derive(Debug)]
pub struct Prover {
    target: Target,
    spake: spake2plus::Prover,
    kem: KemSecret,
    key: SigningKey,
    request: Begin,
}

impl Prover {
    /// Stretches the code (20 ms of one core and 19 MiB) and makes what `begin` carries. `key` is the new party's, made for
    /// this pairing.
    pub fn begin(target: Target, code: &PairingCode, key: SigningKey, rng: &mut impl CryptoRng) -> Self {
        let registration = exchange::register(code, &target.invitation, &target.public_url);
        Self::start(target, registration, key, rng)
    }

    pub(super) fn start(
        target: Target,
        registration: Registration,
        key: SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let spake = spake2plus::Prover::start(registration, rng);
        let kem = KemSecret::generate(rng);
        let request = Begin {
            share_p: Bytes(spake.share().as_bytes().to_vec()),
            kem_ek: Bytes(kem.encapsulation_key()),
            key_hash: Octets(key.verifying_key().fingerprint()),
        };
        Self { target, spake, kem, key, request }
    }

    /// What to send.
    #[must_use]
    pub const fn request(&self) -> &Begin {
        &self.request
    }

    /// Checks the service: its key against the pin, then that it knows the code and saw the same exchange.
    ///
    /// # Errors
    /// [`Refusal::RoleMismatch`], [`Refusal::UserMismatch`], [`Refusal::BadServiceKey`], [`Refusal::PinMismatch`],
    /// [`Refusal::BadShare`], [`Refusal::BadKemCiphertext`], [`Refusal::CodeMismatch`].
    pub fn check(self, answer: &BeginAnswer) -> Result<Checked, Refusal> {
        let agreed = self.agree(answer)?;
        Ok(Checked {
            target: self.target,
            role: answer.role,
            server: answer.server.clone(),
            user: answer.user.clone(),
            state: answer.state.clone(),
            key: self.key,
            agreed,
        })
    }

    pub(super) fn agree(&self, answer: &BeginAnswer) -> Result<Agreed, Refusal> {
        let Self { target, request, .. } = self;
        let service_key = expected(target, answer)?;
        let share_v = Share::parse(&answer.share_v.0).map_err(|_| Refusal::BadShare)?;
        let kem_ss = self.kem.decapsulate(&answer.kem_ct.0).map_err(|_| Refusal::BadKemCiphertext)?;
        let subject = Subject { role: answer.role, server: &answer.server, user: answer.user.as_ref() };
        let context = exchange::context(
            &subject,
            &request.key_hash.0,
            &request.kem_ek.0,
            &answer.kem_ct.0,
            service_key.spki(),
        );
        let prover = target.invitation.to_string();
        let ids = Ids {
            context: context.as_ref(),
            prover: prover.as_bytes(),
            verifier: target.public_url.as_str().as_bytes(),
        };
        let keys = self.spake.keys(&ids, &share_v).map_err(|_| Refusal::BadShare)?;
        keys.verify_v(&answer.confirm_v.0).map_err(|_| Refusal::CodeMismatch)?;
        let (url, share_p) = (&target.public_url, self.spake.share());
        let th = exchange::transcript_hash(&context, &target.invitation, url, share_p, &share_v);
        // Its confirmation is published in `finish`, now that the service has confirmed.
        let confirm_p = *keys.confirm_p().expose();
        Ok(Agreed { service_key, confirm_p, root: exchange::root(&th, keys.shared(), &kem_ss), th })
    }
}

/// The service's key, when the answer is for this program and from the service that the link names.
fn expected(target: &Target, answer: &BeginAnswer) -> Result<VerifyingKey, Refusal> {
    if target.role.is_some_and(|role| role != answer.role) {
        return Err(Refusal::RoleMismatch);
    }
    if (answer.role == Role::Client) != answer.user.is_some() {
        return Err(Refusal::UserMismatch);
    }
    let key = VerifyingKey::from_spki(&answer.service_key.0).map_err(|_| Refusal::BadServiceKey)?;
    match target.pin {
        Some(pin) if pin != Pin::of(&key) => Err(Refusal::PinMismatch),
        _ => Ok(key),
    }
}

/// What both sides hold once the service has confirmed.
#[derive(Debug)]
pub(super) struct Agreed {
    service_key: VerifyingKey,
    confirm_p: [u8; 32],
    root: Secret<32>,
    th: [u8; 32],
}

/// A client that knows its service: it may now show itself.
#[derive(Debug)]
pub struct Checked {
    target: Target,
    role: Role,
    server: ServerName,
    user: Option<UserName>,
    state: String,
    key: SigningKey,
    agreed: Agreed,
}

impl Checked {
    /// The enterprise mail server of the invitation, to be shown before going on.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// The user of the invitation, to be shown before going on.
    #[must_use]
    pub const fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// Makes what `finish` carries.
    pub fn finish(self, label: &PartyLabel, offer: &SuiteList, rng: &mut impl CryptoRng) -> Finishing {
        let message = boxes::signed(labels::BOX_CLIENT, &self.agreed.th);
        let content = ClientBox {
            key: Bytes(self.key.verifying_key().spki().to_vec()),
            label: label.as_str().to_owned(),
            offer: offer.names().map(str::to_owned).collect(),
            pinned: self.target.pin.is_some(),
            signature: Octets(self.key.sign(message.as_ref())),
        };
        let Agreed { root, th, confirm_p, .. } = &self.agreed;
        let sealed = boxes::seal(root, labels::BOX_CLIENT, th, &content, rng);
        let request = Finish { confirm_p: Octets(*confirm_p), state: self.state.clone(), sealed };
        Finishing { checked: self, request }
    }
}

/// A client that has shown itself. The same [`Finish`] may be sent again when its answer is lost.
#[derive(Debug)]
pub struct Finishing {
    checked: Checked,
    request: Finish,
}

impl Finishing {
    /// What to send.
    #[must_use]
    pub const fn request(&self) -> &Finish {
        &self.request
    }

    /// Opens what the service gives.
    ///
    /// # Errors
    /// [`Refusal::BadBox`], [`Refusal::MalformedBox`], [`Refusal::Unsigned`], [`Refusal::PolicyMismatch`].
    pub fn done(self, answer: &FinishAnswer) -> Result<Paired, Refusal> {
        let content = self.open(answer)?;
        let Checked { target, role, server, user, key, agreed, .. } = self.checked;
        Ok(Paired {
            digits: Digits::of(&agreed.th, &key.verifying_key()),
            approval: content.approval.unwrap_or_default(),
            pairing: content.pairing,
            service: content.service,
            service_key: agreed.service_key,
            public_url: target.public_url,
            role,
            server,
            user,
            key,
            pinned: target.pin.is_some(),
            root: agreed.root,
            th: agreed.th,
            epoch: content.epoch,
            not_after: content.not_after,
            policy: content.policy,
        })
    }

    pub(super) fn open(&self, answer: &FinishAnswer) -> Result<ServiceBox, Refusal> {
        let Agreed { service_key, root, th, .. } = &self.checked.agreed;
        let content = boxes::open(root, labels::BOX_SERVICE, th, &answer.sealed);
        let content: ServiceBox = content.map_err(|why| match why {
            Unopened::Altered => Refusal::BadBox,
            Unopened::Malformed => Refusal::MalformedBox,
        })?;
        let confirmed = content.state == PairingState::Confirmed;
        let waits = content.approval.is_some_and(Approval::is_needed);
        if content.epoch != 0 || confirmed != waits || waits != content.approval.is_some() {
            return Err(Refusal::MalformedBox);
        }
        let message = boxes::signed(labels::BOX_SERVICE, th);
        let signed = service_key.verify(message.as_ref(), &content.signature.0);
        signed.map_err(|_| Refusal::Unsigned)?;
        if (self.checked.role == Role::Client) != content.policy.is_some() {
            return Err(Refusal::PolicyMismatch);
        }
        Ok(content)
    }
}

/// Everything that a new party keeps.
#[derive(Debug)]
pub struct Paired {
    /// Its id.
    pub pairing: PartyId,
    /// The service's id: the audience of its tokens.
    pub service: ServiceId,
    /// The service's signing key: what it signs is checked with this one.
    pub service_key: VerifyingKey,
    /// Where the service is.
    pub public_url: PublicUrl,
    /// What it is.
    pub role: Role,
    /// The enterprise mail server that it belongs to.
    pub server: ServerName,
    /// The user that it belongs to.
    pub user: Option<UserName>,
    /// Its own signing key.
    pub key: SigningKey,
    /// Whether the service's key was compared with a pin.
    pub pinned: bool,
    /// Whose word it waits for.
    pub approval: Approval,
    /// What its user reads to whoever approves it.
    pub digits: Digits,
    /// `root_0`.
    pub root: Secret<32>,
    /// Names the exchange; may be logged.
    pub th: [u8; 32],
    /// The epoch of `root`: 0.
    pub epoch: u32,
    /// When `root` ends unless it is replaced.
    pub not_after: Timestamp,
    /// The user's policy, a JWS by the service's key that is still to be verified; a server has none.
    pub policy: Option<String>,
}
