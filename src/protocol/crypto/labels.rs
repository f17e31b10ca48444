//! Every label a key or a hash is made for. The registry's other half is `proto/README.md`.
//!
//! No label is a prefix of another; none is ever edited, only retired.

/// What a derived key or a hash is for; `sidekey/1 ` goes before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Label(&'static str);

impl Label {
    /// The label as it stands in `lp`, prefix and all.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Label = Label(concat!("sidekey/1 ", $text));)*

        /// All of them, in the order of the registry.
        pub const ALL: &[Label] = &[$($name),*];
    };
}

labels! {
    /// Descriptor of an APPEND's context.
    APPEND = "APPEND";
    /// Hash of one entry of the audit log.
    AUDIT_ENTRY = "audit entry";
    /// Hash of all entries of a record.
    AUDIT_RECORD = "audit record";
    /// What hides one entry of a record.
    AUDIT_SALT = "audit salt";
    /// The client's box in `finish`.
    BOX_CLIENT = "box client";
    /// The service's box in `finish`.
    BOX_SERVICE = "box service";
    /// Hash of the capabilities a session was opened with.
    CAPABILITIES = "capabilities";
    /// Salt of the pairing code's Argon2id.
    CODE = "code";
    /// What is kept of a proxy credential.
    CREDENTIAL = "credential";
    /// What an envelope in COSE was made under: policy, capabilities, offer.
    CTX = "ctx";
    /// The digits by which people know a pairing.
    DIGITS = "digits";
    /// For whom an envelope in COSE is.
    ENVELOPE = "envelope";
    /// Content encryption key of one frame.
    FRAME = "frame";
    /// Key-encryption key of the COSE envelope (AES-256-GCM).
    KEK_GCM = "kek gcm";
    /// Names a party's key-encryption keys in an envelope's header.
    KEK_ID = "kek id";
    /// Key-encryption key of the JOSE envelope (AES-KW).
    KEK_KW = "kek kw";
    /// Object key, client to server.
    OBJECT_C2S = "object c2s";
    /// Object key, server to client.
    OBJECT_S2C = "object s2c";
    /// Hash of a client's ordered suite offer.
    OFFER = "offer";
    /// SPAKE2+'s context.
    PAIRING = "pairing";
    /// A service's answer to a rekey.
    REKEY_ANSWER = "rekey answer";
    /// Confirms that both sides have the next epoch's root.
    REKEY_CONFIRM = "rekey confirm";
    /// A party's request to rekey.
    REKEY_REQUEST = "rekey request";
    /// Names a root key, so that a wrong one is told from damage.
    REST_ID = "rest id";
    /// A secret of an invitation, sealed at rest.
    REST_INVITATION = "rest invitation";
    /// A secret of a pairing, sealed at rest.
    REST_PAIRING = "rest pairing";
    /// A session root, sealed at rest.
    REST_ROOT = "rest root";
    /// A secret of the service itself, sealed at rest.
    REST_SERVICE = "rest service";
    /// What the state behind the journal is sealed with against edits.
    REST_STATE = "rest state";
    /// Descriptor of a SEARCH string's context.
    SEARCH = "SEARCH";
    /// Session key from session root.
    SESSION = "session";
    /// Transcript of a pairing.
    TRANSCRIPT = "transcript";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        for (i, a) in ALL.iter().enumerate() {
            for (j, b) in ALL.iter().enumerate() {
                assert!(i == j || !b.text().starts_with(a.text()), "{a:?} is a prefix of {b:?}");
            }
        }
    }

    #[test]
    fn the_registry_in_proto_names_every_label() {
        let registry = include_str!("../../../proto/README.md");
        for label in ALL {
            let name = label.text().strip_prefix("sidekey/1 ").unwrap();
            assert!(registry.contains(&format!("| `{name}` |")), "{name} is not in proto/README.md");
        }
    }
}
