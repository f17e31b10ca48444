//! What a session key is bound to, and whether that follows from what its holder knows.

use std::io::Write as _;

use super::{Reject, push_base64url};
use crate::crypto::Secret;
use crate::ids::{PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName};
use crate::policy;
use crate::revocation::SealedHead;
use crate::session::{Capabilities, OFFER_OF_SEVERAL, Suite, SuiteList, choose_of_one};

/// Everything that a session key is bound to: the private members of the JWK.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bindings {
    /// `sk_service`: who issued it.
    pub service: ServiceId,
    /// `sk_server`: at which server it is used.
    pub server: ServerName,
    /// `sk_user`: whose session.
    pub user: UserName,
    /// `sk_pairing`: for whom it is wrapped.
    pub pairing: PartyId,
    /// `sk_session`: which session.
    pub session: SessionId,
    /// `sk_generation`: which of its keys.
    pub generation: u32,
    /// `sk_suite`: what the object keys are for.
    pub suite: Suite,
    /// `sk_nbf`: when this generation began.
    pub not_before: Timestamp,
    /// `sk_exp`: when the session ends.
    pub not_after: Timestamp,
    /// `sk_policy`: hash of the policy that it was opened under.
    pub policy: [u8; 32],
    /// `sk_caps`: what the server said it can do.
    pub capabilities: Capabilities,
    /// `sk_offer`: hash of the one client's offer, or zeros.
    pub offer: [u8; 32],
    /// `sk_head`: the revocations until then.
    pub head: SealedHead,
}

/// What the holder of a session key knows besides.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The policy that it holds.
    pub policy: &'a policy::Held,
    /// A client's own offer; a server's plays no part.
    pub offer: Option<&'a SuiteList>,
    /// What the server named when it opened the session; a client learns it from the envelope.
    pub capabilities: Option<&'a Capabilities>,
}

impl Bindings {
    /// Checks that nobody was shown another list: policy, capabilities, offer, and a suite that follows from them.
    ///
    /// # Errors
    /// [`Reject::PolicyForeign`] (fetch the policy, then try again), [`Reject::CapabilitiesForeign`],
    /// [`Reject::OfferForeign`], [`Reject::SuiteDowngraded`].
    pub fn agree(&self, known: &Known<'_>) -> Result<(), Reject> {
        if self.policy != known.policy.hash {
            return Err(Reject::PolicyForeign);
        }
        if known.capabilities.is_some_and(|capabilities| *capabilities != self.capabilities) {
            return Err(Reject::CapabilitiesForeign);
        }
        follows(self.suite, &self.capabilities, &self.offer, known)
    }

    /// The JWK. Written by hand into one buffer that never grows, so that encrypting it in place leaves no copy of the
    /// key behind.
    pub(super) fn payload(&self, key: &Secret<32>) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.size_max());
        json.extend_from_slice(br#"{"kty":"oct","k":""#);
        push_base64url(&mut json, key.expose());
        json.extend_from_slice(br#"","sk_service":""#);
        push_hex(&mut json, self.service.as_bytes());
        json.extend_from_slice(br#"","sk_server":""#);
        push_escaped(&mut json, self.server.as_str());
        json.extend_from_slice(br#"","sk_user":""#);
        push_escaped(&mut json, self.user.as_str());
        json.extend_from_slice(br#"","sk_pairing":""#);
        push_hex(&mut json, self.pairing.as_bytes());
        json.extend_from_slice(br#"","sk_session":""#);
        push_hex(&mut json, self.session.as_bytes());
        write!(
            json,
            r#"","sk_generation":{},"sk_suite":"{}","sk_nbf":{},"sk_exp":{},"sk_policy":""#,
            self.generation, self.suite, self.not_before.0, self.not_after.0
        )
        .expect("a Vec takes every write");
        push_base64url(&mut json, &self.policy);
        json.extend_from_slice(br#"","sk_caps":["#);
        for (i, capability) in self.capabilities.iter().enumerate() {
            json.extend_from_slice(if i == 0 { br#"""# } else { br#",""# });
            push_escaped(&mut json, capability);
            json.push(b'"');
        }
        json.extend_from_slice(br#"],"sk_offer":""#);
        push_base64url(&mut json, &self.offer);
        json.extend_from_slice(br#"","sk_head":""#);
        push_base64url(&mut json, self.head.as_bytes());
        json.extend_from_slice(br#""}"#);
        json
    }

    /// 544 octets of members, keys, ids and the longest numbers; names and capabilities with every character escaped.
    pub(super) fn size_max(&self) -> usize {
        let capabilities: usize = self.capabilities.iter().map(|text| 2 * text.len() + 3).sum();
        544 + 2 * (self.server.as_str().len() + self.user.as_str().len()) + capabilities
    }
}

/// Whether `suite` is what policy, capabilities and offer lead to; `bound` is the hash of the offer that it was chosen from.
pub(super) fn follows(
    suite: Suite,
    capabilities: &Capabilities,
    bound: &[u8; 32],
    known: &Known<'_>,
) -> Result<(), Reject> {
    let allowed = &known.policy.policy.suites;
    let follows = match known.offer {
        _ if !allowed.contains(suite) || !capabilities.contains(suite) => false,
        None => true,
        // Of several: what the others offered is not known here, so only our own offer can be held against it.
        Some(offer) if *bound == OFFER_OF_SEVERAL => offer.contains(suite),
        Some(offer) if *bound == offer.offer_hash() => {
            choose_of_one(offer, allowed, capabilities).is_ok_and(|choice| choice.suite == suite)
        }
        Some(_) => return Err(Reject::OfferForeign),
    };
    if follows { Ok(()) } else { Err(Reject::SuiteDowngraded) }
}

fn push_hex(out: &mut Vec<u8>, id: &[u8; 16]) {
    let start = out.len();
    out.resize(start + 32, 0);
    base16ct::lower::encode(id, &mut out[start..]).expect("the room is exactly the encoded length");
}

/// JSON's escapes of a text without control characters.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for octet in text.bytes() {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_content_fits_the_buffer_without_growing() {
        let quotes = |count: usize| "\"".repeat(count);
        let capabilities: Vec<String> = (0..64).map(|i| format!("{}{i:02}", quotes(62))).collect();
        let bindings = Bindings {
            service: ServiceId::from_bytes([255; 16]),
            server: quotes(255).parse().unwrap(),
            user: quotes(255).parse().unwrap(),
            pairing: PartyId::from_bytes([255; 16]),
            session: SessionId::from_bytes([255; 16]),
            generation: u32::MAX,
            suite: Suite::A256gcm,
            not_before: Timestamp(u32::MAX),
            not_after: Timestamp(u32::MAX),
            policy: [255; 32],
            capabilities: Capabilities::parse(&capabilities).unwrap(),
            offer: [255; 32],
            head: SealedHead::from_bytes([255; 32]),
        };
        let key = Secret::fill_with(|key| *key = [255; 32]);
        let payload = bindings.payload(&key);
        assert!(payload.len() <= bindings.size_max(), "{} > {}", payload.len(), bindings.size_max());
        assert!(payload.len() > bindings.size_max() - 200, "the bound is not far off");
    }
}
