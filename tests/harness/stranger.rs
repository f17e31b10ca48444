//! A pairing client written from the contract (proto/pairing/spec.md), which says what a test likes instead of what it
//! should.

use http::Method;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use serde::Serialize;
use sidekey_protocol::crypto::spake2plus::{Ids, Prover, Registration, Share};
use sidekey_protocol::crypto::{self, Aead, Context, KemSecret, Secret, SigningKey, labels};
use sidekey_protocol::encoding::{Bytes, Octets};
use sidekey_protocol::ids::{InvitationId, PartyId, UserName};
use sidekey_protocol::pairing::wire::{Begin, BeginAnswer, ClientBox, Finish};
use sidekey_protocol::pairing::{Digits, Kek, PairingCode, PublicUrl};
use sidekey_protocol::token;

use crate::raw::{Answer, Asking};
use crate::system::System;

/// The code, stretched as both sides do.
#[must_use]
pub fn stretch(code: &PairingCode, invitation: InvitationId, url: &PublicUrl) -> Registration {
    let salt = crypto::hash(labels::CODE, &[invitation.as_bytes()]);
    Registration::stretch(code.expose(), invitation.to_string().as_bytes(), url.as_str().as_bytes(), &salt)
}

/// Somebody who knows, or guesses, a code.
#[derive(Debug)]
pub struct Stranger {
    invitation: InvitationId,
    url: PublicUrl,
    prover: Prover,
    kem: KemSecret,
    key: SigningKey,
    rng: ChaCha20Rng,
    /// What `begin` carries.
    pub begin: Begin,
}

impl Stranger {
    /// With this code.
    #[must_use]
    pub fn with(system: &System, invitation: InvitationId, code: &PairingCode) -> Self {
        let mut rng = system.rng();
        let prover = Prover::start(stretch(code, invitation, &system.url), &mut rng);
        let kem = KemSecret::generate(&mut rng);
        let key = SigningKey::generate(&mut rng);
        let begin = Begin {
            share_p: Bytes(prover.share().as_bytes().to_vec()),
            kem_ek: Bytes(kem.encapsulation_key()),
            key_hash: Octets(key.verifying_key().fingerprint()),
        };
        Self { invitation, url: system.url.clone(), prover, kem, key, rng, begin }
    }

    /// Believes the answer, whatever it says.
    ///
    /// # Panics
    /// When it is not even well-formed.
    #[must_use]
    pub fn hears(self, answer: &BeginAnswer) -> Begun {
        let share_v = Share::parse(&answer.share_v.0).expect("the service's share is a point");
        let kem_ss = self.kem.decapsulate(&answer.kem_ct.0).expect("the ciphertext is one");
        let user = answer.user.as_ref().map_or("", UserName::as_str);
        let context = Context::of(
            labels::PAIRING,
            &[
                answer.role.as_str().as_bytes(),
                answer.server.as_str().as_bytes(),
                user.as_bytes(),
                &self.begin.key_hash.0,
                &self.begin.kem_ek.0,
                &answer.kem_ct.0,
                &answer.service_key.0,
            ],
        );
        let (prover, verifier) = (self.invitation.to_string(), self.url.as_str().as_bytes());
        let ids = Ids { context: context.as_ref(), prover: prover.as_bytes(), verifier };
        let keys = self.prover.keys(&ids, &share_v).expect("the service's share may be used");
        let (share_p, share_v) = (self.prover.share().as_bytes(), share_v.as_bytes());
        let fields: [&[u8]; 5] = [context.as_ref(), self.invitation.as_bytes(), verifier, share_p, share_v];
        let th = crypto::hash(labels::TRANSCRIPT, &fields);
        Begun {
            right: keys.verify_v(&answer.confirm_v.0).is_ok(),
            confirm_p: *keys.confirm_p().expose(),
            root: crypto::extract(&th, &[keys.shared().expose(), kem_ss.expose()]),
            state: answer.state.clone(),
            th,
            key: self.key,
            rng: self.rng,
        }
    }
}

/// One whose `begin` was answered.
#[derive(Debug)]
pub struct Begun {
    /// Whether the code was right, as far as the service's confirmation tells.
    pub right: bool,
    /// What `finish` confirms with.
    pub confirm_p: [u8; 32],
    /// `root_0`, when the code was right.
    pub root: Secret<32>,
    /// Names the exchange.
    pub state: String,
    th: [u8; 32],
    key: SigningKey,
    rng: ChaCha20Rng,
}

impl Begun {
    /// What an honest client says of itself.
    #[must_use]
    pub fn content(&self) -> ClientBox {
        ClientBox {
            key: Bytes(self.key.verifying_key().spki().to_vec()),
            label: "a device".to_owned(),
            offer: vec!["A256GCM".to_owned(), "C20P".to_owned()],
            pinned: false,
            signature: self.sign(&self.key),
        }
    }

    /// What this client would show its user.
    #[must_use]
    pub fn digits(&self) -> Digits {
        Digits::of(&self.th, &self.key.verifying_key())
    }

    /// A signature by `key` over this exchange.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Octets<64> {
        Octets(key.sign(Context::of(labels::BOX_CLIENT, &[&self.th]).as_ref()))
    }

    /// A `finish` whose box holds `content`, whatever that is.
    ///
    /// # Panics
    /// When `content` is not representable as JSON.
    pub fn finish(&mut self, content: &impl Serialize) -> Finish {
        let mut nonce = [0; 12];
        self.rng.fill_bytes(&mut nonce);
        let mut text = serde_json::to_vec(content).expect("it is representable as JSON");
        let key = Aead::aes_256_gcm(&crypto::derive(&self.root, labels::BOX_CLIENT, &[]));
        let tag = key.seal(nonce, &self.th, &mut text);
        let sealed = Bytes([&nonce[..], &text, &tag].concat());
        Finish { confirm_p: Octets(self.confirm_p), state: self.state.clone(), sealed }
    }

    /// A `finish` as it should be.
    pub fn honest_finish(&mut self) -> Finish {
        self.finish(&self.content())
    }
}

/// The two steps, by hand.
impl System {
    /// Sends a `begin`, whatever it says.
    pub fn begin(&self, invitation: InvitationId, body: &impl Serialize) -> Asking {
        self.ask(Method::POST, &format!("/v1/pairings/{invitation}/begin")).json(body)
    }

    /// Sends a `finish`, whatever it says.
    pub fn finish(&self, invitation: InvitationId, body: &impl Serialize) -> Asking {
        self.ask(Method::POST, &format!("/v1/pairings/{invitation}/finish")).json(body)
    }

    /// A `begin` by somebody with this code, answered.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn begun(&self, invitation: InvitationId, code: &PairingCode) -> Begun {
        let stranger = Stranger::with(self, invitation, code);
        let answer = self.begin(invitation, &stranger.begin).send().await;
        stranger.hears(&begin_answer(&answer))
    }
}

/// The answer to a `begin`.
///
/// # Panics
/// When it is another one.
#[must_use]
#[track_caller]
pub fn begin_answer(answer: &Answer) -> BeginAnswer {
    serde_json::from_slice(&answer.is(200).body).expect("it is a begin's answer")
}

impl Begun {
    /// A bearer token of the pairing that came of this.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn token(&self, system: &System, pairing: PartyId) -> String {
        let service = system.admin_credential().service;
        token::sign(&self.key, pairing, service, Some(Kek::of(&self.root).id), system.clock.now())
    }
}
