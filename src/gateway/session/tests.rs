//! A client, a session and a mail server that says what it is told to say.

mod frames;
#[path = "../tests/held.rs"]
mod held;
mod keys;
mod lists;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_protocol::object::Unsealable;

use super::*;
use held::{Agent, Held};

const NOW: Timestamp = Timestamp(1_000);
const END: Timestamp = Timestamp(4_600);
/// In pieces of so many octets.
const PIECES: [usize; 3] = [1, 7, usize::MAX];

/// Both ends of a session, and what has gone out at each.
struct Talk {
    session: Session,
    piece: usize,
    now: Timestamp,
    ended: Option<Ended>,
    /// What the client said that is not read yet.
    unread: Vec<u8>,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
}

impl Talk {
    fn with(piece: usize, sealing: Sealing, keys: Option<Held>, upstream: &str) -> Self {
        let capabilities: &[String] = &["XENCRYPTED".into(), "A256GCM".into()];
        let capabilities = capabilities.into();
        let replays = Replays::default();
        let settings = Settings { profile: Profile::Strict, sealing, capabilities, replays };
        let keys = keys.map(|held| Arc::new(held) as Arc<dyn Keys>);
        let upstream = Capabilities::read(upstream).unwrap();
        let rng = Box::new(ChaCha20Rng::seed_from_u64(7));
        let session = Session::begin(Reader::new(Limits::CLIENT), settings, &upstream, keys, rng);
        let (unread, to_client, to_server) = (Vec::new(), Vec::new(), Vec::new());
        Self { session, piece, now: NOW, ended: None, unread, to_client, to_server }
    }

    fn new(piece: usize) -> Self {
        Self::with(piece, Sealing::On, Some(Held::new(0, END)), "IMAP4rev1 LITERAL+ UNSELECT")
    }

    /// With the INBOX selected.
    fn selected(piece: usize) -> Self {
        let mut talk = Self::new(piece);
        talk.client("s SELECT INBOX\r\n");
        talk.server("* 9 EXISTS\r\n* OK [UIDVALIDITY 5] valid\r\ns OK [READ-WRITE] done\r\n");
        talk.to_server.clear();
        talk.to_client.clear();
        talk
    }

    /// What the mail server gets of it.
    fn client(&mut self, said: &str) -> String {
        let piece = self.piece.min(said.len());
        for octets in said.as_bytes().chunks(piece.max(1)) {
            self.unread.extend_from_slice(octets);
            self.drain();
        }
        self.drain();
        String::from_utf8(std::mem::take(&mut self.to_server)).unwrap()
    }

    /// What the client gets of it.
    fn server(&mut self, said: &str) -> Vec<u8> {
        let piece = self.piece.min(said.len());
        for mut octets in said.as_bytes().chunks(piece.max(1)) {
            while self.ended.is_none() && (!octets.is_empty() || !self.session.rests()) {
                let taken = self.session.server(&mut octets, self.now);
                self.note(taken);
                self.drain();
            }
        }
        std::mem::take(&mut self.to_client)
    }

    fn shown(&mut self, said: &str) -> String {
        String::from_utf8(self.server(said)).unwrap()
    }

    fn drain(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        let mut input = unread.as_slice();
        if self.ended.is_none() {
            let taken = self.session.client(&mut input, self.now);
            self.note(taken);
        }
        self.unread = input.to_vec();
        assert!(self.session.to_client.len() < 3 * WAITING_MAX, "what waits has a bound");
        self.to_client.append(self.session.to_client());
        self.to_server.append(self.session.to_server());
    }

    fn note(&mut self, taken: Result<(), Ended>) {
        self.ended = taken.err().or(self.ended.take());
    }

    /// What the client is told at once.
    fn told(&mut self, said: &str) -> String {
        assert_eq!(self.client(said), "", "the mail server hears nothing of it");
        String::from_utf8(std::mem::take(&mut self.to_client)).unwrap()
    }
}

fn agent(keys: &Held) -> Agent<'_> {
    Agent { keys, mailbox: ("INBOX", None), uid_validity: 5, count: 16384 }
}

const SAID: &str = "* 3 EXISTS\r\n* 1 FETCH (UID 7 FLAGS (\\Seen) ENVELOPE (\"secret\" {6}\r\nse)ret NIL) BODY[] {12}\r\n\
    secret\r\n\r\n)* BODY[1] NIL BODY[2] \"\" BODY[3] \"a \\\"secret\\\"\" BODY[TEXT]<0> {6}\r\nsecret BINARY[4] ~{7}\r\n\
    secret\0)\r\n* 2 FETCH (FLAGS ())\r\nf OK [X-SECRET] done\r\n";

#[test]
fn what_was_asked_for_is_sealed_and_opens_wherever_the_octets_end() {
    for piece in PIECES {
        for (modifier, form) in [("", "{5668}"), (" (XENCRYPTED)", "~{4250}")] {
            let mut talk = Talk::selected(piece);
            let asked = talk.client(&format!(
                "f FETCH 1:2 (FLAGS ENVELOPE BODY[] BODY[1] BODY[2] BODY[3] BODY[TEXT]<0.16384> BINARY[4]){modifier}\r\n"
            ));
            assert_eq!(
                asked,
                "f FETCH 1:2 (UID FLAGS ENVELOPE BODY[] BODY[1] BODY[2] BODY[3] BODY[TEXT]<0.16384> BINARY[4])\r\n"
            );
            let sealed = talk.server(SAID);
            assert!(!contains(&sealed, "secret") && !contains(&sealed, "SECRET"), "nothing of it is shown");
            assert!(contains(&sealed, &format!(" BODY[] {form}")));
            let opened = agent(&Held::new(0, END)).open(&sealed);
            assert_eq!(String::from_utf8(opened).unwrap(), SAID.replace("[X-SECRET] ", ""));
        }
    }
}

#[test]
fn sizes_are_those_of_what_is_sealed_and_the_exact_one_is_sealed_itself() {
    const DESCRIPTOR: &str = "BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]";
    const SEALED: &str =
        "BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)] {49}\r\nSIDEKEY-DESCRIPTOR: size=00000000000000000000";
    for piece in PIECES {
        for (items, expected) in [
            ("RFC822.SIZE".to_owned(), "RFC822.SIZE 5668".to_owned()),
            (DESCRIPTOR.to_owned(), format!("{SEALED}\r\n\r\n")),
            (format!("{DESCRIPTOR} RFC822.SIZE"), format!("RFC822.SIZE 5668 {SEALED}\r\n\r\n")),
        ] {
            let mut talk = Talk::selected(piece);
            let expected = expected.replace("0000\r\n", "0012\r\n");
            assert_eq!(talk.client(&format!("f FETCH 1 ({items})\r\n")), "f FETCH 1 (UID RFC822.SIZE)\r\n");
            let sealed = talk.server("* 1 FETCH (UID 7 RFC822.SIZE 12)\r\nf OK done\r\n");
            let opened = agent(&Held::new(0, END)).open(&sealed);
            let expected = format!("* 1 FETCH (UID 7 {expected})\r\nf OK done\r\n");
            assert_eq!(String::from_utf8(opened).unwrap(), expected);
        }
    }
}

#[test]
fn a_range_that_would_tell_a_size_is_refused_with_its_reason() {
    let mut talk = Talk::selected(usize::MAX);
    for (items, reason) in [
        ("BODY[]<0.100>", "ranges begin and end at multiples of 16384 octets here"),
        ("BODY.PEEK[1]<5.16384>", "ranges begin and end at multiples of 16384 octets here"),
        ("BODY[]<0.1064960>", "a range has at most 1048576 octets here"),
        ("BODY[]<0.16384> BODY[]<0.32768>", "one item in two ways"),
        ("PREVIEW PREVIEW (LAZY)", "one item in two ways"),
        ("BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]<0.16384>", "the item has no partial"),
    ] {
        let told = talk.told(&format!("f FETCH 1 ({items})\r\n"));
        assert!(told.starts_with(&format!("f BAD {reason}")), "{items}: {told}");
    }
    assert_eq!(talk.told("f FETCH 1 BINARY.SIZE[1]\r\n"), "f NO exact sizes are not told here\r\n");
}

#[test]
fn a_frame_is_bound_to_the_name_that_list_tells() {
    let mut talk = Talk::new(7);
    assert_eq!(talk.client("s EXAMINE a.b (CONDSTORE)\r\n"), "s LIST \"\" \"INBOX\"\r\n");
    assert_eq!(talk.shown("* LIST () \"/\" other\r\n* LIST () \".\" Inbox\r\ns OK done\r\n"), "");
    assert_eq!(
        String::from_utf8(std::mem::take(&mut talk.to_server)).unwrap(),
        "s EXAMINE a.b (CONDSTORE)\r\n"
    );
    talk.server("* OK [UIDVALIDITY 77] x\r\ns OK [READ-ONLY] done\r\n");
    talk.client("f UID FETCH 9 BODY[TEXT]\r\n");
    let said = "* 1 FETCH (UID 9 BODY[TEXT] {1}\r\nx)\r\nf OK done\r\n";
    let sealed = talk.server(said);
    let keys = Held::new(0, END);
    let agent = Agent { mailbox: ("a.b", Some('.')), uid_validity: 77, ..agent(&keys) };
    assert_eq!(agent.open(&sealed), said.as_bytes());
    assert_eq!(talk.client("s SELECT c.d\r\n"), "s SELECT c.d\r\n", "it is asked once");
}

#[test]
fn without_a_place_nothing_is_sealed_and_nothing_shown() {
    let mut talk = Talk::new(7);
    assert_eq!(talk.told("f FETCH 1 BODY[]\r\n"), "f BAD no mailbox is selected\r\n");
    talk.client("s SELECT INBOX\r\n");
    talk.server("s OK done\r\n");
    assert!(talk.told("f FETCH 1 BODY[]\r\n").starts_with("f NO the mail server numbers nothing"));
    let mut talk = Talk::selected(7);
    talk.client("f FETCH 1 (BODY[] ENVELOPE)\r\n");
    assert_eq!(
        talk.shown("* 1 FETCH (BODY[] {1}\r\nx UID 7 FLAGS () ENVELOPE (1))\r\n* 2 FETCH (BODY[] \"\")\r\nf OK done\r\n")
            .lines()
            .next(),
        Some("* 1 FETCH (UID 7 FLAGS () ENVELOPE (NIL {1572}"),
        "what came before its UID is left out"
    );
    talk.client("s SELECT none\r\n");
    talk.server("s OK\r\n");
    assert_eq!(talk.client(""), "s SELECT none\r\n");
    talk.server("s NO none\r\n");
    assert_eq!(talk.told("f FETCH 1 BODY[]\r\n"), "f BAD no mailbox is selected\r\n");
}

#[test]
fn a_mail_server_that_vanishes_in_a_literal_completes_nothing() {
    let mut talk = Talk::selected(usize::MAX);
    talk.client("f FETCH 1 BODY[]\r\n");
    let begun = talk.server("* 1 FETCH (UID 1 BODY[] {100000}\r\nonly this");
    assert!(begun.starts_with(b"* 1 FETCH (UID 1 BODY[] {"));
    assert_eq!(talk.session.server_gone(), Ended::ServerGone);
    assert!(talk.session.to_client().is_empty() && !talk.session.reads_client());
    let mut talk = Talk::selected(usize::MAX);
    talk.session.server_gone();
    assert_eq!(talk.session.to_client(), b"* BYE [UNAVAILABLE] the mail server is gone\r\n");
}

#[test]
fn what_nobody_asked_for_is_left_out() {
    let mut talk = Talk::selected(7);
    let unasked = "* 1 FETCH (UID 7 BODY[] {6}\r\nsecret FLAGS (\\Seen) ENVELOPE (secret) RFC822.SIZE 5 X-GM-LABELS (secret))\r\n\
        * SEARCH 1 2\r\n* LIST () \"/\" secret\r\n* STATUS secret ()\r\n* 5 EXPUNGE\r\n* X-SECRET secret\r\n\
        * OK [ALERT] call\r\n";
    let shown = "* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n* 5 EXPUNGE\r\n* OK call\r\n";
    assert_eq!(talk.shown(unasked), shown);
    talk.client("f FETCH 1 BODY[TEXT]\r\n");
    assert_eq!(talk.shown(unasked), shown, "not even beside what was");
    talk.server("f OK done\r\n");
    talk.client("q SEARCH SEEN\r\n");
    assert_eq!(talk.shown("* SEARCH 1 2\r\nq OK done\r\n"), "* SEARCH 1 2\r\nq OK done\r\n");
}

#[test]
fn one_command_is_with_the_mail_server_at_a_time() {
    let mut talk = Talk::with(7, Sealing::On, None, "IMAP4rev1");
    let long = "x".repeat(2000);
    assert_eq!(talk.client(&format!("a STATUS {long} (UNSEEN)\r\nb NOOP\r\n")), "a STATUS {2000}\r\n");
    talk.server("+ go\r\n");
    assert_eq!(talk.client(""), format!("{long} (UNSEEN)\r\n"));
    assert_eq!(talk.shown("a NO none\r\n"), "a NO none\r\n");
    assert_eq!(talk.client(""), "b NOOP\r\n");
    talk.server("b OK\r\n");
    // Who waits for a continuation is given one.
    assert_eq!(talk.told("c STATUS {1}\r\n"), "+ go on\r\n");
    assert_eq!(talk.client("x (UNSEEN)\r\n"), "c STATUS x (UNSEEN)\r\n");
}

#[test]
fn idle_ends_with_done() {
    for (said, told) in [
        ("done\r\n", "i OK idled\r\n"),
        ("x NOOP\r\n", "i BAD an IDLE ends with DONE\r\n"),
        ("{5}\r\n", "i BAD an IDLE ends with DONE\r\n"),
    ] {
        let mut talk = Talk::selected(7);
        assert_eq!(talk.client("i IDLE\r\n"), "i IDLE\r\n");
        assert_eq!(talk.client(said), "", "not before the mail server idles");
        assert_eq!(talk.shown("* 5 EXISTS\r\n+ idling\r\n* 6 EXI"), "* 5 EXISTS\r\n+ idling\r\n");
        assert_eq!(talk.client(""), "DONE\r\n");
        assert_eq!(talk.shown("STS\r\ni OK idled\r\n"), format!("* 6 EXISTS\r\n{told}"));
        assert_eq!(talk.client("n NOOP\r\n"), "n NOOP\r\n");
    }
    let mut talk = Talk::selected(7);
    talk.client("i IDLE\r\n");
    assert_eq!(talk.shown("i NO not now\r\n"), "i NO not now\r\n");
    assert_eq!(talk.client("n NOOP\r\n"), "n NOOP\r\n");
}

#[test]
fn what_the_gateway_says_by_itself_waits_for_the_end_of_a_response() {
    let mut talk = Talk::selected(usize::MAX);
    assert_eq!(talk.shown("* FLAGS (\\Seen "), "* FLAGS (\\Seen ");
    assert_eq!(talk.told("i ID NIL\r\n"), "");
    assert_eq!(talk.shown(")\r\n"), ")\r\n* ID (\"name\" \"Sidekey\")\r\ni OK done\r\n");
    for (said, told) in [
        ("e ENABLE UTF8=ACCEPT\r\n", "* ENABLED\r\ne OK done\r\n"),
        ("x EXPUNGE\r\n", "x NO messages and mailboxes are not changed here\r\n"),
        ("x FROB\r\n", "x BAD no such command here\r\n"),
        ("x SEARCH SUBJECT secret\r\n", "x NO a frame is base64 in one line\r\n"),
    ] {
        assert_eq!(talk.told(said), told);
    }
    assert_eq!(talk.client("c CLOSE\r\n"), "c UNSELECT\r\n");
    talk.server("c OK done\r\n");
    assert_eq!(talk.told("f FETCH 1 BODY[]\r\n"), "f BAD no mailbox is selected\r\n");
    talk.client("c CAPABILITY\r\n");
    assert_eq!(
        talk.shown("* CAPABILITY IMAP4rev1 IDLE SORT XENCRYPTED=RC4\r\nc OK [CAPABILITY SORT IDLE] done\r\n"),
        "* CAPABILITY IMAP4rev1 IDLE XENCRYPTED XENCRYPTED=A256GCM\r\nc OK [CAPABILITY IDLE XENCRYPTED XENCRYPTED=A256GCM] done\r\n"
    );
}

#[test]
fn what_is_no_imap_ends_it() {
    let mut talk = Talk::selected(usize::MAX);
    assert!(talk.told("a NOOP\nb NOOP\r\n").ends_with("* BYE no IMAP\r\n"));
    assert!(matches!(talk.ended, Some(Ended::Client(_))));
    for (said, unfit) in [
        ("x OK done\r\n", Unfit::TagUnknown),
        ("* 1 FETCH (UID 7 BODY[] 5)\r\n", Unfit::ValueMalformed),
        ("* 1 FETCH (UID 7 RFC822.SIZE x)\r\n", Unfit::ValueMalformed),
        ("* 1 FETCH (UID 7 BODY[1]<0> {16385}\r\n", Unfit::Unsealable(Unsealable::CountExceeded)),
    ] {
        let mut talk = Talk::selected(7);
        talk.client("f FETCH 1 (BODY[] BODY[1]<0.16384> RFC822.SIZE)\r\n");
        talk.server(said);
        assert_eq!(talk.ended, Some(Ended::Server(unfit)), "{said}");
        assert!(!talk.session.reads_client() && !talk.session.reads_server());
    }
    let mut talk = Talk::selected(7);
    talk.client("l LOGOUT\r\n");
    assert_eq!(talk.shown("* BYE out\r\nl OK done\r\n"), "* BYE out\r\nl OK done\r\n");
    assert_eq!(talk.ended, Some(Ended::LoggedOut));
}

#[test]
fn only_where_sealing_is_off_it_is_shown() {
    let mut talk = Talk::with(7, Sealing::Off, None, "LITERAL+");
    talk.client("s SELECT INBOX\r\n");
    talk.server("s OK done\r\n");
    assert_eq!(
        talk.client("f FETCH 1 (RFC822.SIZE BODY[]<0.100>)\r\n"),
        "f FETCH 1 (UID RFC822.SIZE BODY[]<0.100>)\r\n"
    );
    let said = "* 1 FETCH (UID 7 RFC822.SIZE 5 BODY[]<0> {5}\r\nplain)\r\nf OK [CAPABILITY IDLE] done\r\n";
    assert_eq!(talk.shown(said), said);
    assert_eq!(talk.client("q SEARCH SUBJECT x\r\n"), "q SEARCH SUBJECT x\r\n");
    assert_eq!(Sealing::default(), Sealing::On);
}

fn contains(octets: &[u8], wanted: &str) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}
