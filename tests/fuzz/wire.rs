//! Messages, and the words in them: what is read is written so that it is read as the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sidekey_protocol::ids::{
    CredentialId, InvitationId, PartyId, ServerName, ServiceId, SessionId, UserName,
};
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::{audit, delivery, keys, pairing, policy, revocation, session};

/// Every message, in the octets of one.
pub fn messages(octets: &[u8]) {
    macro_rules! each {
        ($($module:path => $($name:ident)+;)+) => {$($({
            use $module as module;
            written_again::<module::$name>(octets);
        })+)+};
    }
    each! {
        audit::proof => Proof ProofEntry ProofPart ProofQuery ProofRecord;
        audit::wire => AuditPage AuditQuery AuditRecord CheckpointKept CheckpointsQuery Entry Prune Pruned;
        delivery::wire => CarrierAddress CarrierSeen Carriers DeliveriesQuery DeliverySeen SetAddress;
        keys::wire => KeysAnswer Rotate RotateQuery Rotated ServiceKey;
        pairing::credential::wire => Credential CredentialIssued CredentialVerified CredentialsQuery
            IssueCredential VerifyCredential WithdrawQuery;
        pairing::registry => Approve CreateInvitation CreateServer Invitation InvitationCreated InvitationsQuery Pairing
            PairingsQuery Refuse Reissue Server ServerCreated ServersQuery;
        pairing::wire => Begin BeginAnswer ClientBox Finish FinishAnswer Rekey RekeyAnswer ServiceBox;
        policy => PolicyAnswer SeenPolicy;
        policy::setting => Setting;
        policy::wire => ChangeQuery PoliciesQuery PolicyChange PolicyRow PolicyView;
        revocation::restore => Accept AcceptQuery Accepted Report Reported Reports RestoreStatus ShownHead;
        revocation::wire => Revoke RevokeAnswer RevokeQuery;
        session::batch => BatchAnswer;
        session::registry => SessionSeen SessionsQuery;
        session::wire => KeyQuery Rotate Session SessionKey Sessions UserQuery;
    }
    let Some((name, data)) = std::str::from_utf8(octets).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    if let Ok(Some(event)) = Event::parse(name, data) {
        assert_eq!(Event::parse(event.name(), &event.data()), Ok(Some(event)));
    }
}

fn written_again<T: DeserializeOwned + Serialize>(octets: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(octets) else { return };
    let written = serde_json::to_string(&message).expect("what was read is written");
    let again: T = serde_json::from_str(&written).unwrap_or_else(|why| panic!("{why}: {written}"));
    assert_eq!(serde_json::to_string(&again).expect("it was before"), written);
}

/// Every word, in the octets of one.
pub fn words(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    one_spelling::<CredentialId>(text);
    one_spelling::<InvitationId>(text);
    one_spelling::<PartyId>(text);
    one_spelling::<ServiceId>(text);
    one_spelling::<SessionId>(text);
    one_spelling::<ServerName>(text);
    one_spelling::<UserName>(text);
    one_spelling::<delivery::CarrierName>(text);
    one_spelling::<pairing::PartyLabel>(text);
    one_spelling::<pairing::Pin>(text);
    one_spelling::<revocation::SealedHead>(text);
    // People type these: many spellings, of which one is written.
    let digits = text.parse::<pairing::Digits>().map(|digits| digits.to_string());
    if let Ok(digits) = digits {
        one_spelling::<pairing::Digits>(&digits);
    }
    if let Ok(url) = text.parse::<pairing::PublicUrl>() {
        one_spelling::<pairing::PublicUrl>(&url.to_string());
    }
    let _ = text.parse::<pairing::Link>();
    let _ = text.parse::<pairing::PairingCode>();
    let _ = text.parse::<pairing::credential::CredentialSecret>();
    let _ = text.parse::<session::IdempotencyKey>();
    let _ = text.parse::<revocation::Reason>();
}

/// What is taken is written as it came.
fn one_spelling<T: FromStr + Display>(text: &str)
where
    T::Err: Debug,
{
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
