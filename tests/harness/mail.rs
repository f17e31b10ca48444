//! Mail as sealed frames: what the server seals, what a client asked for.

use std::num::NonZeroU32;

use sidekey_client::object::{Context, Item, Kind, Mailbox, NotOpened, Partial, ServerToClient, open, seal};
use sidekey_client::{Error, SessionKey};

use crate::keys::{MailServer, Phone};

/// What one FETCH asks for.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The mailbox.
    pub mailbox: &'static str,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// The message.
    pub uid: u32,
    /// The item.
    pub item: &'static str,
    /// Origin and count.
    pub partial: Option<(u64, u32)>,
}

impl Default for Fetch {
    /// The whole of message 7 in the inbox.
    fn default() -> Self {
        Self { mailbox: "INBOX", uid_validity: 3, uid: 7, item: "BODY[]", partial: None }
    }
}

impl Fetch {
    /// As both sides bind it.
    ///
    /// # Panics
    /// When there is no such thing to fetch.
    #[must_use]
    pub fn context(&self) -> Context<ServerToClient> {
        let number = |n| NonZeroU32::new(n).expect("IMAP counts from 1");
        let mailbox = Mailbox::new(self.mailbox, Some('/')).expect("a mailbox");
        let item = Item::parse(self.item).expect("an item that is sealed");
        let partial = self.partial.map(|(origin, count)| Partial::new(origin, count).expect("a partial"));
        Context::fetch(&mailbox, number(self.uid_validity), number(self.uid), &item, partial)
            .expect("this can be fetched")
    }
}

/// Seals `value` as the mail server does.
///
/// # Panics
/// When it cannot be sealed.
pub async fn sealed(mail: &MailServer, key: &SessionKey, place: &Fetch, kind: Kind, value: &[u8]) -> Vec<u8> {
    let len = value.len() as u64;
    let sealer = mail.server.sealer(key, &place.context(), kind, len).expect("the value may be sealed");
    let frame_len = sealer.frame_len();
    let mut frame = Vec::new();
    seal(sealer, value, &mut frame).await.expect("the value is as announced");
    assert_eq!(frame.len() as u64, frame_len, "IMAP was told another length");
    frame
}

/// Opens `frame` as the mail app does that asked for `place`.
///
/// # Errors
/// Those of the client crate.
///
/// # Panics
/// When memory fails.
pub async fn opened(
    phone: &Phone,
    key: &SessionKey,
    place: &Fetch,
    frame: &[u8],
) -> Result<(Kind, Vec<u8>), Error> {
    let opener = phone.client.opener(key, &place.context())?;
    let mut value = Vec::new();
    match open(opener, frame, &mut value).await {
        Ok(kind) => Ok((kind, value)),
        Err(NotOpened::Refused(error)) => Err(error),
        Err(NotOpened::Io(error)) => panic!("memory does not fail: {error}"),
        Err(error) => panic!("unknown: {error}"),
    }
}

/// That both hold the same key: what the server seals under its own, the device opens under its own.
///
/// # Panics
/// When they do not.
pub async fn agree(mail: &MailServer, sealing: &SessionKey, phone: &Phone, opening: &SessionKey) {
    let place = Fetch::default();
    let frame = sealed(mail, sealing, &place, Kind::Literal, b"Subject: hello\r\n\r\nhello\r\n").await;
    let read = opened(phone, opening, &place, &frame).await.expect("the device reads what was sealed");
    assert_eq!(read, (Kind::Literal, b"Subject: hello\r\n\r\nhello\r\n".to_vec()));
}
