//! What stands in place of a message that does not hold, where the policy asks for that: a message that says so. All its
//! items are of one message, always the same.

use sidekey_imap::command::{Asked, Fields, Item, Section, SectionText};

/// Its size.
pub(crate) const SIZE: usize = HEADER.len() + TEXT.len();

/// An item of it, as it is written.
pub(crate) fn value(asked: &Asked) -> Vec<u8> {
    let lines = TEXT.iter().filter(|octet| **octet == b'\n').count();
    let part =
        format!("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" {} {lines}", TEXT.len());
    let octets = match asked.item() {
        Item::Envelope => {
            let sender = "((\"Sidekey\" NIL \"sidekey\" \"localhost\"))";
            let senders = format!("{sender} {sender} {sender}");
            return format!("(NIL \"{SUBJECT}\" {senders} NIL NIL NIL NIL NIL)").into();
        }
        Item::BodyStructure => return format!("{part} NIL NIL NIL NIL)").into(),
        Item::Body => return format!("{part})").into(),
        Item::Preview | Item::PreviewLazy | Item::Snippet => return format!("\"{SUBJECT}\"").into(),
        Item::Rfc822 => Some([HEADER, TEXT].concat()),
        Item::Rfc822Header => Some(HEADER.to_vec()),
        Item::Rfc822Text => Some(TEXT.to_vec()),
        Item::Section(section) => self::section(section),
        Item::Binary(part) if part.0.is_empty() => Some([HEADER, TEXT].concat()),
        Item::Binary(part) => is_first(&part.0).then(|| TEXT.to_vec()),
        _ => None,
    };
    octets.map_or_else(|| b"NIL".to_vec(), |octets| literal(cut(asked, &octets)))
}

fn section(section: &Section) -> Option<Vec<u8>> {
    match (section.part().0.as_slice(), section.text()) {
        ([], None) => Some([HEADER, TEXT].concat()),
        ([], Some(SectionText::Header)) => Some(HEADER.to_vec()),
        ([], Some(SectionText::Fields(fields))) => Some(lines(|name| is_among(fields, name))),
        ([], Some(SectionText::FieldsNot(fields))) => Some(lines(|name| !is_among(fields, name))),
        ([], Some(SectionText::Text)) => Some(TEXT.to_vec()),
        (part, None) if is_first(part) => Some(TEXT.to_vec()),
        (part, Some(SectionText::Mime)) if is_first(part) => Some(lines(|name| name == "CONTENT-TYPE")),
        _ => None,
    }
}

fn is_first(part: &[std::num::NonZeroU32]) -> bool {
    part == [std::num::NonZeroU32::MIN]
}

/// Lines of the header with such names, and the empty one.
fn lines(wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let header = std::str::from_utf8(HEADER).expect("it is ASCII");
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_ascii_uppercase();
    header
        .split_inclusive("\r\n")
        .filter(|line| *line == "\r\n" || wanted(&name(line)))
        .collect::<String>()
        .into()
}

fn is_among(fields: &Fields, name: &str) -> bool {
    fields.names().any(|field| field == name)
}

fn cut<'o>(asked: &Asked, octets: &'o [u8]) -> &'o [u8] {
    let Some(partial) = asked.partial() else { return octets };
    let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
    &octets[within(partial.origin)..within(partial.origin.saturating_add(partial.count.get().into()))]
}

fn literal(octets: &[u8]) -> Vec<u8> {
    [format!("{{{}}}\r\n", octets.len()).as_bytes(), octets].concat()
}

const SUBJECT: &str = "This message was changed on its way";

const HEADER: &[u8] =
    b"From: Sidekey <sidekey@localhost>\r\nSubject: This message was changed on its way\r\nMIME-Version: \
    1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";

const TEXT: &[u8] = b"What came in place of this message is not what your mail server sent, and is not shown.\r\n\r\nThe \
    message itself is unharmed on your mail server. Report this to your mail\r\nadministrator: somebody on the way \
    altered it.\r\n";

#[cfg(test)]
mod tests {
    use sidekey_imap::command::{Body, Command, Event, Reader};
    use sidekey_imap::scanner::Limits;

    use super::*;

    fn of(items: &str) -> String {
        let line = format!("a FETCH 1 {items}\r\n");
        let event = Reader::new(Limits::CLIENT).next(&mut line.as_bytes()).unwrap();
        let Some(Event::Command(Command { body: Body::Fetch { items, .. }, .. })) = event else {
            panic!("{line}");
        };
        String::from_utf8(value(&items[0])).unwrap()
    }

    #[test]
    fn its_items_are_of_one_message() {
        let whole = of("BODY[]");
        assert!(whole.starts_with(&format!("{{{SIZE}}}\r\nFrom: Sidekey")));
        assert_eq!(whole, of("RFC822"));
        let strip = |text: String| text.split_once("\r\n").unwrap().1.to_owned();
        assert_eq!(strip(of("BODY[HEADER]")) + &strip(of("BODY[TEXT]")), strip(whole.clone()));
        assert_eq!(of("BODY[1]"), of("RFC822.TEXT"));
        assert_eq!(of("BODY[]<6.7>"), "{7}\r\nSidekey");
        assert_eq!(of("BODY[]<100000.7>"), "{0}\r\n");
        assert_eq!(
            strip(of("BODY[HEADER.FIELDS (subject x)]")),
            format!("Subject: {SUBJECT}\r\n\r\n"),
            "as the envelope has it"
        );
        assert!(of("ENVELOPE").contains(SUBJECT) && whole.contains(SUBJECT));
        assert!(!of("BODY[HEADER.FIELDS.NOT (subject)]").contains(SUBJECT));
        assert_eq!(of("BODY[1.MIME]").lines().count(), 3);
        assert_eq!((of("BODY[2]"), of("THREADID")), ("NIL".to_owned(), "NIL".to_owned()));
        let lines = TEXT.iter().filter(|octet| **octet == b'\n').count();
        assert!(of("BODY").ends_with(&format!(" {} {lines})", TEXT.len())));
    }
}
