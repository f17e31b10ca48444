//! The table of lies: what the proxy does, and why the client refuses what comes of it.

use sidekey_protocol::object::{PREFIX_SIZE, Reject};

use super::lie::Lie;
use super::path::Request;

/// One kind of lie.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// For scripts.
    pub name: &'static str,
    /// For eyes: "The proxy …".
    pub does: &'static str,
    /// What the client must say to each try.
    pub refused: Reject,
    /// Whether it is told after the session has ended in which the proxy saw what it replays.
    pub of_ended_session: bool,
    /// What the client asks for and what the proxy makes of it, once or several times.
    pub tries: fn(&Victims) -> Vec<(Request, Lie)>,
}

/// The mailbox of the letters.
pub const MAILBOX: &str = "INBOX";
/// Another mailbox, with other letters under the same numbers.
pub const OTHER_MAILBOX: &str = "Archive";
/// How many letters of the demo's own end every mailbox.
pub const OWN_LETTERS: u32 = 6;

/// Which letters are lied about: the demo's own.
#[derive(Clone, Copy, Debug)]
pub struct Victims {
    /// A letter.
    pub one: u32,
    /// Another.
    pub other: u32,
    /// One of many records.
    pub large: u32,
}

/// All of them, in the order of the screen.
pub const ATTACKS: [Attack; 11] = [
    Attack {
        name: "flip",
        does: "flips one bit of a letter",
        refused: Reject::FirstRecordUnverified,
        of_ended_session: false,
        tries: |v| vec![(whole(v.one), Lie::Flip { octet: PREFIX_SIZE + 100, mask: 1 })],
    },
    Attack {
        name: "cut",
        does: "cuts off the end of the large letter",
        refused: Reject::Truncated,
        of_ended_session: false,
        tries: |v| vec![(whole(v.large), Lie::CutLastRecord)],
    },
    Attack {
        name: "reorder",
        does: "exchanges two pieces of it",
        refused: Reject::FirstRecordUnverified,
        of_ended_session: false,
        tries: |v| vec![(whole(v.large), Lie::SwapRecords)],
    },
    Attack {
        name: "replay",
        does: "answers with a letter that it saw before",
        refused: Reject::OtherSubject,
        of_ended_session: false,
        tries: |v| vec![(whole(v.one), Lie::Replay(whole(v.other)))],
    },
    Attack {
        name: "swap",
        does: "swaps two letters, each for the other",
        refused: Reject::OtherSubject,
        of_ended_session: false,
        tries: |v| {
            let (one, other) = (whole(v.one), whole(v.other));
            vec![(one.clone(), Lie::Ask(other.clone())), (other, Lie::Ask(one))]
        },
    },
    Attack {
        name: "rename",
        does: "answers from another mailbox, same number",
        refused: Reject::OtherMailbox,
        of_ended_session: false,
        tries: |v| vec![(whole(v.one), Lie::Ask(Request::whole(OTHER_MAILBOX, v.one)))],
    },
    Attack {
        name: "part",
        does: "passes a part of a letter off as the whole",
        refused: Reject::OtherItem,
        of_ended_session: false,
        tries: |v| vec![(whole(v.one), Lie::Ask(Request { item: "BODY[TEXT]".into(), ..whole(v.one) }))],
    },
    Attack {
        name: "shorten",
        does: "asks for 16 KiB where the app asked for 64",
        refused: Reject::OtherExtent,
        of_ended_session: false,
        tries: |v| vec![(v.partial(64), Lie::Ask(v.partial(16)))],
    },
    Attack {
        name: "downgrade",
        does: "names a cipher that was not agreed on",
        refused: Reject::OtherSuite,
        of_ended_session: false,
        tries: |v| vec![(whole(v.one), Lie::Flip { octet: SUITE_AT, mask: 3 })],
    },
    Attack {
        name: "plaintext",
        does: "answers with a letter of its own, unsealed",
        refused: Reject::NotAFrame,
        of_ended_session: false,
        tries: |v| vec![(whole(v.one), Lie::Plain(OWN_LETTER.into()))],
    },
    Attack {
        name: "session",
        does: "answers with what it saw in a session now over",
        refused: Reject::OtherSession,
        of_ended_session: true,
        tries: |v| vec![(whole(v.one), Lie::Replay(whole(v.one)))],
    },
];

/// Where a frame names its suite: A256GCM is 1, C20P is 2.
const SUITE_AT: usize = 4;

const OWN_LETTER: &str = "From: Ben Okafor <ben@example.org>\r\nTo: Ann Marsh <ann@example.org>\r\n\
    Subject: New bank account\r\n\r\nPlease pay our last invoice to the account below.\r\n";

impl Victims {
    /// Of a mailbox of so many letters.
    #[must_use]
    pub fn among(letters: u32) -> Self {
        let others = letters.saturating_sub(OWN_LETTERS);
        Self { one: others + 1, other: others + 2, large: letters }
    }

    /// The requests for all of them.
    #[must_use]
    pub fn all(&self) -> [Request; 3] {
        [self.one, self.other, self.large].map(|uid| Request::whole(MAILBOX, uid))
    }

    fn partial(&self, kib: u32) -> Request {
        Request { partial: Some((0, kib * 1024)), ..whole(self.large) }
    }
}

fn whole(uid: u32) -> Request {
    Request::whole(MAILBOX, uid)
}
