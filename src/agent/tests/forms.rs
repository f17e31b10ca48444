//! Every form of FETCH.

use crate::{Path, corpus, directly, prepare};

/// What a program may ask of messages.
const FORMS: &[&str] = &[
    "ALL",
    "FAST",
    "FULL",
    "FLAGS",
    "UID",
    "(UID FLAGS)",
    "(FLAGS UID RFC822.SIZE)",
    "INTERNALDATE",
    "RFC822.SIZE",
    "ENVELOPE",
    "BODYSTRUCTURE",
    "BODY",
    "(ENVELOPE RFC822.SIZE BODYSTRUCTURE UID INTERNALDATE)",
    "RFC822.HEADER",
    "RFC822",
    "RFC822.TEXT",
    "BODY[]",
    "BODY.PEEK[]",
    "(BODY.PEEK[] FLAGS UID)",
    "(RFC822.SIZE BODY.PEEK[] ENVELOPE)",
    "BODY.PEEK[HEADER]",
    "BODY.PEEK[TEXT]",
    "BODY.PEEK[1]",
    "BODY.PEEK[1.MIME]",
    "BODY.PEEK[2.MIME]",
    "BODY.PEEK[2]",
    "BODY.PEEK[1.HEADER]",
    "BODY.PEEK[1.TEXT]",
    "BODY.PEEK[1.1.1]",
    "BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
    "BODY.PEEK[HEADER.FIELDS (DATE FROM)]",
    "BODY.PEEK[HEADER.FIELDS (Subject From date)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (to DATE FROM)]",
    "(BODY.PEEK[HEADER.FIELDS (FROM)] BODY.PEEK[HEADER.FIELDS (X-NONE)] RFC822.SIZE)",
    "BODY.PEEK[]<0.100>",
    "BODY.PEEK[]<5.20000>",
    "BODY.PEEK[]<16384.16384>",
    "(BODY.PEEK[]<0.10> BODY.PEEK[]<10.10> BODY.PEEK[TEXT]<40000.5> UID)",
    "BODY.PEEK[]<4000000000.7>",
    "BODY.PEEK[1]<0.1048576>",
    "BODY.PEEK[]<100.2097152>",
    "(BODY.PEEK[HEADER]<0.9> BODY.PEEK[HEADER.FIELDS (SUBJECT)]<3.4>)",
    "PREVIEW",
    "(PREVIEW (LAZY) FLAGS)",
    "(MODSEQ FLAGS)",
];

#[test]
fn every_form_of_fetch_reads_as_the_mail_server_says_it() {
    read(FORMS.iter(), usize::MAX, false);
}

#[test]
fn frames_as_octets_and_in_pieces_read_alike() {
    read(FORMS.iter().step_by(5), 4099, true);
}

fn read<'f>(forms: impl Iterator<Item = &'f &'f str>, piece: usize, octets: bool) {
    let mut path = Path::start(&corpus::messages(), piece, octets);
    let mut different = Vec::new();
    // What is said once, for a server's own reasons.
    prepare(&mut path.server, "STORE 1:* +FLAGS.SILENT (\\Seen)");
    prepare(&mut path.server, "FETCH 1 MODSEQ");
    for form in forms {
        for by in ["", "UID "] {
            let text = format!("{by}FETCH 1:* {form}");
            let opened = path.ask(&text);
            let direct = directly(&mut path.server, &text);
            if untimed(&opened) != untimed(&direct) {
                different.push(difference(&text, &opened, &direct));
            }
            let seen = std::mem::take(&mut path.seen);
            let seen = String::from_utf8_lossy(&seen);
            let secrets = ["partner.example", "Subject", "quarter", "invoice", "multipart"];
            assert!(
                !secrets.iter().any(|secret| seen.contains(secret)),
                "nothing is seen on the way: {text}"
            );
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(path.alerts, []);
}

/// Where they begin to differ.
fn difference(text: &str, opened: &[u8], direct: &[u8]) -> String {
    let at = opened.iter().zip(direct).take_while(|(one, other)| one == other).count();
    let around = |octets: &[u8]| {
        let (from, to) = (at.saturating_sub(60).min(octets.len()), (at + 60).min(octets.len()));
        octets[from..to].escape_ascii().to_string()
    };
    format!("{text}:\n  {}\n  {}", around(opened), around(direct))
}

/// Without the last line, which tells how long it took.
fn untimed(octets: &[u8]) -> &[u8] {
    let end = octets.strip_suffix(b"\r\n").unwrap();
    &octets[..end.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1)]
}
