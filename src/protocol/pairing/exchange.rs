//! What both sides compute alike (proto/pairing/spec.md sections 2 and 4).

use super::{PairingCode, PublicUrl};
use crate::crypto::spake2plus::{Registration, Share};
use crate::crypto::{self, Context, Secret, labels};
use crate::ids::{InvitationId, Role, ServerName, UserName};

/// Whom a pairing is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) role: Role,
    pub(super) server: &'a ServerName,
    pub(super) user: Option<&'a UserName>,
}

/// SPAKE2+'s Context: nothing that it names can be swapped without the confirmations failing.
pub(super) fn context(
    subject: &Subject<'_>,
    key_hash: &[u8; 32],
    kem_ek: &[u8],
    kem_ct: &[u8],
    service_key: &[u8],
) -> Context {
    let user = subject.user.map_or("", UserName::as_str);
    let fields: [&[u8]; 7] = [
        subject.role.as_str().as_bytes(),
        subject.server.as_str().as_bytes(),
        user.as_bytes(),
        key_hash,
        kem_ek,
        kem_ct,
        service_key,
    ];
    Context::of(labels::PAIRING, &fields)
}

/// `th`: names the exchange. Public.
pub(super) fn transcript_hash(
    context: &Context,
    invitation: &InvitationId,
    public_url: &PublicUrl,
    share_p: &Share,
    share_v: &Share,
) -> [u8; 32] {
    let fields: [&[u8]; 5] = [
        context.as_ref(),
        invitation.as_bytes(),
        public_url.as_str().as_bytes(),
        share_p.as_bytes(),
        share_v.as_bytes(),
    ];
    crypto::hash(labels::TRANSCRIPT, &fields)
}

/// `root_0 = Extract(th, K_shared ‖ kem_ss)`: holds while either half does.
pub(super) fn root(th: &[u8; 32], shared: &Secret<32>, kem_ss: &Secret<32>) -> Secret<32> {
    crypto::extract(th, &[shared.expose(), kem_ss.expose()])
}

/// The code, stretched for this invitation of this service. 20 ms: once on each side.
pub(super) fn register(
    code: &PairingCode,
    invitation: &InvitationId,
    public_url: &PublicUrl,
) -> Registration {
    let salt = crypto::hash(labels::CODE, &[invitation.as_bytes()]);
    let (prover, verifier) = (invitation.to_string(), public_url.as_str());
    Registration::stretch(code.expose(), prover.as_bytes(), verifier.as_bytes(), &salt)
}
