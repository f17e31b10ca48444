//! A mail server's side, start to end: pairs the first time, then opens a session for a user, and seals the mail on
//! standard input.
//!
//! `cargo run -p sidekey-client --example server -- INVITATION CA.pem USER < mail > frame`
//!
//! INVITATION is a file with what `sidekey server invite` printed; the profile is kept beside it.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use sidekey_client::error::Usage;
use sidekey_client::object::{Context, Item, Kind, Mailbox, seal};
use sidekey_client::protocol::session::{Audience, Capabilities};
use sidekey_client::{Ambient, FileKeyStore, Invitation, Roots, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [invitation, ca, user] = arguments()?;
    let store = Arc::new(FileKeyStore::new(Path::new(&invitation).with_extension("profile")));
    let server = match Server::open(store.clone(), Ambient::system()).await {
        Err(sidekey_client::Error::Usage(Usage::Unpaired)) => {
            Server::pair(read_invitation(&invitation, &ca)?, store, Ambient::system()).await?
        }
        opened => opened?,
    };

    // A session is for all devices of the user. The capabilities are what the server tells its clients it can do.
    let capabilities = Capabilities::parse(&["XENCRYPTED", "A256GCM", "C20P"])?;
    let key = server.issue(&Audience::User(user.parse()?), None, &capabilities).await?;
    writeln!(io::stderr(), "session {} generation {} {}", key.session(), key.generation(), key.suite())?;

    let mut mail = Vec::new();
    io::stdin().lock().read_to_end(&mut mail)?;
    // What the client will have asked for: whatever else the frame is passed off as, it does not open.
    let (uid_validity, uid) = (NonZeroU32::MIN, NonZeroU32::MIN);
    let inbox = Mailbox::new("INBOX", Some('/'))?;
    let context = Context::fetch(&inbox, uid_validity, uid, &Item::parse("BODY[]")?, None)?;
    let sealer = server.sealer(&key, &context, Kind::Literal, mail.len() as u64)?;
    let mut frame = Vec::new();
    seal(sealer, mail.as_slice(), &mut frame).await?;
    io::stdout().write_all(&frame)?;
    Ok(())
}

fn arguments<const N: usize>() -> Result<[String; N], &'static str> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    arguments.try_into().map_err(|_| "usage: server INVITATION CA.pem USER < mail > frame")
}

fn read_invitation(file: &str, ca: &str) -> Result<Invitation, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let link = text.split_whitespace().find_map(|word| word.parse().ok()).ok_or("no link in it")?;
    let roots = Roots::Pem(std::fs::read_to_string(ca)?);
    Ok(Invitation::from_link(link, roots, None, "example server".parse()?)
        .ok_or("this link came without its code")?)
}
