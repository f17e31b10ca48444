use sidekey_imap::command::{Command, Event, Key, Literals, Reader};
use sidekey_imap::passes::{CAPABILITIES, CAPABILITIES_OF_CHANGE, LITERALS};
use sidekey_imap::response::{
    Attribute, Capabilities, Code, Form, Message, Piece, Policy, Responses, Verdict,
};
use sidekey_imap::scanner::Limits;

use super::*;

fn body(text: &str) -> Body {
    let line = format!("a {text}\r\n");
    let mut input = line.as_bytes();
    match Reader::new(Limits::CLIENT).next(&mut input) {
        Ok(Some(Event::Command(Command { body, .. }))) => body,
        other => panic!("{text}: {other:?}"),
    }
}

/// What becomes of a command, as text.
fn ruled(profile: Profile, text: &str) -> String {
    let written = |body: Body| {
        let Ok(Some(Event::Command(command))) = Reader::new(Limits::CLIENT).next(&mut &b"a NOOP\r\n"[..])
        else {
            panic!("no tag")
        };
        let sent = Command { body, ..command }.write(Literals::Plus).concat();
        String::from_utf8(sent).unwrap()[2..].trim_end().to_owned()
    };
    match profile.rule(body(text)) {
        Ruling::Forward(body) => written(body),
        Ruling::Fetch(fetch) => format!("sealed: {}", written(fetch.ask)),
        Ruling::Search(body) => format!("opened: {}", written(body)),
        Ruling::Unselect => "unselect".to_owned(),
        Ruling::Own(own) => format!("{own:?}"),
        Ruling::Refuse(denied) => format!("{} {denied:?}", denied.condition()),
    }
}

#[test]
fn every_row_of_the_list_under_both_profiles() {
    for (text, strict, mailbox_allow) in [
        ("CAPABILITY", "CAPABILITY", ""),
        ("NOOP", "NOOP", ""),
        ("LOGOUT", "LOGOUT", ""),
        ("NAMESPACE", "NAMESPACE", ""),
        ("CHECK", "CHECK", ""),
        ("IDLE", "IDLE", ""),
        ("UNSELECT", "UNSELECT", ""),
        ("ID (\"name\" \"x\")", "Id", ""),
        ("ENABLE CONDSTORE UTF8=ACCEPT QRESYNC", "ENABLE CONDSTORE QRESYNC", ""),
        ("ENABLE UTF8=ACCEPT IMAP4rev2", "NothingEnabled", ""),
        ("SELECT INBOX (QRESYNC (1 2))", "SELECT INBOX (QRESYNC (1 2))", ""),
        ("EXAMINE x", "EXAMINE x", ""),
        ("LIST \"\" \"*\" RETURN (STATUS (MESSAGES))", "LIST \"\" \"*\" RETURN (STATUS (MESSAGES))", ""),
        ("LIST \"\" \"*\" RETURN (STATUS (MESSAGES SIZE))", "NO ExactSize", ""),
        ("LSUB \"\" \"*\"", "LSUB \"\" \"*\"", ""),
        ("STATUS x (MESSAGES UIDNEXT)", "STATUS x (MESSAGES UIDNEXT)", ""),
        ("STATUS x (SIZE)", "NO ExactSize", ""),
        ("FETCH 1 (FLAGS MODSEQ INTERNALDATE)", "sealed: FETCH 1 (UID FLAGS MODSEQ INTERNALDATE)", ""),
        ("UID FETCH 1 (BODY[] UID BODY[])", "sealed: UID FETCH 1 (UID BODY[])", ""),
        ("FETCH 1 BINARY.SIZE[1]", "NO ExactSize", ""),
        (
            "SEARCH UID 1:* UNSEEN SINCE 1-Jan-2026 MODSEQ 5",
            "SEARCH UID 1:* UNSEEN SINCE 1-Jan-2026 MODSEQ 5",
            "",
        ),
        ("SEARCH NOT SUBJECT WEVh", "opened: SEARCH NOT SUBJECT WEVh", ""),
        ("SEARCH (OR HEADER X WEVh SEEN)", "opened: SEARCH (OR HEADER X WEVh SEEN)", ""),
        ("SEARCH LARGER 5", "NO SearchOracle", ""),
        ("SEARCH NOT (OR SEEN SMALLER 5)", "NO SearchOracle", ""),
        ("SEARCH SENTSINCE 1-Jan-2026", "NO SearchOracle", ""),
        ("SEARCH YOUNGER 5", "BAD NotListed", ""),
        ("STORE 1 +FLAGS (\\seen \\Flagged)", "STORE 1 +FLAGS (\\Seen \\Flagged)", ""),
        ("UID STORE 1 -FLAGS.SILENT (\\Answered)", "UID STORE 1 -FLAGS.SILENT (\\Answered)", ""),
        ("STORE 1 FLAGS (\\Seen)", "NO Flags", ""),
        ("STORE 1 +FLAGS ($Forwarded)", "NO Flags", ""),
        ("STORE 1 +FLAGS (\\Draft)", "NO Flags", ""),
        ("STORE 1 +FLAGS (\\Seen \\Deleted)", "NO MailboxChange", "STORE 1 +FLAGS (\\Seen \\Deleted)"),
        ("EXPUNGE", "NO MailboxChange", "EXPUNGE"),
        ("UID EXPUNGE 1", "NO MailboxChange", "UID EXPUNGE 1"),
        ("CLOSE", "unselect", "CLOSE"),
        ("UID MOVE 1 x", "NO MailboxChange", "UID MOVE 1 x"),
        ("COPY 1 x", "NO MailboxChange", "COPY 1 x"),
        ("CREATE x", "NO MailboxChange", "CREATE x"),
        ("DELETE x", "NO MailboxChange", "DELETE x"),
        ("RENAME x y", "NO MailboxChange", "RENAME x y"),
        ("SUBSCRIBE x", "NO MailboxChange", "SUBSCRIBE x"),
        ("UNSUBSCRIBE x", "NO MailboxChange", "UNSUBSCRIBE x"),
        ("LOGIN a b", "BAD AlreadyLoggedIn", ""),
        ("AUTHENTICATE PLAIN", "BAD AlreadyLoggedIn", ""),
        ("STARTTLS", "BAD AlreadyLoggedIn", ""),
    ] {
        let mailbox_allow = if mailbox_allow.is_empty() { strict } else { mailbox_allow };
        assert_eq!(ruled(Profile::Strict, text), strict, "{text}");
        assert_eq!(ruled(Profile::MailboxAllow, text), mailbox_allow, "{text}");
    }
}

#[test]
fn what_the_list_does_not_have_is_no_command() {
    for text in [
        "SORT (SIZE) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "GETQUOTAROOT INBOX",
        "SETACL x y z",
        "GETMETADATA x /y",
        "COMPRESS DEFLATE",
        "NOTIFY NONE",
        "URLFETCH x",
        "GENURLAUTH x INTERNAL",
        "RESETKEY",
        "REPLACE 1 x (\\Seen) {1+}\r\nx",
        "XENCRYPTED",
    ] {
        let line = format!("a {text}\r\n");
        let event = Reader::new(Limits::CLIENT).next(&mut line.as_bytes());
        assert!(matches!(event, Ok(Some(Event::Refused(Some(_), _)))), "{text}: {event:?}");
    }
}

#[test]
fn a_fetch_asks_for_what_its_frames_need() {
    let of = |text: &str| match Profile::Strict.rule(body(text)) {
        Ruling::Fetch(fetch) => fetch,
        other => panic!("{other:?}"),
    };
    let plain = of("FETCH 1:* (BODY.PEEK[]<0.16384> ENVELOPE)");
    assert_eq!(
        (plain.form, plain.descriptor, plain.sets_seen, plain.items.len()),
        (Form::Text, false, false, 2)
    );
    let octets = of("UID FETCH 1 (RFC822 RFC822.SIZE) (CHANGEDSINCE 5 XENCRYPTED)");
    assert_eq!((octets.form, octets.sets_seen), (Form::Octets, true));
    assert_eq!(octets.ask, body("UID FETCH 1 (UID RFC822 RFC822.SIZE) (CHANGEDSINCE 5)"));
    let descriptor = of("FETCH 1 (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Sidekey-Descriptor)])");
    assert!(descriptor.descriptor && descriptor.items.len() == 2);
    assert_eq!(
        descriptor.ask,
        body("FETCH 1 (UID RFC822.SIZE)"),
        "a message's own field of that name is never asked for"
    );
    let ordinary = of(
        "FETCH 1 (BODY.PEEK[HEADER.FIELDS (Sidekey-Descriptor From)] BODY.PEEK[1.HEADER.FIELDS (Sidekey-Descriptor)])",
    );
    assert!(!ordinary.descriptor);
}

#[test]
fn the_keys_with_strings_are_found_in_their_order() {
    let Body::Search(_, search) = body("SEARCH FROM a (NOT TO b OR (HEADER x c SEEN) CC d) UNSEEN BODY e")
    else {
        panic!("no search")
    };
    let strings: Vec<_> = sealed_strings(&search.keys)
        .into_iter()
        .map(|key| match key {
            Key::Has(_, string) | Key::Header(_, string) => string[0],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(strings, b"abcde");
}

#[test]
fn what_may_not_be_shown_is_taken_or_dropped() {
    let message = Message { number: std::num::NonZeroU32::MIN, uid: None };
    for (name, verdict) in [
        ("CAPABILITY", Verdict::Take),
        ("EXISTS", Verdict::Pass),
        ("SORT", Verdict::Drop),
        ("QUOTA", Verdict::Drop),
        ("ID", Verdict::Drop),
    ] {
        assert_eq!(Answers.data(None, name), verdict, "{name}");
    }
    let unknown = Attribute::Unknown("X-GM-LABELS".to_owned());
    assert_eq!(Answers.item(&message, &unknown), Verdict::Drop);
    let Body::Fetch { items, .. } =
        body("FETCH 1 (UID ENVELOPE RFC822.SIZE BINARY.SIZE[1] PREVIEW THREADID)")
    else {
        panic!("no fetch")
    };
    let verdicts: Vec<_> = items
        .iter()
        .map(|asked| Answers.item(&message, &Attribute::Known(asked.item().clone(), None)))
        .collect();
    use Verdict::*;
    assert_eq!(verdicts, [Pass, Take, Take, Drop, Take, Take]);
}

#[test]
fn codes_that_ask_for_something_do_not_go_on() {
    for (code, passes) in [
        ("READ-ONLY", true),
        ("UIDVALIDITY 5", true),
        ("APPENDUID 1 2", true),
        ("TRYCREATE", true),
        ("ALERT", false),
        ("REFERRAL imap://x/", false),
        ("CAPABILITY IMAP4rev1 COMPRESS=DEFLATE", false),
        ("XENCRYPTED session=0", false),
        ("X-NEW", false),
    ] {
        assert_eq!(code_passes(&Code::read(code).unwrap()), passes, "{code}");
    }
}

#[test]
fn a_status_is_shown_without_what_is_not_listed() {
    for (said, expected) in [
        ("a OK [READ-WRITE] Select completed", "a OK [READ-WRITE] Select completed"),
        ("a OK [appenduid 1 2] done", "a OK [appenduid 1 2] done"),
        ("a NO [ALERT] Call this number", "a NO Call this number"),
        ("a NO [REFERRAL imap://x/] [ALERT] y", "a NO -"),
        ("* OK [UIDVALIDITY 0] x", "* OK -"),
        ("* BYE later", "* BYE later"),
        ("* OK [XENCRYPTED session=00] x", "* OK x"),
        (
            "a OK [CAPABILITY IMAP4rev1 SORT MOVE COMPRESS=DEFLATE] in",
            "a OK [CAPABILITY IMAP4rev1 XENCRYPTED XENCRYPTED=C20P] in",
        ),
    ] {
        let line = format!("{said}\r\n");
        match Responses::new(Limits::SERVER).next(&mut line.as_bytes(), &mut Answers) {
            Ok(Some(Piece::Status(status))) => {
                let shown = shown(Profile::Strict, &["XENCRYPTED", "C20P"], &status);
                assert_eq!(shown, format!("{expected}\r\n"), "{said}");
            }
            other => panic!("{said}: {other:?}"),
        }
    }
}

#[test]
fn what_is_denied_is_not_advertised() {
    let dovecot = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS \
        MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC \
        ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW \
        STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE COMPRESS=DEFLATE XENCRYPTED=RC4";
    let server = Capabilities::read(dovecot).unwrap();
    let session = ["XENCRYPTED", "A256GCM"];
    assert_eq!(
        advertised(Profile::Strict, &server, &session).to_string(),
        "CAPABILITY IMAP4rev1 ID ENABLE IDLE MULTIAPPEND UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED CONDSTORE \
         QRESYNC ESEARCH LIST-STATUS BINARY PREVIEW LITERAL+ SPECIAL-USE XENCRYPTED XENCRYPTED=A256GCM"
    );
    assert!(advertised(Profile::MailboxAllow, &server, &session).has("MOVE"));
}

/// README.md tells what of a mail server's extensions passes. Here each of its rows is asked.
#[test]
fn the_readme_tells_what_passes() {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("| extension | through the gateway |\n|---|---|\n").unwrap();
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let passes = |profile, name: &str| {
        let mut server = Capabilities::default();
        server.add(name);
        advertised(profile, &server, &[]).has(name)
    };
    let mut told = Vec::new();
    for (names, fate) in rows {
        for name in names.trim_end_matches(", and every other").split(", ") {
            let seen = [Profile::Strict, Profile::MailboxAllow].map(|profile| passes(profile, name));
            let expected = match fate {
                "withheld" | "answered by the gateway, whatever the mail server says" => [false, false],
                "passes under the profile `mailbox=allow`" => [false, true],
                _ => [true, true],
            };
            assert_eq!(seen, expected, "{name}: {fate}");
            told.push(name);
        }
    }
    assert!(told.len() > 60, "{told:?}");
    for listed in CAPABILITIES.iter().chain(&LITERALS).chain(&CAPABILITIES_OF_CHANGE) {
        assert!(told.contains(listed), "{listed} passes, and no row tells");
    }
}

#[test]
fn profiles_have_names() {
    for profile in [Profile::Strict, Profile::MailboxAllow] {
        assert_eq!(profile.to_string().parse(), Ok(profile));
    }
    assert_eq!("lax".parse::<Profile>(), Err(ProfileUnknown));
}
