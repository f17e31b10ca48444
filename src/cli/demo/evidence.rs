//! What one run saw: facts, and no opinion. Everything on the screen comes from here, and `checks.rs` decides what may
//! be said of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bearer::Via;
use super::glance::Glance;

/// The chapters of the story.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The key service starts.
    Start,
    /// Mail server and devices pair.
    Pair,
    /// A session key is issued.
    Issue,
    /// A letter goes without Sidekey.
    Clear,
    /// All letters go with it.
    Sealed,
    /// Letters go the way that others' programs make up.
    Imap,
    /// A key comes by another bearer.
    Deliver,
    /// The proxy lies.
    Lies,
    /// A phone is revoked.
    Revoke,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The enterprise's mail server.
    Server,
    /// Ann's phone.
    Phone,
    /// Ann's laptop.
    Laptop,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Server => "mail server",
            Self::Phone => "Ann's phone",
            Self::Laptop => "Ann's laptop",
        })
    }
}

/// Everything that one run saw.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Evidence {
    /// Of the start.
    pub start: Start,
    /// Of the pairings.
    pub pair: Pair,
    /// Of the session key.
    pub issue: Issue,
    /// Of the letter without Sidekey.
    pub clear: Option<Passage>,
    /// Of the letters with it.
    pub sealed: Vec<Passage>,
    /// Of the way through others' programs, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imap: Option<Imap>,
    /// Of the key that came by another bearer, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Deliver>,
    /// Of the proxy's lies, in the order of the table.
    pub lies: Vec<Told>,
    /// Of the time after them.
    pub after: After,
    /// Of the revocation.
    pub revoke: Revoke,
}

/// How the service answers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Start {
    /// Its address.
    pub url: String,
    /// Its data folder.
    pub folder: String,
    /// The TLS version that it speaks.
    pub tls: String,
    /// How the keys of that connection were agreed on.
    pub key_exchange: String,
    /// What a client finds that does not know its certificate authority.
    pub stranger: Option<String>,
}

/// Who paired, and who did not.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Pair {
    /// One line each.
    pub parties: Vec<Party>,
    /// How many pairings the service lists in all.
    pub listed: u64,
    /// What became of somebody with the phone's invitation and another code, before the phone used it.
    pub wrong_code: Option<String>,
    /// What became of somebody with invitation and code, after the phone used it.
    pub second_use: Option<String>,
}

/// One pairing, as its holder and as the administrator knows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Party {
    /// Whose.
    pub who: Who,
    /// Its code, which is worth nothing any more.
    pub code: String,
    /// Its id, as its holder was told.
    pub pairing: String,
    /// Its id, as the service lists it.
    pub listed: String,
    /// Its state there.
    pub state: String,
}

/// One session key and who holds it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Issue {
    /// For whom.
    pub user: String,
    /// The session that the mail server opened.
    pub session: String,
    /// Who holds its key.
    pub holders: Vec<Holder>,
    /// What the administrator, who is neither, is answered.
    pub outsider: Option<String>,
}

/// A copy of a session key.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Holder {
    /// Whose.
    pub who: Who,
    /// Of which session.
    pub session: String,
    /// And generation.
    pub generation: u32,
    /// And suite.
    pub suite: String,
}

/// One letter from mail server to client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Passage {
    /// What the client asked for.
    pub asked: String,
    /// What the mail server has.
    pub sent: Glance,
    /// Pieces of it that show it wherever they turn up.
    pub pieces: u64,
    /// What passed the proxy.
    pub proxy: Proxy,
    /// What the client read, when it did.
    pub read: Option<Glance>,
    /// Why it did not.
    pub refused: Option<String>,
}

/// What the proxy saw of a letter.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Proxy {
    /// Octets on the wire.
    pub octets: u64,
    /// A frame's header, in base64; empty when it was no frame.
    pub header: String,
    /// Two lines that it can make of the rest: a letter's author, subject and text, or a piece of what is sealed.
    pub glimpse: [String; 2],
    /// How many pieces of the letter the proxy looked for in it.
    pub sought: u64,
    /// And found.
    pub found: u64,
}

/// Letters that went through others' programs, the gateway and the agent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Imap {
    /// The programs, with their versions.
    pub programs: Vec<String>,
    /// What each end and the proxy has of the last letter.
    pub hops: Vec<Hop>,
    /// How many letters were asked for.
    pub letters: u64,
    /// And came as they were.
    pub whole: u64,
    /// How many pieces of them were looked for.
    pub sought: u64,
    /// And found on the mail server's wire.
    pub found_inside: u64,
    /// And on the proxy's.
    pub found_outside: u64,
    /// What the gateway answers to the user's own password.
    pub own_password: Option<String>,
    /// Milliseconds from the revocation of the proxy's credential to the end of its connection.
    pub cut_ms: Option<u64>,
}

/// One end of the way, or the proxy on it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Hop {
    /// For eyes: who, and how it comes by it.
    pub who: String,
    /// Two lines.
    pub sees: [String; 2],
}

/// A key that came by another bearer than HTTPS.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Deliver {
    /// By which.
    pub via: Option<Via>,
    /// Whose that is.
    pub whose: String,
    /// To which address.
    pub to: String,
    /// Where the administrator's list says that it went.
    pub listed: String,
    /// And how that stands.
    pub state: String,
    /// How long the message was, where it was one.
    pub octets: Option<u64>,
    /// The session.
    pub session: String,
    /// Who holds the key that came.
    pub holders: Vec<Holder>,
    /// A letter that was read with it.
    pub letter: Option<Passage>,
    /// What the bearer's operator tried.
    pub lies: Vec<Misled>,
}

/// One thing that a bearer's operator tried.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Misled {
    /// Which.
    pub lie: String,
    /// What the app said.
    pub outcome: String,
}

/// One kind of lie.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Told {
    /// Which, from the table of lies.
    pub lie: String,
    /// Each time that it was told.
    pub tries: Vec<Try>,
}

/// One lie, told once.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Try {
    /// What the client asked for.
    pub asked: String,
    /// What the server was asked for.
    pub forwarded: String,
    /// SHA-256 of what the server sent.
    pub sent: String,
    /// SHA-256 of what the client got.
    pub given: String,
    /// The subject that the client read, if it read anything.
    pub read: Option<String>,
    /// Why it did not.
    pub refused: Option<String>,
}

/// What a session that was opened after the lies shows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct After {
    /// The session.
    pub session: String,
    /// The letters that were lied about, without a lie.
    pub letters: Vec<Passage>,
}

/// What a revocation did.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Revoke {
    /// What the administrator wrote.
    pub reason: String,
    /// What the phone's next fetch was answered: the HTTP status…
    pub status: u16,
    /// …and the reason with it.
    pub told: String,
    /// Its state in the administrator's list.
    pub state: String,
    /// The session that went on.
    pub session: String,
    /// Who was told by an event.
    pub heard: Vec<Heard>,
    /// Who holds which key now.
    pub holders: Vec<Holder>,
    /// A letter under the new key, to the laptop.
    pub letter: Option<Passage>,
    /// What the phone finds with the key that it still holds.
    pub phone: Option<String>,
    /// And what somebody finds who forces that key on the letter.
    pub forced: Option<String>,
}

/// An event that arrived.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Heard {
    /// At whom.
    pub who: Who,
    /// Its name.
    pub event: String,
    /// Milliseconds after the administrator's command was sent.
    pub after_ms: u64,
}
