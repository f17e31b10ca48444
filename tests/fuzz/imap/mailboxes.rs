//! A name has one spelling on the wire, or none.

use sidekey_imap::mailbox::Mailbox;

pub fn mailboxes(octets: &[u8]) {
    if let Ok(mailbox) = Mailbox::from_wire(octets) {
        assert!(mailbox.as_str() == "INBOX" || mailbox.wire().as_bytes() == octets, "two spellings");
        assert_eq!(Mailbox::new(mailbox.as_str()).as_ref(), Ok(&mailbox));
    }
    let Ok(name) = std::str::from_utf8(octets) else { return };
    if let Ok(mailbox) = Mailbox::new(name) {
        assert_eq!(Mailbox::from_wire(mailbox.wire().as_bytes()).as_ref(), Ok(&mailbox));
        for separator in [None, Some('/'), Some('.')] {
            // Both crates name it alike, or a frame would be bound to another mailbox.
            let other = sidekey_protocol::object::Mailbox::new(mailbox.as_str(), separator);
            let other = other.expect("both have the same names");
            assert_eq!(other.canonical(), mailbox.canonical(separator));
        }
    }
}
