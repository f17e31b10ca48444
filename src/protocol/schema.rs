//! JSON Schemas of what has a spelling of its own (proto/README.md, "Encodings" and "Ids and names"). The other wire
//! types derive theirs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::delivery::CarrierName;
use crate::encoding::{Bytes, Octets};
use crate::ids::{
    CredentialId, InvitationId, NAME_MAX, PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName,
};
use crate::pairing::credential::CredentialSecret;
use crate::pairing::{Digits, PartyLabel};
use crate::revocation::{Reason, SealedHead};
use crate::session::SuiteList;

macro_rules! schemas {
    ($($type:ident { $($schema:tt)* })*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ $($schema)* })
            }
        })*
    };
}

const ID: &str = "^[0-9a-f]{32}$";
/// Neither white space at its ends nor control characters.
const PLAIN: &str = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";

/// The last character where four of its bits, or two, are spare and so zero.
const FOUR_SPARE: &str = "[AQgw]";
const TWO_SPARE: &str = "[AEIMQUYcgkosw048]";

/// So many octets in base64url, in their one spelling.
fn base64url(octets: usize) -> String {
    let (whole, last) = match octets % 3 {
        0 => (octets / 3 * 4, ""),
        1 => (octets / 3 * 4 + 1, FOUR_SPARE),
        _ => (octets / 3 * 4 + 2, TWO_SPARE),
    };
    format!("^[A-Za-z0-9_-]{{{whole}}}{last}$")
}

schemas! {
    CredentialId {
        "description": "Names one proxy credential: 16 octets, lower-case hex.",
        "type": "string", "pattern": ID, "examples": ["7d20c9a4be5f13860f92d7e4a1c3b658"],
    }
    CredentialSecret {
        "description": "A proxy credential: 20 symbols of Crockford's base32. Case, spaces and hyphens mean nothing; I and L are 1, O is 0.",
        "type": "string", "pattern": "^[ -]*([0-9A-TV-Za-tv-z][ -]*){20}$", "examples": ["4QZ7-K2MD-9XWA-R5TB-0H3N"],
    }
    InvitationId {
        "description": "Names one invitation: 16 octets, lower-case hex.",
        "type": "string", "pattern": ID, "examples": ["2b0c5f8e9d1a4c73a6e0b4d29f1c7e58"],
    }
    PartyId {
        "description": "Names one party, a pairing or an administrator: 16 octets, lower-case hex.",
        "type": "string", "pattern": ID, "examples": ["9f3a1de07c5b42c8b1746e80d2ac953f"],
    }
    ServiceId {
        "description": "Names the key service: 16 octets, lower-case hex.",
        "type": "string", "pattern": ID, "examples": ["5e8d73b2f40911c6a37bd5e96c024f1a"],
    }
    SessionId {
        "description": "Names one session: 16 octets, lower-case hex.",
        "type": "string", "pattern": ID, "examples": ["c41b6e2f09d8537aa5f2e8107b3d9c64"],
    }
    CarrierName {
        "description": "Names a carrier, as the service's configuration calls it.",
        "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$", "examples": ["sms"],
    }
    ServerName {
        "description": "Names a mail server: 1 to 255 octets.",
        "type": "string", "minLength": 1, "maxLength": NAME_MAX, "pattern": PLAIN, "examples": ["mail.example.org"],
    }
    UserName {
        "description": "Names a user of a mail server: 1 to 255 octets.",
        "type": "string", "minLength": 1, "maxLength": NAME_MAX, "pattern": PLAIN, "examples": ["ann@example.org"],
    }
    SealedHead {
        "description": "The head of all revocations: 32 octets, base64url.",
        "type": "string", "pattern": base64url(32),
        "examples": ["AAAAAAAAAAC7OZ4k3g8mUwT1c0aV9dJx2nQkHsYbRfE"],
    }
    PartyLabel {
        "description": "What a party calls itself, for people.",
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": PLAIN, "examples": ["Ann's phone"],
    }
    Digits {
        "description": "What a pairing's device shows: 16 decimal digits. Spaces and hyphens mean nothing.",
        "type": "string", "pattern": "^[ -]*([0-9][ -]*){16}$", "examples": ["2718 2818 2845 9045"],
    }
    Reason {
        "description": "Why, for people and for the audit log.",
        "type": "string", "minLength": 1, "maxLength": Reason::MAX, "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
        "examples": ["left in a taxi"],
    }
    SuiteList {
        "description": "Names of suites, best first.",
        "type": "array", "items": { "type": "string", "pattern": "^[!-~]{1,64}$" }, "minItems": 1, "maxItems": 64,
        "examples": [["A256GCM", "C20P"]],
    }
    Timestamp {
        "description": "Unix seconds.",
        "type": "integer", "minimum": 0, "maximum": u32::MAX, "examples": [1_800_000_000],
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern =
            format!("^([A-Za-z0-9_-]{{4}})*([A-Za-z0-9_-]{FOUR_SPARE}|[A-Za-z0-9_-]{{2}}{TWO_SPARE})?$");
        json_schema!({ "type": "string", "pattern": pattern, "contentEncoding": "base64url", "examples": ["AAEC"] })
    }
}

impl<const N: usize> JsonSchema for Octets<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Octets{N}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let length = (N * 8).div_ceil(6);
        json_schema!({
            "type": "string", "pattern": base64url(N), "minLength": length, "maxLength": length,
            "contentEncoding": "base64url", "examples": ["A".repeat(length)],
        })
    }
}
