//! Lists that are longer than memory should hold: an ENVELOPE of tens of thousands of recipients.

use super::*;

/// As one of 60,000 has: 2.6 million octets.
fn envelope() -> String {
    let recipients: Vec<_> =
        (0..60_000).map(|at| format!("(NIL NIL \"recipient-{at}\" \"corp.example\")")).collect();
    format!("(NIL \"secret\" NIL NIL NIL ({}) NIL NIL NIL {{4}}\r\n<id>)", recipients.concat())
}

#[test]
fn a_list_of_any_length_is_sealed_and_little_of_it_is_in_memory() {
    let said = format!("* 1 FETCH (UID 7 ENVELOPE {} FLAGS ())\r\nf OK done\r\n", envelope());
    for piece in [1000, 65_536] {
        let mut talk = Talk::selected(piece);
        talk.client("f FETCH 1 (ENVELOPE FLAGS)\r\n");
        let sealed = talk.server(&said);
        assert_eq!(talk.ended, None);
        assert!(!contains(&sealed, "secret") && !contains(&sealed, "corp.example"), "nothing of it is shown");
        assert!(agent(&Held::new(0, END)).open(&sealed) == said.as_bytes());
    }
}

#[test]
fn a_list_that_ends_in_its_midst_completes_nothing() {
    let mut talk = Talk::selected(usize::MAX);
    talk.client("f FETCH 1 (ENVELOPE)\r\n");
    let shown = talk.shown(&format!("* 1 FETCH (UID 7 ENVELOPE {}", &envelope()[..2_000_000]));
    assert_eq!(shown, "* 1 FETCH (UID 7 ", "no frame is begun before the list is whole");
    assert_eq!(talk.session.server_gone(), Ended::ServerGone);
    assert!(talk.session.to_client().is_empty());
}
