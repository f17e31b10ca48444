//! Gateway and agent in small: what one seals the other opens, and a mail program sees what the server said.

use sidekey_imap::command::{Item, Literals};
use sidekey_imap::response::{Attribute, Message, Policy, Taken, Verdict};

use crate::ends::{open, rewrite, seal};
use crate::server::Dovecot;
use crate::{command, corpus};

/// What is sealed is taken.
struct Sealed;

impl Policy for Sealed {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        Verdict::Pass
    }

    fn item(&mut self, message: &Message, attribute: &Attribute) -> Verdict {
        match attribute {
            Attribute::Known(Item::Uid | Item::Flags, _) => Verdict::Pass,
            Attribute::Known(..) => {
                assert!(message.uid.is_some(), "the UID comes first where it is asked for first");
                Verdict::Take
            }
            Attribute::Unknown(name) => panic!("{name}"),
        }
    }
}

#[test]
fn a_mail_program_sees_what_the_server_said() {
    let mut server = Dovecot::start(&corpus::messages(), 8192);
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    for items in [
        "UID FLAGS ENVELOPE BODYSTRUCTURE BODY",
        "UID BODY.PEEK[] FLAGS",
        "UID BODY.PEEK[]<0.16384> BODY.PEEK[HEADER] BODY.PEEK[2.MIME] BODY.PEEK[HEADER.FIELDS (FROM \"A]B\")]",
        "UID BODY.PEEK[TEXT] PREVIEW",
    ] {
        let said = server.ask(&command(&format!("FETCH 1:* ({items})")), Literals::Plus).octets;
        for piece in [1, 11, 4096, usize::MAX] {
            let sized = |taken: &Taken, value: &[u8]| {
                assert_eq!(taken.size, Some(value.len() as u64), "the size was known before");
                seal(taken, value)
            };
            let sealed = rewrite(&said, piece, &mut Sealed, sized).unwrap();
            assert!(!contains(&sealed, b"bob@partner.example"), "nothing of what is sealed goes on");
            let opened = rewrite(&sealed, piece, &mut Sealed, open).unwrap();
            assert!(opened == said, "{items} in pieces of {piece}");
        }
    }
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}
