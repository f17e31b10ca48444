//! A mail app's side, start to end: pairs by link, then opens the sealed mail that comes on standard input.
//!
//! `cargo run -p sidekey-client --example phone -- LINK CA.pem < frame > mail`

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::sync::Arc;

use sidekey_client::object::{Context, Item, Mailbox, open};
use sidekey_client::protocol::ids::Role;
use sidekey_client::protocol::object::{HEADER_SIZE, Header};
use sidekey_client::{Ambient, Client, Invitation, MemoryKeyStore, Roots, pair};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [link, ca] = arguments()?;
    let roots = Roots::Pem(std::fs::read_to_string(ca)?);
    let invitation =
        Invitation::from_link(link.parse()?, roots, Some(Role::Client), "example phone".parse()?)
            .ok_or("this link came without its code")?;

    // An app keeps its profile in a `FileKeyStore`, or in a store of its own over the platform's keychain.
    let store = Arc::new(MemoryKeyStore::default());
    let paired = pair(invitation, store.clone(), Ambient::system()).await?;
    let mut log = io::stderr();
    writeln!(log, "paired as {} at {}", paired.pairing, paired.server)?;

    let client = Client::open(store, Ambient::system()).await?;
    // Tells the cache what the enterprise rotates, ends or revokes, for as long as it lives.
    let _watch = client.watch();

    let mut frame = Vec::new();
    io::stdin().lock().read_to_end(&mut frame)?;
    let header = frame.first_chunk::<HEADER_SIZE>().ok_or("no frame on standard input")?;
    let header = Header::read(header)?;
    let key = client.session_key_of(header.session, header.generation).await?;
    writeln!(log, "session {} generation {} {}", key.session(), key.generation(), key.suite())?;

    // What was asked for, by the app's own account: the frame must be of exactly this.
    let item = Item::parse("BODY[]")?;
    let context = Context::fetch(&Mailbox::new("INBOX", Some('/'))?, ONE, ONE, &item, None)?;
    let mut mail = Vec::new();
    open(client.opener(&key, &context)?, frame.as_slice(), &mut mail).await?;
    // Only now is it whole, and genuine.
    io::stdout().write_all(&mail)?;
    Ok(())
}

fn arguments<const N: usize>() -> Result<[String; N], &'static str> {
    std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "usage: phone LINK CA.pem")
}

/// UIDVALIDITY and UID of the one mail of this example.
const ONE: NonZeroU32 = NonZeroU32::MIN;
