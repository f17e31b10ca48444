//! What travels: sealed for its receiver before it comes here, or nothing that needs sealing.

use std::fmt;

use sidekey_protocol::ids::{InvitationId, SessionId};
use sidekey_protocol::pairing::PublicUrl;
use sidekey_protocol::session::envelope::cose;

/// Why something cannot be a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// A public URL with a character that not every SMSC writes as we do.
    #[error("the public URL has a character that SMS may change: only letters, digits and . - : / are safe")]
    Alphabet,
    /// More envelopes than a document holds.
    #[error("a document holds at most {} envelopes", Document::ENTRIES_MAX)]
    Entries,
    /// Not a JWE in compact form, or a longer one than a document holds.
    #[error("not a JWE in compact form of at most {} characters", Document::ENVELOPE_MAX)]
    Envelope,
    /// Empty, or more than eight messages hold.
    #[error("a sealed payload has 1 to {} octets", Sealed::MAX)]
    Size,
}

/// What a carrier takes.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A sealed envelope in few octets, for SMS.
    Sealed(Sealed),
    /// An invitation, without its code.
    Invitation(Invitation),
    /// The envelopes of a user's live sessions, for an XDMS.
    Document(Document),
}

/// Octets that only their receiver opens: an envelope in COSE, of 127.
#[derive(Clone)]
pub struct Sealed(Box<[u8]>);

impl Sealed {
    /// What eight concatenated messages hold.
    pub const MAX: usize = 8 * 128;

    /// Some other sealed form than COSE's, which may need several messages.
    ///
    /// # Errors
    /// [`Unfit::Size`].
    pub fn other(octets: &[u8]) -> Result<Self, Unfit> {
        if matches!(octets.len(), 1..=Self::MAX) { Ok(Self(octets.into())) } else { Err(Unfit::Size) }
    }

    /// The octets, for a carrier to hand on.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; cose::SIZE]> for Sealed {
    fn from(envelope: [u8; cose::SIZE]) -> Self {
        Self(envelope.into())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} octets)", self.0.len())
    }
}

/// An invitation in words. It is made of the service's URL and the invitation's id: there is no way to put a code in it.
#[derive(Clone)]
pub struct Invitation(String);

impl Invitation {
    /// The words for this invitation.
    ///
    /// # Errors
    /// [`Unfit::Alphabet`].
    pub fn new(url: &PublicUrl, id: InvitationId) -> Result<Self, Unfit> {
        // The GSM alphabet (3GPP TS 23.038) and ASCII agree on these, so it does not matter which one an SMSC means by 0.
        if url.as_str().bytes().any(|byte| matches!(byte, b'[' | b']' | b'_' | b'~')) {
            return Err(Unfit::Alphabet);
        }
        Ok(Self(format!("Pair your mail app: {url}/p/{id} - then enter the code that you were given.")))
    }

    /// The words, for a carrier to hand on.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({} characters)", self.0.len())
    }
}

/// The envelopes of a user's live sessions. Each new document replaces the one before.
#[derive(Clone)]
pub struct Document(Vec<Entry>);

/// One envelope of a document, with what it is looked up by: its receiver believes only what is inside.
#[derive(Clone)]
pub struct Entry {
    /// Which session.
    pub session: SessionId,
    /// Which of its keys.
    pub generation: u32,
    /// The envelope in JOSE: a JWE in compact form.
    pub envelope: String,
}

impl Document {
    /// Envelopes of a document.
    pub const ENTRIES_MAX: usize = 64;
    /// Characters of an envelope.
    pub const ENVELOPE_MAX: usize = 8192;

    /// A document of these envelopes, in this order.
    ///
    /// # Errors
    /// [`Unfit::Entries`], [`Unfit::Envelope`].
    pub fn new(entries: Vec<Entry>) -> Result<Self, Unfit> {
        if entries.len() > Self::ENTRIES_MAX {
            return Err(Unfit::Entries);
        }
        if !entries.iter().all(|entry| is_compact_jwe(&entry.envelope)) {
            return Err(Unfit::Envelope);
        }
        Ok(Self(entries))
    }

    /// The envelopes, for a carrier to hand on.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}

/// Five parts of base64url (RFC 7516, section 7.1). What they say is for the receiver to judge.
fn is_compact_jwe(text: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let part = |part: &str| !part.is_empty() && part.bytes().all(symbol);
    text.len() <= Document::ENVELOPE_MAX && text.split('.').count() == 5 && text.split('.').all(part)
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} envelopes)", self.0.len())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {})", self.session, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_says_where_and_which_and_no_more() {
        let url: PublicUrl = "https://keys.example.com".parse().unwrap();
        let invitation = Invitation::new(&url, InvitationId::from_bytes([7; 16])).unwrap();
        let link = "https://keys.example.com/p/07070707070707070707070707070707";
        assert!(invitation.text().contains(link));
        assert!(!invitation.text().contains('#'), "a fragment holds the code");
        assert!(invitation.text().len() <= 160, "one message");
    }

    #[test]
    fn a_url_that_sms_would_change_is_refused() {
        for url in ["https://keys.example.com/a_b", "https://keys.example.com/~x", "https://[2001:db8::1]"] {
            let made = Invitation::new(&url.parse().unwrap(), InvitationId::from_bytes([7; 16]));
            assert_eq!(made.unwrap_err(), Unfit::Alphabet, "{url}");
        }
    }

    #[test]
    fn a_document_takes_envelopes_alone() {
        let entry = |envelope: &str| Entry {
            session: SessionId::from_bytes([1; 16]),
            generation: 0,
            envelope: envelope.to_owned(),
        };
        assert!(Document::new(vec![entry("a.b.c.d.e")]).is_ok());
        for wrong in
            ["", "a.b.c", "a.b.c.d.", "a.b.c.d.e.f", "a.b.c.d.</envelope>", "a.b.c.d.ü", &"a.".repeat(5000)]
        {
            assert_eq!(Document::new(vec![entry(wrong)]).unwrap_err(), Unfit::Envelope, "{wrong:.20}");
        }
        assert_eq!(Document::new(vec![entry("a.b.c.d.e"); 65]).unwrap_err(), Unfit::Entries);
    }

    #[test]
    fn a_log_shows_sizes_alone() {
        let sealed = Payload::Sealed([0xab; 127].into());
        assert_eq!(format!("{sealed:?}"), "Sealed(Sealed(127 octets))");
    }
}
