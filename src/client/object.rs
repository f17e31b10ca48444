//! Mail attributes as encrypted literals: sealed by the server, opened by the client, a record at a time.
//!
//! ```text
//!   server:  sealer = server.sealer(&key, &place, kind, value_len)?
//!            announce sealer.frame_len() octets, then seal(sealer, value, connection).await?
//!   client:  value = client.read(&frame, &place).await?      in memory, for what is small; else, in streams,
//!            opener = client.opener(&key, &place)?
//!            open(opener, connection, spool).await?          only now may anything act on what is in the spool
//! ```
//! A *place* is what the client asked for: mailbox, UIDVALIDITY, UID, item, range ([`Context::fetch`]).

use std::io;

use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::object::{Header, SALT_SIZE};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::session::{Client, Server, SessionKey};

pub use sidekey_protocol::object::{
    Context, Direction, Item, Kind, Mailbox, Opener, Partial, RecordSize, Reject, Sealer, ServerToClient,
    Unsealable,
};

/// Octets that are read at once.
const PIECE_SIZE: usize = 16 * 1024;

/// Why a value was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSealed {
    /// The session is over: issue another.
    #[error("the session is over")]
    Expired,
    /// The value could not be read, or the frame not written. *Do:* close the connection when it was begun.
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
    /// The value is not what was announced. *Do:* close the connection when it was begun.
    #[error(transparent)]
    Value(#[from] Unsealable),
}

/// Why a frame gave no value. What was written until then is to be thrown away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotOpened {
    /// The frame could not be read, or the value not written.
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
    /// The frame is not what was asked for ([`Error::WrongPlace`]), or not what was sealed ([`Error::Tampered`]).
    #[error(transparent)]
    Refused(#[from] Error),
}

impl Server {
    /// Begins the frame of one FETCH item for the session's clients.
    ///
    /// # Errors
    /// [`NotSealed::Expired`], [`NotSealed::Value`].
    pub fn sealer(
        &self,
        key: &SessionKey,
        place: &Context<ServerToClient>,
        kind: Kind,
        value_len: u64,
    ) -> Result<Sealer, NotSealed> {
        let transport = self.transport();
        let mut salt = [0; SALT_SIZE];
        transport.ambient().with_rng(|rng| rng.fill_bytes(&mut salt));
        sealer(key, place, kind, value_len, salt, transport.now())
    }
}

impl Client {
    /// Waits for the frame of one FETCH item, exactly as it was asked for.
    ///
    /// # Errors
    /// [`Error::Expired`].
    pub fn opener<'k>(
        &self,
        key: &'k SessionKey,
        place: &Context<ServerToClient>,
    ) -> Result<Opener<'k, ServerToClient>, Error> {
        opener(key, place, self.transport().now())
    }

    /// Opens a frame that is in memory, exactly as it was asked for: finds the session key that it names, fetches that
    /// if need be, and answers the value only when all of it is whole and genuine.
    ///
    /// # Errors
    /// [`Error::Tampered`]: not what was sealed. [`Error::WrongPlace`]: sealed, but not what was asked for. And those of
    /// [`Client::session_key_of`].
    pub async fn read(
        &self,
        frame: &[u8],
        place: &Context<ServerToClient>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let header = frame.first_chunk().ok_or(Reject::Truncated)?;
        let header = Header::read(header)?;
        let key = self.session_key_of(header.session, header.generation).await?;
        let mut value = Zeroizing::new(Vec::with_capacity(frame.len()));
        match open(self.opener(&key, place)?, frame, &mut *value).await {
            Ok(_) => Ok(value),
            Err(NotOpened::Refused(error)) => Err(error),
            Err(NotOpened::Io(error)) => unreachable!("memory neither fails nor is full: {error}"),
        }
    }
}

fn sealer(
    key: &SessionKey,
    place: &Context<ServerToClient>,
    kind: Kind,
    value_len: u64,
    salt: [u8; SALT_SIZE],
    now: Timestamp,
) -> Result<Sealer, NotSealed> {
    if now >= key.not_after() {
        return Err(NotSealed::Expired);
    }
    Ok(Sealer::new(&key.keys().s2c, place, kind, value_len, RecordSize::default(), salt)?)
}

fn opener<'k>(
    key: &'k SessionKey,
    place: &Context<ServerToClient>,
    now: Timestamp,
) -> Result<Opener<'k, ServerToClient>, Error> {
    if now >= key.not_after() {
        return Err(Error::Expired);
    }
    Ok(Opener::new(&key.keys().s2c, place))
}

/// Seals all that `value` holds, which must be what `sealer` was told, and flushes. Its memory does not grow with the
/// value.
///
/// # Errors
/// [`NotSealed`]; what was written is then no frame.
pub async fn seal(
    mut sealer: Sealer,
    mut value: impl AsyncRead + Unpin,
    mut frame: impl AsyncWrite + Unpin,
) -> Result<(), NotSealed> {
    let mut buffer = Zeroizing::new(vec![0; PIECE_SIZE]);
    loop {
        let read = value.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        let mut piece = &buffer[..read];
        while !piece.is_empty() {
            frame.write_all(sealer.feed(&mut piece)?).await?;
        }
    }
    while let Some(octets) = sealer.pad()? {
        frame.write_all(octets).await?;
    }
    Ok(frame.flush().await?)
}

/// Opens all that `frame` holds (limit the reader to what IMAP announced), and flushes. Its memory does not grow with
/// the value. Nothing may act on what is written before this has returned.
///
/// # Errors
/// [`NotOpened`]; what was written is then to be thrown away.
pub async fn open<D: Direction>(
    mut opener: Opener<'_, D>,
    mut frame: impl AsyncRead + Unpin,
    mut value: impl AsyncWrite + Unpin,
) -> Result<Kind, NotOpened> {
    let mut buffer = vec![0; PIECE_SIZE];
    loop {
        let read = frame.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        let mut piece = &buffer[..read];
        while !piece.is_empty() {
            let octets = opener.feed(&mut piece).map_err(Error::from)?;
            value.write_all(octets).await?;
        }
    }
    let ending = opener.finish().map_err(Error::from)?;
    value.write_all(ending.octets()).await?;
    value.flush().await?;
    Ok(ending.kind())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sidekey_protocol::crypto::Secret;
    use sidekey_protocol::ids::{PartyId, ServiceId, SessionId};
    use sidekey_protocol::revocation::Head;
    use sidekey_protocol::session::envelope::{Bindings, Opened};
    use sidekey_protocol::session::{Capabilities, OFFER_OF_SEVERAL, Suite};

    use super::*;
    use crate::error::Tampered;

    const NOW: Timestamp = Timestamp(1_000);
    const END: Timestamp = Timestamp(4_600);

    fn key() -> SessionKey {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let bindings = Bindings {
            service: ServiceId::from_bytes([2; 16]),
            server: "mail.example.org".parse().unwrap(),
            user: "ann@example.org".parse().unwrap(),
            pairing: PartyId::from_bytes([3; 16]),
            session: SessionId::from_bytes([1; 16]),
            generation: 0,
            suite: Suite::C20p,
            not_before: NOW,
            not_after: END,
            policy: [4; 32],
            capabilities: Capabilities::parse(&["C20P"]).unwrap(),
            offer: OFFER_OF_SEVERAL,
            head: Head::START.sealed(&Secret::random(&mut rng)),
        };
        SessionKey::new(Opened { key: Secret::random(&mut rng), bindings })
    }

    fn place(uid: u32) -> Context<ServerToClient> {
        let (inbox, item) = (Mailbox::new("INBOX", None).unwrap(), Item::parse("BODY[]").unwrap());
        Context::fetch(&inbox, NonZeroU32::MIN, NonZeroU32::new(uid).unwrap(), &item, None).unwrap()
    }

    async fn sealed(value: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let sealer =
            sealer(&key(), &place(1), Kind::Literal, value.len() as u64, [5; SALT_SIZE], NOW).unwrap();
        let frame_len = sealer.frame_len();
        seal(sealer, value, &mut frame).await.unwrap();
        assert_eq!(frame.len() as u64, frame_len);
        frame
    }

    async fn refused(frame: &[u8], asked: &Context<ServerToClient>) -> Error {
        let key = key();
        match open(opener(&key, asked, NOW).unwrap(), frame, Vec::new()).await.unwrap_err() {
            NotOpened::Refused(error) => error,
            NotOpened::Io(error) => panic!("memory does not fail: {error}"),
        }
    }

    #[tokio::test]
    async fn what_the_server_seals_its_client_opens_through_a_narrow_pipe() {
        let value: Vec<u8> = (0..=250).cycle().take(200_000).collect();
        let (near, far) = tokio::io::duplex(1000);
        let (key, mut spool) = (key(), Vec::new());
        let sealer = sealer(&key, &place(1), Kind::Literal8, 200_000, [5; SALT_SIZE], NOW).unwrap();
        let opener = opener(&key, &place(1), NOW).unwrap();
        let value_read = value.as_slice();
        let (sent, got) =
            tokio::join!(async move { seal(sealer, value_read, near).await }, open(opener, far, &mut spool));
        sent.unwrap();
        assert_eq!(got.unwrap(), Kind::Literal8);
        assert!(spool == value);
    }

    #[tokio::test]
    async fn another_message_is_the_wrong_place_and_a_cut_is_tampering() {
        let frame = sealed(b"a message").await;
        assert!(matches!(refused(&frame, &place(2)).await, Error::WrongPlace(Reject::OtherSubject)));
        let cut = refused(&frame[..frame.len() - 1], &place(1)).await;
        assert!(matches!(cut, Error::Tampered(Tampered::Object(Reject::Truncated))), "{cut}");
    }

    #[tokio::test]
    async fn a_value_that_is_not_as_announced_makes_no_frame() {
        for value in [&b"four"[..], b"sixsix"] {
            let sealer = sealer(&key(), &place(1), Kind::Literal, 5, [5; SALT_SIZE], NOW).unwrap();
            let refused = seal(sealer, value, Vec::new()).await.unwrap_err();
            assert!(matches!(refused, NotSealed::Value(Unsealable::ValueLonger | Unsealable::ValueShorter)));
        }
    }

    #[test]
    fn a_session_that_is_over_neither_seals_nor_opens() {
        let key = key();
        let late = sealer(&key, &place(1), Kind::Nil, 0, [5; SALT_SIZE], END);
        assert!(matches!(late, Err(NotSealed::Expired)));
        assert!(matches!(opener(&key, &place(1), END), Err(Error::Expired)));
    }
}
