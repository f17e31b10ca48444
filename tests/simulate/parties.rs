//! The parties: what each keeps, what it waits for, and what it makes of an answer. They speak the protocol from
//! `sidekey-protocol`, and crash: what they had not stored is gone.

use std::collections::BTreeMap;
use std::mem::discriminant;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use sidekey_protocol::crypto::{Secret, SigningKey, sha256};
use sidekey_protocol::ids::{CredentialId, PartyId, Role, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::pairing::rekey::{Epoch, Renewing};
use sidekey_protocol::pairing::{Digits, Finishing, Kek, Link, Paired, Prover, Target};
use sidekey_protocol::revocation::Seen;
use sidekey_protocol::session::envelope::{self, Expected, Opened};
use sidekey_protocol::session::wire::SessionKey;
use sidekey_protocol::session::{Audience, SuiteList};
use sidekey_protocol::token;

use crate::network::{Answer, Ask, Request};
use crate::serving::{ADMIN, SERVICE};

/// What a party stores: it outlives its crashes.
pub(crate) struct Kept {
    pub(crate) id: PartyId,
    pub(crate) key: SigningKey,
    /// None of the administrator's.
    pub(crate) place: Option<Place>,
    pub(crate) seen: Seen,
}

/// What a pairing is, and where.
pub(crate) struct Place {
    pub(crate) role: Role,
    pub(crate) server: ServerName,
    pub(crate) user: Option<UserName>,
    pub(crate) epoch: Epoch,
    /// Stored, and not used yet.
    pub(crate) next: Option<Epoch>,
}

/// What it waits for.
pub(crate) struct Call {
    pub(crate) request: Request,
    doing: Doing,
}

/// What it needs to understand the answer.
enum Doing {
    Asking,
    Beginning(Prover),
    Finishing(Finishing),
    Renewing(Renewing),
}

#[derive(Default)]
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) kept: Option<Kept>,
    /// What an administrator has handed to its user, until it is paired.
    pub(crate) link: Option<String>,
    pub(crate) calls: Vec<Call>,
    /// Each session's highest generation that it had the key of, and a hash of that key.
    pub(crate) keys: BTreeMap<SessionId, (u32, [u8; 32])>,
    /// What its device shows, where it is to be approved.
    pub(crate) digits: Option<Digits>,
    /// It was told that it is over.
    pub(crate) over: bool,
}

/// What an answer means to others.
pub(crate) enum Heard {
    Nothing,
    /// Not yet: to be asked again.
    Again,
    /// A proxy credential, and its secret.
    Credential(CredentialId, String),
    /// An invitation for somebody.
    Invited(String),
    /// It is paired now, by this answer to `finish`.
    Paired(Box<Paired>, [u8; 32]),
}

impl Party {
    pub(crate) fn administrator(key: SigningKey) -> Self {
        let kept = Kept { id: ADMIN, key, place: None, seen: Seen::default() };
        Self { name: "admin".into(), kept: Some(kept), ..Self::default() }
    }

    /// The same party in another world: with what it stores.
    pub(crate) fn copy(&self) -> Self {
        Self { name: self.name.clone(), kept: self.kept.as_ref().map(Kept::copy), ..Self::default() }
    }

    pub(crate) fn id(&self) -> Option<PartyId> {
        self.kept.as_ref().map(|kept| kept.id)
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.kept.as_ref()?.place.as_ref()
    }

    fn kek(&self) -> Option<Kek> {
        self.kept.as_ref()?.kek()
    }

    fn is_in(&self, epoch: u32) -> bool {
        self.place().is_some_and(|place| place.epoch.number == epoch && place.next.is_none())
    }

    /// An epoch that it has stored, and has not used yet.
    pub(crate) fn has_next(&self) -> bool {
        self.place().is_some_and(|place| place.next.is_some())
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        self.place().is_some_and(|place| place.role == role) && !self.over
    }

    /// What it had not stored is gone.
    pub(crate) fn crash(&mut self) {
        self.calls.clear();
        self.keys.clear();
    }

    /// A request, signed now.
    fn request(&self, ask: Ask, body: Bytes, now: Timestamp) -> Request {
        let kept = self.kept.as_ref();
        let kek = self.kek().map(|kek| kek.id);
        let token = kept.map(|kept| token::sign(&kept.key, kept.id, SERVICE, kek, now));
        let (by, head) = (self.id(), kept.and_then(|kept| kept.seen.highest()));
        Request { from: 0, call: 0, ask, by, token, kek, head, body }
    }

    /// Asks for something that needs nothing kept until its answer.
    pub(crate) fn asks(&mut self, ask: Ask, body: Option<serde_json::Value>, now: Timestamp) {
        let body = body.map_or(Bytes::new(), |body| body.to_string().into());
        let request = self.request(ask, body, now);
        self.calls.push(Call { request, doing: Doing::Asking });
    }

    /// Begins to pair with its link, or with a code that is not the link's.
    pub(crate) fn begins(&mut self, wrong: bool, now: Timestamp, rng: &mut ChaCha20Rng) {
        let Some(link) = &self.link else { return };
        let Link { public_url, invitation, proof } = link.parse().unwrap();
        let (code, pin) = proof.unwrap();
        let code = if wrong { "0000-0000".parse().unwrap() } else { code };
        let target = Target { public_url, invitation, pin: Some(pin), role: None };
        let prover = Prover::begin(target, &code, SigningKey::generate(rng), rng);
        let body = serde_json::to_vec(prover.request()).unwrap().into();
        let request = self.request(Ask::Begin(invitation), body, now);
        self.calls.push(Call { request, doing: Doing::Beginning(prover) });
    }

    /// Asks for its next epoch.
    pub(crate) fn renews(&mut self, now: Timestamp, rng: &mut ChaCha20Rng) {
        if self.has_next() {
            return self.asks(Ask::Own, None, now);
        }
        let Some(place) = self.place() else { return };
        let renewing = Renewing::begin(place.epoch.number, rng);
        let body = serde_json::to_vec(renewing.request()).unwrap().into();
        let request = self.request(Ask::Rekey, body, now);
        self.calls.push(Call { request, doing: Doing::Renewing(renewing) });
    }

    /// The request of a call once more, signed anew.
    pub(crate) fn again(&self, which: usize, now: Timestamp) -> Request {
        let Request { from, call, ask, body, .. } = self.calls[which].request.clone();
        Request { from, call, ..self.request(ask, body, now) }
    }

    /// Makes of an answer what it is to this party.
    pub(crate) fn hears(
        &mut self,
        request: &Request,
        answer: &Answer,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
    ) -> Heard {
        if let (Some(kept), Some(head)) = (&mut self.kept, answer.head) {
            kept.seen.show(head);
        }
        // A late answer to `begin` is none to `finish`.
        let asked = |call: &Call| (call.request.call, discriminant(&call.request.ask));
        let wanted = (request.call, discriminant(&request.ask));
        let Some(at) = self.calls.iter().position(|call| asked(call) == wanted) else {
            return Heard::Nothing;
        };
        let code = answer.code();
        self.counts_epochs(request, answer, &code);
        // Of an epoch that is the only one that it has: the service was put back to before it.
        let lost = code == "kek_unknown" && !self.has_next() && request.kek == self.kek().map(|kek| kek.id);
        self.over |= lost;
        if matches!(answer.status, 401 | 503) && code != "token_invalid" || code == "kek_unknown" {
            return Heard::Again;
        }
        let Call { doing, .. } = self.calls.remove(at);
        self.over |= match &*code {
            // A server is told so of the pairing that it names, an administrator of whatever he names.
            "revoked" => {
                let of_another = matches!(request.ask, Ask::Open { audience: Audience::Pairing(_), .. });
                !of_another && request.by != Some(ADMIN)
            }
            // What it asked in an epoch that it has left means nothing.
            "epoch_passed" => {
                matches!(&doing, Doing::Renewing(renewing) if self.is_in(renewing.request().from))
            }
            code => matches!(code, "token_invalid" | "lapsed" | "pairing_refused"),
        };
        match doing {
            Doing::Beginning(_) | Doing::Finishing(_) if !answer.is_ok() => {
                let ended = matches!(&*code, "invitation_over" | "not_found" | "key_retired");
                self.link = self.link.take().filter(|_| !ended);
                Heard::Nothing
            }
            _ if !answer.is_ok() => Heard::Nothing,
            Doing::Beginning(prover) => self.finishes(prover, request, answer, now, rng),
            Doing::Finishing(finishing) => match finishing.done(&answer.json()) {
                Ok(paired) => {
                    self.link = None;
                    Heard::Paired(Box::new(paired), answer.hash())
                }
                Err(refusal) => panic!("{}: a finish's answer is refused: {refusal}", self.name),
            },
            Doing::Renewing(renewing) => self.renewed(renewing, answer),
            Doing::Asking => self.told(request, answer),
        }
    }

    fn finishes(
        &mut self,
        prover: Prover,
        request: &Request,
        answer: &Answer,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
    ) -> Heard {
        let Ask::Begin(invitation) = request.ask else { unreachable!("it began") };
        // Refused where the code was a wrong one.
        let Ok(checked) = prover.check(&answer.json()) else { return Heard::Nothing };
        let finishing = checked.finish(&"a device".parse().unwrap(), &SuiteList::ours(), rng);
        let body = serde_json::to_vec(finishing.request()).unwrap().into();
        let request = Request {
            call: request.call,
            from: request.from,
            ..self.request(Ask::Finish(invitation), body, now)
        };
        self.calls.push(Call { request, doing: Doing::Finishing(finishing) });
        Heard::Again
    }

    fn renewed(&mut self, renewing: Renewing, answer: &Answer) -> Heard {
        let place = self.kept.as_mut().and_then(|kept| kept.place.as_mut()).unwrap();
        // Another one may have been stored meanwhile: a party has one at a time.
        if place.next.is_none() && renewing.request().from == place.epoch.number {
            let next = renewing.done(&place.epoch.root, &answer.json());
            place.next =
                Some(next.unwrap_or_else(|refusal| panic!("{}: a rekey's answer: {refusal}", self.name)));
        }
        Heard::Nothing
    }

    fn told(&mut self, request: &Request, answer: &Answer) -> Heard {
        match &request.ask {
            Ask::Invite { .. } => {
                let link: serde_json::Value = answer.json();
                Heard::Invited(link["link"].as_str().unwrap().to_owned())
            }
            Ask::IssueCredential { .. } => {
                let made: serde_json::Value = answer.json();
                let [id, secret] =
                    ["credential", "secret"].map(|name| made[name].as_str().unwrap().to_owned());
                Heard::Credential(id.parse().unwrap(), secret)
            }
            Ask::Open { .. } | Ask::Fetch(..) | Ask::Rotate(_) => {
                // What it cannot open any more it has erased the epoch of.
                if let Some(Opened { key, bindings }) = self.open(answer) {
                    let known = self.keys.entry(bindings.session).or_insert((0, [0; 32]));
                    if bindings.generation >= known.0 {
                        *known = (bindings.generation, sha256(key.expose()));
                    }
                }
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }

    /// The first answer under the next epoch is its use; it is of no use where the service does not have it.
    fn counts_epochs(&mut self, request: &Request, answer: &Answer, code: &str) {
        let Some(place) = self.kept.as_mut().and_then(|kept| kept.place.as_mut()) else { return };
        if request.kek.is_none() || place.next.as_ref().map(|next| Kek::of(&next.root).id) != request.kek {
            return;
        }
        let next = place.next.take();
        if answer.is_ok() {
            place.epoch = next.expect("it was just looked at");
        } else if code != "kek_unknown" {
            place.next = next;
        }
    }

    /// The key that an answer carries, by whichever epoch opens it.
    pub(crate) fn open(&self, answer: &Answer) -> Option<Opened> {
        let place = self.place()?;
        let wrapped: SessionKey = serde_json::from_slice(&answer.body).ok()?;
        let expected = Expected {
            service: SERVICE,
            server: &place.server,
            user: place.user.as_ref(),
            pairing: self.id()?,
            session: Some(wrapped.session),
            generation: Some(wrapped.generation),
            generation_seen: 0,
        };
        let roots = [Some(&place.epoch), place.next.as_ref()];
        let mut keks = roots.into_iter().flatten().map(|epoch| Kek::of(&epoch.root));
        keks.find_map(|kek| envelope::open(&kek, &wrapped.key, &expected, wrapped.not_before).ok())
    }
}

impl Kept {
    /// Of a party that has just been paired: stored before anything else is done.
    pub(crate) fn of(paired: Paired) -> Self {
        let Paired { pairing, role, server, user, key, root, epoch, not_after, .. } = paired;
        let epoch = Epoch { number: epoch, root, not_after };
        let place = Place { role, server, user, epoch, next: None };
        Self { id: pairing, key, place: Some(place), seen: Seen::default() }
    }

    fn copy(&self) -> Self {
        let key = SigningKey::from_pkcs8(&self.key.expose_pkcs8()).unwrap();
        let place = self.place.as_ref().map(|place| Place {
            role: place.role,
            server: place.server.clone(),
            user: place.user.clone(),
            epoch: Epoch {
                number: place.epoch.number,
                root: Secret::copy_of(place.epoch.root.expose()).unwrap(),
                not_after: place.epoch.not_after,
            },
            next: None,
        });
        Self { id: self.id, key, place, seen: self.seen }
    }

    /// Under which its keys are to be wrapped: the next epoch's from when that is stored.
    fn kek(&self) -> Option<Kek> {
        let place = self.place.as_ref()?;
        Some(Kek::of(&place.next.as_ref().unwrap_or(&place.epoch).root))
    }
}
