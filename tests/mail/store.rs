//! What operators do who end IMAP at their door, or keep the mail: nothing of it can be undone behind their back.

use sidekey_tests::imap::client::{Client, Synced};
use sidekey_tests::imap::corpus::{Corpus, MESSAGES};
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::proxy::{Proxy, Store};
use sidekey_tests::imap::session::Session;
use sidekey_tests::imap::tap::Tap;
use sidekey_tests::imap::{Account, USER};
use sidekey_tests::others::authority::Authority;

#[tokio::test]
async fn imapc_fetches_for_itself_and_not_what_was_asked() {
    let server = Dovecot::start(&Authority::new()).await;
    server.deliver(USER, None, &Corpus::new(1).messages);
    let tap = Tap::start(server.port).await;
    let proxy = Proxy::imapc(tap.port).await;
    let direct = Client::ImapFlow.sync(&Account::at(server.port), MESSAGES).await;
    let through = Client::ImapFlow.sync(&Account::at(proxy.port), MESSAGES).await;
    assert_eq!(bodies(&direct), bodies(&through));
    let asked: Vec<u8> = tap.connections().into_iter().flat_map(|one| one.asked).collect();
    let asked = String::from_utf8(asked).unwrap();
    assert!(asked.contains("BODY.PEEK[]"), "it fetches messages");
    assert!(!asked.contains("ENVELOPE"), "it makes what it was asked for of them itself");
}

#[tokio::test]
async fn imapc_with_a_namespace_gives_mailboxes_other_names() {
    let server = Dovecot::start(&Authority::new()).await;
    server.deliver(USER, Some("Archive"), &[b"Subject: kept\n\nx\n".to_vec()]);
    for (proxy, name) in [
        (Proxy::imapc(server.port).await, "Archive"),
        (Proxy::imapc_renamed(server.port).await, "Operator/Archive"),
    ] {
        let mut session = Session::login(proxy.port, USER).await;
        let listed = session.ask("LIST \"\" *").await;
        assert!(listed.contains(&format!(" {name}\r\n")), "{listed}");
    }
}

#[tokio::test]
async fn a_pulled_mailbox_has_other_uids() {
    let authority = Authority::new();
    let server = Dovecot::start(&authority).await;
    server.deliver(USER, None, &Corpus::new(1).messages[..20]);
    let mut session = Session::login(server.port, USER).await;
    session.ask("SELECT INBOX").await;
    session.ask("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    session.ask("EXPUNGE").await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::of(&Account::at(server.port), &authority, folder.path()).await;
    let mut stored = Session::login(store.server.port, USER).await;
    let subject = "FETCH 1 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
    for session in [&mut session, &mut stored] {
        session.ask("SELECT INBOX").await;
    }
    let (here, there) = (session.ask(subject).await, stored.ask(subject).await);
    assert!(here.contains("(UID 2 ") && there.contains("(UID 1 "), "{here}{there}");
    let mark = stored.ask("FETCH 1 BODY.PEEK[HEADER.FIELDS (X-TUID)]").await;
    assert!(mark.contains("X-TUID: "), "it writes into messages: {mark}");
}

/// The messages alone.
fn bodies(synced: &Synced) -> Vec<&Vec<u8>> {
    synced.iter().filter(|(name, _)| !name.contains(' ')).map(|(_, octets)| octets).collect()
}
