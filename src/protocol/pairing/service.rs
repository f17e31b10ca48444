//! The service's side: who is invited, who has begun, who has proved the code.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::boxes::{self, Unopened};
use super::exchange::{self, Subject};
use super::wire::{Begin, BeginAnswer, ClientBox, Finish, FinishAnswer, PairingState, ServiceBox};
use super::{
    ATTEMPTS, Approval, EPOCH_S, EXCHANGE_S, PairingCode, PartyLabel, PublicUrl, Reject, TTL_DEFAULT_S,
    TTL_RANGE_S,
};
use crate::crypto::spake2plus::{Ids, Keys, Share, Verifier};
use crate::crypto::{self, Context, Secret, SigningKey, VerifyingKey, labels};
use crate::encoding::{Bytes, Octets, base64url};
use crate::ids::{InvitationId, PartyId, Role, ServerName, ServiceId, Timestamp, UserName};
use crate::session::{self, SuiteList};

/// What an admin asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// What the new party shall be.
    pub role: Role,
    /// The enterprise mail server that it shall belong to.
    pub server: ServerName,
    /// The user that it shall belong to: a client's invitation names one, a server's does not.
    pub user: Option<UserName>,
    /// Seconds that the invitation stays open; [`TTL_DEFAULT_S`] when the admin does not say.
    pub ttl_s: Option<u32>,
    /// Whose word the pairing needs.
    pub approval: Approval,
}

/// An open invitation. Plain: its [`Verifier`] is kept beside it, sealed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Invited {
    /// Names it.
    pub invitation: InvitationId,
    /// What it makes of whoever accepts it.
    pub role: Role,
    /// The enterprise mail server that the new party will belong to.
    pub server: ServerName,
    /// The user that it will belong to.
    pub user: Option<UserName>,
    /// From here on it is over.
    pub expires: Timestamp,
    /// How many more `begin`s are answered.
    pub attempts_left: u8,
    /// Whose word the new party will need.
    pub approval: Approval,
}

impl Invited {
    /// Invites, and makes the code that is shown once.
    ///
    /// # Errors
    /// [`Reject::TtlOutOfRange`], [`Reject::UserMismatch`].
    pub fn invite(ask: Ask, now: Timestamp, rng: &mut impl CryptoRng) -> Result<(Self, PairingCode), Reject> {
        let ttl_s = ask.ttl_s.unwrap_or(TTL_DEFAULT_S);
        let approval = ask.approval.of(ask.role);
        if !(*TTL_RANGE_S.start()..=approval.ttl_max_s()).contains(&ttl_s) {
            return Err(Reject::TtlOutOfRange);
        }
        if (ask.role == Role::Client) != ask.user.is_some() {
            return Err(Reject::UserMismatch);
        }
        let invited = Self {
            invitation: InvitationId::random(rng),
            role: ask.role,
            server: ask.server,
            user: ask.user,
            expires: now.after_s(ttl_s),
            attempts_left: ATTEMPTS,
            approval,
        };
        Ok((invited, PairingCode::random(rng)))
    }

    /// The verifier of the code: all that the service keeps of it. 20 ms of one core and 19 MiB.
    #[must_use]
    pub fn verifier(&self, code: &PairingCode, public_url: &PublicUrl) -> Verifier {
        exchange::register(code, &self.invitation, public_url).verifier()
    }

    /// One attempt fewer, for the commit that spends it.
    ///
    /// # Errors
    /// [`Reject::AttemptsSpent`], [`Reject::InvitationExpired`].
    pub fn spend(&mut self, now: Timestamp) -> Result<(), Reject> {
        self.open(now)?;
        self.attempts_left -= 1;
        Ok(())
    }

    /// Step 1 of pairing, so far as it needs nothing secret: what is refused here has cost no attempt.
    ///
    /// # Errors
    /// [`Reject::AttemptsSpent`], [`Reject::BadKemKey`], [`Reject::BadShare`], [`Reject::InvitationExpired`].
    pub fn begin(&self, request: Begin, now: Timestamp, rng: &mut impl CryptoRng) -> Result<Attempt, Reject> {
        self.open(now)?;
        let share_p = Share::parse(&request.share_p.0).map_err(|_| Reject::BadShare)?;
        let (kem_ct, kem_ss) = crypto::encapsulate(&request.kem_ek.0, rng).map_err(|_| Reject::BadKemKey)?;
        Ok(Attempt { invited: self.clone(), request, share_p, kem_ct, kem_ss, began: now })
    }

    fn open(&self, now: Timestamp) -> Result<(), Reject> {
        if now >= self.expires {
            return Err(Reject::InvitationExpired);
        }
        if self.attempts_left == 0 { Err(Reject::AttemptsSpent) } else { Ok(()) }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { role: self.role, server: &self.server, user: self.user.as_ref() }
    }
}

/// A well-formed `begin`. **Spend an attempt durably before [`Attempt::answer`]**: from there on every outcome, a refusal
/// too, tells whether a guess was right, and requests that run side by side would guess for free.
#[derive(Debug)]
pub struct Attempt {
    invited: Invited,
    request: Begin,
    share_p: Share,
    kem_ct: Vec<u8>,
    kem_ss: Secret<32>,
    began: Timestamp,
}

impl Attempt {
    /// The rest of step 1.
    ///
    /// # Errors
    /// [`Reject::BadShare`] when the share was made to be `w0·M`.
    pub fn answer(
        self,
        verifier: &Verifier,
        public_url: &PublicUrl,
        service_key: &VerifyingKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(Begun, BeginAnswer), Reject> {
        let Self { invited, request, share_p, kem_ct, kem_ss, began } = self;
        let subject = invited.subject();
        let spki = service_key.spki();
        let context = exchange::context(&subject, &request.key_hash.0, &request.kem_ek.0, &kem_ct, spki);
        let prover = invited.invitation.to_string();
        let ids = Ids {
            context: context.as_ref(),
            prover: prover.as_bytes(),
            verifier: public_url.as_str().as_bytes(),
        };
        let (share_v, keys) = verifier.answer(&ids, &share_p, rng).map_err(|_| Reject::BadShare)?;
        let th = exchange::transcript_hash(&context, &invited.invitation, public_url, &share_p, &share_v);
        let mut state = [0; 16];
        rng.fill_bytes(&mut state);
        let answer = BeginAnswer {
            share_v: Bytes(share_v.as_bytes().to_vec()),
            // Published: it proves that the service knows the code's verifier, and has cost an attempt.
            confirm_v: Octets(*keys.confirm_v().expose()),
            kem_ct: Bytes(kem_ct),
            service_key: Bytes(spki.to_vec()),
            role: invited.role,
            server: invited.server.clone(),
            user: invited.user.clone(),
            state: base64url(&state),
        };
        let root = exchange::root(&th, keys.shared(), &kem_ss);
        let begun = Begun { invited, request, answer: answer.clone(), keys, root, th, began };
        Ok((begun, answer))
    }
}

/// An answered `begin`, waiting for its `finish`. Lives in memory for 60 seconds; a new one replaces it.
#[derive(Debug)]
pub struct Begun {
    invited: Invited,
    request: Begin,
    answer: BeginAnswer,
    keys: Keys,
    root: Secret<32>,
    th: [u8; 32],
    began: Timestamp,
}

impl Begun {
    /// The invitation that it belongs to, as it stood when it began.
    #[must_use]
    pub const fn invited(&self) -> &Invited {
        &self.invited
    }

    /// The stored answer, for an identical `begin` within its 60 seconds: it costs no attempt.
    #[must_use]
    pub fn repeat(&self, request: &Begin, now: Timestamp) -> Option<BeginAnswer> {
        (self.open(now).is_ok() && self.request == *request).then(|| self.answer.clone())
    }

    /// Whether `request` may finish this exchange. Look before taking it out of its map: a stranger who does not know
    /// `state` must not end somebody's exchange.
    ///
    /// # Errors
    /// [`Reject::ExchangeExpired`], [`Reject::InvitationExpired`], [`Reject::StateUnknown`].
    pub fn admits(&self, request: &Finish, now: Timestamp) -> Result<(), Reject> {
        let named = crypto::equal(self.answer.state.as_bytes(), request.state.as_bytes());
        named.map_err(|_| Reject::StateUnknown)?;
        self.open(now)
    }

    /// Whether its time is over, so that its memory can be had back.
    ///
    /// # Errors
    /// [`Reject::ExchangeExpired`], [`Reject::InvitationExpired`].
    pub fn open(&self, now: Timestamp) -> Result<(), Reject> {
        if now >= self.invited.expires {
            return Err(Reject::InvitationExpired);
        }
        if now >= self.began.after_s(EXCHANGE_S) { Err(Reject::ExchangeExpired) } else { Ok(()) }
    }

    /// Step 2 of pairing. A refusal ends the exchange.
    ///
    /// # Errors
    /// Those of [`Begun::admits`]; [`Reject::CodeMismatch`]; then [`Reject::BadBox`], [`Reject::MalformedBox`],
    /// [`Reject::KeyMismatch`], [`Reject::Unsigned`], [`Reject::BadLabel`], [`Reject::BadOffer`],
    /// [`Reject::LegacySuite`], [`Reject::NoCommonSuite`].
    pub fn finish(
        self,
        request: &Finish,
        grant: Grant<'_>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Confirmed, Reject> {
        let enrolment = self.enrolment(request, grant.suites, now)?;
        let not_after = now.after_s(EPOCH_S);
        let sealed = self.grant(&grant, not_after, rng);
        let finished = Finished { request: fingerprint(request), answer: FinishAnswer { sealed } };
        let Invited { invitation, role, server, user, approval, .. } = self.invited;
        Ok(Confirmed {
            invitation,
            pairing: grant.pairing,
            role,
            server,
            user,
            key: enrolment.key,
            label: enrolment.label,
            offer: enrolment.offer,
            pinned: enrolment.pinned,
            approval,
            root: self.root,
            th: self.th,
            not_after,
            finished,
        })
    }

    pub(super) fn enrolment(
        &self,
        request: &Finish,
        suites: &SuiteList,
        now: Timestamp,
    ) -> Result<Enrolment, Reject> {
        self.admits(request, now)?;
        self.keys.verify_p(&request.confirm_p.0).map_err(|_| Reject::CodeMismatch)?;
        let content = boxes::open(&self.root, labels::BOX_CLIENT, &self.th, &request.sealed);
        let content: ClientBox = content.map_err(|why| match why {
            Unopened::Altered => Reject::BadBox,
            Unopened::Malformed => Reject::MalformedBox,
        })?;
        Ok(Enrolment {
            key: self.enrolled(&content)?,
            label: content.label.parse().map_err(|_| Reject::BadLabel)?,
            offer: admitted(self.invited.role, &content.offer, suites)?,
            pinned: content.pinned,
        })
    }

    /// The client's key: the one that it committed to, and that it holds.
    fn enrolled(&self, content: &ClientBox) -> Result<VerifyingKey, Reject> {
        let committed = crypto::equal(&crypto::sha256(&content.key.0), &self.request.key_hash.0);
        committed.map_err(|_| Reject::KeyMismatch)?;
        let key = VerifyingKey::from_spki(&content.key.0).map_err(|_| Reject::KeyMismatch)?;
        let message: Context = boxes::signed(labels::BOX_CLIENT, &self.th);
        key.verify(message.as_ref(), &content.signature.0).map_err(|_| Reject::Unsigned)?;
        Ok(key)
    }

    fn grant(&self, grant: &Grant<'_>, not_after: Timestamp, rng: &mut impl CryptoRng) -> Bytes {
        let message = boxes::signed(labels::BOX_SERVICE, &self.th);
        let approval = self.invited.approval;
        let content = ServiceBox {
            pairing: grant.pairing,
            service: grant.service,
            state: if approval.is_needed() { PairingState::Confirmed } else { PairingState::Active },
            approval: Some(approval).filter(|approval| approval.is_needed()),
            policy: grant.policy.map(str::to_owned),
            epoch: 0,
            not_after,
            signature: Octets(grant.key.sign(message.as_ref())),
        };
        boxes::seal(&self.root, labels::BOX_SERVICE, &self.th, &content, rng)
    }
}

/// What a client shows of itself, checked.
#[derive(Debug)]
pub(super) struct Enrolment {
    key: VerifyingKey,
    label: PartyLabel,
    offer: SuiteList,
    pinned: bool,
}

fn admitted(role: Role, names: &[String], suites: &SuiteList) -> Result<SuiteList, Reject> {
    let offer = SuiteList::parse(names).map_err(|why| match why {
        session::Reject::SuiteLegacy => Reject::LegacySuite,
        _ => Reject::BadOffer,
    })?;
    match role {
        // A server's offer plays no part in any choice.
        Role::Server => Ok(offer),
        Role::Client if offer.suites().any(|suite| suites.contains(suite)) => Ok(offer),
        Role::Client => Err(Reject::NoCommonSuite),
    }
}

/// What the service gives a pairing that proves its code.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The new party's id, which the service draws.
    pub pairing: PartyId,
    /// The service's id.
    pub service: ServiceId,
    /// The service's signing key: the one whose public half was in the answer to `begin`.
    pub key: &'a SigningKey,
    /// The user's policy, a JWS: of a client's pairing, and only of one.
    pub policy: Option<&'a str>,
    /// The suites that the policy allows, of which a client must offer one; a server's pairing does not read them.
    pub suites: &'a SuiteList,
}

/// A pairing whose party has proved the code and shown its key: everything that the store needs for it.
#[derive(Debug)]
pub struct Confirmed {
    /// The invitation that it used up.
    pub invitation: InvitationId,
    /// The new party.
    pub pairing: PartyId,
    /// What it is.
    pub role: Role,
    /// The enterprise mail server that it belongs to.
    pub server: ServerName,
    /// The user that it belongs to.
    pub user: Option<UserName>,
    /// Its signing key.
    pub key: VerifyingKey,
    /// What it calls itself.
    pub label: PartyLabel,
    /// The suites that it can do.
    pub offer: SuiteList,
    /// Whether it compared the service's key with a pin.
    pub pinned: bool,
    /// Whose word it needs.
    pub approval: Approval,
    /// `root_0`.
    pub root: Secret<32>,
    /// Names the exchange; may be logged.
    pub th: [u8; 32],
    /// When `root_0` ends unless it is replaced.
    pub not_after: Timestamp,
    /// The answer, which stays with the pairing until its first use.
    pub finished: Finished,
}

/// The answer to a `finish`, for the same `finish` again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Finished {
    request: [u8; 32],
    /// What was answered.
    pub answer: FinishAnswer,
}

impl Finished {
    /// The same answer, for the same request.
    ///
    /// # Errors
    /// [`Reject::FinishDiffers`]: worth an event, since only the two sides know `state`.
    pub fn repeat(&self, request: &Finish) -> Result<FinishAnswer, Reject> {
        let same = crypto::equal(&self.request, &fingerprint(request));
        same.map(|()| self.answer.clone()).map_err(|_| Reject::FinishDiffers)
    }
}

fn fingerprint(request: &Finish) -> [u8; 32] {
    crypto::sha256(&serde_json::to_vec(request).expect("a finish is JSON of plain members"))
}
