//! The route table. Who may call, how long a body may be, how long an answer may take, what the route is for and what
//! it may refuse stand in its row. What it takes and answers is read from its handler's signature (`described.rs`).

use std::collections::BTreeSet;

use axum::routing::{MethodFilter, MethodRouter, on};

use super::auth::{ADMIN, ANY_PARTY, ANYBODY, CONFIRMED, EVERY_PARTY, PAIRED, PERSONS, SERVER, SERVING, Who};
use super::described::{Operation, described};
use super::openapi;
use super::problem::Code::{self, *};
use super::rates::Scope;
use crate::app::App;
use crate::{
    audit, credential, delivery, events, health, keys, pairing, policies, policy, restore, revocation,
    session,
};

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(super) method: MethodFilter,
    pub(crate) method_name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) body_size_bytes: usize,
    pub(crate) time: Time,
    pub(super) serve: fn(MethodFilter) -> MethodRouter<App>,
    /// Names the handler: the operation's id.
    pub(super) handler: &'static str,
    /// What the route is for.
    pub(super) summary: &'static str,
    /// What it may refuse besides what its caller, its body and its parameters may be wrong about.
    pub(super) refuses: &'static [Code],
    pub(super) describe: fn(&mut Operation<'_>),
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Time {
    /// `limits.answer_s`.
    Answer,
    /// It is a stream, and ends when the caller or the service does.
    Stream,
}

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// No body.
const NONE: usize = 0;
/// A few short members.
const SMALL: usize = 2 * 1024;
/// A share and an encapsulation key; a box; a list of capabilities.
const MEDIUM: usize = 8 * 1024;
/// 256 users, each with the longest name.
const LARGE: usize = 128 * 1024;

macro_rules! routes {
    ($(
        $method:ident $path:literal $who:ident $body:ident $time:ident $handler:path,
            $summary:literal [$($refuses:ident)*];
    )*) => {
        /// Every route there is.
        pub(crate) static ROUTES: &[Route] = &[$(Route {
            method: $method,
            method_name: stringify!($method),
            path: $path,
            who: $who,
            body_size_bytes: $body,
            time: Time::$time,
            serve: |method| on(method, $handler),
            handler: stringify!($handler),
            summary: $summary,
            refuses: &[$($refuses),*],
            describe: |operation| described($handler, operation),
        }),*];
    };
}

// A row's last line says what the route is for and lists the problem codes of its own step: a refusal that no row
// announces fails the tests that meet it.
routes! {
    POST   "/v1/servers"                       ADMIN       SMALL  Answer pairing::add_server,
        "Adds a mail server" [ServerExists];
    GET    "/v1/servers"                       ADMIN       NONE   Answer pairing::servers,
        "Lists mail servers, oldest first" [];
    GET    "/v1/servers/{server}"              ADMIN       NONE   Answer pairing::server,
        "One mail server" [NotFound];
    POST   "/v1/invitations"                   ADMIN       SMALL  Answer pairing::invite,
        "Invites a client or a server, and shows the pairing code, once"
        [AddressInvalid CarrierUnfit CarrierUnknown KeyRetired NotFound Revoked TtlOutOfRange UserMismatch];
    GET    "/v1/invitations"                   ADMIN       NONE   Answer pairing::invitations,
        "Lists invitations, oldest first" [];
    GET    "/v1/invitations/{invitation}"      ADMIN       NONE   Answer pairing::invitation,
        "One invitation" [NotFound];
    POST   "/v1/invitations/{invitation}/reissue" ADMIN    SMALL  Answer pairing::reissue,
        "Issues an invitation again, with another id and code, in place of this one"
        [AddressInvalid CarrierUnfit CarrierUnknown DeviceLimit InvitationOver KeyRetired NotFound Revoked TtlOutOfRange];
    POST   "/v1/pairings/{invitation}/begin"   ANYBODY     MEDIUM Answer pairing::begin,
        "The first step of pairing: spends an attempt" [ClockStepped ExchangeOver InvitationOver
         KeyRetired Overloaded ShareInvalid];
    POST   "/v1/pairings/{invitation}/finish"  ANYBODY     MEDIUM Answer pairing::finish,
        "The second step of pairing: makes the pairing"
        [BoxInvalid ClockStepped CodeMismatch DeviceLimit ExchangeOver FinishConflict InvitationOver KeyRetired NoCommonSuite
         Overloaded SuiteForbidden];
    GET    "/v1/pairings"                      EVERY_PARTY NONE   Answer pairing::pairings,
        "Lists pairings, oldest first: all to an administrator, its own to a party" [KekUnknown];
    GET    "/v1/pairings/self"                 CONFIRMED   NONE   Answer pairing::own,
        "The caller's own pairing" [];
    POST   "/v1/pairings/self/match"           CONFIRMED   NONE   Answer pairing::match_digits,
        "Says that the enterprise took the digits that the caller's device shows" [KekUnknown];
    POST   "/v1/pairings/self/rekey"           PAIRED      MEDIUM Answer pairing::rekey,
        "The pairing's next epoch" [EpochPassed KekUnknown RekeyFirst ShareInvalid];
    PUT    "/v1/pairings/{pairing}/addresses/{carrier}" ADMIN SMALL Answer delivery::set_address,
        "Sets the address at which a carrier reaches a client" [AddressInvalid CarrierUnknown NotFound];
    DELETE "/v1/pairings/{pairing}/addresses/{carrier}" ADMIN NONE Answer delivery::clear_address,
        "Takes the address away at which a carrier reaches a client" [NotFound];
    GET    "/v1/pairings/{pairing}"            EVERY_PARTY NONE   Answer pairing::shown,
        "One pairing: any to an administrator, its own to a party" [KekUnknown NotFound];
    POST   "/v1/pairings/{pairing}/approve"    PERSONS     SMALL  Answer pairing::approve,
        "Approves a pairing, if the digits are those that its device shows" [ApprovalOver DigitsMismatch KekUnknown NotFound];
    POST   "/v1/pairings/{pairing}/refuse"     PERSONS     SMALL  Answer pairing::refuse,
        "Refuses a pairing that waits to be approved, for good" [ApprovalOver KekUnknown NotFound];
    POST   "/v1/credentials"                   ADMIN       SMALL  Answer credential::issue,
        "Issues a proxy credential of a user, and shows its secret, once"
        [CredentialExists CredentialLimit NotFound Revoked TtlOutOfRange];
    GET    "/v1/credentials"                   ADMIN       NONE   Answer credential::credentials,
        "Lists proxy credentials, oldest first" [];
    POST   "/v1/credentials/verify"            SERVER      SMALL  Answer credential::verify,
        "Whose proxy credential a secret is that somebody shows to the caller"
        [CredentialWrong KekUnknown Overloaded RateLimited];
    GET    "/v1/credentials/{credential}"      ADMIN       NONE   Answer credential::shown,
        "One proxy credential" [NotFound];
    DELETE "/v1/credentials/{credential}"      ADMIN       NONE   Answer credential::withdraw,
        "Revokes a proxy credential" [NotFound];
    POST   "/v1/sessions"                      SERVER      MEDIUM Answer session::open,
        "Opens a session, and answers its key wrapped for the server"
        [AudienceAmbiguous CapabilitiesMalformed CarrierUnfit CarrierUnknown NoCommonSuite NotFound RekeyFirst SessionEnded
         SessionExpired SessionLimit SuiteForbidden TtlOutOfRange];
    GET    "/v1/sessions"                      ADMIN       NONE   Answer session::sessions,
        "Lists sessions" [];
    POST   "/v1/sessions/batch"                SERVER      LARGE  Answer session::open_batch,
        "Opens many sessions, all or none, and answers their keys in one set"
        [AudienceAmbiguous AudienceRepeated BatchSize CapabilitiesMalformed CarrierUnfit CarrierUnknown NoCommonSuite NotFound
         RekeyFirst SessionEnded SessionExpired SessionLimit SuiteForbidden TtlOutOfRange];
    GET    "/v1/sessions/current"              PAIRED      NONE   Answer session::current,
        "The live sessions of a client, or of the user whom a server names; newest first" [NotFound];
    GET    "/v1/sessions/{session}"            EVERY_PARTY NONE   Answer session::shown,
        "One session, without its key" [KekUnknown NotFound];
    GET    "/v1/sessions/{session}/key"        PAIRED      NONE   Answer session::key,
        "A session's key, wrapped for the caller"
        [GenerationPassed GenerationRevoked GenerationUnknown RekeyFirst SessionEnded SessionExpired];
    POST   "/v1/sessions/{session}/rotate"     SERVING     SMALL  Answer session::rotate,
        "Makes the session's next generation" [GenerationsSpent KekUnknown RekeyFirst SessionEnded SessionExpired];
    DELETE "/v1/sessions/{session}"            SERVING     NONE   Answer session::end,
        "Ends a session for everybody" [KekUnknown SessionEnded SessionExpired];
    POST   "/v1/revocations"                   ANY_PARTY   SMALL  Answer revocation::revoke,
        "Revokes a pairing, a user, a server, a session or an invitation; a party may revoke itself" [NotFound];
    GET    "/v1/policy"                        PAIRED      NONE   Answer policy::policy,
        "The signed policy of a client's user, or of the user whom a server names" [NotFound];
    GET    "/v1/policies"                      ADMIN       NONE   Answer policies::policies,
        "Lists the levels at which something is set" [];
    GET    "/v1/policies/service" ADMIN NONE Answer policies::of_service,
        "What is set for the service, and what holds" [];
    PUT    "/v1/policies/service" ADMIN SMALL Answer policies::set_service,
        "Sets the policy of the service, whole" [PolicyInvalid SuiteForbidden];
    DELETE "/v1/policies/service" ADMIN NONE Answer policies::unset_service,
        "Leaves everything for the service to the level above" [];
    GET    "/v1/policies/servers/{server}" ADMIN NONE Answer policies::of_server,
        "What is set for a server, and what holds" [NotFound];
    PUT    "/v1/policies/servers/{server}" ADMIN SMALL Answer policies::set_server,
        "Sets the policy of a server, whole" [NotFound PolicyInvalid SuiteForbidden];
    DELETE "/v1/policies/servers/{server}" ADMIN NONE Answer policies::unset_server,
        "Leaves everything for a server to the level above" [NotFound];
    GET    "/v1/policies/servers/{server}/users/{user}" ADMIN NONE Answer policies::of_user,
        "What is set for a user at a server, and what holds" [NotFound];
    PUT    "/v1/policies/servers/{server}/users/{user}" ADMIN SMALL Answer policies::set_user,
        "Sets the policy of a user at a server, whole" [NotFound PolicyInvalid SuiteForbidden];
    DELETE "/v1/policies/servers/{server}/users/{user}" ADMIN NONE Answer policies::unset_user,
        "Leaves everything for a user at a server to the level above" [NotFound];
    GET    "/v1/deliveries"                    ADMIN       NONE   Answer delivery::deliveries,
        "Lists deliveries by carriers, oldest first" [];
    GET    "/v1/deliveries/{delivery}"         ADMIN       NONE   Answer delivery::delivery,
        "One delivery" [NotFound];
    POST   "/v1/deliveries/{delivery}/retry"   ADMIN       NONE   Answer delivery::retry,
        "Has a delivery tried at once" [DeliveryOver NotFound];
    POST   "/v1/deliveries/{delivery}/cancel"  ADMIN       NONE   Answer delivery::cancel,
        "Has a delivery tried no more" [DeliveryOver NotFound];
    GET    "/v1/reports/{carrier}/{token}"     ANYBODY     NONE   Answer delivery::report,
        "What an SMS gateway says became of a message" [NotFound];
    POST   "/v1/reports/{carrier}/{token}"     ANYBODY     MEDIUM Answer delivery::report_in_a_body,
        "The same, in a form or as JSON" [NotFound];
    GET    "/v1/carriers"                      ADMIN       NONE   Answer delivery::carriers,
        "The carriers that are configured, and how they are" [];
    GET    "/v1/audit"                         ADMIN       NONE   Answer audit::log,
        "The audit log: everything that ever changed anything, oldest first" [];
    GET    "/v1/audit/checkpoints"             ADMIN       NONE   Answer audit::checkpoints,
        "Where the audit log's chain stood, signed by the service, oldest first" [];
    GET    "/v1/audit/proof"                   EVERY_PARTY NONE   Answer audit::proof,
        "The caller's own entries of the audit log, and what proves that they are in it" [LogPruned NotFound];
    POST   "/v1/audit/prune"                   ADMIN       SMALL  Answer audit::prune,
        "Deletes the oldest records of the audit log, which says so" [LogYoung];
    GET    "/v1/audit/{record}"                ADMIN       NONE   Answer audit::record,
        "One record of the audit log, as the chain binds it" [LogPruned NotFound];
    GET    "/v1/keys"                          ANYBODY     NONE   Answer keys::keys,
        "The service's signing keys, and the statements by which each vouches for the next" [];
    POST   "/v1/keys/rotate"                   ADMIN       SMALL  Answer keys::rotate,
        "Makes a fresh signing key, which takes over" [KeyReplaced TtlOutOfRange];
    GET    "/v1/restore"                       ADMIN       NONE   Answer restore::status,
        "Whether the service was restored from an older copy, and what is reported of what it has lost" [];
    POST   "/v1/restore/reports"               PAIRED      LARGE  Answer restore::report,
        "What a party was told of revocations that the service has lost" [NotFound NotRolledBack];
    POST   "/v1/restore/accept"                ADMIN       MEDIUM Answer restore::accept,
        "Lets the service go on from an older copy" [NotFound NotRolledBack RevocationsMissing];
    GET    "/v1/events"                        EVERY_PARTY NONE   Stream events::events,
        "What the caller must know at once, as Server-Sent Events" [KekUnknown NotFound Overloaded];
    GET    "/p/{invitation}"                   ANYBODY     NONE   Answer pairing::page,
        "What a pairing link is for, for people" [];
    GET    "/openapi.json"                     ANYBODY     NONE   Answer openapi::document,
        "This description" [];
    GET    "/livez"                            ANYBODY     NONE   Answer health::alive,
        "Whether the process runs" [];
    GET    "/readyz"                           ANYBODY     NONE   Answer health::ready,
        "Whether the service can do its work" [ClockStepped RolledBack StoreUnavailable];
    GET    "/healthz"                          ANYBODY     NONE   Answer health::ready,
        "As /readyz" [ClockStepped RolledBack StoreUnavailable];
}

impl Route {
    /// The names of the path's parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether it tells of the service's health: asked all the time, by machines.
    pub(super) fn is_probe(&self) -> bool {
        matches!(self.path, "/livez" | "/readyz" | "/healthz")
    }

    /// Whether it is for ending things: that goes on when the clock has gone back.
    pub(super) fn ends_things(&self) -> bool {
        self.path == "/v1/revocations"
            || (self.method_name, self.path) == ("DELETE", "/v1/credentials/{credential}")
    }

    /// Whether it answers although revocations are known to be lost.
    pub(super) fn answers_rolled_back(&self) -> bool {
        self.is_probe() || self.path.starts_with("/v1/restore")
    }

    /// What its requests are counted as, if they are.
    pub(crate) fn scope(&self) -> Option<Scope> {
        let reads = self.method_name == "GET";
        match self.who.is_anybody() {
            _ if self.is_probe() => None,
            true if reads => Some(Scope::Open),
            true => Some(Scope::Pairing),
            false if reads => Some(Scope::Read),
            false => Some(Scope::Change),
        }
    }

    /// What its caller, its body and its time may be refused for, and its row's own.
    pub(super) fn codes(&self) -> BTreeSet<Code> {
        let mut codes: BTreeSet<Code> = self.refuses.iter().copied().collect();
        codes.extend([BodyTooLarge, HeadersTooLarge, HostInvalid, UriTooLong, Internal]);
        if !self.answers_rolled_back() {
            codes.insert(RolledBack);
        }
        if self.scope().is_some() {
            codes.extend([Overloaded, RateLimited]);
        }
        if !self.who.is_anybody() {
            codes.extend([
                TokenExpired,
                TokenInvalid,
                TokenMissing,
                HeaderRepeated,
                RoleForbidden,
                Lapsed,
                PairingRefused,
                Revoked,
            ]);
        }
        if self.who.turns_away_confirmed() {
            codes.insert(ApprovalPending);
        }
        if !self.who.is_anybody() || self.method_name != "GET" {
            codes.extend([ClockStepped, StoreUnavailable]);
        }
        if self.body_size_bytes > 0 {
            codes.extend([BodyMalformed, RequestTimeout]);
        }
        if self.time == Time::Answer {
            codes.insert(AnswerTimeout);
        }
        codes
    }
}
