//! A mail app's side, start to end: pairs the first time, then opens the sealed mail that comes on standard input.
//!
//! `cargo run -p sidekey-client --example phone -- INVITATION CA.pem [UID] < frame`
//!
//! INVITATION is a file with what `sidekey client invite` printed; the profile is kept beside it. UID is the message
//! that the app asked for, 1 when not said.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use sidekey_client::error::Usage;
use sidekey_client::object::{Context, Item, Mailbox, ServerToClient};
use sidekey_client::{Ambient, Client, FileKeyStore, Invitation, Roots};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (invitation, ca, uid) = match &arguments[..] {
        [invitation, ca] => (invitation, ca, NonZeroU32::MIN),
        [invitation, ca, uid] => (invitation, ca, uid.parse()?),
        _ => return Err("usage: phone INVITATION CA.pem [UID] < frame".into()),
    };
    let asked = asked(uid)?;
    let mut frame = Vec::new();
    io::stdin().lock().read_to_end(&mut frame)?;

    // An app on a phone keeps its profile in a store of its own, over the platform's keychain.
    let store = Arc::new(FileKeyStore::new(Path::new(invitation).with_extension("profile")));
    let client = match Client::open(store.clone(), Ambient::system()).await {
        Err(sidekey_client::Error::Usage(Usage::Unpaired)) => {
            let invitation = read_invitation(invitation, ca)?;
            Client::pair(invitation, store, Ambient::system()).await?
        }
        opened => opened?,
    };
    // Tells the cache what the enterprise rotates, ends or revokes, for as long as it lives.
    let _watch = client.watch();

    match client.read(&frame, &asked).await {
        // Whole, and genuine.
        Ok(mail) => io::stdout().write_all(&mail)?,
        // Somebody on the way lied: the error says how. Nothing of the mail is shown.
        Err(lie) => {
            writeln!(io::stderr(), "refused: {lie}")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the app asked for, by its own account: the frame must be of exactly this.
fn asked(uid: NonZeroU32) -> Result<Context<ServerToClient>, Box<dyn Error>> {
    let uid_validity = NonZeroU32::MIN;
    Ok(Context::fetch(&Mailbox::new("INBOX", Some('/'))?, uid_validity, uid, &Item::parse("BODY[]")?, None)?)
}

fn read_invitation(file: &str, ca: &str) -> Result<Invitation, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let link = text.split_whitespace().find_map(|word| word.parse().ok()).ok_or("no link in it")?;
    let roots = Roots::Pem(std::fs::read_to_string(ca)?);
    Ok(Invitation::from_link(link, roots, None, "example phone".parse()?)
        .ok_or("this link came without its code")?)
}
