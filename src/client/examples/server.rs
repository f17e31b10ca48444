//! A mail server's side, start to end: pairs by link, opens a session for a user, seals standard input as a mail.
//!
//! `cargo run -p sidekey-client --example server -- LINK CA.pem USER < mail > frame`

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::sync::Arc;

use sidekey_client::object::{Context, Item, Kind, Mailbox, seal};
use sidekey_client::protocol::ids::Role;
use sidekey_client::protocol::session::{Audience, Capabilities};
use sidekey_client::{Ambient, Invitation, MemoryKeyStore, Roots, Server, pair};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [link, ca, user] = arguments()?;
    let roots = Roots::Pem(std::fs::read_to_string(ca)?);
    let invitation =
        Invitation::from_link(link.parse()?, roots, Some(Role::Server), "example server".parse()?)
            .ok_or("this link came without its code")?;

    // A server that is restarted keeps its profile in a `FileKeyStore`.
    let store = Arc::new(MemoryKeyStore::default());
    let paired = pair(invitation, store.clone(), Ambient::system()).await?;
    let mut log = io::stderr();
    writeln!(log, "paired as {} of {}", paired.pairing, paired.server)?;

    // A session is for all devices of the user. The capabilities are what the server tells its clients it can do.
    let server = Server::open(store, Ambient::system()).await?;
    let capabilities = Capabilities::parse(&["XENCRYPTED", "A256GCM", "C20P"])?;
    let key = server.issue(&Audience::User(user.parse()?), None, &capabilities).await?;
    writeln!(log, "session {} generation {} {}", key.session(), key.generation(), key.suite())?;

    let mut mail = Vec::new();
    io::stdin().lock().read_to_end(&mut mail)?;
    // What the client will have asked for: whatever else the frame is passed off as, it does not open.
    let item = Item::parse("BODY[]")?;
    let context = Context::fetch(&Mailbox::new("INBOX", Some('/'))?, ONE, ONE, &item, None)?;
    let sealer = server.sealer(&key, &context, Kind::Literal, mail.len() as u64)?;
    let mut frame = Vec::new();
    seal(sealer, mail.as_slice(), &mut frame).await?;
    io::stdout().write_all(&frame)?;
    Ok(())
}

fn arguments<const N: usize>() -> Result<[String; N], &'static str> {
    std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "usage: server LINK CA.pem USER")
}

/// UIDVALIDITY and UID of the one mail of this example.
const ONE: NonZeroU32 = NonZeroU32::MIN;
