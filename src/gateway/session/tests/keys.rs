//! A key that is not there, that ends, that is renewed.

use super::*;

#[test]
fn without_a_key_nothing_goes_out_and_the_client_is_told() {
    let mut talk = Talk::with(7, Sealing::On, None, "LITERAL+");
    talk.client("s SELECT INBOX\r\n");
    talk.server("* OK [UIDVALIDITY 5] x\r\ns OK done\r\n");
    for (unavailable, told) in [
        (Unavailable::Later, "f NO [UNAVAILABLE] there is no key now\r\n"),
        (Unavailable::Refused, "f NO [NOPERM] this user has no such session\r\n"),
    ] {
        talk.to_client.clear();
        assert_eq!(talk.client("f FETCH 1 BODY[]\r\n"), "");
        assert_eq!((talk.session.wish(), talk.session.wish()), (Some(Wish::Key), None), "told once");
        assert!(!talk.session.reads_client() && talk.session.reads_server());
        talk.session.key(Err(unavailable));
        assert_eq!(talk.told(""), told);
    }
    assert_eq!(talk.client("f FETCH 1 (FLAGS RFC822.SIZE)\r\n"), "f FETCH 1 (UID FLAGS RFC822.SIZE)\r\n");
    assert_eq!(talk.session.wish(), None, "what is not sealed needs no key");
    talk.server("f OK done\r\n");
    talk.client("f FETCH 1 BODY[]\r\n");
    talk.session.key(Ok(Arc::new(Held::new(0, END))));
    assert_eq!(talk.client(""), "f FETCH 1 (UID BODY[])\r\n");
}

#[test]
fn a_key_whose_time_ends_meanwhile_seals_no_more_and_the_command_fails() {
    let mut talk = Talk::selected(7);
    talk.client("f FETCH 1:2 (FLAGS BODY[])\r\n");
    let first = talk.server("* 1 FETCH (UID 1 FLAGS () BODY[] {1}\r\nx)\r\n");
    talk.now = END;
    let rest = talk.shown("* 2 FETCH (UID 2 FLAGS () BODY[] {6}\r\nsecret)\r\nf OK done\r\n");
    assert!(first.len() > 4250);
    assert_eq!(rest, "* 2 FETCH (UID 2 FLAGS ())\r\nf NO [UNAVAILABLE] there is no key now\r\n");
    talk.client("f FETCH 1 BODY[]\r\n");
    assert_eq!(talk.session.wish(), Some(Wish::Key));
}

#[test]
fn a_key_that_is_renewed_meanwhile_seals_what_begins_after_it() {
    let mut talk = Talk::selected(usize::MAX);
    talk.client("f FETCH 1:2 BODY[]\r\n");
    let mut sealed = talk.server("* 1 FETCH (UID 1 BODY[] {6}\r\nsec");
    talk.session.key(Ok(Arc::new(Held::new(1, END))));
    sealed.extend(talk.server("ret)\r\n"));
    let announced = "* OK [XENCRYPTED session=07070707070707070707070707070707 generation=1] sealed\r\n";
    assert!(sealed.ends_with(announced.as_bytes()), "told once the response has ended");
    sealed.truncate(sealed.len() - announced.len());
    assert_eq!(agent(&Held::new(0, END)).open(&sealed), b"* 1 FETCH (UID 1 BODY[] {6}\r\nsecret)\r\n");
    let second = "* 2 FETCH (UID 2 BODY[] {1}\r\nx)\r\nf OK done\r\n";
    assert_eq!(agent(&Held::new(1, END)).open(&talk.server(second)), second.as_bytes());
    talk.session.key(Ok(Arc::new(Held::new(1, END))));
    assert_eq!(talk.told(""), "", "the same key is no news");
}
