//! The closed list of problem codes. A new one is a change of the interface.

macro_rules! codes {
    ($($name:ident = $status:literal $code:literal, $title:literal, $detail:literal;)*) => {
        /// Every refusal that a caller can meet.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All of them, in the order of their status.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands in a problem document.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What happened.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do next.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

codes! {
    BodyInvalid = 400 "body_invalid", "The body does not say what this route takes.",
        "Correct the members named in `errors`.";
    BodyMalformed = 400 "body_malformed", "The body is not one JSON value.",
        "Send one JSON object in UTF-8, not nested deeply, and nothing after it.";
    HeaderRepeated = 400 "header_repeated", "A header that may stand once stands more than once.",
        "Send one Authorization header, one Idempotency-Key and one Last-Event-ID.";
    HostInvalid = 400 "host_invalid", "The request names no host, or several.",
        "Send one Host header, as HTTP/1.1 asks.";
    IdempotencyKeyMalformed = 400 "idempotency_key_malformed", "The Idempotency-Key is not 16 to 64 visible ASCII characters.",
        "Send a random key, for example a UUID.";
    IdempotencyKeyMissing = 400 "idempotency_key_missing", "This request needs an Idempotency-Key.",
        "Send a fresh random key with each new request, and the same one when you repeat it.";
    QueryInvalid = 400 "query_invalid", "The query does not say what this route takes.",
        "Use this route's parameters alone, each once.";
    ShareInvalid = 400 "share_invalid", "A share, point or encapsulation key is not valid.",
        "Make fresh ones and begin again.";
    TokenExpired = 401 "token_expired", "The bearer token has expired or is not valid yet.",
        "Make a fresh one; take the time from this answer's Date header.";
    TokenInvalid = 401 "token_invalid", "The bearer token is not a valid one.",
        "Sign a `sidekey+jwt` for this service with the key you paired with.";
    TokenMissing = 401 "token_missing", "This route needs a bearer token.",
        "Send `Authorization: Bearer` with a token signed by the key you paired with.";
    ApprovalPending = 403 "approval_pending", "This pairing waits to be approved.",
        "Read the digits that this device shows to whoever approves it, and say that they match when you are told that they were taken; `cause` says which is missing.";
    BoxInvalid = 403 "box_invalid", "The box does not open, or its key, signature, label or offer does not hold.",
        "`cause` says which; begin again.";
    CodeMismatch = 403 "code_mismatch", "The pairing code does not match.",
        "Check the code and begin again; five wrong ones spend the invitation.";
    CredentialWrong = 403 "credential_wrong", "No live credential of this user has this secret.",
        "Check it; whoever was given it asks the administrator whether it was revoked or has expired.";
    DigitsMismatch = 403 "digits_mismatch", "These are not the digits that the device shows.",
        "Have them read out again, from the device that shall be approved; the fifth wrong ones refuse it.";
    RoleForbidden = 403 "role_forbidden", "Your role may not do this.",
        "Use the credential of an administrator, a server or a client, as the route asks.";
    SuiteForbidden = 403 "suite_forbidden", "The list names 3DES, RC4 or AES, and is refused whole.",
        "Leave the legacy suite out.";
    GenerationUnknown = 404 "generation_unknown", "The session has no such generation yet.",
        "Ask without a generation for the newest.";
    NotFound = 404 "not_found", "There is no such thing, or it is not yours.",
        "Check the id, and whose credential you use.";
    MethodNotAllowed = 405 "method_not_allowed", "The resource does not take this method.",
        "Use one that the Allow header names.";
    RequestTimeout = 408 "request_timeout", "The body did not arrive in time.",
        "Send it again, on a new connection.";
    ApprovalOver = 409 "approval_over", "The pairing does not wait to be approved.",
        "It is active, or over: look at its state. Revoke one that is active; invite again for one that is over.";
    CredentialExists = 409 "credential_exists", "A live credential of this user has this label.",
        "Choose another label; or revoke that one first, if its secret is lost.";
    CredentialLimit = 409 "credential_limit", "The user has 32 live credentials.",
        "Revoke those that nobody uses any more.";
    DeliveryOver = 409 "delivery_over", "The delivery is settled, or what it carries is over.",
        "Nothing is to be done: a party can fetch its keys over HTTPS.";
    DeviceLimit = 409 "device_limit", "The user has as many devices as the policy allows.",
        "Revoke a device that is not used any more, or allow more: `devices_max` of the policy.";
    EpochPassed = 409 "epoch_passed", "The key epoch was replaced, and is erased.",
        "If this device has no later one, pair again.";
    ExchangeOver = 409 "exchange_over", "`state` names no open exchange, or `finish` came more than 60 seconds after `begin`.",
        "Begin again.";
    FinishConflict = 409 "finish_conflict", "This exchange was finished before, with another body.",
        "If you finished it, repeat the same request; if you did not, tell the administrator.";
    KekUnknown = 409 "kek_unknown", "The token names a key epoch that the pairing does not have.",
        "Use the epoch that the pairing is in: go back to the one before, or pair again.";
    GenerationsSpent = 409 "generations_spent", "The session has no generations left.",
        "End it and open another.";
    KeyReplaced = 409 "key_replaced", "Another signing key has taken over from this one already.",
        "Look at the keys again, and name the active one.";
    NoCommonSuite = 409 "no_common_suite", "No suite is left that everybody allows.",
        "Name A256GCM among the capabilities or in the offer.";
    NotRolledBack = 409 "not_rolled_back", "The service has lost no revocations that anybody knows of.",
        "There is nothing to report or to accept.";
    RekeyFirst = 409 "rekey_first", "The key epoch is over: nothing is wrapped under it.",
        "Rekey, and ask again.";
    RevocationsMissing = 409 "revocations_missing", "Revocations are lost that nobody has reported.",
        "Say that you go on without them (`missing`), or revoke every pairing (`revoke_all`).";
    ServerExists = 409 "server_exists", "There is, or was, a server of this name.",
        "Choose another name, or use the one that exists.";
    GenerationPassed = 410 "generation_passed", "This generation of the session is over.",
        "Ask without a generation for the newest.";
    GenerationRevoked = 410 "generation_revoked", "A revocation replaced this generation of the session.",
        "Ask without a generation for the newest.";
    InvitationOver = 410 "invitation_over", "The invitation has expired, was cancelled or used, or has no attempts left.",
        "Ask the administrator for a new one.";
    KeyRetired = 410 "key_retired", "The service's signing key that this invitation was made under has been replaced.",
        "Ask the administrator for a new invitation.";
    Lapsed = 410 "lapsed", "The pairing was not used for 90 days, or not approved within 7.",
        "It does not come back: pair again.";
    LogPruned = 410 "log_pruned", "The audit log does not keep this any more.",
        "Read it from where it begins: without `after`, or from `first` of GET /v1/audit.";
    PairingRefused = 410 "pairing_refused", "The pairing was refused.",
        "If that was a mistake, ask for another invitation and pair again.";
    Revoked = 410 "revoked", "This was revoked.",
        "It does not come back: pair again.";
    SessionEnded = 410 "session_ended", "The session has been ended.",
        "Open a new one, or wait for the server to do so.";
    SessionExpired = 410 "session_expired", "The session has expired.",
        "Open a new one, or wait for the server to do so.";
    PreconditionFailed = 412 "precondition_failed", "It has been changed since you read it.",
        "Read it again, and send the new ETag in If-Match.";
    BodyTooLarge = 413 "body_too_large", "The body is longer than this route takes.",
        "Send less.";
    UriTooLong = 414 "uri_too_long", "The request's address is longer than any that this service has.",
        "Check the address.";
    MediaTypeUnsupported = 415 "media_type_unsupported", "The body is not announced as JSON.",
        "Send `Content-Type: application/json`, and no Content-Encoding.";
    AudienceAmbiguous = 422 "audience_ambiguous", "Both a user and a pairing are named, or neither.",
        "Name one of them.";
    AudienceRepeated = 422 "audience_repeated", "The batch names a user or a pairing twice.",
        "Name each once; `errors` says where.";
    BatchSize = 422 "batch_size", "A batch has 1 to 256 sessions.",
        "Send more of them in another batch.";
    CapabilitiesMalformed = 422 "capabilities_malformed", "The capabilities are not at most 64 strings of 1 to 64 visible ASCII characters.",
        "Send the list that the server shows its clients.";
    AddressInvalid = 422 "address_invalid", "The carrier takes no such address.",
        "Send a phone as + and 7 to 15 digits, or an XCAP user identifier: whichever the carrier leads to.";
    CarrierUnfit = 422 "carrier_unfit", "The carrier does not take this, or is named twice.",
        "Name each carrier once, at most eight, and for an invitation one of SMS or a webhook.";
    CarrierUnknown = 422 "carrier_unknown", "No carrier of that name is configured.",
        "Leave it out: every party can fetch the key over HTTPS.";
    IdempotencyKeyReused = 422 "idempotency_key_reused", "This Idempotency-Key came with another body before.",
        "Use a fresh key for a new request.";
    LogYoung = 422 "log_young", "What is younger than 30 days stays in the audit log.",
        "Name an earlier time.";
    PolicyInvalid = 422 "policy_invalid", "The policy cannot be set so.",
        "Correct the members named in `errors`; `cause` says what they may be.";
    TtlOutOfRange = 422 "ttl_out_of_range", "The time asked for is too short or too long.",
        "Ask for 60 to 900 seconds for an invitation, up to 604800 where it is to be approved, 60 to 86400 for a session, 60 to 315360000 for a credential, up to 2592000 for an overlap of keys, never more than the policy allows, or leave it out.";
    UserMismatch = 422 "user_mismatch", "An invitation of a client names its user, one of a server does not.",
        "Correct `role` or `user`.";
    PreconditionRequired = 428 "precondition_required", "A change must say what it changes.",
        "Read it, and send its ETag in If-Match.";
    RateLimited = 429 "rate_limited", "These were too many requests in a minute.",
        "Wait for as long as Retry-After says; nothing of this request was done.";
    SessionLimit = 429 "session_limit", "The user has as many sessions as the policy allows.",
        "Use one that is open; there is room again when one expires.";
    HeadersTooLarge = 431 "headers_too_large", "The request's headers are longer than this service takes.",
        "Send fewer and shorter ones.";
    Internal = 500 "internal", "The service failed.",
        "Give the administrator the `instance`: the service's log names the cause beside it.";
    AnswerTimeout = 503 "answer_timeout", "The answer was not ready in time.",
        "Repeat the request; what may not happen twice will not.";
    ClockStepped = 503 "clock_stepped", "The service's clock went back, so it issues nothing.",
        "Ask the administrator to check the clock of the service's machine.";
    Overloaded = 503 "overloaded", "The service does all that it can at one time.",
        "Repeat the request in a moment.";
    RolledBack = 503 "rolled_back", "The service was restored from an older copy, and has lost revocations.",
        "Ask the administrator: `sidekey restore status` says what is known, `sidekey restore accept` goes on.";
    StoreUnavailable = 503 "store_unavailable", "The service cannot write its journal, so it changes and issues nothing.",
        "Repeat the request in a moment; the service's log names the cause.";
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn the_contract_lists_every_code_with_its_status() {
        let contract = include_str!("../../../proto/README.md");
        let rows = contract.lines().filter(|line| line.starts_with("| ") && line.contains(" | `"));
        let listed: Vec<&str> = rows.filter(|line| line[2..5].parse::<u16>().is_ok()).collect();
        let expected: Vec<String> = Code::ALL
            .iter()
            .map(|code| format!("| {} | `{}` | {} |", code.status(), code.as_str(), code.title()))
            .collect();
        assert_eq!(listed, expected);
    }
}
