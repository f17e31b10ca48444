//! TLS, before anything is asked. The twin is TLS 1.3.

use super::ask::Ask;
use super::attack::{Attack, Bout, Group, Side, Went};
use super::promises;

/// Octets in the place of a handshake.
type Make = fn() -> Vec<u8>;

struct Row(&'static str, &'static str, Make);

const ROWS: [Row; 5] = [
    Row("tls-1-2", "TLS 1.2", || hello([3, 3])),
    Row("tls-1-0", "TLS 1.0", || hello([3, 1])),
    Row("plain-http", "HTTP without TLS", || b"GET /v1/keys HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()),
    Row("early-data", "data before any handshake", || [&[23, 3, 3, 0, 16][..], &[0; 16]].concat()),
    Row("heartbeat", "a heartbeat that asks for more than it sends", || vec![24, 3, 3, 0, 3, 1, 0x40, 0]),
];

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    let attack = |Row(name, does, make)| {
        Attack::new(Group::Tls, name, does, promises::TLS, move |bout| Box::pin(said(bout, make)))
    };
    let foreign =
        Attack::new(Group::Tls, "alpn-foreign", "a protocol that it does not speak", promises::TLS, |bout| {
            Box::pin(foreign_protocol(bout))
        });
    ROWS.into_iter().map(attack).chain([foreign]).collect()
}

/// Nothing but an alert is said to whoever does not speak TLS 1.3.
async fn said(bout: &mut Bout, make: Make) -> Went {
    let heard = bout.ground.wire.below_tls(&make()).await?;
    let (came, held) = match heard.first() {
        None => ("nothing".to_owned(), true),
        Some(&ALERT) => (format!("alert {}", heard.get(6).copied().unwrap_or_default()), true),
        Some(&HANDSHAKE) => ("a handshake".to_owned(), false),
        // Some that stand before a service say so in HTTP's own words.
        Some(_) if heard.starts_with(b"HTTP/1.1 4") => ("a refusal in the clear".to_owned(), true),
        Some(_) => (format!("{} octets of something else", heard.len()), false),
    };
    bout.step(Side::Attack, "say it", "an alert, or nothing", came, held);
    honestly(bout).await
}

async fn foreign_protocol(bout: &mut Bout) -> Went {
    let (came, held) = match bout.ground.wire.connect(b"imap").await {
        Ok(_) => ("a connection".to_owned(), false),
        Err(error) => (format!("no connection: {error}"), true),
    };
    bout.step(Side::Attack, "offer it alone", "no connection", came, held);
    honestly(bout).await
}

async fn honestly(bout: &mut Bout) -> Went {
    bout.twin("ask over TLS 1.3", Ask::get("/v1/keys"), 200).await?;
    Ok(())
}

/// RFC 5246's ClientHello, by hand, since our own TLS cannot say it any more: this version, a random of sevens, no
/// session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression, P-256 and its ECDSA with SHA-256.
fn hello(version: [u8; 2]) -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let formats = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &formats, &signatures].concat();
    let suite = [0, 0, 2, 0xc0, 0x2b, 1, 0, 0, extensions.len() as u8];
    let hello = [&version[..], &[7; 32], &suite, &extensions].concat();
    let handshake = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    [&[HANDSHAKE, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

/// Types of records.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
