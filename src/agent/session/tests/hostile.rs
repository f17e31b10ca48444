//! The proxy that lies: one attack for each test, named for the attack (THREATS: "IMAP by the proxy").

use sidekey_client::error;
use sidekey_protocol::object::Reject;
use sidekey_protocol::policy;
use sidekey_protocol::session::envelope;

use super::*;
use crate::alert::Distrust;

const HELLO: &[u8] = b"hello";

/// What becomes of a value that stands for BODY[] of message 1, UID 7, which the program has asked for.
fn given(value: &str) -> (String, Vec<Alert>, Option<Ended>) {
    let mut rig = Rig::new().asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
    rig.server(format!("* 1 FETCH (UID 7 BODY[] {value})\r\ns3 OK done\r\n").as_bytes());
    (rig.said(), rig.alerts, rig.ended)
}

/// It is left out, and this is told.
fn left_out(value: &str, alert: Alert) {
    let (said, alerts, ended) = given(value);
    assert_eq!(said, "q NO some of it does not hold, and is left out\r\n");
    assert_eq!((alerts, ended), (vec![alert], None));
}

/// The session ends.
fn ends(value: &str, alert: Alert) {
    let (said, alerts, ended) = given(value);
    assert_eq!(said, format!("q NO {alert}\r\n* BYE {alert}\r\n"));
    assert_eq!((alerts, ended), (vec![alert], Some(Ended::Alert(alert))));
}

const fn frame(reject: Reject) -> Alert {
    Alert::Tampered(Wrong::Frame(reject))
}

#[test]
fn a_flipped_octet() {
    let good = of(7, "BODY[]").frame(Kind::Literal, HELLO);
    assert!(given(&literal(&good)).1.is_empty());
    for at in (0..good.len()).filter(|at| *at < 200 || at % 97 == 0) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let (said, alerts, ended) = given(&literal(&bad));
        assert!(!said.contains("hello") && alerts.len() == 1, "octet {at}: {said}");
        assert!(said.starts_with("q NO "), "octet {at}: {said}");
        assert_eq!(ended.is_some(), alerts[0].ends());
    }
}

#[test]
fn a_value_cut_short() {
    let good = of(7, "BODY[]").frame(Kind::Literal, &[b'x'; 100_000]);
    for len in [1, 100, 137, 138, 4000, 65_690, good.len() - 1] {
        let (said, alerts, _) = given(&literal(&good[..len]));
        assert_eq!(said, "q NO some of it does not hold, and is left out\r\n", "{len}");
        assert_eq!(alerts.len(), 1);
    }
}

#[test]
fn plaintext_in_place_of_a_frame() {
    let plain = Alert::Downgrade(Plain::Value);
    for value in
        ["NIL", "\"hello\"", "7", "{5}\r\nhello", "{0}\r\n", "{8}\r\naGVsbG8=", "~{5}\r\nhello", "(NIL)"]
    {
        left_out(value, plain);
    }
    let mut rig = Rig::new().asked("FETCH 1 (ENVELOPE BODY)", "FETCH 1 (UID ENVELOPE BODY)");
    rig.server(
        b"* 1 FETCH (UID 7 ENVELOPE (NIL \"hello\" NIL NIL NIL NIL NIL NIL NIL NIL) BODY (\"text\" \"plain\" NIL NIL \
          NIL \"7bit\" 5 1))\r\ns3 OK done\r\n",
    );
    assert_eq!(rig.said(), "q NO some of it does not hold, and is left out\r\n");
    assert_eq!(rig.alerts, [plain, plain]);
}

#[test]
fn a_program_that_cannot_bear_a_gap_is_told_in_a_message() {
    let mut rig = Rig::new();
    rig.session.settings.failing = Failing::Stub;
    let mut rig = rig.asked(
        "FETCH 1 (RFC822.SIZE BODY.PEEK[]<0.30>)",
        "FETCH 1 (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)] BODY.PEEK[]<0.16384>)",
    );
    rig.server(
        b"* 1 FETCH (UID 7 RFC822.SIZE 9 BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)] {5}\r\nhello BODY[]<0> \"hello\")\r\n\
          s3 OK done\r\n",
    );
    assert_eq!(
        rig.said(),
        format!(
            "* 1 FETCH (RFC822.SIZE {} BODY[]<0> {{30}}\r\nFrom: Sidekey <sidekey@localho)\r\nq OK done\r\n",
            crate::stub::SIZE
        )
    );
    assert_eq!(rig.alerts, [Alert::Downgrade(Plain::Value); 2]);
    // What only cannot be had now is not stood in for: it would be kept.
    let mut rig = Rig::new();
    (rig.session.settings.failing, rig.no_key) = (Failing::Stub, Some(Unavailable::Unreachable));
    let mut rig = rig.asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
    let good = of(7, "BODY[]").text(Kind::Literal, HELLO);
    rig.server(format!("* 1 FETCH (UID 7 BODY[] {good})\r\ns3 OK done\r\n").as_bytes());
    assert_eq!(rig.said(), "q NO [UNAVAILABLE] its keys cannot be had now\r\n");
}

#[test]
fn another_message_in_its_place() {
    let other = of(8, "BODY[]").text(Kind::Literal, HELLO);
    // Before any has opened, the numbers are somebody else's.
    ends(&other, Alert::Reterminated(Changed::Uids));
    let mut rig = Rig::new().asked("FETCH 1:2 BODY.PEEK[]", "FETCH 1:2 (UID BODY.PEEK[])");
    let good = of(7, "BODY[]").text(Kind::Literal, HELLO);
    rig.server(
        format!("* 1 FETCH (UID 7 BODY[] {good})\r\n* 2 FETCH (UID 8 BODY[] {good})\r\ns3 OK done\r\n")
            .as_bytes(),
    );
    assert_eq!(
        rig.said(),
        "* 1 FETCH (BODY[] {5}\r\nhello)\r\nq NO some of it does not hold, and is left out\r\n"
    );
    assert_eq!(rig.alerts, [frame(Reject::OtherSubject)]);
}

#[test]
fn another_mailbox_or_another_numbering() {
    let renamed = Place { mailbox: "Operator/INBOX", ..of(7, "BODY[]") };
    ends(&renamed.text(Kind::Literal, HELLO), Alert::Reterminated(Changed::Names));
    let anew = Place { uid_validity: 45, ..of(7, "BODY[]") };
    ends(&anew.text(Kind::Literal, HELLO), Alert::Reterminated(Changed::Numbering));
}

#[test]
fn another_item_or_another_range() {
    left_out(&of(7, "BODY[TEXT]").text(Kind::Literal, HELLO), frame(Reject::OtherItem));
    let mut rig = Rig::new().asked("FETCH 1 BODY.PEEK[]<0.20480>", "FETCH 1 (UID BODY.PEEK[]<0.32768>)");
    let shorter = Place { partial: Some((0, 16384)), ..of(7, "BODY[]") };
    let text = shorter.text(Kind::Literal, HELLO);
    rig.server(format!("* 1 FETCH (UID 7 BODY[]<0> {text})\r\ns3 OK done\r\n").as_bytes());
    assert_eq!(rig.alerts, [frame(Reject::OtherExtent)]);
    assert!(!rig.said().contains("hello"));
}

#[test]
fn a_random_session_is_asked_for_once() {
    let mut rig = Rig::new().asked("FETCH 1:9 BODY.PEEK[]", "FETCH 1:9 (UID BODY.PEEK[])");
    for number in 1..=9 {
        let foreign = Place { session: SessionId::from_bytes([1; 16]), ..of(number, "BODY[]") };
        let text = foreign.text(Kind::Literal, HELLO);
        rig.server(format!("* {number} FETCH (UID {number} BODY[] {text})\r\n").as_bytes());
    }
    assert_eq!(rig.wishes.len(), 1);
    assert_eq!(rig.alerts, [Alert::Tampered(Wrong::SessionUnknown); 9]);
    for number in 1..=100 {
        let mut rest = Rig::new().asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
        mem::swap(&mut rest.session.ring, &mut rig.session.ring);
        let foreign = Place { session: SessionId::from_bytes([100 + number; 16]), ..of(7, "BODY[]") };
        let text = foreign.text(Kind::Literal, HELLO);
        rest.server(format!("* 1 FETCH (UID 7 BODY[] {text})\r\n").as_bytes());
        assert_eq!(rest.wishes.len(), usize::from(number < 64), "many are not asked for at all");
        mem::swap(&mut rest.session.ring, &mut rig.session.ring);
    }
}

#[test]
fn a_key_that_is_not_what_was_made_or_agreed() {
    let tampered = Distrust::Tampered(error::Tampered::Envelope(envelope::Reject::KekForeign));
    let weaker = Distrust::Downgrade(error::Downgrade::Policy(policy::Reject::Older));
    let lists = Distrust::Mismatch(error::Mismatch::Capabilities);
    for (distrust, name, reason) in [
        (tampered, "tampered", "session_key"),
        (weaker, "downgrade", "policy"),
        (lists, "downgrade", "lists"),
    ] {
        let alert = Alert::Key(distrust);
        assert_eq!((alert.name(), alert.reason(), alert.ends()), (name, reason, false));
        let mut rig = Rig::new().asked("FETCH 1:2 BODY.PEEK[]", "FETCH 1:2 (UID BODY.PEEK[])");
        // Nothing stands in for a message of which nothing is known to be wrong.
        (rig.session.settings.failing, rig.no_key) = (Failing::Stub, Some(Unavailable::Refused(distrust)));
        for number in 1..=2 {
            let text = of(number, "BODY[]").text(Kind::Literal, HELLO);
            rig.server(format!("* {number} FETCH (UID {number} BODY[] {text})\r\n").as_bytes());
        }
        rig.server(b"s3 OK done\r\n");
        assert_eq!(rig.said(), format!("q NO {alert}\r\n"));
        assert_eq!((rig.wishes.len(), &rig.alerts[..]), (1, &[alert][..]), "it is asked for, and told, once");
        // By the next command it may be another one.
        rig.no_key = None;
        rig.program("r FETCH 1 BODY.PEEK[]\r\n");
        let text = of(1, "BODY[]").text(Kind::Literal, HELLO);
        rig.server(format!("* 1 FETCH (UID 1 BODY[] {text})\r\ns4 OK done\r\n").as_bytes());
        assert_eq!(rig.said(), "* 1 FETCH (BODY[] {5}\r\nhello)\r\nr OK done\r\n");
        // Nothing is sealed with such a one either.
        rig.program("t SEARCH TEXT x\r\n");
        rig.session.key(Err(Unavailable::Refused(distrust)));
        rig.drain(None);
        assert_eq!((rig.said(), rig.alerts.len()), (format!("t NO {alert}\r\n"), 2));
    }
}

#[test]
fn content_that_nobody_asked_for() {
    let forged = [Alert::Forged(Forgery::Content)];
    let good = of(7, "BODY[]").text(Kind::Literal, HELLO);
    for response in [
        "* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\n".to_owned(),
        "* 1 FETCH (ENVELOPE (NIL \"hello\" NIL))\r\n".to_owned(),
        "* 1 FETCH (X-GM-LABELS (hello))\r\n".to_owned(),
        "* 1 FETCH (FLAGS {5}\r\nhello)\r\n".to_owned(),
        "* 1 FETCH (FLAGS (\"hello\"))\r\n".to_owned(),
        format!("* 1 FETCH (UID 7 BODY[] {good})\r\n"),
    ] {
        let mut rig = Rig::new();
        rig.server(response.as_bytes());
        assert_eq!((rig.said().as_str(), &rig.alerts[..]), ("", &forged[..]), "{response}");
        // In the midst of a FETCH of something else.
        let mut rig = Rig::new().asked("FETCH 2 BODY.PEEK[TEXT]", "FETCH 2 (UID BODY.PEEK[TEXT])");
        rig.server(response.as_bytes());
        assert_eq!((rig.said().as_str(), &rig.alerts[..]), ("", &forged[..]), "{response}");
    }
}

#[test]
fn a_message_given_twice() {
    let mut rig = Rig::new().asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
    let good = of(7, "BODY[]").text(Kind::Literal, HELLO);
    rig.server(format!("* 1 FETCH (UID 7 BODY[] {good})\r\n").repeat(2).as_bytes());
    assert_eq!(rig.said(), "* 1 FETCH (BODY[] {5}\r\nhello)\r\n");
    assert_eq!(rig.alerts, [Alert::Forged(Forgery::Content)]);
}

#[test]
fn a_frame_without_its_message() {
    let mut rig = Rig::new().asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
    let good = of(7, "BODY[]").text(Kind::Literal, HELLO);
    rig.server(format!("* 1 FETCH (BODY[] {good} UID 7)\r\n").as_bytes());
    assert_eq!((rig.said().as_str(), rig.alerts.as_slice()), ("", &[Alert::Forged(Forgery::Content)][..]));
}

#[test]
fn words_for_the_user() {
    let mut rig = Rig::new().asked("NOOP", "NOOP");
    rig.server(
        b"* OK [ALERT] call +1 900\r\n* NO call +1 900\r\n* OK [APPENDUID 44 9] call\r\ns3 OK [REFERRAL imap://evil/] \
          call\r\n",
    );
    assert!(!rig.said.windows(5).any(|window| window == b"call " || window == b"evil/"), "{}", rig.said());
    let forged = |forgery| Alert::Forged(forgery);
    assert_eq!(rig.alerts, [forged(Forgery::Words), forged(Forgery::Code), forged(Forgery::Words)]);
    rig.server(b"* BYE call +1 900\r\n");
    assert!(rig.said().ends_with("* BYE the mail server has closed the connection\r\n"));
    assert_eq!(rig.ended, Some(Ended::ServerGone));
}

#[test]
fn a_message_that_is_withheld() {
    let seen = |rig: &mut Rig| {
        let responses: String =
            (1..=3).map(|number| format!("* {number} FETCH (UID {} FLAGS ())\r\n", number + 10)).collect();
        rig.server(format!("{responses}s3 OK done\r\n").as_bytes());
    };
    for (expunged, outcome) in [("", vec![Alert::Missing { messages: 1 }]), ("* 2 EXPUNGE\r\n", vec![])] {
        let mut rig = Rig::new().asked("FETCH 1:3 FLAGS", "FETCH 1:3 (UID FLAGS)");
        seen(&mut rig);
        rig.program("r UID FETCH 11:13 (UID)\r\n");
        rig.server(b"* 1 FETCH (UID 11)\r\n* 3 FETCH (UID 13)\r\ns4 OK done\r\n");
        rig.said();
        rig.sent();
        rig.server(format!("{expunged}s5 OK nothing\r\n").as_bytes());
        let ok = outcome.is_empty();
        assert_eq!(rig.alerts, outcome);
        assert!(rig.said().contains(if ok { "r OK done\r\n" } else { "r NO Messages that were" }));
    }
    // One that vanished unseen explains none of those that were seen.
    let mut rig = Rig::new().asked("FETCH 1:3 FLAGS", "FETCH 1:3 (UID FLAGS)");
    seen(&mut rig);
    rig.server(b"* 1 EXPUNGE\r\n");
    rig.program("r UID FETCH 11:13 (UID)\r\n");
    rig.server(b"* 2 FETCH (UID 13)\r\ns4 OK done\r\ns5 OK nothing\r\n");
    assert_eq!(rig.alerts, [Alert::Missing { messages: 1 }]);
    // Fewer messages, and no word of which.
    rig.server(b"* 2 EXISTS\r\n");
    assert_eq!(rig.alerts.last(), Some(&Alert::Missing { messages: 6 }));
}

#[test]
fn a_mailbox_that_is_emptied_is_held_until_it_is_confirmed() {
    for vanished in ["* 1 EXPUNGE\r\n".repeat(9), "* VANISHED 1:9\r\n".into()] {
        for confirmed in [true, false] {
            let mut rig = Rig::new();
            rig.server_until_held(&vanished);
            let Some(Wish::Deletion { messages }) = rig.wishes.pop() else { panic!("it is held") };
            let told = rig.said().len();
            assert!(told <= 3 * "* 1 EXPUNGE\r\n".len());
            rig.session.deletion(confirmed);
            let left = if vanished.contains("EXPUNGE") { "* 1 EXPUNGE\r\n".repeat(5) } else { String::new() };
            rig.server(left.as_bytes());
            rig.server(b"* 20 EXISTS\r\n");
            let said = rig.said();
            if confirmed {
                assert_eq!(said.len() + told, vanished.len() + "* 20 EXISTS\r\n".len());
                assert_eq!(rig.ended, None);
            } else {
                let alert = Alert::MassDeletion { messages };
                assert_eq!((said, rig.ended), (format!("* BYE {alert}\r\n"), Some(Ended::Alert(alert))));
            }
        }
    }
    // The program's own are its own.
    let mut rig = Rig::new().asked("EXPUNGE", "EXPUNGE");
    rig.server("* 1 EXPUNGE\r\n".repeat(9).as_bytes());
    assert_eq!(rig.wishes, []);
}

/// What vanished while the program was away counts where the program had it.
#[test]
fn a_mailbox_that_was_emptied_earlier() {
    const EARLIER: &str = "* VANISHED (EARLIER) 1:5000,7000:4294967295\r\n";
    let select = |rig: &mut Rig, parameters: &str| {
        rig.program(&format!("r SELECT INBOX{parameters}\r\n"));
        rig.sent();
        rig.said();
        rig.server_until_held(&format!("* 3 EXISTS\r\n* OK [UIDVALIDITY 44] x\r\n{EARLIER}"));
    };
    // Of numbers that nobody is known to have, none counts; of 5001 to 6999 nothing is said.
    for parameters in [" (QRESYNC (44 1))", " (QRESYNC (44 1 1:*))", " (QRESYNC (44 1 4998:6999))"] {
        let mut rig = Rig::new();
        select(&mut rig, parameters);
        assert_eq!((rig.wishes.len(), rig.said().ends_with(EARLIER)), (0, true), "{parameters}");
    }
    // Those that the program names, and those that it was shown, here or on another connection.
    let mut rig = Rig::new();
    select(&mut rig, " (QRESYNC (44 1 10,20,4999:5002))");
    assert_eq!(rig.wishes, [Wish::Deletion { messages: 4 }]);
    assert!(!rig.said().contains("VANISHED"));
    let mut rig = Rig::new().asked("FETCH 1:4 FLAGS", "FETCH 1:4 (UID FLAGS)");
    for number in 1..=4 {
        rig.server(format!("* {number} FETCH (UID {} FLAGS ())\r\n", number + 100).as_bytes());
    }
    rig.server(b"s3 OK done\r\n");
    let mut other = Rig::new();
    other.session.settings.seen = Arc::clone(&rig.session.settings.seen);
    for rig in [&mut rig, &mut other] {
        select(rig, " (QRESYNC (44 1))");
        assert_eq!(rig.wishes, [Wish::Deletion { messages: 4 }]);
    }
    // Confirmed, they are nobody's any more.
    other.session.deletion(true);
    other.server(b"s3 OK x\r\n");
    let mut third = Rig::new();
    third.session.settings.seen = Arc::clone(&other.session.settings.seen);
    select(&mut third, " (QRESYNC (44 1))");
    assert_eq!(third.wishes, []);
}

impl Rig {
    fn server_until_held(&mut self, text: &str) {
        let mut input = text.as_bytes();
        self.session.server(&mut input, NOW).unwrap();
        self.drain(None);
    }
}

#[test]
fn answers_to_nothing() {
    let mut rig = Rig::new();
    rig.server(b"+ go on\r\n");
    assert_eq!(rig.alerts, [Alert::Forged(Forgery::Response)]);
    rig.server(b"s9 OK done\r\n");
    assert_eq!(rig.ended, Some(Ended::Server(Unfit::TagUnknown)));
    let mut rig = Rig::new();
    rig.server(b"* SEARCH 1 {5}\r\nhello\r\n");
    assert_eq!(rig.ended, Some(Ended::Server(Unfit::SearchMalformed)));
    let mut rig = Rig::new();
    rig.server(b"* SEARCH 1 2\r\n* CAPABILITY X\r\n* URLFETCH x\r\n* ID (\"a\" \"b\")\r\n");
    assert_eq!(rig.said(), "");
    rig.server(b"* LIST (\r\n");
    assert!(matches!(rig.ended, Some(Ended::Server(Unfit::Unreadable(_)))));
}

#[test]
fn another_end_than_a_gateway() {
    let begin = |text: &str| {
        let settings = Settings::new(PartyId::from_bytes([5; 16]));
        let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
        let upstream = Capabilities::read(text).unwrap();
        Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, rng).map(|_| ()).unwrap_err()
    };
    assert_eq!(begin("IMAP4rev1 IDLE"), Alert::Downgrade(Plain::NotOffered));
    assert_eq!(begin("IMAP4rev1 IDLE SORT NOTIFY"), Alert::Reterminated(Changed::Capabilities));
}
